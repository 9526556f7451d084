"""POT's network simplex behind ``jax.pure_callback``: the reference on a CPU."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fairjax.ot.certificate import certify
from fairjax.ot.problem import Duals, Problem, gap_tolerance, solve, with_gradient
from fairjax.ot.solution import OTSolution


def host(
    costs: ArrayLike, a: ArrayLike | None = None, b: ArrayLike | None = None, *, init: Duals | None = None
) -> OTSolution:
    """Optimal transport by POT's network simplex (first version)."""

    def solver(problem: Problem) -> OTSolution:
        plan, g, n_iter = _call(problem)
        return jax.vmap(certify, (0, 0, 0, 0, None))(problem, plan, g, n_iter, gap_tolerance(problem.costs.dtype))

    return solve(with_gradient(solver), costs, a, b, init)


def _call(problem: Problem) -> tuple[Array, Array, Array]:
    costs = problem.costs
    shapes = (
        jax.ShapeDtypeStruct(costs.shape, costs.dtype),
        jax.ShapeDtypeStruct(problem.b.shape, costs.dtype),
        jax.ShapeDtypeStruct(costs.shape[:-2], jnp.int32),
    )
    return jax.pure_callback(_solve_batch, shapes, *problem, vmap_method="broadcast_all")


def _solve_batch(*leaves: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    costs, a, b, _, g = (np.asarray(leaf) for leaf in leaves)
    batch = costs.shape[:-2]
    n, m = costs.shape[-2:]
    problems = zip(costs.reshape(-1, n, m), a.reshape(-1, n), b.reshape(-1, m), g.reshape(-1, m), strict=True)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        plans, duals, counts = zip(*threads.map(lambda problem: _solve_one(*problem), problems), strict=True)
    return (
        np.stack(plans).reshape(costs.shape).astype(costs.dtype),
        np.stack(duals).reshape(*batch, m).astype(costs.dtype),
        np.array(counts, np.int32).reshape(batch),
    )


def _solve_one(costs: np.ndarray, a: np.ndarray, b: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    from ot.lp.emd_wrap import emd_c

    plan, duals = np.zeros(costs.shape), np.zeros(len(b))
    rows, cols = np.flatnonzero(a), np.flatnonzero(b)
    if len(rows) and len(cols):
        inside = np.ix_(rows, cols)
        some_a, some_b = a[rows].astype(float), b[cols].astype(float)
        found, _, _, v, _ = emd_c(
            some_a / some_a.sum(), some_b / some_b.sum(), np.ascontiguousarray(costs[inside], float), 10**8, 1
        )
        plan[inside] = found * some_a.sum()
        duals[cols] = v
    return plan, duals, 0
