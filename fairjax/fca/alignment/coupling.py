"""Couplings of the groups, and what they imply for clusters: aligned points, assignments by eq. (6), centre sums.

A *sparse* coupling lists tuples, one point of each group, with their masses, as basic plans give them. Every tuple
belongs to the cluster that is cheapest for all of its points together, the centre nearest to its aligned point
t = Σ_s π_s x_s. Since all groups share the tuples, they have the same proportions over the clusters: perfect fairness,
whatever the clusters are. A *dense* coupling keeps the whole plan of two groups, since Sinkhorn's plans have no zeros.

``assign`` gives the assignment of eq. (6) in Kim et al. (ICML 2025) as masses (n, K). k-means steps on the aligned
points need nothing else: the mean of a cluster's aligned points is the mean of all its points under those masses.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.block_sums import block_sums
from fairjax.fca.alignment.joint_cost import min_plus_argument
from fairjax.fca.alignment.partition import Block
from fairjax.ot import Support

_HIGHEST = jax.lax.Precision.HIGHEST


class Tuples(NamedTuple):
    """Sparse coupling, block by block.

    Attributes
    ----------
    points : (B, E, S) int32
        Ids of the points in each tuple, one of each of the S groups; n as padding.
    mass : (B, E)
        Sums to 1 over everything; 0 for padding.
    released : (B, E) bool
        Tuples in the set W of FCA-C, whose points go to their own nearest centres.
    """

    points: Array
    mass: Array
    released: Array


class Pairs(NamedTuple):
    """Dense coupling of two groups, block by block.

    Attributes
    ----------
    left, right : (B, n), (B, m) int32
        Ids of the points; the number of all points as padding.
    plan : (B, n, m)
        Sums to 1.
    """

    left: Array
    right: Array
    plan: Array


def alone(block: Block) -> Tuples:
    """The first group by itself: tuples of one point."""
    return Tuples(block.points[..., None], block.masses, jnp.zeros(block.points.shape, bool))


def fold(tuples: Tuples, block: Block, entries: Support, released: Array | None) -> Tuples:
    """Tuples joined with a further group along the entries of basic plans.

    Parameters
    ----------
    entries : (B, E')
        Entries of the plans, from tuples to the points of ``block``.
    released : (B, E, R) bool
        Pairs that FCA-C releases, or None.
    """
    rows, cols, mass = entries
    rows = jnp.minimum(rows, tuples.mass.shape[1] - 1)
    cols = jnp.minimum(cols, block.masses.shape[1] - 1)
    joined = jnp.concatenate(
        [
            jnp.take_along_axis(tuples.points, rows[..., None], 1),
            jnp.take_along_axis(block.points, cols, 1)[..., None],
        ],
        -1,
    )
    free = jnp.zeros(mass.shape, bool) if released is None else jax.vmap(lambda w, i, j: w[i, j])(released, rows, cols)
    return Tuples(joined, mass, free & (mass > 0))


def assign(coupling: Tuples | Pairs, distances: Array, shares: Array) -> Array:
    """Assignment by eq. (6) as masses.

    Parameters
    ----------
    distances : (n, K)
        Squared distances of all points to the centres.
    shares : (n,)
        π of each point's group.

    Returns
    -------
    (n, K) mass of each point in each cluster; sums to 1 over each group, so all groups have the same column sums.
    Ties go to the lowest cluster. O(B E S K), for dense couplings O(n0 n1 K / B).
    """
    if isinstance(coupling, Pairs):
        return _assign_pairs(coupling, distances, shares)
    n_points, n_clusters = distances.shape
    inside = jnp.minimum(coupling.points, n_points - 1)
    together = jnp.sum(distances[inside] * shares[inside][..., None], -2)
    common = jnp.argmin(together, -1).astype(jnp.int32)
    nearest = jnp.argmin(distances, -1).astype(jnp.int32)
    label = jnp.where(coupling.released[..., None], nearest[inside], common[..., None])
    mass = jnp.broadcast_to(coupling.mass[..., None], label.shape)
    return jnp.zeros((n_points, n_clusters), distances.dtype).at[coupling.points, label].add(mass, mode="drop")


def complete(masses: Array, wanted: Array) -> Array:
    """Masses (n, K) with what plans left out: it is spread over the clusters like the rest, so the groups stay alike.

    Parameters
    ----------
    masses : (n, K)
        From :func:`assign`.
    wanted : (n,)
        Mass of each point; differences within rounding are ignored.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> complete(jnp.array([[0.25, 0.0], [0.0, 0.25], [0.0, 0.0]]), jnp.array([0.25, 0.25, 0.5])).tolist()
    [[0.25, 0.0], [0.0, 0.25], [0.25, 0.25]]
    """
    missing = wanted - jnp.sum(masses, 1)
    missing = jnp.where(missing > jnp.sqrt(jnp.finfo(masses.dtype).eps) * wanted, missing, 0)
    # equal in all clusters if nothing was placed
    counts = jnp.sum(masses, 0) + jnp.finfo(masses.dtype).tiny
    return masses + missing[:, None] * (counts / jnp.sum(counts))


def _assign_pairs(coupling: Pairs, distances: Array, shares: Array) -> Array:
    n_points, n_clusters = distances.shape
    weighted = distances * shares[:, None]

    def one_block(pairs: Pairs) -> tuple[Array, Array]:
        inside = jnp.minimum(pairs.left, n_points - 1), jnp.minimum(pairs.right, n_points - 1)
        label = min_plus_argument(weighted[inside[0]], weighted[inside[1]])

        def one_cluster(k: Array) -> tuple[Array, Array]:
            held = jnp.where(label == k, pairs.plan, 0)
            return jnp.sum(held, 1), jnp.sum(held, 0)

        left, right = jax.lax.map(one_cluster, jnp.arange(n_clusters))
        return left.T, right.T

    left, right = jax.lax.map(one_block, coupling)
    masses = jnp.zeros((n_points, n_clusters), distances.dtype)
    return masses.at[coupling.left].add(left, mode="drop").at[coupling.right].add(right, mode="drop")


def aligned_points(tuples: Tuples, X: Array, shares: Array) -> Array:
    """Aligned points t = Σ_s π_s x_s (B, E, d) of the tuples; for only some of the groups, weighted means."""
    inside = jnp.minimum(tuples.points, X.shape[0] - 1)
    weights = shares[inside][..., None]
    return jnp.sum(X[inside] * weights, -2) / jnp.sum(weights, -2)


def spread(coupling: Tuples | Pairs, X: Array, shares: Array) -> Array:
    """Spread within the aligned points: Σ mass Σ_s π_s‖x_s − t‖² = Σ mass Σ_{s<r} π_sπ_r‖x_s − x_r‖².

    Released tuples are left out, since pairs in W cost no transport. O(B E S d), for dense couplings O(n0 n1 d / B) in
    one product.
    """
    if isinstance(coupling, Pairs):
        return _spread_pairs(coupling, X, shares)
    inside = jnp.minimum(coupling.points, X.shape[0] - 1)
    apart = jnp.sum(jnp.square(X[inside] - aligned_points(coupling, X, shares)[..., None, :]), -1)
    each = jnp.sum(apart * shares[inside], -1)
    return jnp.sum(jnp.where(coupling.released, 0, coupling.mass) * each)


def _spread_pairs(coupling: Pairs, X: Array, shares: Array) -> Array:
    n_points = X.shape[0]

    def of_block(pairs: Pairs) -> Array:
        left, right = jnp.minimum(pairs.left, n_points - 1), jnp.minimum(pairs.right, n_points - 1)
        x, y = X[left], X[right]
        squares = jnp.sum(jnp.square(x).sum(-1) * jnp.sum(pairs.plan, 1))
        squares += jnp.sum(jnp.square(y).sum(-1) * jnp.sum(pairs.plan, 0))
        moved = jnp.matmul(pairs.plan, y, precision=_HIGHEST)
        return shares[left[0]] * shares[right[0]] * (squares - 2 * jnp.sum(x * moved))

    return jnp.maximum(block_sums(of_block, coupling, jnp.zeros((), X.dtype)), 0)
