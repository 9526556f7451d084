"""Starting centres in the aligned space as a pure function: under ``jit`` and ``vmap``, on any device.

The same starts as in :mod:`~fairjax.fca.host_starts`, which the estimators use: samples of every group are matched to
that of the largest group at least squared distance, and k-means runs on the matched points' weighted means (Kim et al.,
ICML 2025, eq. 3). Here the matching is :func:`fairjax.ot.exact` on samples of one fixed size.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax import kmeans, ot
from fairjax._core.checks import check_count
from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax.errors import InputError
from fairjax.kmeans.points import as_weighted_points


@partial(jax.jit, static_argnames=("n_clusters", "n_groups", "n_samples", "n_init"))
def aligned_start(
    key: Array,
    X: ArrayLike,
    groups: ArrayLike,
    n_clusters: int,
    weights: ArrayLike | None = None,
    *,
    n_groups: int,
    n_samples: int = 512,
    n_init: int = 4,
    rows: Rows = IN_ONE_PLACE,
) -> Array:
    """Starting centres for a fair clustering: k-means on matched points, one of each group.

    Parameters
    ----------
    key : Array
        Typed random key, consumed.
    X : (n, d) float
        Points.
    groups : (n,) int
        Ids 0..M-1.
    n_clusters : int
        K, static.
    weights : (n,) float, optional
        Non-negative, all ones by default; points of weight zero, such as padding, are never drawn.
    n_groups : int
        M, static. Groups without weight are ignored.
    n_samples : int
        Points to draw from each group, static; smaller groups are sampled with repetition. At least K of the matched
        means must differ to give K distinct centres.
    n_init : int
        Restarts of k-means, static; the best one is kept.
    rows : fairjax.parallel.Rows
        Inside ``jax.shard_map`` the axis over which rows are spread: X, groups and weights are then a device's own. The
        samples depend on the number of devices.

    Returns
    -------
    (K, d)
        Centres in the dtype of the points.

    Raises
    ------
    InputError
        For invalid shapes or counts.

    Notes
    -----
    O(n M + n log n) to draw, and at most O(M m³) to match m samples of each group. On a CPU ``FCA`` matches with SciPy,
    which needs no compilation; this function is for programs of your own and for batches:
    ``jax.vmap(partial(aligned_start, n_clusters=8, n_groups=2))(keys, X, groups)``.

    Examples
    --------
    Two groups apart: the centre lies between them.

    >>> import jax, jax.numpy as jnp
    >>> from fairjax import fca
    >>> X, groups = jnp.array([[0.0], [1.0], [10.0], [11.0]]), jnp.array([0, 0, 1, 1])
    >>> fca.aligned_start(jax.random.key(0), X, groups, 1, n_groups=2, n_samples=2).ravel().tolist()
    [5.5]
    """
    X, weights = as_weighted_points(X, weights)
    groups = jnp.asarray(groups, jnp.int32)
    if groups.shape != weights.shape:
        raise InputError(f"groups has shape {groups.shape}; expected {weights.shape}, one id per row of X")
    check_count("n_groups", n_groups)
    check_count("n_samples", n_samples)
    drawing, clustering = jax.random.split(key)
    aligned = _aligned(drawing, X, groups, weights, rows, n_groups=n_groups, n_samples=n_samples)
    return kmeans.fit(clustering, aligned, n_clusters, n_init=n_init).centers


def _aligned(
    key: Array, X: Array, groups: Array, weights: Array, rows: Rows, *, n_groups: int, n_samples: int
) -> Array:
    """Weighted means (m, d) of matched points, one of each group."""
    by_order, by_offset = jax.random.split(key)
    n_own = X.shape[0]
    order = jax.random.permutation(rows.own_key(by_order), n_own)
    offsets = jax.random.uniform(by_offset, (n_groups,), X.dtype)
    of_group = weights[order] * (groups[order] == jnp.arange(n_groups)[:, None])
    masses = rows.sum(jnp.sum(of_group, 1))
    devices, places = jax.vmap(partial(_systematic, n_samples=n_samples, rows=rows))(of_group, offsets)
    numbers = rows.number(devices, order[places], n_own)
    drawn = rows.at(numbers.ravel(), lambda own: X[jnp.minimum(own, n_own - 1)], n_own)
    drawn = drawn.reshape(*numbers.shape, -1)
    largest, *others = jnp.argsort(-masses)
    base = drawn[largest]
    means = masses[largest] * base
    if others:
        other = drawn[jnp.stack(others)]
        middle = jnp.mean(base, 0)  # values far from 0 would lose their digits
        costs = jax.vmap(kmeans.squared_distances, (None, 0))(base - middle, other - middle)
        matching = ot.exact(costs).plan * n_samples
        matched = jnp.matmul(matching, other, precision=jax.lax.Precision.HIGHEST)
        means += jnp.sum(masses[jnp.stack(others)][:, None, None] * matched, 0)
    return means / jnp.sum(masses)


def _systematic(weights: Array, offset: Array, *, n_samples: int, rows: Rows) -> tuple[Array, Array]:
    """Rows drawn at equal steps of weight, each as often as its weight implies, to within one draw.

    Returns the devices (m,) that have them, and their places (m,) there, which only these devices know.
    """
    until = jnp.cumsum(weights)
    after = jnp.cumsum(rows.gather(until[-1:]))  # each device
    marks = (jnp.arange(n_samples) + offset) / n_samples * after[-1]
    device = _reached(after, marks)
    before = jnp.where(device > 0, after[device - 1], 0)
    return device, _reached(until, marks - before)


def _reached(until: Array, marks: Array) -> Array:
    """Places (m,) where running sums (n,) pass the marks (m,), at most the last that adds to them."""
    last = jnp.searchsorted(until, until[-1], side="left")
    return jnp.minimum(jnp.searchsorted(until, marks, side="right"), last).astype(jnp.int32)
