"""Starting centres of the methods: the same as those of FCA for the same ``random_state``."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax import kmeans
from fairjax._core.compiling import stage
from fairjax.baselines.problem import Problem, Start, Table

_CLOSE, _SETTLED, _MOST_ITERATIONS = 1e-6, 1e-5, 300  # in units of the points on the device, whose largest value is 1


def seeds(problem: Problem, start: Start) -> Table:
    """Centres (K, d): those given, or points drawn by k-means++ or at random; O(n d K log K)."""
    if start.centers is not None:
        return start.centers
    points = problem.points
    found = _draw(start.key, points.X, points.weights, n_clusters=problem.n_clusters, init=start.init)
    return np.asarray(points.centers_of(found))


def solution(problem: Problem, start: Start) -> Table:
    """Centres (K, d): those given as they are, or the solution of plain k-means from :func:`seeds`.

    O(n K d) for each of up to 300 iterations.
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


def vanilla(problem: Problem, start: Start, objective: str) -> Table:
    """Centres (K, d): those given as they are, or of a clustering that knows no groups, for this objective.

    For ``kmeans`` its solution, for ``kmedian`` centres of least distances, by alternating assignment and Weiszfeld's
    step. O(n K d) for each of up to 300 iterations.
    """
    if start.centers is not None or objective == "kmeans":
        return solution(problem, start)
    points = problem.points
    drawn = points.to_device(seeds(problem, start))
    return np.asarray(points.centers_of(_medians(points.X, drawn, points.weights)))


@stage
def _medians(X: Array, centers: Array, weights: Array) -> Array:
    def iteration(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        centers, _, n_iter = carry
        distances = jnp.sqrt(kmeans.squared_distances(X, centers))
        mine = jnp.argmin(distances, 1)[:, None] == jnp.arange(centers.shape[0])
        # a point at its centre would weigh without limit
        pull = jnp.where(mine, weights[:, None] / jnp.maximum(distances, _CLOSE), 0)
        total = jnp.sum(pull, 0)[:, None]
        sums = jnp.matmul(pull.T, X, precision="highest")
        moved = jnp.where(total > 0, sums / jnp.where(total > 0, total, 1), centers)
        return moved, jnp.max(jnp.abs(moved - centers)), n_iter + 1

    def going(carry: tuple[Array, Array, Array]) -> Array:
        return (carry[1] > _SETTLED) & (carry[2] < _MOST_ITERATIONS)

    begin = (centers, jnp.full((), jnp.inf, X.dtype), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(going, iteration, begin)[0]
