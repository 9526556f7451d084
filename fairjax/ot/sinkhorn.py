"""Entropic transport: ott-jax's Sinkhorn from an annealed start, then a plan with exact marginals and its gap.

The start comes from :mod:`fairjax.ot.smoothing`, which anneals the temperature down to ``reg`` by matrix products; that
is ε-scaling at a tenth of the cost of iterations in the log domain. From there ott-jax iterates in the log domain to
the tolerance. Its implicit gradient (0.6.0) raises deprecation warnings and did not finish within minutes on a 6 × 8
problem at a tolerance of 1e-11, so the fixed point is differentiated by a dense solve of our own.
"""

import warnings
from collections.abc import Callable
from functools import cache, partial
from numbers import Real

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike

from fairjax._core.checks import check_count
from fairjax._core.status import SOLVED, UNSOLVED
from fairjax.errors import InputError
from fairjax.ot.arguments import is_traced, real_array
from fairjax.ot.certificate import certify, row_duals, tightened
from fairjax.ot.factors import Costs, cost_array
from fairjax.ot.problem import Duals, TransportProblem, solve
from fairjax.ot.rounding import rounded
from fairjax.ot.smoothing import smoothed_duals
from fairjax.ot.solution import OTSolution

# relative to the mean cost, never below reg; given duals start at reg
_COLD, _WARM = (0.1, 0.03, 0.01, 0.003, 0.001), (0.0,)


def sinkhorn(
    costs: Costs,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    reg: ArrayLike = 0.01,
    *,
    init: Duals | None = None,
    tolerance: float | None = None,
    max_iter: int = 2000,
) -> OTSolution:
    """Solve min Σ_ij plan_ij cost_ij − reg · H(plan), H the entropy −Σ plan log plan, and round to exact marginals.

    Parameters
    ----------
    costs, a, b
        As in :func:`fairjax.ot.exact`.
    reg : () or (...) float
        Weight of the entropy, in the units of the costs for a total mass of 1, as in POT and as the λ of the FCA paper.
            For a temperature relative to the costs pass a multiple of their mean. May be traced.
        init : (f, g), optional
            Duals to start from instead of annealing, such as those of a solution for similar costs at the same ``reg``;
            those of the solution itself leave only the digits beyond single precision to find.
    tolerance : float, optional
        ℓ1 error of the marginals before rounding, relative to the mass; 1e-6 in float64 and 1e-4 in float32. Static.
    max_iter : int
        Iterations in the log domain. Static.

    Returns
    -------
    OTSolution
        With a dense plan. Status 0 says that the iterations have converged; the gap, to the problem *without* entropy,
        is of the order of ``reg`` and does not affect the status. ``g`` is the dual of the entropic problem, from which
        another solve can start, and ``f`` its c-transform; ``dual`` comes from one more c-transform.
        ``n_iter`` counts iterations in the log domain, without annealing.

    Raises
    ------
    InputError
        As :func:`fairjax.ot.exact`, and for a ``reg`` of the wrong shape, or a concrete one that is not positive and
        finite.

    Notes
    -----
    Works under ``jit`` and ``vmap``. Reverse-mode differentiable in costs, a, b and reg by the implicit function
    theorem at the fixed point, to the accuracy of ``tolerance``. O(n m) per iteration, O(m² (n + m)) for a gradient.

    Examples
    --------
    >>> from fairjax import ot
    >>> solution = ot.sinkhorn([[0.0, 1.0], [1.0, 0.0]], reg=0.1)
    >>> int(solution.status), round(float(solution.primal), 3)
    (0, 0.0)
    """
    check_count("max_iter", max_iter)
    if tolerance is not None and (not isinstance(tolerance, Real) or not 0 < tolerance < np.inf):
        raise InputError(f"tolerance is {tolerance!r}; expected a positive number")
    costs, regs = cost_array(costs), real_array("reg", reg)
    if not is_traced(regs) and not (np.isfinite(regs) & (np.asarray(regs) > 0)).all():
        raise InputError(f"reg is {reg}; expected a positive, finite weight of the entropy")
    if regs.ndim and regs.shape != costs.shape[:-2]:
        raise InputError(f"reg has shape {regs.shape}; expected () or {costs.shape[:-2]}, one for each problem")
    regs = jnp.broadcast_to(regs, costs.shape[:-2]).reshape(-1)
    return solve(_solver(init is not None, tolerance, max_iter), costs, a, b, init, regs)


@cache
def _solver(warm: bool, tolerance: float | None, max_iter: int) -> Callable[..., OTSolution]:
    def solver(problem: TransportProblem, regs: Array) -> OTSolution:
        dtype = problem.costs.dtype
        regs = regs.astype(dtype)
        error = (1e-6 if jnp.finfo(dtype).bits >= 64 else 1e-4) if tolerance is None else tolerance
        fixed, fixed_regs = jax.lax.stop_gradient((problem, regs))
        # given duals are those of a solution: c-transforms of the columns' would lose their information
        f, g = (jax.vmap(row_duals)(fixed, fixed.g), fixed.g) if warm else jax.vmap(tightened)(fixed, fixed.g)
        g = smoothed_duals(fixed.costs, fixed.a, fixed.b, f, g, _WARM if warm else _COLD, floor=fixed_regs, n_kernels=2)
        return jax.vmap(partial(_solve_one, tolerance=error, max_iter=max_iter))(
            problem, jax.lax.stop_gradient(g), regs
        )

    return solver


def _solve_one(problem: TransportProblem, g: Array, reg: Array, *, tolerance: float, max_iter: int) -> OTSolution:
    with warnings.catch_warnings():
        # ott-jax 0.6 imports the deprecated jaxopt
        warnings.simplefilter("ignore", DeprecationWarning)
        from ott.geometry import geometry
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import sinkhorn as ott_sinkhorn

    costs, a, b = problem.costs, problem.a, problem.b
    n, m = costs.shape
    mass = jnp.sum(a)
    empty = mass <= 0
    share_a = jnp.where(empty, 1 / n, a / jnp.where(empty, 1, mass))
    share_b = jnp.where(empty, 1 / m, b / jnp.where(empty, 1, mass))
    active = (share_a > 0)[:, None] & (share_b > 0)
    masked = jnp.where(share_b > 0, (g - costs) / reg, -jnp.inf)
    log_a = jnp.log(jnp.where(share_a > 0, share_a, 1))
    f = jax.lax.stop_gradient(jnp.where(share_a > 0, reg * (log_a - logsumexp(masked, -1)), 0))

    entropic = linear_problem.LinearProblem(
        *jax.lax.stop_gradient((geometry.Geometry(costs, epsilon=reg), share_a, share_b))  # type: ignore[arg-type]
    )
    iterate = ott_sinkhorn.Sinkhorn(
        threshold=tolerance, max_iterations=max_iter, inner_iterations=5, implicit_diff=None
    )
    found = iterate(entropic, init=(f, jax.lax.stop_gradient(g)))

    f, g = jax.lax.stop_gradient((jnp.where(share_a > 0, found.f, 0), jnp.where(share_b > 0, found.g, 0)))
    f, g = _attached(costs, share_a, share_b, reg, f, g)
    plan = jnp.where(active, jnp.exp(jnp.where(active, (f[:, None] + g - costs) / reg, 0)), 0)
    # ott-jax's own convergence flag is not reliable when exponents overflow
    missing = jnp.sum(jnp.abs(share_a - jnp.sum(plan, 1))) + jnp.sum(jnp.abs(share_b - jnp.sum(plan, 0)))
    met = jnp.asarray(found.converged) & (empty | (missing <= 2 * tolerance + 1e3 * jnp.finfo(costs.dtype).eps))
    plan = mass * rounded(plan, share_a, share_b)
    solution = certify(problem, plan, g, jnp.asarray(found.n_iters), jnp.inf)
    status = jnp.where(met & (solution.status == SOLVED), SOLVED, UNSOLVED).astype(jnp.int32)
    return solution._replace(g=g, status=status)


@jax.custom_vjp
def _attached(costs: Array, a: Array, b: Array, reg: Array, f: Array, g: Array) -> tuple[Array, Array]:
    """The same duals (f, g), with the derivatives that the marginal equations imply."""
    return f, g


def _attach(*leaves: Array) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    return leaves[-2:], leaves  # type: ignore[return-value]


def _implied(leaves: tuple[Array, ...], cotangents: tuple[Array, Array]) -> tuple[Array, ...]:
    """One system of the size of the columns: the Jacobian of the marginals, rows eliminated, null vector fixed."""
    costs, a, b, reg, f, g = leaves
    active = (a > 0)[:, None] & (b > 0)
    exponents = jnp.where(active, (f[:, None] + g - costs) / reg, 0)
    plan = jnp.where(active, jnp.exp(exponents), 0)
    safe_a, held_b = jnp.where(a > 0, jnp.sum(plan, 1), 1), jnp.where(b > 0, jnp.sum(plan, 0), 1)
    by_row = jnp.where(a > 0, cotangents[0], 0) / safe_a
    highest = jax.lax.Precision.HIGHEST
    schur = jnp.diag(held_b) - jnp.matmul(plan.T, plan / safe_a[:, None], precision=highest) + jnp.outer(b, b)
    v = jnp.linalg.solve(schur, jnp.where(b > 0, cotangents[1], 0) - plan.T @ by_row)
    u = by_row - plan @ v / safe_a
    by_cost = plan * (u[:, None] + v)
    by_reg = jnp.sum(by_cost * exponents)  # plan = exp(exponents): reg scales them as costs would
    still = jnp.zeros_like
    return by_cost, jnp.where(a > 0, reg * u, 0), jnp.where(b > 0, reg * v, 0), by_reg, still(f), still(g)


_attached.defvjp(_attach, _implied)
