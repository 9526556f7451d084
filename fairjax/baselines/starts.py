"""Starting centres of the methods: the same as those of FCA for the same ``random_state``."""

from functools import partial

import numpy as np
from jax import Array

from fairjax import kmeans
from fairjax._compiling import stage
from fairjax.baselines.problem import Problem, Start, Table


def seeds(problem: Problem, start: Start) -> Table:
    """Centres (K, d): those given, or points drawn by k-means++ or at random; O(n d K log K)."""
    if start.centers is not None:
        return start.centers
    points = problem.points
    found = _draw(start.key, points.X, points.weights, n_clusters=problem.n_clusters, init=start.init)
    return np.asarray(points.centers_of(found))


def solution(problem: Problem, start: Start) -> Table:
    """Centres (K, d): those given as they are, or the solution of plain k-means from :func:`seeds`.

    O(n K d) for each of up to 300 turns.
    """
    if start.centers is not None:
        return start.centers
    points = problem.points
    drawn = _draw(start.key, points.X, points.weights, n_clusters=problem.n_clusters, init=start.init)
    return np.asarray(points.centers_of(_lloyd(points.X, drawn, points.weights)))


@partial(stage, static_argnames=("n_clusters", "init"))
def _draw(key: Array, X: Array, weights: Array, *, n_clusters: int, init: str) -> Array:
    if init == "random":
        return kmeans.init_random(key, X, n_clusters, weights)
    return kmeans.init_plus_plus(key, X, n_clusters, weights)


@stage
def _lloyd(X: Array, centers: Array, weights: Array) -> Array:
    return kmeans.run(X, centers, weights).centers
