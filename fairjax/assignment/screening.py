"""Solving for many points by looking closely only at those near a boundary.

Under given prices most points are far from changing their cluster. Point i can change only if prices within its group
move against each other by more than its *margin*, the difference between its two cheapest clusters. So one pass over
all points finds labels, margins and counts; the m points with the least margins become the open points of a small
problem (:class:`~fairjax.assignment.programme.Points`) in which all others count as placed. Its solution solves the
problem for all points unless some placed point's margin was exceeded. That is checked, not assumed; if it was exceeded,
the dual has still risen (:func:`~fairjax.assignment.programme.with_placed`), and the next pass looks again.

Prices that have far to go are estimated first, from points that represent others (see
:mod:`~fairjax.assignment.selection`). An estimate proves nothing; it says where to look next, and is dropped if its
bound is below the best so far. If few points move, the estimate is nearly right, and good enough for all but the last
iteration of a clustering. A look considers the points within a *radius*:

=========================================  =========================================  ===========================
after a look at                            the next one starts from                   and its radius is
=========================================  =========================================  ===========================
all points there, margins held             -- that is the end
representatives, margins held              what was found (or ends, see above)        a fifth of their change
either, margins exceeded                   what was found                             four times as large
prices at which the bound has fallen       the prices before, whose bound was higher  a quarter of their change
=========================================  =========================================  ===========================

The cost per pass is that of a Lloyd step of k-means: O(n K d), plus O(m K (M + K)) for each step of the solver.

Rows may be spread over devices (:class:`~fairjax._core.rows.Rows`): what concerns single rows is then about a device's
own rows, and the small problem is the same on all devices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.precision import Double, in_double
from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax._core.status import SOLVED, UNSOLVED
from fairjax._core.varying import varying_as
from fairjax.assignment import attributes
from fairjax.assignment.attributes import AnyControl
from fairjax.assignment.interior import BOUNDARY
from fairjax.assignment.programme import Anchor, Points, group_sums
from fairjax.assignment.selection import Sides, choose, indices
from fairjax.assignment.solution import Solution, certify, optimum, optimum_at
from fairjax.assignment.sources import Pass, Source, label_type
from fairjax.assignment.terms import Optimum, Prices, Tolerances, Trial, trials

_CLOSER, _WIDER, _BACK = 0.2, 4.0, 0.25  # the next radius, see above
_MISSES = 2.0  # the next miss of the prices may be this many times the last one
_HOPE = 0.25  # part of the first radius within which every point must have a place: prices rarely change by more
# representatives are good enough if the points that move weigh at most this, and times the change of prices at most so
# many tolerated gaps
_FEW_MOVE, _ROUGHLY = 3e-3, 10.0
_WITHIN = 0.9  # of the least margin: at the margin itself, placed points are about to move
LEAST_PLACES = 4  # for every group in every cluster
_FALL = 0.2  # of the tolerated gap: a smaller fall of the bound counts as rounding


class Assignment(NamedTuple):
    """Optimal prices and the interior assignment near the boundaries.

    Attributes
    ----------
    optimum
        Optimum of the last small problem, whose points are ``points``.
    rows : (m,)
        Numbers of these points among all rows; n for padding.
    labels : (n,)
        Where the last pass placed all points; of :func:`~fairjax.assignment.sources.label_type`.
    placed_in : (m,)
        Where that pass placed these points; K if there was none.
    extra : (K, ...), of_rows : (m, ...)
        What that pass has summed up, and what it sums up of each of these points; or None.
    n_passes : () int32
    valid : () bool
        No placed point could have been cheaper elsewhere.
    """

    optimum: Optimum
    points: Points
    rows: Array
    labels: Array
    placed_in: Array
    extra: Array | None
    of_rows: Array | None
    n_passes: Array
    valid: Array


class _Search(NamedTuple):
    """The state between two looks.

    Attributes
    ----------
    assignment : of the last look. prices, radius : () of the next look.
    proven, bound : the prices with the highest bound so far, and that bound. change : () by how much they changed.
    """

    assignment: Assignment
    prices: Prices
    radius: Array
    proven: Prices
    bound: Array
    change: Array


def how(control: AnyControl, trial: Array | int = 0, *, exact: bool) -> Trial:
    """How to approach a problem: by the ``trial``-th of :func:`~fairjax.assignment.terms.trials` if it is ``exact``.

    Otherwise masses are sums over many points in the caller's dtype, and bounds are met to its digits.
    """
    if exact:
        return jax.tree.map(lambda every: every[trial], trials(control.leeway.dtype))
    boundary = jnp.asarray(BOUNDARY, control.leeway.dtype)
    return Trial(control.leeway, boundary)


@in_double
def _fitted(control: AnyControl, masses: Array) -> AnyControl:
    return attributes.fitted(control, masses, how(control, exact=False).leeway)


@in_double
def _paid(fitted: AnyControl, y: Array) -> Array:
    """What points pay in all, (M, K), under a fitted control."""
    return attributes.paid(fitted, attributes.normalise(fitted, y)[0])


def prices(control: AnyControl, masses: Array, y: Array) -> Array:
    """Prices (M, K) of the groups in the clusters: what their points pay in all."""
    return _paid(_fitted(control, masses), y)


class _Opened(NamedTuple):
    """The small problem, where the pass placed its points (m,), as weights (m, K) too, and what it sums up of each."""

    points: Points
    placed_in: Array
    as_placed: Array
    of_rows: Array | None


def _open(source: Source, found: Pass, index: Array, weights: Array) -> _Opened:
    """The problem in which only the points at ``index`` (m,) are open, with ``weights`` (m,)."""
    n_groups, n_clusters = found.counts.shape

    def look_up(own: Array) -> tuple[tuple[Array, Array | None], Array, Array]:
        inside = jnp.minimum(own, source.groups.shape[0] - 1)
        return source.rows(own), source.groups[inside], found.labels[inside]

    (costs, of_rows), groups, labels = source.at(index, look_up)
    groups = groups.astype(jnp.int32)
    chosen = jax.nn.one_hot(labels, n_clusters, dtype=costs.dtype) * weights[:, None]
    own = group_sums(chosen, groups, n_groups)
    lowest = jnp.min(costs if source.present is None else jnp.where(source.present, costs, jnp.inf), -1)
    offset = found.cost - jnp.sum(chosen * costs) + jnp.sum(weights * lowest)
    # what is subtracted is part of the sum; its rounding must not leave a negative count
    placed = found.counts - own
    placed = jnp.where(jnp.abs(placed) <= 1e-6 * found.counts, 0, placed)
    masses = jnp.sum(placed, 1) + jnp.sum(own, 1)
    points = Points(costs - lowest[:, None], groups, weights, placed, masses, offset, source.present)
    return _Opened(points, labels, chosen, of_rows)


def whole(source: Source) -> tuple[Points, Array | None]:
    """All points open, and what passes sum up of each; nothing is subtracted from their costs: it would lose digits."""
    index = jnp.arange(source.n_points)
    (costs, of_rows), groups, weights = source.at(index, source.rows), source.groups.astype(jnp.int32), source.weights
    if source.spread.axis is not None:
        groups, weights = source.spread.gather(groups), source.spread.gather(weights)
    placed = jnp.zeros((source.masses.shape[0], costs.shape[1]), costs.dtype)
    none = jnp.zeros((), costs.dtype)
    return Points(costs, groups, weights, placed, source.masses, none, source.present), of_rows


def assigned_at(
    source: Source, control: AnyControl, y: Array, counts: Array, level: Array, radius: Array, *, n_open: int
) -> Assignment:
    """The assignment at prices y (M, K), counts (M, K) and level (K,) that another method has found.

    The first ``n_open`` points whose margins are below ``radius`` () are open. All others are in their cheapest
    cluster, so the assignment is valid; :func:`conclude` says how good it is.
    """
    n_points = source.n_points
    found = source.scan(prices(control, source.masses, y))
    rows = indices(found.margins < radius, n_open, spread=source.spread)
    weights = source.at(rows, lambda own: source.weights[jnp.minimum(own, source.weights.shape[0] - 1)])
    weights = jnp.where(rows < n_points, weights, 0)
    points, placed_in, _, of_rows = _open(source, found, rows, weights)
    best = optimum_at(points, control, y, counts, level, leeway=how(control, exact=False).leeway)
    return Assignment(
        best, points, rows, found.labels, placed_in, found.extra, of_rows, jnp.int32(1), jnp.array(True)
    )  # fmt: skip


def assign(
    source: Source,
    control: AnyControl,
    warm: Prices,
    *,
    tolerances: Tolerances,
    n_open: int,
    thorough: Array | bool = True,
    trial: Array | int = 0,
    max_passes: int = 30,
    max_iter: int = 100,
) -> Assignment:
    """Optimal prices for all points from ``warm`` ones (or :func:`~fairjax.assignment.terms.cold` ones).

    Unless the search must be ``thorough`` (may be traced), representatives of the points that move are good enough if
    these are few: the cost is then right to about the tolerated gap, and counts to some 1e-4 of the whole.

    ``n_open`` is the size of the small problems, at least ``LEAST_PLACES`` for every group in every cluster. If it is n
    or more, there is one problem with all points and no screening, and ``trial`` selects one of
    :func:`~fairjax.assignment.terms.trials`.
    """
    n_points = source.n_points
    if n_open >= n_points:
        points, of_rows = whole(source)
        found = optimum(points, control, warm, tolerances, trial=how(control, trial, exact=True), max_iter=max_iter)
        none_placed = _unplaced(source, warm)
        rows = jnp.arange(n_points, dtype=jnp.int32)
        nowhere = jnp.full((n_points,), warm.y.shape[1], label_type(warm.y.shape[1]))
        return Assignment(
            found, points, rows, none_placed, nowhere, source.extra, of_rows, jnp.int32(1), jnp.array(True)
        )  # fmt: skip

    n_groups, n_clusters = source.masses.shape[0], warm.y.shape[1]
    infinite = jnp.full_like(warm.reach, jnp.inf)
    usual, fitted = how(control, exact=False), _fitted(control, source.masses)

    def look(search: _Search) -> _Search:
        start = search.prices
        before = _paid(fitted, start.y)
        found = source.scan(before)
        bound = found.cost + jnp.sum(found.counts * before) - attributes.exact_spread(control, source.masses, before)
        lost = bound < search.bound - _FALL * tolerances.gap * jnp.abs(bound)
        expected = jnp.where((search.assignment.n_passes == 0) & thorough, _HOPE, 1) * search.radius
        chosen = choose(
            found.margins, Sides(source.groups, found.labels, found.rivals), (n_groups, n_clusters), source.weights,
            search.radius, expected, n_open, source.spread,
        )  # fmt: skip
        points, placed_in, as_placed, of_rows = _open(source, found, chosen.rows, chosen.weights)
        anchor = Anchor(before, chosen.radius)
        best = optimum(points, control, start, tolerances, anchor, trial=usual, max_iter=max_iter)
        change = _paid(fitted, best.prices.y) - before
        shift = jnp.max(jnp.max(change, -1) - jnp.min(change, -1))
        held = best.solved & (shift <= _WITHIN * chosen.radius)
        moved = jnp.sum(points.weights) - jnp.sum(as_placed * best.fractions)
        roughly = (moved <= _FEW_MOVE) & (moved * shift <= _ROUGHLY * tolerances.gap * jnp.abs(bound))
        valid = held & (chosen.exact | (roughly & jnp.logical_not(thorough))) & ~lost
        radius = jnp.where(
            held,
            jnp.where(jnp.isfinite(chosen.radius), _CLOSER * shift, shift),
            _WIDER * jnp.maximum(search.radius, chosen.radius),
        )
        back = _BACK * search.change
        # where a warm start led nowhere, the next one is cold
        again = start._replace(reach=infinite)
        following = jax.tree.map(
            lambda proven, found, again: jnp.where(lost, proven, jnp.where(best.solved, found, again)),
            search.proven, best.prices, again,
        )  # fmt: skip
        n_passes = search.assignment.n_passes + 1
        return _Search(
            Assignment(best, points, chosen.rows, found.labels, placed_in, found.extra, of_rows, n_passes, valid),
            following,
            jnp.where(lost, back, radius),
            jax.tree.map(lambda proven, start: jnp.where(lost, proven, start), search.proven, start),
            jnp.maximum(bound, search.bound),
            jnp.where(lost, back, jnp.minimum(shift, chosen.radius)),
        )

    none = nothing(source, warm, n_open)
    begin = _Search(none, warm, _MISSES * warm.reach, warm, -infinite, infinite)
    return jax.lax.while_loop(
        lambda search: ~search.assignment.valid & (search.assignment.n_passes < max_passes),
        look,
        varying_as(begin, source.weights, source.groups, control, but=source.spread.axes),
    ).assignment


def nothing(source: Source, warm: Prices, n_open: int) -> Assignment:
    """The state before the first look, which starts from ``warm`` prices: all zeros."""
    n_groups = source.masses.shape[0]
    table = jnp.zeros((n_groups, warm.y.shape[1]), source.weights.dtype)
    none, zero = jnp.zeros((), jnp.int32), table[0, 0]
    fractions = jnp.zeros((n_open, table.shape[1]), table.dtype)
    rows = jnp.zeros((n_open,), jnp.int32)
    prices = Prices(jnp.zeros_like(warm.y), jnp.zeros_like(warm.level), zero)
    return Assignment(
        Optimum(prices, prices.y, fractions, Double(table, table), none, jnp.array(False)),
        Points(fractions, rows, fractions[:, 0], table, table[:, 0], zero, source.present),
        rows,
        _unplaced(source, warm),
        jnp.zeros((n_open,), label_type(table.shape[1])),
        source.extra,
        None if source.extra is None else jnp.zeros((n_open, *source.extra.shape[1:]), source.extra.dtype),
        none,
        jnp.array(False),
    )


def _unplaced(source: Source, warm: Prices) -> Array:
    """Labels (n,) before any pass; made from a device's own rows, so that they vary over devices."""
    labels = jnp.zeros((source.groups.shape[0],), label_type(warm.y.shape[1]))
    return labels if source.spread.axis is None else varying_as(labels, source.groups, source.weights)


def conclude(
    found: Assignment,
    control: AnyControl,
    *,
    tolerances: Tolerances,
    trial: Array | int = 0,
    spread: Rows = IN_ONE_PLACE,
) -> Solution:
    """The solution: feasible fractions, labels rounded from them, and the certificate.

    Where rows are ``spread``, each device gets the labels of its own.
    """
    n_own, n_open = found.labels.shape[0], found.rows.shape[0]
    n_points = n_own * spread.n_devices
    points, exact = found.points, n_open >= n_points
    leeway = how(control, trial, exact=exact).leeway
    best = certify(points, control, found.optimum, tolerances, points.costs.dtype, leeway, exact=exact)
    return best._replace(
        labels=placed_at(found.labels.astype(jnp.int32), found.rows, best.labels, spread),
        rows=jnp.where(points.weights > 0, found.rows, n_points),
        status=jnp.where(found.valid | (best.status != SOLVED), best.status, UNSOLVED).astype(jnp.int32),
        n_passes=found.n_passes,
    )


def placed_at(labels: Array, rows: Array, those: Array, spread: Rows) -> Array:
    """``labels`` (n,) of a device's own rows, replaced by ``those`` (m,) at the rows with these numbers (m,)."""
    return labels.at[spread.own(rows, labels.shape[0])].set(those, mode="drop")
