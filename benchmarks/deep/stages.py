"""The stages of a deep method, each with the state that it begins with, where nothing is trained."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from fairjax.deep import Data
from fairjax.deep.training import Task, TrainState, begin


def first_states(config: Any, keys: jax.Array, rows: Data) -> Iterator[tuple[Task, TrainState]]:
    """Each stage and the state that it begins with, where nothing is trained."""
    hyper = {name: jnp.broadcast_to(jnp.float32(value), keys.shape) for name, value in config.hyper().items()}
    carry = None
    for task in config.tasks(rows):
        state = begin(task, keys, carry, hyper, rows)
        carry = (state.params, state.rest, state.extra)
        yield task, state
