"""Weak duality: feasible duals by c-transforms, and what a plan and duals prove about each other."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax.ot.problem import Problem
from fairjax.ot.solution import SOLVED, UNSOLVED, OTSolution


def row_duals(problem: Problem, g: Array) -> Array:
    """The greatest f (n,) that is feasible with g (m,): f_i = min_j (cost_ij − g_j) over columns with mass."""
    lowest = jnp.min(jnp.where(problem.b > 0, problem.costs - g, jnp.inf), -1)
    return jnp.where(problem.a > 0, lowest, 0)


def col_duals(problem: Problem, f: Array) -> Array:
    """The greatest g (m,) that is feasible with f (n,): g_j = min_i (cost_ij − f_i) over rows with mass."""
    lowest = jnp.min(jnp.where((problem.a > 0)[:, None], problem.costs - f[:, None], jnp.inf), -2)
    return jnp.where(problem.b > 0, lowest, 0)


def tightened(problem: Problem, g: Array) -> tuple[Array, Array]:
    """Feasible duals that are tight in every row and every column, by two c-transforms of g (m,)."""
    f = row_duals(problem, g)
    return f, col_duals(problem, f)


def certify(problem: Problem, plan: Array, g: Array, n_iter: Array, tolerance: ArrayLike) -> OTSolution:
    """Plan (n, m) and duals g (m,) of any quality as a solution: duals made feasible, gap measured, status set.

    The gap is Σ plan_ij (cost_ij − f_i − g_j) over the cost: summing the slack loses no digits where primal and dual
    agree in most of theirs. What the marginals miss counts towards the gap, at the price of the duals. O(n m).
    """
    f, g = tightened(problem, g)
    slack = jnp.where(plan > 0, problem.costs - f[:, None] - g, 0)
    missing = jnp.sum(jnp.abs(problem.a - jnp.sum(plan, 1))) + jnp.sum(jnp.abs(problem.b - jnp.sum(plan, 0)))
    cost, loss = jnp.sum(plan * problem.costs), jnp.sum(plan * slack)
    magnitude = jnp.sum(plan * (jnp.abs(problem.costs) + jnp.abs(f)[:, None] + jnp.abs(g)))
    gap, error, status = judged(cost, loss, magnitude, missing, jnp.sum(problem.a), tolerance)
    return OTSolution(plan, f, g, cost, cost - loss, gap, error, status, n_iter.astype(jnp.int32))


def judged(
    cost: Array, loss: Array, magnitude: Array, missing: Array, mass: Array, tolerance: ArrayLike
) -> tuple[Array, Array, Array]:
    """Relative gap, marginal error and status (), from sums over a plan and its feasible duals.

    Parameters
    ----------
    cost, loss : () sums of mass times cost and times slack. magnitude : () of mass times |cost| + |f| + |g|, which
    bounds the rounding of both. missing : () ℓ1 error of the marginals. mass : () of the problem.
    """
    eps = jnp.finfo(cost.dtype).eps
    negligible = 4 * eps * magnitude
    # a cost of zero to rounding has no relative gap
    free = (jnp.abs(cost) <= 100 * negligible) & (loss <= negligible)
    gap = jnp.where(free, 0, jnp.maximum(loss, 0) / jnp.maximum(jnp.abs(cost), jnp.finfo(cost.dtype).tiny))
    error = jnp.where(mass > 0, missing / jnp.where(mass > 0, mass, 1), 0)
    solved = (gap <= tolerance) & (error <= 1e3 * eps)
    return gap, error, jnp.where(solved, SOLVED, UNSOLVED).astype(jnp.int32)
