"""What a method is to its callers: a configuration, its stages, and a result for one seed or many."""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax._checks import check_choice, check_count
from fairjax.deep.methods.assigning import Clusterer, assign
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.training.streams import Data
from fairjax.deep.training.tasks import Task, TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(ABC):
    """Settings that all methods share; each module has its own ``Config`` with more.

    Attributes
    ----------
    network : Network or OwnNetwork
    n_clusters : int
        K.
    batch : int
        Rows per step (per group where the method draws from each group's own stream).
    n_init : int
        Restarts of k-means.
    recalibrate_bn : bool
        After the training, take the encoder's batch averages anew from the mixture of all rows
        (`fairjax.deep.nets.passing.recalibrated`).
    """

    network: Network | OwnNetwork
    n_clusters: int
    batch: int = 256
    n_init: int = 20
    recalibrate_bn: bool = False

    soft = "student"
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        """Refuse a misspelt choice, which would else count as the other, and stages without a step."""
        for name, allowed in self.choices.items():
            check_choice(name, getattr(self, name), allowed)
        for field in dataclasses.fields(self):
            if field.type is int:
                check_count(field.name, getattr(self, field.name), least=0 if field.name == "warmup_epochs" else 1)

    @abstractmethod
    def tasks(self, data: Data) -> list[Task]:
        """Stages of the training on these data."""

    @abstractmethod
    def hyper(self) -> dict[str, Any]:
        """Numbers that are not compiled in: scalars, or (S,) arrays with one for each seed."""

    def is_static(self) -> bool:
        """Whether `finish` can be compiled once for all runs with these settings and this size of data.

        Not so with arrays of numbers, one for each seed, nor where it takes the groups' own sizes as static.
        """
        return not any(isinstance(value, (jax.Array, np.ndarray, list)) for value in vars(self).values())

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """What assigns rows, from the end of the last stage."""
        params = state.params
        return Clusterer(params["net"], state.rest, params["centroids"], jnp.ones((), params["centroids"].dtype))

    def finish(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """Labels (N,) of the rows trained on, and what assigns others."""
        clusterer = self.clusterer(state, data, key)
        return assign(self.soft, self.network, clusterer, data.x), clusterer
