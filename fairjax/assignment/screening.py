"""Solving for many points by looking closely only at those near a boundary.

Under given prices most points are far from changing their cluster. Point i may change only if prices within its group
move against each other by more than its *margin*, the difference between its two cheapest clusters. So one pass over
all points finds labels, margins and counts; the m points of least margin become the open points of a small problem
(:class:`~fairjax.assignment.dual.Points`) in which all others count as placed; and its solution is the solution for
all points if no placed point's margin was exceeded. That is checked, not assumed: otherwise prices move only as far as
the check allows, where the dual of the small problem equals the dual of all points and therefore has risen, and the
next pass looks again. From warm prices one pass is the rule. Cold prices come from a random sample.

The cost per pass is that of a Lloyd step of k-means: O(n K d), plus O(m K²) for each Newton step.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from fairjax._laziness import only_if
from fairjax.assignment import controls, dual
from fairjax.assignment.controls import Control
from fairjax.assignment.dual import Ascent, Points

_SAMPLE = 4096
_AIM = 0.75
_COOLER = 0.3
_SAMPLED = 4  # points in the sample for an estimate, for each open one
_LOOSELY = 10.0  # times the tolerance, for estimates


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
    masses : (M,) weight of each group.
    """

    scan: Callable[[Array], Pass]
    rows: Callable[[Array], Array]
    groups: Array
    weights: Array
    masses: Array


class Prices(NamedTuple):
    """Dual variables to start from.

    Attributes
    ----------
    y : (M, K) free variables of the normaliser. temperature : () at which it is smoothed.
    start : () temperature from which cooling should start in a problem a little different; 0 if these are cold.
    """

    y: Array
    temperature: Array
    start: Array


class Assignment(NamedTuple):
    """Optimal prices and the soft assignment near the boundaries.

    Attributes
    ----------
    ascent : :class:`~fairjax.assignment.dual.Ascent` of the last small problem, whose points are ``points``.
    rows : (m,) which points these are; n for padding.
    found : :class:`Pass` in which the other points were placed. warm : prices for the next, similar problem.
    n_passes : () int32. valid : () bool, no placed point could have been cheaper elsewhere.
    """

    ascent: Ascent
    points: Points
    rows: Array
    found: Pass
    warm: Prices
    n_passes: Array
    valid: Array


class _Search(NamedTuple):
    """Between two passes: what was found, with the prices to look at next, and a fallback below ``bound``."""

    assignment: Assignment
    safe: Prices
    bound: Array


def prices(control: Control, warm: Prices) -> Array:
    """Prices (M, K) of the groups in the clusters."""
    return controls.normalise(control, warm.y, warm.temperature)[0]


def follow(ascent: Ascent) -> Prices:
    """Prices to start the next, similar problem from."""
    return Prices(ascent.y, ascent.temperature, jnp.maximum(_COOLER * ascent.warmest, ascent.temperature))


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
        counts = dual.group_sums(weighted, groups, masses.shape[0])
        return Pass(labels, margins, counts, jnp.sum(weighted * costs), jnp.zeros((), costs.dtype))

    def rows(index: Array) -> Array:
        return costs[jnp.minimum(index, n_points - 1)]

    return Source(scan, rows, groups, weights, masses)


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


def nearest(margins: Array, weights: Array, n_open: int) -> tuple[Array, Array]:
    """Indices (m,) of about the least margins, n as padding, and the least margin of all others."""
    n_points = margins.shape[0]
    margins = jnp.where(weights > 0, margins, jnp.inf)
    sample = jnp.sort(margins[:: max(1, n_points // _SAMPLE)])
    wide, narrow = (sample[int(part * n_open / n_points * sample.shape[0])] for part in (_AIM, _AIM / 2))
    # a sample may mislead: once in a hundred times more than n_open points lie within the wide one
    threshold = jnp.where(jnp.sum(margins < wide) <= n_open, wide, narrow)
    near = margins < threshold
    radius = jnp.min(jnp.where(near, jnp.inf, margins))
    return _indices(near, n_open), jnp.where(jnp.sum(near) <= n_open, radius, 0)


def _open(source: Source, found: Pass, index: Array) -> Points:
    """The small problem in which only the points at ``index`` (m,) are open."""
    n_points = source.groups.shape[0]
    n_groups, n_clusters = found.counts.shape
    costs = source.rows(index)
    inside = jnp.minimum(index, n_points - 1)
    weights = jnp.where(index < n_points, source.weights[inside], 0)
    groups, labels = source.groups[inside], found.labels[inside]
    chosen = jax.nn.one_hot(labels, n_clusters, dtype=costs.dtype) * weights[:, None]
    own = dual.group_sums(chosen, groups, n_groups)
    lowest = jnp.min(costs, -1)
    offset = found.cost - jnp.sum(chosen * costs) + jnp.sum(weights * lowest)
    # what is subtracted is part of the sum up to rounding, which must not become a count below zero
    placed = jnp.maximum(found.counts - own, 0)
    masses = jnp.sum(placed, 1) + jnp.sum(own, 1)
    return Points(costs - lowest[:, None], groups, weights, placed, masses, offset)


def _estimate(source: Source, found: Pass, near: Points, index: Array, radius: Array) -> Points:
    """The small problem ``near`` of the points at ``index`` (m,), with every so many-th of the others open as well.

    Each of those stands for the placed points of its group and cluster. What they say is an estimate and proves
    nothing, but it tells where to look next when prices have far to go.
    """
    n_points = source.groups.shape[0]
    n_sample = min(n_points, _SAMPLED * index.shape[0])
    n_groups, n_clusters = found.counts.shape
    sample = (jnp.arange(n_sample) * (n_points / n_sample)).astype(jnp.int32)
    costs, groups, labels = source.rows(sample), source.groups[sample], found.labels[sample]
    weights = jnp.where(found.margins[sample] >= radius, source.weights[sample], 0)
    cell = jax.nn.one_hot(labels, n_clusters, dtype=costs.dtype)
    drawn = dual.group_sums(cell * weights[:, None], groups, n_groups)
    scale = jnp.where(drawn > 0, near.placed / jnp.where(drawn > 0, drawn, 1), 0)
    weights = weights * scale[groups, labels]
    lowest = jnp.min(costs, -1)
    return Points(
        jnp.concatenate([near.costs, costs - lowest[:, None]]),
        jnp.concatenate([near.groups, groups]),
        jnp.concatenate([near.weights, weights]),
        jnp.where(drawn > 0, 0, near.placed),
        near.masses,
        near.offset - jnp.sum(weights * (jnp.sum(cell * costs, -1) - lowest)),
    )


def whole(source: Source) -> Points:
    """All points open."""
    costs = source.rows(jnp.arange(source.groups.shape[0]))
    lowest = jnp.min(costs, -1)
    placed = jnp.zeros((source.masses.shape[0], costs.shape[1]), costs.dtype)
    offset = jnp.sum(source.weights * lowest)
    return Points(costs - lowest[:, None], source.groups, source.weights, placed, source.masses, offset)


def cold(n_groups: int, n_clusters: int, dtype: DTypeLike) -> Prices:
    """No prices yet."""
    smallest = jnp.asarray(jnp.finfo(dtype).tiny, dtype)
    return Prices(jnp.zeros((n_groups, n_clusters), dtype), smallest, jnp.zeros((), dtype))


def assign(
    source: Source,
    control: Control,
    warm: Prices,
    *,
    tolerance: Array,
    residual_tolerance: Array,
    n_open: int,
    max_passes: int = 30,
    max_iter: int = 1000,
) -> Assignment:
    """Maximise the dual of all points from ``warm`` prices (or :func:`cold` ones).

    ``tolerance`` and ``residual_tolerance`` are those of :func:`~fairjax.assignment.dual.maximise`. ``n_open`` is the
    size of the small problems; from n on there is one problem of all points and no screening.
    """
    n_points = source.groups.shape[0]

    def maximise(points: Points, warm: Prices, loosen: float = 1) -> Ascent:
        return dual.maximise(
            points,
            controls.adapt(control, points.masses),
            warm.y,
            jnp.where(warm.start > 0, warm.start, dual.hottest(points)),
            tolerance=loosen * tolerance,
            residual_tolerance=loosen * residual_tolerance,
            max_iter=max_iter,
        )

    if n_open >= n_points:
        points = whole(source)
        zero = jnp.zeros((), warm.y.dtype)
        none_placed = Pass(jnp.zeros((n_points,), jnp.int32), jnp.full((n_points,), zero), points.placed, zero, zero)
        ascent = maximise(points, warm)
        after = follow(ascent)
        return Assignment(ascent, points, jnp.arange(n_points), none_placed, after, jnp.int32(1), jnp.array(True))

    def near_by(found: Pass) -> tuple[Points, Array, Array]:
        index, radius = nearest(found.margins, source.weights, n_open)
        return _open(source, found, index), index, radius

    def look(search: _Search) -> _Search:
        warm, last = search.assignment.warm, search.assignment
        before = prices(control, warm)
        found = source.scan(before)
        points, index, radius = near_by(found)
        spread = controls.exact_spread(control, source.masses, jnp.max(before, 1), jnp.min(before, 1))
        bound = found.cost + jnp.sum(found.counts * before) - spread

        # cold prices have farther to go than the points near by can tell
        is_warm = warm.start > 0
        ascent = only_if(is_warm, maximise, (points, warm), last.ascent)
        after = follow(ascent)
        change = prices(control, after) - before
        shift = jnp.max(jnp.max(change, -1) - jnp.min(change, -1))
        valid = is_warm & (shift <= radius)
        reach = jnp.where(valid, 1, radius / jnp.where(valid, 1, shift))
        safe = warm._replace(y=warm.y + reach * (ascent.y - warm.y))

        # an estimate that led below what was had is dropped for the safe step
        lost = bound < search.bound - tolerance * jnp.abs(bound)
        following = only_if(
            ~valid & ~lost,
            lambda *found: follow(maximise(_estimate(source, *found), warm, loosen=_LOOSELY)),
            (found, points, index, radius),
            jax.tree.map(lambda one, other: jnp.where(valid, one, other), after, search.safe),
        )
        safe = jax.tree.map(lambda old, new: jnp.where(lost, old, new), search.safe, safe)
        bound = jnp.where(is_warm, jnp.maximum(bound, search.bound), search.bound)
        return _Search(Assignment(ascent, points, index, found, following, last.n_passes + 1, valid), safe, bound)

    def nothing(warm: Prices) -> Assignment:
        found = source.scan(warm.y)
        points, index, _ = near_by(found)
        return Assignment(maximise(points, warm), points, index, found, warm, jnp.int32(0), jnp.array(False))

    none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(nothing, warm))
    none = none._replace(ascent=none.ascent._replace(y=warm.y, temperature=warm.temperature), warm=warm)
    return jax.lax.while_loop(
        lambda search: ~search.assignment.valid & (search.assignment.n_passes < max_passes),
        look,
        _Search(none, warm, jnp.asarray(-jnp.inf, warm.y.dtype)),
    ).assignment
