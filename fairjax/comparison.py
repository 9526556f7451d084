"""Plain k-means beside fair clustering at several levels of balance, from the same starts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax import _memory, _progress
from fairjax._checks import check_count
from fairjax._text import counted
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from fairjax.fca.restarts import Start
    from fairjax.fca.scaled_points import ScaledPoints

__all__ = ["Comparison", "compare"]

LEVELS = (0.5, 0.8, 0.9, 1.0)  # floors on the balance, as shares of the best possible
K_MEANS = "k-means"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found; in a notebook it shows its table.

    Attributes
    ----------
    runs : DataFrame
        One row for every method and start: ``method``, ``floor`` (what was asked of the balance; NaN for k-means),
        ``seed``, ``cost``, ``balance``, ``seconds``.
    n_clusters, n_seeds : int
    init : str
        Where the runs began.
    max_balance : float
        The best balance that the data allow.
    """

    runs: "pd.DataFrame"
    n_clusters: int
    n_seeds: int
    init: str
    max_balance: float

    @property
    def frame(self) -> "pd.DataFrame":
        """One row for every method, over the starts.

        ``cost`` and ``balance`` are medians, ``lowest_cost`` the least; ``price`` is the rise of the median cost over
        k-means, NaN where that has none; ``seconds`` the median, from the start on (of k-means from seeding, where the
        start is its solution).
        """
        by_method = self.runs.groupby("method", sort=False)
        found = by_method[["floor", "cost", "balance", "seconds"]].median()
        base = float(found["cost"].iloc[0])
        found.insert(2, "price", found["cost"] / base - 1 if base > 0 else np.nan)
        found.insert(3, "lowest_cost", by_method["cost"].min())
        return found

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw cost against the balance reached: a dot for every run, a line through the medians; needs matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
            ``ax.figure.savefig(path)`` writes it.
        """
        if ax is None:
            try:
                from matplotlib.figure import Figure
            except ImportError as error:
                raise InputError("the picture needs matplotlib: pip install 'fairjax[bench]'") from error
            ax = Figure(figsize=(5.0, 3.4), layout="constrained").subplots()
        fair = self.runs["floor"].notna()
        medians = self.frame.loc[lambda frame: frame["floor"].notna()]
        for chosen, colour, marker, name in (
            (~fair, "#D55E00", "s", K_MEANS),
            (fair, "#0072B2", "o", "fair, each run"),
        ):
            runs = self.runs[chosen]
            ax.plot(runs["balance"], runs["cost"], marker, color=colour, markersize=5, alpha=0.6, label=name)
        ax.plot(medians["balance"], medians["cost"], color="#0072B2", linewidth=1.5, label="fair, median")
        ax.axvline(self.max_balance, color="#888888", linewidth=1, linestyle="--", label="best possible")
        ax.set_xlabel("balance reached (further right is fairer)")
        ax.set_ylabel("cost")
        ax.legend(frameon=False, fontsize="small")
        return ax

    def __repr__(self) -> str:
        begun = f"({counted(self.n_seeds, 'start')} by init={self.init!r})"
        return f"{self.frame.to_string(float_format='{:.4g}'.format)}\n{begun}"

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(float_format="{:.4g}".format))


def compare(
    X: Any,
    sensitive_features: Any,
    *,
    n_clusters: int = 8,
    levels: Sequence[float] = LEVELS,
    n_seeds: int = 3,
    init: str = "aligned",
    max_iter: int = 100,
    tol: float = 1e-4,
    first_seed: int = 0,
    sample_weight: Any = None,
) -> Comparison:
    """Compare plain k-means with fair clustering at several floors on the balance, from the same starts.

    Parameters
    ----------
    X : array-like (n, d), or a frame of any library
        Points, finite.
    sensitive_features : array-like (n,), or several of them
        The protected attribute, of two groups or more, as :meth:`fairjax.FCA.fit` takes it.
    n_clusters : int, default=8
    levels : sequence of float, default=(0.5, 0.8, 0.9, 1.0)
        Floors on the balance as shares of the best that the data allow, above 0 to 1.
    n_seeds : int, default=3
        Number of starts, from the seeds `first_seed`, `first_seed` + 1, ...
    init : {"aligned", "k-means++", "random"}, default="aligned"
        Where runs begin, as for :class:`fairjax.FCA`. From "k-means++" plain k-means is the start itself.
    max_iter, tol
        When the turns of a fair run end, as for :class:`fairjax.FCA`.
    first_seed : int, default=0
    sample_weight : array-like (n,), optional
        Weights ≥ 0 of the points.

    Returns
    -------
    Comparison
        ``frame`` is the table, ``runs`` what is behind it, ``plot()`` the picture.

    Raises
    ------
    InputError
        For input that `FCA` does not take, a single group, and levels out of their range.

    Notes
    -----
    O(n K d) for each turn of each run. The first run of each program compiles it and is not timed.

    Examples
    --------
    >>> import fairjax
    >>> from fairjax import datasets
    >>> data = datasets.load_diabetes()
    >>> found = fairjax.compare(data.X, data.sensitive, n_clusters=3, levels=(1.0,), n_seeds=1)
    >>> found.frame.index.tolist(), found.frame["cost"].is_monotonic_increasing
    (['k-means', 'FCA ≥ 0.8809'], True)
    """
    from sklearn.utils import check_array

    from fairjax import _frames, _groups
    from fairjax.estimators import inputs, settings
    from fairjax.fca.scaled_points import scale_points

    check_count("n_clusters", n_clusters)
    check_count("n_seeds", n_seeds)
    check_count("max_iter", max_iter)
    check_count("first_seed", first_seed, least=0)
    settings.check_range("tol", tol, np.inf)
    levels = tuple(np.atleast_1d(levels).tolist())
    if not levels or not all(0 < level <= 1 for level in levels):
        raise InputError(f"levels is {levels!r}; expected shares of the best balance, above 0 and at most 1")
    _groups.check_pairing(X, sensitive_features, None, sample_weight)
    with _frames.reading():
        points = check_array(_frames.points(X), dtype=[np.float64, np.float32])
    if n_clusters > len(points):
        raise InputError(f"X has {counted(len(points), 'row')} for {n_clusters} clusters; ask for fewer clusters")
    chosen = settings.start(init, n_clusters, points.shape[1])
    if not isinstance(chosen, str):
        raise InputError("init is an array, from which all starts are the same; expected the name of a way to start")
    groups, known = inputs.groups_of(sensitive_features, len(points))
    if len(known) < 2:
        raise InputError("sensitive_features has one group, so there is nothing to compare; give two groups or more")
    weights = inputs.weights_of(sample_weight, len(points))
    masses = inputs.masses_of(groups, weights, known)
    max_balance = float(masses.min() / masses.max())
    with _memory.explained(len(points), int(n_clusters)):
        scaled = scale_points(points, groups, weights, n_groups=len(known))
        contest = _Contest(scaled, weights, n_clusters, init, int(max_iter), float(tol))
        seeds = range(int(first_seed), int(first_seed) + int(n_seeds))
        return contest.hold([float(level) * max_balance for level in levels], seeds, max_balance)


@dataclass(frozen=True)
class _Contest:
    """The runs of one comparison."""

    points: "ScaledPoints"
    weights: npt.NDArray[np.float64] | None
    n_clusters: int
    init: str
    max_iter: int
    tol: float

    def hold(self, floors: Sequence[float], seeds: range, max_balance: float) -> Comparison:
        import pandas as pd

        # the first run of each program compiles it and is not timed
        start, _ = self._start(seeds[0])
        self._plain(start)
        for floor in (floors[0], floors[-1]):
            self._fair(start, floor)
        rows = []
        for i, seed in enumerate(seeds):
            _progress.report(f"start {i + 1} of {len(seeds)}", i / len(seeds))
            start, seconds = self._start(seed)
            rows.append(
                (K_MEANS, np.nan, seed, *(self._plain(start) if start.unfair is None else self._seeded(start, seconds)))
            )
            rows += [(f"FCA ≥ {floor:.4f}", floor, seed, *self._fair(start, floor)) for floor in floors]
        runs = pd.DataFrame(rows, columns=["method", "floor", "seed", "cost", "balance", "seconds"])
        return Comparison(runs, self.n_clusters, len(seeds), self.init, max_balance)

    def _start(self, seed: int) -> tuple["Start", float]:
        from fairjax.fca.restarts import starts

        began = time.perf_counter()
        start = next(starts(self.points, self.init, self.n_clusters, 1, seed))
        start.centers.block_until_ready()
        return start, time.perf_counter() - began

    def _seeded(self, start: "Start", seconds: float) -> tuple[float, float, float]:
        """Plain k-means where it is the start."""
        from fairjax.fca.restarts import cost_and_labels

        assert start.unfair is not None
        cost, labels = cost_and_labels(self.points, start.unfair)
        return cost, self._balance(labels), seconds

    def _plain(self, start: "Start") -> tuple[float, float, float]:
        from fairjax.fca.restarts import cost_and_labels, k_means

        began = time.perf_counter()
        cost, labels = cost_and_labels(self.points, k_means(self.points, self.points.centers_of(start.centers)))
        return cost, self._balance(labels), time.perf_counter() - began

    def _fair(self, start: "Start", floor: float) -> tuple[float, float, float]:
        from fairjax.fca.fitting import Fairness, fit_from

        began = time.perf_counter()
        control = Fairness("balance", floor)
        result = fit_from(self.points, start.centers, control, max_iter=self.max_iter, tol=self.tol)
        seconds = time.perf_counter() - began
        labels = np.asarray(result.assignment.labels)[: self.points.n_points]
        return float(self.points.cost_of(float(result.cost))), self._balance(labels), seconds

    def _balance(self, labels: npt.NDArray[Any]) -> float:
        from fairjax.metrics import host

        shape = (self.n_clusters, self.points.n_groups)
        return host.balance(host.contingency(labels, self.points.groups, self.weights, shape))
