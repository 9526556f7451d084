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

from fairjax.assignment import controls, dual
from fairjax.assignment.controls import Control
from fairjax.assignment.dual import Ascent, Points

_SAMPLE = 4096
_AIM = 0.75
_COOLER = 0.3


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
    found : :class:`Pass` in which the other points were placed.
    n_passes : () int32. valid : () bool, no placed point could have been cheaper elsewhere.
    """

    ascent: Ascent
    points: Points
    rows: Array
    found: Pass
    n_passes: Array
    valid: Array


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


def nearest(margins: Array, weights: Array, n_open: int) -> tuple[Array, Array]:
    """Indices (m,) of about the least margins, n as padding, and the least margin of all others."""
    n_points = margins.shape[0]
    margins = jnp.where(weights > 0, margins, jnp.inf)
    sample = jnp.sort(margins[:: max(1, n_points // _SAMPLE)])
    threshold = sample[int(_AIM * n_open / n_points * sample.shape[0])]
    near = margins < threshold
    index = jnp.nonzero(near, size=n_open, fill_value=n_points)[0]
    radius = jnp.min(jnp.where(near, jnp.inf, margins))
    return index, jnp.where(jnp.sum(near) <= n_open, radius, 0)


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


def _sample(source: Source, n_open: int) -> Points:
    """Every (n / m)-th point, reweighted so that each group keeps its mass."""
    n_points = source.groups.shape[0]
    index = (jnp.arange(n_open) * (n_points / n_open)).astype(jnp.int32)
    costs = source.rows(index)
    groups, weights = source.groups[index], source.weights[index]
    n_groups = source.masses.shape[0]
    held = dual.group_sums(weights[:, None], groups, n_groups)[:, 0]
    weights = weights * jnp.where(held > 0, source.masses / jnp.where(held > 0, held, 1), 0)[groups]
    lowest = jnp.min(costs, -1)
    placed = jnp.zeros((n_groups, costs.shape[1]), costs.dtype)
    masses = dual.group_sums(weights[:, None], groups, n_groups)[:, 0]
    return Points(costs - lowest[:, None], groups, weights, placed, masses, jnp.sum(weights * lowest))


def whole(source: Source) -> Points:
    """All points open."""
    costs = source.rows(jnp.arange(source.groups.shape[0]))
    lowest = jnp.min(costs, -1)
    placed = jnp.zeros((source.masses.shape[0], costs.shape[1]), costs.dtype)
    offset = jnp.sum(source.weights * lowest)
    return Points(costs - lowest[:, None], source.groups, source.weights, placed, source.masses, offset)


def cold(n_groups: int, n_clusters: int, dtype: DTypeLike) -> Prices:
    """No prices yet."""
    zero = jnp.zeros((), dtype)
    return Prices(jnp.zeros((n_groups, n_clusters), dtype), zero, zero)


def assign(
    source: Source,
    control: Control,
    warm: Prices,
    *,
    tolerance: Array,
    residual_tolerance: Array,
    n_open: int,
    max_passes: int = 30,
    max_iter: int = 300,
) -> Assignment:
    """Maximise the dual of all points from ``warm`` prices (or :func:`cold` ones).

    ``tolerance`` and ``residual_tolerance`` are those of :func:`~fairjax.assignment.dual.maximise`. ``n_open`` is the
    size of the small problems; from n on there is one problem of all points and no screening.
    """
    n_points = source.groups.shape[0]

    def maximise(points: Points, y: Array, start: Array, loosen: float = 1) -> Ascent:
        return dual.maximise(
            points,
            controls.adapt(control, points.masses),
            y,
            jnp.where(start > 0, start, dual.hottest(points)),
            tolerance=loosen * tolerance,
            residual_tolerance=loosen * residual_tolerance,
            max_iter=max_iter,
        )

    if n_open >= n_points:
        points = whole(source)
        ascent = maximise(points, warm.y, warm.start)
        found = source.scan(prices(control, follow(ascent)))
        placed = found._replace(counts=points.placed)
        return Assignment(ascent, points, jnp.arange(n_points), placed, jnp.int32(1), jnp.array(True))

    def from_sample(_: None) -> Prices:
        return follow(maximise(_sample(source, n_open), warm.y, warm.start, loosen=10))

    warm = jax.lax.cond(warm.start > 0, lambda _: warm, from_sample, None)

    def look(warm: Prices, n_passes: Array) -> Assignment:
        before = prices(control, warm)
        found = source.scan(before)
        index, radius = nearest(found.margins, source.weights, n_open)
        points = _open(source, found, index)
        ascent = maximise(points, warm.y, warm.start)
        change = prices(control, follow(ascent)) - before
        shift = jnp.max(jnp.max(change, -1) - jnp.min(change, -1))
        valid = shift <= radius
        reach = radius / jnp.where(valid, 1, shift)
        y = jnp.where(valid, ascent.y, warm.y + reach * (ascent.y - warm.y))
        return Assignment(ascent._replace(y=y), points, index, found, n_passes + 1, valid)

    shapes = jax.eval_shape(look, warm, jnp.int32(0))
    start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    ascent = start.ascent._replace(y=warm.y, temperature=warm.temperature, warmest=warm.start / _COOLER)
    return jax.lax.while_loop(
        lambda state: ~state.valid & (state.n_passes < max_passes),
        lambda state: look(follow(state.ascent), state.n_passes),
        start._replace(ascent=ascent),
    )
