"""Autoencoder and k-means: the unfair baseline of the deep methods.

The decoder has one branch: with a branch for each group the latent space is already much fairer.
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import DeepClusterer, estimator
from fairjax.deep.methods.pretraining import (
    AutoencoderSettings,
    ReconstructionSettings,
    autoencoder_tasks,
    starting_centers,
)
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, Settings, setting
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Data
from fairjax.deep.training.tasks import Task, TrainState

__all__ = ["AEKMeans", "AEKMeansConfig", "AEKMeansSettings", "Result", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AEKMeansSettings(ReconstructionSettings, AutoencoderSettings, Settings):
    """Settings of AE + k-means."""

    steps: int = setting(10_000, "Steps of the whole autoencoder.")
    lr: Number = setting(1e-3, "Adam's rate.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AEKMeansConfig(AEKMeansSettings, Config):
    """Settings with a network; see `AEKMeans`."""

    def tasks(self, data: Data) -> list[Task]:
        """The autoencoder."""
        return autoencoder_tasks(self.network, data, self, steps=self.steps, recon=self.recon)

    def hyper(self) -> dict[str, Any]:
        """Rates and weight of the divergence."""
        return {"pretrain_lr": self.lr, "layer_lr": self.layer_lr, "beta": self.beta}

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """k-means on the latent rows."""
        z = embed(self.network, state.params["net"], state.rest, data.x)
        centers = starting_centers(key, z, self.n_clusters, n_init=self.n_init)
        return Clusterer(state.params["net"], state.rest, centers, jnp.ones((), centers.dtype))


@estimator
class AEKMeans(DeepClusterer, AEKMeansSettings):
    """Autoencoder and k-means: the unfair baseline.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.deep import AEKMeans
    >>> X = np.repeat(np.eye(4), 8, axis=0)
    >>> model = AEKMeans(4, steps=100, batch_size=8, n_latent=3, n_init=1, random_state=0).fit(X)
    >>> model.labels_.shape, model.embed(X).shape
    ((32,), (32, 3))
    """

    config_type = AEKMeansConfig
    command = "ae"
    title = "k-means on the latent space of an autoencoder"
    short: ClassVar[dict[str, Any]] = {"batch_size": 128, "steps": 1500}
