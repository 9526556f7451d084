"""The interior-point method for several attributes, each fair by itself.

As in :mod:`fairjax.assignment.interior`, rows are points, each spread over the clusters by fractions A_ik > 0 that sum
to 1, with reduced costs z_ik > 0, and every step brings the products of the two nearer to zero. Here a row pays several
prices, one for its group in every attribute, and groups of different attributes are coupled by the rows that they
share. For each cluster k and the groups s of attribute a there is a level t_ak,

    lower_s t_ak ≤ N_sk ≤ upper_s t_ak,

where N_sk is the weight of the group in the cluster. Under ``shares`` all attributes have the same level, the cluster's
whole weight. That has a price too, which comes last and which every row pays. Under ``balance`` each attribute's level
is free. A group without room has N_sk = lower_s t_ak and a price of either sign.

Eliminating rows and slack leaves, for the change of the prices p and of the levels t,

    (L + G) p + S t = forces,    S' p − B t = pulls,

where a *cell* is a combination of groups, one of each attribute, and has a graph Laplacian over the clusters. The block
of L for two groups is the sum of the Laplacians of the cells that belong to both. G and B say by how much bounds give
way, and S their slopes. The matrix is quasidefinite and so has a triangular factor in any order. It is singular where
prices may change without effect (all groups of an attribute pay more and every row less, or a group without room pays
a constant): a ridge picks one of the solutions, and refinement removes its trace.

O(m K (T + K)) for each step with T cells and m rows, and O((S K)³) for S groups.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.precision import product
from fairjax._core.varying import varying_as
from fairjax.assignment import coupled, iterates, newton
from fairjax.assignment.coupled import Coupled, Point
from fairjax.assignment.descent import DescentState, End, Tolerance, after, begun, to_the_end
from fairjax.assignment.elimination import eliminate

_RIDGE = 1e-13  # of the diagonal
_REFINEMENTS = 3
_FLOOR = 0.1  # least target for the products, as a part of the tolerated gap


class _Linear(NamedTuple):
    """The system at a point; ``slope`` (P, L, K) of P prices and L levels, ``give`` (S, K), ``bend`` (L, K)."""

    ratios: Array
    total_ratio: Array
    relative: Array
    counts: Array
    stiff_below: Array
    stiff_above: Array
    give: Array
    slope: Array
    matrix: Array
    scale: Array
    factor: Array
    pivots: Array


def _missed(given: Coupled, at: Point, counts: Array) -> tuple[Array, Array]:
    """Difference (S, K), below and above, between the slack and what counts and levels imply."""
    level, own = coupled.at_level_of(given, at.level), coupled.of_groups(given, counts)
    below = own - given.lower * level - at.slack_below
    above = given.upper * level - own - at.slack_above
    return jnp.where(given.roomy, below, 0), jnp.where(given.roomy, above, 0)


def _linearise(given: Coupled, at: Point) -> _Linear:
    """The system at a point, factorised."""
    n_clusters, n_prices = at.fractions.shape[0], given.members.shape[0]
    ratios = jnp.where(given.weights > 0, at.fractions / at.reduced, 1)
    total_ratio = iterates.over_clusters(ratios)
    relative = ratios / total_ratio
    counts = given.placed + coupled.gathered(given, at.fractions)
    links = newton.laplacian_links(given.rows, ratios, relative) * given.rows.masses[:, None, None]
    unit = jnp.eye(n_clusters, dtype=links.dtype)
    laplacian = unit * jnp.sum(links, 2, keepdims=True) - links
    pairs = (given.members[:, None] * given.members[None]).reshape(n_prices**2, -1)
    laplacian = product(pairs, laplacian.reshape(-1, n_clusters**2))
    laplacian = laplacian.reshape(n_prices, n_prices, n_clusters, n_clusters).transpose(0, 2, 1, 3)

    below, above = at.force_below / at.slack_below, at.force_above / at.slack_above
    give = jnp.where(given.roomy, 1 / jnp.where(given.roomy, below + above, 1), 0)
    slope = jnp.where(given.roomy, (given.upper * above + given.lower * below) * give, given.lower)
    slope = jnp.where(given.present, slope, 0)
    bend = product(given.levels.T, (given.upper - given.lower) ** 2 * below * above * give)
    by_level = slope[:, None] * given.levels[:, :, None]
    n_more = n_prices - by_level.shape[0]
    by_level = jnp.concatenate([by_level, jnp.ones((n_more, *by_level.shape[1:]), slope.dtype)])
    n_levels = bend.shape[0]
    slopes = (by_level[:, None] * unit[:, None, :]).reshape(n_prices * n_clusters, n_levels * n_clusters)
    upper_left = laplacian.reshape(n_prices * n_clusters, -1) + jnp.diag(coupled.over(given, give).reshape(-1))
    matrix = jnp.concatenate(
        [
            jnp.concatenate([upper_left, slopes], 1),
            jnp.concatenate([slopes.T, -jnp.diag(bend.reshape(-1))], 1),
        ]
    )
    diagonal = jnp.diagonal(upper_left)
    scale = jax.lax.rsqrt(jnp.where(diagonal > 0, diagonal, 1))
    of_levels = bend.reshape(-1) + jnp.sum((slopes * scale[:, None]) ** 2, 0)
    scale = jnp.concatenate([scale, jax.lax.rsqrt(jnp.where(of_levels > 0, of_levels, 1))])
    signs = jnp.where(jnp.arange(len(scale)) < n_prices * n_clusters, 1, -1)
    dead = jnp.concatenate([diagonal <= 0, of_levels <= 0])
    scaled = matrix * scale[:, None] * scale + jnp.diag(signs * jnp.where(dead, 1, _RIDGE))
    factor, pivots = eliminate(scaled)
    return _Linear(
        ratios, total_ratio, relative, counts, below, above, give, by_level, matrix, scale, factor, pivots
    )  # fmt: skip


def _solve(linear: _Linear, wanted: Array) -> Array:
    """The change of prices and levels, flattened."""

    def apply_inverse(values: Array) -> Array:
        return linear.scale * product(product(linear.factor, linear.scale * values) / linear.pivots, linear.factor)

    found = apply_inverse(wanted)
    for _ in range(_REFINEMENTS):
        found = found + apply_inverse(wanted - product(linear.matrix, found))
    return found


def _direction(given: Coupled, at: Point, linear: _Linear, rows: Array, below: Array, above: Array) -> Point:
    """Newton direction that changes the products by ``rows`` (over z, (K, m)), ``below`` and ``above`` (S, K)."""
    missing = 1 - iterates.over_clusters(at.fractions + rows)
    pushed = coupled.gathered(given, rows + linear.relative * missing)
    miss_below, miss_above = _missed(given, at, linear.counts)
    ask_below = below / at.slack_below - linear.stiff_below * miss_below
    ask_above = above / at.slack_above - linear.stiff_above * miss_above
    level, own = coupled.at_level_of(given, at.level), coupled.of_groups(given, linear.counts)
    lacking = jnp.where(given.roomy, -linear.give * (ask_above - ask_below), given.lower * level - own)
    lacking = jnp.where(given.present, lacking, 0)
    stiffness = given.upper * linear.stiff_above + given.lower * linear.stiff_below
    turned = given.upper * ask_above - given.lower * ask_below + stiffness * lacking
    pull = jnp.where(given.roomy, given.upper * at.force_above - given.lower * at.force_below + turned, 0)
    pinned = given.present & ~given.roomy
    pull += jnp.where(pinned, given.lower * coupled.of_groups(given, at.prices), 0)
    n_groups, n_prices = len(given.masses), given.members.shape[0]
    total = at.prices[n_groups:]
    whole = at.level - linear.counts[n_groups:] if n_prices > n_groups else total
    forces = pushed - jnp.concatenate([lacking, whole])
    coupling = -product(given.levels.T, pull) - (total if n_prices > n_groups else 0)
    found = _solve(linear, jnp.concatenate([forces.reshape(-1), coupling.reshape(-1)]))
    prices = found[: forces.size].reshape(forces.shape)
    levels = found[forces.size :].reshape(coupling.shape)

    paid = coupled.by_row(given, prices)
    paid -= iterates.over_clusters(linear.relative * paid)
    reduced = paid - iterates.over_clusters(linear.relative * paid) - missing / linear.total_ratio
    at_level = coupled.at_level_of(given, levels)
    slope = jnp.sum(linear.slope[:n_groups], 1)
    moved = linear.give * coupled.of_groups(given, prices) + slope * at_level + lacking
    slack_below = jnp.where(given.roomy, moved - given.lower * at_level + miss_below, 0)
    slack_above = jnp.where(given.roomy, given.upper * at_level - moved + miss_above, 0)
    return Point(
        rows - linear.ratios * reduced, reduced, prices, levels, slack_below, slack_above,
        (below - at.force_below * slack_below) / at.slack_below,
        (above - at.force_above * slack_above) / at.slack_above,
    )  # fmt: skip


def _reach(given: Coupled, at: Point, along: Point) -> tuple[Array, Array]:
    """Largest steps (at most 1) that keep the primal and the dual part positive."""
    active = given.weights > 0

    def fall(value: Array, change: Array, counted: Array) -> Array:
        return jnp.max(jnp.where(counted, -change / value, 0))

    primal, dual = fall(at.fractions, along.fractions, active), fall(at.reduced, along.reduced, active)
    for kind in ("below", "above"):
        slack, force = f"slack_{kind}", f"force_{kind}"
        primal = jnp.maximum(primal, fall(getattr(at, slack), getattr(along, slack), given.roomy))
        dual = jnp.maximum(dual, fall(getattr(at, force), getattr(along, force), given.roomy))
    return 1 / jnp.maximum(1, primal), 1 / jnp.maximum(1, dual)


def _moved(at: Point, along: Point, primal: Array, dual: Array) -> Point:
    steps = Point(primal, dual, dual, primal, primal, primal, dual, dual)
    return Point(*(value + step * change for value, step, change in zip(at, steps, along, strict=True)))


def _steadied(given: Coupled, prices: Array) -> Array:
    """Prices (R, K) less what groups without room pay in all clusters alike, as far as the levels allow.

    No row notices it and nothing resists it, so it would drift from step to step, and in the end exceed all costs.
    """
    n_groups = len(given.masses)
    lower = jnp.where(given.present & ~given.roomy, given.lower, 0)
    constant = jnp.where(lower > 0, jnp.mean(prices[:n_groups], 1, keepdims=True), 0)
    if len(given.members) > n_groups:
        return prices + jnp.concatenate([-constant, jnp.sum(lower * constant, 0, keepdims=True)])
    # what pulls at a level has to stay
    pull, size = product(given.levels.T, lower * constant), product(given.levels.T, lower**2)
    return prices - (constant - lower * product(given.levels, pull / jnp.where(size > 0, size, 1)))


def _complementarity(given: Coupled, at: Point) -> Array:
    of_rows = product(iterates.over_clusters(at.fractions * at.reduced), given.weights)
    of_bounds = at.slack_below * at.force_below + at.slack_above * at.force_above
    return of_rows + jnp.sum(jnp.where(given.roomy, of_bounds, 0))


def _measure(given: Coupled, at: Point) -> tuple[Array, Array, Array]:
    """Complementarity, cost, and the largest miss of the control by a count, as a share of its group."""
    counts = given.placed + coupled.gathered(given, at.fractions)
    below, above = _missed(given, at, counts)
    level, own = coupled.at_level_of(given, at.level), coupled.of_groups(given, counts)
    missed = jnp.where(given.roomy, jnp.maximum(jnp.abs(below), jnp.abs(above)), jnp.abs(own - given.lower * level))
    missed = jnp.where(given.present, missed / jnp.where(given.present, given.masses[:, None], 1), 0)
    residual = jnp.max(missed)
    if len(counts) > len(own):
        residual = jnp.maximum(residual, jnp.max(jnp.abs(counts[-1] - at.level[0])))
    cost = given.rows.offset + product(iterates.over_clusters(at.fractions * given.rows.costs), given.weights)
    return _complementarity(given, at), cost, residual


def _step(
    given: Coupled, central: Array, state: DescentState, tolerance: Tolerance, boundary: Array | float
) -> DescentState:
    """One step: predictor, target, corrector; once the products are small enough, it only corrects the counts."""
    at: Point = state.iterate
    n_clusters = at.fractions.shape[0]
    linear = _linearise(given, at)
    whole = n_clusters * (1 + 2 * jnp.sum(given.roomy) / coupled.n_rows(given))
    enough = tolerance.products(state.cost)
    # as in :func:`~fairjax.assignment.interior.step`
    moving = (state.complementarity > enough) | (state.n_stalls % 2 == 1)
    moving = moving.astype(enough.dtype)

    def towards(_: Array, carry: tuple[Point, Array]) -> tuple[Point, Array]:
        before, target = carry
        bent = target * central - before.fractions * before.reduced
        aim = target / coupled.n_rows(given)

        def change(slack: Array, force: Array, slack_before: Array, force_before: Array) -> Array:
            return jnp.where(given.roomy, moving * (aim - slack * force - slack_before * force_before), 0)

        below = change(at.slack_below, at.force_below, before.slack_below, before.force_below)
        above = change(at.slack_above, at.force_above, before.slack_above, before.force_above)
        along = _direction(given, at, linear, moving * (bent / at.reduced - at.fractions), below, above)
        ahead = _complementarity(given, _moved(at, along, *_reach(given, at, along)))
        ahead = jnp.clip(ahead / state.complementarity, 0.05, 1)
        return along, jnp.maximum(ahead**3 * state.complementarity, _FLOOR * enough) / whole

    nowhere = jax.tree.map(jnp.zeros_like, at)
    begin = varying_as((nowhere, jnp.zeros_like(enough)), given)
    along, _ = jax.lax.fori_loop(0, 2, towards, begin)
    primal, dual = (jnp.where(reach < 1, boundary * reach, 1) for reach in _reach(given, at, along))
    there = _moved(at, along, primal, dual)
    there = there._replace(prices=_steadied(given, there.prices))
    return after(state, there, _measure(given, there), (primal, dual), tolerance)


def run(
    given: Coupled,
    first: Point,
    tolerance: Tolerance,
    *,
    boundary: Array | float,
    max_iter: Array | int,
) -> End:
    """Step from ``first`` until the gap is within ``tolerance``, steps stall, or ``max_iter`` is reached."""
    central = coupled.central_products(given)
    n_groups = len(given.masses)

    def read(state: DescentState) -> End:
        at: Point = state.iterate
        ranges = jnp.max(at.prices, 1) - jnp.min(at.prices, 1)
        off = state.complementarity + state.residual * product(given.masses, ranges[:n_groups])
        pinned = given.present & ~given.roomy
        y = jnp.where(pinned, at.prices[:n_groups], at.force_above - at.force_below)
        if len(given.members) > n_groups:
            # a constant that a group without room pays everywhere has no effect
            weights = jnp.maximum(at.level[0], 0) / jnp.sum(jnp.maximum(at.level[0], 0))
            y = jnp.where(pinned, y - product(y, weights)[:, None], y)
        return End(at.fractions, y, at.level, off, state.n_iter, state.solved)

    def on(state: DescentState) -> DescentState:
        return _step(given, central, state, tolerance, boundary)

    return to_the_end(on, read, begun(first, _measure(given, first), given), max_iter)
