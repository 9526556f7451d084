"""Programmes whose points belong to several groups: what they are, sums over rows and groups, and where to start."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax._core.precision import product
from fairjax.assignment import bounds, controls, iterates
from fairjax.assignment.attributes import Attributes
from fairjax.assignment.programme import Points, Programme, programme

_SLACK = 0.1  # of a group's even share: the least slack at the start


class Coupled(NamedTuple):
    """A programme; T cells, S groups, L levels, R prices: one more than groups for ``shares``.

    Attributes
    ----------
    rows
        The programme of the cells, whose own bounds are not used.
    members : (R, T)
        1 for the cells of each price.
    weights : (m,)
        Weights of the rows.
    masses : (S,)
    levels : (S, L)
        1 where the group has that level.
    lower, upper : (S, 1)
    roomy, present : (S, 1) bool
    placed : (R, K)
        Weights already placed in a cluster.
    """

    rows: Programme
    members: Array
    weights: Array
    masses: Array
    levels: Array
    lower: Array
    upper: Array
    roomy: Array
    present: Array
    placed: Array


class Point(NamedTuple):
    """An interior point.

    Attributes
    ----------
    fractions, reduced : (K, m)
        A and z.
    prices : (R, K)
    level : (L, K)
    slack_below, slack_above, force_below, force_above : (S, K)
        Of the bounds; 1 and 0 where there are none.
    """

    fractions: Array
    reduced: Array
    prices: Array
    level: Array
    slack_below: Array
    slack_above: Array
    force_below: Array
    force_above: Array


def couple(points: Points, control: Attributes) -> Coupled:
    """The programme of ``points``, whose groups are cells, under a fitted control."""
    n_cells = points.placed.shape[0]
    own = points.masses / jnp.sum(points.masses)
    cells = controls.fitted(controls.shares(own, own, own), own, np.inf)
    rows = programme(points, cells)
    lower = jnp.concatenate([one.lower for one in control.controls])[:, None]
    upper = jnp.concatenate([one.upper for one in control.controls])[:, None]
    members = jnp.concatenate(control.members)
    masses = product(members, points.masses)
    present = (masses > 0)[:, None]
    if control.controls[0].kind == "shares":
        members = jnp.concatenate([members, jnp.ones((1, n_cells), members.dtype)])
        levels = jnp.ones((len(masses), 1), members.dtype)
    else:
        which = np.repeat(np.arange(len(control.sizes)), control.sizes)
        levels = jnp.asarray(which[:, None] == np.arange(len(control.sizes)), members.dtype)
    return Coupled(
        rows, members, points.weights, masses, levels, lower, upper, (lower != upper) & present, present,
        product(members, points.placed),
    )  # fmt: skip


def by_row(given: Coupled, values: Array) -> Array:
    """What the rows pay (K, m) under prices (R, K), summed by cell first."""
    return product(product(values.T, given.members), given.rows.members)


def gathered(given: Coupled, values: Array) -> Array:
    """Weighted sums (R, K) over the rows of each price, of values (K, m)."""
    return product(given.members, product(given.rows.members * given.weights, values.T))


def of_groups(given: Coupled, values: Array) -> Array:
    """The part (S, K) of values (R, K) that belongs to groups."""
    return values[: given.masses.shape[0]]


def over(given: Coupled, values: Array) -> Array:
    """Values (R, K) from those of the groups (S, K); 0 for the price that every row pays."""
    return jnp.pad(values, ((0, given.members.shape[0] - values.shape[0]), (0, 0)))


def at_level_of(given: Coupled, level: Array) -> Array:
    """The level (S, K) that bounds each group."""
    return product(given.levels, level)


def _total_of(given: Coupled, at_bounds: Array) -> Array:
    """The price (R − S, K) of every row that makes up for the pull (S, K) of the bounds."""
    n_more = given.members.shape[0] - given.masses.shape[0]
    return jnp.broadcast_to(-jnp.sum(at_bounds, 0), (n_more, at_bounds.shape[1]))


def start(given: Coupled, mu: Array, central: Array) -> Point:
    """All rows spread evenly; the slack of the bounds follows from that, but is not too small."""
    n_clusters = given.rows.costs.shape[0]
    even = jnp.full_like(given.rows.costs, 1 / n_clusters)
    masses = jnp.where(given.present, given.masses[:, None], 1)
    if given.members.shape[0] > given.masses.shape[0]:
        level = jnp.ones((1, 1), mu.dtype)
    else:
        of_level = given.levels > 0
        pinned = given.present & ~given.roomy
        least = jnp.max(jnp.where(of_level & given.roomy, masses / given.upper, 0), 0)
        bounded = of_level & given.roomy & (given.lower > 0)
        most = jnp.min(jnp.where(bounded, masses / jnp.where(given.lower > 0, given.lower, 1), jnp.inf), 0)
        fixed = jnp.max(jnp.where(of_level & pinned, masses / jnp.where(pinned, given.lower, 1), 0), 0)
        between = jnp.sqrt(least * jnp.maximum(jnp.minimum(most, 4 * least), least))
        level = jnp.where(fixed > 0, fixed, between)[:, None]
    at_level = at_level_of(given, level)
    below = jnp.maximum(masses - given.lower * at_level, _SLACK * masses) / n_clusters
    above = jnp.maximum(given.upper * at_level - masses, _SLACK * masses) / n_clusters
    level = jnp.broadcast_to(level / n_clusters, (level.shape[0], n_clusters))
    return _with_forces(given, even, mu, central, level, mu / n_rows(given) / below, mu / n_rows(given) / above)


def near(given: Coupled, mu: Array, central: Array, y: Array, level: Array) -> Point:
    """A point near the prices y (S, K) and levels (L, K) of a similar programme; ``mu`` () says how near.

    See :func:`fairjax.assignment.bounds.warm`.
    """
    force, masses = bounds.forces(y), jnp.where(given.present, given.masses[:, None], 1)
    fractions = _fractions(given, _prices(given, force[0], force[1], y), mu, central)
    counts, at_level = of_groups(given, given.placed + gathered(given, fractions)), at_level_of(given, level)
    left = jnp.stack([counts - given.lower * at_level, given.upper * at_level - counts])
    slack, force = bounds.warm(force, left, mu / n_rows(given), given.roomy, masses)
    at = _with_forces(given, None, mu, central, level, force[0], force[1], y)
    return at._replace(slack_below=slack[0], slack_above=slack[1])


def _prices(given: Coupled, below: Array, above: Array, y: Array | None) -> Array:
    """Prices (R, K) that match the forces (S, K) of bounds, and y (S, K) for groups without room."""
    of_own = above - below if y is None else jnp.where(given.roomy, above - below, y)
    pull = jnp.where(given.roomy, given.upper * above - given.lower * below, given.lower * of_own)
    return jnp.concatenate([of_own, _total_of(given, jnp.where(given.present, pull, 0))])


def _fractions(given: Coupled, prices: Array, mu: Array, central: Array) -> Array:
    """Central fractions (K, m) at these prices."""
    paid = given.rows.costs + by_row(given, prices)
    inverse = 1 / (paid - jnp.min(paid, 0) + mu * central)
    return inverse / iterates.over_clusters(inverse)


def _with_forces(
    given: Coupled,
    fractions: Array | None,
    mu: Array,
    central: Array,
    level: Array,
    below: Array,
    above: Array,
    y: Array | None = None,
) -> Point:
    """The point with these forces (S, K), where every price matches its bounds."""
    roomy = given.roomy
    below, above = jnp.where(roomy, below, 0), jnp.where(roomy, above, 0)
    each = mu / n_rows(given)
    slack_below, slack_above = (jnp.where(roomy, each / jnp.where(roomy, force, 1), 1) for force in (below, above))
    prices = _prices(given, below, above, y)
    paid = given.rows.costs + by_row(given, prices)
    paid = paid - jnp.min(paid, 0)
    if fractions is None:
        reduced = paid + mu * central
        fractions = _fractions(given, prices, mu, central)
    else:
        reduced = paid + fractions.shape[0] * mu * central
    return Point(fractions, reduced, prices, level, slack_below, slack_above, below, above)


def central_products(given: Coupled) -> Array:
    """The product (m,) of each row's fraction and reduced cost that is central at μ = 1."""
    return 1 / jnp.where(given.weights > 0, given.weights * n_rows(given), 1)


def n_rows(given: Coupled) -> Array:
    """Number of rows with positive weight."""
    return jnp.sum(given.weights > 0)
