"""Points of the interior-point method: what an iterate is, what is computed from it, and where to start.

The cold start spreads every group alike, which satisfies every control. Only narrow bounds get more slack than they
have: with their true slack, bounds of a group with hardly any room would exert enormous forces. The steps meet these
bounds on their way, as they would from any other infeasible start.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fairjax._core.precision import product
from fairjax.assignment import bounds
from fairjax.assignment.bounds import Bounds
from fairjax.assignment.controls import Kind
from fairjax.assignment.programme import Programme

_POWER = 1 / 8  # of the power mean that sets the scale of the costs


class Iterate(NamedTuple):
    """An interior point.

    Attributes
    ----------
    fractions, reduced : (K, m)
        A and z of the rows.
    prices : (M, K)
        Prices of the control.
    total : (K,)
        Price that all groups pay alike; 0 except for ``shares``.
    level : (K,)
        Level of the clusters.
    bounds
        Bounds on counts.
    """

    fractions: Array
    reduced: Array
    prices: Array
    total: Array
    level: Array
    bounds: Bounds


class Weights(NamedTuple):
    """Weights (m,) of rows and (M, 1) of bounds, the products that are central at μ = 1, and the sum over all of them.

    For bounds on counts, (1, K).
    """

    rows: Array
    bounds: Array
    central_rows: Array
    central_bounds: Array
    whole: Array


def scale_of_costs(programme: Programme) -> Array:
    """Typical extra cost of the second cheapest cluster (): the scale of the problem.

    A power mean over the rows. As the power is low, and dearer clusters do not count, neither a few far outliers nor a
    cluster that is far from everybody sets the scale.
    """
    weights = programme.shares * product(programme.masses, programme.members)
    extra = jnp.min(jnp.where(programme.costs > 0, programme.costs, jnp.inf), 0)
    counted = (programme.signs > 0) & jnp.isfinite(extra)
    weights = jnp.where(counted, weights, 0)
    total = jnp.sum(weights)
    mean = jnp.sum(weights * jnp.where(counted, extra, 0) ** _POWER) / jnp.where(total > 0, total, 1)
    mean = mean ** (1 / _POWER)
    # where all clusters cost the same, the scale is that cost, or 1 if it is zero
    return jnp.where(mean > 0, mean, jnp.where(programme.offset != 0, jnp.abs(programme.offset), 1))


def counts(programme: Programme, fractions: Array) -> Array:
    """Counts (M, K) of fractions (K, m), as shares of the groups."""
    return programme.placed + gather(programme, fractions)


def gather(programme: Programme, values: Array) -> Array:
    """Sums (M, K) of the rows' values (K, m) over the groups, as shares of each group."""
    weighted = programme.members * (programme.shares * programme.signs)
    return product(weighted, values.T)


def at_rows(programme: Programme, prices: Array) -> Array:
    """Prices (M, K) as the rows pay them, (K, m)."""
    return product(prices.T, programme.members * programme.signs)


def over_clusters(values: Array) -> Array:
    """Sums (m,) of (K, m) over the clusters, as a product: CPU compilers go through a plain sum column by column."""
    return product(jnp.ones((values.shape[0],), values.dtype), values)


def weigh(
    programme: Programme, kind: Kind, scale: Array, cap: Array | None = None, light: Array | bool = False
) -> Weights:
    """The weights of rows and bounds, and their central products; 1 where a weight is zero.

    The path of the linear programme may start a light group ten orders of magnitude above its costs. ``cap`` () limits
    the central product to that multiple of the group's dearest cost, or of the ``scale`` () of the costs if that is
    larger. ``light`` () bounds weigh as much as one row each; otherwise a group's bounds together weigh as much as its
    rows. Bounds on counts are always light.
    """
    rows = programme.shares * product(programme.masses, programme.members)
    by_group = jnp.where(programme.roomy, programme.masses[:, None], 0)
    n_clusters = programme.costs.shape[0]
    n_rows, n_groups = jnp.sum(rows > 0), jnp.sum(jnp.any(by_group > 0, 1))
    central_rows = 1 / jnp.where(rows > 0, rows * n_rows, 1)
    central_bounds = 1 / jnp.where(by_group > 0, by_group * n_groups, 1)
    if cap is not None:
        dearest = jnp.max(programme.members * jnp.max(programme.costs, 0), 1)
        most = cap * jnp.maximum(dearest / scale, 1)
        of_rows = jnp.max(jnp.where(programme.members > 0, most[:, None], 0), 0)
        central_rows = jnp.minimum(central_rows, of_rows)
        central_bounds = jnp.minimum(central_bounds, most[:, None])
    part = jnp.where(n_groups > 0, 2.0, 0.0)
    each = jnp.where(jnp.asarray(light) | (kind == "counts"), n_rows, 1)
    central_bounds, part = central_bounds / each, part / each
    return Weights(rows, by_group, central_rows, central_bounds, n_clusters * (1 + part))


def start(programme: Programme, kind: Kind, weights: Weights, mu: Array) -> Iterate:
    """An interior point: all rows spread evenly; the slack of the bounds follows from that, but is not too small.

    ``mu`` () should be the scale of the costs.
    """
    n_clusters = programme.placed.shape[1]
    even = jnp.full_like(programme.costs, 1 / n_clusters)
    reduced = programme.costs + n_clusters * mu * weights.central_rows
    level = jnp.ones((), mu.dtype)
    if kind == "profile":
        # between what the upper and the lower bounds allow; if groups without room fix the level, at that level
        (lower, upper), roomy = programme.limits, programme.roomy
        least = jnp.max(jnp.where(roomy, 1 / upper, 0))
        most = jnp.min(jnp.where(roomy & (lower > 0), 1 / lower, jnp.inf))
        between = jnp.sqrt(least * jnp.maximum(jnp.minimum(most, 4 * least), least))
        fixed = jnp.max(programme.slopes)
        level = jnp.where(fixed > 0, 1 / jnp.where(fixed > 0, fixed, 1), between)
    total = jnp.zeros((n_clusters,), mu.dtype)
    first = bounds.start(programme, level, jnp.where(programme.roomy, mu * weights.central_bounds, 0))
    prices = first.prices()
    if kind == "counts":
        # bounds, and therefore prices, differ between clusters
        paid = programme.costs + at_rows(programme, prices)
        reduced += paid - jnp.min(paid, 0) - programme.costs
    if kind == "shares":
        total = -jnp.sum(programme.masses[:, None] * bounds.pulled(programme, first.force), 0)
    return Iterate(even, reduced, prices, total, jnp.full((n_clusters,), level / n_clusters), first)


def start_near(programme: Programme, kind: Kind, weights: Weights, prices: Array, level: Array, mu: Array) -> Iterate:
    """An interior point near the prices (M, K) and levels (K,) of a similar programme; ``mu`` says how near."""
    total = jnp.zeros_like(level)
    if kind == "shares":
        pull = jnp.where(programme.roomy, bounds.pulled(programme, bounds.forces(prices)), programme.slopes * prices)
        total = -jnp.sum(programme.masses[:, None] * pull, 0)
    paid = programme.costs + at_rows(programme, prices + total)
    reduced = paid - jnp.min(paid, 0) + mu * weights.central_rows
    fractions = 1 / reduced
    fractions = fractions / over_clusters(fractions)
    first = bounds.near(programme, prices, mu * weights.central_bounds, counts(programme, fractions), level)
    return Iterate(fractions, reduced, prices, total, level, first)
