"""Which columns are clustered: those named, or all that can be, with one sentence about those that cannot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fairjax._core.text import listed, shown, visible
from fairjax.datasets.table.columns import Column, infer
from fairjax.datasets.table.encoding import Treatment
from fairjax.datasets.table.grouping import GroupSettings
from fairjax.datasets.table.rawtable import RawTable, unknown_column
from fairjax.errors import InputError

_SHOWN = 5
_LOOKED_AT = 50  # columns that are understood to suggest some


def choose_columns(
    table: RawTable,
    sensitive: Sequence[str],
    features: Sequence[str] | str | None,
    drop: Sequence[str] | str = (),
    key: Sequence[str] | str = (),
) -> list[int]:
    """Return the positions of the feature columns: those of the user, or all but what is dropped or only names rows."""
    left_out = set(_named(table, table.split(drop), sensitive, "the columns to drop"))
    if features is None:
        for name in table.split(key):
            position = table.position(name)
            if position is None:
                raise unknown_column(name, table, " for --key")
            left_out.add(position)
        chosen = [
            i
            for i, name in enumerate(table.names)
            if name not in sensitive and i not in left_out and i not in table.aside
        ]
        if not chosen:
            raise InputError(
                f"the file has no column besides {listed(list(sensitive))}; expected at least one numeric column"
                if sensitive
                else "no column is left to cluster on; expected at least one numeric column"
            )
        return chosen
    wanted = table.split(features)
    if not wanted:
        raise InputError("the list of features is empty; name at least one numeric column")
    chosen = _named(table, wanted, sensitive, "a feature")
    both = next((table.names[i] for i in chosen if i in left_out), None)
    if both is not None:
        raise InputError(f"{shown(both)} is named both with --features and with --drop; take it out of one")
    return chosen


def _named(table: RawTable, wanted: Sequence[str], sensitive: Sequence[str], use: str) -> list[int]:
    positions: list[int] = []
    for name in wanted:
        position = table.position(name)
        if position is None:
            raise unknown_column(str(name), table)
        if position in positions:
            raise InputError(f"the feature {shown(name)} is named twice; name each column once")
        if name in sensitive:
            raise InputError(
                f"{shown(name)} is named both as {use} and as the sensitive column; take it out of one"
                if use == "a feature"
                else f"{shown(name)} is the sensitive column and no feature; leave it out of --drop"
            )
        positions.append(position)
    return positions


def usable(
    columns: Sequence[Column], table: RawTable, treatment: Treatment, sensitive: Sequence[str], free: bool
) -> tuple[list[Column], list[str]]:
    """Return the columns that can be clustered, and what was left out where the user named none (``free``).

    Raises
    ------
    InputError
        For columns that are not numeric, gaps and infinite values, and nothing says what to do with them.
    """
    columns, notes = _set_aside(columns, treatment, free)
    for column in columns:
        if not column.name:
            raise InputError(
                f"column {column.position + 1} has no name; name it, or choose columns with "
                f"--features {suggestion(table, sensitive)}"
            )
    unfit = [column for column in columns if not _fits(column, treatment)]
    if unfit:
        raise _unfit(unfit, columns, table, sensitive)
    for column in columns:
        _check_values(column, table, treatment)
    return columns, notes


def _set_aside(columns: Sequence[Column], treatment: Treatment, free: bool) -> tuple[list[Column], list[str]]:
    """Leave out what is the same in all rows, and what only names them: texts, or a nameless first column."""
    if not free:
        return list(columns), []
    notes = []
    kept = list(columns)
    counter = kept[0]
    if len(kept) > 1 and not counter.name and names_rows(counter):
        kept = kept[1:]
        notes.append("left out column 1, which has no name and another value in every row")
    same = [c for c in kept if c.kind == "constant" and not _fits(c, treatment)]
    if same and len(same) < len(kept):
        kept = [c for c in kept if c not in same]
        notes.append(f"left out {names_listed([c.name for c in same])}, constant over all rows")
    names = [c for c in kept if c.type == "text" and c.is_identifier] if treatment.categorical != "error" else []
    if names and len(names) < len(kept):
        kept = [c for c in kept if c not in names]
        notes.append(f"left out {names_listed([c.name for c in names])}, different in every row")
    return kept, notes


def names_rows(column: Column) -> bool:
    """Whether values are whole numbers or texts, each another, as the row names that R and pandas write first."""
    if column.n_missing or column.n_distinct < column.n_rows:
        return False
    numbers = column.numbers
    return column.type == "text" or (numbers is not None and bool((numbers == np.floor(numbers)).all()))


def _fits(column: Column, treatment: Treatment) -> bool:
    if column.type in ("number", "boolean"):
        return True
    if column.type == "date":
        return treatment.dates == "number" and not column.doubtful
    return column.type == "text" and treatment.categorical != "error"


def _unfit(unfit: Sequence[Column], columns: Sequence[Column], table: RawTable, sensitive: Sequence[str]) -> InputError:
    """Say which columns are not numeric, and each way out."""
    doubtful = next((c for c in unfit if c.doubtful and len(unfit) == 1), None)
    examples = [f"{c.title} ({_what(c, table)})" for c in unfit]
    some = "some columns are" if len(unfit) > 1 else "one column is"
    more = ", ..." if len(unfit) > _SHOWN else ""
    remedies = []
    if any(c.type == "text" for c in unfit):
        remedies.append("say --categorical one-hot to take text as categories")
    if doubtful:
        remedies.append("write dates as 2024-12-31")
    elif any(c.type == "date" for c in unfit):
        remedies.append("say --dates number to take dates as days")
    others = "" if sensitive else ", and name a group column with --sensitive"
    remedies.append(
        f"{'or ' if remedies else ''}choose numeric columns with --features {suggestion(table, sensitive)}{others}"
    )
    return InputError(f"{some} not numeric: {', '.join(examples[:_SHOWN])}{more}; {', '.join(remedies)}")


def _what(column: Column, table: RawTable) -> str:
    if column.doubtful:
        return f"dates such as {shown(column.levels[0])}, whose {column.doubtful}"
    if column.type == "date" and column.levels:
        return f"dates such as {shown(column.levels[0])}"
    return (
        f"for instance {_odd(table, column)}" if column.type == "text" else (column.notes or ("of no plain type",))[0]
    )


def _odd(table: RawTable, column: Column) -> str:
    """Return a value that is no number, of the beginning if there is one, for a sentence."""
    import pyarrow.compute as pc

    cells = table.cells.column(column.position)
    first = [str(cell).strip() for cell in cells.slice(0, 1000).to_pylist() if cell is not None]
    from fairjax.datasets.table.header import is_number

    odd = next((cell for cell in [*first, *column.levels[:10_000]] if cell and not is_number(cell)), None)
    if odd is None:
        odd = next(iter(column.levels), str(pc.max(cells).as_py()))
    return shown(odd)


def suggestion(table: RawTable, sensitive: Sequence[str]) -> str:
    """Return numeric columns of the file as ``a,b,c``, for the remedy in a sentence."""
    numeric = []
    for i, name in enumerate(table.names[:_LOOKED_AT]):
        if name and name == visible(name, 60) and name not in sensitive and "," not in name:
            try:
                column = infer(table, i)
            except InputError:
                continue
            if column.type in ("number", "boolean") and column.n_distinct:
                numeric.append(name)
        if len(numeric) == _SHOWN:
            break
    return ",".join(numeric) or "a,b,c"


def _check_values(column: Column, table: RawTable, treatment: Treatment) -> None:
    if column.numbers is not None:
        infinite = np.isinf(column.numbers)
        if infinite.any():
            raise InputError(
                f"the column {column.title} has {counted_cells(infinite, 'infinite', table)}; fill in or remove these "
                "rows, or choose other columns with --features"
            )
    if column.n_missing and treatment.missing == "error" and column.type != "text":
        if column.n_missing == column.n_rows:
            raise InputError(f"the column {column.title} has no values at all; leave it out with --drop")
        raise InputError(
            f"the column {column.title} has {counted_cells(column.missing, 'missing', table)}; say --missing drop, "
            "mean or median, or choose other columns with --features"
        )


def counted_cells(bad: npt.NDArray[np.bool_], what: str, table: RawTable) -> str:
    """Say how many values of a column are bad and in which row the first one is."""
    place = table.place(int(bad.argmax()))
    return f"1 {what} value, in {place}" if bad.sum() == 1 else f"{bad.sum():,} {what} values, the first in {place}"


def check_protected(
    protected: Sequence[Column], table: RawTable, treatment: Treatment, settings: GroupSettings
) -> None:
    """Refuse gaps in a sensitive column where nothing says what they are."""
    for column in protected:
        if column.n_missing and not settings.missing and treatment.missing != "drop" and column.n_distinct:
            raise InputError(
                f"the sensitive column {column.title} has {counted_cells(column.missing, 'missing', table)}; say "
                "--missing-group to make them a group, or --missing drop to leave these rows out"
            )


def remarks(columns: Sequence[Column]) -> list[str]:
    """What to tell of how the columns were read, and of those that number the rows."""
    return notes_by_column(columns) + [
        f"{column.title} looks like an identifier, a different whole number in every row; "
        f"leave it out with --drop {shown(column.name)[1:-1]}"
        for column in columns
        if column.kind == "identifier"
    ]


def notes_by_column(columns: Sequence[Column]) -> list[str]:
    """How the columns were read, those that were read alike together."""
    told: dict[str, list[str]] = {}
    for column in columns:
        for note in column.notes:
            told.setdefault(note, []).append(column.name)
    return [f"{names_listed(names)}: {note}" for note, names in told.items()]


def names_listed(names: Sequence[str]) -> str:
    """Return the first names for a sentence."""
    return listed([name or "(no name)" for name in names], _SHOWN)
