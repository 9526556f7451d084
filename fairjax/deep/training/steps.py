"""Single steps and compiled chunks of them, for one seed or many at once."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax
from jax.sharding import Mesh

from fairjax import parallel
from fairjax.deep.training.streams import Data, draw, first_order
from fairjax.deep.training.tasks import RUNNING, Task, TrainState


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
    task : Task
        Static.
    key : typed random key () or (S,)
    carry : tuple or None
        ``(params, rest, extra)`` of the stage before.
    hyper : dict of Array () or (S,)
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
    order, batch = draw(draw_key, step, state.order, data, batch_size=task.batch_size, by_group=task.by_group)
    if mesh is not None:
        # each device passes its share of the rows; gradients and batch statistics are then summed over all
        batch = lax.with_sharding_constraint(batch, parallel.split_rows(mesh))

    def loss(params: Any) -> tuple[Array, tuple[dict[str, Array], Any]]:
        terms, rest = task.loss(params, state.rest, extra, state.hyper, batch, loss_key, step)
        return jnp.asarray(sum(terms.values())), (terms, rest)

    (total, (terms, rest)), gradients = jax.value_and_grad(loss, has_aux=True)(params)
    updates, optimizer = task.optimizer().update(gradients, state.optimizer, params)
    rate = task.rate(state.hyper, step)
    if isinstance(rate, dict):
        updates = {name: jax.tree.map(lambda u, r=rate[name]: -r * u, part) for name, part in updates.items()}
    else:
        updates = jax.tree.map(lambda u: -rate * u, updates)
    moved = optax.apply_updates(params, updates)

    running = (state.failed == RUNNING) & (state.done == RUNNING) & ~ended
    # a sum is finite only if all its terms are; squares, as a norm has them, would first be written out
    finite = jnp.isfinite(total) & jnp.isfinite(
        jnp.asarray(sum(jnp.sum(gradient) for gradient in jax.tree.leaves(gradients)))
    )
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
    task : Task
        Static.
    state : TrainState
        Of one seed or of several.
    data : Data
    first : Array (), int32
    length : int
        Static; it has no influence on the result.
    mesh : Mesh, optional
        Static; devices over which the rows of each batch are spread, see `run_tasks`.

    Returns
    -------
    state : TrainState
    terms : dict of Array (length,) or (length, S)
        The weighted loss terms of every step.
    """
    one = partial(_step_one, task, mesh=mesh)
    step_of = one if state.key.ndim == 0 else jax.vmap(one, in_axes=(0, None, None))

    def body(state: TrainState, step: Array) -> tuple[TrainState, dict[str, Array]]:
        return step_of(state, data, step)

    return lax.scan(body, state, first + jnp.arange(length, dtype=jnp.int32))
