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

    Returns
    -------
    (K, d) rows of `X`. Time O(n d K n_local_trials), memory O(n n_local_trials). Appending rows of weight zero
    to the data does not change the draws.

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

    points = X - weighted_mean(X, weights)
    first_key, key = jax.random.split(key)
    first = _draw(first_key, weights, weights, 1)
    closest = clear_distances(points, points[first])[0]

    def add(closest: Array, key: Array) -> tuple[Array, Array]:
        candidates = _draw(key, weights * closest, weights, n_local_trials)
        trials = jnp.minimum(closest, clear_distances(points, points[candidates]))
        best = jnp.argmin(jnp.matmul(trials, weights, precision="highest"))
        return trials[best], candidates[best]

    _, others = lax.scan(add, closest, jax.random.split(key, n_clusters - 1))
    return X[jnp.concatenate([first, others])]


@partial(jax.jit, static_argnames="n_clusters")
def init_random(key: Array, X: ArrayLike, n_clusters: int, weights: ArrayLike | None = None) -> Array:
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
    scores = jnp.log(weights) + jax.random.gumbel(key, weights.shape, weights.dtype)
    scores, rows = lax.top_k(scores, min(n_clusters, X.shape[0]))
    drawn = jnp.maximum(jnp.sum(scores > -jnp.inf, dtype=jnp.int32), 1)
    return X[rows[jnp.arange(n_clusters, dtype=jnp.int32) % drawn]]


def _draw(key: Array, mass: Array, fallback: Array, count: int) -> Array:
    """Draw `count` indices with probability proportional to `mass`, or to `fallback` if that is all zero.

    By inverting the cumulative distribution, first over blocks, then inside one: no long cumulative sum, which
    would be slow and lose digits, and the draw does not depend on padding at the end.
    """
    mass = jnp.where(jnp.any(mass > 0), mass, fallback)
    blocks = jnp.pad(mass, (0, -mass.size % _BLOCK)).reshape(-1, _BLOCK)
    totals = jnp.sum(blocks, axis=1)

    def draw_one(uniform: Array) -> Array:
        block, rest = _invert(totals, uniform * jnp.sum(totals))
        offset, _ = _invert(blocks[block], rest)
        return block * _BLOCK + offset

    return jax.vmap(draw_one)(jax.random.uniform(key, (count,), mass.dtype))


def _invert(mass: Array, level: Array) -> tuple[Array, Array]:
    """First index of positive mass whose cumulative mass reaches `level`, and the part of `level` left for it.

    If rounding puts the level beyond the end, it is the last index of positive mass.
    """
    cumulative = jnp.where(mass > 0, jnp.cumsum(mass), -1)
    index = jnp.argmax(cumulative >= jnp.minimum(level, jnp.max(cumulative))).astype(jnp.int32)
    return index, level - (cumulative[index] - mass[index])
