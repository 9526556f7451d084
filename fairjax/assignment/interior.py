"""A primal-dual interior-point method for the fair assignment programme.

Write A_ik > 0 for the fractions of row i, z_ik > 0 for its reduced costs: cost plus price, less the row's own value.
A and its optimal prices are those for which A_ik z_ik = 0. Interior points keep these products positive and near a
common value μ (divided by the row's weight: the path of the plain linear programme, on which a row that weighs nothing
delays nobody), and lower it step by step. Each step is one Newton step for the optimality conditions with the products
as target, and a second one with the same matrix that corrects its curvature (Mehrotra, 1992). Bounds that the control
puts on counts are treated in the same way, their slack in place of A, the force they exert in place of z.

Only the prices of M groups in K clusters are coupled (:mod:`fairjax.assignment.newton`); everything else is a few
passes over the m rows: O(m K (M + K)) for each step and O((M K)^3) for its matrix.

Where to start is told in :mod:`fairjax.assignment.iterates`; the cold start satisfies all but the narrowest bounds.
Path-following methods that keep the products near each other need at most O(n² log 1/ε) steps from there (Wright,
Primal-Dual Interior-Point Methods, 1997, chapter 6). Mehrotra's choice of the target has no such proof, but ten to
twenty steps are usual, and their number hardly depends on the size of the groups, on how loose the control is, on ties
or on outliers. Whether a run has succeeded is not assumed: the gap and the counts at its end say so.

Tried and lost: Newton on the dual smoothed by log-sum-exp, where a step reaches no farther than a few temperatures, so
that a group of one person (whose part of the dual is piecewise linear with K pieces) took hundreds; products that are
equal without regard to weights, which a group of 1e-12 of the weight slows down to a standstill; eliminating the prices
and not the levels, whose matrix is singular wherever two clusters of a group are tied. In single precision the products
stay some 1e-5 away from zero: the programme is solved in double precision whatever the dtype of the data.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._precision import product
from fairjax.assignment import iterates, newton
from fairjax.assignment.controls import Kind
from fairjax.assignment.iterates import Bounds, Iterate, Weights
from fairjax.assignment.newton import System
from fairjax.assignment.programme import Programme

_BOUNDARY = 0.9  # part of the way to the boundary that a step may go
_FLOOR = 0.1  # part of the tolerated gap that the products aim at, at least
_SHORTEST = 1e-4  # steps shorter than this get nowhere
_STALLS = 6  # so many of them end the search


class State(NamedTuple):
    """An iterate and what decides when to stop.

    Attributes
    ----------
    complementarity : () weighted sum of the products: the duality gap once the counts are met.
    cost : () of the fractions. residual : () by how much counts miss the control, at most, as a share of their group.
    n_iter : () int32. n_stalls : () int32, steps in a row that got nowhere. solved : () bool.
    """

    iterate: Iterate
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


class _Newton(NamedTuple):
    """The linear system at an iterate, with what its right-hand sides need.

    Attributes
    ----------
    system : :class:`~fairjax.assignment.newton.System`.
    ratios : (K, m) A/z. total_ratio : (m,) their sums over the clusters. relative : (K, m) ratios over these sums.
    stiff_below, stiff_above : (M, K) force over slack. give : (M, K) by how much a count yields to its price.
    slope : (M, K) counts per level at which the bounds balance. counts : (M, K) of the fractions.
    miss_below, miss_above : (M, K) by how much slack differs from what counts and level say.
    """

    system: System
    ratios: Array
    total_ratio: Array
    relative: Array
    stiff_below: Array
    stiff_above: Array
    give: Array
    slope: Array
    counts: Array
    miss_below: Array
    miss_above: Array


def _linearise(programme: Programme, kind: Kind, at: Iterate) -> _Newton:
    roomy, bounds = iterates.has_room(programme), at.bounds
    lower, upper = programme.lower[:, None], programme.upper[:, None]
    active = programme.shares > 0
    ratios = jnp.where(active, at.fractions / at.reduced, 1)
    below = jnp.where(roomy, bounds.force_below / bounds.slack_below, 1)
    above = jnp.where(roomy, bounds.force_above / bounds.slack_above, 1)
    give = jnp.where(roomy, 1 / (below + above), 0)
    slope = jnp.where(roomy, (upper * above + lower * below) * give, programme.slopes[:, None])
    bend = jnp.where(roomy, programme.masses[:, None] * (upper - lower) ** 2 * below * above * give, 0)
    total_ratio = iterates.over_clusters(ratios)
    relative = ratios / total_ratio
    links = newton.laplacian_links(programme, ratios, relative)
    system = newton.factorise(programme, links, give, slope, jnp.sum(bend, 0), kind)
    found = iterates.counts(programme, at.fractions)
    return _Newton(
        system,
        ratios,
        total_ratio,
        relative,
        below,
        above,
        give,
        slope,
        found,
        jnp.where(roomy, found - lower * at.level - bounds.slack_below, 0),
        jnp.where(roomy, upper * at.level - found - bounds.slack_above, 0),
    )


def _direction(
    programme: Programme, kind: Kind, at: Iterate, linear: _Newton, own: Array, below: Array, above: Array
) -> Iterate:
    """Newton direction that brings products A z to themselves plus ``own`` z (K, m), those of bounds by (M, K) each."""
    roomy, bounds = iterates.has_room(programme), at.bounds
    masses = programme.masses[:, None]
    lower, upper = programme.lower[:, None], programme.upper[:, None]
    give, slope = linear.give, linear.slope

    missing = 1 - iterates.over_clusters(at.fractions + own)
    pushed = iterates.gather(programme, own + linear.relative * missing)

    from_below = below / bounds.slack_below - linear.stiff_below * linear.miss_below
    from_above = above / bounds.slack_above - linear.stiff_above * linear.miss_above
    unbalanced = jnp.where(roomy, at.prices - bounds.force_above + bounds.force_below, 0)
    excess = unbalanced - (from_above - from_below)
    lacking = jnp.where(roomy, give * excess, slope * at.level - linear.counts)
    room = upper - lower
    turned = room * give * (linear.stiff_below * from_above + linear.stiff_above * from_below)
    pull = jnp.where(roomy, upper * bounds.force_above - lower * bounds.force_below, slope * at.prices)
    pull += jnp.where(roomy, slope * unbalanced + turned, 0)
    coupling = -jnp.sum(masses * pull, 0) - at.total

    forces = masses * (pushed - lacking)
    if kind == "shares":
        whole = jnp.sum(masses * (linear.counts + pushed), 0) - at.level
        forces = jnp.concatenate([forces, whole[None]])
    change = newton.solve(linear.system, forces, coupling)
    n_groups = masses.shape[0]
    all_prices = change.prices.shift + change.prices.rest
    prices, rest = all_prices[:n_groups], change.prices.rest[:n_groups]
    total = jnp.zeros_like(at.total)
    if kind == "shares":
        total, rest = all_prices[n_groups], rest + change.prices.rest[n_groups]

    paid = iterates.at_rows(programme, rest)
    # the row's own value in two parts: where A/z is large, what is left after the first has all its digits
    paid -= iterates.over_clusters(linear.relative * paid)
    reduced = paid - iterates.over_clusters(linear.relative * paid) - missing / linear.total_ratio
    slack_below = give * (prices + excess + room * linear.stiff_above * change.level) + linear.miss_below
    slack_above = give * (room * linear.stiff_below * change.level - prices - excess) + linear.miss_above
    slack_below, slack_above = jnp.where(roomy, slack_below, 0), jnp.where(roomy, slack_above, 0)
    forces_of = Bounds(
        slack_below,
        slack_above,
        jnp.where(roomy, (below - bounds.force_below * slack_below) / bounds.slack_below, 0),
        jnp.where(roomy, (above - bounds.force_above * slack_above) / bounds.slack_above, 0),
    )
    return Iterate(own - linear.ratios * reduced, reduced, prices, total, change.level, forces_of)


def _reach(programme: Programme, at: Iterate, along: Iterate) -> tuple[Array, Array]:
    """Largest steps (at most 1) that keep the primal and the dual part positive."""
    active, roomy = programme.shares > 0, iterates.has_room(programme)
    bounds, step = at.bounds, along.bounds
    falls = jnp.stack([
        jnp.stack([-step.slack_below / bounds.slack_below, -step.slack_above / bounds.slack_above]),
        jnp.stack([-step.force_below, -step.force_above])
        / jnp.stack([jnp.where(roomy, bounds.force_below, 1), jnp.where(roomy, bounds.force_above, 1)]),
    ])  # fmt: skip
    falls = jnp.max(jnp.where(roomy, falls, 0), (1, 2, 3))
    primal = jnp.max(jnp.where(active, -along.fractions / at.fractions, 0))
    dual = jnp.max(jnp.where(active, -along.reduced / at.reduced, 0))
    return 1 / jnp.maximum(1, jnp.maximum(primal, falls[0])), 1 / jnp.maximum(1, jnp.maximum(dual, falls[1]))


def _moved(at: Iterate, along: Iterate, primal: Array, dual: Array) -> Iterate:
    bounds, step = at.bounds, along.bounds
    return Iterate(
        at.fractions + primal * along.fractions,
        at.reduced + dual * along.reduced,
        at.prices + dual * along.prices,
        at.total + dual * along.total,
        at.level + primal * along.level,
        Bounds(
            bounds.slack_below + primal * step.slack_below,
            bounds.slack_above + primal * step.slack_above,
            bounds.force_below + dual * step.force_below,
            bounds.force_above + dual * step.force_above,
        ),
    )


def _complementarity(weights: Weights, at: Iterate) -> Array:
    bounds = at.bounds
    products = bounds.slack_below * bounds.force_below + bounds.slack_above * bounds.force_above
    return product(iterates.over_clusters(at.fractions * at.reduced), weights.rows) + jnp.sum(weights.bounds * products)


def _measure(programme: Programme, weights: Weights, at: Iterate) -> tuple[Array, Array, Array]:
    """Complementarity, cost and residual of an iterate."""
    lower, upper = programme.lower[:, None], programme.upper[:, None]
    found = iterates.counts(programme, at.fractions)
    below = jnp.abs(found - lower * at.level - at.bounds.slack_below) / jnp.maximum(1, lower)
    above = jnp.abs(upper * at.level - found - at.bounds.slack_above) / jnp.maximum(1, upper)
    pinned = jnp.abs(found - programme.slopes[:, None] * at.level)
    missed = jnp.where(iterates.has_room(programme), jnp.maximum(below, above), pinned)
    missed = jnp.where(programme.masses[:, None] > 0, missed, 0)
    cost = programme.offset + product(iterates.over_clusters(at.fractions * programme.costs), weights.rows)
    return _complementarity(weights, at), cost, jnp.max(missed)


def step(programme: Programme, kind: Kind, state: State, tolerance: Tolerance) -> State:
    """One step: predictor, target, corrector; once the products are small enough, only towards the counts."""
    at, weights, bounds = state.iterate, iterates.weigh(programme), state.iterate.bounds
    linear = _linearise(programme, kind, at)
    below, above = bounds.slack_below * bounds.force_below, bounds.slack_above * bounds.force_above
    enough = tolerance.gap * jnp.maximum(jnp.abs(state.cost), tolerance.floor)
    # steps along which the products stay as they are lose no digits to prices that are free to move
    moving = (state.complementarity > enough) | (state.n_stalls % 2 == 1)
    moving = jnp.where(moving, 1.0, 0.0).astype(enough.dtype)

    def towards(_: Array, carry: tuple[Iterate, Array]) -> tuple[Iterate, Array]:
        """The direction to products of ``target``, corrected for the curvature along the one before."""
        before, target = carry
        by = before.bounds
        bent = target * weights.central_rows - before.fractions * before.reduced
        along = _direction(
            programme, kind, at, linear,
            moving * (bent / at.reduced - at.fractions),
            moving * (target * weights.central_bounds - below - by.slack_below * by.force_below),
            moving * (target * weights.central_bounds - above - by.slack_above * by.force_above),
        )  # fmt: skip
        ahead = _complementarity(weights, _moved(at, along, *_reach(programme, at, along)))
        ahead = jnp.clip(ahead / state.complementarity, 0.05, 1)
        # products below what the tolerance asks for only cost digits
        return along, jnp.maximum(ahead**3 * state.complementarity, _FLOOR * enough) / weights.whole

    nowhere = jax.tree.map(jnp.zeros_like, at)
    corrected, _ = jax.lax.fori_loop(0, 2, towards, (nowhere, jnp.zeros_like(enough)))
    primal, dual = _reach(programme, at, corrected)
    primal, dual = (jnp.where(reach < 1, _BOUNDARY * reach, 1) for reach in (primal, dual))
    there = _moved(at, corrected, primal, dual)
    complementarity, cost, residual = _measure(programme, weights, there)
    finite = jnp.isfinite(complementarity) & jnp.isfinite(residual)
    there = jax.tree.map(lambda new, old: jnp.where(finite, new, old), there, at)
    enough = tolerance.gap * jnp.maximum(jnp.abs(cost), tolerance.floor)
    # rounding may keep counts from being met any better
    stuck = (complementarity <= enough) & (residual > 0.5 * state.residual)
    stalls = ~finite | (jnp.maximum(primal, dual) < _SHORTEST) | stuck
    return State(
        there,
        jnp.where(finite, complementarity, state.complementarity),
        jnp.where(finite, cost, state.cost),
        jnp.where(finite, residual, state.residual),
        state.n_iter + 1,
        jnp.where(finite, jnp.where(stalls, state.n_stalls + 1, 0), _STALLS),
        finite & (complementarity <= enough) & (residual <= tolerance.residual),
    )


def run(
    programme: Programme, kind: Kind, first: Iterate, tolerance: Tolerance, *, max_iter: Array | int = 100
) -> State:
    """Steps from ``first`` until the gap is within ``tolerance``, no step gets anywhere, or ``max_iter``."""
    complementarity, cost, residual = _measure(programme, iterates.weigh(programme), first)
    zero = jnp.zeros((), jnp.int32)
    state = State(first, complementarity, cost, residual, zero, zero, jnp.array(False))
    return jax.lax.while_loop(
        lambda state: ~state.solved & (state.n_stalls < _STALLS) & (state.n_iter < max_iter),
        lambda state: step(programme, kind, state, tolerance),
        state,
    )
