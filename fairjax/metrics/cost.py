"""The k-means cost of a clustering, hard or fractional."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from fairjax.errors import InputError
from fairjax.metrics._inputs import as_array, check_ids, check_weights, floating
from fairjax.metrics.counts import segment_totals


def clustering_cost(
    X: ArrayLike,
    labels: ArrayLike | None = None,
    centers: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    probabilities: ArrayLike | None = None,
    n_clusters: int | None = None,
) -> jax.Array:
    """Mean squared Euclidean distance of the points to their centres, per unit of weight.

    (1/W) Σ_i w_i ‖x_i - μ_{label_i}‖², or for a fractional assignment A the expectation (1/W) Σ_i w_i Σ_k
    A_ik ‖x_i - μ_k‖²; W = Σ_i w_i. The "Cost" of the FCA tables, with labels and no centres.

    Parameters
    ----------
    X
        Points, shape (n, d).
    labels
        Cluster of each point, integers 0..n_clusters-1, shape (n,). Either these or `probabilities`.
    centers
        Centres, shape (K, d); by default the weighted mean of each cluster, the cheapest centres possible.
    weights
        Weight of each point, shape (n,), not negative; 1 for all when left out. A point of weight 0 is ignored,
        even if it holds NaN.
    probabilities
        Fractional assignment A, shape (n, K), rows summing to 1.
    n_clusters
        Static number of clusters; needed only for traced `labels` without `centers`.

    Returns
    -------
    Float scalar in squared units of `X`: float64 if that is enabled and given, otherwise float32. NaN if all
    weights are 0.

    Raises
    ------
    InputError
        For shapes that do not match, bad labels or weights, both or neither of `labels` and `probabilities`,
        and a missing size of traced labels.

    Notes
    -----
    Differences are squared directly, never expanded to ‖x‖² - 2x·μ + ‖μ‖²: in float32 the expansion loses the
    digits of a cost that is small beside the norms. O(n·d) work for labels, O(n·K·d) for probabilities.

    Examples
    --------
    >>> from fairjax.metrics import clustering_cost
    >>> X = [[0.0, 0.0], [2.0, 0.0], [5.0, 1.0]]
    >>> round(float(clustering_cost(X, [0, 0, 1])), 4)
    0.6667
    >>> float(clustering_cost(X, [0, 0, 1], centers=[[0.0, 0.0], [5.0, 2.0]], weights=[1, 2, 1]))
    2.25
    """
    points = floating(as_array(X))
    if points.ndim != 2 or points.shape[0] == 0:
        raise InputError(f"X has shape {points.shape}; expected (n, d) with n ≥ 1: a row for each point.")
    n, d = points.shape
    means = None if centers is None else floating(as_array(centers))
    if means is not None and (means.ndim != 2 or means.shape[1] != d or means.shape[0] == 0):
        raise InputError(f"centers has shape {means.shape}; expected (K, {d}): a row for each cluster.")
    mass = check_weights(weights, n)
    mass = jnp.ones(n, points.dtype) if mass is None else mass.astype(jnp.result_type(points, mass))
    if (labels is None) == (probabilities is None):
        raise InputError("expected either labels or probabilities: pass exactly one of them.")
    if labels is not None:
        size = n_clusters if means is None else means.shape[0]
        label_ids, k = check_ids(labels, "labels", size, "n_clusters" if means is None else "len(centers)")
        if label_ids.shape[0] != n:
            raise InputError(f"labels has length {label_ids.shape[0]}; expected {n}: one for each row of X.")
        return _hard_cost(points, label_ids, means, mass, k)
    soft = floating(as_array(probabilities))
    if soft.ndim != 2 or soft.shape[0] != n or (means is not None and soft.shape[1] != means.shape[0]):
        clusters = "K" if means is None else means.shape[0]
        raise InputError(
            f"probabilities has shape {soft.shape}; expected ({n}, {clusters}): "
            "a row for each point, a column for each cluster."
        )
    return _soft_cost(points, soft, means, mass)


# Compiled as a whole, so that the gathered centres are never stored beside the points.
@functools.partial(jax.jit, static_argnames="k")
def _hard_cost(points: jax.Array, labels: jax.Array, centers: jax.Array | None, mass: jax.Array, k: int) -> jax.Array:
    mass = jnp.where((labels >= 0) & (labels < k), mass, 0)
    points = jnp.where(mass[:, None] > 0, points, 0)
    if centers is None:
        centers = _means(
            segment_totals(points * mass[:, None], labels, k),
            segment_totals(mass, labels, k),
        )
    own = centers.at[labels].get(mode="clip")
    squared = jnp.sum((points - own) ** 2, axis=1)
    return jnp.sum(mass * squared) / jnp.sum(mass)


@jax.jit
def _soft_cost(points: jax.Array, probabilities: jax.Array, centers: jax.Array | None, mass: jax.Array) -> jax.Array:
    counted = mass[:, None] > 0
    points = jnp.where(counted, points, 0)
    joint = jnp.where(counted, probabilities * mass[:, None], 0)
    if centers is None:
        centers = _means(jnp.matmul(joint.T, points, precision="highest"), joint.sum(0))

    # One cluster at a time: the (n, K, d) differences would not fit in memory.
    def of_cluster(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        center, share = pair
        squared = jnp.sum((points - center[None, :]) ** 2, axis=1)
        return jnp.sum(share * squared)

    return jnp.sum(lax.map(of_cluster, (centers, joint.T))) / jnp.sum(mass)


def _means(totals: jax.Array, masses: jax.Array) -> jax.Array:
    filled = masses > 0
    return totals / jnp.where(filled, masses, 1)[:, None]
