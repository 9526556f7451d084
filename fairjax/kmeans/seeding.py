"""Starting centres drawn from the points: k-means++ or distinct rows at random, both by weight.

References
----------
.. [1] D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fairjax._core.checks import check_count
from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax.kmeans.distances import clear_distances
from fairjax.kmeans.points import as_weighted_points, weighted_mean

_BLOCK = 1024  # rows per block of the two-level draw in `_draw`


@partial(jax.jit, static_argnames=("n_clusters", "n_local_trials"))
def init_plus_plus(
    key: Array,
    X: ArrayLike,
    n_clusters: int,
    weights: ArrayLike | None = None,
    *,
    n_local_trials: int | None = None,
    rows: Rows = IN_ONE_PLACE,
) -> Array:
    """Seed by greedy k-means++ [1]_, the variant that scikit-learn uses.

    The first centre is drawn with probability proportional to weight. For each further one, `n_local_trials`
    candidates are drawn with probability proportional to weight times squared distance to the nearest centre
    so far, and the one that lowers the cost most is kept.

    If the points have fewer than K distinct positions, all of these are taken first, and the remaining centres
    repeat points drawn by weight alone. Positions that differ by no more than the rounding error of their
    distance count as one.

    Parameters
    ----------
    key
        Typed random key, consumed.
    X : (n, d)
        Points.
    n_clusters
        Number of centres K (static); may exceed n.
    weights : (n,)
        Non-negative, all ones by default; rows of weight zero are never drawn.
    n_local_trials
        Candidates per centre (static), by default ``2 + floor(log K)``.
    rows
        Inside ``jax.shard_map`` the axis over which rows are spread (:class:`fairjax.parallel.Rows`): `X` and `weights`
        are then a device's own.

    Returns
    -------
    (K, d) rows of `X`. Time O(n d K n_local_trials), memory O(n n_local_trials). Appending rows of weight zero
    to the data does not change the draws, nor does spreading rows over devices, but for rounding.

    Raises
    ------
    InputError
        For an invalid shape, `n_clusters` or `n_local_trials`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> X = jnp.array([[0.0], [0.0], [7.0], [9.0]])
    >>> sorted(init_plus_plus(jax.random.key(0), X, 3)[:, 0].tolist())
    [0.0, 7.0, 9.0]
    """
    X, weights = as_weighted_points(X, weights)
    check_count("n_clusters", n_clusters)
    if n_local_trials is None:
        n_local_trials = 2 + int(math.log(n_clusters))
    check_count("n_local_trials", n_local_trials)

    points = X - weighted_mean(X, weights, rows)
    first_key, key = jax.random.split(key)
    first = _draw(first_key, weights, weights, 1, rows)
    closest = clear_distances(points, _at(points, first, rows))[0]

    def add(closest: Array, key: Array) -> tuple[Array, Array]:
        candidates = _draw(key, weights * closest, weights, n_local_trials, rows)
        trials = jnp.minimum(closest, clear_distances(points, _at(points, candidates, rows)))
        best = jnp.argmin(rows.sum(jnp.matmul(trials, weights, precision="highest")))
        return trials[best], candidates[best]

    _, others = lax.scan(add, closest, jax.random.split(key, n_clusters - 1))
    return _at(X, jnp.concatenate([first, others]), rows)


@partial(jax.jit, static_argnames="n_clusters")
def init_random(
    key: Array, X: ArrayLike, n_clusters: int, weights: ArrayLike | None = None, *, rows: Rows = IN_ONE_PLACE
) -> Array:
    """Seed with K distinct rows drawn without replacement, with probability proportional to weight.

    Parameters
    ----------
    key
        Typed random key, consumed.
    X : (n, d)
        Points.
    n_clusters
        Number of centres K (static). If fewer rows have a positive weight, all of them are taken and then repeated in
        iteration.
    weights : (n,)
        Non-negative, all ones by default; rows of weight zero are never drawn.
    rows
        As in `init_plus_plus`; the draws then depend on the number of devices.

    Returns
    -------
    (K, d) rows of `X`; distinct rows may hold equal points. Time O(n log n).

    Raises
    ------
    InputError
        For an invalid shape or `n_clusters`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> X = jnp.array([[1.0], [2.0], [3.0]])
    >>> sorted(init_random(jax.random.key(0), X, 2, weights=jnp.array([1.0, 0.0, 1.0]))[:, 0].tolist())
    [1.0, 3.0]
    """
    X, weights = as_weighted_points(X, weights)
    check_count("n_clusters", n_clusters)
    # The K largest of log-weight plus Gumbel noise are a draw without replacement.
    scores = jnp.log(weights) + jax.random.gumbel(rows.own_key(key), weights.shape, weights.dtype)
    scores, numbers = lax.top_k(scores, min(n_clusters, X.shape[0]))
    if rows.axis is not None:
        numbers = rows.gather(rows.numbers(X.shape[0])[numbers])
        scores, best = lax.top_k(rows.gather(scores), min(n_clusters, len(numbers)))
        numbers = numbers[best]
    drawn = jnp.maximum(jnp.sum(scores > -jnp.inf, dtype=jnp.int32), 1)
    return _at(X, numbers[jnp.arange(n_clusters, dtype=jnp.int32) % drawn], rows)


def _at(X: Array, numbers: Array, rows: Rows) -> Array:
    """The rows (m, d) with these numbers (m,)."""
    return rows.at(numbers, lambda own: X[jnp.minimum(own, X.shape[0] - 1)], X.shape[0])


def _draw(key: Array, mass: Array, fallback: Array, count: int, rows: Rows) -> Array:
    """Draw `count` numbers of rows with probability proportional to `mass`, or to `fallback` if that is all zero.

    By inverting the cumulative distribution, first over devices and blocks, then inside one: no long cumulative sum,
    which would be slow and lose digits, and the draw does not depend on padding at the end.
    """
    mass = jnp.where(rows.greatest(jnp.max(mass)) > 0, mass, fallback)
    blocks = jnp.pad(mass, (0, -mass.size % _BLOCK)).reshape(-1, _BLOCK)
    totals = jnp.sum(blocks, axis=1)
    of_devices = rows.gather(jnp.sum(totals)[None])

    def draw_one(uniform: Array) -> Array:
        device, level = jnp.int32(0), uniform * jnp.sum(of_devices)
        if rows.axis is not None:
            device, level = _invert(of_devices, level)
        block, rest = _invert(totals, level)
        offset, _ = _invert(blocks[block], rest)
        return rows.number(device, block * _BLOCK + offset, mass.size)

    return jax.vmap(draw_one)(jax.random.uniform(key, (count,), mass.dtype))


def _invert(mass: Array, level: Array) -> tuple[Array, Array]:
    """First index of positive mass whose cumulative mass reaches `level`, and the part of `level` left for it.

    If rounding puts the level beyond the end, it is the last index of positive mass.
    """
    cumulative = jnp.where(mass > 0, jnp.cumsum(mass), -1)
    index = jnp.argmax(cumulative >= jnp.minimum(level, jnp.max(cumulative))).astype(jnp.int32)
    return index, level - (cumulative[index] - mass[index])
