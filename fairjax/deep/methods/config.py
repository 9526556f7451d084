"""What a method is to the trainer: settings and a network, from which stages, numbers and labels follow."""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import jax.numpy as jnp
from jax import Array

from fairjax.deep.methods.assigning import Clusterer, Soft, assign
from fairjax.deep.methods.settings import Settings, check, settings_of
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.training.streams import Data
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.errors import InputError

__all__ = ["Config"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Settings, ABC):
    """Base of the methods' configurations, each of which adds the method's own settings.

    Frozen. The numbers that are traced may be arrays (S,), one value for each seed.

    Attributes
    ----------
    network : Network or OwnNetwork
    """

    network: Network | OwnNetwork

    soft: ClassVar[Soft] = "student"
    fills: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what would train something else than was meant."""
        if not isinstance(self.network, (Network, OwnNetwork)):
            raise InputError(f"network is {self.network!r}; expected a Network or an OwnNetwork of fairjax.deep")
        for about in settings_of(type(self)):
            check(about, getattr(self, about.name), scalar=False)

    @property
    def starts(self) -> int:
        """Trainings of an estimator, of which one is kept."""
        return 1

    def resolved(self, data: Data) -> Self:
        """The same with defaults that depend on the data put in."""
        return self

    def completed(self, data: Data, names: tuple[str, ...] = ()) -> Data:
        """The data with all that the stages ask for besides, which is found once; `names` of groups for messages."""
        return data

    @abstractmethod
    def tasks(self, data: Data) -> list[Task]:
        """Stages of the training on these data."""

    def hyper(self) -> dict[str, Any]:
        """Numbers that are not compiled in: scalars, or arrays (S,) with one for each seed."""
        return {about.name: getattr(self, about.name) for about in settings_of(type(self)) if about.traced}

    def compiles_finish(self) -> bool:
        """Whether `finish` can be compiled; not so where it needs the groups' sizes as plain numbers."""
        return True

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """What assigns rows, from the end of the last stage."""
        params = state.params
        return Clusterer(params["net"], state.rest, params["centers"], jnp.ones((), params["centers"].dtype))

    def finish(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """Labels (N,) of the rows trained on, and what assigns others; of traced numbers, ``state.hyper`` has them."""
        clusterer = self.clusterer(state, data, key)
        return assign(self.soft, self.network, clusterer, data.x, data.groups), clusterer

    def finish_full(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """The same where `finish` has left a cluster without rows, by a method that can fill it (`fills`)."""
        return self.finish(state, data, key)
