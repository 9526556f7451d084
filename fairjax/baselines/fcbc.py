"""FCBC (Esmaeili et al., 2021): the least unfairness that a bound on the cost allows, to plain centres."""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from fairjax._core.settings import setting
from fairjax.assignment import FairAssignment
from fairjax.baselines import starts
from fairjax.baselines.base import PricedRule, estimator
from fairjax.baselines.fixed_centers import FixedCenters, Shares, missed
from fairjax.baselines.problem import Found, Problem, Start

_CLOSE = {4: 1e-6, 8: 2e-9}  # of the budget: what a solved programme may be off, by bytes of its numbers
_NARROW = 1e-6  # of a share: as well as a violation need be known
_FLAT = 1e-4  # and what rounding in the budget may make of it
_ROUNDS = 60  # solves for one least violation; a Newton step takes about six
_EXCHANGES = 12  # rounds in which groups trade violations
_IDLE = 1e-3  # of the largest slope: a group whose bounds cost less than that is not what holds the others up


@estimator
class FCBC(PricedRule):
    """Fair clustering under a bounded cost (Esmaeili et al., NeurIPS 2021).

    Centres are those of a clustering that knows no groups. A group's violation Δ_h is how far its share leaves
    [π(1 − δ), α_h] in its worst cluster, α_h = π(1 + δ) for two groups and π / (1 − δ) for more. Among the assignments
    whose cost is at most U, one of least violation is found: V(v), the least cost under bounds relaxed by v, comes with
    its slope from :func:`fairjax.assignment.fair_assignment`, and V(v) = U is solved by Newton's method in a bracket.
    Attributes as told in :class:`~fairjax.baselines.Baseline` and :class:`~fairjax.baselines.PricedRule`.

    Attributes
    ----------
    relaxation_ : ndarray (M,)
        Violation that each group is allowed.
    budget_ : float
        U, per point.
    violation_ : float
        Points (weight) by which a group misses its relaxed bounds in the worst cluster, after rounding.

    Notes
    -----
    O(n K) for each step of the solver, some ten to twenty in each of about six programmes. V is not convex in v, but it
    never rises. The objective is the violation.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import FCBC
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [1.5], [4.0], [4.5], [6.0]])
    >>> sex = ["f"] * 4 + ["m"] * 4
    >>> model = FCBC(2, pof=1.2, delta=0.0, init=[[0.0], [4.0]]).fit(X, sensitive_features=sex)
    >>> round(8 * model.budget_, 3), round(model.objective_, 4)
    (18.0, 0.0676)
    """

    control: ClassVar[str | None] = "pof"
    _weighted = True

    pof: float = setting(
        1.05,
        "Price of fairness: U is pof² times the cost of the plain clustering for k-means, since the authors' code "
        "takes the root of the cost, and pof times for k-median.",
        least=1.0,
        words="float ≥ 1",
    )
    violation: Literal["egalitarian", "utilitarian", "leximin"] = setting(
        "egalitarian",
        "What is least: the largest Δ_h; their sum (for more than two groups a local optimum: no group may trade "
        "with another); the largest, then the second largest, and so on. For two groups all agree.",
    )
    delta: float = setting(0.05, "Room of the shares that is no violation.", below=1.0, words="float in [0, 1)")
    objective: Literal["kmeans", "kmedian"] = setting("kmeans", "Squared distances, or distances.")
    max_iter: int = setting(100)

    def _find(self, problem: Problem, start: Start) -> Found:
        centers = starts.vanilla(problem, start, self.objective)
        fixed = FixedCenters(problem, centers, self.objective)
        own = problem.masses / problem.masses.sum()
        upper = own * (1 + self.delta) if problem.n_groups == 2 else own / (1 - self.delta)
        search = _Search(fixed, own * (1 - self.delta), np.minimum(upper, 1))
        budget = search.plain * (self.pof**2 if self.objective == "kmeans" else self.pof)
        room = search.least(budget, np.zeros(problem.n_groups, bool), np.zeros(problem.n_groups))
        if problem.n_groups > 2 and self.violation == "leximin":
            room = search.leximin(budget, room)
        elif problem.n_groups > 2 and self.violation == "utilitarian":
            room = search.utilitarian(budget, room)
        return self._found(problem, search, room, budget * fixed.unit, centers)

    def _found(self, problem: Problem, search: "_Search", room: Shares, budget: float, centers: Any) -> Found:
        solved, fixed = search.solved(room), search.fixed
        labels, status, gap = fixed.labels(solved), int(solved.status), float(solved.gap)
        lower, upper = search.bounds(room)
        table = missed(problem, labels, lower, upper)
        return Found(
            labels,
            "optimal" if status == 0 else "stopped",
            float(room.sum() if self.violation == "utilitarian" else room.max(initial=0)),
            n_iter=search.n_solves,
            message="" if status == 0 else f"the last assignment stopped short of its tolerance (gap {gap:.1e})",
            centers=centers,
            prices=fixed.prices(solved),
            gap=gap,
            details={"relaxation": room, "budget": budget, "violation": float(table.max())},
        )

    def _keep(self, found: Found, problem: Problem) -> None:
        super()._keep(found, problem)
        self.relaxation_ = found.details["relaxation"]
        self.budget_ = found.details["budget"]
        self.violation_ = found.details["violation"]


class _Search:
    """Violations of least size; costs in the units of the device. ``plain`` is the cost without bounds."""

    def __init__(self, fixed: FixedCenters, lower: Shares, upper: Shares) -> None:
        self.fixed = fixed
        self._lower, self._upper = lower, upper
        self._known: dict[bytes, tuple[FairAssignment, Shares]] = {}
        self.plain = self.cost(np.ones(len(lower)))

    @property
    def n_solves(self) -> int:
        return len(self._known)

    def bounds(self, room: Shares) -> tuple[Shares, Shares]:
        """Bounds (M,) relaxed by ``room`` (M,)."""
        return np.maximum(self._lower - room, 0), np.minimum(self._upper + room, 1)

    def _solve(self, room: Shares) -> tuple[FairAssignment, Shares]:
        key = np.asarray(room, np.float64).tobytes()
        if key not in self._known:
            self._known[key] = self.fixed.assign_with_slopes(*self.bounds(room))
        return self._known[key]

    def solved(self, room: Shares) -> FairAssignment:
        return self._solve(room)[0]

    def cost(self, room: Shares) -> float:
        return float(self.solved(room).primal)

    def slopes(self, room: Shares) -> Shares:
        return self._solve(room)[1]

    def least(self, budget: float, held: npt.NDArray[np.bool_], room: Shares) -> Shares:
        """The room in which those groups that are not ``held`` (M,) have the least in common that the budget allows."""
        return self._along(budget, np.where(held, room, 0), (~held).astype(float))

    def _along(self, budget: float, base: Shares, direction: Shares) -> Shares:
        """``base`` + v ``direction`` for the least v ≥ 0 whose cost is within the budget."""
        close = _CLOSE[self.fixed.problem.points.X.dtype.itemsize] * budget
        if self.cost(base) <= budget + close:
            return base
        low, high, v = 0.0, 1.0, 0.0
        for _ in range(_ROUNDS):
            at = base + v * direction
            over, slope = self.cost(at) - budget, -float(self.slopes(at) @ direction)
            low, high = (v, high) if over > close else (low, v)
            # where the cost is steep, being within the budget to rounding says where v is
            if high - low <= _NARROW or (abs(over) <= close and close <= _FLAT * slope):
                break
            # a little beyond, so that the bracket closes from both sides
            v = v + over / slope * (1 + 1e-4 * np.sign(over)) if slope > 0 else np.inf
            if not low < v < high:
                v = low + (high - low) / 2
        return base + (high if over > close else v) * direction

    def leximin(self, budget: float, room: Shares) -> Shares:
        """Groups that hold the others up stay at what they have; the others go on together, until there are none."""
        held = np.zeros(len(room), bool)
        while not held.all():
            slopes = -self.slopes(room)
            active = ~held & (slopes > _IDLE * slopes.max(initial=0)) & (room > 0)
            if not active.any():
                break
            held |= active
            if not held.all():
                room = self.least(budget, held, room)
        return room

    def utilitarian(self, budget: float, room: Shares) -> Shares:
        """Rooms of least sum from which no pair of groups can trade: more for the one whose bounds cost most."""
        step = room.max(initial=0) / 2
        for _ in range(_EXCHANGES):
            slopes = -self.slopes(room)
            dear, cheap = int(slopes.argmax()), int(np.where(room > 0, slopes, np.inf).argmin())
            if step <= 1e-6 or dear == cheap:
                break
            given = room.copy()
            given[cheap] = max(given[cheap] - step, 0)
            only = np.zeros(len(room))
            only[dear] = 1
            tried = self._along(budget, np.where(only > 0, 0, given), only)
            if tried.sum() < room.sum() - 1e-9:
                room = tried
            else:
                step /= 2
        return room
