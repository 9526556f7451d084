"""Vertices of the dual of many small fair programmes: rows tied between two clusters, and what follows from them.

See :mod:`~fairjax.assignment.pivots`, which moves from one to the next. The L programmes are the last axis everywhere.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

NONE = -1  # an empty tie; it keeps the kind of its last row


class Rows(NamedTuple):
    """m open rows of L programmes.

    Attributes
    ----------
    costs : (K, m, L)
    groups : (m, L) int32
    weights : (m, L)
        0 for padding.
    ids : (m, L) int32
    """

    costs: Array
    groups: Array
    weights: Array
    ids: Array


class Basis(NamedTuple):
    """A vertex.

    Attributes
    ----------
    rows : (D, L)
        The tied :class:`Rows`, with id ``NONE`` for an empty tie; a row tied among three clusters appears twice.
    base, extra : (D, L) int32
        Clusters; ties of the same row have the same base.
    columns : (D, D, L)
        [:, j] what the imbalance gains from a row that moves to its extra cluster.
    inverse
        Inverse of that.
    prices : (D, L)
        λ.
    """

    rows: Rows
    base: Array
    extra: Array
    columns: Array
    inverse: Array
    prices: Array


def cold(n_groups: int, n_clusters: int, n_lanes: int, dtype: jnp.dtype) -> Basis:
    """No ties, all prices zero."""
    n_free = (n_groups - 1) * (n_clusters - 1)
    whole = jnp.zeros((n_free, n_lanes), jnp.int32)
    real = jnp.zeros((n_free, n_lanes), dtype)
    rows = Rows(jnp.zeros((n_clusters, n_free, n_lanes), dtype), whole, real, whole + NONE)
    unit = jnp.broadcast_to(jnp.eye(n_free)[:, :, None], (n_free, n_free, n_lanes))
    return Basis(rows, whole, whole, unit, unit, jnp.zeros((n_free, n_lanes)))


def table(prices: Array, ratios: Array) -> Array:
    """Prices (M, K, L) from free ones (D, L); ``ratios`` (M − 1, L) of the groups' masses to that of the last."""
    own = prices.reshape(ratios.shape[0], -1, prices.shape[-1])
    own = jnp.concatenate([jnp.zeros_like(own[:, :1]), own], 1)
    return jnp.concatenate([own, -jnp.sum(ratios[:, None] * own, 0)[None]])


def spread(prices: Array) -> Array:
    """(L,) by how much prices (M, K, L) differ within a group, at most."""
    return jnp.max(jnp.max(prices, 1) - jnp.min(prices, 1), 0)


def imbalance(counts: Array, ratios: Array) -> Array:
    """By how much the counts (M, K, L) of each group exceed their proportion to the last group's, (D, L)."""
    apart = counts[:-1, 1:] - ratios[:, None] * counts[-1, 1:]
    return apart.reshape(-1, counts.shape[-1])


def columns_of(rows: Rows, base: Array, extra: Array, ratios: Array, n_clusters: int) -> Array:
    """What the imbalance (D, ..., L) gains from rows (..., L) that move from base to extra clusters."""
    n_groups = ratios.shape[0] + 1
    clusters = jnp.arange(1, n_clusters).reshape(-1, *[1] * base.ndim)
    groups = jnp.arange(n_groups - 1).reshape(-1, *[1] * base.ndim)
    moved = (extra == clusters).astype(ratios.dtype) - (base == clusters)
    share = jnp.where(
        rows.groups == n_groups - 1,
        -ratios.reshape(n_groups - 1, *[1] * (base.ndim - 1), -1),
        (rows.groups == groups).astype(ratios.dtype),
    )
    columns = rows.weights.astype(ratios.dtype) * share[:, None] * moved[None]
    return columns.reshape(-1, *base.shape)


def of_one_row(basis: Basis) -> Array:
    """(D, D, L) bool, whether two ties are of the same row."""
    ids = basis.rows.ids
    return (ids[:, None] == ids) & (ids[:, None] != NONE)


def earlier_ties(ties: Array) -> Array:
    """(D, D, 1) bool, whether the second of two ties comes before the first."""
    return jnp.asarray(np.tri(ties.shape[0], k=-1, dtype=bool))[:, :, None]


def first_ties(basis: Basis) -> Array:
    """(D, L) bool, whether a tie is the first of its row."""
    return (basis.rows.ids != NONE) & ~jnp.any(of_one_row(basis) & earlier_ties(basis.base), 1)


def counted(rows: Rows, labels: Array, used: Array, n_groups: int) -> Array:
    """Counts (M, K, L) of the rows (m, L) that are ``used``."""
    n_clusters = rows.costs.shape[0]
    members = rows.groups == jnp.arange(n_groups)[:, None, None, None]
    chosen = labels == jnp.arange(n_clusters)[:, None, None]
    return jnp.sum(jnp.where(members & chosen & used, rows.weights, 0), 2).astype(float)


def at_base(basis: Basis, n_groups: int) -> Array:
    """Counts (M, K, L) of the tied rows, all in their base clusters."""
    return counted(basis.rows, basis.base, first_ties(basis), n_groups)


def untied(rows: Rows, basis: Basis) -> Array:
    """(m, L) bool, whether rows are free."""
    return ~jnp.any(rows.ids == basis.rows.ids[:, None], 0)


def parts(basis: Basis, uneven: Array) -> Array:
    """The parts (D, L) of the tied rows that go to their extra clusters and cancel the imbalance (D, L)."""
    return -jnp.sum(basis.inverse * uneven[None], 1)


def with_best_base(basis: Basis, x: Array) -> tuple[Basis, Array]:
    """The basis with another base for rows of which more than all would leave their base, and its parts x (D, L)."""
    alike, tied = of_one_row(basis), basis.rows.ids != NONE
    total = jnp.sum(jnp.where(alike, x[None], 0), 1)
    largest = jnp.max(jnp.where(alike, x[None], -jnp.inf), 1)
    swapped = tied & (total > 1) & (x == largest)
    # one tie per row, the first of equal ones
    swapped &= ~jnp.any(alike & earlier_ties(x) & swapped[None], 1)
    inverse = -jnp.sum(jnp.where(alike[:, :, None], basis.inverse[None], 0), 1)
    found = alike & swapped[None]
    apart = basis.columns - jnp.sum(jnp.where(found[None], basis.columns[:, None], 0), 2)
    base = jnp.where(jnp.any(found, 1), jnp.sum(jnp.where(found, basis.extra[None], 0), 1), basis.base)
    basis = basis._replace(
        base=base.astype(jnp.int32),
        extra=jnp.where(swapped, basis.base, basis.extra),
        columns=jnp.where(swapped, -basis.columns, apart),
        inverse=jnp.where(swapped[:, None], inverse, basis.inverse),
    )
    return basis, jnp.where(swapped, 1 - total, x)


def impossible(basis: Basis, x: Array) -> Array:
    """By how much the parts x (D, L) are infeasible; a nonzero part of an empty tie always is, and is dropped first."""
    return jnp.where(basis.rows.ids == NONE, 1e6 * jnp.abs(x), -x)


def possible(basis: Basis, x: Array, slack: float) -> Array:
    """(L,) bool, whether the parts x (D, L) are those of an assignment, up to ``slack`` of a row."""
    none = basis.rows.ids == NONE
    lightest = jnp.min(jnp.where(none, jnp.inf, basis.rows.weights), 0)
    lightest = jnp.where(jnp.isfinite(lightest), lightest, 0)
    return jnp.all(jnp.where(none, jnp.abs(x) <= slack * jnp.maximum(lightest, 1e-9), x >= -slack), 0)


def loosened(basis: Basis) -> Basis:
    """The same prices with all ties emptied, each keeping its kind: costs have changed."""
    # a Newton step for the inverse removes the rounding that pivots have accumulated
    product = jnp.sum(basis.columns[:, :, None] * basis.inverse[None], 1)
    inverse = 2 * basis.inverse - jnp.sum(basis.inverse[:, :, None] * product[None], 1)
    return basis._replace(rows=basis.rows._replace(ids=jnp.full_like(basis.rows.ids, NONE)), inverse=inverse)


def reweighted(basis: Basis, weights: Array) -> Basis:
    """The same ties, with other ``weights`` (D, L) of their rows."""
    heavier = jnp.where(basis.rows.ids != NONE, weights / jnp.where(weights > 0, basis.rows.weights, 1), 1)
    heavier = jnp.where(heavier > 0, heavier, 1)
    rows = basis.rows._replace(weights=(basis.rows.weights * heavier).astype(basis.rows.weights.dtype))
    return basis._replace(rows=rows, columns=basis.columns * heavier, inverse=basis.inverse / heavier[:, None])
