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
    missing_a, missing_b = problem.a - jnp.sum(plan, 1), problem.b - jnp.sum(plan, 0)
    error = jnp.sum(jnp.abs(missing_a)) + jnp.sum(jnp.abs(missing_b))
    mass = jnp.sum(problem.a)
    cost = jnp.sum(plan * problem.costs)
    loss = jnp.sum(plan * slack)

    eps = jnp.finfo(plan.dtype).eps
    magnitude = jnp.sum(plan * (jnp.abs(problem.costs) + jnp.abs(f)[:, None] + jnp.abs(g)))
    negligible = 4 * eps * magnitude
    # a cost of zero to rounding has no relative gap
    free = (jnp.abs(cost) <= 100 * negligible) & (loss <= negligible)
    gap = jnp.where(free, 0, jnp.maximum(loss, 0) / jnp.maximum(jnp.abs(cost), jnp.finfo(plan.dtype).tiny))
    error = jnp.where(mass > 0, error / jnp.where(mass > 0, mass, 1), 0)
    solved = (gap <= tolerance) & (error <= 1e3 * eps)
    status = jnp.where(solved, SOLVED, UNSOLVED).astype(jnp.int32)
    return OTSolution(plan, f, g, cost, cost - loss, gap, error, status, n_iter.astype(jnp.int32))
