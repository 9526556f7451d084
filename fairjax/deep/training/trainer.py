"""One trainer for every method: chunks of steps compiled as a scan, over one seed or many at once.

A method is a sequence of *tasks*. A `Task` says how a stage begins, which loss it descends, how its constants are
refreshed and by what optimiser; it is static, so everything that may be swept without compiling anew is in the
``hyper`` of the state. The trainer draws batches on the device, follows the gradient, and stops a run at the step
where a loss is no longer finite, with the state from before that step.

The step number is the same for all seeds and comes from outside the state, so the branches on it (does an epoch
begin?) stay branches under `vmap`, and chunks of any length give the same numbers.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from fairjax import parallel
from fairjax._core import progress
from fairjax.deep.training.steps import begin, train_chunk
from fairjax.deep.training.streams import Data
from fairjax.deep.training.tasks import FAILED_BEFORE, RUNNING, DivergedError, Task, TrainState
from fairjax.errors import InputError


def chunk_length(steps: int, most: int) -> int:
    """Steps per chunk: the largest divisor of `steps` up to `most` if it is no less than half of that, else `most`.

    Equal chunks need one compilation, a shorter last one another.

    Examples
    --------
    >>> chunk_length(2_000, 100), chunk_length(1_204, 100), chunk_length(7, 100), chunk_length(101, 50)
    (100, 86, 7, 50)
    """
    best = max(length for length in range(1, min(most, steps) + 1) if steps % length == 0)
    return best if 2 * best >= min(most, steps) else most


class Trained(NamedTuple):
    """End of a run.

    Attributes
    ----------
    state : TrainState
        Of the last stage.
    histories : tuple of dict
        For each stage the weighted loss terms of all steps, numpy (steps,) or (S, steps).
    """

    state: TrainState
    histories: tuple[dict[str, np.ndarray], ...]


class Position(NamedTuple):
    """Where a run is: stage, steps behind it in there, state, and the loss terms so far of all stages."""

    stage: int
    step: int
    state: TrainState
    histories: tuple[dict[str, np.ndarray], ...]


def run_tasks(
    tasks: Sequence[Task],
    keys: Array,
    hyper: Any,
    data: Data,
    *,
    chunk_steps: int = 100,
    position: Position | None = None,
    after_chunk: Callable[[Position], None] | None = None,
    mesh: Mesh | None = None,
) -> Trained:
    """Go through the stages of a method.

    Parameters
    ----------
    tasks : sequence of Task
    keys : typed random key () or (S,)
        S runs are trained at once.
    hyper : dict of float or Array (S,)
    data : Data
    chunk_steps : int
        Most steps between two reports, with no influence on the result.
    position : Position, optional
        Where to go on; None for the start.
    after_chunk : function of a Position, optional
        Called after every chunk; it must not keep the state, which is donated next.
    mesh : Mesh, optional
        From `fairjax.parallel.data_mesh`; the rows of each batch are spread over its devices, data and state lie whole
        on each, and the result is that of one device up to rounding.

    Raises
    ------
    DivergedError
        If a loss is no longer finite, for all seeds.
    """
    hyper = spread(hyper, keys, data.x.dtype)
    if mesh is not None:
        _check_shares(tasks, data.n_groups, mesh)
        data = jax.device_put(data, parallel.replicated(mesh))
        if position is not None:
            position = position._replace(state=jax.device_put(position.state, parallel.replicated(mesh)))
    total, behind = sum(task.steps for task in tasks), 0
    stage, step = (0, 0) if position is None else (position.stage, position.step)
    state = None if position is None else position.state
    done = () if position is None else position.histories[:stage]
    carry = None
    for number, task in enumerate(tasks):
        if number < stage:
            behind += task.steps
            continue
        parts = [] if position is None or number > stage or not step else [position.histories[stage]]
        if state is None or number > stage:
            progress.report(task.name, behind / total)
            failed = None if state is None else state.failed
            state, step = begin(task, _stage_key(keys, number), carry, hyper, data), 0
            if failed is not None:
                state = state._replace(failed=jnp.where(failed == RUNNING, state.failed, FAILED_BEFORE))
        length = chunk_length(task.steps, chunk_steps)
        while step < task.steps and not _ended(state):
            now = min(length, task.steps - step)
            state, terms = train_chunk(task, state, data, jnp.int32(step), length=now, mesh=mesh)
            parts.append({name: np.moveaxis(np.asarray(value), 0, -1) for name, value in terms.items()})
            _raise_if_diverged(task, state, parts)
            step += now
            progress.report(task.name, (behind + step) / total)
            history = _joined(parts)
            parts = [history]
            if after_chunk is not None:
                after_chunk(Position(number, step, state, (*done, history)))
        done = (*done, _trimmed(_joined(parts), state))
        carry = (state.params, state.rest, state.extra)
        behind += task.steps
    assert state is not None
    return Trained(state, done)


def state_template(tasks: Sequence[Task], keys: Array, hyper: Any, data: Data, stage: int) -> TrainState:
    """Shapes and types of the state in a stage, without computing anything."""
    hyper = spread(hyper, keys, data.x.dtype)
    carry: Any = None
    state: Any = None
    for number, task in enumerate(tasks[: stage + 1]):
        state = jax.eval_shape(partial(begin, task), _stage_key(keys, number), carry, hyper, data)
        carry = (state.params, state.rest, state.extra)
    return state


def _check_shares(tasks: Sequence[Task], n_groups: int, mesh: Mesh) -> None:
    for task in tasks:
        rows = task.batch_size * (n_groups if task.by_group else 1)
        if rows % mesh.size:
            raise InputError(
                f"a batch of {rows} rows (stage {task.name!r}) cannot be spread evenly over {mesh.size} devices; take "
                "a multiple of them"
            )


def _stage_key(keys: Array, stage: int) -> Array:
    return jnp.vectorize(lambda key: jax.random.fold_in(key, stage))(keys)


def spread(hyper: Any, keys: Array, dtype: Any) -> Any:
    """One of each number for every seed."""
    return jax.tree.map(lambda value: jnp.broadcast_to(jnp.asarray(value, dtype), keys.shape), hyper)


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    names = parts[0] if parts else {}
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in names}


def _ended(state: TrainState) -> bool:
    """Whether every seed was ended by the stage's own rule, or failed."""
    done, failed = np.asarray(state.done), np.asarray(state.failed)
    return bool(((done != RUNNING) | (failed != RUNNING)).all())


def _trimmed(history: dict[str, np.ndarray], state: TrainState) -> dict[str, np.ndarray]:
    """Leave out the idle steps after the last seed was done, whose number depends on the chunks."""
    if not _ended(state):
        return history
    return {name: values[..., : int(np.max(np.asarray(state.done)))] for name, values in history.items()}


def _raise_if_diverged(task: Task, state: TrainState, parts: Sequence[dict[str, np.ndarray]]) -> None:
    """Raise when no seed is left that trains; with several, the others go on and `failed` tells."""
    failed = np.asarray(state.failed)
    if (failed == RUNNING).any():
        return
    # the first of those that failed in this stage
    seed = int(np.argmin(np.where(failed >= 0, failed, np.iinfo(np.int32).max)))
    step = int(np.ravel(failed)[seed])
    history = _joined(parts)
    first = {name: np.atleast_2d(values)[seed, step] for name, values in history.items()}
    term = next((name for name, value in first.items() if not np.isfinite(value)), "gradient")
    raise DivergedError(task.name, step, term, state)
