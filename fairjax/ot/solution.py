"""What every transport solver returns, and what its status means."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax._core.status import INFEASIBLE, INVALID, SOLVED, UNSOLVED
from fairjax.errors import InputError
from fairjax.ot.arguments import is_traced

_CHUNK = 64  # entries of a row that are counted together when a plan is read

MESSAGES = {
    SOLVED: "solved: the gap to the proven bound, for Sinkhorn the error of the marginals, is within tolerance",
    UNSOLVED: "stopped before gap and marginals were within tolerance; gap and marginal_error say how far off the plan "
    "may be: allow more iterations, or for Sinkhorn a higher reg",
    INFEASIBLE: "a and b do not carry the same mass: rescale one of them",
    INVALID: "costs, weights or init are invalid (NaN, infinite, or negative weights)",
}


class OTSolution(NamedTuple):
    """A transport plan with a proof of how good it is; every leaf has the batch axes of the costs.

    Attributes
    ----------
    plan : (..., n, m)
        Mass from row to column, non-negative; rows sum to a, columns to b. NaN if the status is 2 or 3.
    f, g : (..., n), (..., m)
        Feasible duals, f_i + g_j ≤ cost_ij wherever both ends carry mass; 0 where a point carries none.
    primal, dual : (...)
        Cost of ``plan``, and a proven lower bound on the cost of any plan, whatever the status: a·f + b·g (for Sinkhorn
        after one more c-transform, since its own g is kept for warm starts).
    gap : (...)
        (primal − dual) / |primal|, summed as slack without cancellation; 0 when below rounding. Infinite if the
        marginals are missed by more than rounding, since the cost of such a plan is not an upper bound.
    marginal_error : (...)
        ℓ1 distance of the plan's marginals from a and b together, divided by the total mass.
    status : (...) int32
        0 solved, 1 gap not within tolerance, 2 masses disagree, 3 invalid input; texts in ``fairjax.ot.MESSAGES``.
    n_iter : (...) int32
        Iterations, in the unit that the solver documents.

    Examples
    --------
    >>> from fairjax import ot
    >>> solution = ot.exact([[0.0, 2.0], [1.0, 4.0]])
    >>> float(solution.primal), float(solution.dual), float(solution.gap)
    (1.5, 1.5, 0.0)
    """

    plan: Array
    f: Array
    g: Array
    primal: Array
    dual: Array
    gap: Array
    marginal_error: Array
    status: Array
    n_iter: Array


class Support(NamedTuple):
    """The positive entries of a basic plan, padded with zero mass; every leaf has the batch axes of the plan.

    Attributes
    ----------
    rows, cols : (..., n+m−1) int32
        Ends of each entry, in row-major order; n and m as padding, so that scatters with ``mode="drop"`` skip it.
    mass : (..., n+m−1)
        Mass of each entry; 0 as padding.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax import ot
    >>> rows, cols, mass = ot.support(ot.exact([[0.0, 1.0], [1.0, 0.0]]))
    >>> jnp.zeros((2, 2)).at[rows, cols].add(mass, mode="drop").tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """

    rows: Array
    cols: Array
    mass: Array


class BasicSolution(NamedTuple):
    """An :class:`OTSolution` that lists the entries of its basic plan instead of the plan, which saves n·m numbers.

    Attributes
    ----------
    entries : :class:`Support`
        Entries of the plan, without mass if the status is 2 or 3. All other fields as in OTSolution, NaN in that case.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax import ot
    >>> half = jnp.full((1, 2), 0.5)
    >>> solution = ot.host_basic(jnp.array([[[0.0, 2.0], [1.0, 4.0]]]), half, half)
    >>> solution.entries.mass.shape, solution.primal.tolist()
    ((1, 3), [1.5])
    """

    entries: Support
    f: Array
    g: Array
    primal: Array
    dual: Array
    gap: Array
    marginal_error: Array
    status: Array
    n_iter: Array


def support(solution: OTSolution) -> Support:
    """The positive entries of an exact plan, at most n+m−1 (NaN plans have none).

    Raises
    ------
    InputError
        Eagerly, if a plan has more positive entries, as those of :func:`fairjax.ot.sinkhorn` have. Under ``jit`` the
        first n+m−1 are returned.

    Notes
    -----
    O(n m) per problem.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax import ot
    >>> entries = ot.support(ot.exact(jnp.array([[0.0, 1.0], [1.0, 0.0]])))
    >>> entries.rows.tolist(), entries.cols.tolist(), entries.mass.tolist()
    ([0, 1, 2], [0, 1, 2], [0.5, 0.5, 0.0])
    """
    plan = solution.plan
    n, m = plan.shape[-2:]
    if not is_traced(plan):
        n_found = int(jnp.max(jnp.sum(plan > 0, (-2, -1)))) if plan.size else 0
        if n_found > n + m - 1:
            raise InputError(
                f"the plan has {n_found} positive entries; a basic one has at most n+m-1 = {n + m - 1}: take the plan "
                "of fairjax.ot.exact"
            )
    found = jax.vmap(lambda one: positive_entries(one, n + m - 1))(plan.reshape(-1, n, m))
    return jax.tree.map(lambda leaf: leaf.reshape(*plan.shape[:-2], n + m - 1), found)


def positive_entries(plan: Array, size: int) -> Support:
    """The positive entries (size,) of a plan (n, m), padded, or the first of them if there are more.

    One pass over the plan counts them in chunks; only chunks that hold one are looked at again.
    """
    n, m = plan.shape
    chunks = jnp.pad(plan, ((0, 0), (0, -m % _CHUNK))).reshape(-1, _CHUNK)
    per_row = chunks.shape[0] // n
    counts = jnp.sum(chunks > 0, -1, dtype=jnp.int32)
    ends = jnp.cumsum(counts)
    entry = jnp.arange(size, dtype=jnp.int32)
    chunk = jnp.minimum(jnp.searchsorted(ends, entry, side="right"), len(chunks) - 1).astype(jnp.int32)
    rank = entry - (ends[chunk] - counts[chunk])
    inside = chunks[chunk]
    place = jnp.argmax(jnp.cumsum(inside > 0, -1, dtype=jnp.int32) > rank[:, None], -1).astype(jnp.int32)
    present = entry < ends[-1]
    return Support(
        jnp.where(present, chunk // per_row, n),
        jnp.where(present, chunk % per_row * _CHUNK + place, m),
        jnp.where(present, jnp.take_along_axis(inside, place[:, None], 1)[:, 0], 0),
    )


def check(solution: OTSolution) -> OTSolution:
    """The solution itself, if every problem of the batch is solved.

    Raises
    ------
    InputError
        If a problem has status 2 or 3.
    RuntimeError
        If one has status 1. Call it on the host: it needs concrete values.

    Notes
    -----
    O(B) for B problems.

    Examples
    --------
    >>> from fairjax import ot
    >>> ot.check(ot.exact([[0.0, 1.0], [1.0, 0.0]])).primal.item()
    0.0
    """
    status = np.asarray(solution.status).reshape(-1)
    worst = int(status.max(initial=SOLVED))
    if worst == SOLVED:
        return solution
    where = np.flatnonzero(status == worst)
    count = f"problem {where[0]}" if len(where) == 1 else f"{len(where)} problems, the first is {where[0]}"
    message = f"{count} of {len(status)}: {MESSAGES[worst]}"
    if worst == UNSOLVED:
        gap, error = (np.asarray(leaf).max() for leaf in (solution.gap, solution.marginal_error))
        raise RuntimeError(f"{message}; greatest relative gap {gap:.1e}, greatest error of the marginals {error:.1e}")
    raise InputError(message)
