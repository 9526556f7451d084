"""Triangular factors of small symmetric matrices, by plain array operations.

A linear-algebra library's batched calls may deadlock on a CPU with few threads, and its latency on an accelerator
exceeds the work.

The matrix A = L D L' is brought to D L' from above, row by row, and the steps that do it are L⁻¹. Where a column has
been cleared, it has room for a column of L⁻¹, so both are held in one square array: D L' on and above the diagonal, L⁻¹
below it. In a large matrix a block of rows is cleared at a time, and all rows below follow in one product of matrices,
which reads them once: 300 unknowns take 8 ms instead of 19.

Tried and dropped: the inverse of a block's own factor in place of the steps within it, which has no digits where pivots
are next to nothing, as in :mod:`.overlapping`.
"""

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.precision import product

_BLOCK = 16  # rows
_ROW_BY_ROW = 40  # rows of a matrix too small for blocks to pay


def eliminate(matrix: Array) -> tuple[Array, Array]:
    """Inverse (n, n) of the unit lower factor L of a matrix (n, n) L D L', and the pivots D (n,).

    The matrix is symmetric, and every leading part of it is regular: positive definite ones and quasidefinite ones are
    so. O(n³).
    """
    n = matrix.shape[0]
    cleared = _cleared(matrix) if n <= _ROW_BY_ROW else _cleared_by_blocks(matrix)
    return _unit_lower(cleared), jnp.diagonal(cleared)


def _unit_lower(cleared: Array) -> Array:
    index = jnp.arange(cleared.shape[0])
    return jnp.where(index[:, None] > index, cleared, jnp.where(index[:, None] == index, 1.0, 0.0))


def _unrolled(n: int) -> int:
    """Of ``n`` rounds, how many are compiled in a row: on an accelerator the overhead of a loop exceeds its work."""
    return 1 if jax.default_backend() == "cpu" else min(n, _BLOCK)


def _cleared(matrix: Array) -> Array:
    """The array that holds both factors, row by row."""
    n = matrix.shape[0]
    index = jnp.arange(n)

    def clear_below(j: Array, rows: Array) -> Array:
        below = index > j
        factor = jnp.where(below, rows[:, j] / rows[j, j], 0)[:, None]
        return jnp.where(below[:, None] & (index == j), -factor, rows - factor * rows[j])

    return jax.lax.fori_loop(0, n, clear_below, matrix, unroll=_unrolled(n))


def _cleared_by_blocks(matrix: Array) -> Array:
    """The same by blocks of rows."""
    n = matrix.shape[0]
    n_blocks = -(-n // _BLOCK)
    index, within = jnp.arange(n_blocks * _BLOCK), jnp.arange(_BLOCK)
    more = len(index) - n

    def clear_below(block: Array, rows: Array) -> Array:
        # under vmap updates of slices are lowered outside double precision
        first = jnp.asarray(block, jnp.int32) * _BLOCK

        def clear_within(j: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            """Row j of the block taken from the block's other rows, and from all rows in the block's columns.

            There the factors stay, in place of what they clear.
            """
            own, columns = carry
            here, below = columns[first + jnp.asarray(j, jnp.int32)], index > first + j
            factor = jnp.where(below, columns[:, j] / here[j], 0)[:, None]
            columns = columns - factor * jnp.where(within > j, here, 0)
            columns = jnp.where(below[:, None] & (within == j), factor, columns)
            of_own = jax.lax.dynamic_slice_in_dim(factor, first, _BLOCK)
            cleared = (within > j)[:, None] & (index == first + j)
            return jnp.where(cleared, -of_own, own - of_own * own[j]), columns

        own = jax.lax.dynamic_slice_in_dim(rows, first, _BLOCK, 0)
        columns = jax.lax.dynamic_slice_in_dim(rows, first, _BLOCK, 1)
        own, factors = jax.lax.fori_loop(0, _BLOCK, clear_within, (own, columns), unroll=_unrolled(_BLOCK))
        # below the block L⁻¹ takes the place of its columns
        below = (index >= first + _BLOCK)[:, None]
        rows = jax.lax.dynamic_update_slice_in_dim(rows, jnp.where(below, 0, columns), first, 1)
        lower = _unit_lower(jax.lax.dynamic_slice_in_dim(own, first, _BLOCK, 1))
        taken = jax.lax.dynamic_update_slice_in_dim(own, lower, first, 1)
        rows = rows - product(jnp.where(below, factors, 0), taken)
        return jax.lax.dynamic_update_slice_in_dim(rows, own, first, 0)

    padded = jnp.pad(matrix, ((0, more), (0, more))) + jnp.diag(jnp.where(index < n, 0, 1).astype(matrix.dtype))
    return jax.lax.fori_loop(0, n_blocks, clear_below, padded)[:n, :n]
