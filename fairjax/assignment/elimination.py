"""Triangular factors of small symmetric matrices, by plain array operations.

A linear-algebra library's batched calls may deadlock on a CPU with few threads, and its latency on an accelerator
exceeds the work.

The matrix A = L D L' is brought to D L' from above, row by row, and the steps that do it are L⁻¹. Where a column has
been cleared, it has room for a column of L⁻¹, so both are held in one square array: D L' on and above the diagonal, L⁻¹
below it. Large matrices are cleared by blocks of rows, so that nearly all of the work is products of matrices, which
read less memory: 300 unknowns take 8 ms instead of 100.
"""

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.precision import product

_BLOCK = 16  # rows
_ROW_BY_ROW = 32  # rows of a matrix too small for blocks to pay


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


def _cleared(matrix: Array) -> Array:
    """The array that holds both factors, row by row."""
    n = matrix.shape[0]
    index = jnp.arange(n)

    def clear_below(j: Array, rows: Array) -> Array:
        below = index > j
        factor = jnp.where(below, rows[:, j] / rows[j, j], 0)[:, None]
        return jnp.where(below[:, None] & (index == j), -factor, rows - factor * rows[j])

    # on an accelerator the overhead of a loop exceeds its work
    unroll = 1 if jax.default_backend() == "cpu" else min(n, _BLOCK)
    return jax.lax.fori_loop(0, n, clear_below, matrix, unroll=unroll)


def _cleared_by_blocks(matrix: Array) -> Array:
    """The same by blocks of rows."""
    n = matrix.shape[0]
    n_blocks = -(-n // _BLOCK)
    index = jnp.arange(n_blocks * _BLOCK)
    more = len(index) - n

    def clear_below(j: Array, rows: Array) -> Array:
        first = j.astype(jnp.int32) * _BLOCK  # under vmap updates of slices are lowered outside double precision
        of_block = jax.lax.dynamic_slice_in_dim(rows, first, _BLOCK, 0)
        columns = jax.lax.dynamic_slice_in_dim(rows, first, _BLOCK, 1)
        corner = _cleared(jax.lax.dynamic_slice_in_dim(of_block, first, _BLOCK, 1))
        lower, pivots = _unit_lower(corner), jnp.diagonal(corner)
        below = (index >= first + _BLOCK)[:, None]
        factor = jnp.where(below, product(columns, lower.T) / pivots, 0)
        of_block = product(lower, of_block)
        # below the block L⁻¹ takes the place of the columns
        rows = jax.lax.dynamic_update_slice_in_dim(rows, jnp.where(below, 0, columns), first, 1)
        rows = rows - product(factor, jax.lax.dynamic_update_slice_in_dim(of_block, lower, first, 1))
        of_block = jax.lax.dynamic_update_slice_in_dim(of_block, corner, first, 1)
        return jax.lax.dynamic_update_slice_in_dim(rows, of_block, first, 0)

    padded = jnp.pad(matrix, ((0, more), (0, more))) + jnp.diag(jnp.where(index < n, 0, 1).astype(matrix.dtype))
    return jax.lax.fori_loop(0, n_blocks, clear_below, padded)[:n, :n]
