"""Clusters of fairlets: their centres are clustered, and every point follows its fairlet."""

from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax import kmeans
from fairjax._core.compiling import stage
from fairjax.baselines import kmedoids
from fairjax.baselines.decomposition import Fairlets
from fairjax.baselines.problem import Labels, Start, Table
from fairjax.errors import InputError


class Clustered(NamedTuple):
    """Labels (F,) and centres (K, d) of the fairlets, iterations, and whether they came to rest."""

    labels: Labels
    centers: Table
    n_iter: int
    settled: bool


def cluster_centers(
    centers: Table,
    weights: Table | None,
    n_clusters: int,
    start: Start,
    *,
    objective: Literal["kmeans", "kmedian"],
    max_iter: int,
    tol: float,
) -> Clustered:
    """k-means or k-medians of the fairlets' centres (F, d), of weights (F,) where given."""
    from fairjax.fca.scaled_points import scale_points

    points = scale_points(centers, np.zeros(len(centers), np.int32), weights, n_groups=1)
    if start.centers is None:
        seeds = _draw(start.key, points.X, points.weights, n_clusters=n_clusters, init=start.init)
    else:
        seeds = points.to_device(start.centers)
    found: Any
    if objective == "kmeans":
        found = _kmeans(points.X, seeds, points.weights, max_iter=max_iter, tol=tol)
        settled = bool(found.converged)
    else:
        found = _kmedoids(points.X, seeds, points.weights, max_iter=max_iter)
        settled = bool(found.settled)
    labels = np.asarray(found.labels)[: len(centers)]
    return Clustered(labels, points.centers_of(found.centers), int(found.n_iter), settled)


def check_enough(fairlets: Fairlets, n_clusters: int, balance: str) -> None:
    """Raise InputError for more clusters than fairlets."""
    if n_clusters > len(fairlets.centers):
        raise InputError(
            f"n_clusters={n_clusters}, but balance {balance} makes {len(fairlets.centers)} fairlets of the points; ask "
            "for at most as many clusters, or for a lower balance"
        )


def distances_to(X: Table, centers: Table, labels: npt.NDArray[np.integer]) -> Table:
    """Distance (n,) of each point to the centre of its cluster; O(n d)."""
    return np.linalg.norm(np.asarray(X, np.float64) - centers[labels], axis=1)


@partial(stage, static_argnames=("n_clusters", "init"))
def _draw(key: Array, X: Array, weights: Array, *, n_clusters: int, init: str) -> Array:
    if init == "random":
        return kmeans.init_random(key, X, n_clusters, weights)
    return kmeans.init_plus_plus(key, X, n_clusters, weights)


@stage
def _kmeans(X: Array, centers: Array, weights: Array, *, max_iter: int, tol: float) -> kmeans.KMeansResult:
    return kmeans.run(X, centers, weights, max_iter=max_iter, tol=tol)


@stage
def _kmedoids(X: Array, centers: Array, weights: Array, *, max_iter: int) -> kmedoids.KMedoids:
    return kmedoids.run(X, centers, weights, max_iter=max_iter)
