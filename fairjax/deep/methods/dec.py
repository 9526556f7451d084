"""DEC: deep embedded clustering (J. Xie, R. Girshick, A. Farhadi, ICML 2016); it knows nothing of groups."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from fairjax.deep.methods.config import Config
from fairjax.deep.methods.losses import divergence, student_log_assignment, target_distribution
from fairjax.deep.methods.pretraining import autoencoder_tasks, starting_centers
from fairjax.deep.methods.running import Result, run
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data
from fairjax.deep.training.tasks import Task, TrainState, direction

__all__ = ["DECConfig", "DECTask", "Result", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DECTask(Task):
    """Sharpen the soft assignments: mean over rows of KL(P‖Q), over encoder and centroids.

    Attributes
    ----------
    network : Network or OwnNetwork
    n_clusters, n_init : int
        Centroids, and the restarts of k-means that they come from.
    target : {"full", "batch"}
        Targets from all rows every `update_every` steps, or from the batch.
    update_every : int
    optimizer_name : {"sgd", "adam"}
    """

    network: Network | OwnNetwork
    n_clusters: int
    n_init: int
    target: str
    update_every: int
    optimizer_name: str

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centroids by k-means on the latent rows of the autoencoder."""
        params, rest, _ = carry
        z = embed(self.network, params["net"], rest, data.x)
        centroids = starting_centers(key, z, self.n_clusters, n_init=self.n_init)
        extra = {}
        if self.target == "full":
            extra = {
                "targets": jnp.zeros((len(z), self.n_clusters), z.dtype),
                "labels": jnp.full(len(z), -1, jnp.int32),
            }
        return {"net": params["net"], "centroids": centroids}, rest, extra

    def optimizer(self) -> optax.GradientTransformation:
        """Adam or SGD, as chosen."""
        return direction(self.optimizer_name)

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Targets from all rows; the stage ends when few labels changed since the last time."""
        if self.target == "batch":
            return state.params, state.extra, jnp.zeros((), bool)

        def renew(old: Any) -> tuple[Any, Array]:
            z = embed(self.network, state.params["net"], state.rest, data.x)
            q = jnp.exp(student_log_assignment(z, state.params["centroids"]))
            labels = jnp.argmax(q, axis=1).astype(jnp.int32)
            changed = jnp.mean(labels != old["labels"], dtype=q.dtype)
            return {"targets": target_distribution(q), "labels": labels}, changed < state.hyper["tol"]

        extra, ended = lax.cond(
            step % self.update_every == 0, renew, lambda old: (old, jnp.zeros((), bool)), state.extra
        )
        return state.params, extra, ended

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Mean over rows of KL(P‖Q)."""
        code, rest = self.network.encode(params["net"], rest, batch.x, train=True, key=key)
        log_q = student_log_assignment(code.z, params["centroids"])
        p = target_distribution(jnp.exp(log_q)) if self.target == "batch" else extra["targets"][batch.rows]
        return {"clustering": jnp.mean(divergence(jax.lax.stop_gradient(p), log_q))}, rest


@dataclasses.dataclass(frozen=True, kw_only=True)
class DECConfig(Config):
    """Settings; see `fairjax.deep.DEC`.

    Attributes
    ----------
    pretrain, pretrain_steps, layer_steps, pretrain_lr, layer_lr, beta, recon, sum_pixels, corruption,
    pretrain_weight_decay
        Autoencoder training, as `fairjax.deep.methods.aekmeans.AEKMeansConfig`.
    steps, lr, optimizer, target, update_every, tol
        Sharpening: see `DECTask`; it ends early when less than the share `tol` of the labels changed between two
        updates of the targets.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "pretrain": ("end2end", "layerwise"),
        "recon": ("mse", "bce"),
        "optimizer": ("sgd", "adam"),
        "target": ("full", "batch"),
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
    steps: int = 10_000
    lr: Any = 0.01
    optimizer: str = "sgd"
    target: str = "full"
    update_every: int = 140
    tol: Any = 1e-3

    def tasks(self, data: Data) -> list[Task]:
        """The autoencoder, then the sharpening."""
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
        return [
            *pretraining,
            DECTask(
                name="DEC",
                steps=self.steps,
                batch=self.batch,
                network=self.network,
                n_clusters=self.n_clusters,
                n_init=self.n_init,
                target=self.target,
                update_every=self.update_every,
                optimizer_name=self.optimizer,
            ),
        ]

    def hyper(self) -> dict[str, Any]:
        """Rates, weight of the divergence, tolerance."""
        return {name: getattr(self, name) for name in ("pretrain_lr", "layer_lr", "beta", "lr", "tol")}
