"""Autoencoder and k-means: the unfair baseline of the deep methods.

The decoder has one branch: with a branch for each group the latent space is already much fairer.
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.pretraining import autoencoder_tasks, starting_centers
from fairjax.deep.methods.running import Result, run
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Data
from fairjax.deep.training.tasks import Task, TrainState

__all__ = ["AEKMeansConfig", "Result", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AEKMeansConfig(Config):
    """Settings; see `fairjax.deep.AEKMeans`.

    Attributes
    ----------
    steps : int
        Steps of autoencoder training.
    pretrain : {"end2end", "layerwise"}
    layer_steps, layer_lr
        See `fairjax.deep.methods.pretraining.autoencoder_tasks`.
    lr, beta : float
        Adam's rate; weight of a variational network's divergence.
    recon : {"mse", "bce"}
    sum_pixels : bool
        Sum the reconstruction error over a row's elements, as a variational network needs it.
    corruption : float
        Share of the inputs that are set to zero (denoising).
    weight_decay : float
        L2 added to the gradient.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "pretrain": ("end2end", "layerwise"),
        "recon": ("mse", "bce"),
    }

    steps: int = 10_000
    pretrain: str = "end2end"
    layer_steps: int = 5_000
    lr: Any = 1e-3
    layer_lr: Any = 0.1
    beta: Any = 1.0
    recon: str = "mse"
    sum_pixels: bool = False
    corruption: float = 0.0
    weight_decay: float = 0.0

    def tasks(self, data: Data) -> list[Task]:
        """The autoencoder."""
        return autoencoder_tasks(
            self.network,
            data,
            pretrain=self.pretrain,
            steps=self.steps,
            layer_steps=self.layer_steps,
            batch=self.batch,
            recon=self.recon,
            sum_pixels=self.sum_pixels,
            corruption=self.corruption,
            weight_decay=self.weight_decay,
        )

    def hyper(self) -> dict[str, Any]:
        """Rates and weight of the divergence."""
        return {"pretrain_lr": self.lr, "layer_lr": self.layer_lr, "beta": self.beta}

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """k-means on the latent rows."""
        z = embed(self.network, state.params["net"], state.rest, data.x)
        centers = starting_centers(key, z, self.n_clusters, n_init=self.n_init)
        return Clusterer(state.params["net"], state.rest, centers, jnp.ones((), centers.dtype))
