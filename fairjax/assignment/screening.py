"""Solving for many points by looking closely only at those near a boundary.

Under given prices most points are far from changing their cluster. Point i may change only if prices within its group
move against each other by more than its *margin*, the difference between its two cheapest clusters. So one pass over
all points finds labels, margins and counts; the m points of least margin become the open points of a small problem
(:class:`~fairjax.assignment.programme.Points`) in which all others count as placed; and its solution is the solution
for all points if no placed point's margin was exceeded. That is checked, not assumed; where it was, the dual has risen
all the same (:func:`~fairjax.assignment.programme.with_placed`), and the next pass looks again.

Prices that have far to go are estimated first, from a sample of the points with the least margins in which each stands
for several. An estimate proves nothing; it tells where to look next, and one that leads below the bound that was
reached is dropped. A look regards a part of the points:

===============================  =========================================  ==================
after a look at                  the next one starts from                   and regards
===============================  =========================================  ==================
all of the part, margins held    -- that is the end
a sample of it, margins held     what was found                             a tenth of the part
either, margins exceeded         what was found                             twice the part
all of it, the bound has fallen  the last prices whose bound was proven     a tenth of the part
===============================  =========================================  ==================

The cost per pass is that of a Lloyd step of k-means: O(n K d), plus O(m K (M + K)) for each step of the solver.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._precision import Double, in_double
from fairjax.assignment import controls
from fairjax.assignment.controls import Control
from fairjax.assignment.programme import Anchor, Points, group_sums
from fairjax.assignment.solution import SOLVED, UNSOLVED, Optimum, Prices, Solution, Tolerances, certify, optimum

_SAMPLE = 4096  # margins that quantiles are read from
_AIM = 0.75  # of the places, to be filled: quantiles of a sample are not exact
_FEWER, _MORE = 0.1, 2.0  # the next part, in parts of the last
_WITHIN = 0.9  # of the least margin: at all of it, placed points are about to move


class Pass(NamedTuple):
    """What one pass over all points under given prices finds.

    Attributes
    ----------
    labels : (n,) int32, the cheapest cluster. margins : (n,) extra cost of the second cheapest.
    counts : (M, K) weight per group and cluster. cost : () weighted cost of the labels, without prices.
    extra : whatever else the pass has summed up by cluster (a pytree).
    """

    labels: Array
    margins: Array
    counts: Array
    cost: Array
    extra: Array


class Source(NamedTuple):
    """Where costs come from: a matrix, or points and centres.

    Attributes
    ----------
    scan : prices (M, K) -> :class:`Pass`.
    rows : indices (m,) -> costs (m, K); an index of n or more gives any finite row.
    groups, weights : (n,) of all points; weights sum to 1.
    masses : (M,) weight of each group. extra : zeros like what a pass sums up.
    """

    scan: Callable[[Array], Pass]
    rows: Callable[[Array], Array]
    groups: Array
    weights: Array
    masses: Array
    extra: Array


class Assignment(NamedTuple):
    """Optimal prices and the interior assignment near the boundaries.

    Attributes
    ----------
    optimum : of the last small problem, whose points are ``points``.
    rows : (m,) which points these are; n for padding.
    labels : (n,) int32, where the other points were placed. extra : what that pass has summed up.
    n_passes : () int32. valid : () bool, no placed point could have been cheaper elsewhere.
    """

    optimum: Optimum
    points: Points
    rows: Array
    labels: Array
    extra: Array
    n_passes: Array
    valid: Array


class _Search(NamedTuple):
    """Between two looks: the last one, the prices of the next, the part of the points it regards, a proven fallback."""

    assignment: Assignment
    prices: Prices
    part: Array
    safe: Prices
    bound: Array


@in_double
def prices(control: Control, masses: Array, y: Array) -> Array:
    """Prices (M, K) of the groups in the clusters."""
    return controls.normalise(controls.fitted(control, masses, exact=False), y)[0]


def of_matrix(costs: Array, groups: Array, weights: Array, masses: Array) -> Source:
    """Source for a cost matrix (n, K)."""
    n_points, n_clusters = costs.shape

    def scan(prices: Array) -> Pass:
        reduced = costs + prices[groups]
        labels = jnp.argmin(reduced, -1).astype(jnp.int32)
        chosen = jax.nn.one_hot(labels, n_clusters, dtype=costs.dtype)
        second = jnp.min(jnp.where(chosen > 0, jnp.inf, reduced), -1)
        margins = second - jnp.min(reduced, -1)
        weighted = chosen * weights[:, None]
        counts = group_sums(weighted, groups, masses.shape[0])
        return Pass(labels, margins, counts, jnp.sum(weighted * costs), jnp.zeros((), costs.dtype))

    def rows(index: Array) -> Array:
        return costs[jnp.minimum(index, n_points - 1)]

    return Source(scan, rows, groups, weights, masses, jnp.zeros((), costs.dtype))


def _set_bit(word: Array, rank: Array) -> Array:
    """Position of the set bit of 32-bit ``word`` that has ``rank`` set bits below it, by halving."""
    position = jnp.zeros_like(rank)
    for half in (16, 8, 4, 2, 1):
        below = (word >> position.astype(jnp.uint32)) & jnp.uint32((1 << half) - 1)
        n_below = jax.lax.population_count(below).astype(rank.dtype)
        up = rank >= n_below
        position = position + jnp.where(up, half, 0)
        rank = rank - jnp.where(up, n_below, 0)
    return position


def _indices(flags: Array, size: int) -> Array:
    """The first ``size`` indices at which ``flags`` (n,) hold, n as padding.

    As :func:`jax.numpy.nonzero`, but its running sum over n is one over n / 32 words.
    """
    n_points = flags.shape[0]
    bits = jnp.pad(flags, (0, -n_points % 32)).reshape(-1, 32).astype(jnp.uint32)
    words = jnp.sum(bits << jnp.arange(32, dtype=jnp.uint32), 1, dtype=jnp.uint32)
    until = jnp.cumsum(jax.lax.population_count(words).astype(jnp.int32))
    rank = jnp.arange(size, dtype=jnp.int32)
    at = jnp.minimum(jnp.searchsorted(until, rank, side="right").astype(jnp.int32), words.shape[0] - 1)
    before = jnp.where(at > 0, until[at - 1], 0)
    index = 32 * at + _set_bit(words[at], rank - before)
    return jnp.where(rank < until[-1], index, n_points)


class Chosen(NamedTuple):
    """Which points to open.

    Attributes
    ----------
    rows : (m,) indices, n as padding. weights : (m,) of these points, or of what each of them stands for.
    radius : () the least margin of all points that are neither chosen nor stood for. exact : () bool, nobody is.
    """

    rows: Array
    weights: Array
    radius: Array
    exact: Array


def _scattered(n_points: int, part: Array) -> Array:
    """Flags (n,) of an evenly scattered ``part`` () of the points."""
    # multiples of the golden ratio
    spread = jnp.arange(n_points, dtype=jnp.uint32) * jnp.uint32(2_654_435_769)
    return (spread >> 8).astype(jnp.int32) < jnp.minimum(part * 2.0**24, 2.0**24).astype(jnp.int32)


def choose(source: Source, margins: Array, part: Array, n_open: int) -> Chosen:
    """About the least ``part`` () of the margins (n,): all of these points if there are places, else a sample."""
    n_points = margins.shape[0]
    margins = jnp.where(source.weights > 0, margins, jnp.inf)
    sample = jnp.sort(margins[:: max(1, n_points // _SAMPLE)])
    exact = part * n_points <= 1.001 * n_open

    def quantile(part: Array) -> Array:
        at = (part * sample.shape[0]).astype(jnp.int32)
        return jnp.where(at < sample.shape[0], sample[jnp.minimum(at, sample.shape[0] - 1)], jnp.inf)

    places = n_open / n_points
    wide, narrow = quantile(jnp.asarray(_AIM * places)), quantile(jnp.asarray(_AIM / 2 * places))
    # a sample may mislead: once in a hundred times more points lie within the wide margin than have a place
    within = jnp.where(jnp.sum(margins < wide) <= n_open, wide, narrow)
    near = margins < jnp.where(exact, within, quantile(part))
    n_near = jnp.sum(near).astype(margins.dtype)
    kept = jnp.where(exact, 1.0, jnp.minimum(_AIM * n_open / jnp.maximum(n_near, 1), 1.0)).astype(margins.dtype)
    flags = near & (_scattered(n_points, kept) | exact)
    rows = _indices(flags, n_open)
    weights = jnp.where(rows < n_points, source.weights[jnp.minimum(rows, n_points - 1)], 0) / kept
    radius = jnp.min(jnp.where(near, jnp.inf, margins))
    return Chosen(rows, weights, jnp.where(jnp.sum(flags) <= n_open, radius, 0), exact)


def _open(source: Source, found: Pass, index: Array, weights: Array) -> Points:
    """The small problem in which only the points at ``index`` (m,) are open, with ``weights`` (m,)."""
    n_points = source.groups.shape[0]
    n_groups, n_clusters = found.counts.shape
    costs = source.rows(index)
    inside = jnp.minimum(index, n_points - 1)
    groups, labels = source.groups[inside], found.labels[inside]
    chosen = jax.nn.one_hot(labels, n_clusters, dtype=costs.dtype) * weights[:, None]
    own = group_sums(chosen, groups, n_groups)
    lowest = jnp.min(costs, -1)
    offset = found.cost - jnp.sum(chosen * costs) + jnp.sum(weights * lowest)
    # what is subtracted is part of the sum up to rounding, which must not become a count below zero
    placed = found.counts - own
    placed = jnp.where(jnp.abs(placed) <= 1e-6 * found.counts, 0, placed)
    masses = jnp.sum(placed, 1) + jnp.sum(own, 1)
    return Points(costs - lowest[:, None], groups, weights, placed, masses, offset)


def whole(source: Source) -> Points:
    """All points open; nothing is subtracted from their costs, which would lose digits."""
    costs = source.rows(jnp.arange(source.groups.shape[0]))
    placed = jnp.zeros((source.masses.shape[0], costs.shape[1]), costs.dtype)
    return Points(costs, source.groups, source.weights, placed, source.masses, jnp.zeros((), costs.dtype))


def assign(
    source: Source,
    control: Control,
    warm: Prices,
    *,
    tolerances: Tolerances,
    n_open: int,
    max_passes: int = 30,
    max_iter: int = 100,
) -> Assignment:
    """Optimal prices for all points from ``warm`` ones (or :func:`~fairjax.assignment.solution.cold` ones).

    ``n_open`` is the size of the small problems; from n on there is one problem of all points and no screening.
    """
    n_points = source.groups.shape[0]
    if n_open >= n_points:
        points = whole(source)
        found = optimum(points, control, warm, tolerances, max_iter=max_iter)
        none_placed = jnp.zeros((n_points,), jnp.int32)
        rows = jnp.arange(n_points, dtype=jnp.int32)
        return Assignment(found, points, rows, none_placed, source.extra, jnp.int32(1), jnp.array(True))

    fewest = jnp.asarray(n_open / n_points, warm.y.dtype)

    def look(search: _Search) -> _Search:
        start = search.prices
        before = prices(control, source.masses, start.y)
        found = source.scan(before)
        spread = controls.exact_spread(control, source.masses, before)
        bound = found.cost + jnp.sum(found.counts * before) - spread
        chosen = choose(source, found.margins, search.part, n_open)
        # an estimate that led below what was had is dropped
        lost = chosen.exact & (bound < search.bound - tolerances.gap * jnp.abs(bound))

        points = _open(source, found, chosen.rows, chosen.weights)
        best = optimum(points, control, start, tolerances, Anchor(before, chosen.radius), max_iter=max_iter)
        change = prices(control, source.masses, best.prices.y) - before
        shift = jnp.max(jnp.max(change, -1) - jnp.min(change, -1))
        held = best.solved & (shift <= _WITHIN * chosen.radius)
        valid = held & chosen.exact & ~lost
        # where a warm start led nowhere, the next one is cold
        again = start._replace(reach=jnp.full_like(start.reach, jnp.inf))
        following = jax.tree.map(
            lambda safe, found, again: jnp.where(lost, safe, jnp.where(best.solved, found, again)),
            search.safe, best.prices, again,
        )  # fmt: skip
        proven = chosen.exact & ~lost
        safe = jax.tree.map(lambda old, new: jnp.where(proven, new, old), search.safe, best.prices)
        bound = jnp.where(proven, jnp.maximum(bound, search.bound), search.bound)
        # fewer points where the prices held, which are known better now; more where they did not
        part = search.part * jnp.where(held | lost, _FEWER, _MORE)
        part = jnp.clip(part, fewest, 1)
        n_passes = search.assignment.n_passes + 1
        done = Assignment(best, points, chosen.rows, found.labels, found.extra, n_passes, valid)
        return _Search(done, following, part, safe, bound)

    first = nothing(source, warm.y.shape[1], n_open)
    part = jnp.where(jnp.isfinite(warm.reach), fewest, 1)
    lowest = jnp.asarray(-jnp.inf, warm.y.dtype)
    return jax.lax.while_loop(
        lambda search: ~search.assignment.valid & (search.assignment.n_passes < max_passes),
        look,
        _Search(first, warm, part, warm, lowest),
    ).assignment


def nothing(source: Source, n_clusters: int, n_open: int) -> Assignment:
    """Before the first look: all is zero."""
    n_points, n_groups = source.groups.shape[0], source.masses.shape[0]
    table = jnp.zeros((n_groups, n_clusters), source.weights.dtype)
    none, zero = jnp.zeros((), jnp.int32), table[0, 0]
    fractions = jnp.zeros((n_open, n_clusters), table.dtype)
    rows = jnp.zeros((n_open,), jnp.int32)
    return Assignment(
        Optimum(Prices(table, table[0], zero), table, fractions, Double(table, table), none, jnp.array(False)),
        Points(fractions, rows, fractions[:, 0], table, table[:, 0], zero),
        rows,
        jnp.zeros((n_points,), jnp.int32),
        source.extra,
        none,
        jnp.array(False),
    )


def conclude(found: Assignment, control: Control, *, tolerances: Tolerances) -> Solution:
    """The solution: feasible fractions, labels rounded from them, and the certificate."""
    n_points, n_open = found.labels.shape[0], found.rows.shape[0]
    points = found.points
    best = certify(points, control, found.optimum, tolerances, points.costs.dtype, exact=n_open >= n_points)
    return best._replace(
        labels=found.labels.at[found.rows].set(best.labels, mode="drop"),
        rows=jnp.where(points.weights > 0, found.rows, n_points),
        status=jnp.where(found.valid | (best.status != SOLVED), best.status, UNSOLVED).astype(jnp.int32),
        n_passes=found.n_passes,
    )
