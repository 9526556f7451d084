"""Rows that belong to groups, each group with weights of its own: means, products, and layouts by group.

However the rows of a batch fall, shapes stay the same, and no group costs more than its rows do.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

__all__ = ["group_means", "grouped_dot", "moved_rows", "row_blocks", "row_slots"]

_ALL_BRANCHES = 3  # up to so many groups every row goes through every branch, which beats sorting the rows


def group_means(x: Array, groups: Array, n_groups: int) -> tuple[Array, Array]:
    """Mean over the rows of each group, zero for an absent one, and the numbers of rows.

    Parameters
    ----------
    x : Array (n, ..., c)
        The axes between are averaged over too.
    groups : Array (n,), int32
        Ids below `n_groups`.
    n_groups : int
        T.

    Returns
    -------
    means : Array (T, c)
    counts : Array (T,)
        In the dtype of `x`; O(n T c): on CPU a product with the one-hot matrix is far faster than a scatter.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> means, counts = group_means(jnp.array([[1.0], [3.0], [5.0]]), jnp.array([0, 0, 2]), 3)
    >>> means[:, 0].tolist(), counts.tolist()
    ([2.0, 0.0, 5.0], [2.0, 0.0, 1.0])
    """
    rows = jnp.mean(x.reshape(x.shape[0], -1, x.shape[-1]), axis=1)
    members = (groups == jnp.arange(n_groups, dtype=groups.dtype)[:, None]).astype(x.dtype)
    counts = jnp.sum(members, axis=1)
    return jnp.matmul(members, rows, precision="highest") / jnp.maximum(counts, 1)[:, None], counts


def grouped_dot(x: Array, kernels: Array, groups: Array) -> Array:
    """Multiply each row by the matrix of its group.

    With many groups the rows are laid out as (T, C), C a quarter above the mean number of rows in a group, and one
    batched product serves all groups; rows beyond C of a crowded group follow in blocks of eight. So 30 groups cost
    less than twice the product with one matrix, not 30 times, and the result is exact however the rows fall.

    Parameters
    ----------
    x : Array (n, d)
    kernels : Array (T, d, d')
    groups : Array (n,), int32
        Ids below T.

    Returns
    -------
    Array (n, d')
        Differentiable once in `x` and `kernels`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> kernels = jnp.arange(5.0)[:, None, None]
    >>> grouped_dot(jnp.ones((4, 1)), kernels, jnp.array([4, 0, 4, 2]))[:, 0].tolist()
    [4.0, 0.0, 4.0, 2.0]
    """
    if len(kernels) == 1:
        return jnp.matmul(x, kernels[0])
    if len(kernels) <= _ALL_BRANCHES:
        return jnp.take_along_axis(jnp.matmul(x, kernels), groups[None, :, None], axis=0)[0]
    return _sorted_dot(x, kernels, groups)


@jax.custom_vjp
def _sorted_dot(x: Array, kernels: Array, groups: Array) -> Array:
    return _by_tiers(x, kernels, groups, "nij,njk->nik", "ij,jk->ik")


def _by_tiers(x: Array, kernels: Array, groups: Array, layout_dot: str, block_dot: str) -> Array:
    # transposed kernels are the products' business: as an input of the loop they would be written out
    rows, slots, count, block = _tiers(groups, len(kernels))
    products = jnp.einsum(layout_dot, _take(x, rows), kernels)

    def further(number: Array, found: Array) -> Array:
        group, rows = block(number)
        return found.at[rows].set(jnp.einsum(block_dot, _take(x, rows), kernels[group]), mode="drop")

    return lax.fori_loop(0, count, further, _take(products.reshape(-1, products.shape[-1]), slots))


def _sorted_dot_forward(x: Array, kernels: Array, groups: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return _sorted_dot(x, kernels, groups), (x, kernels, groups)


def _sorted_dot_backward(saved: tuple[Array, Array, Array], gradients: Array) -> tuple[Array, Array, Any]:
    x, kernels, groups = saved
    rows, _, count, block = _tiers(groups, len(kernels))

    def further(number: Array, kernel_gradients: Array) -> Array:
        group, rows = block(number)
        return kernel_gradients.at[group].add(jnp.matmul(_take(x, rows).T, _take(gradients, rows)))

    first = jnp.matmul(jnp.swapaxes(_take(x, rows), 1, 2), _take(gradients, rows))
    x_gradients = _by_tiers(gradients, kernels, groups, "nik,njk->nij", "ik,jk->ij")
    return x_gradients, lax.fori_loop(0, count, further, first), np.zeros(groups.shape, jax.dtypes.float0)


_sorted_dot.defvjp(_sorted_dot_forward, _sorted_dot_backward)


def _tiers(groups: Array, n_groups: int) -> tuple[Array, Array, Array, Callable[[Array], Any]]:
    """Rows (T, C) of the layout and the slots of all rows there; number of blocks behind it, and what gives one."""
    n = len(groups)
    slots = min(n, 8 * math.ceil(5 * n / (32 * n_groups)))
    order, sizes, starts = _sorted(groups, n_groups)
    rank = jnp.arange(slots, dtype=jnp.int32)
    rows = order[jnp.where(rank < sizes[:, None], starts[:, None] + rank, n)]
    count, block = row_blocks(groups, n_groups, 8, skip=slots)
    return rows, row_slots(rows, n), _of_all_seeds(count), block


@jax.custom_batching.custom_vmap
def _of_all_seeds(count: Array) -> Array:
    """Same number, under `vmap` the largest: a loop with one bound for all need not choose between old and new."""
    return count


@_of_all_seeds.def_vmap
def _largest(axis_size: int, batched: list[bool], counts: Array) -> tuple[Array, bool]:
    return jnp.max(counts), False


def row_blocks(groups: Array, n_groups: int, size: int, skip: int = 0) -> tuple[Array, Callable[[Array], Any]]:
    """Blocks of rows of one group each, without the first `skip` rows of every group.

    Returns their number, and a function that gives group and rows (size,) of one; n stands for no row, and beyond the
    last block there is none.
    """
    order, sizes, starts = _sorted(groups, n_groups)
    blocks = -(-jnp.maximum(sizes - skip, 0) // size)
    ends = jnp.cumsum(blocks, dtype=jnp.int32)

    def block(number: Array) -> tuple[Array, Array]:
        group = jnp.minimum(jnp.sum(number >= ends, dtype=jnp.int32), n_groups - 1)
        rank = skip + size * (number - (ends - blocks)[group]) + jnp.arange(size, dtype=jnp.int32)
        return group, order[jnp.where(rank < sizes[group], starts[group] + rank, len(groups))]

    return ends[-1], block


def row_slots(rows: Array, n: int) -> Array:
    """Place of each of n rows among the rows of a layout; beyond its end if it has none."""
    places = jnp.arange(rows.size, dtype=jnp.int32)
    return jnp.full(n + 1, rows.size, jnp.int32).at[rows.ravel()].set(places)[:-1]


def _sorted(groups: Array, n_groups: int) -> tuple[Array, Array, Array]:
    """Rows in the order of their groups and n behind them; for each group its number of rows and where they start."""
    order = jnp.append(jnp.argsort(groups, stable=True).astype(jnp.int32), jnp.int32(len(groups)))
    sizes = jnp.sum(groups == jnp.arange(n_groups, dtype=groups.dtype)[:, None], axis=1, dtype=jnp.int32)
    return order, sizes, jnp.cumsum(sizes, dtype=jnp.int32) - sizes


@jax.custom_vjp
def moved_rows(x: Array, sources: Array, targets: Array) -> Array:
    """Rows from `sources`, zero where there is none; `targets` says where each row went, if anywhere.

    With it the way back is of the same kind, and not a scatter, one number after the other.
    """
    return _take(x, sources)


moved_rows.defvjp(
    lambda x, sources, targets: (moved_rows(x, sources, targets), (sources, targets)),
    lambda saved, gradient: (_take(gradient, saved[1]), *(np.zeros(each.shape, jax.dtypes.float0) for each in saved)),
)


def _take(x: Array, rows: Array) -> Array:
    return jnp.take(x, rows, axis=0, mode="fill", fill_value=0)
