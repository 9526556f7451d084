"""Who is in the clusters: the unfairest of them, and fairness against their number."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax import kmeans, metrics
from fairjax.errors import InputError

__all__ = ["Unfairest", "fwd_by_clusters", "unfairest_cluster"]


class Unfairest(NamedTuple):
    """The cluster whose groups' shares are farthest from those of all rows.

    Attributes
    ----------
    cluster : int
    size : int
    shares : ndarray (T,)
        Of the groups in the cluster.
    overall : ndarray (T,)
        Of the groups in all rows.
    distance : float
        Sum of the absolute differences of the shares, from 0 to 2.
    """

    cluster: int
    size: int
    shares: npt.NDArray[np.float64]
    overall: npt.NDArray[np.float64]
    distance: float


def unfairest_cluster(labels: npt.ArrayLike, groups: npt.ArrayLike) -> Unfairest:
    """Find the least fair cluster; empty ones do not count.

    Parameters
    ----------
    labels : array-like (N,) of integers from 0
    groups : array-like (N,) of integers from 0

    Examples
    --------
    >>> found = unfairest_cluster([0, 0, 0, 1], [0, 1, 1, 0])
    >>> found.cluster, found.shares.tolist(), found.distance
    (1, [1.0, 0.0], 1.0)
    """
    own, ids = np.asarray(labels), np.asarray(groups)
    if own.shape != ids.shape or own.ndim != 1 or not len(own):
        raise InputError(f"labels and groups have shapes {own.shape} and {ids.shape}; expected (N,) both")
    table = np.zeros((own.max() + 1, ids.max() + 1))
    np.add.at(table, (own, ids), 1)
    overall = table.sum(0) / table.sum()
    sizes = table.sum(1)
    shares = table / np.maximum(sizes, 1)[:, None]
    distances = np.where(sizes > 0, np.abs(shares - overall).sum(1), -1)
    worst = int(np.argmax(distances))
    return Unfairest(worst, int(sizes[worst]), shares[worst], overall, float(distances[worst]))


def fwd_by_clusters(
    key: Array, z: Array, groups: Array, numbers: Sequence[int], *, n_init: int = 5
) -> npt.NDArray[np.float64]:
    """Fairness distance FWD (`fairjax.metrics.fwd`) of k-means on latent rows, for several numbers of clusters.

    Parameters
    ----------
    key : typed random key
        Consumed.
    z : (N, d)
    groups : (N,)
    numbers : sequence of int
        Numbers of clusters; each compiles anew.
    n_init : int
        Restarts of k-means.

    Returns
    -------
    (len(numbers),), 0 for clusters that hold the groups equally

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> z, groups = jnp.array([[0.0], [0.1], [5.0], [5.1]]), jnp.array([0, 0, 1, 1])
    >>> fwd_by_clusters(jax.random.key(0), z, groups, [1, 2]).tolist()
    [0.0, 1.0]
    """
    found = []
    for number, own in zip(numbers, jax.random.split(key, len(numbers)), strict=True):
        labels = _cluster(own, z, number, n_init)
        found.append(float(metrics.fwd(labels, groups, n_clusters=number)))
    return np.array(found)


@partial(jax.jit, static_argnums=(2, 3))
def _cluster(key: Array, z: Array, n_clusters: int, n_init: int) -> Array:
    return kmeans.fit(key, z, n_clusters, n_init=n_init).labels
