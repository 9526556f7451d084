"""Bounds that a control puts on counts, as the interior-point method sees them: each has a slack and exerts a force.

Counts q (M, K), as shares of the groups, lie between lower_s t_k and upper_s t_k, where t_k is the level of cluster k.
Where slack times force is near μ, the common value of all such products, a bound yields to changes of the prices and of
the level in proportion to them. The *linearised* bounds hold the factors.

Groups without room, as all are under an additive gap ε, have no bounds; they get slack 1 and force 0, and so have no
effect.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax.assignment.programme import Programme

LEAST_SLACK = 0.1  # of a group's even share
_OFF_CENTRE = 10.0  # at most: a product at a warm start over the central one
SIDES = np.array([1.0, -1.0])[:, None, None]  # counts may exceed their lower bounds, and fall short of their upper ones


class Bounds(NamedTuple):
    """Slack (2, M, K) of the counts, below and above, and the forces (2, M, K) that the bounds exert."""

    slack: Array
    force: Array

    def products(self) -> Array:
        """Slack times force (2, M, K)."""
        return self.slack * self.force

    def prices(self) -> Array:
        """Prices (M, K) that balance the forces."""
        return -jnp.sum(SIDES * self.force, 0)


class Linearised(NamedTuple):
    """Bounds near an iterate.

    Attributes
    ----------
    stiffness : (2, M, K)
        Force over slack.
    give : (M, K)
        By how much a count yields to its price.
    slope : (M, K)
        Counts per level at which the bounds balance.
    bend : (K,)
        By how much the level yields.
    miss : (2, M, K)
        Difference between the slack and what counts and level imply.
    """

    stiffness: Array
    give: Array
    slope: Array
    bend: Array
    miss: Array


class Wanted(NamedTuple):
    """What a Newton direction asks of the bounds.

    Attributes
    ----------
    forces : (2, M, K)
        Change of the forces with the slack unchanged.
    unbalanced : (M, K)
        Prices less those that would balance the forces.
    excess : (M, K)
        The same once the forces have changed.
    """

    forces: Array
    unbalanced: Array
    excess: Array


def start(programme: Programme, level: Array, central: Array) -> Bounds:
    """Bounds at evenly spread counts, with products ``central`` (M, 1) or (M, K); too small a slack is raised."""
    n_clusters = programme.placed.shape[1]
    slack = jnp.maximum(SIDES * (1 - programme.limits * level), LEAST_SLACK) / n_clusters
    slack = jnp.where(programme.roomy, slack, 1) * jnp.ones_like(programme.placed)
    return Bounds(slack, central / slack)


def forces(prices: Array) -> Array:
    """Least forces (2, M, K) of the bounds that prices (M, K) balance."""
    return jnp.maximum(-SIDES * prices, 0)


def pulled(programme: Programme, force: Array) -> Array:
    """How hard forces (2, M, K) pull at the level (M, K)."""
    return -jnp.sum(SIDES * programme.limits * force, 0)


def near(programme: Programme, prices: Array, central: Array, counts: Array, level: Array) -> Bounds:
    """Bounds near the ``prices`` (M, K), counts (M, K) and level (K,) of a similar programme; see :func:`warm`."""
    left = jnp.asarray(SIDES) * (counts - programme.limits * level)
    return warm(forces(prices), left, central, programme.roomy)


def warm(force: Array, left: Array, central: Array, roomy: Array, whole: Array | float = 1.0) -> Bounds:
    """Bounds that exert slightly more than ``force`` (2, M, K), with products near ``central`` (M, 1).

    ``left`` (2, M, K) is the slack that counts leave, of groups that weigh ``whole`` (M, 1). Bounds that exert hardly
    any force have all of it, which may be many times the group: with less, counts would seem to miss them by as much,
    and steps would go astray.
    """
    left = jnp.maximum(left, whole / force.shape[-1])
    force = force + central / left
    slack = central / force
    slack = jnp.clip(left, slack, _OFF_CENTRE * slack)
    return Bounds(jnp.where(roomy, slack, 1), jnp.where(roomy, force, 0))


def missed(programme: Programme, bounds: Bounds, counts: Array, level: Array) -> Array:
    """Difference (2, M, K) between the slack and what counts (M, K) and level (K,) imply."""
    return jnp.where(programme.roomy, SIDES * (counts - programme.limits * level) - bounds.slack, 0)


def linearise(programme: Programme, bounds: Bounds, counts: Array, level: Array) -> Linearised:
    """The bounds near counts (M, K) and level (K,)."""
    stiffness = bounds.force / bounds.slack
    give = jnp.where(programme.roomy, 1 / jnp.sum(stiffness, 0), 0)
    slope = jnp.where(programme.roomy, jnp.sum(programme.limits * stiffness, 0) * give, programme.slopes)
    bend = jnp.sum(programme.masses[:, None] * programme.room**2 * jnp.prod(stiffness, 0) * give, 0)
    return Linearised(stiffness, give, slope, bend, missed(programme, bounds, counts, level))


def wanted(programme: Programme, bounds: Bounds, linear: Linearised, prices: Array, products: Array) -> Wanted:
    """What is asked by a direction that changes the products by ``products`` (2, M, K), at prices (M, K)."""
    unbalanced = jnp.where(programme.roomy, prices - bounds.prices(), 0)
    forces = products / bounds.slack - linear.stiffness * linear.miss
    return Wanted(forces, unbalanced, unbalanced + jnp.sum(SIDES * forces, 0))


def pull(programme: Programme, bounds: Bounds, linear: Linearised, ask: Wanted) -> Array:
    """How hard the bounds pull at the level (M, K), once they have changed as asked."""
    turned = programme.room * linear.give * jnp.sum(linear.stiffness * ask.forces[::-1], 0)
    return pulled(programme, bounds.force) + linear.slope * ask.unbalanced + turned


def change(
    programme: Programme, bounds: Bounds, linear: Linearised, ask: Wanted, products: Array, prices: Array, level: Array
) -> Bounds:
    """Change of the bounds for given changes of ``products`` (2, M, K), prices (M, K) and level (K,)."""
    turned = programme.room * linear.stiffness[::-1] * level
    slack = linear.give * (turned + SIDES * (prices + ask.excess)) + linear.miss
    return Bounds(slack, (products - bounds.force * slack) / bounds.slack)


def falls(programme: Programme, bounds: Bounds, along: Bounds) -> tuple[Array, Array]:
    """How many times the step ``along`` exceeds what the slack, and what the forces, can lose: () each."""
    slack, force = (
        jnp.max(jnp.where(programme.roomy, -change / value, 0))
        for value, change in zip(bounds, along, strict=True)
    )  # fmt: skip
    return slack, force


def moved(bounds: Bounds, along: Bounds, primal: Array, dual: Array) -> Bounds:
    """Bounds after a step of length ``primal`` () in the slack and ``dual`` () in the forces."""
    return Bounds(bounds.slack + primal * along.slack, bounds.force + dual * along.force)
