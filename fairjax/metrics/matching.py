"""Best one-to-one matching of clusters and classes: an assignment problem, solved exactly on the device."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from fairjax.errors import InputError


def best_matching(table: ArrayLike) -> jax.Array:
    """Match rows and columns one to one so that the matched entries have the greatest sum.

    The Hungarian method in the form of successive shortest paths with potentials [1]_, written with
    `jax.lax` loops, so that it batches under ``vmap`` and never leaves the device. Tables of counts are
    solved in integers, hence exactly.

    Parameters
    ----------
    table
        Shape (r, c), integers with a sum below 2²⁹ or floats. NaN entries are taken as 0.

    Returns
    -------
    int32 array of shape (r,): the column of each row, -1 for rows left over when r > c.

    Raises
    ------
    InputError
        If the table is not two-dimensional or has no entries.

    Notes
    -----
    O(m² M) work with m = min(r, c), M = max(r, c); at most m·(m + 1) sequential steps of length M.

    References
    ----------
    .. [1] Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
       problems", Computing 38 (1987).

    Examples
    --------
    >>> from fairjax.metrics import best_matching
    >>> print(best_matching([[1, 5], [4, 6], [0, 7]]))
    [-1  0  1]
    """
    gain = jnp.asarray(table)
    if gain.ndim != 2 or gain.size == 0:
        raise InputError(f"table has shape {gain.shape}; expected (r, c) with r and c at least 1.")
    if jnp.issubdtype(gain.dtype, jnp.floating):
        gain = jnp.nan_to_num(gain)
    # A matching is piecewise constant in the table: no gradient runs through the loops below.
    return _best_matching(lax.stop_gradient(gain))


@jax.jit
def _best_matching(gain: jax.Array) -> jax.Array:
    rows, columns = gain.shape
    if rows <= columns:
        return _match_rows(-gain)[0]
    return _match_rows(-gain.T)[1]


def _match_rows(cost: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Match every row of a (r, c) table, r ≤ c, at least cost; return both directions.

    Column c is a dummy that holds the row being inserted; row r stands for "no row".
    """
    r, c = cost.shape
    worst = jnp.inf if jnp.issubdtype(cost.dtype, jnp.floating) else jnp.iinfo(cost.dtype).max

    def insert(row: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        u, v, row_of = state
        row_of = row_of.at[c].set(row.astype(jnp.int32))

        def grow(path: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            """Scan one more row and reach the nearest column that no path has reached yet."""
            u, v, slack, came_from, reached, column = path
            reached = reached.at[column].set(True)
            i = row_of[column]
            reduced = cost[i] - u[i] - v[:c]
            better = ~reached[:c] & (reduced < slack)
            slack = jnp.where(better, reduced, slack)
            came_from = jnp.where(better, column, came_from)
            open_slack = jnp.where(reached[:c], worst, slack)
            nearest = jnp.argmin(open_slack).astype(jnp.int32)
            shift = open_slack[nearest]
            # Rows of reached columns are distinct; the others add 0, so the scatter has no conflict.
            u = u.at[row_of].add(jnp.where(reached, shift, 0))
            v = v - jnp.where(reached, shift, 0)
            slack = jnp.where(reached[:c], slack, slack - shift)
            return u, v, slack, came_from, reached, nearest

        start: tuple[jax.Array, ...] = (
            u,
            v,
            jnp.full(c, worst, cost.dtype),
            jnp.full(c, c, jnp.int32),
            jnp.zeros(c + 1, bool),
            jnp.int32(c),
        )
        u, v, _, came_from, _, end = lax.while_loop(lambda path: row_of[path[-1]] != r, grow, start)

        def shift_back(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            row_of, column = state
            return row_of.at[column].set(row_of[came_from[column]]), came_from[column]

        row_of, _ = lax.while_loop(lambda state: state[1] != c, shift_back, (row_of, end))
        return u, v, row_of

    nothing = (jnp.zeros(r + 1, cost.dtype), jnp.zeros(c + 1, cost.dtype), jnp.full(c + 1, r, jnp.int32))
    row_of = lax.fori_loop(0, r, insert, nothing)[2][:c]
    column_of = jnp.zeros(r, jnp.int32).at[row_of].set(jnp.arange(c, dtype=jnp.int32), mode="drop")
    return column_of, jnp.where(row_of == r, -1, row_of)
