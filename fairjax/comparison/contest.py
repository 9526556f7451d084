"""The runs of a comparison: every entrant from the same starts, timed when its programs are compiled."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax._core import compiling, progress
from fairjax._core.text import reason
from fairjax.baselines.catalogue import METHODS
from fairjax.baselines.problem import STATUSES, Problem
from fairjax.comparison.attributes import Attributes
from fairjax.comparison.entrants import Entrant, takes
from fairjax.comparison.measures import Measured, measure

K_MEANS = "kmeans"
_GOOD = ("optimal", "converged", "stopped")
_DOUBLINGS, _HALVINGS = 7, 3  # of the search for the fairest value of a control
_GAIN = 1e-3  # of the balance: what makes a larger value worth its cost
_ONE_SET = "made for one set of groups, not for attributes that are each fair by themselves"


class Begin(NamedTuple):
    """Where the runs of one seed begin.

    Attributes
    ----------
    seeds, solution : (K, d) centres of the start, and of plain k-means from there. plain : k-means itself.
    """

    seed: int
    seeds: npt.NDArray[Any]
    solution: npt.NDArray[Any]
    plain: tuple[Measured, float]
    seconds: float


class Row(NamedTuple):
    """One run."""

    method: str
    name: str
    control: str | None
    value: Any
    floor: float
    seed: int
    cost: float
    objective: float
    balance: float
    violation: float
    n_nonempty: int
    seconds: float
    status: str
    gap: float
    accuracy: float = float("nan")
    nmi: float = float("nan")
    balances: tuple[float, ...] = ()
    compile_seconds: float = 0.0


class _RefusedError(Exception):
    """A method that has no labels for these data; the status says whether it tried."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(eq=False)
class Contest:
    """Data and settings that all runs share; ``told`` are sentences on rows that are not what they should be.

    ``classes`` (n,) 0..C-1 are known ones, beside which labels are looked at; ``attributes`` are several, of which
    `problem` has the combinations; ``n_devices`` is that of FCA's direct route.
    """

    problem: Problem
    init: str
    max_iter: int
    tol: float
    time_limit: float | None = None
    timed: bool = True
    n_init: int = 1
    search: int = 0
    classes: npt.NDArray[np.int32] | None = None
    attributes: Attributes | None = None
    n_devices: int = 1
    told: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    start_seconds: list[float] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What there is to say of single rows; rows that were refused for one reason are named together."""
        return [f"{_listed(labels)}: {why}." for why, labels in self.refused.items()] + self.told

    def hold(self, entrants: Sequence[Entrant], seeds: range) -> list[Row]:
        """All runs, seed by seed; a row that was refused, or beyond the time limit, has no further ones."""
        rows: list[Row] = []
        places: dict[int, Entrant | None] = dict(enumerate(entrants))
        if self.timed:
            self._begins(seeds[0])
        for i, seed in enumerate(seeds):
            begins = self._begins(seed)
            self.start_seconds.append(sum(begin.seconds for begin in begins))
            for place in places:
                entrant = places[place]
                if entrant is None:
                    continue
                done = (i * len(places) + place) / (len(seeds) * len(places))
                progress.report(f"{entrant.label}, start {i + 1} of {len(seeds)}", done)
                with progress.watching(_nobody):
                    places[place], row = self._turn(entrant, begins, first=i == 0)
                rows.append(row)
        return rows

    def _turn(self, entrant: Entrant, begins: Sequence[Begin], *, first: bool) -> tuple[Entrant | None, Row]:
        """The entrant as it goes on, or None, and its row."""
        compiled = compiling.seconds()
        try:
            if first:
                entrant = self._prepared(entrant, begins[0])
            row = self._best(entrant, begins)
            row = row._replace(compile_seconds=compiling.seconds() - compiled)
        except _RefusedError as refusal:
            self.refused.setdefault(str(refusal), []).append(entrant.label)
            return None, _row(entrant, begins[0], _nothing(refusal.status), np.nan)
        if self.time_limit is not None and row.seconds > self.time_limit:
            self.told.append(f"{row.method} took {row.seconds:.3g} s for one start; no further ones were run.")
            return None, row._replace(status="stopped")
        return entrant, row

    def _best(self, entrant: Entrant, begins: Sequence[Begin]) -> Row:
        """The best run of all restarts, with the seconds of all; a method with starts of its own makes them itself."""
        if entrant.begins == "own" and (entrant.name != K_MEANS or entrant.fixed):
            return self.run(entrant, begins[0])
        rows = [self.run(entrant, begin) for begin in begins]
        best = min(rows, key=lambda row: (STATUSES.index(row.status), row.objective))
        return best._replace(seconds=sum(row.seconds for row in rows))

    def run(self, entrant: Entrant, begin: Begin) -> Row:
        """Fit once from this start."""
        if entrant.name == K_MEANS and not entrant.fixed:
            return _row(entrant, begin, *begin.plain)
        began = time.perf_counter()
        model = self._fit(entrant, begin)
        seconds = time.perf_counter() - began
        return _row(entrant, begin, self._measured(model), seconds)

    def _prepared(self, entrant: Entrant, begin: Begin) -> Entrant:
        """The entrant with its programs compiled and its control found."""
        if entrant.searched:
            return self._fairest(entrant, begin)
        if self.timed and entrant.name != K_MEANS and "max_iter" in entrant.model.get_params(deep=False):
            # one iteration runs what all of them do; FCA has programs of its own for what comes after
            self._fit(entrant, begin, **({} if hasattr(entrant.model, "epsilon") else {"max_iter": 1}))
        return entrant

    def _fit(self, entrant: Entrant, begin: Begin, **changes: Any) -> Any:
        from sklearn.base import clone

        from fairjax.baselines import KMeans

        problem, model = self.problem, entrant.model
        known = model.get_params(deep=False)
        model = clone(model)
        if "random_state" in known:
            changes["random_state"] = begin.seed
        if entrant.begins != "own":
            changes["init"] = begin.seeds if entrant.begins == "seeds" else begin.solution
        changes = self._settings(entrant) | changes
        given: dict[str, Any] = {"sensitive_features": problem.groups} if takes(model, "sensitive_features") else {}
        if given and self.attributes is not None and self.attributes.separately and not isinstance(model, KMeans):
            if "attributes" not in known:
                raise _RefusedError("refused", _ONE_SET)
            changes["attributes"], given["sensitive_features"] = "separately", list(self.attributes.ids)
        model.set_params(**changes)
        if problem.weights is not None:
            if not takes(model, "sample_weight"):
                raise _RefusedError("refused", "sample_weight is given, which it does not know")
            given["sample_weight"] = problem.weights
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the status says so
            try:
                model.fit(problem.X, **given)
            except (ValueError, MemoryError) as error:
                unmet = getattr(model, "status_", None) == "infeasible"
                raise _RefusedError("infeasible" if unmet else "refused", reason(error, 400)) from error
        return model

    def _settings(self, entrant: Entrant) -> dict[str, Any]:
        """What the comparison says of methods that are named, beside what was said with the name."""
        entry = METHODS.get(entrant.name)
        found: dict[str, Any] = {"n_devices": self.n_devices} if entrant.spreads else {}
        if entry is not None and entry.is_fca:
            found |= {"max_iter": self.max_iter, "tol": self.tol}
        if entry is not None and entry.name == "fca":
            found["search"] = self.search
        return {name: value for name, value in found.items() if name not in entrant.given}

    def _measured(self, model: Any) -> Measured:
        return measure(model, self.problem, self.classes, self.attributes)

    def _fairest(self, entrant: Entrant, begin: Begin) -> Entrant:
        """The entrant at the value of its control that ends at the best balance.

        Doubled until the method breaks down (halved first, where it does so at once), then drawn in between the last
        value that went well and the first that did not. Of values that are as good the least.
        """
        best: tuple[float, Entrant] | None = None
        value, well, bad = float(entrant.value), np.nan, np.nan
        for _ in range(_DOUBLINGS):
            tried = entrant.at(value)
            row = self.run(tried, begin)
            if row.status in _GOOD:
                well = value
                best = _better(best, row, tried)
                if np.isfinite(bad):
                    break
                value *= 2
            else:
                bad = value
                if np.isfinite(well):
                    break
                value /= 2
            if self._is_late(row):
                self.told.append(f"{entrant.label}: its search ended early, since one run took {row.seconds:.3g} s.")
                bad = np.nan
                break
        if best is None:
            return tried
        for _ in range(_HALVINGS if np.isfinite(bad) else 0):
            tried = entrant.at(float(np.sqrt(well * bad)))
            row = self.run(tried, begin)
            if row.status in _GOOD:
                well = tried.value
                best = _better(best, row, tried)
            else:
                bad = tried.value
            if self._is_late(row):
                break
        return best[1]

    def _is_late(self, row: Row) -> bool:
        return self.time_limit is not None and row.seconds > self.time_limit

    def _begins(self, seed: int) -> list[Begin]:
        """Starting centres of all restarts, and plain k-means from each, which is the start itself with "k-means++"."""
        from fairjax.fca.restarts import starts

        found, began = [], time.perf_counter()
        for start in starts(self.problem.points, self.init, self.problem.n_clusters, self.n_init, seed):
            centers = np.asarray(self.problem.points.centers_of(start.centers))
            seconds = time.perf_counter() - began
            found.append(self._begin(seed, centers, seconds, own=start.unfair is not None))
            began = time.perf_counter()
        return found

    def _begin(self, seed: int, centers: npt.NDArray[Any], seconds: float, *, own: bool) -> Begin:
        """One start; it is k-means' ``own`` where its seconds are those of k-means."""
        from fairjax.baselines import KMeans

        problem = self.problem
        model = KMeans(problem.n_clusters, init=centers)
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(problem.X, sensitive_features=problem.groups, sample_weight=problem.weights)
        spent = seconds if own else time.perf_counter() - began
        return Begin(seed, centers, model.cluster_centers_, (self._measured(model), spent), seconds)


def _better(best: tuple[float, Entrant] | None, row: Row, tried: Entrant) -> tuple[float, Entrant]:
    if best is None or row.balance > best[0] * (1 + _GAIN):
        return row.balance, tried
    return best


def _nothing(status: str) -> Measured:
    return Measured(np.nan, np.nan, np.nan, np.nan, 0, status, np.nan)


def _row(entrant: Entrant, begin: Begin, found: Measured, seconds: float) -> Row:
    return Row(
        entrant.label, entrant.name, entrant.control, entrant.value, entrant.floor, begin.seed, found.cost,
        found.objective, found.balance, found.violation, found.n_nonempty, seconds, found.status, found.gap,
        found.accuracy, found.nmi, found.balances,
    )  # fmt: skip


def _listed(labels: Sequence[str]) -> str:
    """Labels of one reason, the last after "and"."""
    return " and ".join(filter(None, ["; ".join(labels[:-1]), labels[-1]]))


def _nobody(stage: str, share: float) -> None:
    """Watch the runs within a run: their shares are not those of the whole."""
