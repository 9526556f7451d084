"""The table n_kt: how much weight of group t lies in cluster k."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from fairjax.errors import InputError
from fairjax.metrics._inputs import as_array, check_ids, check_same_length, check_weights, floating

# Number of terms in a running float sum before partial sums are joined.
_BLOCK = 256


@functools.partial(jax.jit, static_argnames="size")
def segment_totals(values: jax.Array, ids: jax.Array, size: int) -> jax.Array:
    """Sum `values` (n, ...) over the points of each id; ids outside 0..size-1 are ignored.

    Float sums run over blocks of points, then over blocks of blocks, so that the relative error of a float32
    total does not grow with n, as it would in one running sum. Integer sums are exact.

    Returns
    -------
    Array of shape (size, ...), of the type of `values`.
    """
    n = values.shape[0]
    n_blocks = 1 if jnp.issubdtype(values.dtype, jnp.integer) else -(-n // _BLOCK)
    cell = ids + size * (jnp.arange(n, dtype=jnp.int32) // _BLOCK) if n_blocks > 1 else ids
    cell = jnp.where((ids >= 0) & (ids < size), cell, n_blocks * size)
    partial = jax.ops.segment_sum(values, cell, n_blocks * size).reshape(n_blocks, size, *values.shape[1:])
    while partial.shape[0] > 1:
        missing = [(0, -partial.shape[0] % _BLOCK), *[(0, 0)] * (partial.ndim - 1)]
        partial = jnp.pad(partial, missing).reshape(-1, _BLOCK, *partial.shape[1:]).sum(1)
    return partial[0]


def contingency(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_groups: int | None = None,
) -> jax.Array:
    """Count the points of every group in every cluster, the table n_kt.

    Parameters
    ----------
    labels
        Cluster of each point, integers 0..n_clusters-1, shape (n,).
    groups
        Group (or class) of each point, integers 0..n_groups-1, shape (n,).
    weights
        Weight of each point, shape (n,), not negative; 1 for all when left out.
    n_clusters, n_groups
        Static sizes; one more than the greatest id when left out. Required for a traced array. Larger ids raise
        an error if they can be read, and are not counted if they are traced.

    Returns
    -------
    Array of shape (n_clusters, n_groups): int32 counts without weights or with integer ones (exact below
    2³¹), else sums in the float type of `weights`.

    Raises
    ------
    InputError
        For ids that are not integers, out of range or of different lengths, for bad weights, and for a
        missing size of a traced array.

    Notes
    -----
    O(n) work; memory O(n + K·M), with float weights O(n + K·M·n/256).

    Examples
    --------
    >>> from fairjax.metrics import contingency
    >>> print(contingency([0, 0, 1, 1, 1], [0, 1, 0, 0, 1]))
    [[1 1]
     [2 1]]
    """
    return count_pairs(labels, groups, "groups", weights, n_clusters, n_groups)


def count_pairs(
    labels: ArrayLike,
    others: ArrayLike,
    what: str,
    weights: ArrayLike | None,
    n_clusters: int | None,
    n_others: int | None,
) -> jax.Array:
    """Check labels, the ids beside them (``"groups"`` or ``"classes"``) and weights, and build the (K, M) table."""
    label_ids, k = check_ids(labels, "labels", n_clusters, "n_clusters")
    other_ids, m = check_ids(others, what, n_others, f"n_{what}")
    check_same_length(label_ids, other_ids, f"labels and {what}")
    return _count_pairs(label_ids, other_ids, check_weights(weights, label_ids.shape[0]), k, m)


@functools.partial(jax.jit, static_argnames=("k", "m"))
def _count_pairs(rows: jax.Array, columns: jax.Array, weights: jax.Array | None, k: int, m: int) -> jax.Array:
    mass = jnp.ones(rows.shape, jnp.int32) if weights is None else weights
    inside = (columns >= 0) & (columns < m) & (rows >= 0) & (rows < k)
    return segment_totals(mass, jnp.where(inside, rows * m + columns, k * m), k * m).reshape(k, m)


def soft_contingency(
    probabilities: ArrayLike,
    groups: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_groups: int | None = None,
) -> jax.Array:
    """Sum assignment probabilities over the points of each group: the expected table n_kt.

    The fairness of a fractional assignment is a function of this table, for instance
    ``tables.group_violation(soft_contingency(P, groups))``.

    Parameters
    ----------
    probabilities
        Probability of each cluster for each point, shape (n, n_clusters), rows summing to 1.
    groups
        Group of each point, integers 0..n_groups-1, shape (n,).
    weights
        Weight of each point, shape (n,), not negative; 1 for all when left out.
    n_groups
        Static number of groups; one more than the greatest id when left out. Required when traced.

    Returns
    -------
    Float array of shape (n_clusters, n_groups).

    Raises
    ------
    InputError
        For shapes that do not match, bad group ids or weights, and a missing size of a traced array.

    Examples
    --------
    >>> from fairjax.metrics import soft_contingency
    >>> print(soft_contingency([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]], [0, 1, 1]))
    [[0.5  1.25]
     [0.5  0.75]]
    """
    group_ids, m = check_ids(groups, "groups", n_groups, "n_groups")
    n = group_ids.shape[0]
    soft = floating(as_array(probabilities))
    if soft.ndim != 2 or soft.shape[0] != n:
        raise InputError(f"probabilities has shape {soft.shape}; expected ({n}, n_clusters): a row for each point.")
    mass = check_weights(weights, n)
    return segment_totals(soft if mass is None else soft * mass[:, None], group_ids, m).T


def n_nonempty(labels: ArrayLike, *, weights: ArrayLike | None = None, n_clusters: int | None = None) -> jax.Array:
    """Count the clusters that hold any weight; read a balance together with this number.

    Parameters
    ----------
    labels
        Cluster of each point, integers 0..n_clusters-1, shape (n,).
    weights
        Weight of each point, shape (n,), not negative; 1 for all when left out.
    n_clusters
        Static number of clusters; one more than the greatest label when left out. Required when traced.

    Returns
    -------
    int32 scalar.

    Raises
    ------
    InputError
        For bad labels or weights, and a missing size of traced labels.

    Examples
    --------
    >>> from fairjax.metrics import n_nonempty
    >>> int(n_nonempty([0, 3, 3], n_clusters=5))
    2
    """
    return jnp.sum(id_totals(labels, "labels", weights, n_clusters, "n_clusters") > 0, dtype=jnp.int32)


def id_totals(ids: ArrayLike, what: str, weights: ArrayLike | None, size: int | None, keyword: str) -> jax.Array:
    """Check one array of ids (see :func:`check_ids`) and add up the points, or the weight, of each id."""
    checked, n_ids = check_ids(ids, what, size, keyword)
    mass = check_weights(weights, checked.shape[0])
    return segment_totals(jnp.ones(checked.shape, jnp.int32) if mass is None else mass, checked, n_ids)
