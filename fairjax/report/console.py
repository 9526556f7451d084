"""The same report in a few lines on a terminal."""

from typing import TYPE_CHECKING

import numpy as np

from fairjax.report import words
from fairjax.report.data import ReportData, row_balance, shares
from fairjax.report.formats import duration, number, percent, plural

if TYPE_CHECKING:
    from rich.console import Console

MOST_GROUPS = 10
MOST_ROWS = 20


def print_summary(data: ReportData, console: "Console") -> None:
    """Print headline, clusters and price.

    Each group has a column if there are at most ten and they fit the terminal; otherwise columns name the groups
    that are rarest and most common relative to their share of all points. Of more than 20 clusters, the 20 least
    balanced are listed.

    Parameters
    ----------
    data : ReportData
        The run.
    console : rich.console.Console
        Where to print.
    """
    from rich.text import Text

    console.print(Text(data.title, style="bold"), Text(_size(data), style="dim"))
    console.print(Text(words.headline(data)))
    if data.unfair is not None:
        console.print(Text(words.comparison(data)))
    console.print(_clusters(data, console.width))
    hidden = data.n_clusters - MOST_ROWS
    if hidden > 0:
        console.print(Text(f"The {MOST_ROWS} least balanced clusters are listed; {hidden} more are not.", style="dim"))
    console.print(Text(_outcome(data)))
    if not data.converged:
        console.print(Text(words.ending(data), style="yellow"))
    for note in data.notes:
        console.print(Text(note, style="yellow"))


def _clusters(data: ReportData, width: int) -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("cluster", justify="right")
    table.add_column("size", justify="right")
    names = [name if len(name) <= 16 else name[:15] + "…" for name in data.names]
    room = 16 + sum(max(len(name), 6) + 2 for name in names) + 9
    full = data.n_groups <= MOST_GROUPS and room <= width
    for name in names if full else ["rarest against all", "most common against all"]:
        table.add_column(Text(name), justify="right")
    table.add_column("ratio", justify="right")

    share, ratios = shares(data.counts), row_balance(data.counts)
    order = np.arange(data.n_clusters)
    if data.n_clusters > MOST_ROWS:
        order = np.sort(np.argsort(ratios, kind="stable")[:MOST_ROWS])
    for k in order:
        row = [str(k), number(data.counts[k].sum(), 6)]
        if np.isnan(ratios[k]):
            row += ["-"] * (data.n_groups if full else 2) + ["empty"]
        else:
            row += [f"{100 * s:.1f}%" for s in share[k]] if full else _extremes(data, share[k], names)
            row.append(f"{ratios[k]:.3f}")
        table.add_row(*map(Text, row))
    if full:
        table.add_section()
        whole = row_balance(data.counts.sum(axis=0, keepdims=True))[0]
        cells = [
            "all",
            number(data.counts.sum(), 7),
            *(f"{100 * s:.1f}%" for s in data.overall),
            f"{whole:.3f}",
        ]
        table.add_row(*map(Text, cells))
    return table


def _extremes(data: ReportData, share: np.ndarray, names: list[str]) -> list[str]:
    ratio = np.divide(share, data.overall, out=np.ones_like(share), where=data.overall > 0)
    return [f"{names[g]} × {ratio[g]:.2f}" for g in (int(ratio.argmin()), int(ratio.argmax()))]


def _size(data: ReportData) -> str:
    kinds = [plural(data.n_points, "point"), plural(data.n_features, "feature")]
    return "(" + ", ".join([*kinds, plural(data.n_groups, "group"), plural(data.n_clusters, "cluster")]) + ")"


def _outcome(data: ReportData) -> str:
    parts = [f"cost {number(data.cost)}"]
    if data.price is not None and data.unfair is not None:
        parts.append(f"ordinary k-means {number(data.unfair['cost'])}")
    if data.gap is not None:
        parts.append(f"proven gap {percent(max(data.gap, 0.0))}")
    if data.n_iter is not None:
        parts.append(plural(data.n_iter, "iteration"))
    if data.seconds is not None:
        parts.append(duration(data.seconds))
    return " · ".join(parts)
