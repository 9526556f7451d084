"""Lloyd's iteration: assign every point to its nearest centre, move every centre to the mean of its points.

`run` is the loop, `init` and `step` are its parts, and `lloyd_step` is what a step does to the centres.

References
----------
.. [1] S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax.kmeans.distances import clear_distances
from fairjax.kmeans.points import as_centers, as_weighted_points, per_unit, weighted_mean
from fairjax.kmeans.sums import cluster_sums


class KMeansResult(NamedTuple):
    """Outcome of `run` or `fit`; labels and cost belong to the returned centres."""

    labels: Array
    """(n,) int32, nearest centre; rows of weight zero are labelled too."""
    centers: Array
    """(K, d) centres, never NaN for finite input."""
    cost: Array
    """() weighted mean squared distance to the nearest centre."""
    n_iter: Array
    """() int32, Lloyd steps taken."""
    converged: Array
    """() bool, whether the centres stopped moving (to within the tolerance) within `max_iter` steps."""


@jax.jit
def run(
    X: ArrayLike,
    centers: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    max_iter: ArrayLike = 300,
    tol: ArrayLike = 1e-4,
    rows: Rows = IN_ONE_PLACE,
) -> KMeansResult:
    """Lloyd's iteration from the given centres until they settle.

    It stops when the squared Frobenius norm of the last move is at most `tol` times the mean over the
    features of their weighted variance (scikit-learn's rule; with ``tol=0`` the centres must not move at
    all), after `max_iter` steps, or at once when a number is no longer finite (then `converged` is false).
    During the iteration the data are centred at their mean, for accurate distances.

    Parameters
    ----------
    X : (n, d)
        Points.
    centers : (K, d)
        Starting centres; equal ones are allowed.
    weights : (n,)
        Non-negative, all ones by default.
    max_iter, tol
        Traced, so other values do not recompile.
    rows
        Inside ``jax.shard_map`` the axis over which rows are spread (:class:`fairjax.parallel.Rows`): `X`, `weights`
        and the labels are then a device's own, and all else is the same on all devices.

    Returns
    -------
    KMeansResult
        Time O(n K d) per step. Under `vmap` the loop runs until the slowest member settles; members that settle
        earlier keep their own result and count.

    Raises
    ------
    InputError
        If the shapes do not agree.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> X = jnp.array([[0.0], [2.0], [9.0], [11.0]])
    >>> result = run(X, X[:2])
    >>> result.centers[:, 0].tolist(), result.labels.tolist(), float(result.cost), bool(result.converged)
    ([1.0, 10.0], [0, 0, 1, 1], 1.0, True)
    """
    X, weights = as_weighted_points(X, weights)
    centers = as_centers(centers, X)
    mean = weighted_mean(X, weights, rows)
    points = X - mean
    variance = per_unit(rows.sum(jnp.matmul(weights, points**2, precision="highest")), weights, rows)
    threshold = tol * jnp.mean(variance)

    def unfinished(state: LloydState) -> Array:
        # A NaN makes every comparison false and so ends the loop.
        return (state.shift > threshold) & (state.n_iter < max_iter)

    state = lax.while_loop(unfinished, partial(step, points, weights, rows=rows), init(centers - mean))
    _, _, labels, total = cluster_sums(points, weights, state.centers)
    cost = per_unit(rows.sum(total), weights, rows)
    return KMeansResult(labels, state.centers + mean, cost, state.n_iter, state.shift <= threshold)


class LloydState(NamedTuple):
    """What the next step and the stopping rule need."""

    centers: Array
    """(K, d) current centres."""
    cost: Array
    """() weighted mean squared distance to the centres before the last step; infinite at the start."""
    shift: Array
    """() squared Frobenius norm of the last move of the centres; infinite at the start."""
    n_iter: Array
    """() int32, steps taken."""


def init(centers: ArrayLike) -> LloydState:
    """State before the first step, from the (K, d) starting centres."""
    centers = jnp.asarray(centers)
    infinite = jnp.full((), jnp.inf, centers.dtype)
    return LloydState(centers, infinite, infinite, jnp.zeros((), jnp.int32))


def step(X: ArrayLike, weights: ArrayLike, state: LloydState, *, rows: Rows = IN_ONE_PLACE) -> LloydState:
    """One Lloyd step (see `lloyd_step`) on the state.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> X = jnp.array([[0.0], [2.0], [9.0]])
    >>> state = init(jnp.array([[0.0], [8.0]]))
    >>> for _ in range(2):
    ...     state = step(X, jnp.ones(3), state)
    >>> state.centers[:, 0].tolist(), int(state.n_iter), float(state.shift)
    ([1.0, 9.0], 2, 0.0)
    """
    found = lloyd_step(X, weights, state.centers, rows=rows)
    return LloydState(found.centers, found.cost, found.shift, state.n_iter + 1)


class LloydStep(NamedTuple):
    """What one Lloyd step finds; `labels` and `cost` belong to the centres it started from."""

    centers: Array
    """(K, d) new centres."""
    labels: Array
    """(n,) int32, nearest old centre, the lowest index if several are equally near."""
    cost: Array
    """() weighted mean squared distance to the old centres."""
    shift: Array
    """() squared Frobenius norm of new minus old centres."""


@jax.jit
def lloyd_step(X: ArrayLike, weights: ArrayLike, centers: ArrayLike, *, rows: Rows = IN_ONE_PLACE) -> LloydStep:
    """Assign every point to its nearest centre, then move every centre to the mean of its points [1]_.

    A cluster without weight is restarted, as in scikit-learn, on the point farthest from its nearest centre,
    which leaves its old cluster. Several empty clusters are filled one after the other, each on the point
    farthest from the centres *and* from the points used for earlier ones, so never twice at the same position
    (scikit-learn ranks the points once). When every point lies on a centre, clusters that are still empty keep
    their centres. The cost never rises under this rule.

    Parameters
    ----------
    X, weights, centers
        As in `cluster_sums`; equal centres are allowed.
    rows
        As in `run`.

    Returns
    -------
    LloydStep
        Time O(n K d). On CPU the rows are visited in chunks that stay in cache.

    Raises
    ------
    InputError
        If the shapes do not agree.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> X = jnp.array([[0.0], [2.0], [9.0]])
    >>> found = lloyd_step(X, jnp.ones(3), jnp.array([[0.0], [5.0]]))
    >>> found.centers[:, 0].tolist(), found.labels.tolist(), round(float(found.cost), 4)
    ([1.0, 9.0], [0, 0, 1], 6.6667)
    """
    X, weights = as_weighted_points(X, weights)
    centers = as_centers(centers, X)
    sums, mass, labels, total = cluster_sums(X, weights, centers)
    sums, mass, total = rows.sum((sums, mass, total))
    sums, mass = _fill_empty(X, weights, centers, sums, mass, rows)
    filled = mass[:, None] > 0
    moved = jnp.where(filled, sums / jnp.where(filled, mass[:, None], 1), centers)
    return LloydStep(moved, labels, per_unit(total, weights, rows), jnp.sum((moved - centers) ** 2))


def _fill_empty(X: Array, weights: Array, centers: Array, sums: Array, mass: Array, rows: Rows) -> tuple[Array, Array]:
    """Move the farthest points into the clusters without weight; see `lloyd_step` for the rule."""

    def fill(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        empty, sums, mass = carry
        # Tied to the carry, or the compiler would hoist the distances as invariant and always compute them.
        points, places, _ = lax.optimization_barrier((X, centers, empty))
        distances = clear_distances(points, places)
        labels = jnp.argmin(distances, axis=0)
        gaps = jnp.where(weights > 0, jnp.min(distances, axis=0), 0)

        def fill_one(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            empty, gaps, sums, mass = carry
            target, n_own = jnp.argmax(empty), len(gaps)

            def look_up(own: Array) -> tuple[Array, ...]:
                inside = jnp.minimum(own, n_own - 1)
                return points[inside], labels[inside], weights[inside], gaps[inside]

            farthest = rows.first_greatest(gaps)[None]
            point, source, weight, gap = jax.tree.map(lambda leaf: leaf[0], rows.at(farthest, look_up, n_own))
            weight = jnp.where(gap > 0, weight, 0)
            sums = sums.at[source].add(-weight * point).at[target].add(weight * point)
            mass = mass.at[source].add(-weight).at[target].add(weight)
            gaps = jnp.minimum(gaps, clear_distances(points, point[None])[0])
            return empty.at[target].set(False), gaps, sums, mass

        empty, _, sums, mass = lax.while_loop(lambda carry: carry[0].any(), fill_one, (empty, gaps, sums, mass))
        return empty, sums, mass

    # A loop of at most one iteration: under `vmap` it is skipped if no member has an empty cluster, whereas
    # `cond` would always run both branches.
    _, sums, mass = lax.while_loop(lambda carry: carry[0].any(), fill, (mass <= 0, sums, mass))
    return sums, mass
