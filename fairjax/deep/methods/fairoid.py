"""Fairoid clustering: DEC with centroids drawn to an equal distance from all groups' means.

B. Wang, I. Davidson, "Towards fair deep clustering with multi-state protected variables", 2019. There is no public
code; what the paper leaves open, and how it is settled here, is said with each option.
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from fairjax.deep.methods.config import Config
from fairjax.deep.methods.losses import (
    centroids_from_batch,
    divergence,
    fairoid_divergence,
    fairoid_log_assignment,
    fairoid_target,
    reconstruction_loss,
    student_log_assignment,
    target_distribution,
)
from fairjax.deep.methods.pretraining import autoencoder_tasks, starting_centers
from fairjax.deep.methods.running import Result, run
from fairjax.deep.nets.grouped import group_means
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, TrainState, direction

__all__ = ["FairoidConfig", "FairoidTask", "Result", "run"]

_RIDGE = 1e-4  # in float32, where a pseudo-inverse would take rounding for rank


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairoidTask(Task):
    """KL(P‖Q) over rows plus gamma times KL(Ψ‖Φ) over centroids.

    Attributes
    ----------
    network : Network or OwnNetwork
    n_clusters, n_init, n_groups : int
    epoch : int
        Steps of an epoch.
    fairoids : {"epoch", "fixed", "batch"}
        The groups' mean latents from all rows before every epoch, once, or from each batch with their gradient.
    target : {"epoch", "batch"}
        P and Ψ from all rows before every epoch, or from each batch.
    phi_centroids : {"batch", "param"}
        Centroids that are compared with the fairoids: least squares on the batch (eq. 12), or the trained ones.
    pseudo_inverse : bool
        Solve the least squares by the pseudo-inverse in place of the ridge ``hyper["ridge"]``.
    by_frequency : bool
        See `fairjax.deep.methods.losses.fairoid_target`.
    reduction : {"mean", "sum"}
    optimizer_name : {"sgd", "adam"}
    reconstruct : bool
        Go on with the decoder too; its error has the weight ``hyper["alpha_rec"]``.
    """

    network: Network | OwnNetwork
    n_clusters: int
    n_init: int
    n_groups: int
    epoch: int
    fairoids: str = "epoch"
    target: str = "epoch"
    phi_centroids: str = "batch"
    pseudo_inverse: bool = False
    by_frequency: bool = True
    reduction: str = "mean"
    optimizer_name: str = "sgd"
    reconstruct: bool = False

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centroids by k-means on the latent rows of the autoencoder."""
        params, rest, _ = carry
        z = embed(self.network, params["net"], rest, data.x)
        centroids = starting_centers(key, z, self.n_clusters, n_init=self.n_init)
        extra = self._targets(z, centroids, hyper, data, None)
        return {"net": params["net"], "centroids": centroids}, rest, extra

    def optimizer(self) -> optax.GradientTransformation:
        """Adam or SGD, as chosen."""
        return direction(self.optimizer_name)

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Fairoids and targets from all rows before every epoch."""

        def renew(old: Any) -> Any:
            z = embed(self.network, state.params["net"], state.rest, data.x)
            kept = old["fairoids"] if self.fairoids == "fixed" else None
            return self._targets(z, state.params["centroids"], state.hyper, data, kept)

        # the first epoch begins with what `begin` computed
        due = (step % self.epoch == 0) & (step > 0)
        return state.params, lax.cond(due, renew, lambda old: old, state.extra), jnp.zeros((), bool)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Sharpening of rows, and evenness of centroids between fairoids."""
        error: dict[str, Array] = {}
        if self.reconstruct:
            (code, found), rest = self.network.autoencode(
                params["net"], rest, batch.x, batch.groups, train=True, key=key
            )
            error = {"reconstruction": hyper["alpha_rec"] * jnp.mean(reconstruction_loss(batch.x, found))}
        else:
            code, rest = self.network.encode(params["net"], rest, batch.x, train=True, key=key)
        log_q = student_log_assignment(code.z, params["centroids"])
        p = target_distribution(jnp.exp(log_q)) if self.target == "batch" else extra["p"][batch.rows]
        fairoids = extra["fairoids"]
        if self.fairoids == "batch":
            means, counts = group_means(code.z, batch.groups, self.n_groups)
            fairoids = jnp.where(counts[:, None] > 0, means, fairoids)
        log_phi = fairoid_log_assignment(self._compared(params["centroids"], p, code.z, hyper), fairoids)
        psi = extra["psi"]
        if self.target == "batch":
            psi = fairoid_target(jnp.exp(log_phi), beta=hyper["beta_root"], by_frequency=self.by_frequency)
        total = jnp.mean if self.reduction == "mean" else jnp.sum
        terms = {
            "clustering": total(divergence(p, log_q)),
            "fairness": hyper["gamma"] * total(fairoid_divergence(psi, log_phi)),
            **error,
        }
        return terms, rest

    def _targets(self, z: Array, centroids: Array, hyper: Any, data: Data, fairoids: Array | None) -> Any:
        if fairoids is None:
            fairoids, _ = group_means(z, data.groups, self.n_groups)
        p = target_distribution(jnp.exp(student_log_assignment(z, centroids)))
        phi = jnp.exp(fairoid_log_assignment(self._compared(centroids, p, z, hyper), fairoids))
        psi = fairoid_target(phi, beta=hyper["beta_root"], by_frequency=self.by_frequency)
        return {"p": p, "psi": psi, "fairoids": fairoids}

    def _compared(self, centroids: Array, p: Array, z: Array, hyper: Any) -> Array:
        """Centroids (K, d) whose distances to the fairoids are evened out."""
        if self.phi_centroids == "param":
            return centroids
        return centroids_from_batch(p, z, None if self.pseudo_inverse else hyper["ridge"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairoidConfig(Config):
    """Settings; see `fairjax.deep.FairoidDEC`. The numbers may be (S,) arrays, one for each seed.

    Attributes
    ----------
    pretrain : {"end2end", "layerwise"}
    pretrain_steps, layer_steps, pretrain_lr, layer_lr, corruption, pretrain_weight_decay
        See `fairjax.deep.methods.pretraining.autoencoder_tasks`.
    epochs, lr, optimizer
        Of the joint stage.
    gamma : float
        Weight of the fairness.
    beta_root : float
        β of Ψ's root.
    ridge : float or None
        λ of the least-squares centroids; None for 1e-4 in float32 and the pseudo-inverse in float64.
    alpha_rec : float
        Weight of the reconstruction in the joint stage; with 0 the decoder is left alone there.
    fairoids, target, phi_centroids, by_frequency, reduction
        See `FairoidTask`.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "pretrain": ("end2end", "layerwise"),
        "recon": ("mse", "bce"),
        "optimizer": ("sgd", "adam"),
        "fairoids": ("epoch", "fixed", "batch"),
        "target": ("epoch", "batch"),
        "phi_centroids": ("batch", "param"),
        "reduction": ("mean", "sum"),
    }

    pretrain: str = "end2end"
    pretrain_steps: int = 10_000
    layer_steps: int = 5_000
    pretrain_lr: Any = 1e-3
    layer_lr: Any = 0.1
    beta: Any = 1.0
    recon: str = "mse"
    sum_pixels: bool = False
    corruption: float = 0.0
    pretrain_weight_decay: float = 0.0
    epochs: int = 30
    lr: Any = 0.01
    optimizer: str = "sgd"
    gamma: Any = 10.0
    beta_root: Any = 1000.0
    ridge: Any = None
    alpha_rec: Any = 0.0
    fairoids: str = "epoch"
    target: str = "epoch"
    phi_centroids: str = "batch"
    by_frequency: bool = True
    reduction: str = "mean"

    def tasks(self, data: Data) -> list[Task]:
        """Layers if asked for, the autoencoder, the joint stage."""
        epoch = steps_per_epoch(len(data.x), self.batch)
        pretraining = autoencoder_tasks(
            self.network,
            data,
            pretrain=self.pretrain,
            steps=self.pretrain_steps,
            layer_steps=self.layer_steps,
            batch=self.batch,
            recon=self.recon,
            sum_pixels=self.sum_pixels,
            corruption=self.corruption,
            weight_decay=self.pretrain_weight_decay,
        )
        joint = FairoidTask(
            name="fairoids",
            steps=self.epochs * epoch,
            batch=self.batch,
            network=self.network,
            n_clusters=self.n_clusters,
            n_init=self.n_init,
            n_groups=data.n_groups,
            epoch=epoch,
            fairoids=self.fairoids,
            target=self.target,
            phi_centroids=self.phi_centroids,
            pseudo_inverse=self.ridge is None and data.x.dtype == jnp.float64,
            by_frequency=self.by_frequency,
            reduction=self.reduction,
            optimizer_name=self.optimizer,
            reconstruct=bool(np.any(np.asarray(self.alpha_rec) != 0)),
        )
        return [*pretraining, joint]

    def hyper(self) -> dict[str, Any]:
        """Rates, weights, ridge."""
        names = ("pretrain_lr", "layer_lr", "beta", "lr", "gamma", "beta_root", "alpha_rec")
        ridge = _RIDGE if self.ridge is None else self.ridge
        return {name: getattr(self, name) for name in names} | {"ridge": ridge}
