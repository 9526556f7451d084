"""The linear system of one interior-point step: prices of groups in clusters, coupled by the fairness control.

Eliminating everything that belongs to one row of the programme leaves, for the change of the prices, one graph
Laplacian for each group: two clusters are linked as strongly as there are points that may change between them. The
control ties the groups together. Its coupling has the form Σ_s a_sk x_sk − κ_k v_k = r_k in every cluster, v_k the
change of the cluster's level; it is solved for the entry with the largest coefficient, the *hub* of the cluster. What
is left is symmetric and positive definite.

Prices of groups that the control leaves no room may be shifted by a constant without any effect; these directions, and
a common one if no group has room, get a stiffness of their own.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._precision import first_least, product
from fairjax.assignment.programme import Programme


class System(NamedTuple):
    """A factorised step; S is the number of groups, one more for ``shares``, whose total is bounded like a group.

    Attributes
    ----------
    links : (M, K, K) strength, within a group, of the link between two clusters.
    give : (S, K) by how much a count yields to its price where the control leaves room, weighted by the group's mass.
    couplings : (S, K) coefficients a of the coupling. bend : (K,) its κ.
    hub : (S, K) bool. ratio : (S, K) couplings divided by that of the hub, 0 at the hub itself.
    free : (S, K) bool, the unknowns. idle : (S, K) stiffness of constant shifts. stiffness : (S, K) of the hubs.
    factor : (S K, S K) inverse of the lower factor of the matrix scaled by ``scale`` (S, K); pivots : (S K,).
    """

    links: Array
    give: Array
    couplings: Array
    bend: Array
    hub: Array
    ratio: Array
    free: Array
    idle: Array
    stiffness: Array
    scale: Array
    factor: Array
    pivots: Array


class Change(NamedTuple):
    """Change of the prices in the control (S, K) and of the clusters' levels (K,)."""

    prices: Array
    level: Array


def eliminate(matrix: Array) -> tuple[Array, Array]:
    """Inverse (n, n) of the unit lower factor L of a symmetric positive definite matrix L D L', and the pivots D (n,).

    Plain array operations in one loop: no call into a linear-algebra library, whose batched calls may wait for each
    other for ever on a CPU with few threads, and whose latency on an accelerator is larger than the work.
    """
    n = matrix.shape[0]
    index = jnp.arange(n)

    def clear_below(j: Array, rows: Array) -> Array:
        factor = jnp.where(index > j, rows[:, j] / rows[j, j], 0)
        return rows - factor[:, None] * rows[j]

    rows = jax.lax.fori_loop(0, n, clear_below, jnp.concatenate([matrix, jnp.eye(n, dtype=matrix.dtype)], 1))
    return rows[:, n:], jnp.diagonal(rows)


def laplacian_links(programme: Programme, ratios: Array, relative: Array) -> Array:
    """Links (M, K, K) from the ratios (K, m) of assignment to reduced cost and these divided by their sum in each row.

    Sums of positive terms only.
    """
    n_groups, n_clusters = programme.placed.shape
    weighted = programme.members[:, None, :] * (programme.shares * ratios)[None]
    links = product(weighted.reshape(n_groups * n_clusters, -1), relative.T)
    links = links.reshape(n_groups, n_clusters, n_clusters)
    links = 0.5 * (links + links.transpose(0, 2, 1))
    return jnp.where(jnp.eye(n_clusters, dtype=bool), 0, links)


def _resist(system: System, programme: Programme, prices: Array) -> Array:
    """What a change of prices (S, K) does to the counts (S, K), weighted by the groups' masses."""
    n_groups = programme.masses.shape[0]
    rows = prices if prices.shape[0] == n_groups else prices[:n_groups] + prices[n_groups]
    moved = jnp.sum(system.links * (rows[:, :, None] - rows[:, None, :]), 2) * programme.masses[:, None]
    if prices.shape[0] > n_groups:
        moved = jnp.concatenate([moved, jnp.sum(moved, 0)[None]])
    return moved + system.give * prices


def _to_prices(system: System, unknowns: Array) -> Array:
    """Prices (S, K) of unknowns (S, K), the coupling met but for its right-hand side."""
    return jnp.where(system.hub, unknowns - jnp.sum(system.ratio * unknowns, 0), unknowns)


def _to_unknowns(system: System, forces: Array) -> Array:
    """Transpose of :func:`_to_prices`."""
    at_hub = jnp.sum(jnp.where(system.hub, forces, 0), 0)
    return forces - system.ratio * at_hub


def _apply(system: System, programme: Programme, unknowns: Array) -> Array:
    """The matrix times ``unknowns`` (S, K), by differences of prices, so that strong links lose no digits."""
    forces = _to_unknowns(system, _resist(system, programme, _to_prices(system, unknowns)))
    shift = jnp.sum(jnp.where(system.hub, 0, unknowns), 1, keepdims=True)
    forces = forces + jnp.where(system.hub, system.stiffness * unknowns, system.idle * shift)
    return jnp.where(system.free, forces, 0)


def factorise(programme: Programme, links: Array, give: Array, slopes: Array, bend: Array, kind: str) -> System:
    """The system of a step.

    ``links`` (M, K, K); ``give`` (M, K), ``slopes`` (M, K) and ``bend`` (K,) are those of the control (see
    :mod:`fairjax.assignment.interior`). O((M K)^3).
    """
    masses = programme.masses[:, None]
    present = masses > 0
    n_groups, n_clusters = slopes.shape
    eye = jnp.eye(n_clusters, dtype=links.dtype)
    couplings = masses * slopes
    give = masses * give
    pinned = (programme.pinned[:, None] & present) | jnp.zeros_like(slopes, bool)
    strength = masses[:, 0] * jnp.max(jnp.sum(links, 2), 1)
    idle = jnp.where(pinned, strength[:, None] / n_clusters, 0)
    alive = present | jnp.zeros_like(slopes, bool)
    groups = masses[:, 0, None, None] * (jnp.sum(links, 2)[:, :, None] * eye - links)
    blocks = jnp.zeros((n_groups, n_groups, n_clusters, n_clusters), links.dtype)
    blocks = blocks.at[jnp.arange(n_groups), jnp.arange(n_groups)].set(groups)
    if kind == "shares":
        every = jnp.sum(groups, 0)[None, None]
        blocks = jnp.concatenate([blocks, groups[:, None]], 1)
        blocks = jnp.concatenate([blocks, jnp.concatenate([groups[None], every], 1)], 0)
        row = jnp.zeros((1, n_clusters), links.dtype)
        couplings = jnp.concatenate([couplings, row + 1])
        give, idle = jnp.concatenate([give, row]), jnp.concatenate([idle, row])
        hub = jnp.arange(n_groups + 1)[:, None] == jnp.full((n_clusters,), n_groups)
        # without any room a common change of all groups' prices is one of the total's
        rigid = jnp.all(programme.pinned | ~present[:, 0])
        heaviest = jnp.arange(n_groups)[:, None] == first_least(-programme.masses)
        alive = jnp.concatenate([alive & ~(rigid & heaviest), row == 0])
    else:
        # a group without room, if there is one: then the same hub in every cluster
        first = first_least(-couplings - jnp.where(pinned, 2 * jnp.max(couplings, 0), 0), 0)
        hub = jnp.arange(n_groups)[:, None] == first
    at_hub = jnp.sum(jnp.where(hub, couplings, 0), 0)
    ratio = jnp.where(hub, 0, couplings / at_hub)
    free = alive & (~hub | (bend > 0))
    stiffness = jnp.where(hub & free, at_hub**2 / jnp.where(bend > 0, bend, 1), 0)
    return _assemble(System(links, give, couplings, bend, hub, ratio, free, idle, stiffness, give, give, give), blocks)


def _assemble(system: System, blocks: Array) -> System:
    """Scale and invert the matrix whose blocks (S, S, K, K) couple groups before the hubs are eliminated."""
    n_rows, n_clusters = system.give.shape
    eye = jnp.eye(n_clusters, dtype=blocks.dtype)
    same = jnp.eye(n_rows, dtype=blocks.dtype)
    blocks = blocks + same[:, :, None, None] * (system.give[:, :, None] * eye)[:, None]
    # rows of prices in terms of unknowns: x_s, less ratio of all unknowns where s is the hub
    hub, ratio = system.hub.astype(blocks.dtype), system.ratio
    at_hub = jnp.sum(hub[:, None, :, None] * blocks, 0)
    blocks = blocks - ratio[:, None, :, None] * at_hub[None]
    at_hub = jnp.sum(hub[None, :, None, :] * blocks, 1)
    blocks = blocks - ratio[None, :, None, :] * at_hub[:, None]
    spoke = 1 - hub
    idle = system.idle[:, :, None] * spoke[:, :, None] * spoke[:, None, :]
    blocks = blocks + same[:, :, None, None] * idle[:, None]
    matrix = blocks.transpose(0, 2, 1, 3).reshape(n_rows * n_clusters, n_rows * n_clusters)
    free = system.free.reshape(-1)
    diagonal = jnp.diagonal(matrix) + system.stiffness.reshape(-1)
    diagonal = jnp.where(free & (diagonal > 0), diagonal, 1)
    scale = jax.lax.rsqrt(diagonal)
    ridge = 4 * jnp.finfo(matrix.dtype).eps
    off = jnp.where(free[:, None] & free[None, :], matrix * scale[:, None] * scale[None, :], 0)
    whole = jnp.where(jnp.eye(len(free), dtype=bool), 1 + ridge, off)
    factor, pivots = eliminate(whole)
    return system._replace(scale=scale.reshape(n_rows, n_clusters), factor=factor, pivots=pivots)


def solve(system: System, programme: Programme, forces: Array, coupling: Array, *, refinements: int = 1) -> Change:
    """Change of prices under forces (S, K) and a right-hand side (K,) of the coupling."""

    def apply_inverse(values: Array) -> Array:
        scaled = (system.scale * values).reshape(-1)
        cleared = product(system.factor, scaled) / system.pivots
        return system.scale * product(cleared, system.factor).reshape(values.shape)

    at_hub = jnp.sum(jnp.where(system.hub, system.couplings, 0), 0)
    offset = jnp.where(system.hub, coupling / at_hub, 0)
    wanted = jnp.where(system.free, _to_unknowns(system, forces - _resist(system, programme, offset)), 0)
    unknowns = apply_inverse(wanted)
    for _ in range(refinements):
        unknowns = unknowns + apply_inverse(wanted - _apply(system, programme, unknowns))
    prices = _to_prices(system, unknowns) + offset
    at = jnp.sum(jnp.where(system.hub, unknowns, 0), 0) * at_hub / jnp.where(system.bend > 0, system.bend, 1)
    # without bend the level follows from what the hub's own equation lacks
    lacking = jnp.sum(jnp.where(system.hub, forces - _resist(system, programme, prices), 0), 0) / at_hub
    return Change(prices, jnp.where(system.bend > 0, at, lacking))
