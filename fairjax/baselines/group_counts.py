"""Assignment of one group at a time, with bounds on the number of its points in each cluster."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax._core.compiling import stage
from fairjax.assignment import CapacityAssignment, capacity_assignment
from fairjax.baselines.problem import Labels, Problem, Table
from fairjax.errors import InputError
from fairjax.fca.scaled_points import padded
from fairjax.kmeans.distances import squared_distances

Counts = npt.NDArray[np.int64]
# labels (n,), prices (M, K) and gap of the assignment to centres (K, d)
Iteration = Callable[[Table], tuple[Labels, Table, float]]


class GroupCounts:
    """The groups of a problem on the device, each padded to the size of the largest, so that they share a program."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.members = [np.flatnonzero(problem.groups == group) for group in range(problem.n_groups)]
        self._size = padded(max(map(len, self.members)), 64)
        self._rows = [self._on_device(rows) for rows in self.members]

    def _on_device(self, rows: npt.NDArray[np.intp]) -> tuple[Array, Array]:
        index = jnp.asarray(np.pad(rows, (0, self._size - len(rows)), mode="edge"), jnp.int32)
        points = self.problem.points
        return points.X[index], jnp.asarray(np.arange(self._size) < len(rows), points.X.dtype)

    def assign(self, group: int, centers: Table, lower: Counts, upper: Counts) -> tuple[Labels, Table, float]:
        """Labels (n_s,) of one group, its prices (K,) and the gap; counts within bounds (K,), which admit some.

        O(n_s K) for each of the ten to twenty steps of the solver.
        """
        points = self.problem.points
        X, mask = self._rows[group]
        dtype = X.dtype
        found = _assign(X, points.to_device(centers), mask, jnp.asarray(lower, dtype), jnp.asarray(upper, dtype))
        if int(found.status) > 1:
            raise InputError(
                f"no assignment of the {len(self.members[group])} points of {self.problem.known[group]} keeps from "
                f"{lower.tolist()} to {upper.tolist()} of them in the clusters"
            )
        prices = np.asarray(points.cost_of(np.asarray(found.multipliers)))
        return np.asarray(found.labels)[: len(self.members[group])], prices, float(found.gap)


class End(NamedTuple):
    """The cheapest iteration: its labels (n,), prices (M, K), gap and cost, to ``centers`` (K, d); and how iterations
    ended.
    """

    labels: Labels
    prices: Table
    gap: float
    cost: float
    centers: Table
    n_iter: int
    settled: bool


def alternate(
    problem: Problem,
    centers: Table,
    iteration: Iteration,
    *,
    max_iter: int,
    tol: float,
    rise: bool = False,
    total: bool = False,
) -> End:
    """Iterations of assignment and means until the cost changes by no more than ``tol`` of it.

    With ``rise`` iterations go on where the cost has risen, as it may where they are greedy; with ``total`` the sum
    over the points is to change by no more than ``tol``.
    """
    best: End | None = None
    before = np.inf
    for n_iter in range(1, max_iter + 1):
        labels, prices, gap = iteration(centers)
        cost = cost_to(problem, labels, centers)
        if best is None or cost < best.cost:
            best = End(labels, prices, gap, cost, centers, n_iter, False)
        change = before - cost
        settled = (abs(change) if rise else change) <= (tol / problem.n_points if total else tol * cost)
        best = best._replace(n_iter=n_iter, settled=settled)
        if settled:
            break
        before, centers = cost, means(problem, labels, centers)
    assert best is not None
    return best


def alternate_by_means(problem: Problem, centers: Table, iteration: Iteration, *, max_iter: int, tol: float) -> End:
    """Iterations of assignment and means until the cost to the *new* means falls by less than ``tol`` of it.

    The one that falls short is made and dropped, even if it is a little cheaper, and does not count.
    """
    from fairjax.baselines.base import recomputed

    best: End | None = None
    for n_iter in range(1, max_iter + 1):
        labels, prices, gap = iteration(centers)
        moved, cost = recomputed(problem, labels, centers)
        if best is not None and best.cost - cost < tol * best.cost:
            return best._replace(settled=True)
        best, centers = End(labels, prices, gap, cost, centers, n_iter, False), moved
    assert best is not None
    return best


def means(problem: Problem, labels: Labels, centers: Table) -> Table:
    """Means (K, d) of the labels; a cluster without points keeps its centre."""
    from fairjax.baselines.base import recomputed

    return recomputed(problem, labels, centers)[0]


def cost_to(problem: Problem, labels: Labels, centers: Table) -> float:
    """Mean squared distance of the points to the centres of their clusters, in double precision."""
    return float(np.square(np.asarray(problem.X, np.float64) - centers[labels]).sum(1).mean())


@stage
def _assign(X: Array, centers: Array, mask: Array, lower: Array, upper: Array) -> CapacityAssignment:
    return capacity_assignment(squared_distances(X, centers), lower, upper, weights=mask)
