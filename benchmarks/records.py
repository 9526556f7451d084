"""Figures from the records in ``benchmarks/results``, found by a path and written as a format says.

A path names a record and what leads to the figure, step by step::

    direct-targets / rows / data=Adult, L2, best of 10 starts / cheapest / cost -> .4f

A step is a key of an object, the number of an item in a list (or ``last``), or ``key=value`` (several joined by ``;``)
for the first item that has it. After the arrow stands a format of Python's, with ``ms`` or ``%`` before it for
thousandths and per cent; ``tiny`` says only that a gap is below 1e-7. ``path over path`` before the arrow is a ratio.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "results"
_FACTORS = {"ms": 1e3, "%": 100.0, "million": 1e-6}


class MissingFigureError(LookupError):
    """No record holds what a page asks for."""


def exists(name: str) -> bool:
    """Whether there is a record of this name."""
    return (FOLDER / f"{name}.json").is_file()


@cache
def record(name: str) -> dict[str, Any]:
    """The record of this name."""
    path = FOLDER / f"{name}.json"
    if not exists(name):
        raise MissingFigureError(f"there is no record {path.name} in benchmarks/results")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def follow(node: Any, path: str) -> Any:
    """What a path leads to from a node of a record.

    Examples
    --------
    >>> follow({"rows": [{"K": 5, "cost": 0.5}, {"K": 10, "cost": 0.25}]}, "rows / K=10 / cost")
    0.25
    """
    for step in filter(None, (part.strip() for part in path.split(" / "))):
        node = _next(node, step, path)
    return node


def _next(node: Any, step: str, path: str) -> Any:
    if isinstance(node, list):
        if node and step == "last":
            return node[-1]
        if step.isdecimal() and int(step) < len(node):
            return node[int(step)]
        wanted = dict(condition.strip().split("=", 1) for condition in step.split(";") if "=" in condition)
        for item in node:
            if wanted and all(str(item.get(key)) == value for key, value in wanted.items()):
                return item
    elif isinstance(node, dict) and step in node:
        return node[step]
    known = ", ".join(map(str, node)) if isinstance(node, dict) else f"{len(node)} items"
    raise MissingFigureError(f"nothing at {step!r} of {path!r}; there are {known[:300]}")


def written(value: Any, form: str) -> str:
    """A value as a format says.

    Examples
    --------
    >>> written(0.00512, "ms .1f"), written(0.0312, "% .1f"), written(3e-16, "tiny"), written(1797, ",")
    ('5.1', '3.1', '< 1e-7', '1,797')
    """
    if value is None:
        return ""
    if form == "tiny":
        return "< 1e-7" if value < 1e-7 else f"{value:.1e}"
    unit, _, rest = form.partition(" ")
    if unit in _FACTORS:
        return format(value * _FACTORS[unit], rest)
    return format(value, form)


def figure(text: str) -> str:
    """One figure as text: ``record / path -> format``, or ``record / path over record / path -> format``."""
    path, _, form = text.partition(" -> ")
    value, *below = (_value(part) for part in path.split(" over "))
    return written(value / below[0] if below else value, form.strip())


def _value(path: str) -> Any:
    name, _, rest = path.partition(" / ")
    return follow(record(name.strip()), rest)


def sentence(template: str) -> str:
    """A template with every ``{record / path -> format}`` in it replaced by its figure."""
    return re.sub(r"\{([^{}]+ -> [^{}]+)\}", lambda found: figure(found[1]), template)


def table(
    path: str, columns: list[str], *, where: str = "", sum: str = "", optional: str = ""
) -> tuple[list[str], list[list[str]]]:
    """Titles and cells of the items of a list, or of an object, that a path leads to.

    Parameters
    ----------
    path : ``record / path`` of the list or object.
    columns : each ``Title = path from the item -> format``; the path ``key`` is an object's key.
    where : ``key=value; key=value``, which items are taken.
    sum : keys, separated by commas; items that agree in them are added up.
    optional : titles, separated by commas, of columns that are left out where no item has a figure.

    Raises
    ------
    MissingFigureError
        If no item is left, or none of them has a figure for another column.
    """
    name, _, rest = path.partition(" / ")
    found = follow(record(name.strip()), rest)
    items = [{"key": key, **item} for key, item in found.items()] if isinstance(found, dict) else found
    wanted = [condition.strip().split("=", 1) for condition in where.split(";") if "=" in condition]
    items = [item for item in items if all(str(item.get(key)) == value for key, value in wanted)]
    if sum:
        items = _added_up(items, [key.strip() for key in sum.split(",")])
    titles, cells = [], []
    for column in filter(str.strip, columns):
        title, _, source = column.partition(" = ")
        column_path, _, form = source.partition(" -> ")
        written_cells = [_cell(item, column_path.strip(), form.strip()) for item in items]
        if any(written_cells):
            titles.append(title.strip())
            cells.append(written_cells)
        elif title.strip() not in map(str.strip, optional.split(",")):
            raise MissingFigureError(f"no item of {path!r} has anything at {column_path.strip()!r}")
    return titles, [list(row) for row in zip(*cells, strict=True)]


def _added_up(items: list[dict[str, Any]], keys: list[str]) -> list[dict[str, Any]]:
    """Items that agree in the keys as one, with the sums of their whole numbers."""
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in items:
        total = sums.setdefault(tuple(item[key] for key in keys), {key: item[key] for key in keys})
        for key, value in item.items():
            if key not in keys and isinstance(value, int):
                total[key] = total.get(key, 0) + value
    return list(sums.values())


def _cell(item: dict[str, Any], path: str, form: str) -> str:
    """A cell; empty where an item lacks the figure, as rows of other methods do."""
    try:
        return written(follow(item, path), form)
    except MissingFigureError:
        return ""


def origin(name: str) -> str:
    """By what command, when and where the figures of a record were measured."""
    found = record(name)
    machine, versions = found.get("machine", {}), found.get("versions", {})
    devices = {str(row["device"]) for row in found.get("rows", []) if isinstance(row, dict) and row.get("device")}
    device = found.get("device") if str(found.get("device", "")).startswith("gpu") else None
    on = ", ".join(sorted(devices)) or (device or "").removeprefix("gpu ")
    on = on or f"{machine.get('cpu')}, {machine.get('cores')} cores"
    return f"{found['command']}; {on}; jax {versions.get('jax')}; {found['date'][:10]}"
