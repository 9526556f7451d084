"""The tables that ``fairjax bench`` prints."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairjax._core.text import counted, visible

if TYPE_CHECKING:
    from rich.console import Console

FROM = {
    "aligned": "from the aligned start on",
    "k-means++": "from the k-means centres on",
    "random": "from the random start on",
}


def show(results: Sequence[Mapping[str, Any]]) -> None:
    """Print the table of each data set, what is to be said of it, and what others have printed."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for result in results:
        size = (
            f"({counted(result['n'], 'point')}, {counted(result['n_features'], 'feature')}, "
            f"{counted(result['n_groups'], 'group')}, {counted(result['n_clusters'], 'cluster')})"
        )
        console.print(Text(result["data"], style="bold"), Text(size, style="dim"))
        console.print(_table(result))
        if result["attributes"]:
            console.print(_by_attribute(result))
        console.print(Text(_legend(result)))
        for note in result["notes"]:
            console.print(Text(note, style="yellow"))
        _quote(console, result["quoted"])


def _table(result: Mapping[str, Any]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    rows = result["methods"]
    lost = any(0 < row["n_nonempty"] < result["n_clusters"] for row in rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True)
    for heading in ("cost", "over k-means", "balance", "of best", "missed"):
        table.add_column(heading, justify="right")
    if lost:
        table.add_column("clusters", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("status", no_wrap=True)
    for row in rows:
        cells = [
            row["method"],
            _cell(row["cost"], "{:.4f}"),
            _cell(None if row["price"] is None else 100 * row["price"], "{:+.1f}%"),
            _cell(row["balance"], "{:.4f}"),
            _cell(None if row["share"] is None else 100 * row["share"], "{:.1f}%"),
            _cell(row["violation"], "{:.1f}", ""),
        ]
        if lost:
            cells.append(str(row["n_nonempty"]) if 0 < row["n_nonempty"] < result["n_clusters"] else "")
        table.add_row(*map(Text, [*cells, _cell(row["seconds"], "{:.3f}"), row["status"]]))
    return table


def _by_attribute(result: Mapping[str, Any]) -> Any:
    """The balance by each of several columns, in a table of its own: beside the rest it would not fit."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("balance by", no_wrap=True)
    for name in result["attributes"]:
        table.add_column(Text(visible(name, 30)), justify="right")
    for row in result["methods"]:
        cells = [_cell(row[f"balance_{name}"], "{:.4f}") for name in result["attributes"]]
        if row["cost"] is not None:
            table.add_row(*map(Text, [row["method"], *cells]))
    return table


def _cell(value: float | None, form: str, nothing: str = "-") -> str:
    return nothing if value is None else form.format(value)


def _legend(result: Mapping[str, Any]) -> str:
    sentences = [
        f"Medians over {counted(result['seeds'], 'start')}{_restarts(result)}, status the worst; the best possible "
        f"balance is {result['max_balance']:.4f}.",
        _attributes_told(result),
        "Missed: points by which the labels miss what the method promises.",
        "FCA ≥ b holds every ratio of two groups at b or more." if _has(result, "FCA ≥") else "",
        f"A method's time is {FROM[result['init']]}; finding the start took {result['start_seconds']:.3f} s, compiling "
        f"{result['compile_seconds']:.1f} s.",
    ]
    return " ".join(filter(None, sentences))


def _attributes_told(result: Mapping[str, Any]) -> str:
    """What the balance of several attributes is, and the best by each; nothing for one."""
    best = [f"{value:.4f} by {visible(name, 40)}" for name, value in result["attributes"].items()]
    if not best:
        return ""
    meant = "the least over the columns, each fair by itself" if result["separately"] else "that of the combinations"
    return f"Balance is {meant}; the best possible are {', '.join(best)}."


def _restarts(result: Mapping[str, Any]) -> str:
    return f", each the best of {result['n_init']} restarts" if result["n_init"] > 1 else ""


def _has(result: Mapping[str, Any], beginning: str) -> bool:
    return any(row["method"].startswith(beginning) for row in result["methods"])


def _quote(console: "Console", quoted: Sequence[Mapping[str, Any]]) -> None:
    """Say what others have printed, apart from what was run."""
    from rich.text import Text

    sources = dict.fromkeys(row["source"] for row in quoted)
    for source in sources:
        rows = [row for row in quoted if row["source"] == source]
        figures = "; ".join(f"{row['method']} {row['cost']:.4g} / {row['balance']:.4g}" for row in rows)
        console.print(Text(f"Published, cost / balance: {figures} ({source}).", style="dim"))
