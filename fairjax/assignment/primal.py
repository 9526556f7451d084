"""From near-optimal prices to a sparse feasible assignment and to hard labels, by cheapest augmenting paths.

Every point starts in its cheapest cluster under the prices (if several are equal, where its group still has room).
Counts then miss their targets by little, and that little moves along cheapest paths in a graph whose K nodes are the
clusters. Its arc k → l is the open point that moves from k to l at least extra cost. Cheapest clusters have no negative
cycle, and shortest paths keep it so (successive shortest paths, the transportation problem with K sinks): the result is
a cheapest assignment for its counts. Moves split a point only where a path ends, so about K − 1 points per group stay
fractional, as linear-programming theory says.

The first path of a group costs O(m K²) for the m open points, each later one O(m K) for each cluster on the one before.
There are as many paths as points to move, a handful if the prices are near optimal.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.precision import first_least
from fairjax._core.varying import varying_as
from fairjax.assignment.programme import Points, group_sums

# A fraction below a threshold between these two, which depends on the solver's residual, counts as zero.
_SLIVER, _LARGEST_SLIVER = 1e-6, 1e-3
_OF_LIGHTEST = 1e-9  # of the lightest group's mass: any group may miss its count in a cluster by this much


class Plan(NamedTuple):
    """Assignment of the open points.

    Attributes
    ----------
    fractions : (m, K)
        Rows on the simplex, counts on target.
    labels : (m,) int
        Rounded from the fractions.
    n_moves : ()
        Augmenting paths used.
    met : () bool
        All targets met.
    """

    fractions: Array
    labels: Array
    n_moves: Array
    met: Array


class _Arcs(NamedTuple):
    """The cheapest moves of each group from a cluster to another.

    Attributes
    ----------
    extra : (M, K, K)
        What the cheapest move costs, infinite where there is none.
    mover : (M, K, K) uint32
        The point that makes it.
    stale : (M, K) bool
        Whether a group's moves out of a cluster are to be sought anew.
    """

    extra: Array
    mover: Array
    stale: Array


class _Flow(NamedTuple):
    fractions: Array
    deficit: Array
    n_moves: Array
    stuck: Array


def _first(values: Array, axis: int = -1) -> Array:
    """Index (uint32) of the least value along an axis.

    Whatever is looked up at a signed index is first asked whether it counts from the end: three operations to compile.
    """
    return first_least(values, axis).astype(jnp.uint32)


def _numbers(n: int) -> Array:
    return jnp.arange(n, dtype=jnp.uint32)


def _fill(points: Points, waiting: Array, possible: Array, labels: Array, deficit: Array) -> Array:
    """Labels (m,) after each waiting point went to the possible cluster that lacks most by ``deficit`` (M, K).

    Heaviest first, so that the last ones placed do little harm; ties go to the lowest cluster.
    """
    order = jnp.argsort(jnp.where(waiting, -points.weights, 1)).astype(jnp.uint32)

    def place(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        labels, deficit = carry
        point = order[jnp.asarray(i, jnp.uint32)]
        group, weight = points.groups[point], points.weights[point]
        # compared in units of about a thousandth of the point, so that rounding decides nothing
        lacking = jnp.round(1024 * deficit[group] / weight)
        label = _first(jnp.where(possible[point], -lacking, jnp.inf))
        return labels.at[point].set(label), deficit.at[group, label].add(-weight)

    return jax.lax.fori_loop(0, jnp.sum(waiting), place, (labels, deficit))[0]


def _whole_counts(wanted: Array, masses: Array, unit: Array) -> Array:
    """Counts (M, K) in whole points of weight ``unit`` (M,), each within one point of ``wanted``.

    What rounding down leaves of a group goes where the balance needs it most, or where it does the least harm.
    """
    n_groups = len(masses)
    unit = jnp.where(unit > 0, unit, 1)[:, None]
    down = jnp.floor(wanted / unit + 1e-3)
    left = jnp.round(masses[:, None] / unit) - jnp.sum(down, 1, keepdims=True)

    def balance_with(rounded: Array) -> Array:
        """Balance (M, K) of each cluster when one group's counts are rounded and the others' are not."""
        own = jnp.eye(n_groups, dtype=bool)[:, :, None]
        counts = jnp.where(own, rounded[:, None], wanted[None])
        present = (masses > 0)[None, :, None]
        least = jnp.min(jnp.where(present, counts, jnp.inf), 1)
        return least / jnp.maximum(jnp.max(counts, 1), jnp.finfo(counts.dtype).tiny)

    # in steps far coarser than the solver's residual, which must not decide; a power of two, so that few ratios fall
    # between two steps
    steps = 2.0**16
    lower, upper = (jnp.round(steps * balance_with(counts * unit)) for counts in (down, down + 1))
    urgency = jnp.where(upper >= lower, lower - 2 * steps, -upper)
    if n_groups == 1:
        urgency = -jnp.round(steps * (wanted / unit - down))
    # whole numbers, zero included, stay
    urgency = jnp.where(wanted / unit - down > 1e-3, urgency, jnp.inf)
    rank = jnp.argsort(jnp.argsort(urgency, 1), 1)
    return (down + (rank < left)) * unit


def _unknown(n_groups: int, n_clusters: int, like: Array) -> _Arcs:
    """Arcs of which none has been sought yet."""
    shape = n_groups, n_clusters, n_clusters
    unknown = _Arcs(jnp.zeros(shape, like.dtype), jnp.zeros(shape, jnp.uint32), jnp.ones(shape[:2], bool))
    return varying_as(unknown, like)


def _renewed(points: Points, reduced: Array, fractions: Array, arcs: _Arcs, group: Array) -> _Arcs:
    """The arcs, none of them stale in one group.

    O(m K) for each stale cluster. A path makes those stale that it touches, two or three as a rule.
    """
    n_points, n_groups, n_clusters = reduced.shape[0], *arcs.stale.shape
    index = _numbers(n_points)[:, None]
    mine = (points.groups == group) & (points.weights > 0)
    own = _numbers(n_groups)[:, None] == group

    def renew(arcs: _Arcs) -> _Arcs:
        k = _first(jnp.where(arcs.stale[group], 0.0, 1.0))
        available = mine & (fractions[:, k] > 0)
        extra = jnp.where(available[:, None], reduced - reduced[:, k, None], jnp.inf)
        least = jnp.min(extra, 0)
        # two plain minima are several times faster than one argmin along points
        mover = jnp.min(jnp.where(extra == least, index, n_points - 1), 0)
        here = own & (_numbers(n_clusters) == k)
        # rounding must not make a cycle look cheap
        cost = jnp.maximum(least, 0)
        return _Arcs(
            jnp.where(here[:, :, None], cost, arcs.extra),
            jnp.where(here[:, :, None], mover, arcs.mover),
            arcs.stale & ~here,
        )

    return jax.lax.while_loop(lambda arcs: jnp.any(arcs.stale[group]), renew, arcs)


def _shortest_paths(extra: Array, sources: Array) -> tuple[Array, Array]:
    """Distances (K,) from the nearest source along arcs (K, K), and each node's predecessor (K,); Bellman–Ford."""
    n_clusters = extra.shape[0]
    nodes = _numbers(n_clusters)
    start = (jnp.where(sources, 0, jnp.inf).astype(extra.dtype), nodes, jnp.array(True), jnp.zeros((), jnp.int32))
    start = varying_as(start, extra)

    def relax(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        distance, predecessor, _, n_rounds = carry
        through = distance[:, None] + extra
        best = _first(through, 0)
        # a detour that is less by rounding alone may lead one point through two clusters, by no more than what it holds
        # in the one between, again and again
        shorter = through[best, nodes] < distance * (1 - 8 * jnp.finfo(extra.dtype).eps)
        distance = jnp.where(shorter, through[best, nodes], distance)
        return distance, jnp.where(shorter, best, predecessor), jnp.any(shorter), n_rounds + 1

    distance, predecessor, _, _ = jax.lax.while_loop(lambda carry: carry[2] & (carry[3] < n_clusters), relax, start)
    return distance, predecessor


def _augment(
    points: Points, reduced: Array, flow: _Flow, arcs: _Arcs, group: Array, whole: Array
) -> tuple[_Flow, _Arcs]:
    """Move weight of one group along one cheapest path from a cluster with too much to one with too little.

    ``whole`` () bool: points move as a whole, otherwise only as much as is needed.
    """
    n_groups, n_clusters = flow.deficit.shape
    deficit, clusters = flow.deficit[group], _numbers(n_clusters)
    arcs = _renewed(points, reduced, flow.fractions, arcs, group)
    extra, mover = arcs.extra[group], arcs.mover[group]
    # a unit may leave any cluster with too much, or enter any with too little; the other end must need it most
    largest = jnp.max(jnp.abs(deficit))
    from_excess = jnp.max(-deficit) >= jnp.max(deficit)
    sources = jnp.where(whole & from_excess, deficit <= -largest, deficit < 0)
    sinks = jnp.where(whole & ~from_excess, deficit >= largest, deficit > 0)
    distance, predecessor = _shortest_paths(extra, sources)
    sink = _first(jnp.where(sinks, distance, jnp.inf))
    reachable = jnp.isfinite(distance[sink]) & sinks[sink]

    def bottleneck(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        node, amount = carry
        before = predecessor[node]
        point = mover[before, node]
        return before, jnp.minimum(amount, flow.fractions[point, before] * points.weights[point])

    def on_path(carry: tuple[Array, Array]) -> Array:
        return predecessor[carry[0]] != carry[0]

    source, amount = jax.lax.while_loop(on_path, bottleneck, (sink, deficit[sink]))
    amount = jnp.minimum(amount, -deficit[source])

    def push(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        node, fractions, deficit, touched = carry
        before = predecessor[node]
        point = mover[before, node]
        held = fractions[point, before]
        # a point that gives up all it has there must end at exactly zero
        share = amount / points.weights[point]
        share = jnp.where(whole | (share >= held * (1 - 1e-6)), held, share)
        fractions = fractions.at[point, before].add(-share).at[point, node].add(share)
        moved = share * points.weights[point]
        deficit = deficit.at[before].add(moved).at[node].add(-moved)
        return before, fractions, deficit, touched | (clusters == before) | (clusters == node)

    begin = sink, flow.fractions, deficit, varying_as(jnp.zeros((n_clusters,), bool), points)
    _, fractions, left, touched = jax.lax.while_loop(
        lambda carry: reachable & on_path((carry[0], amount)), push, begin
    )  # fmt: skip
    flow = _Flow(fractions, flow.deficit.at[group].set(left), flow.n_moves + 1, flow.stuck | ~reachable)
    return flow, arcs._replace(stale=jnp.where(_numbers(n_groups)[:, None] == group, touched, arcs.stale))


def _rounded_off(deficit: Array, negligible: Array) -> Array:
    """Deficits (M, K) with those below ``negligible`` (M,) set to zero and passed on to the group's other clusters.

    The solver's residual must not split a far outlier, which would cost more than everything else.
    """
    small = jnp.abs(deficit) <= negligible[:, None]
    others = jnp.maximum(jnp.sum(~small, 1, keepdims=True), 1)
    return jnp.where(small, 0, deficit + jnp.sum(jnp.where(small, deficit, 0), 1, keepdims=True) / others)


def _rounding(wanted: Array, masses: Array) -> Array:
    """Rounding error to ignore in sums that should be ``wanted`` (M, K) and add up to ``masses`` (M,).

    In a cluster that holds little but a light group, the last digit of a heavy group may be a part of the light one.
    """
    eps = jnp.finfo(wanted.dtype).eps
    lightest = jnp.min(jnp.where(masses > 0, masses, jnp.inf))
    least = jnp.minimum(2 * eps * masses, _OF_LIGHTEST * lightest)
    return jnp.maximum(2 * eps * wanted, least[:, None])


def _evened(deficit: Array, wanted: Array) -> Array:
    """Deficits (M, K) that add up to exactly zero in each group.

    The cluster where most is wanted makes up for the difference. Deficits within the rounding of the sum become zero.
    """
    busiest = jnp.arange(wanted.shape[1]) == first_least(-wanted)[:, None]
    deficit -= jnp.where(busiest, jnp.sum(deficit, 1, keepdims=True), 0)
    lost = 4 * jnp.finfo(deficit.dtype).eps * jnp.max(jnp.abs(deficit), 1, keepdims=True)
    return jnp.where(jnp.abs(deficit) <= lost, 0, deficit)


def finish(points: Points, prices: Array, wanted: Array, residual: float = 0.0, *, max_moves: int = 100_000) -> Plan:
    """Cheapest assignment of the open points with counts ``wanted`` (M, K), placed points included.

    ``prices`` (M, K) should be near optimal: then few paths are needed. A group's count that is off by at most
    ``residual`` of its weight counts as met. The labels' counts differ from ``wanted`` by less than the heaviest point
    of the group, and so by less than one point for equal weights.
    """
    dtype = points.costs.dtype
    n_groups, n_clusters = wanted.shape
    points = points._replace(groups=points.groups.astype(jnp.uint32))
    eps = jnp.finfo(dtype).eps
    weighing = points.weights > 0
    reduced = points.costs + prices[points.groups]
    reduced = reduced - jnp.min(reduced, -1, keepdims=True)
    cheapest = jax.nn.one_hot(_first(reduced), n_clusters, dtype=dtype)
    # possible rounding error of each entry: entries closer than that are equal
    blur = 2 * eps * (jnp.abs(points.costs) + jnp.abs(prices[points.groups]))
    tied = reduced <= blur + jnp.sum(cheapest * blur, -1, keepdims=True)
    # counts with a residual have no digits beyond this
    negligible = 2 * eps * points.masses[:, None] if residual else _rounding(wanted, points.masses)

    # for equal weights move whole points until every count is a whole number, for others until within a heaviest point
    heaviest = jax.ops.segment_max(jnp.where(weighing, points.weights, 0), points.groups, n_groups)
    lightest = jax.ops.segment_min(jnp.where(weighing, points.weights, jnp.inf), points.groups, n_groups)
    equal = jnp.all((heaviest <= 0) | (heaviest <= lightest * (1 + 16 * eps)))
    unit = jnp.where(heaviest > 0, heaviest, 1)[:, None]
    rounded = jnp.where(equal, _whole_counts(wanted, points.masses, heaviest), wanted)
    allowed = jnp.maximum((heaviest * jnp.where(equal, 0.5, 1 - 1e-4))[:, None], negligible)
    sliver = jnp.clip(40 * residual / jnp.where(weighing, points.weights, 1), _SLIVER, _LARGEST_SLIVER)

    def lacking(wanted: Array, labels: Array, placed: Array) -> Array:
        hard = jnp.where(placed, points.weights, 0)[:, None] * jax.nn.one_hot(labels, n_clusters, dtype=dtype)
        return wanted - points.placed - group_sums(hard, points.groups, n_groups)

    def filled(whole: Array, fractions: Array) -> _Flow:
        """Each point where it is cheapest; among equal clusters, or those that share it, where most is lacking.

        Few points then have to move.
        """
        target = jnp.where(whole, rounded, wanted)
        preferred = jnp.where(whole, jnp.where(fractions > sliver[:, None], fractions, 0), tied + cheapest)
        labels = _first(-preferred)
        waiting = (jnp.sum(preferred > 0, -1) > 1) & weighing
        labels = _fill(points, waiting, preferred > 0, labels, lacking(target, labels, ~waiting))
        # recomputed: each of the many placements has rounded
        deficit = lacking(target, labels, weighing)
        # whole points are missing, or none: clusters that lack equally many must tie exactly
        even = jnp.where(equal, jnp.round(deficit / unit) * unit, deficit)
        deficit = jnp.where(whole, even, _rounded_off(deficit, residual * points.masses))
        labels = jax.nn.one_hot(labels, n_clusters, dtype=dtype)
        return varying_as(_Flow(labels, deficit, jnp.zeros((), jnp.int32), jnp.array(False)), points)

    def stage(i: Array, carry: tuple[_Flow, Array]) -> tuple[_Flow, Array]:
        """Meet the counts with parts of points, then round these to whole points."""
        exact, fractions = carry
        whole = i == 1
        most = jnp.where(whole, 4 * n_clusters * n_groups, max_moves)
        enough = jnp.maximum(jnp.where(whole, allowed, negligible), jnp.finfo(dtype).tiny)

        def excess(flow: _Flow) -> Array:
            return jnp.max(jnp.abs(flow.deficit) / enough, 1)

        def move(carry: tuple[_Flow, _Arcs]) -> tuple[_Flow, _Arcs]:
            flow, arcs = carry
            small = jnp.abs(flow.deficit) <= negligible / n_clusters
            deficit = jnp.where(small, 0, flow.deficit)
            if not residual:
                deficit = _evened(deficit, wanted)
            flow = flow._replace(deficit=deficit)
            return _augment(points, reduced, flow, arcs, _first(-excess(flow)), whole)

        def going(carry: tuple[_Flow, _Arcs]) -> Array:
            flow, _ = carry
            return jnp.any(excess(flow) > 1) & ~flow.stuck & (flow.n_moves < most)

        begin = filled(whole, fractions), _unknown(n_groups, n_clusters, reduced)
        flow, _ = jax.lax.while_loop(going, move, begin)
        return jax.tree.map(lambda exact, flow: jnp.where(whole, exact, flow), exact, flow), flow.fractions

    nothing = _Flow(cheapest, jnp.zeros_like(wanted), jnp.zeros((), jnp.int32), jnp.array(False))
    exact, labels = jax.lax.fori_loop(0, 2, stage, varying_as((nothing, cheapest), points))
    most = max(64 * float(eps), residual) * points.masses[:, None]
    met = jnp.all(jnp.abs(exact.deficit) <= most)
    return Plan(exact.fractions, first_least(-labels), exact.n_moves, met)
