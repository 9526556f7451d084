"""k-means in one call: seed, iterate, keep the best of several restarts."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax._core.checks import check_count
from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax.errors import InputError
from fairjax.kmeans.lloyd import KMeansResult, run
from fairjax.kmeans.points import as_weighted_points
from fairjax.kmeans.seeding import init_plus_plus, init_random


@partial(jax.jit, static_argnames=("n_clusters", "n_init", "init", "n_local_trials"))
def fit(
    key: Array,
    X: ArrayLike,
    n_clusters: int,
    weights: ArrayLike | None = None,
    *,
    n_init: int = 1,
    init: str = "k-means++",
    n_local_trials: int | None = None,
    max_iter: ArrayLike = 300,
    tol: ArrayLike = 1e-4,
    rows: Rows = IN_ONE_PLACE,
) -> KMeansResult:
    """Seed, iterate, and return the best of `n_init` restarts, which run as one batch.

    Parameters
    ----------
    key
        Typed random key, consumed.
    X : (n, d)
        Points.
    n_clusters
        Number of clusters K (static).
    weights : (n,)
        Non-negative, all ones by default.
    n_init
        Number of restarts (static); memory grows with it.
    init
        ``"k-means++"`` (see `init_plus_plus`) or ``"random"`` (see `init_random`), static.
    n_local_trials
        See `init_plus_plus` (static).
    max_iter, tol
        See `run` (traced).
    rows
        See `run`: the axis over which rows are spread inside ``jax.shard_map``.

    Returns
    -------
    KMeansResult
        The restart of lowest cost.

    Raises
    ------
    InputError
        For an invalid shape, count or `init`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> X = jnp.array([[0.0], [2.0], [9.0], [11.0]])
    >>> result = fit(jax.random.key(0), X, 2, n_init=4)
    >>> sorted(result.centers[:, 0].tolist()), float(result.cost)
    ([1.0, 10.0], 1.0)
    """
    X, weights = as_weighted_points(X, weights)
    check_count("n_init", n_init)
    seed: Callable[..., Array]
    if init == "k-means++":
        seed = partial(init_plus_plus, n_local_trials=n_local_trials)
    elif init == "random":
        seed = init_random
    else:
        raise InputError(f"init is {init!r}, expected 'k-means++' or 'random'; give centres of your own to run.")

    def restart(key: Array) -> KMeansResult:
        start = seed(key, X, n_clusters, weights, rows=rows)
        return run(X, start, weights, max_iter=max_iter, tol=tol, rows=rows)

    if n_init == 1:
        return restart(key)
    results = jax.vmap(restart)(jax.random.split(key, n_init))
    best = jnp.argmin(jnp.where(jnp.isnan(results.cost), jnp.inf, results.cost))
    return jax.tree.map(lambda leaf: leaf[best], results)
