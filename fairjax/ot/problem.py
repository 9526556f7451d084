"""The transport problem: two weighted point sets and the costs between them, checked and put into one form."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from fairjax._core.status import INFEASIBLE, INVALID, SOLVED
from fairjax.errors import InputError
from fairjax.ot.arguments import is_traced, real_array
from fairjax.ot.factors import Costs, cost_array
from fairjax.ot.solution import OTSolution

Duals = tuple[ArrayLike, ArrayLike]


class TransportProblem(NamedTuple):
    """One transport problem in the form that solvers take: finite, balanced, with no costs for padding.

    Attributes
    ----------
    costs : (n, m) float
        0 in rows and columns without mass, whose costs then have no effect.
    a, b : (n,), (m,)
        Masses, non-negative; b is rescaled to carry the mass of a to rounding.
    f, g : (n,), (m,)
        Duals to start from, 0 if none are known.
    """

    costs: Array
    a: Array
    b: Array
    f: Array
    g: Array


def mass_tolerance(dtype: DTypeLike) -> float:
    """By how much the masses of a and b may differ, relative to the greater: 1e-9 in float64 and 1e-5 in float32; O(1).

    Examples
    --------
    >>> from fairjax import ot
    >>> ot.mass_tolerance("float64"), ot.mass_tolerance("float32")
    (1e-09, 1e-05)
    """
    return 1e-9 if jnp.finfo(dtype).bits >= 64 else 1e-5


def gap_tolerance(dtype: DTypeLike) -> float:
    """Relative gap up to which an exact solver reports a problem as solved: 1e-6 in float64, 1e-5 in float32; O(1).

    Examples
    --------
    >>> from fairjax import ot
    >>> ot.gap_tolerance("float64"), ot.gap_tolerance("float32")
    (1e-06, 1e-05)
    """
    return 1e-6 if jnp.finfo(dtype).bits >= 64 else 1e-5


def solve(
    solver: Callable[..., OTSolution],
    costs: Costs,
    a: ArrayLike | None,
    b: ArrayLike | None,
    init: Duals | None,
    *parameters: Array,
) -> OTSolution:
    """Check the arguments, solve all problems in one compiled call, and mask the answers to invalid ones.

    The solver takes a :class:`TransportProblem` with a batch axis B and ``parameters``; it is compiled once per object,
    so pass the same object for the same options.

    Raises
    ------
    InputError
        For shapes that do not match, and for concrete masses that disagree or are negative.
    """
    costs, a, b, f, g = _arrays(costs, a, b, init)
    _check_masses(a, b)
    return _solve(solver, costs, a, b, f, g, parameters)


@partial(jax.jit, static_argnums=0)
def _solve(
    solver: Callable[..., OTSolution],
    costs: Array,
    a: Array,
    b: Array,
    f: Array,
    g: Array,
    parameters: tuple[Array, ...],
) -> OTSolution:
    batch = costs.shape[:-2]
    flat = (leaf.reshape(-1, *leaf.shape[len(batch) :]) for leaf in (costs, a, b, f, g))
    problem, status = jax.vmap(prepare)(*flat)
    found = solver(problem, *parameters)
    sound = status == SOLVED
    values = [jnp.where(jnp.expand_dims(sound, range(1, leaf.ndim)), leaf, jnp.nan) for leaf in found[:-2]]
    solution = OTSolution._make((*values, jnp.where(sound, found.status, status), found.n_iter))
    return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), solution)


def with_gradient(solver: Callable[[TransportProblem], OTSolution]) -> Callable[[TransportProblem], OTSolution]:
    """A solver whose values have the gradient of the optimal value: the plan for the costs, the duals for the masses.

    By the envelope theorem; the solver itself is not differentiated. Plan and duals are piecewise constant and have no
    gradient.
    """

    def solved(problem: TransportProblem) -> OTSolution:
        fixed = jax.lax.stop_gradient(problem)
        found = jax.lax.stop_gradient(solver(fixed))
        # each difference is zero, unlike a difference of sums that overflow
        still = jnp.sum(found.plan * (problem.costs - fixed.costs), (-2, -1))
        still += jnp.sum(found.f * (problem.a - fixed.a), -1) + jnp.sum(found.g * (problem.b - fixed.b), -1)
        return found._replace(primal=found.primal + still, dual=found.dual + still)

    return solved


def prepare(costs: Array, a: Array, b: Array, f: Array, g: Array) -> tuple[TransportProblem, Array]:
    """The problem in the form that solvers take, and its status () int32 as far as the input determines it.

    An invalid problem becomes an empty one, which takes no iterations.
    """
    rows, cols = a > 0, b > 0
    costs, f, g = jnp.where(rows[:, None] & cols, costs, 0), jnp.where(rows, f, 0), jnp.where(cols, g, 0)
    mass_a, mass_b = jnp.sum(a), jnp.sum(b)
    finite = jnp.all(jnp.isfinite(costs)) & jnp.all(jnp.isfinite(f)) & jnp.all(jnp.isfinite(g))
    finite &= jnp.isfinite(mass_a) & jnp.isfinite(mass_b)
    valid = finite & jnp.all(a >= 0) & jnp.all(b >= 0)
    tolerance = mass_tolerance(costs.dtype)
    balanced = jnp.abs(mass_a - mass_b) <= tolerance * jnp.maximum(mass_a, mass_b)
    status = jnp.where(valid, jnp.where(balanced, SOLVED, INFEASIBLE), INVALID).astype(jnp.int32)
    sound = valid & balanced
    ratio = jnp.where(sound & (mass_b > 0), mass_a / jnp.where(mass_b > 0, mass_b, 1), 0)
    problem = jax.tree.map(lambda leaf: jnp.where(sound, leaf, 0), TransportProblem(costs, a, b, f, g))
    problem = problem._replace(b=problem.b * ratio)
    return problem, status


def _arrays(
    costs: Costs, a: ArrayLike | None, b: ArrayLike | None, init: Duals | None
) -> tuple[Array, Array, Array, Array, Array]:
    costs = cost_array(costs)
    if costs.ndim < 2 or 0 in costs.shape:
        raise InputError(f"costs has shape {costs.shape}; expected (..., n, m), every axis at least 1")
    *batch, n, m = costs.shape
    if init is not None and (not isinstance(init, tuple | list) or len(init) != 2):
        raise InputError(f"init is of type {type(init).__name__}; expected a pair (f, g) of duals")
    f, g = (None, None) if init is None else init
    named = (("a", a, n, 1 / n), ("b", b, m, 1 / m), ("init[0]", f, n, 0), ("init[1]", g, m, 0))
    vectors = []
    for name, given, size, default in named:
        vector = jnp.full((size,), default) if given is None else real_array(name, given)
        vector = vector.astype(costs.dtype)
        if vector.ndim == 0 or vector.shape[-1] != size or vector.ndim > costs.ndim - 1:
            raise InputError(f"{name} has shape {vector.shape}; expected {(*batch, size)} to fit costs {costs.shape}")
        try:
            vectors.append(jnp.broadcast_to(vector, (*batch, size)))
        except ValueError:
            raise InputError(
                f"{name} has shape {vector.shape}; expected {(*batch, size)} to fit costs {costs.shape}"
            ) from None
    a, b, f, g = vectors
    return costs, a, b, f, g


def _check_masses(a: Array, b: Array) -> None:
    """Raise if concrete masses do not form a transport problem; traced and non-finite ones set the status instead."""
    if is_traced(a, b):
        return
    for name, masses in (("a", np.asarray(a)), ("b", np.asarray(b))):
        if np.any(masses < 0):
            raise InputError(f"{name} has the mass {masses.min():g}; expected masses of at least 0")
    mass_a, mass_b = np.asarray(a).sum(-1, dtype=float), np.asarray(b).sum(-1, dtype=float)
    with np.errstate(invalid="ignore"):
        off = np.abs(mass_a - mass_b) > mass_tolerance(a.dtype) * np.maximum(mass_a, mass_b)
    if np.any(off):
        at = np.unravel_index(np.argmax(off), off.shape)
        raise InputError(
            f"a carries the mass {mass_a[at]:g} and b {mass_b[at]:g}; expected the same mass: rescale one of them"
        )
