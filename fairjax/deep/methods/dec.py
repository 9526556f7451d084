"""DEC: deep embedded clustering (J. Xie, R. Girshick, A. Farhadi, ICML 2016); it knows nothing of groups."""

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import DeepClusterer, estimator
from fairjax.deep.methods.losses import divergence, student_log_assignment, target_distribution
from fairjax.deep.methods.pretraining import (
    PretrainSettings,
    ReconstructionSettings,
    autoencoder_tasks,
    starting_centers,
)
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, Settings, setting, static
from fairjax.deep.methods.smoothing import Smooth, SmoothSettings, distances, smoothness
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data
from fairjax.deep.training.tasks import Task, TrainState, direction

__all__ = ["DEC", "DECConfig", "DECSettings", "DECTask", "Result", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DECSettings(ReconstructionSettings, PretrainSettings, SmoothSettings, Settings):
    """Settings of DEC."""

    steps: int = setting(10_000, "Most steps of the sharpening.")
    lr: Number = setting(0.01, "Rate of `optimizer` in the sharpening.")
    optimizer: Literal["sgd", "adam"] = setting("sgd", "Optimiser of the sharpening; SGD has momentum 0.9.")
    target: Literal["full", "batch"] = setting(
        "full", "Targets from all rows every `update_every` steps, or from each batch."
    )
    update_every: int = setting(140, "Steps between two updates of the targets.")
    tol: Number = setting(
        1e-3, "The sharpening ends when less than this share of the labels changed between two updates."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DECTask(Task):
    """Sharpen the soft assignments: mean over rows of KL(P‖Q), over encoder and centres.

    Attributes
    ----------
    config : DECConfig
        Its traced numbers are in ``hyper``.
    smooth : bool
        Whether smoothness counts.
    """

    config: "DECConfig"
    smooth: bool = False

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centres by k-means on the latent rows of the autoencoder."""
        params, rest, _ = carry
        z = embed(self.config.network, params["net"], rest, data.x)
        centers = starting_centers(key, z, self.config.n_clusters, n_init=self.config.n_init)
        extra = distances(data, self.smooth)
        if self.config.target == "full":
            extra |= {
                "targets": jnp.zeros((len(z), self.config.n_clusters), z.dtype),
                "labels": jnp.full(len(z), -1, jnp.int32),
            }
        return {"net": params["net"], "centers": centers}, rest, extra

    def optimizer(self) -> optax.GradientTransformation:
        """Adam or SGD, as chosen."""
        return direction(self.config.optimizer)

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Targets from all rows; the stage ends when few labels changed since the last time."""
        if self.config.target == "batch":
            return state.params, state.extra, jnp.zeros((), bool)

        def renew(old: Any) -> tuple[Any, Array]:
            z = embed(self.config.network, state.params["net"], state.rest, data.x)
            q = jnp.exp(student_log_assignment(z, state.params["centers"]))
            labels = jnp.argmax(q, axis=1).astype(jnp.int32)
            changed = jnp.mean(labels != old["labels"], dtype=q.dtype)
            return old | {"targets": target_distribution(q), "labels": labels}, changed < state.hyper["tol"]

        extra, ended = lax.cond(
            step % self.config.update_every == 0, renew, lambda old: (old, jnp.zeros((), bool)), state.extra
        )
        return state.params, extra, ended

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Mean over rows of KL(P‖Q), and smoothness."""

        def assign(params: Any, z: Array) -> Array:
            return student_log_assignment(z, params["centers"])

        network = self.config.network
        code, renewed = network.encode(params["net"], rest, batch.x, train=True, key=key)
        log_q = assign(params, code.z)
        p = target_distribution(jnp.exp(log_q)) if self.config.target == "batch" else extra["targets"][batch.rows]
        terms = {"clustering": jnp.mean(divergence(jax.lax.stop_gradient(p), log_q))}
        if self.smooth:
            move_key = jax.random.fold_in(key, 1)
            terms["smoothness"], _ = smoothness(
                move_key, network, rest, params, assign, batch, log_q, extra["distance"], hyper, key
            )
        return terms, renewed


@dataclasses.dataclass(frozen=True, kw_only=True)
class DECConfig(DECSettings, Smooth, Config):
    """Settings with a network; see `DEC`."""

    def tasks(self, data: Data) -> list[Task]:
        """The autoencoder, then the sharpening."""
        pretraining = autoencoder_tasks(self.network, data, self, steps=self.pretrain_steps, recon=self.recon)
        sharpening = DECTask(
            name="DEC", steps=self.steps, batch_size=self.batch_size, config=static(self), smooth=self.smooth
        )
        return [*pretraining, sharpening]


@estimator
class DEC(DeepClusterer, DECSettings):
    """Deep embedded clustering (Xie, Girshick, Farhadi, ICML 2016), which knows nothing of groups.

    An autoencoder and k-means on its latent rows; then the soft assignments are sharpened until few labels change:
    targets come from all rows every `update_every` steps, and SGD lowers their divergence.

    Examples
    --------
    >>> from fairjax.deep import DEC
    >>> DEC(3, target="batch", optimizer="adam", lr=1e-3).target
    'batch'
    """

    config_type = DECConfig
    command = "dec"
    title = "deep embedded clustering (DEC)"
    short: ClassVar[dict[str, Any]] = {
        "batch_size": 128, "pretrain_steps": 1500, "steps": 500, "optimizer": "adam", "lr": 1e-3,
    }  # fmt: skip
