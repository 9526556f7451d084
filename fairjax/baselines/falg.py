"""FAlg (Bera et al., 2019): plain centres, and the cheapest assignment to them within bounds on each group's share."""

from typing import Any, ClassVar, Literal

import numpy as np

from fairjax._core.settings import setting
from fairjax.baselines import starts
from fairjax.baselines.base import PricedRule, estimator
from fairjax.baselines.fixed_centers import FixedCenters, Shares, missed, shares_of
from fairjax.baselines.problem import Found, Problem, Start
from fairjax.errors import InputError
from fairjax.estimators import inputs
from fairjax.metrics import host

_UNMET = "no assignment keeps the bounds: they exclude the shares that the groups have in the whole data"


@estimator
class FAlg(PricedRule):
    """Fair assignment to the centres of a clustering that knows no groups (Bera et al., NeurIPS 2019).

    In every cluster the share of group s is from β_s to α_s; by default β = π(1 − δ) and α = π / (1 − δ), π the group's
    share in the data. The linear programme is solved exactly, with a proof; rounding keeps each group's count in each
    cluster within one point of the fractional one. (The paper rounds by a sequence of programmes with a violation of up
    to 4Δ + 3 points, Δ the number of groups that a point is in.) Attributes as told in
    :class:`~fairjax.baselines.Baseline` and :class:`~fairjax.baselines.PricedRule`.

    Attributes
    ----------
    violation_ : float
        Points (weight) by which a group misses its bounds in the worst cluster, after rounding; below M. Of several
        attributes the most; since points are rounded in each combination, it may be as many as those that a group has.
    attribute_balances_ : list of (float, float)
        With ``attributes="separately"`` balance and best value by each column, of which `balance_` and `max_balance_`
        are the least; otherwise empty.

    Notes
    -----
    O(n K) for each of the ten to twenty steps of the solver. The objective is the mean cost to `assigned_centers_`.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import FAlg
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [1.5], [4.0], [4.5], [6.0]])
    >>> sex = ["f"] * 4 + ["m"] * 4
    >>> model = FAlg(2, delta=0.0, init=[[0.0], [4.0]]).fit(X, sensitive_features=sex)
    >>> round(8 * model.objective_, 3), model.balance_, model.status_
    (20.5, 1.0, 'optimal')
    """

    control: ClassVar[str | None] = "delta"
    _weighted = True

    delta: float = setting(
        0.2,
        "Room of the shares, 0 for perfect fairness; the papers' value is 0.2. Ignored where `lower` or `upper` "
        "is given.",
        below=1.0,
        words="float in [0, 1)",
    )
    lower: Any = setting(
        None,
        "Bounds β of the shares, in the order of `groups_`.",
        words="float, array-like (M,) or mapping from group to float, optional",
    )
    upper: Any = setting(
        None,
        "Bounds α of the shares, in the order of `groups_`.",
        words="float, array-like (M,) or mapping from group to float, optional",
    )
    objective: Literal["kmeans", "kmedian"] = setting("kmeans", "Squared distances, or distances.")
    attributes: Literal["jointly", "separately"] = setting(
        "jointly",
        "What several columns of `sensitive_features` mean: each combination of their values is a group, or the "
        "groups of every column keep bounds of their own (the paper's overlapping groups), by `delta` only.",
    )
    max_iter: int = setting(100)
    init: Any = setting("k-means++", "The clustering starts from there. An array is taken for its centres as they are.")

    def _check(self, problem: Problem) -> None:
        if self._members(problem) and (self.lower is not None or self.upper is not None):
            raise InputError(
                "lower and upper are bounds for one set of groups; with attributes='separately' take delta"
            )
        lower, upper = self._bounds(problem)
        if (lower > upper).any():
            raise InputError(f"lower is {lower.tolist()} and upper {upper.tolist()}; expected lower below upper")

    def _bounds(self, problem: Problem) -> tuple[Shares, Shares]:
        """Bounds (M,) of the shares."""
        if self.lower is not None or self.upper is not None:
            return shares_of("lower", self.lower, problem, 0.0), shares_of("upper", self.upper, problem, 1.0)
        return self._around(problem.masses)

    def _around(self, masses: Shares) -> tuple[Shares, Shares]:
        """Bounds (M,) around the shares of groups of these masses (M,)."""
        own = masses / masses.sum()
        return own * (1 - self.delta), np.minimum(own / (1 - self.delta), 1)

    def _members(self, problem: Problem) -> list[Shares]:
        """Which groups have which value (M_a, M) of every attribute, where each is to be fair by itself."""
        return inputs.members_of(problem.known) if self.attributes == "separately" else []

    def _find(self, problem: Problem, start: Start) -> Found:
        lower, upper = self._bounds(problem)
        centers = starts.vanilla(problem, start, self.objective)
        fixed = FixedCenters(problem, centers, self.objective)
        members = self._members(problem)
        parts = [(own, *self._around(own @ problem.masses)) for own in members]
        solved = fixed.assign_each(*zip(*parts, strict=True)) if parts else fixed.assign(lower, upper)
        labels, status, gap = fixed.labels(solved), int(solved.status), float(solved.gap)
        if status > 1:
            return Found(labels, "infeasible", np.inf, message=f"{_UNMET}; {_told(problem, lower, upper)}")
        short = f"the assignment stopped short of its tolerance (gap {gap:.1e})"
        bounded = [(lower, upper, None)] if not parts else [(low, high, own) for own, low, high in parts]
        violation = max(float(missed(problem, labels, low, high, own).max()) for low, high, own in bounded)
        return Found(
            labels,
            "optimal" if status == 0 else "stopped",
            fixed.cost(labels, centers),
            message="" if status == 0 else short,
            centers=centers,
            prices=fixed.prices(solved),
            gap=gap,
            details={"primal": float(solved.primal) * fixed.unit, "violation": violation},
        )

    def _keep(self, found: Found, problem: Problem) -> None:
        super()._keep(found, problem)
        self.violation_ = found.details["violation"]
        self.attribute_balances_: list[tuple[float, float]] = []
        if members := self._members(problem):
            shape = (problem.n_clusters, problem.n_groups)
            table = host.contingency(self.labels_, problem.groups, problem.weights, shape)
            self.attribute_balances_ = inputs.balances_of(table, members)
            self.balance_, self.max_balance_ = map(min, zip(*self.attribute_balances_, strict=True))


def _told(problem: Problem, lower: Shares, upper: Shares) -> str:
    """The first group whose share lies outside."""
    own = problem.masses / problem.masses.sum()
    for value, share, low, high in zip(problem.known, own, lower, upper, strict=True):
        if not low <= share <= high:
            return f"the share of {value} is {share:.4g}, outside of {low:.4g} to {high:.4g}: widen them"
    return "widen them"
