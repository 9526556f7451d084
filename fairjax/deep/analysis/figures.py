"""Figures of the analyses, each a function of numbers to a matplotlib figure: save it with ``figure.savefig(path)``.

Colours can be told apart by colour-blind readers; series differ in marker or dash as well.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax.deep.analysis.composition import Unfairest
from fairjax.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["curves", "grid", "histogram", "images", "scatters", "unfairest"]

# after Paul Tol's "muted" scheme, and Okabe and Ito's for the few
_MANY = ("#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499", "#888888")
_FEW = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_MARKERS, _DASHES = "osD^vP", ("-", "--", "-.", ":")
_WIDTH, _HEIGHT = 3.2, 2.8  # inches of a panel

Series = Mapping[str, npt.ArrayLike]


def scatters(
    places: Mapping[str, npt.ArrayLike],
    colours: Mapping[str, tuple[npt.ArrayLike, Sequence[str]]],
    *,
    size: float = 3.0,
    marks: Mapping[str, tuple[str, Mapping[str, npt.ArrayLike]]] | None = None,
) -> "Figure":
    """Panels of places on a plane: a column for each time or method, a row for each way to colour.

    Parameters
    ----------
    places : dict of (n, 2)
        By the title of the column.
    colours : dict of ids (n,) and their names
        By the title of the row: for example the classes, and the groups.
    size : float
        Of a dot, in points.
    marks : dict of (str, dict of (k, 2)), optional
        Places of another kind, such as centres: by name matplotlib's sign for them, and by column where they are.
    """
    shape = (len(colours), len(places))
    figure, axes = _panels(shape, width=2.6, height=2.6)
    for row, (what, (ids, names)) in enumerate(colours.items()):
        known = np.asarray(ids)
        palette = _palette(len(names))
        # shuffled, so that no class lies over the others
        order = np.random.default_rng(0).permutation(len(known))
        for column, (title, values) in enumerate(places.items()):
            panel, points = axes[row, column], np.asarray(values)
            panel.scatter(*points[order].T, s=size, c=[palette[i] for i in known[order]], linewidths=0, rasterized=True)
            for sign, where in (marks or {}).values():
                if title in where:
                    panel.scatter(*np.asarray(where[title]).T, **_mark(sign))
            panel.set(xticks=[], yticks=[], title=title if row == 0 else "", ylabel=what if column == 0 else "")
        handles = [
            axes[row, -1].plot([], [], "o", color=palette[i], markersize=5, label=name)[0]
            for i, name in enumerate(names)
        ]
        handles += [
            axes[row, -1].plot([], [], sign, color="black", markersize=6, label=name)[0]
            for name, (sign, _) in (marks or {}).items()
        ]
        axes[row, -1].legend(handles=handles, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    return figure


def curves(
    panels: Mapping[str, Series],
    x: npt.ArrayLike,
    *,
    xlabel: str,
    ylabels: Sequence[str] | None = None,
    levels: Mapping[str, Mapping[str, float]] | None = None,
    log: bool = False,
    title: str = "",
) -> "Figure":
    """Panels of lines over one axis.

    Parameters
    ----------
    panels : dict of dict of (n,) or (n, S)
        By title of the panel and name of the line; of S seeds the mean is drawn, and their range shaded.
    x : (n,)
    xlabel : str
    ylabels : sequence of str, optional
        One for each panel.
    levels : dict of dict of float, optional
        Horizontal lines of a panel, by name.
    log : bool
        Logarithmic x; zeros get a place of their own on the left.
    title : str
    """
    figure, axes = _panels((1, len(panels)))
    at = np.asarray(x, float)
    for number, (name, series) in enumerate(panels.items()):
        panel = axes[0, number]
        for i, (label, values) in enumerate(series.items()):
            y = np.asarray(values, float).reshape(len(at), -1)
            mark = _MARKERS[i % len(_MARKERS)] if len(at) <= 25 else ""
            style = {"color": _FEW[i % len(_FEW)], "linestyle": _DASHES[i % len(_DASHES)], "marker": mark}
            panel.plot(at, y.mean(1), label=label, markersize=4, linewidth=1.5, **style)
            if y.shape[1] > 1:
                panel.fill_between(at, y.min(1), y.max(1), color=style["color"], alpha=0.15, linewidth=0)
        for label, level in (levels or {}).get(name, {}).items():
            panel.axhline(level, color="0.45", linestyle=":", linewidth=1.2, label=label)
        if log:
            positive = at[at > 0]
            panel.set_xscale("symlog", linthresh=float(positive.min()), linscale=0.4)
        panel.set(xlabel=xlabel, title=name, ylabel="" if ylabels is None else ylabels[number])
        panel.grid(alpha=0.3)
        if len(series) + len((levels or {}).get(name, {})) > 1:
            panel.legend(frameon=False, fontsize=8)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def grid(
    values: npt.ArrayLike, rows: Sequence[str], columns: Sequence[str], *, xlabel: str, ylabel: str, title: str
) -> "Figure":
    """A table (r, c) of numbers as shades, each with its number, such as a score over two weights.

    Parameters
    ----------
    values : (r, c)
    rows, columns : sequence of str
        Names of r rows and c columns.
    xlabel, ylabel, title : str
    """
    table = np.asarray(values, float)
    figure, axes = _panels((1, 1), width=0.62 * len(columns) + 1.2, height=0.5 * len(rows) + 0.8)
    panel = axes[0, 0]
    panel.imshow(table, cmap="cividis", aspect="auto")
    middle = (table.min() + table.max()) / 2
    for (row, column), value in np.ndenumerate(table):
        colour = "white" if value < middle else "black"
        panel.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    panel.set(xlabel=xlabel, ylabel=ylabel, title=title)
    panel.set_xticks(range(len(columns)), columns)
    panel.set_yticks(range(len(rows)), rows)
    return figure


def histogram(series: Mapping[str, npt.ArrayLike], names: Sequence[str], *, ylabel: str, title: str = "") -> "Figure":
    """Groups of bars: one group for each name, one bar in it for each series.

    Parameters
    ----------
    series : dict of (n,)
    names : sequence of str
        n of them.
    ylabel : str
    title : str
    """
    figure, axes = _panels((1, 1), width=max(4.2, 0.36 * len(names) * len(series) + 1.5, 0.95 * len(names)))
    panel, place, width = axes[0, 0], np.arange(len(names)), 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        bars = panel.bar(
            place + (i - (len(series) - 1) / 2) * width, np.asarray(values, float), width, label=label,
            color=_FEW[i % len(_FEW)], hatch=("", "//", "..", "xx")[i % 4], edgecolor="white",
        )  # fmt: skip
        if len(names) * len(series) <= 16:
            panel.bar_label(bars, fmt="%.2f", fontsize=7, padding=1)
    panel.set(xticks=place, ylabel=ylabel, title=title)
    panel.margins(y=0.1)  # room for the numbers above the bars
    panel.set_xticklabels(names)
    panel.grid(axis="y", alpha=0.3)
    panel.set_axisbelow(True)
    if len(series) > 1:
        panel.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def unfairest(found: Mapping[str, Unfairest], names: Sequence[str]) -> "Figure":
    """Shares of the groups in each method's unfairest cluster, beside those in all rows.

    Parameters
    ----------
    found : dict of `Unfairest`
        By method.
    names : sequence of str
        Of the groups.
    """
    overall = next(iter(found.values())).overall
    series = {"all rows": overall} | {f"{method} ({one.size} rows)": one.shares for method, one in found.items()}
    figure = histogram(series, names, ylabel="share of the cluster", title="Groups in the unfairest cluster")
    figure.axes[0].set_ylim(0, 1.08)
    return figure


def images(rows: Mapping[str, npt.ArrayLike], *, title: str = "") -> "Figure":
    """Rows of images, a name before each.

    Parameters
    ----------
    rows : dict of (n, h, w) or (n, h, w, c)
        Values in [0, 1], equally many in each row.
    title : str
    """
    count = len(np.asarray(next(iter(rows.values()))))
    figure, axes = _panels((len(rows), count), width=0.62, height=0.56)
    engine: Any = figure.get_layout_engine()
    engine.set(h_pad=0.02, w_pad=0.02, hspace=0, wspace=0)
    for row, (name, values) in enumerate(rows.items()):
        for column, image in enumerate(np.asarray(values)):
            panel = axes[row, column]
            panel.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            panel.set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _panels(shape: tuple[int, int], *, width: float = _WIDTH, height: float = _HEIGHT) -> "tuple[Figure, Any]":
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("figures need matplotlib: pip install 'fairjax[bench]'") from None

    # no pyplot: nothing global is touched, and no window system is asked for
    figure = Figure(figsize=(width * shape[1] + 0.6, height * shape[0] + 0.3), layout="constrained")
    return figure, figure.subplots(*shape, squeeze=False)


def _mark(sign: str) -> dict[str, Any]:
    return {"marker": sign, "s": 60, "c": "black", "edgecolors": "white", "linewidths": 0.8, "zorder": 3}


def _palette(n: int) -> tuple[str, ...]:
    colours = _FEW if n <= len(_FEW) else _MANY
    return tuple(colours[i % len(colours)] for i in range(n))
