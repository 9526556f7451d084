"""FRAC (Gupta et al., 2023): every cluster gets a share of every group, as many points of it as every other one."""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from sklearn.utils.metaestimators import available_if

from fairjax._core.settings import setting
from fairjax.baselines import starts
from fairjax.baselines.base import PricedRule, estimator
from fairjax.baselines.fixed_centers import shares_of
from fairjax.baselines.group_counts import Counts, GroupCounts, alternate
from fairjax.baselines.problem import Found, Labels, Problem, Start, Table
from fairjax.estimators import rule


def _has_prices(model: "FRAC") -> bool:
    if model.assignment != "exact":
        raise AttributeError('the turns of assignment="round-robin" say nothing of new points; take "exact"')
    return True


@estimator
class FRAC(PricedRule):
    """Every cluster holds at least ⌊τ n_s / K⌋ points of group s (Gupta et al., 2023).

    As published, group by group clusters take their nearest free point in turns until each has that many, and what is
    left goes to the nearest centre. That is greedy; the same counts at least cost are an assignment with capacities,
    which ``assignment="exact"`` solves (with τ = 1 a cluster gets ⌊n_s/K⌋ or ⌈n_s/K⌉). Any number of groups. Attributes
    as told in :class:`~fairjax.baselines.Baseline`, and those of :class:`~fairjax.baselines.PricedRule`.

    Notes
    -----
    Round robin O(n K log n) an iteration, exact O(n K) for each step of the solver. The objective is the mean cost to
    the centres before their last update. Duplicates are points like others (the authors' code loses them).

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import FRAC
    >>> X, centers = np.array([[0.0], [1.0], [2.0], [3.0], [8.0], [9.0]]), [[0.0], [1.5], [9.0]]
    >>> greedy = FRAC(3, in_processing=False, init=centers).fit(X)
    >>> exact = FRAC(3, in_processing=False, assignment="exact", init=centers).fit(X)
    >>> round(6 * greedy.objective_, 3), round(6 * exact.objective_, 3), exact.labels_.tolist()
    (7.5, 4.5, [0, 0, 1, 1, 2, 2])
    """

    control: ClassVar[str | None] = "tau"

    tau: Any = setting(
        1.0,
        "Share of an even part of each group that every cluster holds at least.",
        words="float in [0, 1], array-like (M,) or mapping from group to float",
    )
    assignment: Literal["round-robin", "exact"] = setting(
        "round-robin", "As published, or at least cost, with prices and so a rule for new points."
    )
    in_processing: bool = setting(
        True, "Whether every iteration of k-means assigns in this way (FRAC), or only the last one does (FRAC_OE)."
    )
    tol_of: Literal["cost", "sum"] = setting(
        "cost",
        "What `tol` is measured in: parts of the cost, or the sum of squared distances itself, which the authors' "
        "code stops by: ``tol=30`` for τ = 1 and 200 for less, whatever the data. On some ten thousand rows that "
        "is sooner.",
    )
    n_init: int = setting(1, "Number of starts; the one of least objective is kept.")
    max_iter: int = setting(80, "Most iterations.")
    tol: float = setting(1e-3, "The iterations end when the cost changes by no more than this.")
    init: Any = setting(
        "k-means++",
        'Centres of plain k-means from such seeds; with `in_processing`, "random" means random points as they '
        "are, which is published. An array is taken as it is.",
    )

    predict = available_if(_has_prices)(PricedRule.predict)

    def _check(self, problem: Problem) -> None:
        shares_of("tau", self.tau, problem, 1.0)

    def _find(self, problem: Problem, start: Start) -> Found:
        random = start.centers is None and self.init == "random" and self.in_processing
        centers = starts.seeds(problem, start) if random else starts.solution(problem, start)
        iteration = _Iteration(problem, self.assignment, shares_of("tau", self.tau, problem, 1.0))
        if self.in_processing:
            end = alternate(
                problem, centers, iteration.assign, max_iter=int(self.max_iter), tol=float(self.tol), rise=True,
                total=self.tol_of == "sum",
            )  # fmt: skip
        else:
            end = alternate(problem, centers, iteration.assign, max_iter=1, tol=np.inf)
        return Found(
            end.labels,
            "converged" if end.settled else "stopped",
            end.cost,
            n_iter=end.n_iter,
            centers=end.centers,
            prices=end.prices,
            gap=end.gap if self.assignment == "exact" else None,
            details={"violation": iteration.violation(end.labels)},
        )


class _Iteration:
    """The assignment of one iteration."""

    def __init__(self, problem: Problem, how: str, tau: Table) -> None:
        self.problem = problem
        self.how = how
        self.sizes = np.bincount(problem.groups, minlength=problem.n_groups)
        # 0.7 * 10 must count as 7
        self.quotas = np.floor(tau * self.sizes / problem.n_clusters * (1 + 1e-12)).astype(np.int64)
        self.even = tau >= 1
        self.by_group = GroupCounts(problem) if how == "exact" else None

    def assign(self, centers: Table) -> tuple[Labels, Table, float]:
        """Labels (n,), and prices (M, K) and gap, zero where there are none."""
        problem = self.problem
        labels, prices = np.empty(problem.n_points, np.int32), np.zeros((problem.n_groups, problem.n_clusters))
        worst = 0.0
        for group in range(problem.n_groups):
            rows = np.flatnonzero(problem.groups == group)
            if self.by_group is None:
                labels[rows] = deal(
                    rule.distances(problem.X[rows], centers), self.quotas[group], bool(self.even[group])
                )
                continue
            lower, upper = self._bounds(group)
            labels[rows], prices[group], gap = self.by_group.assign(group, centers, lower, upper)
            worst = max(worst, gap)
        return labels, prices, worst

    def _bounds(self, group: int) -> tuple[Counts, Counts]:
        n_clusters, size = self.problem.n_clusters, int(self.sizes[group])
        most = -(-size // n_clusters) if self.even[group] else size
        return np.full(n_clusters, self.quotas[group]), np.full(n_clusters, most)

    def violation(self, labels: Labels) -> float:
        """Points that the emptiest cluster lacks of a group's quota."""
        counts = np.zeros((self.problem.n_clusters, self.problem.n_groups), np.int64)
        np.add.at(counts, (labels, self.problem.groups), 1)
        return float(np.maximum(self.quotas - counts, 0).max())


def deal(distances: npt.NDArray[np.floating], quota: int, even: bool) -> Labels:
    """Labels (n,) by turns: each cluster takes its nearest free point until it has ``quota`` of them.

    The rest goes on in turns if ``even``, else to the nearest centre. ``distances`` (n, K); of equal ones the first
    point. O(n K log n).

    Examples
    --------
    >>> import numpy as np
    >>> x, centers = np.array([0.0, 1, 2, 3, 8, 9]), np.array([0, 1.5, 9])
    >>> deal(abs(x[:, None] - centers), 2, True).tolist()
    [0, 1, 0, 1, 2, 2]
    """
    n_points, n_clusters = distances.shape
    orders = np.argsort(distances, 0, kind="stable").T.tolist()
    labels = [-1] * n_points
    reached = [0] * n_clusters
    for turn in range(n_points if even else min(quota * n_clusters, n_points)):
        cluster = turn % n_clusters
        order, place = orders[cluster], reached[cluster]
        while labels[order[place]] >= 0:
            place += 1
        labels[order[place]] = cluster
        reached[cluster] = place + 1
    found = np.array(labels, np.int32)
    return np.where(found < 0, distances.argmin(1), found).astype(np.int32)
