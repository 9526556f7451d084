"""A primal-dual interior-point method for the fair assignment programme.

Write A_ik > 0 for the fractions of row i and z_ik > 0 for its reduced costs: cost plus price, less the row's own value.
A and its prices are optimal where A_ik z_ik = 0. Interior points keep these products positive and near a common value μ
(divided by the row's weight, as on the path of the plain linear programme, where a row of weight zero delays nobody),
and lower μ step by step. Each step is a Newton step for the optimality conditions with the products as target, and a
second one with the same matrix that corrects for curvature (Mehrotra, 1992). Bounds that the control puts on counts
are treated alike, with their slack in place of A and the force they exert in place of z.

Only the prices of M groups in K clusters are coupled (:mod:`fairjax.assignment.newton`); everything else is a few
passes over the m rows: O(m K (M + K)) for each step and O((M K)^3) for its matrix.

:mod:`fairjax.assignment.iterates` gives the starting points; the cold start satisfies all but the narrowest bounds.
Path-following methods that keep the products near each other need at most O(n² log 1/ε) steps from there (Wright,
Primal-Dual Interior-Point Methods, 1997, chapter 6). Mehrotra's choice of the target has no such proof, but usually
takes ten to twenty steps, almost independent of group sizes, of how loose the control is, of ties and of outliers.
Success is not assumed: the gap and the counts at the end of a run show it.

Tried and dropped: Newton on the dual smoothed by log-sum-exp, where a step reaches only a few temperatures far, so that
a group of one person (whose part of the dual is piecewise linear with K pieces) took hundreds of steps; products that
are equal whatever the weights, which a group of 1e-12 of the weight slows to a standstill; eliminating the prices
instead of the levels, where the matrix is singular whenever two clusters of a group are tied. In single precision the
products stay some 1e-5 above zero, so the programme is solved in double precision whatever the dtype of the data.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.precision import product
from fairjax._core.varying import varying_as
from fairjax.assignment import bounds, iterates, newton
from fairjax.assignment.bounds import Linearised
from fairjax.assignment.controls import Kind
from fairjax.assignment.descent import DescentState, End, Tolerance, after, begun, to_the_end
from fairjax.assignment.iterates import Iterate, Weights
from fairjax.assignment.newton import System
from fairjax.assignment.programme import Programme

BOUNDARY = 0.9  # part of the way to the boundary that a step may usually go
_FLOOR = 0.1  # least target for the products, as a part of the tolerated gap
_RIGID = 1e300  # resistance to bending of levels that do not bend


class _Newton(NamedTuple):
    """The linear system at an iterate, and what its right-hand sides need.

    Attributes
    ----------
    system : :class:`~fairjax.assignment.newton.System`.
    ratios : (K, m) A/z. total_ratio : (m,) their sums over the clusters. relative : (K, m) ratios over these sums.
    counts : (M, K) of the fractions. bounds : :class:`~fairjax.assignment.bounds.Linearised`.
    """

    system: System
    ratios: Array
    total_ratio: Array
    relative: Array
    counts: Array
    bounds: Linearised


class _Change(NamedTuple):
    """Change of products that a direction aims at: the rows' over z (K, m), and the bounds' (2, M, K)."""

    rows: Array
    bounds: Array


class _Step(NamedTuple):
    """Where a step leads, the complementarity there (), and its lengths: primal and dual, () each."""

    there: Iterate
    complementarity: Array
    lengths: tuple[Array, Array]


def _linearise(programme: Programme, kind: Kind, at: Iterate) -> _Newton:
    ratios = jnp.where(programme.shares > 0, at.fractions / at.reduced, 1)
    total_ratio = iterates.over_clusters(ratios)
    relative = ratios / total_ratio
    links = newton.laplacian_links(programme, ratios, relative)
    counts = iterates.counts(programme, at.fractions)
    linear = bounds.linearise(programme, at.bounds, counts, at.level)
    if kind == "counts":
        linear = linear._replace(bend=jnp.full_like(linear.bend, _RIGID))
    system = newton.factorise(programme, kind, links, linear)
    return _Newton(system, ratios, total_ratio, relative, counts, linear)


def _direction(programme: Programme, kind: Kind, at: Iterate, linear: _Newton, change: _Change) -> Iterate:
    """Newton direction that changes the products by ``change`` and satisfies everything else."""
    masses = programme.masses[:, None]
    missing = 1 - iterates.over_clusters(at.fractions + change.rows)
    pushed = iterates.gather(programme, change.rows + linear.relative * missing)
    # what groups without room lack
    lacking, pull = programme.slopes * at.level - linear.counts, programme.slopes * at.prices
    ask = bounds.wanted(programme, at.bounds, linear.bounds, at.prices, change.bounds)
    lacking = jnp.where(programme.roomy, linear.bounds.give * ask.excess, lacking)
    pull = jnp.where(programme.roomy, bounds.pull(programme, at.bounds, linear.bounds, ask), pull)
    # fixed levels couple nothing
    coupling = jnp.zeros_like(at.total) if kind == "counts" else -jnp.sum(masses * pull, 0) - at.total
    forces = masses * (pushed - lacking)
    if kind == "shares":
        whole = jnp.sum(masses * (linear.counts + lacking), 0) - at.level
        forces = jnp.concatenate([forces, whole[None]])
    solved = newton.solve(linear.system, forces, coupling)
    n_groups = masses.shape[0]
    all_prices = solved.prices.shift + solved.prices.rest
    prices, rest = all_prices[:n_groups], solved.prices.rest[:n_groups]
    total = jnp.zeros_like(at.total)
    if kind == "shares":
        total = all_prices[n_groups]
        prices = prices - total

    paid = iterates.at_rows(programme, rest)
    # subtract the row's own value in two parts: where A/z is large, the rest then keeps all its digits
    paid -= iterates.over_clusters(linear.relative * paid)
    reduced = paid - iterates.over_clusters(linear.relative * paid) - missing / linear.total_ratio
    of_bounds = bounds.change(programme, at.bounds, linear.bounds, ask, change.bounds, prices, solved.level)
    return Iterate(change.rows - linear.ratios * reduced, reduced, prices, total, solved.level, of_bounds)


def _reach(programme: Programme, at: Iterate, along: Iterate) -> tuple[Array, Array]:
    """Largest steps (at most 1) that keep the primal and the dual part positive."""
    active = programme.shares > 0
    primal = jnp.max(jnp.where(active, -along.fractions / at.fractions, 0))
    dual = jnp.max(jnp.where(active, -along.reduced / at.reduced, 0))
    slack, force = bounds.falls(programme, at.bounds, along.bounds)
    primal, dual = jnp.maximum(primal, slack), jnp.maximum(dual, force)
    return 1 / jnp.maximum(1, primal), 1 / jnp.maximum(1, dual)


def _moved(at: Iterate, along: Iterate, primal: Array, dual: Array) -> Iterate:
    return Iterate(
        at.fractions + primal * along.fractions,
        at.reduced + dual * along.reduced,
        at.prices + dual * along.prices,
        at.total + dual * along.total,
        at.level + primal * along.level,
        bounds.moved(at.bounds, along.bounds, primal, dual),
    )


def _complementarity(weights: Weights, at: Iterate) -> Array:
    of_rows = product(iterates.over_clusters(at.fractions * at.reduced), weights.rows)
    return of_rows + jnp.sum(weights.bounds * at.bounds.products())


def _measure(programme: Programme, weights: Weights, at: Iterate) -> tuple[Array, Array]:
    """Cost and residual of an iterate."""
    counts = iterates.counts(programme, at.fractions)
    missed = jnp.abs(counts - programme.slopes * at.level)
    of_bounds = jnp.abs(bounds.missed(programme, at.bounds, counts, at.level)) / jnp.maximum(1, programme.limits)
    missed = jnp.where(programme.roomy, jnp.max(of_bounds, 0), missed)
    missed = jnp.where(programme.masses[:, None] > 0, missed, 0)
    cost = programme.offset + product(iterates.over_clusters(at.fractions * programme.costs), weights.rows)
    return cost, jnp.max(missed)


def step(
    programme: Programme,
    kind: Kind,
    weights: Weights,
    state: DescentState,
    tolerance: Tolerance,
    *,
    boundary: Array | float = BOUNDARY,
) -> DescentState:
    """One step: predictor, target, corrector; once the products are small enough, it only corrects the counts.

    The step goes at most a part ``boundary`` of the way to the boundary.
    """
    at = state.iterate
    linear = _linearise(programme, kind, at)
    enough = tolerance.products(state.cost)
    # 1: aim at smaller products. 0, once they are small enough: leave them alone and correct only the counts, which
    # loses fewer digits. Where that stalls, steps of both kinds alternate
    moving = (state.complementarity > enough) | (state.n_stalls % 2 == 1)
    moving = moving.astype(enough.dtype)

    def towards(i: Array, carry: tuple[Iterate, Array, _Step]) -> tuple[Iterate, Array, _Step]:
        """The direction to products of ``target``, corrected for the curvature along the previous direction."""
        before, target, _ = carry
        bent = target * weights.central_rows - before.fractions * before.reduced
        aim = jnp.where(programme.roomy, target * weights.central_bounds, 0)
        of_bounds = moving * (aim - at.bounds.products() - before.bounds.products())
        change = _Change(moving * (bent / at.reduced - at.fractions), of_bounds)
        along = _direction(programme, kind, at, linear, change)
        reach = _reach(programme, at, along)
        # the predictor only looks how far it could go
        primal, dual = (jnp.where((i == 1) & (part < 1), boundary * part, part) for part in reach)
        there = _moved(at, along, primal, dual)
        complementarity = _complementarity(weights, there)
        ahead = jnp.clip(complementarity / state.complementarity, 0.05, 1)
        # products below what the tolerance needs only cost digits
        target = jnp.maximum(ahead**3 * state.complementarity, _FLOOR * enough) / weights.whole
        return along, target, _Step(there, complementarity, (primal, dual))

    nowhere, none = jax.tree.map(jnp.zeros_like, at), jnp.zeros_like(enough)
    begin = varying_as((nowhere, none, _Step(nowhere, none, (none, none))), programme)
    *_, taken = jax.lax.fori_loop(0, 2, towards, begin)
    measured = taken.complementarity, *_measure(programme, weights, taken.there)
    return after(state, taken.there, measured, taken.lengths, tolerance)


def _merit(programme: Programme, state: DescentState) -> Array:
    """Estimated error () of an iterate's cost: the products, and what it would cost to correct the counts."""
    prices = state.iterate.prices
    ranges = jnp.max(prices, 1) - jnp.min(prices, 1)
    return state.complementarity + state.residual * product(programme.masses, ranges)


def run(
    programme: Programme,
    kind: Kind,
    weights: Weights,
    first: Iterate,
    tolerance: Tolerance,
    *,
    boundary: Array | float = BOUNDARY,
    max_iter: Array | int = 100,
) -> End:
    """Step from ``first`` until the gap is within ``tolerance``, steps stall, or ``max_iter`` is reached.

    ``weights`` come from :func:`~fairjax.assignment.iterates.weigh`.
    """

    def read(state: DescentState) -> End:
        at = state.iterate
        return End(at.fractions, at.prices, at.level, _merit(programme, state), state.n_iter, state.solved)

    def on(state: DescentState) -> DescentState:
        return step(programme, kind, weights, state, tolerance, boundary=boundary)

    measured = _complementarity(weights, first), *_measure(programme, weights, first)
    return to_the_end(on, read, begun(first, measured, programme), max_iter)
