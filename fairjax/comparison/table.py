"""What a comparison found: every run, the table over the starts, the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fairjax._core.text import counted
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from fairjax.baselines.problem import Problem
    from fairjax.comparison.attributes import Attributes
    from fairjax.comparison.contest import Row

__all__ = ["Comparison"]

# from what may be relied on to what may not
_STATUSES = ("optimal", "converged", "stopped", "collapsed", "diverged", "infeasible", "refused")
_HOLLOW = ("collapsed", "diverged")
# of Okabe and Ito, told apart by most people, then by markers
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
_MARKERS = "osD^vPX"  # one less than colours, so that no pair comes twice soon
_INSIDE = 5  # lines that a legend within the axes has room for
_POINTS_ONLY = ("sfc", "fairlets")  # whose cost jumps between neighbouring values of their control


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found; in a notebook it shows its table.

    Attributes
    ----------
    runs : DataFrame
        One row for every method and start: ``method`` (the label), ``name``, ``control`` and its ``value``, ``floor``
        (what FCA was asked for of the balance; NaN for others), ``seed``, ``cost``, ``objective``, ``balance``,
        ``violation`` (points by which the labels miss what the control promises, NaN where that is nothing),
        ``n_nonempty``, ``seconds``, ``status``, ``gap``, ``accuracy`` and ``nmi`` (beside known classes, if there are
        any), ``balance_NAME`` for each of several attributes, ``compile_seconds`` (spent before or in this run, on
        programs that no earlier row had).
    n_clusters, n_seeds : int
    init : str
        Where the runs began.
    max_balance : float
        The best balance that the data allow; with ``attributes="separately"`` the least of `attributes`.
    notes : tuple of str
        What there is to say of rows that were refused or stopped.
    start_seconds : float
        Median time of finding a start, which is in no row but that of k-means, where it is the start.
    n_init : int
        Restarts of each start, of which the best is the run.
    attributes : mapping
        The best balance by each of several attributes; empty for one.
    separately : bool
        Whether each of them was to be fair by itself; ``balance`` is then the least of theirs.
    """

    runs: "pd.DataFrame"
    n_clusters: int
    n_seeds: int
    init: str
    max_balance: float
    notes: tuple[str, ...] = ()
    start_seconds: float = float("nan")
    n_init: int = 1
    attributes: Mapping[str, float] = field(default_factory=dict)
    separately: bool = False

    @classmethod
    def of(
        cls,
        rows: "Sequence[Row]",
        *,
        problem: "Problem",
        n_seeds: int,
        n_init: int,
        init: str,
        notes: Sequence[str],
        start_seconds: Sequence[float],
        attributes: "Attributes | None" = None,
    ) -> "Comparison":
        """Make one of the runs of a contest."""
        import pandas as pd

        runs = pd.DataFrame(rows).drop(columns="balances")
        for place, name in enumerate(() if attributes is None else attributes.names):
            runs[_column_of(name)] = [row.balances[place] if row.balances else np.nan for row in rows]
        return cls(
            runs if runs["accuracy"].notna().any() else runs.drop(columns=["accuracy", "nmi"]),
            problem.n_clusters,
            n_seeds,
            init,
            problem.max_balance,
            tuple(notes),
            float(np.median(start_seconds)),
            n_init,
            {} if attributes is None else dict(zip(attributes.names, attributes.best, strict=True)),
            attributes is not None and attributes.separately,
        )

    @property
    def frame(self) -> "pd.DataFrame":
        """One row for every method, over the starts.

        ``cost``, ``balance`` and ``seconds`` are medians, ``lowest_cost`` the least; ``price`` is the rise of the
        median cost over k-means, NaN without that or where it costs nothing; ``share`` the balance as a part of the
        best possible; ``violation``, ``status`` and ``gap`` the worst; ``n_nonempty`` the least. ``seconds`` are those
        of a fit from the start on, compiled (of k-means from seeding, where the start is its solution);
        ``compile_seconds`` all that was spent on its programs. With known classes medians of ``accuracy`` and ``nmi``,
        for several attributes of the balance by each.
        """
        by_method = self.runs.groupby("method", sort=False)
        found = by_method[["floor", "cost", "balance", "seconds"]].median()
        base = self._plain_cost()
        found.insert(2, "price", found["cost"] / base - 1 if base > 0 else np.nan)
        found.insert(3, "lowest_cost", by_method["cost"].min())
        found.insert(5, "share", found["balance"] / self.max_balance)
        found.insert(6, "violation", by_method["violation"].max())
        found.insert(7, "n_nonempty", by_method["n_nonempty"].min())
        found["status"] = by_method["status"].agg(lambda some: max(some, key=_STATUSES.index))
        found["gap"] = by_method["gap"].max()
        found["compile_seconds"] = by_method["compile_seconds"].sum()
        if "nmi" in self.runs:
            found[["accuracy", "nmi"]] = by_method[["accuracy", "nmi"]].median()
        for name in map(_column_of, self.attributes):
            found[name] = by_method[name].median()
        return found

    def _plain_cost(self) -> float:
        plain = self.runs.loc[self.runs["name"] == "kmeans", "cost"]
        return float(plain.median()) if len(plain) else float("nan")

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw cost against the balance reached: a mark for every run, a line through medians; needs matplotlib.

        Hollow marks are runs that lost clusters or diverged. SFC and Fairlets have no line: their cost jumps from one
        value of their control to the next.

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
            ax = Figure(figsize=(6.0, 4.0), layout="constrained").subplots()
        lines = self.runs.groupby(["name", self.runs["control"].fillna("")], sort=False)
        for place, ((name, control), runs) in enumerate(lines):
            self._draw(ax, str(name), str(control), runs, place)
        ax.axvline(self.max_balance, color="#888888", linewidth=1, linestyle="--", label="best possible")
        ax.set_xlabel("balance reached (further right is fairer)")
        ax.set_ylabel("cost")
        many = len(lines) > _INSIDE
        place_of: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if many else {}
        ax.legend(frameon=False, fontsize="small", **place_of)
        return ax

    def _draw(self, ax: "Axes", name: str, control: str, runs: "pd.DataFrame", place: int) -> None:
        """One method: its runs, hollow where they broke down, and a line where it has several settings."""
        runs = runs[runs["cost"].notna()]
        if not len(runs):
            return
        colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
        hollow = runs["status"].isin(_HOLLOW).to_numpy()
        label = _line_name(name, control)
        for some, fill in ((runs[~hollow], colour), (runs[hollow], "none")):
            if len(some):
                ax.plot(
                    some["balance"], some["cost"], marker, color=colour, markerfacecolor=fill, markersize=5, alpha=0.7,
                    label=label,
                )  # fmt: skip
                label = "_"
        medians = runs[~hollow].groupby("method", sort=False)[["balance", "cost"]].median()
        if len(medians) > 2 and name not in _POINTS_ONLY:
            ax.plot(medians["balance"], medians["cost"], color=colour, linewidth=1.2)

    def __repr__(self) -> str:
        best = f", each the best of {self.n_init}" if self.n_init > 1 else ""
        begun = f"({counted(self.n_seeds, 'start')}{best} by init={self.init!r})"
        return f"{self.frame.to_string(float_format='{:.4g}'.format)}\n{begun}"

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(float_format="{:.4g}".format))


def _column_of(attribute: str) -> str:
    """The column with the balance by an attribute."""
    return f"balance_{attribute}"


def _line_name(name: str, control: str) -> str:
    from fairjax.baselines.catalogue import METHODS

    if name not in METHODS:
        return name
    label = METHODS[name].label
    return f"{label}, {control}" if name == "fca" and control else label
