"""k-medians whose centres are points: nearest centres, then the medoid of each cluster, until the cost rests."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fairjax.baselines.medoids import cluster_medoids
from fairjax.kmeans.distances import distances_by_center
from fairjax.kmeans.points import as_centers, as_weighted_points


class KMedoids(NamedTuple):
    """Outcome of `run`."""

    labels: Array
    """(n,) int32"""
    centers: Array
    """(K, d), those that the labels are nearest to."""
    cost: Array
    """() weighted sum of distances to them."""
    n_iter: Array
    """() int32"""
    settled: Array
    """() bool"""


@jax.jit
def run(X: ArrayLike, centers: ArrayLike, weights: ArrayLike | None = None, *, max_iter: ArrayLike = 100) -> KMedoids:
    """Alternate from the given centres until the sum of distances no longer falls.

    Parameters
    ----------
    X : (n, d) points. centers : (K, d). weights : (n,) non-negative, all ones by default.
    max_iter : most iterations, traced.

    Returns
    -------
    KMedoids
        A cluster without points keeps its centre. O(d (n K + Σ n_k²)) an iteration.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> X = jnp.array([[0.0], [1.0], [2.0], [8.0], [9.0]])
    >>> found = run(X, X[:2])
    >>> found.labels.tolist(), found.centers[:, 0].tolist(), float(found.cost)
    ([0, 0, 0, 1, 1], [1.0, 8.0], 3.0)
    """
    X, weights = as_weighted_points(X, weights)
    centers = as_centers(centers, X)

    def assigned(centers: Array) -> tuple[Array, Array]:
        distances = jnp.sqrt(distances_by_center(X, centers))
        labels = jnp.argmin(distances, axis=0).astype(jnp.int32)
        return labels, jnp.dot(weights, jnp.min(distances, axis=0), precision="highest")

    def iteration(state: KMedoids) -> KMedoids:
        medoids, _ = cluster_medoids(X, state.labels, len(centers), weights)
        moved = jnp.where((medoids >= 0)[:, None], X[medoids], state.centers)
        labels, cost = assigned(moved)
        found = KMedoids(labels, moved, cost, state.n_iter + 1, cost >= state.cost)
        stays = state._replace(n_iter=state.n_iter + 1, settled=jnp.ones((), bool))
        return jax.tree.map(lambda new, old: jnp.where(cost < state.cost, new, old), found, stays)

    labels, cost = assigned(centers)
    start = KMedoids(labels, centers, cost, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    return lax.while_loop(lambda state: ~state.settled & (state.n_iter < max_iter), iteration, start)
