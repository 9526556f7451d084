"""DFC: deep fair clustering for visual learning (P. Li, H. Zhao, H. Liu, CVPR 2020).

Three forces on one encoder and its centres: DEC's sharpening, a critic that must not tell the groups from the soft
assignments, and the structure that a model of each group alone, trained first and then frozen, found in its group.
Where the paper and its public code differ, the defaults are the code's. More than two groups, which the paper's
formulas allow and its code does not, get a critic with one output for each.
"""

import dataclasses
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import DeepClusterer, estimator
from fairjax.deep.methods.losses import (
    adversarial_ramp,
    critic_loss,
    divergence,
    inverse_decay,
    reverse_gradient,
    structural_loss,
    student_log_assignment,
    target_distribution,
)
from fairjax.deep.methods.pretraining import AutoencoderTask, ReconstructionSettings, starting_centers
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, Settings, setting, static
from fairjax.deep.nets.choice import Family
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed, recalibrated
from fairjax.deep.training.streams import Batch, Data, present
from fairjax.deep.training.tasks import Task, TrainState, direction
from fairjax.errors import InputError

__all__ = ["DFC", "PRESETS", "DFCConfig", "DFCSettings", "DFCTask", "GroupDECTask", "Result", "run"]

# settings of `fairjax.deep.DFC` under which others have run it
PRESETS: dict[str, dict[str, Any]] = {"dfc_report": {"batch_size": 64, "lr": 1e-3}}  # the reproducibility report, 2021

_REFERENCE_BATCH = 512  # rows per group to which the weights belong
_ALL_GROUPS, _LEAST_BATCH = 1024, 16  # rows of a batch by default, of all groups together and of one
_CRITIC = (32, 32)  # widths of the critic's hidden layers


@dataclasses.dataclass(frozen=True, kw_only=True)
class DFCSettings(ReconstructionSettings, Settings):
    """Settings of DFC."""

    steps: int = setting(20_000, "Steps of the joint stage.")
    pretrain_steps: int = setting(10_000, "Steps of the autoencoder of all groups.")
    group_pretrain_steps: int = setting(10_000, "Steps of each group's own autoencoder.")
    group_steps: int = setting(20_000, "Steps of each group's own sharpening.")
    batch_size: int | None = setting(
        None,
        "Rows of *each group* per step, by default 512 for two groups and 1024 // T, but at least 16, for T; a group "
        "with fewer is drawn from with replacement. The losses are sums over rows, so another size is another method, "
        "unless `scale_to_batch`.",
    )
    lr: Number = setting(
        1e-2,
        "Rate at the start of the joint stage, which decays as (1 + 10 t)^(-3/4) over the share t of the steps; the "
        "paper prints 1e-4.",
    )
    pretrain_lr: Number = setting(1e-3, "Adam's rate in the training of the autoencoders.")
    group_lr: Number = setting(1e-4, "Adam's rate in the groups' sharpening.")
    alpha_f: Number = setting(1.0, "Weight of the critic.")
    alpha_s: Number = setting(1.0, "Weight of the structure; with 0 no models of the groups are trained.")
    scale_to_batch: bool = setting(False, "Correct the sums over rows for a batch other than 512.")
    critic_head: Literal["auto", "softmax"] = setting(
        "auto", "One logit for two groups, or one output for each group in any case."
    )
    critic_dropout: float = setting(0.5, "Dropout of the critic's hidden layers.", below=1.0)
    critic_speed: float = setting(10.0, "Rate of the critic as a multiple of `lr`.")
    ramp: float = setting(
        10.0, "How fast the critic gains weight: by 2 / (1 + exp(-ramp t)) - 1 at the share t of the steps."
    )
    critic_on: Literal["assignment", "latent"] = setting("assignment", "What the critic sees.")
    kl: Literal["code", "paper"] = setting("code", "KL(target, prediction), or the reverse as printed.")
    target: Literal["batch", "group_full"] = setting(
        "batch",
        "Targets of the sharpening from each group's rows of the batch, or, as printed, from all rows of each group, "
        "every `update_every` steps.",
    )
    update_every: int = setting(140, "Steps between two updates of the targets.")
    reduction: Literal["sum", "mean"] = setting("sum", "Reduction of the structural loss over pairs of rows.")
    group_reduction: Literal["mean", "sum"] = setting(
        "mean", "Reduction of clustering and structure over groups; the paper prints a sum."
    )
    weight_decay: float = setting(5e-4, "L2 added to the gradient in the joint stage.")
    recalibrate_bn: bool = setting(
        False,
        "After the training, take the batch averages of the encoder anew from the mixture of all rows; training leaves "
        "those of batches with equally many rows of every group.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupDECTask(Task):
    """DEC on each group alone, all groups' models in the same step; targets from the batch.

    Attributes
    ----------
    config : DFCConfig
        Its traced numbers are in ``hyper``.
    """

    config: "DFCConfig"

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centres of each group by k-means on its own latent rows."""
        params, rest, extra = carry
        z = _embed_groups(self.config.network, params["net"], rest, data)
        here = present(data).astype(z.dtype)
        keys = jax.random.split(key, data.n_groups)

        def fit(key: Array, z: Array, here: Array) -> Array:
            return starting_centers(key, z, self.config.n_clusters, n_init=self.config.n_init, weights=here)

        return {"net": params["net"], "centers": jax.vmap(fit)(keys, z, here)}, rest, extra

    def rate(self, hyper: Any, step: Array) -> Any:
        """Constant."""
        return hyper["group_lr"]

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Sum over groups of the mean over rows of KL(P‖Q)."""
        n_groups = len(params["centers"])

        def one(net: Any, centers: Array, rest: Any, x: Array, key: Array) -> tuple[Array, Any]:
            code, rest = self.config.network.encode(net, rest, x, train=True, key=key)
            log_q = student_log_assignment(code.z, centers)
            return jnp.mean(divergence(target_distribution(jnp.exp(log_q)), log_q)), rest

        x = batch.x.reshape(n_groups, -1, *batch.x.shape[1:])
        keys = jax.random.split(key, n_groups)
        found, rest = jax.vmap(one)(params["net"], params["centers"], rest, x, keys)
        return {"clustering": jnp.sum(found)}, rest


@dataclasses.dataclass(frozen=True, kw_only=True)
class DFCTask(Task):
    """The joint stage.

    Attributes
    ----------
    config : DFCConfig
        Its traced numbers are in ``hyper``.
    n_groups : int
    structural : bool
        Whether there are frozen models to preserve.
    critic : Network
        One output for two groups (``critic_head="auto"``), else one for each.
    """

    config: "DFCConfig"
    n_groups: int
    structural: bool
    critic: Network

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Joint encoder, centres by k-means over all groups, a new critic; frozen assignments of all rows."""
        params, rest, extra = carry
        frozen = {}
        if self.structural:
            # The frozen models are deterministic: what they say of every row is computed once.
            z = _embed_groups(self.config.network, params["net"], rest, data)
            q = jnp.exp(jax.vmap(student_log_assignment)(z, params["centers"]))
            rows = jnp.where(present(data), data.members, len(data.x))
            frozen = {"frozen": jnp.zeros((len(data.x), self.config.n_clusters), q.dtype).at[rows].set(q, mode="drop")}
            params, rest = extra["joint"]
        fit_key, critic_key = jax.random.split(key)
        z = embed(self.config.network, params["net"], rest, data.x)
        centers = starting_centers(fit_key, z, self.config.n_clusters, n_init=self.config.n_init)
        critic = self.critic.init(critic_key).params
        if self.config.target == "group_full":
            frozen["targets"] = jnp.zeros((len(z), self.config.n_clusters), z.dtype)
        return {"net": params["net"], "centers": centers, "critic": critic}, rest, frozen

    def optimizer(self) -> optax.GradientTransformation:
        """Adam with L2 in the gradient, on everything."""
        return direction("adam", self.config.weight_decay)

    def rate(self, hyper: Any, step: Array) -> Any:
        """Inverse decay; some times as fast for the critic."""
        rate = hyper["lr"] * inverse_decay(step.astype(hyper["lr"].dtype), self.steps)
        return {"net": rate, "centers": rate, "critic": self.config.critic_speed * rate}

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Targets from all rows of each group, if they are not the batch's."""
        never = jnp.zeros((), bool)
        if self.config.target == "batch":
            return state.params, state.extra, never

        def renew(old: Array) -> Array:
            z = embed(self.config.network, state.params["net"], state.rest, data.x)
            q = jnp.exp(student_log_assignment(z, state.params["centers"]))
            here = present(data)
            of_group = jnp.where(here[..., None], q[data.members], 0)
            rows = jnp.where(here, data.members, len(z))
            return old.at[rows].set(jax.vmap(target_distribution)(of_group), mode="drop")

        targets = lax.cond(step % self.config.update_every == 0, renew, lambda old: old, state.extra["targets"])
        return state.params, {**state.extra, "targets": targets}, never

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Clustering (sum over rows) and structure (sum over pairs), averaged over groups; adversary (mean)."""
        encode_key, critic_key = jax.random.split(key)
        code, rest = self.config.network.encode(params["net"], rest, batch.x, train=True, key=encode_key)
        log_q = student_log_assignment(code.z, params["centers"])
        q = jnp.exp(log_q)
        blocks = (self.n_groups, -1, self.config.n_clusters)
        scale = 1.0 if self.config.group_reduction == "sum" else 1 / self.n_groups

        if self.config.target == "batch":
            p = jax.vmap(target_distribution)(q.reshape(blocks)).reshape(q.shape)
        else:
            p = extra["targets"][batch.rows]
        clustering = scale * jnp.sum(divergence(p, log_q, reverse=self.config.kl == "paper"))

        # the ramp counts calls of the critic from one
        factor = adversarial_ramp((step + 1).astype(q.dtype), self.steps, self.config.ramp)
        seen = reverse_gradient(q if self.config.critic_on == "assignment" else code.z, factor)
        logits, _ = self.critic.call(params["critic"], {}, lambda module, rows: module(rows, critic_key), seen)
        terms = {
            "clustering": hyper["alpha_c"] * clustering,
            "fairness": hyper["alpha_f"] * critic_loss(logits, batch.groups),
        }
        if self.structural:
            mean = self.config.reduction == "mean"
            frozen = extra["frozen"][batch.rows].reshape(blocks)
            each = jax.vmap(lambda q, frozen: structural_loss(q, frozen, mean=mean))(q.reshape(blocks), frozen)
            terms["structure"] = hyper["alpha_s"] * scale * jnp.sum(each)
        return terms, rest


def _embed_groups(network: Network | OwnNetwork, nets: Any, rest: Any, data: Data) -> Array:
    """Latent rows (T, n, d) of each group by its own network, one group after the other."""
    return lax.map(lambda of: embed(network, of[0], of[1], data.x[of[2]]), (nets, rest, data.members))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DFCConfig(DFCSettings, Config):
    """Settings with a network; see `DFC`."""

    def resolved(self, data: Data) -> Self:
        """With a batch size for so many groups."""
        if self.batch_size is not None:
            return self
        return dataclasses.replace(self, batch_size=max(_LEAST_BATCH, _ALL_GROUPS // data.n_groups))

    def tasks(self, data: Data) -> list[Task]:
        """Autoencoder, groups' autoencoders, groups' DEC, joint stage."""
        structural = self._structural(data)
        rows, own = _rows(self.resolved(data)), static(self)
        pretrain: dict[str, Any] = {"network": self.network, "recon": self.recon}
        by_group: dict[str, Any] = {"batch_size": rows, "by_group": True}
        # for two groups the same number of rows as of each group, for more as many as two groups would have
        together = rows * data.n_groups // 2
        joint = AutoencoderTask(name="autoencoder", steps=self.pretrain_steps, batch_size=together, **pretrain)
        last = DFCTask(
            name="DFC",
            steps=self.steps,
            config=own,
            n_groups=data.n_groups,
            structural=structural,
            critic=self._critic(data),
            **by_group,
        )
        if not structural:
            return [joint, last]
        alone = AutoencoderTask(
            name="groups' autoencoders", steps=self.group_pretrain_steps, models="group", **by_group, **pretrain
        )
        group_dec = GroupDECTask(name="groups' DEC", steps=self.group_steps, config=own, **by_group)
        return [joint, alone, group_dec, last]

    def hyper(self) -> dict[str, Any]:
        """Rates and weights, of which ``"alpha_c"`` and ``"alpha_s"`` are corrected for the batch if that is asked."""
        factor = _REFERENCE_BATCH / _rows(self) if self.scale_to_batch else 1.0
        pairs = factor**2 if self.reduction == "sum" else 1.0
        return super().hyper() | {"alpha_c": factor, "alpha_s": self.alpha_s * pairs}

    def finish(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """Labels by the largest soft assignment, after the batch averages are taken anew if that is asked."""
        if self.recalibrate_bn:
            key, own = jax.random.split(key)
            rest = recalibrated(own, self.network, state.params["net"], state.rest, data.x, _rows(self))
            state = state._replace(rest=rest)
        return super().finish(state, data, key)

    def _structural(self, data: Data) -> bool:
        """Whether models of the groups are trained; and refuse data on which they cannot be."""
        if data.n_groups < 2:
            raise InputError("DFC compares groups, and there is only one; take DEC, or give sensitive_features")
        structural = not (isinstance(self.alpha_s, (int, float)) and self.alpha_s == 0)
        smallest = int(jnp.min(data.sizes))
        if structural and smallest < self.n_clusters:
            raise InputError(
                f"the smallest group has {smallest} rows, fewer than n_clusters={self.n_clusters}: DFC clusters each "
                "group alone first; ask for fewer clusters, or set alpha_s=0"
            )
        return structural

    def _critic(self, data: Data) -> Network:
        one_logit = data.n_groups == 2 and self.critic_head == "auto"
        return Network(
            kind="critic",
            shape=(self.n_clusters if self.critic_on == "assignment" else self._latent_width(data),),
            n_latent=1 if one_logit else data.n_groups,
            options=(("dropout", self.critic_dropout), ("hidden", _CRITIC)),
        )

    def _latent_width(self, data: Data) -> int:
        params, rest = jax.eval_shape(self.network.init, jax.random.key(0))
        z = jax.eval_shape(lambda p, r, x: self.network.encode(p, r, x)[0].z, params, rest, data.x[:1])
        return int(z.shape[1])


def _rows(config: DFCConfig) -> int:
    """Rows of each group per step."""
    if config.batch_size is None:
        raise InputError("batch_size is None, whose meaning depends on the data; take config.resolved(data)")
    return config.batch_size


@estimator
class DFC(DeepClusterer, DFCSettings):
    """Deep fair clustering for visual learning (Li, Zhao, Liu, CVPR 2020), for two groups and more.

    A model of each group alone is trained and frozen; then one encoder for all keeps the structure that they found,
    sharpens its clusters, and hides the groups from a critic. The defaults are those of the authors' code.

    Examples
    --------
    >>> from fairjax.deep import DFC
    >>> DFC(10, steps=4000, batch_size=128).alpha_s
    1.0

    As the reproducibility report ran it:

    >>> from fairjax.deep import dfc
    >>> DFC(**dfc.PRESETS["dfc_report"]).lr
    0.001
    """

    config_type = DFCConfig
    command = "dfc"
    title = "deep fair clustering with a critic and preserved structure (DFC)"
    networks = Family(images="vae", vectors="vae")
    short: ClassVar[dict[str, Any]] = {
        "pretrain_steps": 1500, "group_pretrain_steps": 1000, "group_steps": 500, "group_lr": 1e-3, "steps": 4000,
    }  # fmt: skip
    image_side = None

    @classmethod
    def suggested(cls, n_rows: int, n_groups: int) -> dict[str, Any]:
        """For few rows also smaller batches, of each group."""
        found = super().suggested(n_rows, n_groups)
        return found | {"batch_size": max(_LEAST_BATCH, 256 // n_groups)} if found else found
