"""Fair assignment to centres that stay where they are, with bounds on each group's share: what FAlg and FCBC solve."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax._core import group_codes
from fairjax._core.compiling import stage
from fairjax.assignment import FairAssignment, fair_assignment, several
from fairjax.baselines.problem import Problem, Table
from fairjax.errors import InputError
from fairjax.kmeans.distances import squared_distances

Shares = npt.NDArray[np.float64]


class FixedCenters:
    """Points and centres of one problem on the device; costs in its units, squared or not.

    Attributes
    ----------
    unit : what a cost on the device is worth in the data's units.
    """

    def __init__(self, problem: Problem, centers: Table, objective: str) -> None:
        points = problem.points
        self.problem = problem
        self.objective = objective
        self.unit = points.scale**2 if objective == "kmeans" else points.scale
        self._centers = points.to_device(np.asarray(centers, np.float64))

    def assign(self, lower: Shares, upper: Shares) -> FairAssignment:
        """The cheapest assignment with shares of the groups within bounds (M,); O(n K) a step."""
        return self._with_slopes(lower, upper)[0]

    def assign_with_slopes(self, lower: Shares, upper: Shares) -> tuple[FairAssignment, Shares]:
        """The same, and by how much its cost changes (M,) as both bounds of a group give way; at most 0."""
        found, slopes = self._with_slopes(lower, upper)
        return found, np.minimum(np.asarray(slopes, np.float64), 0)

    def _with_slopes(self, lower: Shares, upper: Shares) -> tuple[FairAssignment, Array]:
        points = self.problem.points
        dtype = points.X.dtype
        return _assign(
            points.X, self._centers, points.ids, points.weights, jnp.asarray(lower, dtype), jnp.asarray(upper, dtype),
            n_groups=points.n_groups, objective=self.objective,
        )  # fmt: skip

    def assign_each(self, members: Sequence[Table], lower: Sequence[Shares], upper: Sequence[Shares]) -> FairAssignment:
        """The cheapest assignment with shares of the groups of every attribute within bounds, (M_a,) each.

        ``members`` (M_a, M) say which groups of the problem, combinations of the attributes, have which of their
        values. The multipliers are those of the combinations.
        """
        points, device = self.problem.points, self.problem.points.X.dtype

        def moved(tables: Sequence[Table]) -> tuple[Array, ...]:
            return tuple(jnp.asarray(table, device) for table in tables)

        found = _assign_each(
            points.X, self._centers, points.ids, points.weights, moved(members), moved(lower), moved(upper),
            objective=self.objective,
        )  # fmt: skip
        prices = np.concatenate(members).T @ np.asarray(found.multipliers, np.float64)
        return found._replace(multipliers=prices)

    def labels(self, found: FairAssignment) -> npt.NDArray[np.int32]:
        """Labels (n,) of the points, without padding."""
        return np.asarray(found.labels)[: self.problem.n_points]

    def prices(self, found: FairAssignment) -> Shares:
        """Prices (M, K) in the data's units."""
        return np.asarray(found.multipliers, np.float64) * self.unit

    def cost(self, labels: npt.NDArray[np.int32], centers: Table) -> float:
        """Mean cost of labels to the centres, in the data's units and in double precision."""
        problem = self.problem
        squares = np.square(np.asarray(problem.X, np.float64) - np.asarray(centers)[labels]).sum(1)
        costs = squares if self.objective == "kmeans" else np.sqrt(squares)
        return float(costs @ problem.each / problem.masses.sum())


def missed(
    problem: Problem, labels: npt.NDArray[np.int32], lower: Shares, upper: Shares, members: Table | None = None
) -> Shares:
    """Weight (M,) by which a group misses its bounds in the worst cluster, at most; 0 where it keeps them.

    With ``members`` (M_a, M) by the groups of an attribute, of which those of the problem are combinations.
    """
    from fairjax.metrics import host

    table = host.contingency(labels, problem.groups, problem.weights, (problem.n_clusters, problem.n_groups))
    table = table if members is None else table @ members.T
    whole = table.sum(1, keepdims=True)
    return np.maximum(np.maximum(lower * whole - table, table - upper * whole).max(0), 0)


def shares_of(name: str, given: Any, problem: Problem, default: float) -> Shares:
    """Bounds (M,) from a number, one for each group in sorted order, or a mapping from group to bound."""
    if given is None:
        return np.full(problem.n_groups, default)
    if isinstance(given, Mapping):
        known = [group_codes.plain(value) for value in problem.known]
        strange = [key for key in given if key not in known]
        if strange:
            raise InputError(f"{name} names {group_codes.listed(strange)}; the groups are {group_codes.listed(known)}")
        given = [given.get(value, default) for value in known]
    try:
        bounds = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no number ({error}); expected shares from 0 to 1") from error
    if bounds.shape not in ((), (problem.n_groups,)):
        raise InputError(
            f"{name} has shape {bounds.shape}; expected one share, or one for each of the {problem.n_groups} groups"
        )
    if not ((bounds >= 0) & (bounds <= 1)).all():
        raise InputError(f"{name} is {bounds.tolist()}; expected shares from 0 to 1")
    return np.broadcast_to(bounds, (problem.n_groups,)).copy()


@partial(stage, static_argnames=("n_groups", "objective"))
def _assign(
    X: Array, centers: Array, ids: Array, weights: Array, lower: Array, upper: Array, *, n_groups: int, objective: str
) -> tuple[FairAssignment, Array]:
    costs = squared_distances(X, centers)
    if objective == "kmedian":
        costs = jnp.sqrt(costs)

    def value(room: Array) -> tuple[Array, FairAssignment]:
        found = fair_assignment(
            costs, ids, lower=lower - room, upper=upper + room, weights=weights, n_groups=n_groups
        )  # fmt: skip
        return found.primal, found

    slopes, found = jax.grad(value, has_aux=True)(jnp.zeros_like(lower))
    return jax.lax.stop_gradient(found), slopes


@partial(stage, static_argnames="objective")
def _assign_each(
    X: Array,
    centers: Array,
    ids: Array,
    weights: Array,
    members: tuple[Array, ...],
    lower: tuple[Array, ...],
    upper: tuple[Array, ...],
    *,
    objective: str,
) -> FairAssignment:
    costs = squared_distances(X, centers)
    if objective == "kmedian":
        costs = jnp.sqrt(costs)
    return several.of_cells(costs, ids, members, weights, {"lower": lower, "upper": upper})
