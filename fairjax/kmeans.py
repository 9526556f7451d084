"""k-means: seeding and Lloyd's iteration, weighted, masked and batched.

Everything here is a pure function of arrays that works under `jax.jit` and `jax.vmap`, in float32 and
float64. Weights double as masks: a row of weight zero is never drawn as a centre, moves no centre and adds
no cost, so data sets of different sizes are batched by padding them with such rows. At least one weight has
to be positive; without any, nothing is NaN, but nothing has a meaning either.

The cost is everywhere the weighted *mean* squared distance, ``sum_i w_i min_k |x_i - mu_k|^2 / sum_i w_i``.

`fit` does all at once; `init_plus_plus` and `run` are its two halves; `init` and `step` are the loop inside
`run`, for callers that drive it themselves.

References
----------
.. [1] S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
.. [2] D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fairjax.errors import InputError

__all__ = [
    "KMeansResult",
    "LloydStep",
    "State",
    "cluster_sums",
    "fit",
    "init",
    "init_plus_plus",
    "init_random",
    "lloyd_step",
    "run",
    "squared_distances",
    "step",
]

_BLOCK = 1024  # rows per block of the two-level draw in `_draw`


class LloydStep(NamedTuple):
    """What one Lloyd step finds; `labels` and `cost` belong to the centres it started from."""

    centers: Array
    """(K, d) new centres."""
    labels: Array
    """(n,) int32, nearest old centre, the lowest index where several are equally near."""
    cost: Array
    """() weighted mean squared distance to the old centres."""
    shift: Array
    """() squared Frobenius norm of new minus old centres."""


class State(NamedTuple):
    """What the next step needs, and what the stopping rule looks at."""

    centers: Array
    """(K, d) current centres."""
    cost: Array
    """() weighted mean squared distance to the centres before the last step; infinite at the start."""
    shift: Array
    """() squared Frobenius norm of the last move of the centres; infinite at the start."""
    n_iter: Array
    """() int32, steps taken."""


class KMeansResult(NamedTuple):
    """Outcome of `run` or `fit`; labels and cost belong to the centres returned."""

    labels: Array
    """(n,) int32, nearest centre; rows of weight zero are labelled too."""
    centers: Array
    """(K, d) centres, never NaN for finite input."""
    cost: Array
    """() weighted mean squared distance to the nearest centre."""
    n_iter: Array
    """() int32, Lloyd steps taken."""
    converged: Array
    """() bool, whether the centres stopped moving (to within the tolerance) before `max_iter` was spent."""


def squared_distances(X: ArrayLike, centers: ArrayLike) -> Array:
    """Squared Euclidean distances between all points and all centres.

    Computed as ``|x|^2 - 2 x.mu + |mu|^2`` with one matrix product and clipped at zero. The rounding error is
    of the order of ``eps * (|x|^2 + |mu|^2)``: subtract a common mean first where the data lie far from the
    origin.

    Parameters
    ----------
    X : (n, d) points.
    centers : (K, d) centres.

    Returns
    -------
    (n, K) squared distances, never negative. Time O(n K d), no (n, K, d) array is formed.

    Raises
    ------
    InputError
        If the arrays are not two-dimensional or their numbers of columns differ.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> squared_distances(jnp.array([[0.0, 0.0], [3.0, 4.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [[0.0], [25.0]]
    """
    X = _as_points(X)
    return _distances(X, _as_centers(centers, X)).T


@partial(jax.jit, static_argnames=("n_clusters", "n_local_trials"))
def init_plus_plus(
    key: Array,
    X: ArrayLike,
    n_clusters: int,
    weights: ArrayLike | None = None,
    *,
    n_local_trials: int | None = None,
) -> Array:
    """Seed by greedy k-means++ [2]_, the variant that scikit-learn uses.

    The first centre is drawn with probability proportional to weight. For each further one, `n_local_trials`
    candidates are drawn with probability proportional to weight times squared distance to the nearest centre
    so far, and the one that lowers the cost most is kept.

    Where the points have fewer than K distinct positions, all of these are taken first, and the centres that
    remain repeat points drawn by weight alone. Positions that differ by no more than the rounding error of
    their distance count as one.

    Parameters
    ----------
    key : typed random key, consumed.
    X : (n, d) points.
    n_clusters : number of centres K (static); may exceed n.
    weights : (n,) non-negative, all ones by default; rows of weight zero are never drawn.
    n_local_trials : candidates per centre (static), by default ``2 + floor(log K)``.

    Returns
    -------
    (K, d) rows of `X`. Time O(n d K n_local_trials), memory O(n n_local_trials). Rows of weight zero
    appended to the data leave the draws as they are.

    Raises
    ------
    InputError
        If a shape or `n_clusters` or `n_local_trials` makes no sense.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> X = jnp.array([[0.0], [0.0], [7.0], [9.0]])
    >>> sorted(init_plus_plus(jax.random.key(0), X, 3)[:, 0].tolist())
    [0.0, 7.0, 9.0]
    """
    X, weights = _as_problem(X, weights)
    _check_count("n_clusters", n_clusters)
    if n_local_trials is None:
        n_local_trials = 2 + int(math.log(n_clusters))
    _check_count("n_local_trials", n_local_trials)

    points = X - _mean(X, weights)
    first_key, key = jax.random.split(key)
    first = _draw(first_key, weights, weights, 1)
    closest = _clear_distances(points, points[first])[0]

    def add(closest: Array, key: Array) -> tuple[Array, Array]:
        candidates = _draw(key, weights * closest, weights, n_local_trials)
        trials = jnp.minimum(closest, _clear_distances(points, points[candidates]))
        best = jnp.argmin(jnp.matmul(trials, weights, precision="highest"))
        return trials[best], candidates[best]

    _, others = lax.scan(add, closest, jax.random.split(key, n_clusters - 1))
    return X[jnp.concatenate([first, others])]


@partial(jax.jit, static_argnames="n_clusters")
def init_random(key: Array, X: ArrayLike, n_clusters: int, weights: ArrayLike | None = None) -> Array:
    """Seed with K distinct rows drawn without replacement, with probability proportional to weight.

    Parameters
    ----------
    key : typed random key, consumed.
    X : (n, d) points.
    n_clusters : number of centres K (static). Where fewer rows have a positive weight, all of them are taken
        and then repeated in turn.
    weights : (n,) non-negative, all ones by default; rows of weight zero are never drawn.

    Returns
    -------
    (K, d) rows of `X`; distinct rows may hold equal points. Time O(n log n).

    Raises
    ------
    InputError
        If a shape or `n_clusters` makes no sense.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> X = jnp.array([[1.0], [2.0], [3.0]])
    >>> sorted(init_random(jax.random.key(0), X, 2, weights=jnp.array([1.0, 0.0, 1.0]))[:, 0].tolist())
    [1.0, 3.0]
    """
    X, weights = _as_problem(X, weights)
    _check_count("n_clusters", n_clusters)
    # The K largest of log-weight plus Gumbel noise are a draw without replacement.
    scores = jnp.log(weights) + jax.random.gumbel(key, weights.shape, weights.dtype)
    scores, rows = lax.top_k(scores, min(n_clusters, X.shape[0]))
    drawn = jnp.maximum(jnp.sum(scores > -jnp.inf, dtype=jnp.int32), 1)
    return X[rows[jnp.arange(n_clusters, dtype=jnp.int32) % drawn]]


@jax.jit
def cluster_sums(X: ArrayLike, weights: ArrayLike, centers: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """Assign every point to its nearest centre and add up each cluster.

    The sums over disjoint sets of rows add up, so this is also the part of a Lloyd step that devices holding
    different rows compute on their own.

    Parameters
    ----------
    X : (n, d) points.
    weights : (n,) non-negative.
    centers : (K, d) centres.

    Returns
    -------
    sums : (K, d) weighted sum of the points of each cluster.
    mass : (K,) weight of each cluster.
    labels : (n,) int32, nearest centre, the lowest index where several are equally near.
    total : () weighted *sum* of squared distances to the nearest centre.

    Raises
    ------
    InputError
        If the shapes do not agree.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> X = jnp.array([[0.0], [2.0], [9.0]])
    >>> sums, mass, labels, total = cluster_sums(X, jnp.ones(3), jnp.array([[1.0], [9.0]]))
    >>> sums[:, 0].tolist(), mass.tolist(), labels.tolist(), float(total)
    ([2.0, 9.0], [2.0, 1.0], [0, 0, 1], 2.0)
    """
    X, weights = _as_problem(X, weights)
    centers = _as_centers(centers, X)
    n, d = X.shape
    n_clusters = centers.shape[0]
    rows = _chunk_rows(n, n_clusters, d)

    def partial_sums(X: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
        labels, gaps = _nearest(X, centers)
        # On CPU a scatter is far slower than the product with a one-hot matrix.
        members = jnp.where(labels == _column(n_clusters), weights, 0)
        sums = jnp.matmul(members, X, precision="highest")
        return sums, jnp.sum(members, axis=1), labels, jnp.dot(weights, gaps, precision="highest")

    if rows == n:
        return partial_sums(X, weights)

    def add_chunk(i: Array, carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        sums, mass, labels, total = carry
        # The last chunk starts early enough to be full; the rows it shares with its predecessor count once.
        start = jnp.minimum(i * rows, n - rows)
        fresh = start + jnp.arange(rows, dtype=jnp.int32) >= i * rows
        chunk_weights = jnp.where(fresh, lax.dynamic_slice_in_dim(weights, start, rows), 0)
        chunk = partial_sums(lax.dynamic_slice_in_dim(X, start, rows), chunk_weights)
        labels = lax.dynamic_update_slice_in_dim(labels, chunk[2], start, axis=0)
        return sums + chunk[0], mass + chunk[1], labels, total + chunk[3]

    start = (
        jnp.zeros_like(centers),
        jnp.zeros_like(centers[:, 0]),
        jnp.zeros_like(weights, dtype=jnp.int32),
        jnp.zeros_like(weights[0]),
    )
    return lax.fori_loop(jnp.int32(0), jnp.int32(math.ceil(n / rows)), add_chunk, start)


@jax.jit
def lloyd_step(X: ArrayLike, weights: ArrayLike, centers: ArrayLike) -> LloydStep:
    """Assign every point to its nearest centre, then move every centre to the mean of its points [1]_.

    A cluster without weight is restarted, as in scikit-learn, on the point farthest from its nearest centre,
    which leaves its old cluster. Several empty clusters are filled one after the other, each on the point
    farthest from the centres *and* from the points already used so, hence never twice on the same position
    (scikit-learn ranks the points once). When every point lies on a centre, the clusters still empty keep
    their centres. The cost never rises under this rule.

    Parameters
    ----------
    X : (n, d) points.
    weights : (n,) non-negative.
    centers : (K, d) centres; equal ones are allowed.

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
    X, weights = _as_problem(X, weights)
    centers = _as_centers(centers, X)
    sums, mass, labels, total = cluster_sums(X, weights, centers)
    sums, mass = _fill_empty(X, weights, centers, sums, mass)
    filled = mass[:, None] > 0
    moved = jnp.where(filled, sums / jnp.where(filled, mass[:, None], 1), centers)
    return LloydStep(moved, labels, _per_unit(total, weights), jnp.sum((moved - centers) ** 2))


def init(centers: ArrayLike) -> State:
    """State before the first step, from the (K, d) starting centres."""
    centers = jnp.asarray(centers)
    infinite = jnp.full((), jnp.inf, centers.dtype)
    return State(centers, infinite, infinite, jnp.zeros((), jnp.int32))


def step(X: ArrayLike, weights: ArrayLike, state: State) -> State:
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
    found = lloyd_step(X, weights, state.centers)
    return State(found.centers, found.cost, found.shift, state.n_iter + 1)


@jax.jit
def run(
    X: ArrayLike,
    centers: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    max_iter: ArrayLike = 300,
    tol: ArrayLike = 1e-4,
) -> KMeansResult:
    """Lloyd's iteration from the given centres until they rest.

    It stops when the squared Frobenius norm of the last move is at most `tol` times the mean over the
    features of their weighted variance (scikit-learn's rule; with ``tol=0`` the centres must not move at
    all), when `max_iter` is spent, or at once when a number is no longer finite (then `converged` is false).
    The data are centred at their mean meanwhile, for accurate distances.

    Parameters
    ----------
    X : (n, d) points.
    centers : (K, d) starting centres; equal ones are allowed.
    weights : (n,) non-negative, all ones by default.
    max_iter, tol : traced, so other values do not recompile.

    Returns
    -------
    KMeansResult
        Time O(n K d) per step. Under `vmap` the loop runs until the slowest member rests; members that rest
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
    X, weights = _as_problem(X, weights)
    centers = _as_centers(centers, X)
    mean = _mean(X, weights)
    points = X - mean
    variance = _per_unit(jnp.matmul(weights, points**2, precision="highest"), weights)
    threshold = tol * jnp.mean(variance)

    def unfinished(state: State) -> Array:
        # A NaN makes every comparison false and so ends the loop.
        return (state.shift > threshold) & (state.n_iter < max_iter)

    state = lax.while_loop(unfinished, partial(step, points, weights), init(centers - mean))
    _, _, labels, total = cluster_sums(points, weights, state.centers)
    return KMeansResult(labels, state.centers + mean, _per_unit(total, weights), state.n_iter, state.shift <= threshold)


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
) -> KMeansResult:
    """Seed, iterate, and return the best of `n_init` restarts, which run as one batch.

    Parameters
    ----------
    key : typed random key, consumed.
    X : (n, d) points.
    n_clusters : number of clusters K (static).
    weights : (n,) non-negative, all ones by default.
    n_init : number of restarts (static); memory grows with it.
    init : ``"k-means++"`` (see `init_plus_plus`) or ``"random"`` (see `init_random`), static.
    n_local_trials : see `init_plus_plus` (static).
    max_iter, tol : see `run` (traced).

    Returns
    -------
    KMeansResult
        That of lowest cost.

    Raises
    ------
    InputError
        If a shape, a count or `init` makes no sense.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> X = jnp.array([[0.0], [2.0], [9.0], [11.0]])
    >>> result = fit(jax.random.key(0), X, 2, n_init=4)
    >>> sorted(result.centers[:, 0].tolist()), float(result.cost)
    ([1.0, 10.0], 1.0)
    """
    X, weights = _as_problem(X, weights)
    _check_count("n_init", n_init)
    seed: Callable[..., Array]
    if init == "k-means++":
        seed = partial(init_plus_plus, n_local_trials=n_local_trials)
    elif init == "random":
        seed = init_random
    else:
        raise InputError(f"init is {init!r}, expected 'k-means++' or 'random'; give centres of your own to run.")

    def restart(key: Array) -> KMeansResult:
        return run(X, seed(key, X, n_clusters, weights), weights, max_iter=max_iter, tol=tol)

    if n_init == 1:
        return restart(key)
    results = jax.vmap(restart)(jax.random.split(key, n_init))
    best = jnp.argmin(jnp.where(jnp.isnan(results.cost), jnp.inf, results.cost))
    return jax.tree.map(lambda leaf: leaf[best], results)


def _as_points(X: ArrayLike) -> Array:
    X = jnp.asarray(X)
    if X.ndim != 2 or 0 in X.shape:
        raise InputError(f"X has shape {X.shape}, expected (n, d) with n and d at least 1.")
    return X if jnp.issubdtype(X.dtype, jnp.floating) else X.astype(jnp.result_type(float))


def _as_problem(X: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array]:
    X = _as_points(X)
    if weights is None:
        return X, jnp.ones_like(X[:, 0])
    weights = jnp.asarray(weights, X.dtype)
    if weights.shape != X.shape[:1]:
        raise InputError(f"weights has shape {weights.shape}, expected {X.shape[:1]}: one weight per row of X.")
    return X, weights


def _as_centers(centers: ArrayLike, X: Array) -> Array:
    centers = jnp.asarray(centers, X.dtype)
    if centers.ndim != 2 or centers.shape[0] == 0 or centers.shape[1] != X.shape[1]:
        raise InputError(f"centers has shape {centers.shape}, expected (K, {X.shape[1]}) K at least 1.")
    return centers


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{name} is {value}, expected a whole number of at least 1.")


def _per_unit(total: Array, weights: Array) -> Array:
    mass = jnp.sum(weights)
    return total / jnp.where(mass > 0, mass, 1)


def _mean(X: Array, weights: Array) -> Array:
    return _per_unit(jnp.matmul(weights, X, precision="highest"), weights)


def _column(n_clusters: int) -> Array:
    return jnp.arange(n_clusters, dtype=jnp.int32)[:, None]


def _distances(X: Array, centers: Array) -> Array:
    """Squared distances as (K, n): a reduction over the clusters is fast along the leading axis."""
    products = jnp.matmul(centers, X.T, precision="highest")
    return jnp.maximum(jnp.sum(X**2, axis=1) - 2 * products + jnp.sum(centers**2, axis=1)[:, None], 0)


def _clear_distances(X: Array, centers: Array) -> Array:
    """Squared distances (K, n), zero where they may be rounding noise: equal points are seen to be equal."""
    found = _distances(X, centers)
    noise = 4 * jnp.finfo(X.dtype).eps * (jnp.sum(X**2, axis=1) + jnp.sum(centers**2, axis=1)[:, None])
    return jnp.where(found > noise, found, 0)


def _nearest(X: Array, centers: Array) -> tuple[Array, Array]:
    """Label of the nearest centre and squared distance to it, both (n,)."""
    # |x|^2 is the same for all centres and joins after the minimum.
    scores = jnp.sum(centers**2, axis=1)[:, None] - 2 * jnp.matmul(centers, X.T, precision="highest")
    gaps = jnp.maximum(jnp.min(scores, axis=0) + jnp.sum(X**2, axis=1), 0)
    return jnp.argmin(scores, axis=0).astype(jnp.int32), gaps


def _chunk_rows(n: int, n_clusters: int, n_features: int) -> int:
    """Rows that `cluster_sums` takes at a time.

    On CPU a chunk is about 4 MB of float32, so that it stays in cache; elsewhere only memory is guarded.
    Large chunks have a multiple of 16 rows (so an odd n gets at least two of them): the vector loops that XLA
    makes for other sizes were measured three to seven times slower.
    """
    most = max((2**20 if jax.default_backend() == "cpu" else 2**28) // (n_clusters + n_features), 1024)
    if n <= most and (n % 16 == 0 or n < 1024):
        return n
    return 16 * math.ceil(n / (16 * max(2, math.ceil(n / most))))


def _fill_empty(X: Array, weights: Array, centers: Array, sums: Array, mass: Array) -> tuple[Array, Array]:
    """Move the farthest points into the clusters without weight; see `lloyd_step` for the rule."""

    def fill(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        empty, sums, mass = carry
        # Tied to the carry, or the compiler hoists the distances as invariant and computes them always.
        points, places, _ = lax.optimization_barrier((X, centers, empty))
        distances = _clear_distances(points, places)
        labels = jnp.argmin(distances, axis=0)
        gaps = jnp.where(weights > 0, jnp.min(distances, axis=0), 0)

        def fill_one(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            empty, gaps, sums, mass = carry
            target, point = jnp.argmax(empty), jnp.argmax(gaps)
            source = labels[point]
            weight = jnp.where(gaps[point] > 0, weights[point], 0)
            sums = sums.at[source].add(-weight * points[point]).at[target].add(weight * points[point])
            mass = mass.at[source].add(-weight).at[target].add(weight)
            gaps = jnp.minimum(gaps, _clear_distances(points, points[point][None])[0])
            return empty.at[target].set(False), gaps, sums, mass

        empty, _, sums, mass = lax.while_loop(lambda carry: carry[0].any(), fill_one, (empty, gaps, sums, mass))
        return empty, sums, mass

    # A loop of at most one turn: under `vmap` it is skipped when no member has an empty cluster, whereas
    # `cond` would always pay for both branches.
    _, sums, mass = lax.while_loop(lambda carry: carry[0].any(), fill, (mass <= 0, sums, mass))
    return sums, mass


def _draw(key: Array, mass: Array, fallback: Array, count: int) -> Array:
    """Draw `count` indices with probability proportional to `mass`, or to `fallback` where that is all zero.

    The inverse of the cumulative distribution, first over blocks, then inside one: no long cumulative sum,
    which would be slow and lose digits, and the same draw whatever is padded behind.
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
    """First index of positive mass whose cumulative mass reaches `level`, and what of `level` is left for it.

    Rounding may put the level beyond the end; the last index of positive mass is meant then.
    """
    cumulative = jnp.where(mass > 0, jnp.cumsum(mass), -1)
    index = jnp.argmax(cumulative >= jnp.minimum(level, jnp.max(cumulative))).astype(jnp.int32)
    return index, level - (cumulative[index] - mass[index])
