"""Steps of an interior-point method: which ones count as stalled, when they end, and which iterate is kept.

Both methods (:mod:`.interior` for one attribute, :mod:`.overlapping` for several) share this descent; they define
their own iterates and steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.varying import varying_as

SHORTEST = 1e-4  # shorter steps count as stalled
STALLS = 6  # stalled steps in a row that end the search


class DescentState(NamedTuple):
    """An iterate and what decides when to stop.

    Attributes
    ----------
    iterate : pytree
    complementarity : ()
        Weighted sum of the products: the duality gap once the counts are met.
    cost : ()
        Cost of the fractions.
    residual : ()
        Largest miss of the control by a count, as a share of its group.
    n_iter : () int32
    n_stalls : () int32
        Stalled steps in a row.
    solved : () bool
    """

    iterate: Any
    complementarity: Array
    cost: Array
    residual: Array
    n_iter: Array
    n_stalls: Array
    solved: Array


class Tolerance(NamedTuple):
    """``gap`` relative to the cost, which counts as at least ``floor`` (); ``residual`` as a share of a group."""

    gap: Array
    floor: Array
    residual: Array

    def products(self, cost: Array) -> Array:
        """Complementarity () that is small enough at this cost ()."""
        return self.gap * jnp.maximum(jnp.abs(cost), self.floor)


class End(NamedTuple):
    """The outcome of a run.

    Attributes
    ----------
    fractions : (K, m)
        Fractions of the rows.
    prices : (M, K)
        Prices of the groups.
    level : (K,), or (L, K)
        a row per attribute.
    off : ()
        Estimated error of the cost.
    n_iter : () int32
        All steps.
    solved : () bool
    """

    fractions: Array
    prices: Array
    level: Array
    off: Array
    n_iter: Array
    solved: Array


Measured = tuple[Array, Array, Array]  # complementarity, cost and residual, all ()


def begun(iterate: Any, measured: Measured, like: Any) -> DescentState:
    """The state before the first step; it varies over devices as ``like`` does."""
    zero = jnp.zeros((), jnp.int32)
    return varying_as(DescentState(iterate, *measured, zero, zero, jnp.array(False)), like)


def after(
    state: DescentState, there: Any, measured: Measured, reach: tuple[Array, Array], tolerance: Tolerance
) -> DescentState:
    """The state after a step of lengths ``reach`` (primal and dual, both ()) to the iterate ``there``."""
    complementarity, cost, residual = measured
    finite = jnp.isfinite(complementarity) & jnp.isfinite(residual)
    enough = tolerance.products(cost)
    # rounding may stop the counts from improving
    stuck = (complementarity <= enough) & (residual > 0.5 * state.residual)
    stalls = (jnp.maximum(*reach) < SHORTEST) | stuck
    done = (complementarity <= enough) & (residual <= tolerance.residual)
    n_stalls = jnp.where(stalls, state.n_stalls + 1, 0)
    moved = DescentState(there, complementarity, cost, residual, state.n_iter + 1, n_stalls, done)
    # if a step has no digits left, stop at the iterate before it
    ended = state._replace(n_iter=state.n_iter + 1, n_stalls=jnp.full_like(state.n_stalls, STALLS))
    return jax.tree.map(lambda moved, ended: jnp.where(finite, moved, ended), moved, ended)


def to_the_end(
    step: Callable[[DescentState], DescentState],
    read: Callable[[DescentState], End],
    first: DescentState,
    max_iter: Array | int,
) -> End:
    """Step until solved, stalled, or after ``max_iter`` steps.

    Near the boundary steps may lose the digits of the counts: the best iterate by ``End.off`` is returned.
    """

    def on(carry: tuple[DescentState, End]) -> tuple[DescentState, End]:
        state, best = carry
        state = step(state)
        found = read(state)
        better = found.solved | (found.off < best.off)
        best = jax.tree.map(lambda found, best: jnp.where(better, found, best), found, best)
        return state, best._replace(n_iter=found.n_iter)

    def going(carry: tuple[DescentState, End]) -> Array:
        state, _ = carry
        return ~state.solved & (state.n_stalls < STALLS) & (state.n_iter < max_iter)

    begin = read(first)
    begin = begin._replace(off=jnp.full_like(first.cost, jnp.inf))
    return jax.lax.while_loop(going, on, (first, begin))[1]
