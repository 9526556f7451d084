"""Several attributes at once, each fair by itself: a control for each, and prices that add up.

A point belongs to one group of every attribute (a woman from the north), and to one *cell*, the combination of them.
Each attribute has its own control on the counts of its groups, and a table of prices that is feasible for that
control. A point pays the sum of its groups' prices. Counts that a control admits earn nothing from that attribute's
table, so counts that all controls admit earn nothing from the sum, and the dual bound is proven as for one attribute.

Costs, masses and counts are by cell (T of them) everywhere, prices by group (S of them, attribute after attribute). All
functions here also take the :class:`~fairjax.assignment.controls.Control` of a single attribute, where the two agree.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.precision import product
from fairjax.assignment import admissible, controls
from fairjax.assignment.controls import Control

_MET = 1e-10  # of a group: groups without room may miss perfect fairness by this much, the solver's residual


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Attributes:
    """Controls of several attributes, all ``shares`` or all ``balance``.

    Attributes
    ----------
    controls
        One per attribute.
    members
        One (M_a, T) per attribute, 1 where a cell belongs to the group, else 0.
    """

    controls: tuple[Control, ...]
    members: tuple[Array, ...]

    @property
    def kind(self) -> str:
        """``"attributes"``, which no single control has."""
        return "attributes"

    @property
    def feasible(self) -> Array:
        """() bool, whether perfect fairness satisfies every control."""
        return jnp.all(jnp.stack([control.feasible for control in self.controls]))

    @property
    def leeway(self) -> Array:
        """() relative rounding error of the masses."""
        return self.controls[0].leeway

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of groups of each attribute."""
        return tuple(len(each) for each in self.members)

    def split(self, values: Array) -> list[Array]:
        """Values (S, ...) split by attribute, (M_a, ...) each."""
        parts, first = [], 0
        for size in self.sizes:
            parts.append(values[first : first + size])
            first += size
        return parts


AnyControl = Control | Attributes


def by_group(control: AnyControl, values: Array) -> Array:
    """Sums (S, ...) of values (T, ...) over the cells of each group."""
    if not isinstance(control, Attributes):
        return values
    return jnp.concatenate([product(each, values) for each in control.members])


def paid(control: AnyControl, prices: Array) -> Array:
    """What each cell pays (T, K): the sum of its groups' prices (S, K)."""
    if not isinstance(control, Attributes):
        return prices
    tables = zip(control.members, control.split(prices), strict=True)
    return sum((product(each.T, table) for each, table in tables), jnp.zeros((), prices.dtype))


def _each(control: Attributes, masses: Array) -> list[tuple[Control, Array]]:
    """Each control with the masses (M_a,) of its groups."""
    return [(one, product(each, masses)) for one, each in zip(control.controls, control.members, strict=True)]


def fitted(control: AnyControl, masses: Array, leeway: Array | float) -> AnyControl:
    """See :func:`~fairjax.assignment.controls.fitted`; masses (T,) are those of the cells."""
    if not isinstance(control, Attributes):
        return controls.fitted(control, masses, leeway)
    one_by_one = tuple(controls.fitted(one, own, leeway) for one, own in _each(control, masses))
    return Attributes(one_by_one, control.members)


def allows_all(control: AnyControl, masses: Array) -> Array:
    """Whether (() bool) every assignment satisfies the control."""
    if not isinstance(control, Attributes):
        return controls.allows_all(control, masses)
    return jnp.all(jnp.stack([controls.allows_all(one, own) for one, own in _each(control, masses)]))


def normalise(control: AnyControl, y: Array) -> tuple[Array, Array]:
    """Feasible prices (S, K) from free variables y (S, K), and what presses on the bounds (S, K)."""
    if not isinstance(control, Attributes):
        return controls.normalise(control, y)
    found = [controls.normalise(one, own) for one, own in zip(control.controls, control.split(y), strict=True)]
    return jnp.concatenate([prices for prices, _ in found]), jnp.concatenate([pressing for _, pressing in found])


def settled(control: AnyControl, y: Array) -> Array:
    """The free variables y (S, K), shifted as in :func:`~fairjax.assignment.controls.settled`."""
    if not isinstance(control, Attributes):
        return controls.settled(control, y)
    parts = zip(control.controls, control.split(y), strict=True)
    return jnp.concatenate([controls.settled(one, own) for one, own in parts])


def proven(control: AnyControl, masses: Array, prices: Array) -> Array:
    """Prices (S, K) near the given ones that prove a bound for the control as it was asked for."""
    if not isinstance(control, Attributes):
        return controls.proven(control, masses, prices)
    parts = zip(_each(control, masses), control.split(prices), strict=True)
    return jnp.concatenate([controls.proven(one, own, table) for (one, own), table in parts])


def exact_spread(control: AnyControl, masses: Array, prices: Array) -> Array:
    """What the control subtracts from the dual beyond the prices: nothing, for several attributes."""
    if not isinstance(control, Attributes):
        return controls.exact_spread(control, masses, prices)
    return jnp.zeros((), prices.dtype)


def violation(control: AnyControl, counts: Array, masses: Array) -> Array:
    """Largest amount by which counts (T, K) of the cells violate the control, as a share of the group concerned."""
    if not isinstance(control, Attributes):
        return admissible.violation(control, counts, masses)
    parts = zip(_each(control, masses), control.members, strict=True)
    return jnp.max(jnp.stack([admissible.violation(one, product(each, counts), own) for (one, own), each in parts]))


def targets(control: Attributes, counts: Array, masses: Array) -> Array:
    """Counts (T, K) of the cells that satisfy the fitted ``control``, near the given ones, which nearly do.

    The given counts are mixed with perfectly fair ones, as little as possible.
    """
    counts = jnp.maximum(counts, 0)
    total = jnp.sum(counts, 1, keepdims=True)
    counts = counts * masses[:, None] / jnp.where(total > 0, total, 1)

    def mixed(counts: Array, least: Callable[[Array], Array]) -> Array:
        fair = masses[:, None] * jnp.sum(counts, 0) / jnp.sum(masses)
        missing = [
            admissible.excess(one, product(each, counts), product(each, fair), _MET)
            for one, each in zip(control.controls, control.members, strict=True)
        ]
        return counts + least(jnp.max(jnp.stack(missing), 0)) * (fair - counts)

    counts = mixed(counts, lambda part: part)
    lacking = masses - jnp.sum(counts, 1)
    counts += lacking[:, None] * jnp.sum(counts, 0) / jnp.sum(counts)
    return mixed(counts, jnp.max)
