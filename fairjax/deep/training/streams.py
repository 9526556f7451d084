"""Training rows: the data as it lies on the device, and shuffled batches drawn from it step by step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array, lax

from fairjax.deep.training.neighbours import Neighbours
from fairjax.errors import InputError

__all__ = ["Batch", "Data", "draw", "first_order", "prepare", "present", "steps_per_epoch"]


class Data(NamedTuple):
    """Rows with their groups, resident on the device; made by `prepare`.

    Attributes
    ----------
    x : Array (N, D) or (N, h, w, c), floating
    groups : Array (N,), int32
        Ids below T.
    members : Array (T, n), int32
        Rows of each group, n the size of the largest; shorter lists are filled up with row 0.
    sizes : Array (T,), int32
        Rows of each group.
    neighbours : Neighbours, optional
        How far each row's neighbours are, once a method has asked for it (`Config.completed`).
    alone : Array (N,), int32, optional
        Labels of a clustering of each group alone, from anywhere.
    start : Array (N,), int32, optional
        Labels to start from, with equal numbers for the same cluster in all groups.
    """

    x: Array
    groups: Array
    members: Array
    sizes: Array
    neighbours: Neighbours | None = None
    alone: Array | None = None
    start: Array | None = None

    @property
    def n_groups(self) -> int:
        """Number of groups T."""
        return len(self.sizes)


class Batch(NamedTuple):
    """Rows of one step: inputs (b, ...), group ids (b,), row numbers (b,)."""

    x: Array
    groups: Array
    rows: Array


def prepare(x: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Data:
    """Put rows and group ids on the device.

    Parameters
    ----------
    x : array-like (N, D) or (N, h, w, c), floating
    groups : array-like (N,) of integers, optional
        Ids from 0 to T - 1, each with rows; None means one group.

    Raises
    ------
    InputError
        If there are no rows, if they are not floating numbers, or `groups` is not one id of at least 0 for each.

    Examples
    --------
    >>> import numpy as np
    >>> data = prepare(np.zeros((4, 2), np.float32), [0, 1, 1, 1])
    >>> data.sizes.tolist(), data.members.tolist()
    ([1, 3], [[0, 0, 0], [1, 2, 3]])
    """
    rows = np.asarray(x)
    if rows.ndim < 2 or 0 in rows.shape:
        raise InputError(f"x has shape {rows.shape}; expected rows (N, D) or images (N, h, w, c), at least one")
    if not jnp.issubdtype(rows.dtype, jnp.floating):
        # whole numbers would make learning rates of 0
        raise InputError(f"x holds {rows.dtype}; expected floating numbers, such as x.astype(np.float32)")
    ids = np.zeros(len(rows), np.int32) if groups is None else np.asarray(groups)
    if ids.shape != rows.shape[:1] or not np.issubdtype(ids.dtype, np.integer) or ids.min(initial=0) < 0:
        raise InputError(
            f"groups is {ids.dtype} of shape {ids.shape}; expected one id from 0 on for each of {len(rows)} rows"
        )
    ids = ids.astype(np.int32)
    sizes = np.bincount(ids).astype(np.int32)
    members = np.zeros((len(sizes), sizes.max()), np.int32)
    for group, size in enumerate(sizes):
        members[group, :size] = np.flatnonzero(ids == group)
    return Data(jnp.asarray(rows), jnp.asarray(ids), jnp.asarray(members), jnp.asarray(sizes))


def present(data: Data) -> Array:
    """(T, n) true where `Data.members` holds a row of the group."""
    return jnp.arange(data.members.shape[1], dtype=jnp.int32) < data.sizes[:, None]


def steps_per_epoch(n_rows: int, batch_size: int) -> int:
    """Whole batches in one pass (the rest is dropped), at least one."""
    return max(n_rows // batch_size, 1)


def first_order(data: Data, *, by_group: bool) -> Array:
    """Place for the shuffled rows: (1, N) int32, or (T, n) for a stream of each group's own."""
    members = data.members if by_group else jnp.arange(len(data.x), dtype=jnp.int32)[None]
    return jnp.zeros_like(members)


def draw(key: Array, step: Array, order: Array, data: Data, *, batch_size: int, by_group: bool) -> tuple[Array, Batch]:
    """The batch of a step, and the order of the rows from then on.

    Every stream goes through its rows in a random order, drops the last incomplete batch, and is shuffled anew; a
    stream with fewer rows than a batch draws with replacement. What comes out depends on key, step and order alone.

    Parameters
    ----------
    key : typed random key
        Of this step, consumed.
    step : Array (), integer
        From 0.
    order : Array
        From `first_order` or the step before.
    data : Data
    batch_size : int
        Rows from every stream.
    by_group : bool
        Draw `batch_size` rows from each group, laid out group by group, in place of from all together.

    Returns
    -------
    order : Array
    batch : Batch
        O(batch_size) except where a stream begins anew: then a sort of its rows.
    """
    if by_group:
        members, sizes = data.members, data.sizes
    else:
        members = jnp.arange(len(data.x), dtype=jnp.int32)[None]
        sizes = jnp.full((1,), len(data.x), jnp.int32)
    shuffle_key, choice_key = jax.random.split(key)
    place = step % jnp.maximum(sizes // batch_size, 1)

    def shuffle(order: Array) -> Array:
        marks = jax.random.uniform(shuffle_key, members.shape)
        absent = jnp.arange(members.shape[1], dtype=jnp.int32) >= sizes[:, None]
        shuffled = jnp.take_along_axis(members, jnp.argsort(jnp.where(absent, 2, marks), axis=1), axis=1)
        return jnp.where((place == 0)[:, None], shuffled, order)

    order = lax.cond((place == 0).any(), shuffle, lambda order: order, order)
    places = place[:, None] * batch_size + jnp.arange(batch_size, dtype=jnp.int32)
    if members.shape[1] >= batch_size:
        rows = jnp.take_along_axis(order, jnp.minimum(places, members.shape[1] - 1), axis=1)
    else:
        rows = jnp.zeros_like(places)
    chosen = jax.random.randint(choice_key, places.shape, 0, sizes[:, None])
    rows = jnp.where((sizes >= batch_size)[:, None], rows, jnp.take_along_axis(members, chosen, axis=1)).reshape(-1)
    return order, Batch(data.x[rows], data.groups[rows], rows)
