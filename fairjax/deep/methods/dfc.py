"""DFC: deep fair clustering for visual learning (P. Li, H. Zhao, H. Liu, CVPR 2020).

Three forces on one encoder and its centroids: DEC's sharpening, a critic that must not tell the groups from the soft
assignments, and the structure that a model of each group alone, trained first and then frozen, found in its group.
Where the paper and its public code differ, the defaults are the code's. More than two groups, which the paper's
formulas allow and its code does not, get a critic with one output for each.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from fairjax.deep.methods.config import Config
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
from fairjax.deep.methods.pretraining import AutoencoderTask, starting_centers
from fairjax.deep.methods.running import Result, run
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data, present
from fairjax.deep.training.tasks import Task, TrainState, direction
from fairjax.errors import InputError

__all__ = ["PRESETS", "DFCConfig", "DFCTask", "GroupDECTask", "Result", "run"]

# settings of `fairjax.deep.DFC` under which others have run it
PRESETS: dict[str, dict[str, Any]] = {"dfc_report": {"batch_size": 64, "lr": 1e-3}}  # the reproducibility report, 2021

_REFERENCE_BATCH = 512  # rows per group to which the weights belong


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupDECTask(Task):
    """DEC on each group alone, all groups' models in the same step; targets from the batch.

    Attributes
    ----------
    network : Network or OwnNetwork
    n_clusters, n_init : int
    """

    network: Network | OwnNetwork
    n_clusters: int
    n_init: int

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centroids of each group by k-means on its own latent rows."""
        params, rest, extra = carry
        z = _embed_groups(self.network, params["net"], rest, data)
        here = present(data).astype(z.dtype)
        keys = jax.random.split(key, data.n_groups)

        def fit(key: Array, z: Array, here: Array) -> Array:
            return starting_centers(key, z, self.n_clusters, n_init=self.n_init, weights=here)

        return {"net": params["net"], "centroids": jax.vmap(fit)(keys, z, here)}, rest, extra

    def rate(self, hyper: Any, step: Array) -> Any:
        """Constant."""
        return hyper["group_lr"]

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Sum over groups of the mean over rows of KL(P‖Q)."""
        n_groups = len(params["centroids"])

        def one(net: Any, centroids: Array, rest: Any, x: Array, key: Array) -> tuple[Array, Any]:
            code, rest = self.network.encode(net, rest, x, train=True, key=key)
            log_q = student_log_assignment(code.z, centroids)
            return jnp.mean(divergence(target_distribution(jnp.exp(log_q)), log_q)), rest

        x = batch.x.reshape(n_groups, -1, *batch.x.shape[1:])
        keys = jax.random.split(key, n_groups)
        found, rest = jax.vmap(one)(params["net"], params["centroids"], rest, x, keys)
        return {"clustering": jnp.sum(found)}, rest


@dataclasses.dataclass(frozen=True, kw_only=True)
class DFCTask(Task):
    """The joint stage.

    Attributes
    ----------
    network : Network or OwnNetwork
    n_clusters, n_init, n_groups : int
    structural : bool
        Whether there are frozen models to preserve.
    critic : Network
        One output for two groups (``critic_head="auto"``), else one for each.
    critic_on : {"assignment", "latent"}
    kl : {"code", "paper"}
        Targets first, or last as the paper prints it.
    mean : bool
        Average the structural loss over its entries in place of the sum.
    group_sum : bool
        Sum over groups, as printed, in place of the mean.
    target : {"batch", "group_full"}
        Targets from each group's rows of the batch, or from all its rows every `update_every` steps.
    update_every : int
    weight_decay, critic_speed, ramp : float
        See `DFCConfig`.
    """

    network: Network | OwnNetwork
    n_clusters: int
    n_init: int
    n_groups: int
    structural: bool
    critic: Network
    critic_on: str = "assignment"
    kl: str = "code"
    mean: bool = False
    group_sum: bool = False
    target: str = "batch"
    update_every: int = 140
    weight_decay: float = 5e-4
    critic_speed: float = 10.0
    ramp: float = 10.0

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Joint encoder, centroids by k-means over all groups, a new critic; frozen assignments of all rows."""
        params, rest, extra = carry
        frozen = {}
        if self.structural:
            # The frozen models are deterministic: what they say of every row is computed once.
            z = _embed_groups(self.network, params["net"], rest, data)
            q = jnp.exp(jax.vmap(student_log_assignment)(z, params["centroids"]))
            rows = jnp.where(present(data), data.members, len(data.x))
            frozen = {"frozen": jnp.zeros((len(data.x), self.n_clusters), q.dtype).at[rows].set(q, mode="drop")}
            params, rest = extra["joint"]
        fit_key, critic_key = jax.random.split(key)
        z = embed(self.network, params["net"], rest, data.x)
        centroids = starting_centers(fit_key, z, self.n_clusters, n_init=self.n_init)
        critic = self.critic.init(critic_key).params
        if self.target == "group_full":
            frozen["targets"] = jnp.zeros((len(z), self.n_clusters), z.dtype)
        return {"net": params["net"], "centroids": centroids, "critic": critic}, rest, frozen

    def optimizer(self) -> optax.GradientTransformation:
        """Adam with L2 in the gradient, on everything."""
        return direction("adam", self.weight_decay)

    def rate(self, hyper: Any, step: Array) -> Any:
        """Inverse decay; some times as fast for the critic."""
        rate = hyper["lr"] * inverse_decay(step.astype(hyper["lr"].dtype), self.steps)
        return {"net": rate, "centroids": rate, "critic": self.critic_speed * rate}

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Targets from all rows of each group, if they are not the batch's."""
        never = jnp.zeros((), bool)
        if self.target == "batch":
            return state.params, state.extra, never

        def renew(old: Array) -> Array:
            z = embed(self.network, state.params["net"], state.rest, data.x)
            q = jnp.exp(student_log_assignment(z, state.params["centroids"]))
            here = present(data)
            of_group = jnp.where(here[..., None], q[data.members], 0)
            rows = jnp.where(here, data.members, len(z))
            return old.at[rows].set(jax.vmap(target_distribution)(of_group), mode="drop")

        targets = lax.cond(step % self.update_every == 0, renew, lambda old: old, state.extra["targets"])
        return state.params, {**state.extra, "targets": targets}, never

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Clustering (sum over rows) and structure (sum over pairs), averaged over groups; adversary (mean)."""
        encode_key, critic_key = jax.random.split(key)
        code, rest = self.network.encode(params["net"], rest, batch.x, train=True, key=encode_key)
        log_q = student_log_assignment(code.z, params["centroids"])
        q = jnp.exp(log_q)
        blocks = (self.n_groups, -1, self.n_clusters)
        scale = 1.0 if self.group_sum else 1 / self.n_groups

        if self.target == "batch":
            p = jax.vmap(target_distribution)(q.reshape(blocks)).reshape(q.shape)
        else:
            p = extra["targets"][batch.rows]
        clustering = scale * jnp.sum(divergence(p, log_q, reverse=self.kl == "paper"))

        # the ramp counts calls of the critic from one
        factor = adversarial_ramp((step + 1).astype(q.dtype), self.steps, self.ramp)
        seen = reverse_gradient(q if self.critic_on == "assignment" else code.z, factor)
        logits, _ = self.critic.call(params["critic"], {}, lambda module, rows: module(rows, critic_key), seen)
        terms = {
            "clustering": hyper["alpha_c"] * clustering,
            "fairness": hyper["alpha_f"] * critic_loss(logits, batch.groups),
        }
        if self.structural:
            frozen = extra["frozen"][batch.rows].reshape(blocks)
            each = jax.vmap(lambda q, frozen: structural_loss(q, frozen, mean=self.mean))(q.reshape(blocks), frozen)
            terms["structure"] = hyper["alpha_s"] * scale * jnp.sum(each)
        return terms, rest


def _embed_groups(network: Network | OwnNetwork, nets: Any, rest: Any, data: Data) -> Array:
    """Latent rows (T, n, d) of each group by its own network, one group after the other."""
    return lax.map(lambda of: embed(network, of[0], of[1], data.x[of[2]]), (nets, rest, data.members))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DFCConfig(Config):
    """Settings; see `fairjax.deep.DFC`. The numbers may be (S,) arrays, one for each seed.

    Attributes
    ----------
    pretrain_steps, pretrain_lr, pretrain_weight_decay, beta, recon, sum_pixels
        Autoencoder of all groups together, and of each alone (`group_pretrain_steps`).
    group_pretrain_steps, group_steps, group_lr
        The groups' own models: autoencoder, then DEC.
    steps, lr
        Joint stage; `lr` is the start of the inverse decay.
    alpha_f, alpha_s : float
        Weights of the adversary and the structure; with ``alpha_s=0`` there are no groups' own models.
    scale_to_batch : bool
        Correct both losses that sum over rows for a batch other than 512.
    critic_head : {"auto", "softmax"}
    critic_hidden : tuple of int
    critic_dropout : float
        Widths and dropout of the critic's hidden layers.
    critic_speed : float
        Rate of the critic as a multiple of the encoder's.
    ramp : float
        How fast the critic gains weight, see `fairjax.deep.methods.losses.adversarial_ramp`.
    critic_on, kl, reduction, group_reduction, target, update_every, weight_decay
        See `DFCTask`; reductions are "sum" or "mean".
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "recon": ("mse", "bce"),
        "critic_head": ("auto", "softmax"),
        "critic_on": ("assignment", "latent"),
        "kl": ("code", "paper"),
        "target": ("batch", "group_full"),
        "reduction": ("sum", "mean"),
        "group_reduction": ("mean", "sum"),
    }

    batch: int = 512
    pretrain_steps: int = 10_000
    pretrain_lr: Any = 1e-3
    pretrain_weight_decay: float = 5e-4
    beta: Any = 1.0
    recon: str = "mse"
    sum_pixels: bool = True
    group_pretrain_steps: int = 10_000
    group_steps: int = 20_000
    group_lr: Any = 1e-4
    steps: int = 20_000
    lr: Any = 1e-2
    alpha_f: Any = 1.0
    alpha_s: Any = 1.0
    scale_to_batch: bool = False
    critic_head: str = "auto"
    critic_hidden: tuple[int, ...] = (32, 32)
    critic_dropout: float = 0.5
    critic_speed: float = 10.0
    ramp: float = 10.0
    critic_on: str = "assignment"
    kl: str = "code"
    reduction: str = "sum"
    group_reduction: str = "mean"
    target: str = "batch"
    update_every: int = 140
    weight_decay: float = 5e-4

    def tasks(self, data: Data) -> list[Task]:
        """Autoencoder, groups' autoencoders, groups' DEC, joint stage."""
        n_groups = data.n_groups
        if n_groups < 2:
            raise InputError("DFC compares groups, and there is only one; take DEC, or give sensitive_features")
        smallest = int(jnp.min(data.sizes))
        structural = not (isinstance(self.alpha_s, (int, float)) and self.alpha_s == 0)
        if structural and smallest < self.n_clusters:
            raise InputError(
                f"the smallest group has {smallest} rows, fewer than n_clusters={self.n_clusters}: DFC clusters each "
                "group alone first; ask for fewer clusters, or set alpha_s=0"
            )
        pretrain: dict[str, Any] = {
            "network": self.network,
            "recon": self.recon,
            "sum_pixels": self.sum_pixels,
            "weight_decay": self.pretrain_weight_decay,
        }
        # for two groups the same number of rows as of each group, for more as many as two groups would have
        together = self.batch * n_groups // 2
        joint = AutoencoderTask(name="autoencoder", steps=self.pretrain_steps, batch=together, **pretrain)
        alone = AutoencoderTask(
            name="groups' autoencoders",
            steps=self.group_pretrain_steps,
            batch=self.batch,
            by_group=True,
            models="group",
            **pretrain,
        )
        group_dec = GroupDECTask(
            name="groups' DEC",
            steps=self.group_steps,
            batch=self.batch,
            by_group=True,
            network=self.network,
            n_clusters=self.n_clusters,
            n_init=self.n_init,
        )
        one_logit = n_groups == 2 and self.critic_head == "auto"
        width = self.n_clusters if self.critic_on == "assignment" else self._latent_width(data)
        last = DFCTask(
            name="DFC",
            steps=self.steps,
            batch=self.batch,
            by_group=True,
            network=self.network,
            n_clusters=self.n_clusters,
            n_init=self.n_init,
            n_groups=n_groups,
            structural=structural,
            critic=Network(
                kind="critic",
                shape=(width,),
                n_latent=1 if one_logit else n_groups,
                options=(("dropout", self.critic_dropout), ("hidden", tuple(self.critic_hidden))),
            ),
            critic_on=self.critic_on,
            kl=self.kl,
            mean=self.reduction == "mean",
            group_sum=self.group_reduction == "sum",
            target=self.target,
            update_every=self.update_every,
            weight_decay=self.weight_decay,
            critic_speed=self.critic_speed,
            ramp=self.ramp,
        )
        return [joint, alone, group_dec, last] if structural else [joint, last]

    def hyper(self) -> dict[str, Any]:
        """Rates and weights."""
        factor = _REFERENCE_BATCH / self.batch if self.scale_to_batch else 1.0
        pairs = factor**2 if self.reduction == "sum" else 1.0
        return {
            "pretrain_lr": self.pretrain_lr,
            "beta": self.beta,
            "group_lr": self.group_lr,
            "lr": self.lr,
            "alpha_c": factor,
            "alpha_f": self.alpha_f,
            "alpha_s": self.alpha_s * pairs,
        }

    def _latent_width(self, data: Data) -> int:
        params, rest = jax.eval_shape(self.network.init, jax.random.key(0))
        z = jax.eval_shape(lambda p, r, x: self.network.encode(p, r, x)[0].z, params, rest, data.x[:1])
        return int(z.shape[1])
