"""Weak duality: feasible duals by c-transforms, and what a plan and duals prove about each other."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax._core.status import SOLVED, UNSOLVED
from fairjax.ot.problem import TransportProblem
from fairjax.ot.solution import OTSolution


def row_duals(problem: TransportProblem, g: Array) -> Array:
    """The greatest f (n,) that is feasible with g (m,): f_i = min_j (cost_ij − g_j) over columns with mass."""
    lowest = jnp.min(jnp.where(problem.b > 0, problem.costs - g, jnp.inf), -1)
    return jnp.where(problem.a > 0, lowest, 0)


def col_duals(problem: TransportProblem, f: Array) -> Array:
    """The greatest g (m,) that is feasible with f (n,): g_j = min_i (cost_ij − f_i) over rows with mass."""
    lowest = jnp.min(jnp.where((problem.a > 0)[:, None], problem.costs - f[:, None], jnp.inf), -2)
    return jnp.where(problem.b > 0, lowest, 0)


def tightened(problem: TransportProblem, g: Array) -> tuple[Array, Array]:
    """Feasible duals that are tight in every row and column, by two c-transforms of g (m,)."""
    f = row_duals(problem, g)
    return f, col_duals(problem, f)


def certify(problem: TransportProblem, plan: Array, g: Array, n_iter: Array, tolerance: ArrayLike) -> OTSolution:
    """Any plan (n, m) and duals g (m,) as a solution: duals made feasible, gap measured, status set; O(n m).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax.ot.certificate import certify
    >>> from fairjax.ot.problem import TransportProblem
    >>> half = jnp.array([0.5, 0.5])
    >>> problem = TransportProblem(jnp.array([[0.0, 2.0], [2.0, 0.0]]), half, half, 0 * half, 0 * half)
    >>> found = certify(problem, jnp.full((2, 2), 0.25), jnp.zeros(2), jnp.int32(0), 1e-5)
    >>> float(found.primal), float(found.dual), float(found.gap), int(found.status)
    (1.0, 0.0, 1.0, 1)
    """
    f, g = tightened(problem, g)
    slack = jnp.where(plan > 0, problem.costs - f[:, None] - g, 0)
    missing_a, missing_b = problem.a - jnp.sum(plan, 1), problem.b - jnp.sum(plan, 0)
    sums = Sums(
        cost=jnp.sum(plan * problem.costs),
        loss=jnp.sum(plan * slack),
        magnitude=jnp.sum(plan * (jnp.abs(problem.costs) + jnp.abs(f)[:, None] + jnp.abs(g))),
        missing=jnp.sum(jnp.abs(missing_a)) + jnp.sum(jnp.abs(missing_b)),
        unpaid=jnp.sum(missing_a * f) + jnp.sum(missing_b * g),
        mass=jnp.sum(problem.a),
    )
    dual, gap, error, status = judged(sums, tolerance)
    return OTSolution(plan, f, g, sums.cost, dual, gap, error, status, n_iter.astype(jnp.int32))


class Sums(NamedTuple):
    """Sums over a plan and feasible duals, each ().

    Attributes
    ----------
    cost, loss
        Sums of mass times cost and times slack.
    magnitude
        Sum of mass times |cost| + |f| + |g|, which bounds the rounding of both.
    missing, unpaid
        ℓ1 error of the marginals, and their signed errors at the price of the duals.
    mass
        Mass of the problem.
    """

    cost: Array
    loss: Array
    magnitude: Array
    missing: Array
    unpaid: Array
    mass: Array


def judged(sums: Sums, tolerance: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """Dual value a·f + b·g, relative gap, marginal error and status, each ().

    The gap is Σ plan_ij (cost_ij − f_i − g_j) over the cost: summing the slack loses no digits where primal and dual
    agree in most of theirs. A plan that misses its marginals by more than rounding is infeasible, and its cost is not
    an upper bound: then the gap is infinite.
    """
    eps = jnp.finfo(sums.cost.dtype).eps
    negligible = 4 * eps * sums.magnitude
    # marginal errors within rounding do not change the dual value
    unpaid = jnp.where(jnp.abs(sums.unpaid) <= negligible, 0, sums.unpaid)
    dual = sums.cost - sums.loss + unpaid
    # a cost that is zero up to rounding has no relative gap
    free = (jnp.abs(sums.cost) <= 100 * negligible) & (sums.loss <= negligible)
    tiny = jnp.finfo(sums.cost.dtype).tiny
    gap = jnp.where(free, 0, jnp.maximum(sums.loss, 0) / jnp.maximum(jnp.abs(sums.cost), tiny))
    error = jnp.where(sums.mass > 0, sums.missing / jnp.where(sums.mass > 0, sums.mass, 1), 0)
    met = error <= 1e3 * eps
    status = jnp.where(met & (gap <= tolerance), SOLVED, UNSOLVED).astype(jnp.int32)
    return dual, jnp.where(met, gap, jnp.inf), error, status
