"""Squared Euclidean distances between points and centres, by one matrix product."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax._core import distances
from fairjax.kmeans.points import as_centers, as_points


def squared_distances(X: ArrayLike, centers: ArrayLike) -> Array:
    """Squared Euclidean distances between all points and all centres.

    Computed as ``|x|^2 - 2 x.mu + |mu|^2`` with one matrix product and clipped at zero. The rounding error is
    of the order of ``eps * (|x|^2 + |mu|^2)``: subtract a common mean first where the data lie far from the
    origin.

    Parameters
    ----------
    X : (n, d)
        Points.
    centers : (K, d)
        Centres.

    Returns
    -------
    (n, K) squared distances, never negative. Time O(n K d), no (n, K, d) array is formed.

    Raises
    ------
    InputError
        If the arrays are not two-dimensional or their numbers of columns differ.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> squared_distances(jnp.array([[0.0, 0.0], [3.0, 4.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [[0.0], [25.0]]
    """
    X = as_points(X)
    return distances_by_center(X, as_centers(centers, X)).T


def distances_by_center(X: Array, centers: Array) -> Array:
    """Squared distances as (K, n): a reduction over the clusters is fast along the leading axis."""
    return distances.squared_distances(centers, X)


def clear_distances(X: Array, centers: Array) -> Array:
    """Squared distances (K, n), set to zero if they may be rounding noise, so that equal points count as equal."""
    found = distances_by_center(X, centers)
    noise = 4 * jnp.finfo(X.dtype).eps * (jnp.sum(X**2, axis=1) + jnp.sum(centers**2, axis=1)[:, None])
    return jnp.where(found > noise, found, 0)


def nearest(X: Array, centers: Array) -> tuple[Array, Array]:
    """Label of the nearest centre and squared distance to it, both (n,)."""
    # |x|^2 is the same for all centres, so add it after the minimum.
    scores = jnp.sum(centers**2, axis=1)[:, None] - 2 * jnp.matmul(centers, X.T, precision="highest")
    gaps = jnp.maximum(jnp.min(scores, axis=0) + jnp.sum(X**2, axis=1), 0)
    return jnp.argmin(scores, axis=0).astype(jnp.int32), gaps
