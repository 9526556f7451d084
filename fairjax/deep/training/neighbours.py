"""How far each row's neighbours are within its own group, found on the device tile by tile."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fairjax.errors import InputError

__all__ = ["Neighbours", "neighbour_distances", "neighbours"]

_TILE = 1 << 24  # squared distances at a time


class Neighbours(NamedTuple):
    """Distance (N,) of each row to its neighbour of that rank, the first being the nearest, in its group."""

    distance: Array
    rank: int


def neighbours(x: Array, members: Array, sizes: Array, rank: int, names: tuple[str, ...] = ()) -> Neighbours:
    """`neighbour_distances`, refused where they mean nothing.

    Parameters
    ----------
    x, members, sizes, rank
        As for `neighbour_distances`.
    names : tuple of str
        Names of the groups, for messages.

    Raises
    ------
    InputError
        If a group has too few rows, or a row has so many copies that the distance is 0.
    """
    plain = np.asarray(sizes)
    if plain.min() <= rank:
        group = int(np.argmin(plain))
        named = f"the group {names[group]}" if group < len(names) else f"group {group}"
        raise InputError(
            f"{named} has {plain[group]} rows, and the neighbour of rank {rank} asks for {rank + 1}; set vat_neighbour "
            "to a smaller rank"
        )
    distance = neighbour_distances(x, members, sizes, rank=rank)
    copies = np.flatnonzero(np.asarray(distance) == 0)
    if len(copies):
        raise InputError(
            f"row {copies[0]} has {rank} copies or more in its group, so that its neighbour of rank {rank} is at "
            f"distance 0 ({len(copies)} such rows); leave copies out, or set vat_neighbour to a higher rank"
        )
    return Neighbours(distance, rank)


@partial(jax.jit, static_argnames="rank")
def neighbour_distances(x: Array, members: Array, sizes: Array, *, rank: int) -> Array:
    """Distance (N,) of each row to its neighbour of a rank among the rows of its own group.

    Parameters
    ----------
    x : Array (N, ...)
    members : Array (T, n), int32
    sizes : Array (T,), int32
        Rows of each group, as in `fairjax.deep.Data`; each more than `rank`.
    rank : int
        1 for the nearest; static.

    Returns
    -------
    Array (N,)
        O(Σ n_t n D), n the largest group; a bounded number of distances is in memory at a time.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> x = jnp.array([[0.0], [1.0], [3.0], [7.0]])
    >>> neighbour_distances(x, jnp.array([[0, 1, 2, 3]]), jnp.array([4]), rank=2).tolist()
    [3.0, 2.0, 3.0, 6.0]
    """
    rows = x.reshape(len(x), -1)
    n = members.shape[1]
    tile = min(max(_TILE // n, 1), n)
    count = -(-n // tile)
    places = jnp.arange(n, dtype=jnp.int32)

    def of_group(group: tuple[Array, Array]) -> Array:
        own, size = group
        points = rows[own]
        squares = jnp.sum(points**2, axis=1)

        def measure(first: Array) -> Array:
            mine = jnp.minimum(first + jnp.arange(tile, dtype=jnp.int32), n - 1)
            products = jnp.matmul(points[mine], points.T, precision="highest")
            absent = (places >= size) | (places == mine[:, None])
            found = jnp.where(absent, jnp.inf, squares - 2 * products)
            other = lax.top_k(-found, rank)[1][:, -1]
            # the chosen one once more, by differences: copies are at a distance of exactly 0
            return jnp.sqrt(jnp.sum((points[mine] - points[other]) ** 2, axis=1))

        def tile_from(first: Array) -> Array:
            return lax.cond(first < size, measure, lambda _: jnp.zeros(tile, x.dtype), first)

        return lax.map(tile_from, tile * jnp.arange(count, dtype=jnp.int32)).reshape(-1)[:n]

    found = lax.map(of_group, (members, sizes))
    here = places < sizes[:, None]
    return jnp.zeros(len(x), x.dtype).at[jnp.where(here, members, len(x))].set(found, mode="drop")
