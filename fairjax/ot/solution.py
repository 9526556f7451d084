"""What every transport solver returns, and what its status means."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax.errors import InputError

SOLVED, UNSOLVED, INFEASIBLE, INVALID = 0, 1, 2, 3

MESSAGES = {
    SOLVED: "solved: the gap to the proven bound, for Sinkhorn the error of the marginals, is within tolerance",
    UNSOLVED: "stopped before gap and marginals were within tolerance; gap and marginal_error say how far off the plan "
    "may be: allow more iterations, or for Sinkhorn a higher reg",
    INFEASIBLE: "a and b do not carry the same mass: rescale one of them",
    INVALID: "costs, weights or init are invalid (NaN, infinite, or negative weights)",
}


class OTSolution(NamedTuple):
    """A transport plan with the proof of how good it is; every leaf has the batch axes of the costs.

    Attributes
    ----------
    plan : (..., n, m)
        Mass from row to column, non-negative; rows sum to a, columns to b. NaN where the status is 2 or 3.
    f, g : (..., n), (..., m)
        Feasible duals, f_i + g_j ≤ cost_ij wherever both ends carry mass; 0 where a point carries none.
    primal, dual : (...)
        Cost of ``plan`` and the proven lower bound a·f + b·g on the cost of any plan.
    gap : (...)
        (primal − dual) / |primal|, summed as slack without cancellation; 0 when below rounding.
    marginal_error : (...)
        ℓ1 distance of the plan's marginals from a and b, both together, over the total mass.
    status : (...) int32
        0 solved, 1 gap not within tolerance, 2 masses disagree, 3 invalid input; texts in ``fairjax.ot.MESSAGES``.
    n_iter : (...) int32
        Iterations, of the kind that the solver's documentation names.
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
    """

    rows: Array
    cols: Array
    mass: Array


class BasicSolution(NamedTuple):
    """An :class:`OTSolution` that lists the entries of its basic plan in place of the plan, whose n·m numbers it saves.

    Attributes
    ----------
    entries : :class:`Support` of the plan, without mass where the status is 2 or 3. The others as in OTSolution.
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
    """The at most n+m−1 positive entries of an exact plan (NaN plans have none).

    Raises
    ------
    InputError
        Eagerly, when a plan has more positive entries, as those of :func:`fairjax.ot.sinkhorn` have. Under ``jit`` the
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
    if not isinstance(plan, jax.core.Tracer):
        found = int(jnp.max(jnp.sum(plan > 0, (-2, -1)))) if plan.size else 0
        if found > n + m - 1:
            raise InputError(
                f"the plan has {found} positive entries; a basic one has at most n+m-1 = {n + m - 1}: take the plan "
                "of fairjax.ot.exact"
            )
    flat = plan.reshape(-1, n * m)
    places = jax.vmap(lambda one: jnp.nonzero(one > 0, size=n + m - 1, fill_value=n * m)[0])(flat)
    mass = jax.vmap(lambda one, at: one.at[at].get(mode="fill", fill_value=0))(flat, places)
    inside = places < n * m
    rows = jnp.where(inside, places // m, n).astype(jnp.int32)
    cols = jnp.where(inside, places % m, m).astype(jnp.int32)
    shape = (*plan.shape[:-2], n + m - 1)
    return Support(rows.reshape(shape), cols.reshape(shape), mass.reshape(shape))


def check(solution: OTSolution) -> OTSolution:
    """The solution itself when every problem of the batch is solved.

    Raises
    ------
    InputError
        When a problem has status 2 or 3.
    RuntimeError
        When one has status 1. Call it on the host: it needs concrete values.

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
        raise RuntimeError(f"{message}; greatest relative gap {np.asarray(solution.gap).max():.1e}")
    raise InputError(message)
