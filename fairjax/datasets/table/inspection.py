"""What would be read of a table, as what, and what is wrong: a description that a program can use too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairjax._core.text import counted, listed, visible
from fairjax.datasets.table.columns import Column, infer
from fairjax.datasets.table.dialect import Dialect
from fairjax.datasets.table.encoding import MOST_LEVELS
from fairjax.datasets.table.features import names_rows, notes_by_column
from fairjax.datasets.table.grouping import Attribute, GroupSettings, make_groups
from fairjax.datasets.table.proxies import Proxy, find_proxies
from fairjax.datasets.table.rawtable import RawTable, plain_values
from fairjax.datasets.table.reading import read_raw_table
from fairjax.datasets.table.sensitive import sensitive_columns
from fairjax.errors import InputError

_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """A table as it would be read.

    Attributes
    ----------
    name : str
    n_rows : int
    written : str
        How a text file is written; "" for others.
    dialect : Dialect or None
    columns : tuple of Column
    examples : tuple of tuple of str
        Some values of each column.
    problems : tuple of str
        What stands in the way of clustering, with the remedy.
    remarks : tuple of str
        What a reader should know.
    groups : dict of str to int
        Rows of each group, where sensitive columns were named.
    proxies : tuple of Proxy
        How well each column tells the sensitive ones, the strongest first.
    command : str
        A command that would cluster the table.
    """

    name: str
    n_rows: int
    written: str
    dialect: Dialect | None
    columns: tuple[Column, ...]
    examples: tuple[tuple[str, ...], ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    groups: dict[str, int]
    proxies: tuple[Proxy, ...]
    command: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON."""
        told = self.dialect
        return {
            "data": self.name,
            "rows": self.n_rows,
            "dialect": None
            if told is None
            else {
                name: getattr(told, name)
                for name in ("separator", "quote", "escape", "decimal", "thousands", "encoding", "header", "skip")
            },
            "columns": [
                {
                    "name": column.name,
                    "kind": column.kind,
                    "type": column.type,
                    "missing": column.n_missing,
                    "distinct": column.n_distinct,
                    "examples": list(values),
                    "notes": list(column.notes),
                }
                for column, values in zip(self.columns, self.examples, strict=True)
            ],
            "problems": list(self.problems),
            "remarks": list(self.remarks),
            "groups": self.groups,
            "proxies": [
                {"column": p.column, "sensitive": p.sensitive, "told": round(p.told, 4), "kind": p.kind}
                for p in self.proxies
            ],
            "command": self.command,
        }


def inspect_table(
    path: str | os.PathLike[str],
    *,
    sensitive: str | Sequence[str] | None = None,
    drop: str | Sequence[str] = (),
    settings: GroupSettings | None = None,
    dialect: Dialect | None = None,
    download: bool = False,
) -> Inspection:
    r"""Describe a table without clustering it: O(n d), on the host.

    Raises
    ------
    InputError
        When it cannot be read at all, or a sensitive column is not there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "people.csv")
    ...     _ = file.write_text("age,job,sex\n20,cook,F\n,nurse,M\n40,cook,F\n")
    ...     found = inspect_table(file, sensitive="sex")
    >>> [column.kind for column in found.columns]
    ['number', 'category', 'category']
    >>> found.problems[0]
    "'age' has 1 missing value: say --missing drop, mean or median"
    """
    table = read_raw_table(path, dialect=dialect, download=download)
    left_out = set(table.split(drop))
    protected = sensitive_columns(table, table.split(sensitive))
    names = [column.name for column in protected]
    columns, problems = _columns(table)
    features = [c for c in columns if c.name not in names and c.name not in left_out]
    if features and not features[0].name and names_rows(features[0]):
        features = features[1:]
    problems += [problem for column in features for problem in _problems(column)]
    remarks = [*table.notes, *_remarks(columns), *notes_by_column(columns)]
    groups, told = _groups(protected, settings or GroupSettings())
    problems += told
    found = find_proxies(features, _attributes(protected, settings or GroupSettings()))
    remarks += [proxy.sentence() for proxy in found if proxy.kind != "weak"]
    return Inspection(
        name=table.label,
        n_rows=table.n_rows,
        written="" if table.dialect is None else table.dialect.describe(),
        dialect=table.dialect,
        columns=tuple(columns),
        examples=tuple(_examples(table, column) for column in columns),
        problems=tuple(problems),
        remarks=tuple(remarks),
        groups=groups,
        proxies=tuple(found),
        command=_command(os.fspath(path), features, names, found),
    )


def _columns(table: RawTable) -> tuple[list[Column], list[str]]:
    columns, problems = [], []
    for i in range(len(table.names)):
        try:
            columns.append(infer(table, i))
        except InputError as error:
            columns.append(
                Column(name=table.names[i], position=i, type="other", codes=np.zeros(table.n_rows, np.int32))
            )
            problems.append(str(error))
    return columns, problems


def _problems(column: Column) -> list[str]:
    if not column.name:
        return [f"{column.title} has no name: name it, or choose columns with --features"]
    if column.kind == "empty":
        return [f"{column.title} has no values: leave it out with --drop"]
    if column.type == "other":
        return [f"{column.title} holds {(column.notes or ('values of no plain type',))[0]}: leave it out with --drop"]
    if column.kind == "constant":
        return []
    found = []
    if column.type == "text" and column.kind == "identifier":
        found.append(f"{column.title} names the rows, a different text in each: leave it out with --drop")
    elif column.type == "text":
        many = column.n_distinct > MOST_LEVELS
        how = "ordinal, or leave it out with --drop" if many else "one-hot"
        found.append(f"{column.title} holds text of {column.n_distinct:,} values: say --categorical {how}")
    if column.type == "date":
        ways = "write dates as 2024-12-31" if column.doubtful else "say --dates number"
        found.append(f"{column.title} holds dates{', whose ' + column.doubtful if column.doubtful else ''}: {ways}")
    if column.n_missing and column.type != "text":
        found.append(
            f"{column.title} has {counted(column.n_missing, 'missing value')}: say --missing drop, mean or median"
        )
    if column.numbers is not None and np.isinf(column.numbers).any():
        infinite = counted(int(np.isinf(column.numbers).sum()), "infinite value")
        found.append(f"{column.title} has {infinite}: leave out these rows")
    return found


def _remarks(columns: Sequence[Column]) -> list[str]:
    constant = [c.name for c in columns if c.kind == "constant"]
    counters = [c.name for c in columns if c.kind == "identifier" and c.type == "number"]
    notes = [f"{listed(constant)} constant over all rows, which is left out"] if constant else []
    if counters:
        notes.append(f"{listed(counters)} number{'s' if len(counters) == 1 else ''} the rows; leave out with --drop")
    return notes


def _groups(protected: Sequence[Column], settings: GroupSettings) -> tuple[dict[str, int], list[str]]:
    if not protected:
        return {}, []
    gaps = [c for c in protected if c.n_missing and not settings.missing]
    problems = [
        f"the sensitive column {c.title} has {counted(c.n_missing, 'missing value')}: say --missing-group, or "
        "--missing drop"
        for c in gaps
    ]
    keep = ~np.logical_or.reduce([c.missing for c in gaps]) if gaps else None
    kept = [c if keep is None else c.take(keep) for c in protected]
    try:
        groups = make_groups(kept, settings)
    except InputError as error:
        return {}, [*problems, str(error)]
    sizes = np.bincount(groups.ids, minlength=len(groups.names)).tolist()
    return dict(zip(groups.names, sizes, strict=True)), problems


def _attributes(protected: Sequence[Column], settings: GroupSettings) -> dict[str, Attribute]:
    """The sensitive columns one by one, each gap a value of its own, for what tells them."""
    found: dict[str, Attribute] = {}
    for column in protected:
        try:
            made = make_groups([column], GroupSettings(missing=True, bins=settings.bins))
        except InputError:
            continue
        found.update(made.attributes)
    return found


def _examples(table: RawTable, column: Column) -> tuple[str, ...]:
    cells = plain_values(table.cells.column(column.position).slice(0, 200))
    seen = dict.fromkeys(visible(str(cell).strip(), 24) for cell in cells if cell is not None and str(cell).strip())
    return tuple(list(seen)[:_EXAMPLES])


def _command(path: str, features: Sequence[Column], sensitive: Sequence[str], proxies: Sequence[Proxy]) -> str:
    """Return a command that would cluster the table as it is."""
    import shlex

    words = ["fairjax", "fit", path]
    if sensitive:
        words += ["--sensitive", ",".join(sensitive)]
    copies = {proxy.column for proxy in proxies if proxy.kind in ("copy", "part")}
    out = [c for c in features if c.name and "," not in c.name and (_useless(c) or c.name in copies)]
    used = [c for c in features if c not in out]
    if out:
        words += ["--drop", ",".join(c.name for c in out)]
    if any(c.n_missing and c.type != "text" for c in used):
        words += ["--missing", "median"]
    texts = [c for c in used if c.type == "text"]
    if texts:
        words += ["--categorical", "one-hot" if all(c.n_distinct < MOST_LEVELS for c in texts) else "ordinal"]
    if any(c.type == "date" for c in used):
        words += ["--dates", "number"]
    return visible(shlex.join(words), 500)


def _useless(column: Column) -> bool:
    return (
        column.kind in ("identifier", "empty", "other")
        or bool(column.doubtful)
        or (column.type == "text" and column.kind == "text")
    )
