"""Which cluster of one group is which of another: found by the distances between clusters, not by where they are.

Where groups look different as a whole, as an image and its reversal do, the clusters of each group alone are far from
those of the other, and yet lie to each other in the same way. So each group is clustered alone, by any method, and its
clusters are numbered such that their mutual distances agree best: a quadratic assignment problem (Koopmans, Beckmann,
1957) of K clusters, solved by swaps from many starts. Then a fair assignment with centres of each group's own makes the
labels exactly fair.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array, lax

from fairjax._core import group_codes
from fairjax.deep.methods.alone import checked_labels, cluster_alone
from fairjax.deep.training.streams import prepare
from fairjax.errors import InputError

__all__ = [
    "MatchedGroups",
    "cluster_distances",
    "match_clusters",
    "match_groups",
    "matched_by_kmeans",
    "misfits_of_halves",
    "own_costs",
]


class MatchedGroups(NamedTuple):
    """Clusters of several groups under common numbers.

    Attributes
    ----------
    labels : ndarray (N,), int32
        Those of the largest group as they were, numbered from 0 on, and those of the others after them.
    centers : ndarray (T, K, D)
        Mean of each group's rows in each cluster.
    misfits : ndarray (T,)
        Mean squared difference of a group's distances between clusters from those of the largest group, each in units
        of their mean: near 0 where the groups have the same structure.
    groups : ndarray (N,), int32
        Number of each row's group, for the first axis of `centers`.
    """

    labels: Any
    centers: Any
    misfits: Any
    groups: Any


def cluster_distances(centers: Array) -> Array:
    """Squared distances (K, K) between centres (K, D), in units of their mean; zero if all are in one place."""
    squared = jnp.sum((centers[:, None] - centers) ** 2, axis=-1)
    mean = jnp.mean(squared)
    return squared / jnp.where(mean > 0, mean, 1)


@partial(jax.jit, static_argnames="n_starts")
def match_clusters(key: Array, first: Array, second: Array, *, n_starts: int = 100) -> tuple[Array, Array]:
    """Order of the second group's clusters in which their distances are most like the first's.

    Parameters
    ----------
    key : typed random key
        Of the starts, consumed.
    first, second : Array (K, K)
        Symmetric, with zeros on the diagonal, as from `cluster_distances`.
    n_starts : int
        Random orders to start from, static; from each the best swap of two is made until none helps.

    Returns
    -------
    order : Array (K,), int32
        The cluster of the second group that is number k of the first.
    misfit : Array ()
        Mean squared difference of the distances under it. O(n_starts K³) for each of some K swaps. A local optimum of
        all starts; the problem is NP-hard.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> places = jnp.array([[0.0], [1.0], [3.0], [7.0]])
    >>> other = 5 - places[jnp.array([2, 0, 3, 1])]
    >>> order, misfit = match_clusters(jax.random.key(0), cluster_distances(places), cluster_distances(other))
    >>> order.tolist(), round(float(misfit), 6)
    ([1, 3, 0, 2], 0.0)
    """
    n = len(first)
    # a gain below it is rounding, and might be taken back and forth for ever
    least = 32 * n * jnp.finfo(first.dtype).eps * jnp.max(jnp.abs(first)) * jnp.max(jnp.abs(second))

    def swap(state: tuple[Array, Array]) -> tuple[Array, Array]:
        order, _ = state
        other = second[order][:, order]
        products = jnp.matmul(first, other, precision="highest")
        own = jnp.diag(products)
        gains = products + products.T - own[:, None] - own + 2 * first * other
        best = jnp.argmax(gains)
        pair = jnp.stack([best // n, best % n])
        better = gains.reshape(-1)[best] > least
        return jnp.where(better, order.at[pair].set(order[pair[::-1]]), order), better

    def descend(key: Array) -> tuple[Array, Array]:
        start = (jax.random.permutation(key, n), jnp.ones((), bool))
        order, _ = lax.while_loop(lambda state: state[1], swap, start)
        return order, jnp.mean((first - second[order][:, order]) ** 2)

    orders, misfits = jax.vmap(descend)(jax.random.split(key, n_starts))
    best = jnp.argmin(misfits)
    return orders[best].astype(jnp.int32), misfits[best]


def match_groups(
    X: Any, labels: Any, *, sensitive_features: Any, n_starts: int = 100, random_state: int = 0
) -> MatchedGroups:
    """Number the clusters of each group such that equal numbers mean the same in all groups.

    Parameters
    ----------
    X : array-like (N, ...)
        Rows in which the clusters' means are compared: data, or latent rows.
    labels : array-like (N,) of whole numbers
        Clusters of the rows, each group clustered alone by any method into the same number K.
    sensitive_features : array-like (N,)
    n_starts : int
        As for `match_clusters`.
    random_state : int

    Returns
    -------
    MatchedGroups
        ``fairjax.fair_assignment(own_costs(X, found), found.groups)`` then makes labels exactly fair.

    Raises
    ------
    InputError
        For labels of another length or below 0, or a group that has another number of clusters.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax import fair_assignment
    >>> places = np.array([[0.0], [1.0], [3.0], [7.0]])
    >>> X = np.concatenate([places, 10 - places]).repeat(5, axis=0)
    >>> digits = np.tile(np.arange(4), 2).repeat(5)
    >>> apart = np.concatenate([digits[:20], 3 - digits[20:]])
    >>> found = match_groups(X, apart, sensitive_features=np.repeat(["a", "b"], 20))
    >>> bool((found.labels == digits).all())
    True
    >>> fair = fair_assignment(own_costs(X, found), found.groups)
    >>> bool((fair.labels == digits).all())
    True
    """
    rows = np.asarray(X).reshape(len(X), -1)
    codes, known = group_codes.encode(sensitive_features, len(rows))
    names = [group_codes.name_of(value) for value in known]
    found = checked_labels(labels, len(rows), "labels")
    sizes = np.bincount(codes, minlength=len(known))
    first = int(np.argmax(sizes))
    own = [np.unique(found[codes == group], return_inverse=True) for group in range(len(known))]
    n_clusters = len(own[first][0])
    centers = np.zeros((len(known), n_clusters, rows.shape[1]), np.result_type(rows.dtype, np.float32))
    numbers = np.zeros(len(rows), np.int32)
    for group, (values, inverse) in enumerate(own):
        if len(values) != n_clusters:
            raise InputError(
                f"the group {names[group]} has {len(values)} clusters and {names[first]} {n_clusters}; cluster every "
                "group into the same number"
            )
        numbers[codes == group] = inverse
        members = np.eye(n_clusters, dtype=centers.dtype)[inverse]
        centers[group] = members.T @ rows[codes == group] / members.sum(0)[:, None]
    distances = [cluster_distances(jnp.asarray(each)) for each in centers]
    misfits = np.zeros(len(known))
    for group in range(len(known)):
        if group == first:
            continue
        key = jax.random.fold_in(jax.random.key(random_state), group)
        order, misfit = match_clusters(key, distances[first], distances[group], n_starts=n_starts)
        misfits[group] = float(misfit)
        centers[group] = centers[group][np.asarray(order)]
        numbers[codes == group] = np.argsort(np.asarray(order))[numbers[codes == group]]
    return MatchedGroups(numbers, centers, misfits, codes)


def matched_by_kmeans(key: Array, X: Any, groups: Any, n_clusters: int, *, n_init: int = 10) -> MatchedGroups:
    """Each group clustered alone by k-means, and the clusters matched.

    Parameters
    ----------
    key : typed random key
        Consumed.
    X : array (N, ...), floating
    groups : array (N,), int32
        Ids from 0 on.
    n_clusters : int
    n_init : int
        Restarts of k-means.

    Raises
    ------
    InputError
        If a group has fewer rows than there are clusters, or a cluster of it ended without rows.
    """
    rows = np.asarray(X).reshape(len(X), -1)
    data = prepare(rows, groups)
    smallest = int(np.min(np.asarray(data.sizes)))
    if smallest < n_clusters:
        raise InputError(
            f"the smallest group has {smallest} rows, fewer than n_clusters={n_clusters}: it cannot be clustered "
            "alone; ask for fewer clusters"
        )
    fit_key, match_key = jax.random.split(key)
    labels = cluster_alone(fit_key, data.x, data, n_clusters, n_init)
    seed = int(jax.random.randint(match_key, (), 0, np.iinfo(np.int32).max))
    return match_groups(rows, labels, sensitive_features=groups, random_state=seed)


def misfits_of_halves(key: Array, X: Any, groups: Any, n_clusters: int, *, n_init: int = 10) -> npt.NDArray[np.float64]:
    """What two halves of one group differ by, each clustered alone by k-means and the clusters matched.

    Halves of a group have the same structure: their misfit is that of chance and of k-means alone, and so a measure of
    what two groups may differ by.

    Parameters
    ----------
    key, X, groups, n_clusters, n_init
        As for `matched_by_kmeans`.

    Returns
    -------
    ndarray (T,)
        NaN for a group of fewer than 2 K rows.
    """
    rows, codes = np.asarray(X).reshape(len(X), -1), np.asarray(groups)
    split_key, fit_key, match_key = jax.random.split(key, 3)
    half = np.zeros(len(rows), np.int32)
    order = np.asarray(jax.random.permutation(split_key, len(rows)))
    for group in range(int(codes.max()) + 1):
        half[order[codes[order] == group][1::2]] = 1
    data = prepare(rows, 2 * codes + half)
    found = np.full(data.n_groups // 2, np.nan)
    enough = np.asarray(data.sizes).reshape(-1, 2).min(1) >= n_clusters
    if not enough.any():
        return found
    labels = np.asarray(cluster_alone(fit_key, data.x, data, n_clusters, n_init))
    for group in np.flatnonzero(enough).tolist():
        distances = []
        for side in range(2):
            own = (codes == group) & (half == side)
            members = np.eye(n_clusters)[labels[own]]
            means = members.T @ rows[own] / np.maximum(members.sum(0), 1)[:, None]
            distances.append(cluster_distances(jnp.asarray(means, rows.dtype)))
        found[group] = float(match_clusters(jax.random.fold_in(match_key, group), *distances)[1])
    return found


def own_costs(X: Any, matched: MatchedGroups) -> Array:
    """Squared distance (N, K) of each row to its own group's centre of every cluster, for `fairjax.fair_assignment`."""
    rows, groups = jnp.asarray(X).reshape(len(X), -1), jnp.asarray(matched.groups)
    columns = [jnp.sum((rows - each[groups]) ** 2, axis=1) for each in jnp.swapaxes(jnp.asarray(matched.centers), 0, 1)]
    return jnp.stack(columns, axis=1)
