"""The page of a comparison: the table of every data set, and the cost of its methods against the balance they reach."""

from collections.abc import Mapping, Sequence
from importlib.resources import files as resources
from typing import Any

from fairjax.report.charts import Axes, circle, square, svg
from fairjax.report.formats import duration, fixed, number, plural, share, signed
from fairjax.report.markup import cell_of, esc, figure, fold, paragraph, section, table
from fairjax.report.page import POLICY
from fairjax.report.palette import GROUPS

_HOLLOW = ("collapsed", "diverged")
_POINTS_ONLY = ("sfc", "fairlets")  # their cost jumps between neighbouring values of their control
_MADE = "Made by fairjax {}. This page needs no network and runs no script."

Record = Mapping[str, Any]


def render(results: Sequence[Record], *, version: str, command: str = "") -> str:
    """Return the page of the results of ``fairjax bench``, one entry for every data set, as one HTML document.

    Parameters
    ----------
    results : sequence of mapping
        As in the JSON of ``fairjax bench``: ``data``, ``n``, ``n_features``, ``n_groups``, ``n_clusters``,
        ``max_balance``, ``seeds``, ``methods``, ``notes``, ``quoted``, ``start_seconds``, ``compile_seconds``,
        ``attributes`` and ``separately`` of several sensitive columns, and ``curve`` if curves were run.
    version : str
        Version of the package.
    command : str, optional
        Command line that repeats the comparison.

    Returns
    -------
    str
        HTML that loads nothing and runs no script.

    Examples
    --------
    >>> row = {"method": "k-means", "cost": 1.0, "price": 0.0, "balance": 0.5, "share": 0.5, "violation": None,
    ...        "seconds": 0.1, "status": "converged", "n_nonempty": 2}
    >>> found = {"data": "points", "n": 9, "n_features": 2, "n_groups": 2, "n_clusters": 2, "max_balance": 1.0,
    ...          "seeds": 1, "methods": [row], "notes": [], "quoted": [], "start_seconds": 0.0, "compile_seconds": 1.0}
    >>> ">k-means</th>" in render([found], version="0.1")
    True
    """
    style = resources("fairjax.report").joinpath("style.css").read_text(encoding="utf-8")
    names = ", ".join(str(result["data"]) for result in results)
    parts = [_section(i, result) for i, result in enumerate(results)]
    links = "".join(f'<a href="#set{i}">{esc(result["data"])}</a>' for i, result in enumerate(results))
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<link rel="icon" href="data:,">',
            f"<title>{esc(names)}: methods compared</title>",
            f"<style>\n{style}\n{_colours()}\n</style></head>",
            "<body>",
            f'<header><p class="eyebrow">Methods of clustering compared</p><h1>{esc(names)}</h1></header>',
            f'<nav aria-label="Sections"><div>{links}</div></nav>' if len(results) > 1 else "",
            "<main>",
            *parts,
            section("again", "How to repeat this", f"<pre><code>{esc(command)}</code></pre>") if command else "",
            "</main>",
            f"<footer>{paragraph(_MADE.format(version))}</footer>",
            "</body></html>\n",
        ]
    )


def _restarts(result: Record) -> str:
    n_init = result.get("n_init", 1)
    return f", each the best of {n_init} restarts" if n_init > 1 else ""


def _section(place: int, result: Record) -> str:
    size = (
        f"{plural(result['n'], 'point')}, {plural(result['n_features'], 'feature')}, "
        f"{plural(result['n_groups'], 'group')}, {plural(result['n_clusters'], 'cluster')}. Medians over "
        f"{plural(result['seeds'], 'start')}{_restarts(result)}; the status is the worst of them. The best possible "
        f"balance is {number(result['max_balance'])}."
    )
    times = (
        f"Seconds are those of a compiled fit from its start on; finding the start took "
        f"{duration(result['start_seconds'])}, compiling {duration(result['compile_seconds'])} in all."
    )
    return section(
        f"set{place}",
        str(result["data"]),
        paragraph(size),
        _table(result),
        _attributes(result),
        paragraph(times, "note"),
        *(paragraph(note, "remark") for note in result["notes"]),
        _quoted(result["quoted"]),
        _curves(result),
    )


def _table(result: Record) -> str:
    by_attribute = list(result.get("attributes", ()))
    of_each = [f"balance by {name}" for name in by_attribute]
    head = ["Method", "cost", "over k-means", "balance", *of_each, "of best", "missed", "seconds", "status"]
    rows = []
    for row in result["methods"]:
        lost = 0 < row["n_nonempty"] < result["n_clusters"]
        status = f"{row['status']}, {plural(row['n_nonempty'], 'cluster')}" if lost else row["status"]
        price = row["price"]
        rows.append(
            [
                row["method"],
                _shown(row["cost"], 4),
                "–" if price is None else signed(round(price, 3), share(price)),
                _shown(row["balance"], 4),
                *(_shown(row[f"balance_{name}"], 4) for name in by_attribute),
                "–" if row["share"] is None else share(row["share"]),
                "" if row["violation"] is None else fixed(row["violation"], 1),
                _shown(row["seconds"], 3),
                cell_of(esc(status)),
            ]
        )
    caption = "Missed: points by which the labels miss what the method promises; blank where it promises nothing"
    return table(head, rows, caption)


def _attributes(result: Record) -> str:
    """What the balance of several attributes is, and the best by each."""
    best = [f"{number(value)} by {name}" for name, value in result.get("attributes", {}).items()]
    if not best:
        return ""
    meant = "the least over the columns, each fair by itself" if result["separately"] else "that of the combinations"
    return paragraph(f"Balance is {meant}; the best possible are {', '.join(best)}.", "note")


def _shown(value: float | None, places: int) -> str:
    return "–" if value is None else fixed(value, places)


def _quoted(quoted: Sequence[Record]) -> str:
    """Published results of others, apart from what was run."""
    sentences = []
    for source in dict.fromkeys(row["source"] for row in quoted):
        rows = [row for row in quoted if row["source"] == source]
        figures = "; ".join(f"{row['method']} {row['cost']:.4g} / {row['balance']:.4g}" for row in rows)
        sentences.append(f"Published, cost / balance: {figures} ({source}).")
    return paragraph(" ".join(sentences), "note")


def _curves(result: Record) -> str:
    """Cost against balance, a line for each method and control, and its values in a table."""
    runs = [run for run in result.get("curve") or [] if run["cost"] is not None and run["balance"] is not None]
    if not runs:
        return ""
    lines: dict[tuple[str, str], list[Record]] = {}
    for run in runs:
        lines.setdefault((run["name"], run["control"] or ""), []).append(run)
    best = float(result["max_balance"])
    axes = Axes.around([run["balance"] for run in runs] + [best], [run["cost"] for run in runs])
    parts = [axes.draw("balance reached (further right is fairer)", "cost"), axes.upright(best, "best")]
    names = []
    for place, ((name, control), own) in enumerate(lines.items()):
        kind = f"s{place % len(GROUPS)}"
        mark = circle if place < len(GROUPS) else square
        good = [run for run in own if run["status"] not in _HOLLOW]
        through = [(run["balance"], run["cost"]) for run in good]
        if len(through) > 2 and name not in _POINTS_ONLY:
            parts.append(axes.path(through, f"along {kind}"))
        for run in own:
            hollow = " hollow" if run["status"] in _HOLLOW else ""
            hint = f"{run['method']}: balance {number(run['balance'], 3)}, cost {number(run['cost'])}, {run['status']}"
            parts.append(mark(axes.x(run["balance"]), axes.y(run["cost"]), 3.5, f"mark {kind}{hollow}", hint))
        names.append((kind, _line_name(name, control, own)))
    swatches = "".join(f'<li><i class="b{kind[1:]}"></i><span>{esc(name)}</span></li>' for kind, name in names)
    chart = svg("".join(parts), f"Cost against balance of {plural(len(lines), 'line')}; all values are in the table.")
    rows = [
        [run["method"], fixed(run["balance"], 4), fixed(run["cost"], 4), cell_of(esc(run["status"]))] for run in runs
    ]
    values = table(["Method", "balance", "cost", "status"], rows, "All values of the curves, from one start")
    caption = "Cost against the balance reached, from one start; hollow marks lost clusters or diverged"
    return (
        figure(f'<ul class="legend">{swatches}</ul>{chart}', caption, kind="chart")
        + fold(f"The {len(rows)} values as a table", values)
    )  # fmt: skip


def _line_name(name: str, control: str, runs: Sequence[Record]) -> str:
    """The method, with the control if the method has several lines."""
    label = str(runs[0]["method"])
    beginnings = {str(run["method"]).partition(" ")[0].rstrip(",") for run in runs}
    label = beginnings.pop() if len(beginnings) == 1 else name
    return f"{label}, {control.replace('_', ' ')}" if control else label


def _colours() -> str:
    rules = [
        f".chart .s{i}{{stroke:{colour};fill:{colour}}}.legend .b{i}{{background:{colour}}}"
        for i, colour in enumerate(GROUPS)
    ]
    return "\n".join([*rules, ".chart .along{fill:none;stroke-width:1.6}.chart .hollow{fill:none;stroke-width:1.5}"])
