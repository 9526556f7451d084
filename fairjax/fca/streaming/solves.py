"""The two small problems of an iteration: rows near a boundary after a pass, and the sample before the next one.

After a pass the open rows are solved for with all others in their places, in double precision. The others may leave
their cluster, too, but at a price far above that of any open row: so they stay where the open rows will do, and where
not, there is a solution all the same. What the open rows alone come to is an upper bound if its counts are fair; the
pass has proven a lower one.

Between passes the sample tells how counts change with prices and centres. It is off by chance, in the same way before
and after a change: what it missed in the last pass is taken off what it says of the next one. So the error is that of
the rows which change their cluster, a small part of the sample.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.compiling import stage
from fairjax.assignment import admissible, controls, screening
from fairjax.assignment.asking import control
from fairjax.assignment.controls import Control
from fairjax.assignment.programme import Anchor, Points, group_sums
from fairjax.assignment.solution import Solution, certify, optimum
from fairjax.assignment.sources import Pass
from fairjax.assignment.terms import Optimum, Prices, Tolerances
from fairjax.fca.points import GroupedPoints, prepare, squared_distances
from fairjax.fca.splits import lost, refilled, splits

DETERRENT = 16.0  # times the least margin of the rows in their places is what it costs them to leave
_SAMPLE_OPEN, _SAMPLE_PART = 4096, 4  # rows of the sample that are looked at closely, and one in so many at most


class Attempt(NamedTuple):
    """What the open rows come to.

    Attributes
    ----------
    optimum : of the small problem. points : that problem.
    soft : (m, K) weight of each open row in each cluster. counts : (M, K) fair but for ``violation``. cost : ().
    bound : () proven by the prices of the pass. shift : () by how much prices have moved against each other.
    held : () bool, by less than any row's margin that was not open: the solution is that of all rows.
    """

    optimum: Optimum
    points: Points
    soft: Array
    counts: Array
    cost: Array
    bound: Array
    violation: Array
    shift: Array
    held: Array


class Small(NamedTuple):
    """Rows near a boundary as a problem in double precision.

    Attributes
    ----------
    features : (m, d). groups, labels : (m,) int32. weights : (m,) shares of the whole, 0 for padding.
    counts : (M, K) shares of all rows in the pass, cost : () theirs. radius : () least margin of rows not among these.
    prices : (M, K) of the pass, as it had them. masses : (M,).
    """

    features: Any
    groups: Any
    labels: Any
    weights: Any
    counts: Any
    cost: Any
    radius: Any
    prices: Any
    masses: Any


def _control(masses: Array, kind: str, value: Array) -> Control:
    return control(masses, **{"epsilon" if kind == "gap" else "min_balance": value})


def _points(small: Small, centers: Array) -> Points:
    """The problem in which all rows but the open ones stay where the pass put them."""
    n_groups, n_clusters = small.counts.shape
    apart = small.features[:, None] - centers
    costs = jnp.sum(jnp.square(apart), -1)
    own = jax.nn.one_hot(small.labels, n_clusters, dtype=costs.dtype) * small.weights[:, None]
    placed = small.counts - group_sums(own, small.groups, n_groups)
    placed = jnp.where(jnp.abs(placed) <= 1e-14, 0, placed)
    offset = small.cost - jnp.sum(own * costs)
    lowest = jnp.min(costs, -1)
    offset = offset + jnp.sum(small.weights * lowest)
    return Points(costs - lowest[:, None], small.groups, small.weights, placed, small.masses, offset)


@partial(stage, static_argnames="kind")
def attempt(small: Small, centers: Any, warm: Prices, tolerances: Tolerances, value: Any, *, kind: str) -> Attempt:
    """Solve for the open rows from ``warm`` prices; call it in double precision."""
    asked = _control(small.masses, kind, value)
    points = _points(small, centers)
    n_groups = small.counts.shape[0]
    anchor = Anchor(small.prices, DETERRENT * small.radius)
    found = optimum(points, asked, warm, tolerances, anchor, trial=screening.how(asked, exact=False))
    soft = found.fractions * points.weights[:, None]
    counts = points.placed + group_sums(soft, points.groups, n_groups)
    cost = points.offset + jnp.sum(soft * points.costs)
    change = screening.prices(asked, small.masses, found.prices.y) - small.prices
    shift = jnp.max(jnp.max(change, -1) - jnp.min(change, -1))
    bound = _bound(small, asked)
    violation = admissible.violation(asked, counts, small.masses)
    held = found.solved & (shift <= 0.9 * small.radius)
    return Attempt(found, points, soft, counts, cost, bound, violation, shift, held)


def _bound(small: Small, asked: Control) -> Array:
    """What the prices of the pass prove of all fair assignments, rounding counted."""
    proven = controls.proven(asked, small.masses, small.prices)
    return small.cost + jnp.sum(small.counts * proven) - controls.exact_spread(asked, small.masses, proven)


@partial(stage, static_argnames="kind")
def conclude(points: Points, found: Optimum, tolerances: Tolerances, value: Any, *, kind: str) -> Solution:
    """Whole rows, and what is proven of the open ones; call it in double precision."""
    asked = _control(points.masses, kind, value)
    leeway = screening.how(asked, exact=False).leeway
    return certify(points, asked, found, tolerances, points.costs.dtype, leeway, exact=False)


@partial(stage, static_argnames="n_groups")
def lay_out(X: Any, ids: Any, weights: Any, *, n_groups: int) -> GroupedPoints:
    """The sample on the device."""
    return prepare(X, ids, weights, n_groups=n_groups)


@stage
def missed(sample: GroupedPoints, centers: Any, prices: Any, counts: Any) -> Array:
    """By how much the sample's counts (M, K) at ``prices`` (M, K) fall short of ``counts`` (M, K) of all rows."""
    return counts - squared_distances(sample, centers - sample.mean).scan(prices).counts


@partial(stage, static_argnames="kind")
def foresee(
    sample: GroupedPoints,
    centers: Any,
    masses: Any,
    missed: Any,
    warm: Prices,
    tolerances: Tolerances,
    value: Any,
    *,
    kind: str,
) -> tuple[Prices, Array]:
    """Prices for ``centers`` (K, d) by the sample, whose counts fall short by ``missed`` (M, K); and as they are paid.

    O(m K d) for a few passes over its m rows.
    """
    asked = _control(masses, kind, value)
    source = squared_distances(sample, centers - sample.mean)

    def scan(prices: Array) -> Pass:
        found = source.scan(prices)
        return found._replace(counts=found.counts + missed)

    corrected = source._replace(scan=scan, masses=masses)
    n_open = max(min(sample.weights.shape[0] // _SAMPLE_PART, _SAMPLE_OPEN), screening.LEAST_PLACES * missed.size)
    found = screening.assign(corrected, asked, warm, tolerances=tolerances, n_open=n_open)
    return found.optimum.prices, screening.prices(asked, masses, found.optimum.prices.y)


@partial(stage, static_argnames="kind")
def refill(
    sample: GroupedPoints,
    centers: Any,
    masses: Any,
    y: Any,
    sizes: Any,
    variance: Any,
    value: Any,
    *,
    kind: str,
) -> tuple[Array, Array, Array]:
    """Centres (K, d) of which those without rows, by ``sizes`` (K,), are halves of other clusters in the sample.

    Also the cluster (K,) that each comes from, and by how much the cost falls at least, in the sample.
    """
    asked = _control(masses, kind, value)
    inside = centers - sample.mean
    labels = squared_distances(sample, inside).scan(screening.prices(asked, masses, y)).labels.astype(jnp.int32)
    moved, parents, gain = refilled(splits(sample, inside, labels), lost(inside, sizes, variance))
    return moved + sample.mean, parents, gain
