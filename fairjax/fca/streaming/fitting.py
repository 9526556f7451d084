"""Whole fits over a table that is read again and again: survey, a start from the sample, iterations, certificate.

Memory holds the sample, the rows near a boundary and a few blocks, whatever the number of rows. All of this runs on the
host, which calls compiled programs for each block.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax.fca import fitting
from fairjax.fca.fitting import Fairness
from fairjax.fca.points import block_shape
from fairjax.fca.restarts import Init, Outcome
from fairjax.fca.scaled_points import padded, scale_points
from fairjax.fca.streaming import iterations, solves
from fairjax.fca.streaming.feed import Layout, Workshop
from fairjax.fca.streaming.intake import Intake
from fairjax.fca.streaming.iterations import Last, Report, StreamProblem, StreamState
from fairjax.fca.streaming.passes import Found, one_pass
from fairjax.fca.streaming.rule import Copies, Rule, listed, whole_copies
from fairjax.fca.streaming.sampling import for_start
from fairjax.fca.streaming.scratch import Copied
from fairjax.fca.streaming.survey import Survey

BLOCK_ROWS = 2**18
_LEAST_OPEN, _MOST_OPEN = 2**15, 2**17
_OPEN_PART = 512  # one row in so many is looked at closely


class Streamed(NamedTuple):
    """What a fit over a table ends with, in the table's units.

    Attributes
    ----------
    centers : (K, d). cost : mean squared distance of the labels. counts : (M, K) weight of the labels.
    shares : (M, K) of the fractional assignment; weights sum to 1. prices, pressing : (M, K).
    primal, dual, gap, status, met, n_steps : of the fractional assignment.
    n_iter, n_passes, converged, history : of the iterations. rule : :class:`Rule`.
    """

    centers: npt.NDArray[np.float64]
    cost: float
    counts: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]
    prices: npt.NDArray[np.float64]
    pressing: npt.NDArray[np.float64]
    primal: float
    dual: float
    gap: float
    status: int
    met: bool
    n_steps: int
    n_iter: int
    n_passes: int
    converged: bool
    history: npt.NDArray[np.float64]
    rule: Rule


def problem_of(
    intake: Intake,
    survey: Survey,
    fairness: Fairness,
    dtype: Any,
    *,
    tol: float = 1e-4,
    block_rows: int = BLOCK_ROWS,
    n_open: int | None = None,
    go_over: Callable[..., Found] = one_pass,
    copied: Copied | None = None,
) -> StreamProblem:
    """The problem of a surveyed table; ``n_open`` rows stay open (by default one in 512, from 2^15 to 2^17).

    ``copied`` says where to keep a copy of so many rows, laid out so, if one is kept.
    """
    size = padded(min(survey.n_rows, block_rows), 64)
    n_parts, length = block_shape(size)
    layout = Layout(
        (n_parts, survey.sample.X.shape[1], length), np.dtype(dtype), survey.shift, survey.scale, survey.heaviest
    )
    if n_open is None:
        n_open = min(max(survey.n_rows // _OPEN_PART, _LEAST_OPEN), _MOST_OPEN)
    features = np.empty(survey.sample.X.shape[::-1], dtype)
    layout.features(survey.sample.X.T, features)
    weights = (survey.sample.weights / survey.sample.weights.max()).astype(dtype)
    sample = solves.lay_out(np.ascontiguousarray(features.T), survey.sample.ids, weights, n_groups=len(survey.groups))
    return StreamProblem(
        intake,
        layout,
        survey.n_rows,
        sample,
        survey.masses / survey.masses.sum(),
        float(survey.masses.sum() / survey.heaviest),
        survey.spread,
        survey.spread - float(np.square(survey.mean).sum()),
        fairness,
        tol,
        min(n_open, padded(survey.n_rows, 64)),
        Workshop(None if copied is None else copied(layout, intake.n_rows or survey.n_rows)),
        go_over,
    )


def start(
    survey: Survey,
    fairness: Fairness,
    *,
    n_clusters: int,
    init: Init,
    n_init: int,
    max_iter: int,
    tol: float,
    seed: int,
    n_search: int,
) -> Outcome[Any]:
    """A fit in memory of a part of the sample, with all that such fits offer; iterations begin at its centres."""
    sample = for_start(survey.sample, survey.sizes)
    points = scale_points(sample.X, sample.ids, sample.weights, n_groups=len(survey.groups))
    return fitting.fit(
        points, fairness, n_clusters=n_clusters, init=init, n_init=n_init, max_iter=max_iter, tol=tol, seed=seed,
        n_search=n_search,
    )  # fmt: skip


def begin(problem: StreamProblem, centers: npt.NDArray[Any]) -> StreamState:
    """Before the first iteration from ``centers`` (K, d) in the table's units."""
    return iterations.begin(problem, (centers - problem.layout.shift) / problem.layout.scale)


def moved(problem: StreamProblem, state: StreamState, shift: npt.NDArray[np.float64], scale: float) -> StreamState:
    """A state whose centres are on the scale that ``shift`` (d,) and ``scale`` tell, on that of ``problem``."""
    layout = problem.layout
    if scale == layout.scale and np.array_equal(shift, layout.shift):
        return state

    def there(centers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        own = centers.astype(np.float64) * scale + (shift - layout.shift)
        return (own / layout.scale).astype(layout.dtype)

    return state._replace(
        centers=there(state.centers),
        best_centers=there(state.best_centers),
        kept_centers=there(state.kept_centers),
    )


def run(
    problem: StreamProblem,
    state: StreamState,
    max_iter: int,
    *,
    report: Report | None = None,
    keep: Callable[[StreamState], None] | None = None,
) -> StreamState:
    """Iterations until the centres settle or ``max_iter`` of them are done; ``keep`` is given the state after each.

    Where centres have settled without rows, they are put to use elsewhere, and iterations go on while the cost falls.
    """
    while len(state.history) < max_iter:
        if state.converged:
            moved = iterations.refilled(problem, state)
            if moved is None:
                break
            state = moved
        state = iterations.step(problem, state, report)
        if keep is not None:
            keep(state)
    return state


def finish(problem: StreamProblem, state: StreamState, *, report: Report | None = None) -> Streamed:
    """The last assignment, its certificate, and the rule that repeats it."""
    state, last = iterations.finish(problem, state, report)
    unit = problem.layout.scale**2
    layout, solution, opened = problem.layout, last.solution, last.found.open
    copies = _placed(last)
    counts = last.found.counts.copy()
    np.add.at(counts, (opened.ids, opened.labels), -opened.masses)
    np.add.at(counts, opened.ids, copies * opened.weights.astype(np.float64)[:, None])
    held = bool(last.attempt.held)
    primal = float(solution.primal)
    # where rows may be nearer to a boundary than prices have moved, the bound is that of the pass
    dual = max(float(last.attempt.bound), float(solution.dual) if held else -np.inf)
    gap = iterations.relative_gap(primal, dual)
    met = bool(solution.met)
    status = int(solution.status)
    if status < 2:
        status = 0 if met and gap <= iterations.GAP else 1
    return Streamed(
        last.centers.astype(np.float64) * layout.scale + layout.shift,
        _labelled_cost(problem, last, copies) * unit,
        counts * layout.heaviest,
        np.asarray(solution.counts),
        (np.asarray(solution.prices) if held else last.prices.astype(np.float64)) * unit,
        np.asarray(solution.pressing) * unit,
        primal * unit,
        dual * unit,
        gap,
        status,
        met,
        int(solution.n_iter),
        len(state.history),
        state.n_passes,
        state.converged,
        np.array(state.history) * unit,
        _rule(problem, last, copies),
    )


def _placed(last: Last) -> Copies:
    """Copies (m, K) of each open row in each cluster."""
    opened, solution = last.found.open, last.solution
    n = len(opened.rows)
    if (opened.copies > 1).any():
        return whole_copies(opened, np.asarray(solution.fractions, np.float64)[:n])
    return np.eye(len(last.centers), dtype=np.int64)[np.asarray(solution.labels)[:n]]


def _labelled_cost(problem: StreamProblem, last: Last, copies: Copies) -> float:
    """Mean squared distance of the rows to the centres of their labels, some of which are not those of the pass."""
    opened = last.found.open
    features, centers = opened.features.astype(np.float64), last.centers.astype(np.float64)
    squares = np.stack([np.square(features - center).sum(1) for center in centers], 1)
    before = squares[np.arange(len(squares)), opened.labels] * opened.copies
    change = opened.weights @ ((copies * squares).sum(1) - before)
    return float(last.found.cost + change) / problem.whole + problem.spread


def _rule(problem: StreamProblem, last: Last, copies: Copies) -> Rule:
    layout = problem.layout
    blur = 64 * float(np.finfo(layout.dtype).eps) * float(1 + np.abs(last.prices).max())
    found = listed(last.found.open, copies, blur)
    return Rule(
        last.centers, last.prices, layout.shift, layout.scale, layout.heaviest, *found, layout.size, problem.n_rows
    )
