"""POT's network simplex behind a host callback: the reference on a CPU.

The solver releases Python's lock, so a batch is spread over threads. From good duals it is faster to solve a restricted
problem first: of the edges, a few times n+m with the least reduced cost and a path of edges that makes it feasible go
to POT's sparse solver; every other edge that its duals price negatively joins, until none does. On one FCA block of
Adult, 1077 × 2179, that takes 0.05–0.09 s from duals that are off by 0.1–3 % of the cost, where the dense solver takes
0.14–0.21 s from the same duals and 0.28 s from none.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental.buffer_callback import buffer_callback
from jax.typing import ArrayLike

from fairjax.errors import InputError
from fairjax.ot.certificate import certify
from fairjax.ot.problem import Duals, Problem, gap_tolerance, solve, with_gradient
from fairjax.ot.solution import OTSolution

_EDGES_PER_POINT = 6  # of the first restricted problem; as many may join in each round
_MAX_ROUNDS = 30
_SIMPLEX_STEPS = 10**9


def host(
    costs: ArrayLike, a: ArrayLike | None = None, b: ArrayLike | None = None, *, init: Duals | None = None
) -> OTSolution:
    """Solve the problem of :func:`fairjax.ot.exact` by POT's network simplex on the host, in float64, over threads.

    Parameters
    ----------
    costs, a, b : as in :func:`fairjax.ot.exact`.
    init : (f, g), optional
        Duals to start from. They should come from similar costs: then edges are generated as they are needed, several
        times faster than a start from nothing.

    Returns
    -------
    OTSolution
        With a basic plan. ``n_iter`` counts the linear programmes solved. The certificate is computed here, not taken
        from POT.

    Raises
    ------
    InputError
        As :func:`fairjax.ot.exact`, and when POT is not installed: ``pip install 'fairjax[host]'``.

    Notes
    -----
    Works under ``jit``, ``vmap`` and ``grad`` wherever host callbacks do. Under ``vmap`` all problems come in one call.

    Examples
    --------
    >>> from fairjax import ot
    >>> round(float(ot.host([[0.0, 2.0], [1.0, 0.0], [1.0, 4.0]]).primal), 6)
    0.666667
    """
    try:
        import ot.lp  # noqa: F401
    except ModuleNotFoundError:
        raise InputError("fairjax.ot.host needs POT: pip install 'fairjax[host]', or use fairjax.ot.exact") from None
    return solve(_solver(init is not None), costs, a, b, init)


@cache
def _solver(warm: bool) -> Callable[[Problem], OTSolution]:
    def solver(problem: Problem) -> OTSolution:
        dtype = problem.costs.dtype
        shapes = (
            jax.ShapeDtypeStruct(problem.costs.shape, dtype),
            jax.ShapeDtypeStruct(problem.b.shape, dtype),
            jax.ShapeDtypeStruct(problem.b.shape[:-1], jnp.int32),
        )
        plan, g, n_iter = _called(partial(_solve_batch, warm), shapes, problem.costs, problem.a, problem.b, problem.g)
        tolerance = jnp.full(n_iter.shape, gap_tolerance(dtype), dtype)
        return jax.vmap(certify)(problem, plan, g, n_iter, tolerance)

    return with_gradient(solver)


def _called(function: Callable[..., Sequence[np.ndarray]], shapes: Any, *leaves: Array) -> Any:
    """Outputs of a function of numpy arrays.

    On a CPU it works on the buffers themselves: ``pure_callback`` makes arrays of them first, which can wait for ever
    for the thread that the callback runs on, and which drops digits where float64 is on for the caller's thread only.
    """
    if jax.default_backend() != "cpu":
        return jax.pure_callback(function, shapes, *leaves, vmap_method="broadcast_all")

    def fill(_: Any, outputs: Sequence[Any], *inputs: Any) -> None:
        for output, found in zip(outputs, function(*map(np.asarray, inputs)), strict=True):
            np.asarray(output)[...] = found

    return buffer_callback(fill, shapes, vmap_method="broadcast_all")(*leaves)


def _solve_batch(warm: bool, *leaves: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    costs, a, b, g = (np.asarray(leaf) for leaf in leaves)
    *batch, n, m = costs.shape
    problems = list(zip(costs.reshape(-1, n, m), a.reshape(-1, n), b.reshape(-1, m), g.reshape(-1, m), strict=True))
    plan = np.zeros((len(problems), n, m), costs.dtype)
    duals = np.zeros((len(problems), m), costs.dtype)

    def fill(at: int) -> int:
        return _solve_one(*problems[at], warm, plan[at], duals[at])

    with ThreadPoolExecutor(_n_threads()) as threads:
        counts = np.array(list(threads.map(fill, range(len(problems)))), np.int32)
    return plan.reshape(costs.shape), duals.reshape(*batch, m), counts.reshape(batch)


def _n_threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _solve_one(
    costs: np.ndarray, a: np.ndarray, b: np.ndarray, g: np.ndarray, warm: bool, plan: np.ndarray, duals: np.ndarray
) -> int:
    """Write plan and column duals of one problem into ``plan`` and ``duals``; returns how many programmes it took."""
    from ot.lp.emd_wrap import emd_c

    rows, cols = np.flatnonzero(a), np.flatnonzero(b)
    if len(rows) == 0 or len(cols) == 0:
        return 0
    # POT drops points without mass, and with them the duals' places
    inside = np.ix_(rows, cols)
    dense = costs[inside].astype(float)
    # POT's tolerances are absolute
    lowest = dense.min()
    scale = np.ptp(dense) or 1.0
    dense = (dense - lowest) / scale
    mass = float(a.sum(dtype=float))
    share_a, share_b = a[rows].astype(float), b[cols].astype(float)
    share_a, share_b = share_a / share_a.sum(), share_b / share_b.sum()
    n_solved, answer = 0, None
    if warm:
        n_solved, answer = _by_generation(dense, share_a, share_b, g[cols].astype(float) / scale)
    if answer is None:
        found, _, _, v, _ = emd_c(share_a, share_b, dense, _SIMPLEX_STEPS, 1)
        answer, n_solved = (found, v), n_solved + 1
    # POT's potentials may all be far from zero, which would cost digits in float32
    level = np.average(answer[1], weights=share_b)
    plan[inside], duals[cols] = answer[0] * mass, (answer[1] - level) * scale
    return n_solved


def _by_generation(
    costs: np.ndarray, a: np.ndarray, b: np.ndarray, g: np.ndarray
) -> tuple[int, tuple[np.ndarray, np.ndarray] | None]:
    """Plan and column duals by edge generation from duals g, or None when the rounds were not enough."""
    from ot.lp.emd_wrap import emd_c_sparse

    n, m = costs.shape
    some = min(_EDGES_PER_POINT * (n + m), n * m)
    f = (costs - g).min(1)
    reduced = costs - f[:, None] - g
    lift = reduced.min(0)
    g = g + lift
    reduced -= lift
    # every 16th entry tells well enough where to cut
    sample = reduced.ravel()[:: 16 if n * m >= 16 * some else 1]
    near = np.flatnonzero(reduced.ravel() <= np.partition(sample, cut := some * len(sample) // (n * m) - 1)[cut])
    edges = np.union1d(near[: some * 2], _feasible_path(a, b))
    # POT's own sums of potentials are good to some rounding of the greatest cost
    tolerance = 1e-13 * max(np.abs(costs).max(), np.abs(f).max(), np.abs(g).max())
    for n_solved in range(1, _MAX_ROUNDS + 1):
        rows, cols = np.divmod(edges, m)
        from_rows, to_cols, mass, _, f, g, _ = emd_c_sparse(
            a, b, rows.astype(np.uint64), cols.astype(np.uint64), np.ascontiguousarray(costs[rows, cols]),
            _SIMPLEX_STEPS, np.ascontiguousarray(f), np.ascontiguousarray(g),
        )  # fmt: skip
        slack = (costs - f[:, None] - g).ravel()
        priced_out = np.flatnonzero(slack < -tolerance)
        fresh = priced_out[~np.isin(priced_out, edges, assume_unique=True)]
        if len(fresh) == 0:
            plan = np.zeros_like(costs)
            plan[from_rows.astype(np.int64), to_cols.astype(np.int64)] = mass
            return n_solved, (plan, g)
        if len(fresh) > some:
            fresh = fresh[np.argpartition(slack[fresh], some)[:some]]
        edges = np.union1d(edges, fresh)
    return _MAX_ROUNDS, None


def _feasible_path(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The edges, as flat indices, of the plan that fills columns in order (the north-west corner rule)."""
    ends_a, ends_b = np.cumsum(a), np.cumsum(b)
    ends = np.sort(np.concatenate([ends_a[:-1], ends_b[:-1]]))
    rows = np.concatenate([[0], np.searchsorted(ends_a[:-1], ends, side="right")])
    cols = np.concatenate([[0], np.searchsorted(ends_b[:-1], ends, side="right")])
    # where both end at once, rounding may tell them apart: join the corners
    corners = rows * len(b) + np.concatenate([cols[:1], cols[:-1]])
    return np.union1d(rows * len(b) + cols, corners)
