"""Iterations of many small data sets side by side, each as exact as when run alone.

A fit of a thousand points is some thirty iterations, each of hundreds of operations on little data: most of its time
goes into starting operations. Here L data sets, the *lanes*, share every operation. A round is

1. a pass over all points at the current prices: labels, margins, counts and sums per cluster;
2. a few pivots (:mod:`~fairjax.assignment.pivots`) over the *open* points, those with the least margins, as if the
   others stayed where they are;
3. if that ends at an optimum, and prices have not moved by more than the other points' margins: the end of an
iteration.
   The assignment is the cheapest of all, and the centres move.

Lanes share rounds, not iterations: each counts its own. A lane ends by the same rule as in :mod:`~fairjax.fca.direct`,
and its last iteration, too, assigns to the cheapest centres. No lane's result depends on another lane.

If prices have farther to go, as at the first iteration, open points are a sample of those within a wider margin, and
each represents several: such a round only says where to look next.
"""

from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.assignment import pivots, vertices
from fairjax.assignment.selection import indices
from fairjax.assignment.terms import default_tolerances
from fairjax.assignment.vertices import NONE, Basis, Rows
from fairjax.fca.direct import at_rest

Tree = TypeVar("Tree")

_FAR = 1e3  # times the variance: above any margin
_WIDER = 4.0  # if prices must go farther than margins allow, points within this multiple of the radius represent others
_PIVOTS = 12  # per round, at most
_ENOUGH = 0.25  # of the lanes: while at least this part pivots, the others wait
_MOST_PIVOTS, _MOST_ROUNDS = 200, 40  # per iteration: more are a sign of very many ties
_WIDTHS = 0.3, 0.6, 0.8, 1.0, 1.25, 2.0  # of the last radius; the widest with enough places is the next
_NO_ROOM = 1e-6  # of the room: no more than this counts as none left
_WITHIN = 0.999  # of the least margin: beyond it, placed points may move
_HIGHEST = jax.lax.Precision.HIGHEST


class Sets(NamedTuple):
    """Data sets in L lanes.

    Attributes
    ----------
    features : (L, d + M, n)
        Features of the points, centred, and below them their membership in the groups.
    groups : (L, n) int32
    weights : (L, n)
        The heaviest is 1.
    shifts : (L, d)
        What was subtracted.
    variances : (L,)
    masses : (M, L)
        Weights of the groups.
    """

    features: Array
    groups: Array
    weights: Array
    shifts: Array
    variances: Array
    masses: Array


class Lanes(NamedTuple):
    """State between two rounds.

    Attributes
    ----------
    centers, best_centers : (L, K, d)
        Relative to the shifts.
    basis
        Vertices.
    counts : (M, K, L)
        Counts of the last iteration.
    level : (K, L)
        The common profile of that iteration.
    best_cost : (L,)
    radius : (L,)
        Points with a smaller margin are open.
    wide : (L,) bool
        Whether only a sample of these is open, each point representing several.
    n_iter : (L,) int32
        Iterations.
    n_pivots, n_rounds : (L,) int32
        Of this iteration.
    converged : (L,) bool
    last : (L,) bool
        Whether the iteration assigns to the cheapest centres.
    done : (L,) bool
    stuck : (L,) bool
        Given up.
    """

    centers: Array
    best_centers: Array
    basis: Basis
    counts: Array
    level: Array
    best_cost: Array
    radius: Array
    wide: Array
    n_iter: Array
    n_pivots: Array
    n_rounds: Array
    converged: Array
    last: Array
    done: Array
    stuck: Array


class _Pass(NamedTuple):
    """labels, margins (L, n); sums (L, K, d); counts (M, K, L). Tied points are in their base clusters."""

    labels: Array
    margins: Array
    sums: Array
    counts: Array


class _Opened(NamedTuple):
    """Open points: rows (m, L), their features (L, d, m), and labels (m, L) of the pass.

    limit : (L,) how far prices may move against each other. step : (L,) how many points each represents.
    """

    rows: Rows
    features: Array
    labels: Array
    limit: Array
    step: Array


def _where(flags: Array, new: Tree, old: Tree) -> Tree:
    """``new`` where ``flags`` (L,) hold, of trees whose leaves have the lanes first."""
    return jax.tree.map(lambda new, old: jnp.where(flags.reshape(-1, *[1] * (new.ndim - 1)), new, old), new, old)


def _where_last(flags: Array, new: Tree, old: Tree) -> Tree:
    """The same for leaves that have the lanes last."""
    return jax.tree.map(lambda new, old: jnp.where(flags, new, old), new, old)


def prepare(X: Array, groups: Array, weights: Array, *, n_groups: int) -> Sets:
    """Lay out X (L, n, d), groups (L, n) and weights (L, n); every group must have weight in every lane.

    Samples are best if points are sorted by group.
    """
    weights = weights / jnp.max(weights, 1, keepdims=True)
    members = (groups[:, None] == jnp.arange(n_groups)[:, None]).astype(X.dtype)
    masses = jnp.einsum("lmn,ln->ml", members, weights, precision=_HIGHEST).astype(float)
    whole = jnp.sum(masses, 0)
    shifts = jnp.einsum("ln,lnd->ld", weights, X, precision=_HIGHEST) / whole[:, None].astype(X.dtype)
    features = jnp.swapaxes(X - shifts[:, None], 1, 2)
    squares = jnp.einsum("ln,ldn->l", weights, jnp.square(features), precision=_HIGHEST)
    return Sets(
        jnp.concatenate([features, members], 1), groups, weights, shifts, squares / whole,
        masses,
    )  # fmt: skip


def begin(sets: Sets, centers: Array) -> Lanes:
    """The state before the first iteration, from centers (L, K, d) in the units of the points."""
    n_lanes, n_clusters = centers.shape[:2]
    n_groups = sets.masses.shape[0]
    none = jnp.zeros((n_lanes,), jnp.int32)
    no, infinite = none > 0, jnp.full((n_lanes,), jnp.inf)
    centers = centers - sets.shifts[:, None]
    table = jnp.zeros((n_groups, n_clusters, n_lanes))
    return Lanes(
        centers, centers, vertices.cold(n_groups, n_clusters, n_lanes, sets.features.dtype), table, table[0], infinite,
        _FAR * sets.variances.astype(sets.weights.dtype), ~no, none, none, none, no, no, no, no,
    )  # fmt: skip


def replace(flags: Array, fresh: tuple[Sets, Lanes], old: tuple[Sets, Lanes]) -> tuple[Sets, Lanes]:
    """``fresh`` data sets in the lanes where ``flags`` (L,) hold, ``old`` ones elsewhere."""
    lanes_last = ("basis", "counts", "level", "masses")

    def chosen(new: Any, old: Any) -> Any:
        fields = {}
        for name in new._fields:
            choose = _where_last if name in lanes_last else _where
            fields[name] = choose(flags, getattr(new, name), getattr(old, name))
        return type(new)(**fields)

    return chosen(fresh[0], old[0]), chosen(fresh[1], old[1])


def slack(sets: Sets) -> float:
    """Part of a row that is within the rounding of the counts."""
    return float(jnp.finfo(sets.weights.dtype).eps) * sets.weights.shape[1]


def _table(sets: Sets, prices: Array) -> Array:
    return vertices.table(prices, sets.masses[:-1] / sets.masses[-1])


def _costs(centers: Array, features: Array) -> Array:
    """Costs (L, K, m) of features (L, d, m), without their squares."""
    return jnp.sum(jnp.square(centers), 2)[:, :, None] - 2 * jnp.matmul(centers, features, precision=_HIGHEST)


def _pass(sets: Sets, lanes: Lanes) -> _Pass:
    n_features, n_points = lanes.centers.shape[2], sets.groups.shape[1]
    costs = _costs(lanes.centers, sets.features[:, :n_features])
    prices = jnp.moveaxis(_table(sets, lanes.basis.prices), 2, 0).astype(costs.dtype)

    def with_price(k: int) -> Array:
        paid = jnp.broadcast_to(prices[:, 0, k, None], sets.groups.shape)
        for group in range(1, prices.shape[1]):
            paid = jnp.where(sets.groups == group, prices[:, group, k, None], paid)
        return costs[:, k] + paid

    least, label = with_price(0), jnp.zeros_like(sets.groups)
    second = jnp.full_like(least, jnp.inf)
    for k in range(1, costs.shape[1]):
        cost = with_price(k)
        second = jnp.minimum(second, jnp.maximum(cost, least))
        label = jnp.where(cost < least, k, label)
        least = jnp.minimum(cost, least)
    ids = lanes.basis.rows.ids.T
    index = jnp.where(ids >= 0, jnp.minimum(ids, n_points), n_points)
    label = label.at[jnp.arange(label.shape[0])[:, None], index].set(lanes.basis.base.T, mode="drop")
    chosen = jnp.where(label[:, None] == jnp.arange(costs.shape[1])[:, None], sets.weights[:, None], 0)
    sums = jnp.matmul(chosen, jnp.swapaxes(sets.features, 1, 2), precision=_HIGHEST)
    margins = jnp.where(sets.weights > 0, second - least, jnp.inf)
    return _Pass(label, margins, sums[:, :, :n_features], sums[:, :, n_features:].T.astype(float))


def _opened(sets: Sets, lanes: Lanes, found: _Pass, n_open: int) -> tuple[Lanes, _Opened]:
    """The points nearest to a boundary, as many as there are places for."""
    n_features = lanes.centers.shape[2]
    n_points, margins = sets.groups.shape[1], found.margins
    tried = lanes.radius * jnp.asarray(_WIDTHS, margins.dtype)[:, None]
    below = (margins[:, None] < tried.T[:, :, None]).astype(margins.dtype)
    n_below = jnp.matmul(below, jnp.ones((n_points,), margins.dtype), precision=_HIGHEST).T
    fits = n_below <= n_open
    radius = jnp.where(lanes.wide, lanes.radius, jnp.max(jnp.where(fits, tried, tried[0]), 0))
    step = jnp.where(lanes.wide, jnp.maximum(n_below[_WIDTHS.index(1.0)] / n_open, 1), 1)
    limit = jnp.where(lanes.wide | fits[0], _WITHIN * radius, 0)
    index = jax.vmap(lambda flags, step: indices(flags, n_open, step))(margins < radius[:, None], step)
    inside = jnp.minimum(index, n_points - 1)
    features = jnp.take_along_axis(sets.features[:, :n_features], inside[:, None], 2)
    costs = jnp.moveaxis(_costs(lanes.centers, features), 0, 2)

    def taken(values: Array) -> Array:
        return jnp.take_along_axis(values, inside, 1).T

    weights = jnp.where((index < n_points).T, taken(sets.weights), 0)
    rows = Rows(costs, taken(sets.groups), weights * step, index.T.astype(jnp.int32))
    return lanes._replace(radius=radius), _Opened(rows, features, taken(found.labels), limit, step)


def _placed(sets: Sets, lanes: Lanes, found: _Pass, opened: _Opened) -> Array:
    """Counts (M, K, L) of the points that are neither open, nor represented, nor tied."""
    free = vertices.untied(opened.rows, lanes.basis)
    counts = vertices.counted(opened.rows, opened.labels, free, sets.masses.shape[0])
    return found.counts - counts - vertices.at_base(lanes.basis, sets.masses.shape[0])


def _pivoted(sets: Sets, lanes: Lanes, opened: _Opened, placed: Array) -> tuple[Lanes, Array]:
    """Lanes after some pivots, and which of them (L,) are at an optimum for all points."""
    rows, ratios = opened.rows, sets.masses[:-1] / sets.masses[-1]
    begun, active = lanes.basis.prices, ~lanes.done & ~lanes.stuck
    # in the first round of an iteration, costs have changed since the last one
    fresh = jnp.where(active & (lanes.n_rounds == 0) & ~lanes.wide, opened.limit, -1)
    tied = pivots.retied(rows, lanes.basis, ratios, fresh)
    none = jnp.zeros_like(active)

    def on(carry: tuple[Array, Basis, Array, Array, Array]) -> tuple[Array, Basis, Array, Array, Array]:
        i, basis, optimal, n_pivots, _ = carry
        room = opened.limit - vertices.spread(vertices.table(basis.prices - begun, ratios))
        going = active & ~optimal & (room > _NO_ROOM * opened.limit)
        basis, at_end, moved = pivots.pivot(rows, placed, ratios, basis, room, going, slack(sets))
        return i + 1, basis, optimal | (going & at_end), n_pivots + moved, moved

    def going(carry: tuple[Array, Basis, Array, Array, Array]) -> Array:
        return (carry[0] < _PIVOTS) & (jnp.sum(carry[4]) >= _ENOUGH * jnp.sum(active)) & jnp.any(active)

    first = (jnp.int32(0), tied, none, lanes.n_pivots, ~none)
    _, basis, optimal, n_pivots, _ = jax.lax.while_loop(going, on, first)
    n_rounds = lanes.n_rounds + 1
    stuck = lanes.stuck | (active & ((n_pivots > _MOST_PIVOTS) | (n_rounds > _MOST_ROUNDS)))
    room = opened.limit - vertices.spread(vertices.table(basis.prices - begun, ratios))
    blocked = active & ~optimal & (room <= _NO_ROOM * opened.limit) & (opened.limit > 0)
    radius = lanes.radius * jnp.where(blocked, _WIDER, jnp.where(optimal, 1 / opened.step, 1))
    index = jnp.maximum(basis.rows.ids, 0).T
    basis = vertices.reweighted(basis, jnp.take_along_axis(sets.weights, index, 1).T)
    lanes = lanes._replace(
        basis=basis, radius=radius, wide=blocked | (lanes.wide & ~optimal), n_pivots=n_pivots, n_rounds=n_rounds,
        stuck=stuck,
    )  # fmt: skip
    return lanes, optimal & (opened.step <= 1)


class _Iteration(NamedTuple):
    """counts (M, K, L), level (K, L) and sums (L, K, d) of an optimum."""

    counts: Array
    level: Array
    sums: Array


def _summed(sets: Sets, lanes: Lanes, found: _Pass, opened: _Opened, placed: Array) -> _Iteration:
    """Counts, level and sums at the optimum of a lane; meaningless for lanes that are not at one."""
    basis, n_features = lanes.basis, opened.features.shape[1]
    n_groups, n_clusters, _ = placed.shape
    ratios = sets.masses[:-1] / sets.masses[-1]
    labels, _ = pivots.cheapest(opened.rows, vertices.table(basis.prices, ratios))
    free = vertices.untied(opened.rows, basis)
    # tied points in their base clusters, as in a pass
    for tie in range(basis.base.shape[0]):
        labels = jnp.where(opened.rows.ids == basis.rows.ids[tie], basis.base[tie], labels)
    ks = jnp.arange(n_clusters)[:, None, None]
    before_of, after_of, weights = (of.T[:, None] for of in (opened.labels, labels, opened.rows.weights))
    k_of = jnp.arange(n_clusters)[:, None]
    changed = jnp.where(after_of == k_of, weights, 0) - jnp.where(before_of == k_of, weights, 0)
    sums = found.sums + jnp.matmul(changed, jnp.swapaxes(opened.features, 1, 2), precision=_HIGHEST)

    counts = placed + vertices.counted(opened.rows, labels, free, n_groups) + vertices.at_base(basis, n_groups)
    x = jnp.clip(vertices.parts(basis, vertices.imbalance(counts, ratios)), 0, 1)
    part = jnp.where(basis.rows.ids == NONE, 0, basis.rows.weights * x)
    gained = part * ((basis.extra == ks).astype(float) - (basis.base == ks))
    members = (basis.rows.groups == jnp.arange(n_groups)[:, None, None])[:, None]
    counts += jnp.sum(jnp.where(members, gained, 0), 2)
    index = jnp.maximum(basis.rows.ids, 0).T
    tied = jnp.take_along_axis(sets.features[:, :n_features], index[:, None], 2)
    sums = sums + jnp.einsum("kjl,ldj->lkd", gained, tied.astype(float))
    return _Iteration(counts, counts[-1] / sets.masses[-1], sums)


def _iterated(sets: Sets, lanes: Lanes, ended: Array, iteration: _Iteration, tol: Array, max_iter: Array) -> Lanes:
    """The centres moved in lanes whose iteration has ``ended`` (L,), as in :mod:`~fairjax.fca.direct`."""
    dtype = sets.features.dtype
    sizes, squares = jnp.sum(iteration.counts, 0).T, jnp.sum(jnp.square(lanes.centers), 2)
    whole = jnp.sum(sizes, 1)
    cost = jnp.sum(sizes * squares, 1) - 2 * jnp.sum(iteration.sums * lanes.centers, (1, 2))
    cost = sets.variances + cost / whole
    present = sizes > jnp.finfo(dtype).eps * whole[:, None]
    means = (iteration.sums / jnp.where(present, sizes, 1)[:, :, None]).astype(dtype)
    means = jnp.where(present[:, :, None], means, lanes.centers)
    gain = jnp.sum(sizes * jnp.sum(jnp.square(means - lanes.centers), 2), 1) / whole
    converged = at_rest(gain, cost, lanes.best_cost, sets.variances, tol, default_tolerances(dtype).gap)
    better = cost < lanes.best_cost
    best_cost = jnp.minimum(cost, lanes.best_cost)
    best_centers = _where(better, lanes.centers, lanes.best_centers)
    over = converged | (lanes.n_iter + 1 >= max_iter)
    cheapest = _where(converged & (cost <= best_cost), means, best_centers)
    centers = _where(over, cheapest, means)

    moving = ended & ~lanes.last
    counts, level, basis = _where_last(
        ended, (iteration.counts, iteration.level, _where_last(moving, vertices.loosened(lanes.basis), lanes.basis)),
        (lanes.counts, lanes.level, lanes.basis),
    )  # fmt: skip
    none = jnp.zeros_like(lanes.n_iter)
    centers, best_centers, best_cost, n_pivots, n_rounds, converged = _where(
        moving,
        (centers, best_centers, best_cost, none, none, converged),
        (lanes.centers, lanes.best_centers, lanes.best_cost, lanes.n_pivots, lanes.n_rounds, lanes.converged),
    )
    return Lanes(
        centers, best_centers, basis, counts, level, best_cost, lanes.radius, lanes.wide, lanes.n_iter + moving,
        n_pivots, n_rounds, converged, lanes.last | (moving & over), lanes.done | (ended & lanes.last), lanes.stuck,
    )  # fmt: skip


def round_of(sets: Sets, lanes: Lanes, tol: Array, max_iter: Array, *, n_open: int) -> Lanes:
    """One round of all lanes."""
    found = _pass(sets, lanes)
    lanes, opened = _opened(sets, lanes, found, n_open)
    placed = _placed(sets, lanes, found, opened)
    lanes, ended = _pivoted(sets, lanes, opened, placed)
    iteration = _summed(sets, lanes, found, opened, placed)
    return _iterated(sets, lanes, ended, iteration, tol, max_iter)


def advance(sets: Sets, lanes: Lanes, tol: Array, max_iter: Array, until: Array, *, n_open: int) -> Lanes:
    """Rounds until at least ``until`` () lanes have ended, done or stuck."""
    return jax.lax.while_loop(
        lambda lanes: jnp.sum(lanes.done | lanes.stuck) < until,
        lambda lanes: round_of(sets, lanes, tol, max_iter, n_open=n_open),
        lanes,
    )
