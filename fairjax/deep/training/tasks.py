"""What a stage of a training is to the trainer: a `Task`, and the state that it carries from step to step."""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jax import Array

from fairjax.deep.training.streams import Batch, Data
from fairjax.errors import InputError

RUNNING = -1
FAILED_BEFORE = -2


class TrainState(NamedTuple):
    """Everything that a run carries from step to step; with several seeds every leaf has their axis in front.

    Attributes
    ----------
    params : dict
        Trained arrays: ``net`` and, by method, ``centers``, ``critic``.
    rest : dict
        Running averages of the networks.
    optimizer : pytree
        State of the optimiser.
    extra : dict
        What the task keeps besides: centres, targets, frozen assignments.
    hyper : dict
        Numbers that may differ between seeds: rates, weights, temperatures.
    order : Array (streams, rows), int32
        Shuffled rows.
    key : typed random key
    failed : int32
        Step at which a loss or gradient was not finite, or -1; the state is that before it. In later stages it is -2,
        and the state stays as it is.
    done : int32
        Step before which the task's own rule ended the training, or -1.
    """

    params: Any
    rest: Any
    optimizer: Any
    extra: Any
    hyper: Any
    order: Array
    key: Array
    failed: Array
    done: Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """One stage of a method; subclasses fill in the rest. Frozen and hashable: it is a static argument.

    Attributes
    ----------
    name : str
        What the progress bar says.
    steps : int
        Length of the stage.
    batch_size : int
        Rows per step, or per step and group.
    by_group : bool
        Draw from each group's own stream.
    """

    name: str
    steps: int
    batch_size: int
    by_group: bool = False

    @abstractmethod
    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """``params, rest, extra`` at the start, from those at the end of the stage before (None for the first)."""

    def optimizer(self) -> optax.GradientTransformation:
        """Direction of a step; its length is `rate`."""
        return optax.scale_by_adam()

    def rate(self, hyper: Any, step: Array) -> Any:
        """Learning rate of the step, a number or a dict with one for each entry of ``params``."""
        return hyper["lr"]

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """``params, extra`` renewed before the step, and whether the stage's own rule ends it here."""
        return state.params, state.extra, jnp.zeros((), bool)

    @abstractmethod
    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Weighted terms, whose sum is descended, by name; and the networks' rest after the batch."""


class DivergedError(InputError):
    """A loss was no longer finite.

    Attributes
    ----------
    stage : str
        Stage of the method.
    term : str
        Term of the loss; "gradient" if all terms were finite.
    step : int
        Step within the stage.
    state : TrainState
        The last good state.
    """

    def __init__(self, stage: str, step: int, term: str, state: TrainState) -> None:
        super().__init__(
            f"the term {term!r} of the loss was not finite at step {step} of the stage {stage!r}; take a smaller "
            "learning rate, or look for extreme values in the data"
        )
        self.stage, self.step, self.term, self.state = stage, step, term, state


def direction(optimizer: str, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Adam or SGD with momentum 0.9, with L2 added to the gradient (not decoupled from it), without the rate."""
    rule = optax.scale_by_adam() if optimizer == "adam" else optax.trace(0.9)
    return optax.chain(optax.add_decayed_weights(weight_decay), rule) if weight_decay else rule
