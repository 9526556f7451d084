"""Fairoid clustering: DEC with centres (the paper's centroids) drawn to an equal distance from all groups' means.

B. Wang, I. Davidson, "Towards fair deep clustering with multi-state protected variables", 2019. There is no public
code; what the paper leaves open, and how it is settled here, is said with each setting.
"""

import dataclasses
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import DeepClusterer, estimator
from fairjax.deep.methods.losses import (
    centers_from_batch,
    divergence,
    fairoid_divergence,
    fairoid_log_assignment,
    fairoid_target,
    reconstruction_loss,
    student_log_assignment,
    target_distribution,
)
from fairjax.deep.methods.pretraining import PretrainSettings, autoencoder_tasks, starting_centers
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, Settings, setting, static
from fairjax.deep.nets.grouped import group_means
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, TrainState, direction

__all__ = ["FairoidConfig", "FairoidDEC", "FairoidSettings", "FairoidTask", "Result", "run"]

_RIDGE = 1e-4  # in float32, where a pseudo-inverse would take rounding for rank


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairoidSettings(PretrainSettings, Settings):
    """Settings of fairoid clustering."""

    epochs: int = setting(30, "Passes through the data after the autoencoder.")
    lr: Number = setting(0.01, "Rate of `optimizer` after the autoencoder.")
    optimizer: Literal["sgd", "adam"] = setting("sgd", "Optimiser after the autoencoder; SGD has momentum 0.9.")
    gamma: Number = setting(10.0, "Weight of the fairness, γ in the paper, which searches 0.01 to 1000.")
    beta: Number = setting(1000.0, "Root that evens out the fairness targets, β in the paper.", above=0.0)
    freq: Literal["clusters", "none"] = setting(
        "clusters",
        "Divide the fairness targets by each fairoid's sum over the clusters, as DEC does, or not at all "
        "(`fairjax.deep.methods.losses.fairoid_target`).",
    )
    ridge: Number | None = setting(
        None,
        "Added to the system of the least-squares centres, which a cluster that the batch lacks would make singular; "
        "None is 1e-4 in float32, and in float64 the pseudo-inverse.",
        above=0.0,
    )
    alpha_rec: Number = setting(
        0.0,
        "Weight of the reconstruction after the autoencoder's own stage; the paper speaks of the decoder there without "
        "a term for it.",
    )
    fairoids: Literal["epoch", "fixed", "batch"] = setting(
        "epoch",
        "Groups' mean latents from all rows before every epoch, from all rows once, or from each batch with their "
        "gradient.",
    )
    target: Literal["epoch", "batch"] = setting(
        "epoch", "Targets of rows and centres from all rows before every epoch, or from each batch."
    )
    phi_centers: Literal["batch", "param"] = setting(
        "batch",
        "Centres compared with the fairoids: least squares on the batch (eq. 12), or the trained ones; no effect was "
        "measured.",
        formerly="phi_centroids",
    )
    reduction: Literal["mean", "sum"] = setting("mean", "Reduction of both terms over rows and centres.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairoidTask(Task):
    """KL(P‖Q) over rows plus gamma times KL(Ψ‖Φ) over centres.

    Attributes
    ----------
    config : FairoidConfig
        Its traced numbers are in ``hyper``.
    n_groups : int
    epoch : int
        Steps of an epoch.
    pseudo_inverse : bool
        Solve the least squares by the pseudo-inverse in place of the ridge ``hyper["ridge"]``.
    reconstruct : bool
        Go on with the decoder too; its error has the weight ``hyper["alpha_rec"]``.
    """

    config: "FairoidConfig"
    n_groups: int
    epoch: int
    pseudo_inverse: bool = False
    reconstruct: bool = False

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centres by k-means on the latent rows of the autoencoder."""
        params, rest, _ = carry
        z = embed(self.config.network, params["net"], rest, data.x)
        centers = starting_centers(key, z, self.config.n_clusters, n_init=self.config.n_init)
        extra = self._targets(z, centers, hyper, data, None)
        return {"net": params["net"], "centers": centers}, rest, extra

    def optimizer(self) -> optax.GradientTransformation:
        """Adam or SGD, as chosen."""
        return direction(self.config.optimizer)

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Fairoids and targets from all rows before every epoch."""

        def renew(old: Any) -> Any:
            z = embed(self.config.network, state.params["net"], state.rest, data.x)
            kept = old["fairoids"] if self.config.fairoids == "fixed" else None
            return self._targets(z, state.params["centers"], state.hyper, data, kept)

        # the first epoch begins with what `begin` computed
        due = (step % self.epoch == 0) & (step > 0)
        return state.params, lax.cond(due, renew, lambda old: old, state.extra), jnp.zeros((), bool)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Sharpening of rows, and evenness of centres between fairoids."""
        error: dict[str, Array] = {}
        if self.reconstruct:
            (code, found), rest = self.config.network.autoencode(
                params["net"], rest, batch.x, batch.groups, train=True, key=key
            )
            error = {"reconstruction": hyper["alpha_rec"] * jnp.mean(reconstruction_loss(batch.x, found))}
        else:
            code, rest = self.config.network.encode(params["net"], rest, batch.x, train=True, key=key)
        log_q = student_log_assignment(code.z, params["centers"])
        p = target_distribution(jnp.exp(log_q)) if self.config.target == "batch" else extra["p"][batch.rows]
        fairoids = extra["fairoids"]
        if self.config.fairoids == "batch":
            means, counts = group_means(code.z, batch.groups, self.n_groups)
            fairoids = jnp.where(counts[:, None] > 0, means, fairoids)
        log_phi = fairoid_log_assignment(self._compared(params["centers"], p, code.z, hyper), fairoids)
        psi = extra["psi"]
        if self.config.target == "batch":
            psi = fairoid_target(jnp.exp(log_phi), beta=hyper["beta_root"], by_frequency=self.config.freq == "clusters")
        total = jnp.mean if self.config.reduction == "mean" else jnp.sum
        terms = {
            "clustering": total(divergence(p, log_q)),
            "fairness": hyper["gamma"] * total(fairoid_divergence(psi, log_phi)),
            **error,
        }
        return terms, rest

    def _targets(self, z: Array, centers: Array, hyper: Any, data: Data, fairoids: Array | None) -> Any:
        if fairoids is None:
            fairoids, _ = group_means(z, data.groups, self.n_groups)
        p = target_distribution(jnp.exp(student_log_assignment(z, centers)))
        phi = jnp.exp(fairoid_log_assignment(self._compared(centers, p, z, hyper), fairoids))
        psi = fairoid_target(phi, beta=hyper["beta_root"], by_frequency=self.config.freq == "clusters")
        return {"p": p, "psi": psi, "fairoids": fairoids}

    def _compared(self, centers: Array, p: Array, z: Array, hyper: Any) -> Array:
        """Centres (K, d) whose distances to the fairoids are evened out."""
        if self.config.phi_centers == "param":
            return centers
        return centers_from_batch(p, z, None if self.pseudo_inverse else hyper["ridge"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairoidConfig(FairoidSettings, Config):
    """Settings with a network; see `FairoidDEC`."""

    def tasks(self, data: Data) -> list[Task]:
        """Layers if asked for, the autoencoder, the joint stage."""
        epoch = steps_per_epoch(len(data.x), self.batch_size)
        joint = FairoidTask(
            name="fairoids",
            steps=self.epochs * epoch,
            batch_size=self.batch_size,
            config=static(self),
            n_groups=data.n_groups,
            epoch=epoch,
            pseudo_inverse=self.ridge is None and data.x.dtype == jnp.float64,
            reconstruct=bool(np.any(np.asarray(self.alpha_rec) != 0)),
        )
        return [*autoencoder_tasks(self.network, data, self, steps=self.pretrain_steps), joint]

    def hyper(self) -> dict[str, Any]:
        """Rates, weights, ridge; ``"beta"`` is the weight of a variational autoencoder's divergence, as elsewhere."""
        ridge = _RIDGE if self.ridge is None else self.ridge
        return super().hyper() | {"beta": 1.0, "beta_root": self.beta, "ridge": ridge}


@estimator
class FairoidDEC(DeepClusterer, FairoidSettings):
    """DEC with fairoids (Wang and Davidson, 2019): centres at an equal distance from all groups' mean latents.

    A weak form of fairness: it helps where the groups differ mildly, and fails where they lie far apart.

    Examples
    --------
    >>> from fairjax.deep import FairoidDEC
    >>> FairoidDEC(6, gamma=1.0).gamma
    1.0
    """

    config_type = FairoidConfig
    command = "fairoid"
    title = "deep clustering with fairoids"
    short: ClassVar[dict[str, Any]] = {
        "batch_size": 128, "pretrain_steps": 1500, "epochs": 60, "optimizer": "adam", "lr": 1e-3,
    }  # fmt: skip
