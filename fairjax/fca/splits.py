"""How to split clusters so that each half is as fair as the whole, and the saving that is guaranteed.

A cluster is halved at every group's own median of a projection: each half then holds half of each group, so that any
bounds on the groups' proportions still hold. For a point y of the cluster and a unit direction v, let p = v·(y − mean
of its group in the cluster). Along v, the halves' means lie at least t = E|p| / 2 from the cluster's mean, on either
side: they are as far from it as the mean absolute deviation about the medians, which is at least half that about the
means. Centres at ± t v therefore save at least m t² for a cluster of weight m, and iterating from there saves more.
Such a split exists in every cluster where some group has points that differ.

The direction is roughly that of greatest spread within the groups: a few steps of the power method, each a pass over
the points.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.block_sums import block_sums
from fairjax.fca.points import GroupedPoints

_STEPS = 3  # of the power method
_HIGHEST = jax.lax.Precision.HIGHEST


class Splits(NamedTuple):
    """The best split found for each cluster.

    Attributes
    ----------
    centers : (K, d)
        Means of the clusters, relative to ``points.mean``; a cluster without points keeps its centre.
    offsets : (K, d)
        The halves' centres lie at ± these.
    gains : (K,)
        By how much the cost falls at least; 0 if there is nothing to split.
    masses : (K,)
        Weight.
    """

    centers: Array
    offsets: Array
    gains: Array
    masses: Array


def splits(points: GroupedPoints, centers: Array, labels: Array) -> Splits:
    """Fair splits of the clusters that ``labels`` (n',) name; ``centers`` (K, d) relative to ``points.mean``.

    O(n K M d) for five passes over the points, a block at a time.

    Examples
    --------
    One cluster of two groups, which lie apart along the first axis and are spread along the second:

    >>> import jax.numpy as jnp
    >>> from fairjax import fca
    >>> X = jnp.array([[0.0, -1.0], [0.0, 1.0], [9.0, -1.0], [9.0, 1.0]])
    >>> points = fca.prepare(X, jnp.array([0, 0, 1, 1]), n_groups=2)
    >>> found = splits(points, jnp.zeros((1, 2)), jnp.zeros(4, int))
    >>> abs(found.offsets).tolist(), found.gains.tolist()
    ([[0.0, 0.5]], [0.25])
    """
    n_clusters, n_features = centers.shape
    n_groups = points.masses.shape[0]
    n_blocks, _, block = points.features.shape
    dtype = points.features.dtype
    cells = jnp.arange(n_clusters * n_groups, dtype=jnp.int32)[:, None]
    by_block = (points.features, *(leaf.reshape(n_blocks, block) for leaf in (points.groups, points.weights, labels)))

    def total(part: Callable[[Array, Array, Array], Any], like: Any) -> Any:
        """Sum ``part`` of the points relative to their centres, their cells and weights over the blocks."""

        def of_block(xs: tuple[Array, ...]) -> Any:
            features, groups, weights, labels = xs
            members = (labels * n_groups + groups == cells).astype(dtype)
            own = jnp.repeat(centers, n_groups, 0)
            about = features - jnp.matmul(own.T, members, precision=_HIGHEST)
            return part(about, members, weights)

        return points.spread.sum(block_sums(of_block, by_block, like, centers, n_used=points.n_used))

    def moments(about: Array, members: Array, weights: Array) -> tuple[Array, Array, Array]:
        heavy = members * weights
        return (
            jnp.sum(heavy, 1),
            jnp.matmul(heavy, about.T, precision=_HIGHEST),
            jnp.matmul(heavy, jnp.square(about).T, precision=_HIGHEST),
        )

    none = jnp.zeros((n_clusters * n_groups, n_features), dtype)
    mass, sums, squares = total(moments, (none[:, 0], none, none))
    means = sums / jnp.where(mass > 0, mass, 1)[:, None]

    def whole(of_cells: Array) -> Array:
        return jnp.sum(of_cells.reshape(n_clusters, n_groups, -1), 1)

    def along(directions: Array) -> tuple[Array, Array]:
        """Within-group scatter times the direction, and mean absolute projection, of each cluster."""

        def part(about: Array, members: Array, weights: Array) -> tuple[Array, Array]:
            within = about - jnp.matmul(means.T, members, precision=_HIGHEST)
            own = jnp.matmul(jnp.repeat(directions, n_groups, 0).T, members, precision=_HIGHEST)
            projected = weights * jnp.sum(own * within, 0)
            return (
                jnp.matmul(members * projected, within.T, precision=_HIGHEST),
                jnp.matmul(members, jnp.abs(projected), precision=_HIGHEST),
            )

        scatter, deviation = total(part, (none, none[:, 0]))
        return whole(scatter), whole(deviation)[:, 0]

    masses = whole(mass)[:, 0]
    spread = whole(jnp.maximum(squares - sums * means, 0))
    first = jax.nn.one_hot(jnp.argmax(spread, 1), n_features, dtype=dtype)
    last = jax.lax.fori_loop(0, _STEPS, lambda _, found: _unit(along(found)[0], found), first)
    reach = along(last)[1] / jnp.where(masses > 0, 2 * masses, 1)
    middle = centers + whole(sums) / jnp.where(masses > 0, masses, 1)[:, None]
    return Splits(middle, reach[:, None] * last, masses * jnp.square(reach), masses)


def _unit(vectors: Array, otherwise: Array) -> Array:
    """Rows scaled to length 1; ``otherwise`` where one is zero."""
    # first by its largest entry, so that no square overflows
    largest = jnp.max(jnp.abs(vectors), 1, keepdims=True)
    vectors = vectors / jnp.where(largest > 0, largest, 1)
    length = jnp.sqrt(jnp.sum(jnp.square(vectors), 1, keepdims=True))
    return jnp.where(largest > 0, vectors / jnp.where(largest > 0, length, 1), otherwise)


def lost(centers: Array, masses: Array, variance: Array) -> Array:
    """(K,) whether a cluster has no weight, or the same centre (K, d) as an earlier one, and so may be moved."""
    between = jnp.sum(jnp.square(centers[:, None] - centers), -1)
    noise = jnp.square(4 * jnp.finfo(between.dtype).eps) * variance
    earlier = jnp.tril(jnp.ones(between.shape, bool), -1) & (masses > 0)
    return (masses <= 0) | jnp.any(earlier & (between <= noise), 1)


def worth_it(gain: Array, cost: Array, variance: Array) -> Array:
    """Whether a gain exceeds the rounding noise of the cost and of the points."""
    eps = jnp.finfo(gain.dtype).eps
    return gain > eps * cost + jnp.square(16 * eps) * variance


def refilled(found: Splits, useless: Array) -> tuple[Array, Array, Array]:
    """Centres (K, d) after splitting the clusters of greatest gain; the second halves replace ``useless`` (K,) ones.

    Each is split only once, so that some stay useless if there are many.

    Returns
    -------
    centers : (K, d). parents : (K,) int32, the cluster that each is part of: itself, unless it was moved.
    gain : () by how much the cost falls at least.
    """
    n_clusters = useless.shape[0]
    gains = jnp.where(useless, 0, found.gains)
    order = jnp.argsort(-gains)
    rank = jnp.cumsum(useless) - 1
    of_each = order[jnp.clip(rank, 0, n_clusters - 1)]
    moved = useless & (gains[of_each] > 0)
    own = jnp.arange(n_clusters)
    parents = jnp.where(moved, of_each, own).astype(jnp.int32)
    # the offset of places that are not moved is dropped
    split = jnp.zeros((n_clusters,), bool).at[jnp.where(moved, parents, n_clusters)].set(True, mode="drop")
    side = jnp.where(moved, -1, jnp.where(split, 1, 0)).astype(found.offsets.dtype)
    centers = found.centers[parents] + side[:, None] * found.offsets[parents]
    return centers, parents, jnp.sum(jnp.where(split, gains, 0))
