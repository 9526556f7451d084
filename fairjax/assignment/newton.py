"""The linear system of one interior-point step: prices of groups in clusters, coupled by the fairness control.

Eliminating everything that belongs to a single row leaves, for the change of the prices, one graph Laplacian per group:
the more points may move between two clusters, the stronger their link. The control ties the groups together. In every
cluster its coupling has the form Σ_s a_sk x_sk − κ_k v_k = r_k, where v_k is the change of the cluster's level; it is
solved for the entry with the largest coefficient, the *hub* of the cluster. What is left is symmetric and positive
definite.

Under ``shares`` the cluster's whole count has a price too, the *total's*, which every row pays on top of its group's
price. The unknowns are then what the rows of each group pay in all, and the total's price. Where a group nearly fills
a cluster, its upper bound and the lower bounds of the others are almost the same constraint: the total's price may rise
without limit as the groups' prices fall, and no row notices. In these unknowns that concerns only one of them, and
costs the others no digits.

Points do not notice a constant added to all prices of their group, and where the control leaves a group little room,
hardly anything resists it: the constant may exceed all differences by ten orders of magnitude. So it is an unknown of
its own, the *shift*, which replaces the price in one cluster, the group's *anchor*; the other unknowns are differences
from it. A group without room has no shift.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.precision import first_least, product
from fairjax.assignment.bounds import Linearised
from fairjax.assignment.controls import Kind
from fairjax.assignment.elimination import eliminate
from fairjax.assignment.programme import Programme

_STEADY = 0.1  # of the largest coefficient: a group this large in every cluster can be the hub of all


class Couplings(NamedTuple):
    """What a step couples; S is the number of groups, plus one for ``shares``, where the total comes last.

    Attributes
    ----------
    links : (M, K, K)
        Strength of the link between two clusters within a group.
    masses : (M,)
        Masses of the groups.
    give : (M, K)
        By how much a count yields to its price where the control leaves room, weighted by the group's mass.
    coefficients : (S, K)
        a of the control's coupling.
    bend : (K,)
        Its κ.
    hub : (S, K) bool
    ratio : (S, K)
        Coefficients divided by that of the hub, 0 at the hub itself.
    anchor : (S, K) bool
        Where the unknown is the group's shift.
    busiest : (K,) bool
        The cluster with the strongest links; a group that is the hub everywhere takes its price there as its shift.
    free : (S, K) bool
        The unknowns.
    stiffness : (S, K)
        Stiffness of the hubs.
    """

    links: Array
    masses: Array
    give: Array
    coefficients: Array
    bend: Array
    hub: Array
    ratio: Array
    anchor: Array
    busiest: Array
    free: Array
    stiffness: Array


class System(NamedTuple):
    """A factorised step.

    Attributes
    ----------
    couplings : :class:`Couplings`
    scale : (S, K)
        Factors of the rows and columns of the matrix.
    factor : (S K, S K)
        Inverse of the lower factor of the scaled matrix.
    pivots : (S K,)
    """

    couplings: Couplings
    scale: Array
    factor: Array
    pivots: Array


class Prices(NamedTuple):
    """Change of the prices: ``shift`` (S, 1) of a group in all clusters plus ``rest`` (S, K).

    The prices are the control's; under ``shares`` they are what rows pay in all, and the total's price.
    """

    shift: Array
    rest: Array


class Change(NamedTuple):
    """Change of the prices and of the clusters' levels (K,)."""

    prices: Prices
    level: Array


def laplacian_links(programme: Programme, ratios: Array, relative: Array) -> Array:
    """Links (M, K, K) from the ratios (K, m) of assignment to reduced cost, and the same over their sum in each row.

    Sums of positive terms only.
    """
    n_groups, n_clusters = programme.placed.shape
    weighted = programme.members[:, None, :] * (programme.shares * ratios)[None]
    links = product(weighted.reshape(n_groups * n_clusters, -1), relative.T)
    links = links.reshape(n_groups, n_clusters, n_clusters)
    links = 0.5 * (links + links.transpose(0, 2, 1))
    return jnp.where(jnp.eye(n_clusters, dtype=bool), 0, links)


def _resist(couplings: Couplings, prices: Prices) -> Array:
    """What a change of prices does to the counts (S, K), weighted by the groups' masses."""
    n_groups = couplings.masses.shape[0]
    shift, rest = prices
    paid = rest[:n_groups]
    # from differences of prices, so that strong links lose no digits
    moved = jnp.sum(couplings.links * (paid[:, :, None] - paid[:, None, :]), 2) * couplings.masses[:, None]
    if rest.shape[0] == n_groups:
        return moved + couplings.give * (shift + rest)
    yielded = couplings.give * (shift[:n_groups] - shift[n_groups] + paid - rest[n_groups])
    return jnp.concatenate([moved + yielded, -jnp.sum(yielded, 0)[None]])


def _to_prices(couplings: Couplings, unknowns: Array, offset: Array) -> Prices:
    """Prices from unknowns (S, K); ``offset`` (K,) is the coupling's right-hand side over the hub's coefficient."""
    hub, anchor, ratio = couplings.hub, couplings.anchor, couplings.ratio
    shift = jnp.sum(jnp.where(anchor, unknowns, 0), 1)
    rest = jnp.where(anchor | hub, 0, unknowns)
    # if one group is the hub everywhere, its price in the busiest cluster is its shift
    there = jnp.sum(jnp.where(couplings.busiest, ratio, 0), 1, keepdims=True)
    offset_there = jnp.sum(jnp.where(couplings.busiest, offset, 0))
    common = offset_there - product(shift, there)
    apart = offset - offset_there - jnp.sum(ratio * rest, 0) - product(shift, ratio - there)
    shift = jnp.where(jnp.all(hub, 1), common, shift)[:, None]
    return Prices(shift, jnp.where(hub, unknowns + apart + (common - shift), rest))


def _to_unknowns(couplings: Couplings, forces: Array) -> Array:
    """Transpose of :func:`_to_prices`."""
    hub, anchor = couplings.hub, couplings.anchor
    forces = forces - couplings.ratio * _at_hub(couplings, forces)
    shifting = jnp.sum(jnp.where(hub, 0, forces), 1, keepdims=True)
    return jnp.where(anchor, shifting, forces)


def _at_hub(couplings: Couplings, values: Array) -> Array:
    """Values (K,) of each cluster's hub, from values (S, K)."""
    return jnp.sum(jnp.where(couplings.hub, values, 0), 0)


def _apply(couplings: Couplings, unknowns: Array) -> Array:
    """The matrix times ``unknowns`` (S, K)."""
    prices = _to_prices(couplings, unknowns, jnp.zeros_like(couplings.bend))
    forces = _to_unknowns(couplings, _resist(couplings, prices)) + couplings.stiffness * unknowns
    return jnp.where(couplings.free, forces, 0)


def factorise(programme: Programme, kind: Kind, links: Array, bounds: Linearised) -> System:
    """The system of a step; ``links`` (M, K, K) between clusters in each group, and the ``bounds``.

    O((M K)^3).
    """
    couplings = _couple(programme, kind, links, bounds)
    shape, free = couplings.free.shape, couplings.free.reshape(-1)
    unit = jnp.eye(free.shape[0], dtype=links.dtype)
    columns = jax.vmap(lambda column: _apply(couplings, column.reshape(shape)).reshape(-1))(unit)
    # what moves between the clusters sums to zero, as the column of a shift states exactly
    matrix = jnp.where(couplings.anchor.reshape(-1)[None, :], columns.T, columns)
    matrix = jnp.where(free[:, None] & free[None, :], matrix, 0)
    diagonal = jnp.diagonal(matrix)
    scale = jax.lax.rsqrt(jnp.where(diagonal > 0, diagonal, 1))
    ridge = 4 * jnp.finfo(matrix.dtype).eps
    factor, pivots = eliminate(jnp.where(unit > 0, 1 + ridge, matrix * scale[:, None] * scale[None, :]))
    return System(couplings, scale.reshape(shape), factor, pivots)


def _couple(programme: Programme, kind: Kind, links: Array, bounds: Linearised) -> Couplings:
    """The hubs, the anchors, and which unknowns are free or stiff."""
    n_groups, n_clusters = programme.placed.shape
    masses, even = programme.masses, jnp.ones_like(programme.placed)
    present = masses > 0
    pinned = ~programme.roomy & (even > 0)
    degrees = jnp.sum(links, 2)
    alive = present[:, None] & (even > 0)
    give = masses[:, None] * bounds.give
    coefficients = sizes = masses[:, None] * bounds.slope
    if kind == "counts":
        coefficients = sizes = even
    weighed = masses[:, None] * degrees + give
    if kind == "shares":
        # without any room, only what rows pay in all matters, not what part of it is the total's
        rigid = ~jnp.any(programme.roomy)
        of_total = jnp.where(rigid, 0, 1 - jnp.sum(coefficients, 0))
        coefficients = jnp.concatenate([coefficients, of_total[None]])
        sizes = jnp.abs(coefficients)
        weighed = jnp.concatenate([weighed, jnp.sum(give, 0)[None]])
        alive = jnp.concatenate([alive, jnp.broadcast_to(~rigid, (1, n_clusters))])
        pinned = jnp.concatenate([pinned, jnp.zeros_like(alive[:1])])
    # prefer the same hub in every cluster, so that groups have shifts: one without room, or one that is nearly the
    # largest everywhere
    largest = jnp.max(sizes, 0)
    least = jnp.min(sizes / largest, 1)
    steady = (jnp.arange(sizes.shape[0]) == first_least(-least)) & (least >= _STEADY)
    preferred = sizes + largest * (2.0 * (pinned & alive) + 1.0 * steady[:, None])
    hub = jnp.arange(sizes.shape[0])[:, None] == first_least(-preferred, 0)
    at_hub = jnp.sum(jnp.where(hub, coefficients, 0), 0)
    ratio = jnp.where(hub, 0, coefficients / at_hub)
    busiest = jnp.arange(n_clusters) == first_least(-product(masses, degrees))
    # each group's anchor is the cluster whose equation has the largest coefficients. The sum of its equations, in
    # which links cancel, takes its place, so that those that are left keep all their digits
    anchor = jnp.arange(n_clusters) == first_least(jnp.where(hub, jnp.inf, -weighed))[:, None]
    anchor &= ~hub
    if kind == "shares":
        # adding a constant to all prices of a group without room and taking it from the total's changes nothing, so
        # only one of the two has a shift: the total, as a rule. Where such a group is the hub of every cluster, its
        # shift follows from the coupling and cannot be left out, and the total has none
        pinned = pinned.at[n_groups].set(jnp.any(jnp.all(hub, 1, keepdims=True) & pinned))
    free = alive & (~hub | (bounds.bend > 0)) & ~(anchor & pinned)
    if kind == "counts":
        # if all counts are fixed, a constant in the prices makes no difference
        free &= ~(jnp.all(pinned) & busiest)
    stiffness = jnp.where(hub & free, at_hub**2 / jnp.where(bounds.bend > 0, bounds.bend, 1), 0)
    return Couplings(links, masses, give, coefficients, bounds.bend, hub, ratio, anchor, busiest, free, stiffness)


def solve(system: System, forces: Array, coupling: Array, *, refinements: int = 1) -> Change:
    """Change of the prices and levels under forces (S, K), with right-hand side (K,) of the coupling."""
    couplings = system.couplings
    at_hub = _at_hub(couplings, couplings.coefficients)
    offset = coupling / at_hub

    def apply_inverse(values: Array) -> Array:
        scaled = (system.scale * values).reshape(-1)
        cleared = product(system.factor, scaled) / system.pivots
        return system.scale * product(cleared, system.factor).reshape(values.shape)

    unknowns = jnp.zeros_like(forces)
    prices = _to_prices(couplings, unknowns, offset)
    for _ in range(1 + refinements):
        missing = _to_unknowns(couplings, forces - _resist(couplings, prices)) - couplings.stiffness * unknowns
        unknowns = unknowns + apply_inverse(jnp.where(couplings.free, missing, 0))
        prices = _to_prices(couplings, unknowns, offset)
    bends = couplings.bend > 0
    by_bend = _at_hub(couplings, unknowns) * at_hub / jnp.where(bends, couplings.bend, 1)
    # without bend, the level is what the hub's own equation lacks
    lacking = _at_hub(couplings, forces - _resist(couplings, prices)) / at_hub
    return Change(prices, jnp.where(bends, by_bend, lacking))
