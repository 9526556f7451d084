"""Whole fits by the direct route, from arrays on the host: restarts, short stretches of iterations, price of fairness.

Each stage is one compiled program. The control's value, the tolerance and the number of iterations are traced, so that
most fits in a session need no compilation (see :mod:`~fairjax.fca.scaled_points`). Iterations run in stretches of a
fraction of a second; between them progress is reported and Ctrl-C takes effect. Inside other JAX programs use the pure
functions ``fairjax.fca.init``, ``run`` and ``finish`` instead.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax._core import progress
from fairjax._core.status import SOLVED, UNSOLVED
from fairjax.assignment.terms import N_TRIALS
from fairjax.fca import stages
from fairjax.fca.direct import FairClustering, State, open_points, tried_again
from fairjax.fca.filling import are_full, is_full
from fairjax.fca.restarts import FitPoints, Init, Outcome, Start, best_of, fresh_starts, span_of
from fairjax.fca.scaled_points import ScaledPoints, history_length, padded_clusters
from fairjax.fca.search import Refit, search
from fairjax.metrics import host

_OPEN_BYTES = 5e8  # largest table of open points
_MOST_TOGETHER = 2**17  # points in a small problem that every device solves where rows are spread
_STRETCH = 0.25  # seconds
_SEE = 2  # iterations between looks at a fit of the search
_FORESEEN = 10.0  # expected fall of the cost from here on, in falls of the last iteration


@dataclass(frozen=True)
class Fairness:
    """One control and its value: ``gap`` with epsilon, or ``balance`` with the floor.

    If groups are combinations of several attributes, each to be fair by itself, ``members`` (M_a, M) says for each
    attribute which groups have which of its values, and epsilon is zero.
    """

    kind: Literal["gap", "balance"]
    value: float
    members: tuple[npt.NDArray[np.float64], ...] = field(default=(), compare=False)

    @property
    def asked(self) -> tuple[float, ...]:
        """The value, and 1 for a gap or 0 for a floor, which one program tells apart."""
        return self.value, float(self.kind == "gap")

    @property
    def program(self) -> str:
        """What the compiled program depends on."""
        return self.kind if self.members else "profile"


@dataclass(frozen=True)
class Sizes:
    """The alternative for one group: least and greatest number of points in a cluster, and the number of all points."""

    asked: tuple[float, float, float]
    kind: Literal["counts"] = "counts"
    members: tuple[npt.NDArray[np.float64], ...] = ()
    program: Literal["counts"] = "counts"


def fit(
    points: FitPoints,
    fairness: Fairness,
    *,
    n_clusters: int,
    init: Init = "aligned",
    n_init: int = 1,
    max_iter: int = 100,
    tol: float = 1e-4,
    seed: int = 0,
    n_search: int = 0,
) -> Outcome[FairClustering]:
    """Run the direct route from every start, keep the cheapest result, and search on from there.

    Parameters
    ----------
    points : ScaledPoints or SpreadPoints
        See :func:`~fairjax.fca.scaled_points.scale_points` and :func:`~fairjax.fca.spread_points.spread_points`.
    fairness : Fairness
    n_clusters, init, n_init, max_iter, tol, seed
        As in :class:`fairjax.FCA`; see :func:`~fairjax.fca.restarts.starts`.
    n_search : int
        Further fits by the search, see :mod:`~fairjax.fca.search`.

    Returns
    -------
    Outcome
        With the result, a :class:`~fairjax.fca.FairClustering`, on the host and in the data's units.

    Notes
    -----
    O(n K d) for each iteration of each restart.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.fca.fitting import Fairness, fit
    >>> from fairjax.fca.scaled_points import scale_points
    >>> X, groups = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]), np.array([0, 0, 1, 1, 1, 0], np.int32)
    >>> points = scale_points(X, groups, n_groups=2)
    >>> found = fit(points, Fairness("gap", 0.0), n_clusters=2, init=np.array([[0.0], [12.0]]))
    >>> found.result.assignment.labels.tolist(), round(float(found.result.cost), 3)
    ([0, 0, 0, 0, 1, 1], 10.542)
    """
    n_init = n_init if isinstance(init, str) else 1
    problem = _Problem(points, fairness, max_iter, tol)

    def once(start: Start, _: int, span: tuple[float, float]) -> FairClustering:
        return _fit(problem, start.centers, span)

    best = best_of(points, once, init=init, n_clusters=n_clusters, n_init=n_init, seed=seed, n_more=n_search)
    if n_search:
        fresh = fresh_starts(points, init, n_clusters, seed, n_init)
        refit = refitting(points, fairness, max_iter=max_iter, tol=tol, n_before=n_init, n_fits=n_search)
        best = search(points, best, refit, fresh, n_fits=n_search, seed=seed)
    result = _insist(problem, best.start.centers, best.result)
    return best._replace(result=points.in_units(result, max_iter))


def fit_from(
    points: FitPoints,
    centers: Array,
    fairness: Fairness | Sizes,
    *,
    max_iter: int = 100,
    tol: float = 1e-4,
    span: tuple[float, float] = (0.0, 1.0),
) -> FairClustering:
    """Iterate from ``centers`` (K, d') until they settle, then labels and certificate; in the device's units.

    ``span`` is the part of the progress bar that this fit fills.
    """
    problem = _Problem(points, fairness, max_iter, tol)
    return _insist(problem, centers, _fit(problem, centers, span))


def refitting(
    points: FitPoints,
    fairness: Fairness,
    *,
    max_iter: int = 100,
    tol: float = 1e-4,
    n_before: int = 0,
    n_fits: int = 1,
) -> Refit[FairClustering]:
    """The fits of a :func:`~fairjax.fca.search.search`; each is given up once it is not expected to beat the cost so
    far.

    On the progress bar they are ``n_fits`` after ``n_before`` others.
    """
    problem = _Problem(points, fairness, max_iter, tol)

    def refit(start: Start, number: int, bound: float) -> FairClustering | None:
        return _fit_below(problem, start.centers, span_of(n_before + number, n_before + n_fits), bound)

    return refit


class Level(NamedTuple):
    """A clustering at one level of fairness: the control's value, and the result."""

    value: float
    balance: float
    cost: float
    violation: float


def price_of_fairness(
    points: ScaledPoints,
    centers: Array,
    kind: Literal["gap", "balance"],
    *,
    loosest: float,
    tightest: float,
    weights: npt.NDArray[Any] | None = None,
    n_values: int = 8,
    max_iter: int = 100,
    tol: float = 1e-4,
) -> "list[Level]":
    """Fair clusterings from ``centers`` (K, d') at levels of the control from ``loosest`` to ``tightest``.

    The values are traced, so all of them, and the fit before, share one compiled program. O(n K d) for each iteration
    of each of the ``n_values`` fits.
    """
    shape = (int(centers.shape[0]), points.n_groups)
    curve: list[Level] = []
    for i, value in enumerate(np.linspace(loosest, tightest, n_values)):
        span = (i / n_values, (i + 1) / n_values)
        result = fit_from(points, centers, Fairness(kind, float(value)), max_iter=max_iter, tol=tol, span=span)
        labels = np.asarray(result.assignment.labels)[: points.n_points]
        table = host.contingency(labels, points.groups, weights, shape)
        cost = float(points.cost_of(float(result.cost)))
        curve.append(Level(float(value), host.balance(table), cost, host.group_violation(table)))
    return curve


@dataclass(frozen=True)
class _Problem:
    """What all fits share, whatever their centres."""

    points: FitPoints
    fairness: Fairness | Sizes
    max_iter: int
    tol: float

    @property
    def n_padded(self) -> int:
        """Number of points on all devices, padding included."""
        return int(self.points.grouped.weights.shape[0])

    def n_places(self, n_clusters: int) -> int:
        """Number of clusters that the programs are compiled for."""
        # bounds on sizes apply to every cluster, so there is no padding
        return n_clusters if self.fairness.kind == "counts" else padded_clusters(n_clusters, self.points.n_rows)

    def begin(self, centers: Array, n_open: int | None = None) -> State:
        """The state before the first iteration; by default with few open points."""
        n_clusters = int(centers.shape[0])
        n_padded = self.n_places(n_clusters)
        n_open = self.few_open(n_padded) if n_open is None else n_open
        padded = np.pad(np.asarray(centers), ((0, n_padded - n_clusters), (0, 0)))
        present = np.arange(n_padded) < n_clusters
        length = history_length(self.max_iter)
        return stages.begin(
            self.points.grouped, padded, present, *self._asked,
            length=length, n_open=n_open, kind=self.fairness.program, mesh=self.points.mesh,
        )  # fmt: skip

    def few_open(self, n_clusters: int) -> int:
        """Number of points that stay open: usually the nearest to a boundary decide."""
        return open_points(self.n_padded, self.points.n_groups * n_clusters)

    @property
    def _asked(self) -> tuple[npt.NDArray[Any], tuple[npt.NDArray[Any], ...]]:
        """What is asked of the control, and the groups' members; as NumPy arrays, which all processes may pass."""
        dtype = self.points.dtype
        return np.asarray(self.fairness.asked, dtype), tuple(np.asarray(m, dtype) for m in self.fairness.members)

    def iterations(self, state: State, pause: int) -> State:
        """Iterate until ``pause`` iterations are done, or to the end."""
        tol = np.asarray(self.tol, self.points.dtype)
        until, pauses = np.asarray(self.max_iter, np.int32), np.asarray(pause, np.int32)
        return stages.iterations(
            self.points.grouped, state, *self._asked, tol, until, pauses,
            kind=self.fairness.program, mesh=self.points.mesh,
        )  # fmt: skip

    def finish_ahead(self, state: State) -> Callable[[], None]:
        """Begin to compile what :meth:`finish` needs; returns what waits for it."""
        if self.points.mesh is not None:
            # several processes have to compile in the same order
            return lambda: None
        return stages.finish.ahead(
            self.points.grouped, state, *self._asked, kind=self.fairness.program, mesh=self.points.mesh
        )  # fmt: skip

    def finish(self, state: State) -> FairClustering:
        found = jax.block_until_ready(
            stages.finish(self.points.grouped, state, *self._asked, kind=self.fairness.program, mesh=self.points.mesh)
        )
        found = _of_first(found, int(np.sum(np.asarray(state.present))))
        return _paid_in_all(found, self.fairness.members) if self.fairness.members else found

    def is_full(self, found: FairClustering) -> bool:
        """Whether every cluster has points and a centre of its own."""
        grouped, mesh = self.points.grouped, self.points.mesh
        if mesh is None:
            return is_full(found, grouped.weights)
        sizes = stages.sizes(grouped, found.assignment.labels, n_clusters=len(found.centers), mesh=mesh)
        return are_full(found.centers, np.asarray(sizes))


def _of_first(found: FairClustering, n_clusters: int) -> FairClustering:
    """The result for the first clusters, without padding; arrays with an axis of clusters become numpy."""

    def first(leaf: Array) -> Any:
        return np.asarray(leaf)[..., :n_clusters]

    best = found.assignment
    best = best._replace(
        fractions=first(best.fractions), counts=first(best.counts), prices=first(best.prices),
        pressing=first(best.pressing),
    )  # fmt: skip
    centers: Any = np.asarray(found.centers)[:n_clusters]
    return found._replace(centers=centers, assignment=best)


def _paid_in_all(found: FairClustering, members: tuple[npt.NDArray[np.float64], ...]) -> FairClustering:
    """The result with the prices that each combination of several attributes pays, the sums of its groups' prices."""
    every: Any = np.concatenate(members).T
    best = found.assignment
    prices: Any = np.asarray(every @ np.asarray(best.prices), best.prices.dtype)
    pressing: Any = np.asarray(every @ np.asarray(best.pressing), best.pressing.dtype)
    return found._replace(assignment=best._replace(prices=prices, pressing=pressing))


def _fit(problem: _Problem, centers: Array, span: tuple[float, float], n_open: int | None = None) -> FairClustering:
    state = problem.begin(centers, n_open)
    # the end compiles while the iterations do
    compiled = problem.finish_ahead(state)
    state = _to_the_end(problem, state, span)
    compiled()
    return _filled(problem, state, span)


def _fit_below(problem: _Problem, centers: Array, span: tuple[float, float], bound: float) -> FairClustering | None:
    """A fit that is given up once its cost is not expected to fall below the bound; the clock plays no part."""
    state = problem.begin(centers)
    for pause in range(_SEE, problem.max_iter, _SEE):
        state = problem.iterations(state, pause)
        if bool(state.ended):
            break
        last, cost = np.asarray(state.history)[pause - 2 : pause]
        if cost - _FORESEEN * (last - cost) > bound:
            return None
    return _filled(problem, _to_the_end(problem, state, span), span)


def _insist(problem: _Problem, centers: Array, result: FairClustering) -> FairClustering:
    """Fit with all points open if more points tie at a boundary than could stay open, as with many duplicates."""
    points, n_places = problem.points, problem.n_places(int(centers.shape[0]))
    if int(result.assignment.status) != UNSOLVED or problem.few_open(n_places) >= problem.n_padded:
        return result
    together = replace(problem, points=points.close)
    width = points.n_groups * centers.shape[0] * points.dtype.itemsize
    if together.n_padded > (_OPEN_BYTES // width if points.mesh is None else _MOST_TOGETHER):
        return result
    again = _fit(together, centers, (1.0, 1.0), together.n_padded)
    return again if int(again.assignment.status) == 0 else min(result, again, key=lambda one: float(one.cost))


def _to_the_end(problem: _Problem, state: State, span: tuple[float, float]) -> State:
    """Iterate in stretches of a fraction of a second, to the end."""
    iterations, done = 1, int(state.n_iter)
    while not bool(state.ended):
        began = time.perf_counter()
        state = problem.iterations(state, done + iterations)
        done = int(state.n_iter)
        progress.report("fair clustering", span[0] + (span[1] - span[0]) * done / problem.max_iter)
        if problem.points.agreed(time.perf_counter() - began) < _STRETCH:
            iterations *= 2
    return state


def _filled(problem: _Problem, state: State, span: tuple[float, float]) -> FairClustering:
    """The result of a final ``state``, or of further iterations if a cluster would be lost."""
    grouped = problem.points.grouped
    best, ended = problem.finish(state), state
    for _ in range(int(state.centers.shape[0])):
        if problem.is_full(best):
            break
        state, moved = stages.refill(grouped, state, mesh=problem.points.mesh)
        if not bool(moved):
            break
        state = _to_the_end(problem, state, span)
        result = problem.finish(state)
        if not float(result.cost) < float(best.cost):
            break
        best, ended = result, state
    return _tried(problem, ended, best)


def _tried(problem: _Problem, state: State, best: FairClustering) -> FairClustering:
    """The result of a final ``state`` or, if that is not solved with all points open, of the first trial that is.

    If none is, the one with the smallest proven gap.
    """
    if state.assignment.rows.shape[0] < problem.n_padded:
        return best
    for trial in range(1, N_TRIALS):
        if int(best.assignment.status) != UNSOLVED:
            break
        state = problem.iterations(tried_again(state, trial), int(state.n_iter))
        best = min(best, problem.finish(state), key=_how_far)
    return best


def _how_far(result: FairClustering) -> tuple[bool, bool, float]:
    """How far a result is from solved, first by what is worse."""
    best = result.assignment
    return int(best.status) != SOLVED, not bool(best.met), float(best.gap)
