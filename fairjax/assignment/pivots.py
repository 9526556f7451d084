"""Pivots: a dual simplex method for many small programmes of perfect fairness, side by side.

An interior-point method moves all rows in every step. Where programmes are small and follow each other, as in the
iterations of a clustering, it is less work to go from vertex to vertex. The dual

    g(λ) = Σ_i w_i min_k (c_ik + y_{s(i)k}(λ)),      y_sk = λ_sk for all groups but the last,  y_s0 = 0,

has D = (M − 1)(K − 1) free prices; those of the last group balance the others', Σ_s π_s y_s = 0. At a vertex D rows are
*tied* between two clusters each, their *base* and one *extra*, and every other row is in its cheapest cluster. The
counts, which must be alike in all groups, determine which part of each tied row goes to its extra cluster. A part below
zero says that its tie must be dropped: the prices move along the edge of the dual on which only that tie opens, past
the rows that change their cluster on the way, to about where the slope ends, and the row met there is tied instead
(Koberstein, Progress in the dual simplex algorithm, 2008, on long steps). Vertices are exact, so apart from ties the
result does not depend on the start, and the prices of the previous programme are a good start.

The L programmes, or *lanes*, are the last axis of every array, so that one instruction serves several of them and they
share the cost of starting an operation. Nothing here is done for one lane alone; a lane at its optimum waits. Very many
ties (masses of duplicates) may leave a lane stuck: the caller limits the pivots.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax.assignment.vertices import (
    NONE,
    Basis,
    Rows,
    at_base,
    columns_of,
    counted,
    earlier_ties,
    imbalance,
    impossible,
    of_one_row,
    parts,
    possible,
    spread,
    table,
    untied,
    with_best_base,
)

# marks along an edge: six, each four times as far as the one before; then the stretch to the next one in six parts
_LEVELS, _PARTS, _GROWTH = 6, 6, 4.0
_HELD = 1e9  # weight of a row that is tied elsewhere too: the edge always ends at it


class _Edge(NamedTuple):
    """Where rows (m, L) change their cluster: how far along the edge, to which one, and by how much the slope falls."""

    reach: Array
    label: Array
    drop: Array


def _paid(prices: Array, rows: Rows, k: int) -> Array:
    """What the rows (m, L) pay in cluster k under prices (M, K, L)."""
    prices = prices.astype(rows.costs.dtype)
    paid = jnp.broadcast_to(prices[0, k], rows.groups.shape)
    for group in range(1, prices.shape[0]):
        paid = jnp.where(rows.groups == group, prices[group, k], paid)
    return paid


def cheapest(rows: Rows, prices: Array) -> tuple[Array, Array]:
    """The cheapest clusters (m, L) int32 under prices (M, K, L), the lowest of equal ones, and their costs."""
    least, label = rows.costs[0] + _paid(prices, rows, 0), jnp.zeros_like(rows.groups)
    for k in range(1, rows.costs.shape[0]):
        cost = rows.costs[k] + _paid(prices, rows, k)
        label = jnp.where(cost < least, k, label)
        least = jnp.minimum(cost, least)
    return label, least


def _two_cheapest(rows: Rows, prices: Array) -> tuple[Array, Array, Array]:
    """The cheapest and the second cheapest clusters (m, L) under prices (M, K, L), and by how much they differ."""
    least, label = rows.costs[0] + _paid(prices, rows, 0), jnp.zeros_like(rows.groups)
    second, rival = jnp.full_like(least, jnp.inf), jnp.zeros_like(label)
    for k in range(1, rows.costs.shape[0]):
        cost = rows.costs[k] + _paid(prices, rows, k)
        first, next_ = cost < least, cost < second
        rival = jnp.where(first, label, jnp.where(next_, k, rival))
        second = jnp.where(first, least, jnp.where(next_, cost, second))
        label, least = jnp.where(first, k, label), jnp.where(first, cost, least)
    return label, rival, second - least


def _first(values: Array, flags: Array) -> tuple[Array, Array]:
    """The row (..., L) int32 with the least of values (m, L) where flags (..., m, L) hold, and whether there is one."""
    # value and row in one number: compilers may compute a value twice, in two ways
    bits = jax.lax.bitcast_convert_type(values.astype(jnp.float32), jnp.int32).astype(jnp.int64)
    place = jnp.arange(values.shape[0], dtype=jnp.int64)[:, None]
    none = jnp.iinfo(jnp.int64).max
    least = jnp.min(jnp.where(flags, (bits << 32) + place, none), -2)
    return jnp.where(least < none, least & 0xFFFFFFFF, 0).astype(jnp.int32), least < none


def _edge(rows: Rows, labels: Array, own: Array, prices: Array, along: Array, barred: Array | None = None) -> _Edge:
    """Where rows change their ``labels`` (m, L), at cost ``own`` (m, L), as prices (M, K, L) move ``along`` (M, K, L).

    Clusters that are ``barred`` (K, m, L) bool are left out.
    """
    dtype = rows.costs.dtype
    negligible = (1e-6 * jnp.max(jnp.abs(along), (0, 1))).astype(dtype)
    n_clusters = rows.costs.shape[0]
    moving = jnp.zeros(labels.shape, dtype)
    for k in range(n_clusters):
        moving = jnp.where(labels == k, _paid(along, rows, k), moving)
    # fractions are compared by cross-multiplication
    above, below, label = jnp.ones_like(own), jnp.zeros_like(own), jnp.zeros_like(labels)
    for k in range(n_clusters):
        ahead = jnp.maximum(rows.costs[k] + _paid(prices, rows, k) - own, 0)
        closing = moving - _paid(along, rows, k)
        sooner = (closing > negligible) & (ahead * below < above * closing)
        if barred is not None:
            sooner &= ~barred[k]
        above, below = jnp.where(sooner, ahead, above), jnp.where(sooner, closing, below)
        label = jnp.where(sooner, k, label)
    met = (below > 0) & (rows.weights > 0)
    reach = jnp.where(met, above / jnp.where(met, below, 1), jnp.inf)
    return _Edge(reach, label, rows.weights * below)


def _stop(edge: _Edge, slope: Array) -> tuple[Array, Array]:
    """The row (L,) int32 at which to end a walk along an edge of ``slope`` (L,), and whether (L,) there is one.

    It is the first row beyond the last mark up to which the slope stays positive. Marks are ever farther apart from the
    first row on, and evenly spaced between the last two.
    """
    reach, drop = edge.reach, edge.drop

    def uphill(marks: Array) -> Array:
        return jnp.sum(jnp.where(reach <= marks[:, None], drop, 0), 1) < slope

    first = jnp.maximum(jnp.min(reach, 0), jnp.finfo(reach.dtype).tiny)
    far = first * jnp.asarray(1.0001 * _GROWTH ** np.arange(_LEVELS), reach.dtype)[:, None]
    passed = uphill(far)
    low = jnp.max(jnp.where(passed, far, -1), 0)
    high = jnp.where(low > 0, _GROWTH * low, far[0])
    between = (
        jnp.maximum(low, 0)
        + (high - jnp.maximum(low, 0)) * (jnp.asarray(np.arange(1, _PARTS) / _PARTS, reach.dtype)[:, None])
    )
    low = jnp.maximum(low, jnp.max(jnp.where(uphill(between), between, -1), 0))
    finite = jnp.isfinite(reach)
    # if all rows are passed, the last one
    last = (1 - 1e-6) * jnp.max(jnp.where(finite, reach, -jnp.inf), 0)
    ahead = ((reach > low) | (reach >= last)) & finite
    return _first(reach, ahead)


def _like(index: Array, values: Array) -> Array:
    """An index (D, L) of rows, shaped for values (..., m, L)."""
    return jnp.broadcast_to(index, (*values.shape[:-2], *index.shape))


def _at(values: Array, index: Array) -> Array:
    """Values (..., m, L) at one row (L,) per lane, (..., L)."""
    return jnp.take_along_axis(values, _like(index[None], values), -2)[..., 0, :]


def retied(rows: Rows, basis: Basis, ratios: Array, room: Array) -> Basis:
    """The vertex whose empty ties take the rows nearest to them, if prices have ``room`` (L,) for it.

    Each row fits the clusters and the group of its tie, so that the matrix is the same but for weights.
    """
    label, rival, margin = _two_cheapest(rows, table(basis.prices, ratios))
    own = basis.rows
    fits = (rows.groups == own.groups[:, None]) & (rows.weights > 0)
    pair = (label == basis.base[:, None]) & (rival == basis.extra[:, None])
    pair |= (label == basis.extra[:, None]) & (rival == basis.base[:, None])
    fits &= pair & (basis.base != basis.extra)[:, None] & untied(rows, basis)
    nearest, found = _first(margin, fits)
    found &= own.ids == NONE
    index = jnp.where(found, nearest, 0)
    near = jax.tree.map(lambda leaf: jnp.take_along_axis(leaf, _like(index, leaf), -2), rows)
    # no row for two ties, whose bases might differ
    taken = jnp.where(found, near.ids, NONE)
    found &= ~jnp.any((taken[:, None] == taken) & earlier_ties(taken) & found[None], 1)
    kept = jax.tree.map(lambda near, own: jnp.where(found, near, own), near, own)
    heavier = jnp.where(found, near.weights / own.weights, 1)
    columns, inverse = basis.columns * heavier, basis.inverse / heavier[:, None]
    clusters = jnp.arange(kept.costs.shape[0])[:, None, None]
    apart = jnp.sum(kept.costs * ((basis.base == clusters).astype(float) - (basis.extra == clusters)), 0)
    wanted = jnp.where(kept.ids != NONE, kept.weights * apart, jnp.sum(columns * basis.prices[:, None], 0))
    prices = jnp.sum(inverse * wanted[:, None], 0)
    near_enough = spread(table(prices - basis.prices, ratios)) <= room
    tied = Basis(kept, basis.base, basis.extra, columns, inverse, prices)
    return jax.tree.map(lambda new, old: jnp.where(near_enough, new, old), tied, basis)


def pivot(
    rows: Rows, placed: Array, ratios: Array, basis: Basis, room: Array, active: Array, slack: float
) -> tuple[Basis, Array, Array]:
    """One pivot in every lane that is ``active`` (L,) and not at its optimum.

    Parameters
    ----------
    rows
        The open rows.
    placed : (M, K, L)
        Counts of all rows that are neither open nor tied.
    ratios
        See :func:`table`.
    room : (L,)
        How far prices may move against each other: a step that would go farther ends there, with an empty tie.
    slack
        a smaller part of a row counts as none.

    Returns
    -------
    The basis; whether a lane was at its optimum already (L,), and whether it moved (L,). O(m K M + D²).
    """
    n_groups, n_clusters = placed.shape[:2]
    prices = table(basis.prices, ratios)
    labels, least = cheapest(rows, prices)
    free = untied(rows, basis)
    counts = placed + counted(rows, labels, free, n_groups) + at_base(basis, n_groups)
    rebased, x = with_best_base(basis, parts(basis, imbalance(counts, ratios)))
    optimal = possible(rebased, x, slack)
    basis = jax.tree.map(lambda new, old: jnp.where(active, new, old), rebased, basis)

    n_free = x.shape[0]
    dropped = jnp.arange(n_free)[:, None] == jnp.argmax(impossible(basis, x), 0)
    part = jnp.sum(jnp.where(dropped, x, 0), 0)
    row = jnp.sum(jnp.where(dropped[:, None], basis.inverse, 0), 0)
    direction = jnp.where(part < 0, row, -row)
    along = table(direction, ratios)

    alike = of_one_row(basis)
    held = (basis.rows.ids != NONE) & jnp.any(alike & ~dropped[None], 1)
    barred = jnp.stack([jnp.any(alike & (basis.extra[None] == k), 1) for k in range(n_clusters)])
    loose = _edge(rows, labels, least, prices, along)
    own = jnp.zeros_like(basis.rows.weights)
    for k in range(n_clusters):
        own = jnp.where(basis.base == k, basis.rows.costs[k] + _paid(prices, basis.rows, k), own)
    tied = _edge(basis.rows, basis.base, own, prices, along, barred)
    edge = _Edge(
        jnp.concatenate(
            [jnp.where(free, loose.reach, jnp.inf), jnp.where(basis.rows.ids == NONE, jnp.inf, tied.reach)]
        ),
        jnp.concatenate([loose.label, tied.label]),
        jnp.concatenate([loose.drop, jnp.where(held, _HELD, tied.drop).astype(loose.drop.dtype)]),
    )
    stop, found = _stop(edge, jnp.abs(part).astype(edge.drop.dtype))
    going = active & ~optimal
    # beyond the room, rows that are not open may change, so nothing is tied there
    limit = jnp.maximum(room, 0) / jnp.maximum(spread(along), jnp.finfo(room.dtype).tiny)
    reach = jnp.where(found, _at(edge.reach, stop), jnp.inf)
    tying = going & (reach <= limit)
    step = jnp.minimum(reach, limit)
    going &= jnp.isfinite(step)

    n_open = rows.groups.shape[0]
    is_open = stop < n_open
    of_open, of_tied = jnp.minimum(stop, n_open - 1), jnp.clip(stop - n_open, 0, n_free - 1)
    entering = jax.tree.map(
        lambda open_, tied: jnp.where(is_open, _at(open_, of_open), _at(tied, of_tied)), rows, basis.rows
    )
    base = jnp.where(is_open, _at(labels, of_open), _at(basis.base, of_tied))
    extra = _at(edge.label, stop)
    column = columns_of(entering, base, extra, ratios, n_clusters)
    weight = jnp.sum(basis.inverse * column[None], 1)
    at_drop = jnp.sum(jnp.where(dropped, weight, 0), 0)
    following = row / jnp.where(at_drop == 0, 1, at_drop)
    following = jnp.where(dropped[:, None], following, basis.inverse - weight[:, None] * following)
    here = dropped & tying
    entered = jax.tree.map(lambda new, old: jnp.where(here, new[..., None, :], old), entering, basis.rows)
    entered = entered._replace(ids=jnp.where(dropped & going & ~tying, NONE, entered.ids))
    moved = Basis(
        entered,
        jnp.where(here, base, basis.base),
        jnp.where(here, extra, basis.extra),
        jnp.where(here, column[:, None], basis.columns),
        jnp.where(tying, following, basis.inverse),
        basis.prices + jnp.where(going, step, 0) * direction,
    )
    return moved, optimal, going
