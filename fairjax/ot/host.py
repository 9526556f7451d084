"""POT's network simplex behind a host callback: the reference on a CPU.

The solver releases Python's lock, so a batch is spread over threads. All but small problems are solved from few edges
(:mod:`fairjax.ot.generation`), or by POT's dense solver if that takes too many rounds.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental.buffer_callback import buffer_callback
from jax.typing import ArrayLike

from fairjax._core.status import INFEASIBLE, INVALID
from fairjax.errors import InputError
from fairjax.ot.certificate import Sums, certify, judged
from fairjax.ot.factors import Costs
from fairjax.ot.generation import Flow, by_generation
from fairjax.ot.problem import Duals, TransportProblem, gap_tolerance, mass_tolerance, solve, with_gradient
from fairjax.ot.solution import BasicSolution, OTSolution, Support

_SMALL = 1 << 17  # up to this many entries the dense solver is faster
_SIMPLEX_STEPS = 10**9
_LEAST_POT = "0.9.7"  # the first with emd_c_sparse


def host(
    costs: Costs, a: ArrayLike | None = None, b: ArrayLike | None = None, *, init: Duals | None = None
) -> OTSolution:
    """Solve the problem of :func:`fairjax.ot.exact` by POT's network simplex on the host, in float64, over threads.

    Parameters
    ----------
    costs, a, b
        As in :func:`fairjax.ot.exact`.
    init : (f, g), optional
        Duals to start from. Those for similar costs save some of the time spent on finding duals.

    Returns
    -------
    OTSolution
        With a basic plan. ``n_iter`` counts the linear programmes solved. The certificate is computed here, not taken
        from POT.

    Raises
    ------
    InputError
        As :func:`fairjax.ot.exact`, and if POT 0.9.7 or newer is not installed: ``pip install 'fairjax[host]'``.

    Notes
    -----
    Works under ``jit``, ``vmap`` and ``grad`` wherever host callbacks do. Under ``vmap`` all problems arrive in one
    call. O(n m) memory. Time is O(n m) for smoothing and pricing edges, plus the pivots of the network simplex, whose
    number has no useful bound.

    Examples
    --------
    >>> from fairjax import ot
    >>> round(float(ot.host([[0.0, 2.0], [1.0, 0.0], [1.0, 4.0]]).primal), 6)
    0.666667
    """
    _insist_on_pot()
    return solve(_solver(init is not None), costs, a, b, init)


def host_basic(costs: Array, a: Array, b: Array, *, init: Duals | None = None) -> BasicSolution:
    """:func:`host` for a batch (B, n, m) of problems, without forming their plans: it saves passes over memory.

    Parameters
    ----------
    costs : (B, n, m) float
    a, b : (B, n), (B, m)
    init : (f, g)
        As in :func:`host`.

    Returns
    -------
    BasicSolution
        Its duals are feasible up to rounding. Masses that disagree or are negative, and non-finite costs or starting
        duals, set the status, even eagerly; then the mass is zero, and values and duals are NaN.

    Raises
    ------
    InputError
        If POT 0.9.7 or newer is not installed.

    Notes
    -----
    Works under ``jit`` and ``vmap``, without gradients. The solver takes time and memory as for :func:`host`;
    processing its answer takes O(n + m).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax.ot.host import host_basic
    >>> solution = host_basic(jnp.array([[[0.0, 1.0], [1.0, 0.0]]]), jnp.full((1, 2), 0.5), jnp.full((1, 2), 0.5))
    >>> solution.entries.rows.tolist(), solution.entries.mass.tolist()
    ([[0, 1, 2]], [[0.5, 0.5, 0.0]])
    """
    _insist_on_pot()
    g = jnp.zeros_like(b) if init is None else jnp.asarray(init[1], costs.dtype)
    flow = _called(partial(_solve_batch, init is not None), _shapes(costs, a, b), costs, a, b, g)
    return jax.vmap(_certified)(costs, a, b, *flow)


def available() -> bool:
    """Whether POT is installed in a version with the sparse network simplex that :func:`host` needs.

    Examples
    --------
    >>> from fairjax.ot.host import available
    >>> available()
    True
    """
    return _lacking() is None


def _lacking() -> str | None:
    """Which unusable POT is installed, or that none is; None if :func:`host` can use it."""
    try:
        from ot import __version__
        from ot.lp import emd_wrap
    except ImportError:
        return "none"
    return None if hasattr(emd_wrap, "emd_c_sparse") else str(__version__)


def _insist_on_pot() -> None:
    lacking = _lacking()
    if lacking is not None:
        raise InputError(
            f"fairjax.ot.host needs POT {_LEAST_POT} or newer, found {lacking}: pip install 'fairjax[host]', or use "
            "fairjax.ot.exact"
        )


def _certified(
    costs: Array, a: Array, b: Array, rows: Array, cols: Array, mass: Array, f: Array, g: Array, n_iter: Array
) -> BasicSolution:
    """What the entries (E,) of a plan and feasible duals prove for one problem; O(n + m)."""
    mass_a, mass_b = jnp.sum(a), jnp.sum(b)
    invalid = (n_iter < 0) | ~jnp.isfinite(mass_a + mass_b)
    disagree = jnp.abs(mass_a - mass_b) > mass_tolerance(costs.dtype) * jnp.maximum(mass_a, mass_b)
    # the plan carries the mass of a
    b = b * jnp.where(mass_b > 0, mass_a / jnp.where(mass_b > 0, mass_b, 1), 1)

    each = costs.at[rows, cols].get(mode="fill", fill_value=0)
    f_each, g_each = f.at[rows].get(mode="fill", fill_value=0), g.at[cols].get(mode="fill", fill_value=0)
    missing_a, missing_b = a.at[rows].add(-mass, mode="drop"), b.at[cols].add(-mass, mode="drop")
    sums = Sums(
        cost=jnp.sum(mass * each),
        loss=jnp.sum(mass * (each - f_each - g_each)),
        magnitude=jnp.sum(mass * (jnp.abs(each) + jnp.abs(f_each) + jnp.abs(g_each))),
        missing=jnp.sum(jnp.abs(missing_a)) + jnp.sum(jnp.abs(missing_b)),
        unpaid=jnp.sum(missing_a * f) + jnp.sum(missing_b * g),
        mass=mass_a,
    )
    dual, gap, error, status = judged(sums, gap_tolerance(costs.dtype))
    status = jnp.where(invalid, INVALID, jnp.where(disagree, INFEASIBLE, status)).astype(jnp.int32)
    sound = ~invalid & ~disagree
    f, g, cost, dual, gap, error = (jnp.where(sound, leaf, jnp.nan) for leaf in (f, g, sums.cost, dual, gap, error))
    entries = Support(jnp.where(sound, rows, len(a)), jnp.where(sound, cols, len(b)), jnp.where(sound, mass, 0))
    return BasicSolution(entries, f, g, cost, dual, gap, error, status, jnp.maximum(n_iter, 0))


@cache
def _solver(warm: bool) -> Callable[[TransportProblem], OTSolution]:
    def solver(problem: TransportProblem) -> OTSolution:
        costs, a, b, _, g = problem
        rows, cols, mass, _, g, n_iter = _called(partial(_solve_batch, warm), _shapes(costs, a, b), costs, a, b, g)
        tolerance = gap_tolerance(costs.dtype)

        def finished(
            problem: TransportProblem, rows: Array, cols: Array, mass: Array, g: Array, n_iter: Array
        ) -> OTSolution:
            plan = jnp.zeros_like(problem.costs).at[rows, cols].set(mass, mode="drop")
            return certify(problem, plan, g, n_iter, tolerance)

        return jax.vmap(finished)(problem, rows, cols, mass, g, n_iter)

    return with_gradient(solver)


def _shapes(costs: Array, a: Array, b: Array) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Shapes and dtypes of what :func:`_solve_batch` returns."""
    *batch, n, m = costs.shape
    n_entries = (*batch, n + m - 1)
    ends, mass = jax.ShapeDtypeStruct(n_entries, jnp.int32), jax.ShapeDtypeStruct(n_entries, costs.dtype)
    f, g = (jax.ShapeDtypeStruct(masses.shape, costs.dtype) for masses in (a, b))
    return ends, ends, mass, f, g, jax.ShapeDtypeStruct(tuple(batch), jnp.int32)


def _called(function: Callable[..., Sequence[np.ndarray]], shapes: Any, *leaves: Array) -> Any:
    """Outputs of a function of numpy arrays.

    On a CPU it works on the buffers themselves: ``pure_callback`` would first convert them to arrays, which can
    deadlock with the thread that runs the callback, and which drops digits if float64 is enabled only in the caller's
    thread.
    """
    if jax.default_backend() != "cpu":
        return jax.pure_callback(function, shapes, *leaves, vmap_method="broadcast_all")

    def fill(_: Any, outputs: Sequence[Any], *inputs: Any) -> None:
        for output, found in zip(outputs, function(*map(np.asarray, inputs)), strict=True):
            np.asarray(output)[...] = found

    return buffer_callback(fill, shapes, vmap_method="broadcast_all")(*leaves)


def _solve_batch(warm: bool, *leaves: ArrayLike) -> tuple[np.ndarray, ...]:
    """Rows, columns and masses (..., n+m−1) of basic plans, feasible duals, and the number of programmes solved for
    each.

    Rows and columns are n and m as padding. The number is −1 if costs, masses or duals are invalid.
    """
    costs, a, b, g = (np.asarray(leaf) for leaf in leaves)
    *batch, n, m = costs.shape
    problems = list(zip(costs.reshape(-1, n, m), a.reshape(-1, n), b.reshape(-1, m), g.reshape(-1, m), strict=True))
    shape = (len(problems), n + m - 1)
    rows, cols = np.full(shape, n, np.int32), np.full(shape, m, np.int32)
    mass = np.zeros(shape, costs.dtype)
    f, g = np.zeros((len(problems), n), costs.dtype), np.zeros((len(problems), m), costs.dtype)

    def fill(at: int) -> int:
        return _solve_one(*problems[at], warm, Written(rows[at], cols[at], mass[at], f[at], g[at]))

    with ThreadPoolExecutor(_n_threads()) as threads:
        counts = np.array(list(threads.map(fill, range(len(problems)))), np.int32)
    return tuple(leaf.reshape(*batch, *leaf.shape[1:]) for leaf in (rows, cols, mass, f, g, counts))


def _n_threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Written(NamedTuple):
    """Where the answer to one problem goes: entries (n+m−1,) of the plan and duals f (n,), g (m,)."""

    rows: np.ndarray
    cols: np.ndarray
    mass: np.ndarray
    f: np.ndarray
    g: np.ndarray


def _solve_one(costs: np.ndarray, a: np.ndarray, b: np.ndarray, g: np.ndarray, warm: bool, out: Written) -> int:
    # POT drops points without mass, which would shift the duals
    rows, cols = np.flatnonzero(a), np.flatnonzero(b)
    if len(rows) == 0 or len(cols) == 0:
        return 0
    inside = costs if len(rows) == len(a) and len(cols) == len(b) else costs[np.ix_(rows, cols)]
    # POT's tolerances are absolute
    lowest, highest = float(inside.min()), float(inside.max())
    share_a, share_b = a[rows].astype(float), b[cols].astype(float)
    mass = float(share_a.sum())
    sums = [lowest, highest, mass, share_b.sum(), g[cols].sum()]
    if not np.isfinite(sums).all() or min(share_a.min(), share_b.min()) < 0:
        return -1
    scale = highest - lowest or 1.0
    scaled = (inside - lowest) / scale
    share_a, share_b = share_a / mass, share_b / share_b.sum()
    flow = None
    if inside.size > _SMALL:
        flow = by_generation(scaled, share_a, share_b, g[cols].astype(float) / scale if warm else None)
    if flow is None:
        flow = _dense(scaled, share_a, share_b)
    by_row = np.lexsort((flow.cols, flow.rows))
    count = len(by_row)
    out.rows[:count], out.cols[:count] = rows[flow.rows[by_row]], cols[flow.cols[by_row]]
    out.mass[:count] = flow.mass[by_row] * mass
    # computed from the costs themselves, so that they are feasible in that precision
    duals = (flow.g * scale).astype(costs.dtype)
    reduced = inside - duals
    lowered = reduced.min(1)
    out.f[rows] = lowered
    reduced -= lowered[:, None]
    out.g[cols] = duals + reduced.min(0)
    return flow.n_solved


def _dense(costs: np.ndarray, a: np.ndarray, b: np.ndarray) -> Flow:
    from ot.lp.emd_wrap import emd_c

    found, _, _, g, _ = emd_c(a, b, np.ascontiguousarray(costs, float), _SIMPLEX_STEPS, 1)
    rows, cols = np.nonzero(found)
    return Flow(rows, cols, found[rows, cols], g - g @ b, 1)
