"""The member of a cluster that is nearest to the others: the centre of k-median where distances are all there is."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fairjax.kmeans.distances import distances_by_center
from fairjax.kmeans.points import as_weighted_points

_ROWS = 512  # points of a block; a pair of blocks stays in cache


@partial(jax.jit, static_argnames="n_clusters")
def cluster_medoids(
    X: ArrayLike, labels: ArrayLike, n_clusters: int, weights: ArrayLike | None = None
) -> tuple[Array, Array]:
    """The member of each cluster with the least sum of distances to the other members.

    Parameters
    ----------
    X : (n, d) points.
    labels : (n,) ids from 0 to K-1; points with another one belong to no cluster.
    n_clusters : K, static.
    weights : (n,) non-negative, all ones by default.

    Returns
    -------
    medoids : (K,) int32
        Row of `X`, the lowest of several as good ones; -1 for a cluster without points of positive weight.
    totals : (K,)
        Its weighted sum of Euclidean distances, infinite without one. O(d Σ n_k²) time, O(n d) memory.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> medoids, totals = cluster_medoids(jnp.array([[0.0], [1.0], [5.0], [9.0]]), jnp.array([0, 0, 0, 1]), 3)
    >>> medoids.tolist(), totals.tolist()
    ([1, 3, -1], [5.0, 0.0, inf])
    """
    X, weights = as_weighted_points(X, weights)
    labels = jnp.asarray(labels, jnp.int32)
    known = (labels >= 0) & (labels < n_clusters) & (weights > 0)
    labels = jnp.where(known, labels, n_clusters)
    # pairs within a cluster are near the diagonal once clusters are contiguous
    order = jnp.argsort(labels, stable=True).astype(jnp.int32)
    n = len(order)
    size = min(_ROWS, n)
    n_blocks = math.ceil(n / size)
    padding = n_blocks * size - n
    points = jnp.pad((X - jnp.mean(X, axis=0))[order], ((0, padding), (0, 0)))
    ids = jnp.pad(labels[order], (0, padding), constant_values=n_clusters)
    masses = jnp.pad(weights[order], (0, padding))
    starts = jnp.searchsorted(ids, jnp.arange(n_clusters + 1, dtype=jnp.int32)).astype(jnp.int32)

    def block(row: Array) -> Array:
        take = partial(lax.dynamic_slice_in_dim, start_index=row * size, slice_size=size)
        own, own_ids = take(points), take(ids)
        first = starts[own_ids[0]] // size
        last_id = jnp.minimum(own_ids[-1], n_clusters - 1)
        last = jnp.where(own_ids[0] == n_clusters, first, (starts[last_id + 1] + size - 1) // size)

        def add(column: Array, totals: Array) -> Array:
            take = partial(lax.dynamic_slice_in_dim, start_index=column * size, slice_size=size)
            distances = jnp.sqrt(distances_by_center(take(points), own))
            return totals + jnp.sum(jnp.where(own_ids[:, None] == take(ids), distances * take(masses), 0), axis=1)

        return lax.fori_loop(first, last, add, jnp.zeros_like(masses, shape=size))

    totals = lax.map(block, jnp.arange(n_blocks, dtype=jnp.int32)).ravel()[:n]
    totals = jnp.zeros_like(weights).at[order].set(totals)
    each = jnp.where(labels == jnp.arange(n_clusters, dtype=jnp.int32)[:, None], totals, jnp.inf)
    medoids, least = jnp.argmin(each, axis=1).astype(jnp.int32), jnp.min(each, axis=1)
    return jnp.where(jnp.isfinite(least), medoids, -1), least
