"""Bounds that a control puts on counts, as the interior-point method sees them: each has a slack and exerts a force.

Counts q (M, K), as shares of the groups, lie between lower_s t_k and upper_s t_k, where t_k is the level of cluster k.
Where slack times force is near μ, the common value of all such products, a bound yields to changes of the prices and of
the level in proportion to them. The *linearised* bounds hold the factors.

Groups without room, as all are under an additive gap ε, have no bounds; they get slack 1 and force 0, and so have no
effect.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.assignment.programme import Programme

LEAST_SLACK = 0.1  # of a group's even share


class Bounds(NamedTuple):
    """Slack (M, K) of the counts below and above, and the forces (M, K) that the bounds exert."""

    slack_below: Array
    slack_above: Array
    force_below: Array
    force_above: Array

    def products(self) -> tuple[Array, Array]:
        """Slack times force (M, K), below and above."""
        return self.slack_below * self.force_below, self.slack_above * self.force_above


class Linearised(NamedTuple):
    """Bounds near an iterate.

    Attributes
    ----------
    stiff_below, stiff_above : (M, K)
        Force over slack.
    give : (M, K)
        By how much a count yields to its price.
    slope : (M, K)
        Counts per level at which the bounds balance.
    bend : (K,)
        By how much the level yields.
    miss_below, miss_above : (M, K)
        Difference between the slack and what counts and level imply.
    """

    stiff_below: Array
    stiff_above: Array
    give: Array
    slope: Array
    bend: Array
    miss_below: Array
    miss_above: Array


class Wanted(NamedTuple):
    """What a Newton direction asks of the bounds.

    Attributes
    ----------
    below, above : (M, K)
        Change of the products.
    unbalanced : (M, K)
        Prices less the forces that should equal them.
    excess : (M, K)
        The same once the forces have changed, with the slack unchanged.
    """

    below: Array
    above: Array
    unbalanced: Array
    excess: Array


def start(programme: Programme, level: Array, central: Array) -> Bounds:
    """Bounds at evenly spread counts, with products ``central`` (M, 1) or (M, K); too small a slack is raised."""
    n_clusters = programme.placed.shape[1]
    roomy = programme.roomy
    below = jnp.maximum(1 - programme.lower * level, LEAST_SLACK) / n_clusters
    above = jnp.maximum(programme.upper * level - 1, LEAST_SLACK) / n_clusters
    below, above = (jnp.where(roomy, slack, 1) * jnp.ones_like(programme.placed) for slack in (below, above))
    return Bounds(below, above, central / below, central / above)


def near(programme: Programme, prices: Array, central: Array) -> Bounds:
    """Bounds that exert slightly more than the forces of ``prices`` (M, K), with products ``central`` (M, 1)."""
    roomy = programme.roomy
    least = prices.shape[1] * central
    below = jnp.where(roomy, jnp.maximum(-prices, 0) + least, 0)
    above = jnp.where(roomy, jnp.maximum(prices, 0) + least, 0)
    slack_below, slack_above = (
        jnp.where(roomy, central / jnp.where(roomy, force, 1), 1) for force in (below, above)
    )  # fmt: skip
    return Bounds(slack_below, slack_above, below, above)


def missed(programme: Programme, bounds: Bounds, counts: Array, level: Array) -> tuple[Array, Array]:
    """Difference (M, K), below and above, between the slack and what counts (M, K) and level (K,) imply."""
    roomy = programme.roomy
    below = counts - programme.lower * level - bounds.slack_below
    above = programme.upper * level - counts - bounds.slack_above
    return jnp.where(roomy, below, 0), jnp.where(roomy, above, 0)


def linearise(programme: Programme, bounds: Bounds, counts: Array, level: Array) -> Linearised:
    """The bounds near counts (M, K) and level (K,)."""
    lower, upper = programme.lower, programme.upper
    below, above = bounds.force_below / bounds.slack_below, bounds.force_above / bounds.slack_above
    give = jnp.where(programme.roomy, 1 / (below + above), 0)
    slope = jnp.where(programme.roomy, (upper * above + lower * below) * give, programme.slopes)
    bend = jnp.sum(programme.masses[:, None] * (upper - lower) ** 2 * below * above * give, 0)
    return Linearised(below, above, give, slope, bend, *missed(programme, bounds, counts, level))


def wanted(
    programme: Programme, bounds: Bounds, linear: Linearised, prices: Array, below: Array, above: Array
) -> Wanted:
    """What is asked by a direction that changes the products by ``below`` and ``above`` (M, K), at prices (M, K)."""
    unbalanced = jnp.where(programme.roomy, prices - bounds.force_above + bounds.force_below, 0)
    below = below / bounds.slack_below - linear.stiff_below * linear.miss_below
    above = above / bounds.slack_above - linear.stiff_above * linear.miss_above
    return Wanted(below, above, unbalanced, unbalanced - (above - below))


def pull(programme: Programme, bounds: Bounds, linear: Linearised, ask: Wanted) -> Array:
    """How hard the bounds pull at the level (M, K), once they have changed as asked."""
    upper, lower = programme.upper, programme.lower
    turned = (upper - lower) * linear.give * (linear.stiff_below * ask.above + linear.stiff_above * ask.below)
    return upper * bounds.force_above - lower * bounds.force_below + linear.slope * ask.unbalanced + turned


def change(
    programme: Programme,
    bounds: Bounds,
    linear: Linearised,
    ask: Wanted,
    products: tuple[Array, Array],
    prices: Array,
    level: Array,
) -> Bounds:
    """Change of the bounds for given changes of prices (M, K), level (K,) and ``products`` ((M, K), (M, K))."""
    room = programme.upper - programme.lower
    pushed = prices + ask.excess
    slack_below = linear.give * (room * linear.stiff_above * level + pushed) + linear.miss_below
    slack_above = linear.give * (room * linear.stiff_below * level - pushed) + linear.miss_above
    return Bounds(
        slack_below,
        slack_above,
        (products[0] - bounds.force_below * slack_below) / bounds.slack_below,
        (products[1] - bounds.force_above * slack_above) / bounds.slack_above,
    )


def falls(programme: Programme, bounds: Bounds, along: Bounds) -> tuple[Array, Array]:
    """How many times the step ``along`` exceeds what the slack, and what the forces, can lose: () each."""

    def largest(falls: list[Array]) -> Array:
        return jnp.max(jnp.where(programme.roomy, jnp.stack(falls), 0))

    by_part = jax.tree.map(lambda value, change: -change / value, bounds, along)
    return largest([by_part.slack_below, by_part.slack_above]), largest([by_part.force_below, by_part.force_above])


def moved(bounds: Bounds, along: Bounds, primal: Array, dual: Array) -> Bounds:
    """Bounds after a step of length ``primal`` () in the slack and ``dual`` () in the forces."""
    return Bounds(
        bounds.slack_below + primal * along.slack_below,
        bounds.slack_above + primal * along.slack_above,
        bounds.force_below + dual * along.force_below,
        bounds.force_above + dual * along.force_above,
    )
