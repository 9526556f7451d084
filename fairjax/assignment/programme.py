"""Fair assignment as a linear programme in a form that an interior-point method can start from.

Rows are points, each spread over the clusters by fractions that sum to 1. The counts of a group, as shares of the
group, follow from its rows,

    q_sk = placed_sk + Σ_{i in s} shares_i signs_i fractions_ik,

and the control bounds them by the *level* t_k of a cluster: lower_s t_k ≤ q_sk ≤ upper_s t_k, or q_sk = slope_s t_k
for a group without room. For shares the level is the cluster's whole count, otherwise it is free.

The additive gap ε becomes rows too: each group may add ε/4 of itself to its counts and take as much off them, spread
over the clusters at will. That is one row of each sign in every group, at no cost; of no weight under a balance.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.assignment.controls import Control


class Points(NamedTuple):
    """An assignment problem in which some points are already placed.

    Attributes
    ----------
    costs : (m, K)
        Cost of each open point in each cluster, any offset per point.
    groups : (m,) int
        Group of each open point.
    weights : (m,)
        Share of the whole weight; 0 for padding.
    placed : (M, K)
        Counts of the points that are not open; below zero where open points stand for too many others.
    masses : (M,)
        Share of each group in the whole, open and placed points together.
    offset : ()
        Cost that no price changes: the placed points', and what was subtracted from the open points' rows.
    present : (K,) bool
        The clusters that exist; the others only pad the shape. None if all exist.
    """

    costs: Array
    groups: Array
    weights: Array
    placed: Array
    masses: Array
    offset: Array
    present: Array | None = None


class Programme(NamedTuple):
    """The programme; m rows, K clusters, M groups. Rows of share 0 are padding.

    Attributes
    ----------
    costs : (K, m)
        Extra cost of each row over its cheapest cluster.
    shares : (m,)
        Shares of the row's group.
    signs : (m,)
        With which the row counts.
    members : (M, m)
        1 where the row belongs to the group, else 0.
    placed : (M, K)
        Shares of each group that are placed.
    masses : (M,)
        Masses of the groups.
    limits : (2, M, 1)
        Lower and upper bounds of the counts per level.
    slopes : (M, 1)
        Slopes of groups without room.
    roomy : (M, 1) bool
        The groups with room. These are (2, 1, K) and (1, K) for bounds on ``counts``, whose levels stay even.
    offset : ()
        Cost outside the programme.
    """

    costs: Array
    shares: Array
    signs: Array
    members: Array
    placed: Array
    masses: Array
    limits: Array
    slopes: Array
    roomy: Array
    offset: Array

    @property
    def room(self) -> Array:
        """(M, 1), how far the bounds are apart."""
        return self.limits[1] - self.limits[0]


class Anchor(NamedTuple):
    """Where points were placed: at prices (M, K), each with a margin of at least ``radius`` ()."""

    prices: Array
    radius: Array


def with_placed(points: Points, anchor: Anchor) -> Points:
    """The problem in which the placed points of each group and cluster may leave it together, as one more open point.

    Each of them pays at least ``radius`` for any other cluster, and this joint point pays just that. So the programme
    always has a solution, and its dual is a lower bound on the dual for all points that touches it at the anchor. The
    optimal prices are at least as good as the anchor's, and optimal for all points if no joint point moves.
    """
    n_groups, n_clusters = points.placed.shape
    own = jnp.tile(jnp.eye(n_clusters, dtype=bool), (n_groups, 1))
    prices = jnp.repeat(anchor.prices, n_clusters, 0)
    at_own = anchor.prices.reshape(-1, 1)
    costs = jnp.where(own, 0, anchor.radius + at_own - prices)
    # an infinite radius: no placed points that could move
    costs = jnp.where(jnp.isfinite(costs), costs, 0)
    groups = jnp.repeat(jnp.arange(n_groups, dtype=points.groups.dtype), n_clusters)
    return Points(
        jnp.concatenate([points.costs, costs]),
        jnp.concatenate([points.groups, groups]),
        jnp.concatenate([points.weights, jnp.maximum(points.placed, 0).reshape(-1)]),
        jnp.minimum(points.placed, 0),
        points.masses,
        points.offset,
        points.present,
    )


def only_present(points: Points) -> Points:
    """The problem with absent clusters dearer to every point than all others, so that no solution uses them.

    A fair solution could move what it has there to any other cluster, as fairly and at less cost. Unlike an infinite
    cost, one just above the others leaves the programme an interior.
    """
    if points.present is None:
        return points
    dearest = jnp.max(jnp.where(points.present, points.costs, -jnp.inf), -1, keepdims=True)
    cheapest = jnp.min(jnp.where(points.present, points.costs, jnp.inf), -1, keepdims=True)
    range_ = dearest - cheapest
    beyond = range_ + jnp.sum(points.weights[:, None] * range_) / jnp.sum(points.weights)
    return points._replace(costs=jnp.where(points.present, points.costs, dearest + beyond))


def programme(points: Points, control: Control) -> Programme:
    """The programme of ``points`` under ``control``; the first m rows are the points."""
    n_groups, n_clusters = points.placed.shape
    dtype = points.costs.dtype
    present = points.masses > 0
    masses = jnp.where(present, points.masses, 1)
    members = (points.groups == jnp.arange(n_groups)[:, None]).astype(dtype)
    lowest = jnp.min(points.costs, 1)
    costs = (points.costs - lowest[:, None]).T
    shares = points.weights / masses[points.groups]
    signs = jnp.ones_like(shares)
    roomy = _by_cluster(control.lower != control.upper) & present[:, None]
    if control.kind == "profile":
        room = jnp.where(present, control.epsilon / 4, 0)
        costs = jnp.concatenate([costs, jnp.zeros((n_clusters, 2 * n_groups), dtype)], 1)
        shares = jnp.concatenate([shares, room, room])
        signs = jnp.concatenate([signs, -jnp.ones((n_groups,), dtype), jnp.ones((n_groups,), dtype)])
        own = jnp.eye(n_groups, dtype=dtype)
        members = jnp.concatenate([members, own, own], 1)
        roomy &= ~control.additive
    limits = jnp.stack([_by_cluster(control.lower), _by_cluster(control.upper)]) / masses[:, None]
    return Programme(
        costs,
        shares,
        signs,
        members,
        points.placed / masses[:, None],
        points.masses,
        limits,
        jnp.where(present[:, None] & ~roomy, limits[0], 0),
        roomy,
        points.offset + jnp.sum(points.weights * lowest),
    )


def _by_cluster(values: Array) -> Array:
    """What a control says about groups, (M, 1), or about groups in clusters, (M, K)."""
    return values[:, None] if values.ndim == 1 else values


def group_sums(values: Array, groups: Array, n_groups: int) -> Array:
    """Sums (M, K) of rows (m, K) by group, block by block: one long running sum would lose digits."""
    block = 512
    padding = -values.shape[0] % block
    member = (groups[:, None] == jnp.arange(n_groups)).astype(values.dtype)
    member = jnp.pad(member, ((0, padding), (0, 0))).reshape(-1, block, n_groups)
    values = jnp.pad(values, ((0, padding), (0, 0))).reshape(-1, block, values.shape[1])
    blocks = jax.lax.dot_general(member, values, (((1,), (1,)), ((0,), (0,))), precision=jax.lax.Precision.HIGHEST)
    return jnp.sum(blocks, 0)
