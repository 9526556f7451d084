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

from fairjax._core.precision import product
from fairjax._core.varying import varying_as
from fairjax.assignment import bounds, iterates, newton
from fairjax.assignment.bounds import Linearised
from fairjax.assignment.controls import Kind
from fairjax.assignment.descent import End, State, Tolerance, after, begun, to_the_end
from fairjax.assignment.iterates import Iterate, Weights
from fairjax.assignment.newton import System
from fairjax.assignment.programme import Programme

BOUNDARY = 0.9  # part of the way to the boundary that a step may go, as a rule
_FLOOR = 0.1  # part of the tolerated gap that the products aim at, at least
_RIGID = 1e300  # how hard levels are to bend that do not


class _Newton(NamedTuple):
    """The linear system at an iterate, with what its right-hand sides need.

    Attributes
    ----------
    system : :class:`~fairjax.assignment.newton.System`.
    ratios : (K, m) A/z. total_ratio : (m,) their sums over the clusters. relative : (K, m) ratios over these sums.
    counts : (M, K) of the fractions. bounds : :class:`~fairjax.assignment.bounds.Linearised`, or None.
    """

    system: System
    ratios: Array
    total_ratio: Array
    relative: Array
    counts: Array
    bounds: Linearised | None


class _Change(NamedTuple):
    """By how much a direction is to change products: the rows' over z (K, m), and the bounds' (M, K) each."""

    rows: Array
    bounds: tuple[Array, Array] | None


def _linearise(programme: Programme, kind: Kind, at: Iterate) -> _Newton:
    ratios = jnp.where(programme.shares > 0, at.fractions / at.reduced, 1)
    total_ratio = iterates.over_clusters(ratios)
    relative = ratios / total_ratio
    links = newton.laplacian_links(programme, ratios, relative)
    counts = iterates.counts(programme, at.fractions)
    if at.bounds is None:
        system = newton.factorise(programme, kind, links)
        return _Newton(system, ratios, total_ratio, relative, counts, None)
    linear = bounds.linearise(programme, at.bounds, counts, at.level)
    if kind == "counts":
        linear = linear._replace(bend=jnp.full_like(linear.bend, _RIGID))
    system = newton.factorise(programme, kind, links, linear)
    return _Newton(system, ratios, total_ratio, relative, counts, linear)


def _direction(programme: Programme, kind: Kind, at: Iterate, linear: _Newton, change: _Change) -> Iterate:
    """Newton direction that changes the products so, and meets everything else."""
    masses = programme.masses[:, None]
    missing = 1 - iterates.over_clusters(at.fractions + change.rows)
    pushed = iterates.gather(programme, change.rows + linear.relative * missing)
    # what groups without room lack
    lacking, pull = programme.slopes * at.level - linear.counts, programme.slopes * at.prices
    if at.bounds is not None and linear.bounds is not None and change.bounds is not None:
        ask = bounds.wanted(programme, at.bounds, linear.bounds, at.prices, *change.bounds)
        lacking = jnp.where(programme.roomy, linear.bounds.give * ask.excess, lacking)
        pull = jnp.where(programme.roomy, bounds.pull(programme, at.bounds, linear.bounds, ask), pull)
    # levels that stay as they are couple nothing
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
    # the row's own value in two parts: where A/z is large, what is left after the first has all its digits
    paid -= iterates.over_clusters(linear.relative * paid)
    reduced = paid - iterates.over_clusters(linear.relative * paid) - missing / linear.total_ratio
    of_bounds = None
    if at.bounds is not None and linear.bounds is not None and change.bounds is not None:
        of_bounds = bounds.change(
            programme, at.bounds, linear.bounds, ask, change.bounds, prices, solved.level
        )  # fmt: skip
    return Iterate(change.rows - linear.ratios * reduced, reduced, prices, total, solved.level, of_bounds)


def _reach(programme: Programme, at: Iterate, along: Iterate) -> tuple[Array, Array]:
    """Largest steps (at most 1) that keep the primal and the dual part positive."""
    active = programme.shares > 0
    primal = jnp.max(jnp.where(active, -along.fractions / at.fractions, 0))
    dual = jnp.max(jnp.where(active, -along.reduced / at.reduced, 0))
    if at.bounds is not None and along.bounds is not None:
        slack, force = bounds.falls(programme, at.bounds, along.bounds)
        primal, dual = jnp.maximum(primal, slack), jnp.maximum(dual, force)
    return 1 / jnp.maximum(1, primal), 1 / jnp.maximum(1, dual)


def _moved(at: Iterate, along: Iterate, primal: Array, dual: Array) -> Iterate:
    moved = None
    if at.bounds is not None and along.bounds is not None:
        moved = bounds.moved(at.bounds, along.bounds, primal, dual)
    return Iterate(
        at.fractions + primal * along.fractions,
        at.reduced + dual * along.reduced,
        at.prices + dual * along.prices,
        at.total + dual * along.total,
        at.level + primal * along.level,
        moved,
    )


def _complementarity(weights: Weights, at: Iterate) -> Array:
    of_rows = product(iterates.over_clusters(at.fractions * at.reduced), weights.rows)
    if at.bounds is None:
        return of_rows
    below, above = at.bounds.products()
    return of_rows + jnp.sum(weights.bounds * (below + above))


def _measure(programme: Programme, weights: Weights, at: Iterate) -> tuple[Array, Array, Array]:
    """Complementarity, cost and residual of an iterate."""
    counts = iterates.counts(programme, at.fractions)
    missed = jnp.abs(counts - programme.slopes * at.level)
    if at.bounds is not None:
        below, above = bounds.missed(programme, at.bounds, counts, at.level)
        below = jnp.abs(below) / jnp.maximum(1, programme.lower)
        above = jnp.abs(above) / jnp.maximum(1, programme.upper)
        missed = jnp.where(programme.roomy, jnp.maximum(below, above), missed)
    missed = jnp.where(programme.masses[:, None] > 0, missed, 0)
    cost = programme.offset + product(iterates.over_clusters(at.fractions * programme.costs), weights.rows)
    return _complementarity(weights, at), cost, jnp.max(missed)


def step(
    programme: Programme,
    kind: Kind,
    weights: Weights,
    state: State,
    tolerance: Tolerance,
    *,
    boundary: Array | float = BOUNDARY,
) -> State:
    """One step: predictor, target, corrector; once the products are small enough, only towards the counts.

    ``boundary`` is the part of the way to the boundary that it may go.
    """
    at = state.iterate
    linear = _linearise(programme, kind, at)
    enough = tolerance.products(state.cost)
    # steps along which the products stay as they are lose no digits to prices that are free to move
    moving = (state.complementarity > enough) | (state.n_stalls % 2 == 1)
    moving = moving.astype(enough.dtype)

    def towards(_: Array, carry: tuple[Iterate, Array]) -> tuple[Iterate, Array]:
        """The direction to products of ``target``, corrected for the curvature along the one before."""
        before, target = carry
        bent = target * weights.central_rows - before.fractions * before.reduced
        of_bounds = None
        if at.bounds is not None and before.bounds is not None:
            aim = jnp.where(programme.roomy, target * weights.central_bounds, 0)
            (below, above), (bent_below, bent_above) = at.bounds.products(), before.bounds.products()
            of_bounds = (moving * (aim - below - bent_below), moving * (aim - above - bent_above))
        along = _direction(
            programme, kind, at, linear, _Change(moving * (bent / at.reduced - at.fractions), of_bounds)
        )  # fmt: skip
        ahead = _complementarity(weights, _moved(at, along, *_reach(programme, at, along)))
        ahead = jnp.clip(ahead / state.complementarity, 0.05, 1)
        # products below what the tolerance asks for only cost digits
        return along, jnp.maximum(ahead**3 * state.complementarity, _FLOOR * enough) / weights.whole

    nowhere = jax.tree.map(jnp.zeros_like, at)
    begin = varying_as((nowhere, jnp.zeros_like(enough)), programme)
    corrected, _ = jax.lax.fori_loop(0, 2, towards, begin)
    primal, dual = _reach(programme, at, corrected)
    primal, dual = (jnp.where(reach < 1, boundary * reach, 1) for reach in (primal, dual))
    there = _moved(at, corrected, primal, dual)
    return after(state, there, _measure(programme, weights, there), (primal, dual), tolerance)


def _merit(programme: Programme, state: State) -> Array:
    """By how much the cost of an iterate is off (): the products, and what it would cost to put the counts right."""
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
    """Steps from ``first`` until the gap is within ``tolerance``, no step gets anywhere, or ``max_iter``.

    ``weights`` are :func:`~fairjax.assignment.iterates.weigh` of the programme.
    """

    def read(state: State) -> End:
        at = state.iterate
        return End(at.fractions, at.prices, at.level, _merit(programme, state), state.n_iter, state.solved)

    def on(state: State) -> State:
        return step(programme, kind, weights, state, tolerance, boundary=boundary)

    return to_the_end(on, read, begun(first, _measure(programme, weights, first), programme), max_iter)
