"""One pass over the points: the nearest centre of each, and the sums of the clusters."""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fairjax._core.varying import varying_as
from fairjax.kmeans.distances import nearest
from fairjax.kmeans.points import as_centers, as_weighted_points


@jax.jit
def cluster_sums(X: ArrayLike, weights: ArrayLike, centers: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """Assign every point to its nearest centre and add up each cluster.

    Sums over disjoint sets of rows can be added, so this is also the part of a Lloyd step that devices with
    different rows compute on their own.

    Parameters
    ----------
    X : (n, d)
        Points.
    weights : (n,)
        Non-negative.
    centers : (K, d)
        Centres.

    Returns
    -------
    sums : (K, d) weighted sum of the points of each cluster.
    mass : (K,) weight of each cluster.
    labels : (n,) int32, nearest centre, the lowest index if several are equally near.
    total : () weighted *sum* of squared distances to the nearest centre.

    Raises
    ------
    InputError
        If the shapes do not agree.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> X = jnp.array([[0.0], [2.0], [9.0]])
    >>> sums, mass, labels, total = cluster_sums(X, jnp.ones(3), jnp.array([[1.0], [9.0]]))
    >>> sums[:, 0].tolist(), mass.tolist(), labels.tolist(), float(total)
    ([2.0, 9.0], [2.0, 1.0], [0, 0, 1], 2.0)
    """
    X, weights = as_weighted_points(X, weights)
    centers = as_centers(centers, X)
    n, d = X.shape
    n_clusters = centers.shape[0]
    rows = _chunk_rows(n, n_clusters, d)

    def partial_sums(X: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
        labels, gaps = nearest(X, centers)
        clusters = jnp.arange(n_clusters, dtype=jnp.int32)[:, None]
        # On CPU a scatter is far slower than the product with a one-hot matrix.
        members = jnp.where(labels == clusters, weights, 0)
        sums = jnp.matmul(members, X, precision="highest")
        return sums, jnp.sum(members, axis=1), labels, jnp.dot(weights, gaps, precision="highest")

    if rows == n:
        return partial_sums(X, weights)

    def add_chunk(i: Array, carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        sums, mass, labels, total = carry
        # The last chunk starts early enough to be full; rows that it shares with the previous chunk count once.
        start = jnp.minimum(i * rows, n - rows)
        fresh = start + jnp.arange(rows, dtype=jnp.int32) >= i * rows
        chunk_weights = jnp.where(fresh, lax.dynamic_slice_in_dim(weights, start, rows), 0)
        chunk = partial_sums(lax.dynamic_slice_in_dim(X, start, rows), chunk_weights)
        labels = lax.dynamic_update_slice_in_dim(labels, chunk[2], start, axis=0)
        return sums + chunk[0], mass + chunk[1], labels, total + chunk[3]

    start = (
        jnp.zeros_like(centers),
        jnp.zeros_like(centers[:, 0]),
        jnp.zeros_like(weights, dtype=jnp.int32),
        jnp.zeros_like(weights[0]),
    )
    start = varying_as(start, X, weights, centers)
    return lax.fori_loop(jnp.int32(0), jnp.int32(math.ceil(n / rows)), add_chunk, start)


def _chunk_rows(n: int, n_clusters: int, n_features: int) -> int:
    """Rows that `cluster_sums` takes at a time.

    On CPU a chunk is about 4 MB of float32, so that it stays in cache; elsewhere the limit only bounds memory.
    Large chunks have a multiple of 16 rows (so an odd n gets at least two of them): the vector loops that XLA
    generates for other sizes were measured to be three to seven times slower.
    """
    most = max((2**20 if jax.default_backend() == "cpu" else 2**28) // (n_clusters + n_features), 1024)
    if n <= most and (n % 16 == 0 or n < 1024):
        return n
    return 16 * math.ceil(n / (16 * max(2, math.ceil(n / most))))
