"""``fairjax inspect``: what would be read of a table, as what, and what is wrong."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairjax import datasets
from fairjax._core.text import counted, visible
from fairjax.cli import table_options
from fairjax.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from fairjax.datasets.table.inspection import Inspection

_MOST_ROWS = 60
_MOST_PROXIES = 8


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Describe the table; nothing is clustered."""
    from fairjax.datasets.table.grouping import GroupSettings
    from fairjax.datasets.table.inspection import inspect_table

    if options.data in datasets.names():
        raise InputError(f"{options.data!r} is a known data set, which is read as it always is; see fairjax datasets")
    told = table_options.chosen(options)
    found = inspect_table(
        options.data,
        sensitive=options.sensitive,
        drop=told.get("drop", ()),
        settings=GroupSettings(
            missing=told.get("missing_group", False),
            bins=told.get("bins"),
            min_group=told.get("min_group"),
            small=told.get("small_groups", "merge"),
        ),
        dialect=told.get("dialect"),
        download=options.download,
    )
    if options.json:
        print(json.dumps(found.to_dict(), allow_nan=False))
        return
    from rich.console import Console

    _print(found, Console())


def _print(found: "Inspection", console: "Console") -> None:
    from rich.text import Text

    size = f"({counted(found.n_rows, 'row')}, {counted(len(found.columns), 'column')})"
    console.print(Text(found.name, style="bold"), Text(size, style="dim"))
    if found.dialect is not None:
        header = "the first line names the columns" if found.dialect.header else "no header"
        console.print(Text(f"text {found.written}; {found.dialect.encoding}; {header}"))
    console.print(_columns(found))
    if len(found.columns) > _MOST_ROWS:
        console.print(Text(f"{len(found.columns) - _MOST_ROWS:,} more columns (--json lists all)", style="dim"))
    if found.groups:
        sizes = ", ".join(f"{name} {size:,}" for name, size in list(found.groups.items())[:12])
        more = ", ..." if len(found.groups) > 12 else ""
        console.print(Text(f"{counted(len(found.groups), 'group')}: {sizes}{more}"))
    if found.proxies:
        console.print(_proxies(found))
    for remark in found.remarks:
        console.print(Text(f"Note: {remark}."))
    for problem in found.problems:
        console.print(Text(f"Problem: {problem}.", style="yellow"))
    console.print(Text(f"To cluster it: {found.command}"), soft_wrap=True)


def _columns(found: "Inspection") -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("column", overflow="fold", min_width=8)
    table.add_column("kind", no_wrap=True)
    for name in ("missing", "distinct"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("for instance", overflow="ellipsis", no_wrap=True, max_width=24)
    for column, examples in list(zip(found.columns, found.examples, strict=True))[:_MOST_ROWS]:
        kind = (
            column.kind
            if column.kind in (column.type, "category", "other", "empty")
            else f"{column.kind} ({column.type})"
        )
        cells = [
            visible(column.name, 40) or f"(column {column.position + 1})",
            kind,
            f"{column.n_missing:,}" if column.n_missing else "",
            f"{column.n_distinct:,}",
            ", ".join(examples),
        ]
        table.add_row(*map(Text, cells))
    return table


def _proxies(found: "Inspection") -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("what gives it away", overflow="fold")
    table.add_column("of")
    table.add_column("share told", justify="right")
    for proxy in found.proxies[:_MOST_PROXIES]:
        cells = [visible(proxy.column, 40), visible(proxy.sensitive, 40), f"{100 * proxy.told:.1f}%"]
        table.add_row(*map(Text, cells))
    return table
