"""What the benchmarks of the direct route share: jitted stages, certificates, Lloyd's iteration, data."""

import time
import warnings
from functools import partial
from typing import Any

import jax
import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from fairjax import datasets, fca
from fairjax.assignment import control

K = 10
SEEDS = (2025, 0, 1, 2, 3, 4, 5, 6, 7, 8)


@partial(jax.jit, static_argnames=("n_groups", "max_iter", "fused"))
def begin(X: Any, groups: Any, centers: Any, *, n_groups: int, max_iter: int = 100, fused: bool = False) -> Any:
    points = fca.prepare(X, groups, n_groups=n_groups, fused=fused)
    return points, fca.init(points, centers, max_iter=max_iter)


@jax.jit
def iterations(points: Any, state: Any, epsilon: Any, tol: Any, until: Any, pause: Any = None) -> Any:
    fairness = control(points.masses, epsilon=epsilon)
    return fca.run(points, fairness, state, until=until, pause=pause, tol=tol)


@jax.jit
def finish(points: Any, state: Any, epsilon: Any) -> Any:
    return fca.finish(points, control(points.masses, epsilon=epsilon), state)


def certificate(result: Any) -> dict[str, Any]:
    return {
        "cost": float(result.cost),
        "gap": float(result.assignment.gap),
        "status": int(result.assignment.status),
        "iterations": int(result.n_iter),
        "converged": bool(result.converged),
    }


def lloyd(X: Any, centers: Any, max_iter: int) -> tuple[float, int]:
    """Seconds and iterations of scikit-learn's KMeans from ``centers``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(len(centers), init=centers, n_init=1, max_iter=max_iter, tol=0.0)
        began = time.perf_counter()
        model.fit(X)
        return time.perf_counter() - began, int(model.n_iter_)


def rough_centers(X: Any, n_clusters: int) -> Any:
    """A start that is still on the move: a few iterations of k-means."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(n_clusters, n_init=1, max_iter=5, random_state=0).fit(X).cluster_centers_


def blobs(n_points: int, n_features: int, n_clusters: int) -> tuple[Any, Any]:
    """Two groups over overlapping blobs, float32: k-means goes on for many iterations."""
    data = datasets.make_grouped_blobs(
        n_points, n_features, n_clusters, group_shares=(0.4, 0.6), skew=0.5, cluster_std=2.5,
        center_box=(-2.0, 2.0), dtype=np.float32,
    )  # fmt: skip
    return data.X, data.groups


def ordered(data: datasets.Dataset) -> tuple[Any, Any]:
    """Points and groups, all of group 0 first: the order in which the published starts were drawn."""
    order = np.argsort(data.groups, kind="stable")
    return data.X[order], data.groups[order]
