"""Fair assignment for several attributes, each fair by itself."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fairjax._core.precision import product
from fairjax._core.status import INVALID
from fairjax.assignment import attributes, controls, solving
from fairjax.assignment.asking import check_shapes, count_groups
from fairjax.assignment.attributes import Attributes
from fairjax.assignment.solving import FairAssignment, Multipliers
from fairjax.assignment.terms import Tolerances, default_tolerances
from fairjax.errors import InputError

_MOST_CELLS = 10_000


def fair_assignment(
    costs: ArrayLike,
    groups: tuple[ArrayLike, ...],
    *,
    epsilon: ArrayLike = 0.0,
    min_balance: Any = None,
    lower: Any = None,
    upper: Any = None,
    weights: ArrayLike | None = None,
    n_groups: Any = None,
    tolerances: Tolerances | None = None,
    max_iter: int = 100,
) -> FairAssignment:
    """Assign points to clusters at least cost such that the groups of every attribute are spread alike.

    This is what :func:`fairjax.fair_assignment` does if ``groups`` is a tuple of attributes. Men and women are spread
    fairly, and so are young and old; young women need not be, so the cost is lower than with a group for every
    combination. The dual has a table of prices for each attribute, and a point pays the sum (Bera et al., 2019, allow
    points in several groups).

    Parameters
    ----------
    costs : (n, K) float
        As for one attribute, like ``weights``, ``tolerances`` and ``max_iter``.
    groups : tuple of (n,) int
        Ids 0..M_a-1 of the groups of each attribute.
    epsilon : float
        0 only: an additive gap needs a single attribute.
    min_balance : float, or tuple of them, optional
        Floor for all attributes, or one for each.
    lower, upper : float, or tuple of float or (M_a,), optional
        Bounds on the share of each group in every cluster.
    n_groups : tuple of int, optional
        Number of groups of each attribute, static.

    Returns
    -------
    FairAssignment
        Its ``multipliers`` are a tuple of tables (M_a, K); a new point belongs to the cluster of least cost plus the
        sum of its groups' prices. Labels may miss the fair counts of a group by more than one point, since they are
        rounded in each combination of groups.

    Raises
    ------
    InputError
        As for one attribute; also if the number of controls is not that of the attributes, and for an epsilon.

    Notes
    -----
    O(n K (T + K)) for each of some twenty steps, where T is the number of combinations of groups (those that occur, or
    all if ids are traced), plus O((S K)³) for S groups in all. ``primal`` and ``dual`` have the gradient of the optimal
    value with respect to the costs, weights and controls.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax import fair_assignment
    >>> costs = jnp.array([[0.0, 4.0], [0.0, 1.0], [2.0, 0.0], [2.0, 0.0]])
    >>> sex, age = jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 0, 1])
    >>> result = fair_assignment(costs, (sex, age))
    >>> result.labels.tolist(), [table.shape for table in result.multipliers], int(result.status)
    ([0, 1, 1, 0], [(2, 2), (2, 2)], 0)
    """
    if not groups:
        raise InputError("groups is an empty tuple; expected the ids of at least one attribute")
    if isinstance(epsilon, jax.core.Tracer) or np.any(np.asarray(epsilon) != 0):
        raise InputError("epsilon is offered for one attribute; for several take min_balance, or lower and upper")
    if min_balance is not None and (lower is not None or upper is not None):
        raise InputError("both min_balance and bounds on shares are given; choose one fairness control")
    sizes = _sizes(groups, n_groups)
    costs = jnp.asarray(costs)
    if not jnp.issubdtype(costs.dtype, jnp.floating):
        costs = costs.astype(jnp.result_type(float))
    weights = None if weights is None else jnp.asarray(weights, costs.dtype)
    for ids in groups:
        check_shapes(costs, jnp.asarray(ids), weights)
    weights = jnp.ones((costs.shape[0],), costs.dtype) if weights is None else weights
    ids, members, known = cells(groups, sizes, costs.dtype)
    bounds = {"min_balance": min_balance, "lower": lower, "upper": upper}
    each = {name: _for_each(name, value, len(sizes)) for name, value in bounds.items() if value is not None}
    result = of_cells(costs, ids, members, weights, each, tolerances=tolerances, max_iter=max_iter)
    status = jnp.where(known, result.status, INVALID).astype(jnp.int32)
    first = np.cumsum(sizes)[:-1].tolist()
    return result._replace(status=status, multipliers=tuple(jnp.split(result.multipliers, first)))


def of_cells(
    costs: Array,
    ids: Array,
    members: tuple[Array, ...],
    weights: Array,
    each: dict[str, tuple[Any, ...]],
    *,
    tolerances: Tolerances | None = None,
    max_iter: int = 100,
) -> FairAssignment:
    """The same for points in cells ``ids`` (n,) with ``members`` (M_a, T), both from :func:`cells`.

    ``each`` holds the keywords of :func:`control`. The multipliers are one table (S, K), attribute after attribute.
    """
    tolerances = default_tolerances(costs.dtype) if tolerances is None else tolerances
    problem, valid = solving.problem(costs, ids, weights, members[0].shape[1])
    own = problem.masses / jnp.sum(problem.masses)
    fairness: Attributes = jax.lax.stop_gradient(control(own, members, **each))
    found = solving.solve(problem, fairness, tolerances, max_iter)
    status = jnp.where(valid, found.result.status, INVALID).astype(jnp.int32)
    result = found.result._replace(status=status)
    value = _lagrangian(fairness, result, found.multipliers, costs, problem.groups, weights, each)
    return solving.with_gradient(result, value)


def control(
    masses: Array,
    members: tuple[Array, ...],
    *,
    min_balance: tuple[Any, ...] | None = None,
    lower: tuple[Any, ...] | None = None,
    upper: tuple[Any, ...] | None = None,
) -> Attributes:
    """The control of several attributes; masses (T,) of the cells sum to 1. Without keywords perfect fairness."""
    own = [product(each, masses) for each in members]
    if min_balance is not None:
        found = [controls.balance(jnp.asarray(floor), mass) for floor, mass in zip(min_balance, own, strict=True)]
        return Attributes(tuple(found), members)
    if lower is None and upper is None:
        return Attributes(tuple(controls.shares(mass, mass, mass) for mass in own), members)
    low = (0.0,) * len(own) if lower is None else lower
    high = (1.0,) * len(own) if upper is None else upper
    bounds = zip(low, high, own, strict=True)
    return Attributes(tuple(controls.shares(jnp.asarray(a), jnp.asarray(b), mass) for a, b, mass in bounds), members)


def cells(
    groups: tuple[ArrayLike, ...], sizes: tuple[int, ...], dtype: Any
) -> tuple[Array, tuple[Array, ...], Array | bool]:
    """Cell (n,) of every point, the cells (M_a, T) of each attribute's groups, and whether all ids are in range.

    Concrete ids give only the cells that occur, traced ids all.
    """
    n_cells = int(np.prod(sizes))
    if any(isinstance(ids, jax.core.Tracer) for ids in groups):
        if n_cells > _MOST_CELLS:
            raise InputError(
                f"the attributes have {n_cells} combinations of groups, too many to set out under jit; pass ids that "
                "are not traced"
            )
        found = [jnp.asarray(ids, jnp.int32) for ids in groups]
        known = jnp.all(jnp.stack([jnp.all((ids >= 0) & (ids < size)) for ids, size in zip(found, sizes, strict=True)]))
        flat = jnp.zeros_like(found[0])
        for ids, size in zip(found, sizes, strict=True):
            flat = flat * size + jnp.clip(ids, 0, size - 1)
        where = np.stack(np.unravel_index(np.arange(n_cells), sizes))
        return flat, _members(where, sizes, dtype), known
    rows = np.stack([np.asarray(ids) for ids in groups])
    where, which = np.unique(rows, axis=1, return_inverse=True)
    return jnp.asarray(which.reshape(-1), jnp.int32), _members(where, sizes, dtype), True


def _members(where: np.ndarray, sizes: tuple[int, ...], dtype: Any) -> tuple[Array, ...]:
    return tuple(jnp.asarray(own == np.arange(size)[:, None], dtype) for own, size in zip(where, sizes, strict=True))


def _sizes(groups: tuple[ArrayLike, ...], n_groups: Any) -> tuple[int, ...]:
    given = (None,) * len(groups) if n_groups is None else n_groups
    if not isinstance(given, tuple) or len(given) != len(groups):
        raise InputError(f"n_groups is {n_groups!r}; expected a tuple of {len(groups)} numbers, one per attribute")
    return tuple(count_groups(ids, size) for ids, size in zip(groups, given, strict=True))


def _for_each(name: str, value: Any, count: int) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        return (value,) * count
    if len(value) != count:
        raise InputError(f"{name} has {len(value)} entries for {count} attributes; expected one for each")
    return value


def _lagrangian(
    fairness: Attributes,
    result: FairAssignment,
    multipliers: Multipliers,
    costs: Array,
    cell: Array,
    weights: Array,
    each: dict[str, tuple[Any, ...]],
) -> Array:
    """What the optimal value depends on directly; see :func:`fairjax.assignment.fair`."""
    result, (counts, pressure, _) = jax.lax.stop_gradient((result, multipliers))
    share = weights / jnp.sum(weights)
    prices = attributes.paid(fairness, result.multipliers)
    value = jnp.sum(share[:, None] * result.probabilities * (costs + prices[cell]))
    in_clusters = jnp.sum(counts, 0)
    for i, (pressing, members) in enumerate(zip(fairness.split(pressure), fairness.members, strict=True)):
        if "min_balance" in each:
            most = jnp.max(product(members, counts), 0)
            value -= each["min_balance"][i] * jnp.sum(most * jnp.minimum(pressing, 0))
        if "lower" in each:
            value -= jnp.sum(each["lower"][i] * (jnp.minimum(pressing, 0) @ in_clusters))
        if "upper" in each:
            value -= jnp.sum(each["upper"][i] * (jnp.maximum(pressing, 0) @ in_clusters))
    return value
