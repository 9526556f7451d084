"""The options that say how a user's own table is read; `fit`, `bench` and `inspect` have them in common."""

import argparse
from typing import Any

from fairjax.errors import InputError

_DIALECT = ("separator", "quote", "escape", "decimal", "thousands", "encoding", "header", "skip")
_COLUMNS = (
    "drop",
    "missing",
    "missing_indicator",
    "categorical",
    "dates",
    "missing_group",
    "bins",
    "min_group",
    "small_groups",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    _add_columns(parser)
    add_reading(parser)


def _add_columns(parser: argparse.ArgumentParser) -> None:
    columns = parser.add_argument_group("what is in the columns of a file")
    columns.add_argument("--drop", metavar="A,B", help="columns to leave out, in place of --features")
    columns.add_argument(
        "--missing", metavar="HOW",
        help="missing values: error (default), drop their rows, or put in the column's mean or median",
    )  # fmt: skip
    columns.add_argument(
        "--missing-indicator", action="store_true", help="add a column of 0 and 1 beside each one with missing values"
    )
    columns.add_argument(
        "--categorical", metavar="HOW",
        help="columns of text: error (default), one-hot (a column of 0 and 1 for every value) or ordinal (its rank)",
    )  # fmt: skip
    columns.add_argument("--dates", metavar="HOW", help="columns of dates: error (default) or number (days)")
    columns.add_argument(
        "--missing-group", action="store_true", help="rows without a sensitive value are a group of their own"
    )
    columns.add_argument(
        "--bins", type=int, metavar="N", help="cut sensitive columns of numbers into N ranges of about equal size"
    )
    columns.add_argument(
        "--min-group",
        type=int,
        metavar="N",
        help='merge groups of fewer than N rows into one, "other" (with '
        "--attributes separately the values of each column)",
    )
    columns.add_argument(
        "--small-groups", metavar="HOW", help="groups below --min-group: merge (default), or error to refuse them"
    )


def add_key(parser: argparse.ArgumentParser, what: str) -> None:
    """Add what names the columns that tell rows apart."""
    parser.add_argument("--key", metavar="A,B", help=what)


def add_plain_formulas(parser: argparse.ArgumentParser) -> None:
    """Add what makes the cells of ``--out`` harmless to spreadsheets."""
    parser.add_argument(
        "--plain-formulas", action="store_true",
        help="with --out: put an apostrophe before text that a spreadsheet would run as a formula",
    )  # fmt: skip


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add only the options that say how a text file is written."""
    reading = parser.add_argument_group("how a text file is written (found out if left out)")
    reading.add_argument("--separator", metavar="C", help="character between cells, such as , ; | or the word tab")
    reading.add_argument("--quote", metavar="C", help="character around cells, or the word none")
    reading.add_argument("--escape", metavar="C", help="character before one that is taken as it is, or none")
    reading.add_argument("--decimal", metavar="C", help="decimal sign: . or ,")
    reading.add_argument("--thousands", metavar="C", help="sign between groups of three digits")
    reading.add_argument("--encoding", metavar="E", help="such as utf-8, cp1252 or utf-16")
    reading.add_argument(
        "--header", action=argparse.BooleanOptionalAction, default=None, help="whether the first line names the columns"
    )
    reading.add_argument("--skip", type=int, metavar="N", help="lines before the table to pass over")


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was said of these options, by name."""
    found = {name: getattr(options, name, None) for name in (*_COLUMNS, *_DIALECT)}
    return {name: value for name, value in found.items() if value is not None and value is not False}


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of `read_table` for what was said, and nothing for what was not."""
    from fairjax.datasets.table.dialect import Dialect

    found: dict[str, Any] = {
        name: value for name in _COLUMNS if (value := getattr(options, name, None)) is not None and value is not False
    }
    if "min_group" in found and getattr(options, "attributes", "jointly") == "separately":
        found["attributes"] = "separately"
    told = {name: getattr(options, name) for name in _DIALECT if getattr(options, name) is not None}
    if told:
        found["dialect"] = Dialect(**told)
    return found


def refuse(table: dict[str, Any], name: str) -> None:
    """Raise InputError for options of files beside a data set known by name, whose reading is fixed."""
    if not table:
        return
    option = next(iter(table))
    if option == "dialect":
        option = next(n for n in _DIALECT if getattr(table["dialect"], n) is not None)
    raise InputError(
        f"--{option.replace('_', '-')} says how a file is read; the data set {name!r} is read as it always is: "
        "leave it out"
    )
