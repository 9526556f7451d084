"""One trainer for every method: chunks of steps compiled as a scan, over one seed or many at once.

A method is a sequence of *tasks*. A `Task` says how a stage begins, which loss it descends, how its constants are
refreshed and by what optimiser; it is static, so everything that may be swept without compiling anew is in the
``hyper`` of the state. The trainer draws batches on the device, follows the gradient, and stops a run at the step
where a loss is no longer finite, with the state from before that step.

The step number is the same for all seeds and comes from outside the state, so the branches on it (does an epoch
begin?) stay branches under `vmap`, and chunks of any length give the same numbers.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jax.sharding import Mesh

from fairjax import _progress, parallel
from fairjax.deep.streams import Batch, Data, draw, first_order
from fairjax.errors import InputError

__all__ = [
    "DivergedError",
    "Position",
    "Task",
    "TrainState",
    "Trained",
    "begin",
    "chunk_length",
    "run_tasks",
    "state_template",
    "train_chunk",
]

RUNNING = -1
FAILED_BEFORE = -2


class TrainState(NamedTuple):
    """Everything that a run carries from step to step; with several seeds every leaf has their axis in front.

    Attributes
    ----------
    params : dict
        Trained arrays: ``net`` and, by method, ``centroids``, ``critic``.
    rest : dict
        Running averages of the networks.
    optimizer : pytree
        State of the optimiser.
    extra : dict
        What the task keeps besides: centres, targets, frozen assignments.
    hyper : dict
        Numbers that may differ between seeds: rates, weights, temperatures.
    order : (streams, rows) int32
        Shuffled rows.
    key : typed random key
    failed : int32
        Step at which a loss or gradient was not finite, or -1; the state is that before it. In later stages -2, and
        nothing moves.
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
    batch : int
        Rows per step, or per step and group.
    by_group : bool
        Draw from each group's own stream.
    """

    name: str
    steps: int
    batch: int
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
    stage, term : str
        Stage of the method and term of the loss ("gradient" if all terms were finite).
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


def _begin_one(task: Task, key: Array, carry: Any, hyper: Any, data: Data) -> TrainState:
    start_key, run_key = jax.random.split(key)
    params, rest, extra = task.begin(start_key, carry, hyper, data)
    return TrainState(
        params,
        rest,
        task.optimizer().init(params),
        extra,
        hyper,
        first_order(data, by_group=task.by_group),
        run_key,
        jnp.int32(RUNNING),
        jnp.int32(RUNNING),
    )


@partial(jax.jit, static_argnums=0)
def begin(task: Task, key: Array, carry: Any, hyper: Any, data: Data) -> TrainState:
    """State before the first step of a stage, for one key or, with ``key`` (S,), for S at once.

    Parameters
    ----------
    task : Task, static
    key : typed random key () or (S,)
    carry : ``(params, rest, extra)`` of the stage before, or None
    hyper : dict of scalars, () or (S,)
    data : Data
    """
    if key.ndim == 0:
        return _begin_one(task, key, carry, hyper, data)
    return jax.vmap(partial(_begin_one, task), in_axes=(0, 0, 0, None))(key, carry, hyper, data)


def _step_one(
    task: Task, state: TrainState, data: Data, step: Array, mesh: Mesh | None = None
) -> tuple[TrainState, dict[str, Array]]:
    draw_key, refresh_key, loss_key = jax.random.split(jax.random.fold_in(state.key, step), 3)
    params, extra, ended = task.refresh(refresh_key, step, state, data)
    order, batch = draw(draw_key, step, state.order, data, batch=task.batch, by_group=task.by_group)
    if mesh is not None:
        # each device passes its share of the rows; gradients and batch statistics are then summed over all
        batch = lax.with_sharding_constraint(batch, parallel.split_rows(mesh))

    def loss(params: Any) -> tuple[Array, tuple[dict[str, Array], Any]]:
        terms, rest = task.loss(params, state.rest, extra, state.hyper, batch, loss_key, step)
        return jnp.asarray(sum(terms.values())), (terms, rest)

    (total, (terms, rest)), slopes = jax.value_and_grad(loss, has_aux=True)(params)
    updates, optimizer = task.optimizer().update(slopes, state.optimizer, params)
    rate = task.rate(state.hyper, step)
    if isinstance(rate, dict):
        updates = {name: jax.tree.map(lambda u, r=rate[name]: -r * u, part) for name, part in updates.items()}
    else:
        updates = jax.tree.map(lambda u: -rate * u, updates)
    moved = optax.apply_updates(params, updates)

    running = (state.failed == RUNNING) & (state.done == RUNNING) & ~ended
    # a sum is finite only if all its terms are; squares, as a norm has them, would first be written out
    finite = jnp.isfinite(total) & jnp.isfinite(jnp.asarray(sum(jnp.sum(slope) for slope in jax.tree.leaves(slopes))))
    go = running & finite

    def keep(new: Any, old: Any) -> Any:
        return jax.tree.map(lambda new, old: jnp.where(go, new, old), new, old)

    step = step.astype(jnp.int32)
    state = TrainState(
        keep(moved, params),
        keep(rest, state.rest),
        keep(optimizer, state.optimizer),
        jax.tree.map(lambda new, old: jnp.where(running, new, old), extra, state.extra),
        state.hyper,
        order,
        state.key,
        jnp.where(running & ~finite, step, state.failed),
        jnp.where((state.done == RUNNING) & ended, step, state.done),
    )
    return state, terms


@partial(jax.jit, static_argnames=("task", "length", "mesh"), donate_argnames="state")
def train_chunk(
    task: Task, state: TrainState, data: Data, first: Array, *, length: int, mesh: Mesh | None = None
) -> tuple[TrainState, dict[str, Array]]:
    """Take `length` steps from number `first`; the state is donated.

    Parameters
    ----------
    task : Task, static
    state : TrainState, of one seed or of several
    data : Data
    first : int32 scalar
    length : static; has no influence on the result
    mesh : static; devices over which the rows of each batch are spread, see `run_tasks`

    Returns
    -------
    TrainState, and the weighted loss terms of every step, (length,) or (length, S) each
    """
    one = partial(_step_one, task, mesh=mesh)
    step_of = one if state.key.ndim == 0 else jax.vmap(one, in_axes=(0, None, None))

    def body(state: TrainState, step: Array) -> tuple[TrainState, dict[str, Array]]:
        return step_of(state, data, step)

    return lax.scan(body, state, first + jnp.arange(length, dtype=jnp.int32))


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
    keys : typed random key () or (S,); S runs are trained at once
    hyper : dict of scalars or (S,) arrays
    data : Data
    chunk_steps : most steps between two reports, with no influence on the result
    position : where to go on, None for the start
    after_chunk : called with the position after every chunk; it must not keep the state, which is donated next
    mesh : from `fairjax.parallel.data_mesh`; the rows of each batch are spread over its devices, data and state lie
        whole on each, and the result is that of one device up to rounding

    Raises
    ------
    DivergedError
        If a loss is no longer finite, for all seeds.
    """
    hyper = _spread(hyper, keys, data.x.dtype)
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
            _progress.report(task.name, behind / total)
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
            _progress.report(task.name, (behind + step) / total)
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
    hyper = _spread(hyper, keys, data.x.dtype)
    carry: Any = None
    state: Any = None
    for number, task in enumerate(tasks[: stage + 1]):
        state = jax.eval_shape(partial(begin, task), _stage_key(keys, number), carry, hyper, data)
        carry = (state.params, state.rest, state.extra)
    return state


def _check_shares(tasks: Sequence[Task], n_groups: int, mesh: Mesh) -> None:
    for task in tasks:
        rows = task.batch * (n_groups if task.by_group else 1)
        if rows % mesh.size:
            raise InputError(
                f"a batch of {rows} rows (stage {task.name!r}) cannot be spread evenly over {mesh.size} devices; take "
                "a multiple of them"
            )


def _stage_key(keys: Array, stage: int) -> Array:
    return jnp.vectorize(lambda key: jax.random.fold_in(key, stage))(keys)


def _spread(hyper: Any, keys: Array, dtype: Any) -> Any:
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
