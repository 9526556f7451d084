"""Iterations over a table that is read anew in each: fair assignment, then centre update, as in memory.

An iteration reads the table once where the sample has foreseen the prices well enough, and again otherwise. It ends
with an assignment that is the best one for its centres, or whose cost is proven to be within the tolerated gap of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from fairjax.assignment.solution import Solution
from fairjax.assignment.terms import Prices, Tolerances
from fairjax.fca.direct import at_rest
from fairjax.fca.fitting import Fairness
from fairjax.fca.points import GroupedPoints
from fairjax.fca.splits import worth_it
from fairjax.fca.streaming import solves
from fairjax.fca.streaming.feed import Layout, Workshop
from fairjax.fca.streaming.intake import Floats, Intake
from fairjax.fca.streaming.passes import Doubles, Found, Watch, one_pass
from fairjax.fca.streaming.solves import Attempt, Small

GAP = 1e-5  # relative, of an assignment that counts as solved
_FAIR = 1e-6  # of a group, by which counts may be off at the end
_NEARLY_FAIR = 1e-4  # and before the centres move: that costs about the tolerated gap, as with estimates in memory
_ROUGH = 0.1  # of the tolerated gap: enough for an assignment that only moves the centres
_LOOKS = 5  # passes of an iteration, at most
_LAST_LOOKS = 10
_NO_COST = 1e-13  # squares of features that float32 tells apart, whose greatest is about one
_NEAR = 1.5  # times as far as the rows that were open in the last pass are those of the next one

Report = Callable[[str, int, float, float | None], None]  # words, rows and seconds of this pass, gap so far


@dataclass(frozen=True, eq=False)
class StreamProblem:
    """What is the same for all iterations.

    Attributes
    ----------
    intake, layout : the table of ``n_rows`` rows, and how it comes to the device.
    sample : its rows that stay there.
    masses : (M,) shares of the groups. whole : weight of all rows, relative to the heaviest.
    spread : () weighted mean square of the features, and variance : () about their mean; on the device's scale.
    fairness, tol : as in a fit in memory. n_open : rows near a boundary that are looked at closely.
    workshop : what passes leave for each other. go_over : makes a pass.
    """

    intake: Intake
    layout: Layout
    n_rows: int
    sample: GroupedPoints
    masses: Doubles
    whole: float
    spread: float
    variance: float
    fairness: Fairness
    tol: float
    n_open: int
    workshop: Workshop = field(default_factory=Workshop)
    go_over: Callable[..., Found] = one_pass


class StreamState(NamedTuple):
    """Between two iterations; on the host, a few thousand bytes.

    Attributes
    ----------
    centers : (K, d) of the next iteration. y : (M, K), level : (K,) prices of the last one.
    reach : () by how much prices changed from iteration to iteration, miss : () by how much they were foreseen wrongly.
    missed : (M, K) counts that the sample fell short by in the last pass. radius : () of that pass.
    cost : () of the last iteration. best_centers, best_cost : of the cheapest one.
    history : cost of each iteration. n_passes : () over the table. gap : () of the last iteration. converged : ().
    sizes : (K,) weights of the clusters in the last iteration. kept_centers, kept_cost : of the cheapest iteration
        before centres without rows were moved to where they are.
    """

    centers: Floats
    y: Doubles
    level: Doubles
    reach: float
    miss: float
    missed: Doubles
    radius: float
    cost: float
    best_centers: Floats
    best_cost: float
    history: tuple[float, ...]
    n_passes: int
    gap: float
    converged: bool
    sizes: Doubles
    kept_centers: Floats
    kept_cost: float


class Last(NamedTuple):
    """The assignment that ends a fit: its centres, the pass, what the open rows came to, and their certificate."""

    centers: Floats
    prices: Floats
    found: Found
    attempt: Attempt
    solution: Solution


def begin(problem: StreamProblem, centers: Floats) -> StreamState:
    """Before the first iteration; ``centers`` (K, d) are on the device's scale."""
    shape = len(problem.masses), len(centers)
    centers = np.asarray(centers, problem.layout.dtype)
    level = np.full(len(centers), 1 / len(centers))
    return StreamState(
        centers, np.zeros(shape), level, np.inf, np.inf, np.zeros(shape), np.inf, np.inf, centers, np.inf, (), 0,
        np.inf, False, np.ones(len(centers)), centers, np.inf,
    )  # fmt: skip


def step(problem: StreamProblem, state: StreamState, report: Report | None = None) -> StreamState:
    """One iteration: fair assignment of all rows, then centre update."""
    number = len(state.history) + 1
    state, found, attempt = _assigned(problem, state, state.centers, f"iteration {number}", report)[:3]
    # an assignment that is not quite fair may cost less than any that is
    cost = max(float(attempt.cost), float(attempt.bound))
    soft, opened = np.asarray(attempt.soft), found.open
    own = np.zeros_like(soft)
    n = len(opened.rows)
    own[np.arange(n), opened.labels] = opened.masses / problem.whole
    sums = found.sums / problem.whole + (soft - own)[:n].T @ opened.features.astype(np.float64)
    counts = np.asarray(attempt.counts).sum(0)
    present = counts > np.finfo(problem.layout.dtype).eps
    means = np.where(present[:, None], sums / np.where(present, counts, 1)[:, None], state.centers)
    centers = means.astype(problem.layout.dtype)
    gain = float(np.sum(counts * np.sum(np.square(centers - state.centers.astype(np.float64)), 1)))
    measured: list[Any] = [gain, cost, state.best_cost, problem.variance, problem.tol, GAP]
    over = at_rest(*map(jnp.asarray, measured))
    better = cost < state.best_cost and np.isfinite(state.gap)  # what is far from fair may cost anything
    return state._replace(
        centers=centers,
        cost=cost,
        best_centers=state.centers if better else state.best_centers,
        best_cost=cost if better else state.best_cost,
        history=(*state.history, cost),
        converged=bool(over),
        sizes=np.where(present, counts, 0),
    )


def refilled(problem: StreamProblem, state: StreamState) -> StreamState | None:
    """A state that is at rest, with centres that no row is assigned to moved to one half of other clusters.

    Where to is found in the sample, and what it gains in the iterations that follow. None where no centre is without
    rows, none can be put to use, or the last time has gained nothing. O(m K M d) for the m rows of the sample.
    """
    if state.sizes.min() > 0 and len(np.unique(state.centers, axis=0)) == len(state.centers):
        return None
    if not state.best_cost < state.kept_cost:
        return None
    dtype = problem.layout.dtype
    centers = _best(state)
    numbers: list[Any] = [np.asarray(value, dtype) for value in (problem.variance, problem.fairness.value)]
    moved, parents, gain = solves.refill(
        problem.sample, centers, problem.masses.astype(dtype), state.y.astype(dtype), state.sizes.astype(dtype),
        *numbers, kind=problem.fairness.kind,
    )  # fmt: skip
    of_each = np.asarray(parents)
    if not bool(worth_it(gain, jnp.asarray(state.best_cost, dtype), numbers[0])):
        return None
    return state._replace(
        centers=np.asarray(moved, dtype),
        y=state.y[:, of_each],  # both halves begin at the prices of the whole
        level=state.level[of_each],
        reach=np.inf,
        miss=np.inf,
        missed=np.zeros_like(state.missed),
        radius=np.inf,
        cost=np.inf,
        best_centers=np.asarray(moved, dtype),
        best_cost=np.inf,
        converged=False,
        kept_centers=centers,
        kept_cost=state.best_cost,
    )


def _best(state: StreamState) -> Floats:
    """Centres (K, d) of the least cost so far."""
    if state.kept_cost <= state.best_cost and np.isfinite(state.kept_cost):
        return state.kept_centers
    return state.centers if state.converged and state.cost <= state.best_cost else state.best_centers


def finish(problem: StreamProblem, state: StreamState, report: Report | None = None) -> tuple[StreamState, Last]:
    """The assignment of all rows to the cheapest centres, with its certificate."""
    at_centers = _best(state)
    state, found, attempt, prices = _assigned(problem, state, at_centers, "last iteration", report, last=True)
    with jax.enable_x64(True):
        solution = solves.conclude(
            attempt.points, attempt.optimum, _tolerances(), jnp.asarray(problem.fairness.value, jnp.float64),
            kind=problem.fairness.kind,
        )  # fmt: skip
    return state._replace(best_centers=at_centers), Last(at_centers, prices, found, attempt, solution)


def _assigned(
    problem: StreamProblem,
    state: StreamState,
    centers: Floats,
    words: str,
    report: Report | None,
    *,
    last: bool = False,
) -> tuple[StreamState, Found, Attempt, Floats]:
    """State with the prices found, the last pass, what its open rows came to, and the prices of that pass."""
    for look in range(1, (_LAST_LOOKS if last else _LOOKS) + 1):
        y, level, paid = _foreseen(problem, state, centers)

        watch = _watching(report, f"{words}, pass {look}", state.gap)
        found = problem.go_over(
            problem.intake, problem.layout, centers, paid, n_open=problem.n_open, near=_NEAR * state.radius,
            workshop=problem.workshop, watch=watch,
        )  # fmt: skip
        attempt = _attempted(problem, found, centers, paid, _prices(y, level, state.miss, np.float64), last)
        new = np.asarray(attempt.optimum.prices.y)
        counts = found.counts / problem.whole
        missed = solves.missed(problem.sample, centers, paid, counts.astype(problem.layout.dtype))
        gap = relative_gap(float(attempt.cost), float(attempt.bound))
        fair = float(attempt.violation) <= (_FAIR if last else _NEARLY_FAIR)
        # where rows run out, their prices are what it would cost others to follow, and the foreseen ones are better
        scarce = float(attempt.shift) > solves.DETERRENT / 2 * found.radius
        following = new if bool(attempt.held) or (fair and not scarce) else y
        state = state._replace(
            y=following,
            level=np.asarray(attempt.optimum.prices.level) if fair else level,
            reach=_apart(following - state.y) if look == 1 else _apart(new - y),
            miss=_apart(new - y),
            missed=np.asarray(missed, np.float64),
            # where hardly any row was that near, look at all of them again
            radius=found.radius if 2 * len(found.open.rows) >= problem.n_open else np.inf,
            n_passes=state.n_passes + 1,
            gap=gap if fair else np.inf,
        )
        if bool(attempt.held) or (fair and gap <= GAP):
            break
    return state, found, attempt, paid


def _watching(report: Report | None, words: str, gap: float) -> Watch | None:
    if report is None:
        return None
    return lambda n_rows, seconds: report(words, n_rows, seconds, gap if np.isfinite(gap) else None)


def _prices(y: Doubles, level: Doubles, reach: float, dtype: Any) -> Prices:
    parts: list[Any] = [np.asarray(part, dtype) for part in (y, level, reach)]
    return Prices(*parts)


def relative_gap(cost: float, bound: float) -> float:
    """How far a cost is above a bound, relative to it; on the device's scale, where the least cost is no cost."""
    return max(cost - bound, 0.0) / max(abs(cost), _NO_COST)


def _apart(change: Doubles) -> float:
    """By how much prices (M, K) that have changed so have moved against each other within a group."""
    return float(np.max(change.max(1) - change.min(1)))


def _foreseen(problem: StreamProblem, state: StreamState, centers: Floats) -> tuple[Doubles, Doubles, Floats]:
    dtype = problem.layout.dtype
    warm = _prices(state.y, state.level, state.reach, dtype)
    tolerances = _tolerances(GAP, 0.3 * GAP, GAP, dtype)
    found, paid = solves.foresee(
        problem.sample, centers, problem.masses.astype(dtype), state.missed.astype(dtype), warm, tolerances,
        np.asarray(problem.fairness.value, dtype), kind=problem.fairness.kind,
    )  # fmt: skip
    return np.asarray(found.y, np.float64), np.asarray(found.level, np.float64), np.asarray(paid)


def _tolerances(gap: float = GAP, inner: float = 1e-8, residual: float = 1e-11, dtype: Any = np.float64) -> Tolerances:
    parts: list[Any] = [np.asarray(part, dtype) for part in (gap, inner, residual)]
    return Tolerances(*parts)


def _attempted(
    problem: StreamProblem, found: Found, centers: Floats, paid: Floats, warm: Prices, last: bool
) -> Attempt:
    n_open, opened = problem.n_open, found.open
    empty = n_open - len(opened.rows)

    def filled(part: npt.NDArray[Any], dtype: Any = np.float64) -> npt.NDArray[Any]:
        return np.pad(part.astype(dtype), ((0, empty), *[(0, 0)] * (part.ndim - 1)))

    small = Small(
        filled(opened.features), filled(opened.ids, np.int32), filled(opened.labels, np.int32),
        filled(opened.masses) / problem.whole, found.counts / problem.whole,
        np.float64(found.cost / problem.whole + problem.spread), np.float64(found.radius), paid.astype(np.float64),
        problem.masses,
    )  # fmt: skip
    with jax.enable_x64(True):
        value = np.float64(problem.fairness.value)
        # to move the centres, an interior assignment within the promised gap is enough
        tolerances = _tolerances() if last else _tolerances(GAP, _ROUGH * GAP, 0.1 * _NEARLY_FAIR)
        return solves.attempt(small, centers.astype(np.float64), warm, tolerances, value, kind=problem.fairness.kind)
