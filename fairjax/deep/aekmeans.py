"""Autoencoder and k-means: the unfair baseline of the deep methods.

The decoder has one branch: with a branch for each group the latent space is already much fairer.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jax import Array

from fairjax.deep.method import Clusterer, Config, Result, run
from fairjax.deep.pretrain import AutoencoderTask, embed, starting_centers
from fairjax.deep.streams import Data
from fairjax.deep.trainer import Task, TrainState

__all__ = ["AEKMeansConfig", "Result", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AEKMeansConfig(Config):
    """Settings; see `fairjax.deep.AEKMeans`.

    Attributes
    ----------
    steps : int
        Steps of autoencoder training.
    lr, beta : float
        Adam's rate; weight of a variational network's divergence.
    recon : {"mse", "bce"}
    sum_pixels : bool
        Sum the reconstruction error over a row's elements, as a variational network needs it.
    weight_decay : float
        L2 added to the gradient.
    """

    steps: int = 10_000
    lr: Any = 1e-3
    beta: Any = 1.0
    recon: str = "mse"
    sum_pixels: bool = False
    weight_decay: float = 0.0

    def tasks(self, data: Data) -> list[Task]:
        """One: the autoencoder."""
        return [
            AutoencoderTask(
                name="autoencoder",
                steps=self.steps,
                batch=self.batch,
                network=self.network,
                recon=self.recon,
                sum_pixels=self.sum_pixels,
                weight_decay=self.weight_decay,
            )
        ]

    def hyper(self) -> dict[str, Any]:
        """Rate and weight of the divergence."""
        return {"pretrain_lr": self.lr, "beta": self.beta}

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """k-means on the latent rows."""
        z = embed(self.network, state.params["net"], state.rest, data.x)
        centers = starting_centers(key, z, self.n_clusters, n_init=self.n_init)
        return Clusterer(state.params["net"], state.rest, centers, jnp.ones((), centers.dtype))
