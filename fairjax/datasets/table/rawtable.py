"""The cells of a table as its file has them, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax._core.text import counted, listed, shown
from fairjax.datasets.table.dialect import Dialect
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True, eq=False)
class RawTable:
    """Columns by position, since names may be missing or repeated.

    Attributes
    ----------
    names : list of str, length d
        Without blanks around them; "" where there is none.
    cells : pyarrow.Table, n rows, columns "0" to "d - 1"
        Text for text files, types for the others.
    label : str
        What to call the file in a sentence.
    arrays : mapping
        The arrays beside ``X`` in an NPZ file; empty for other formats.
    dialect : Dialect or None
        How a text file was written.
    notes : tuple of str
        What a reader of the results should be told of the reading.
    line_of : callable or None
        From a row, counted from 0, to its line in the file, where it has lines.
    aside : frozenset of int
        Columns that only count or name the rows (pandas' index), features only where they are named.
    again : callable or None
        Returns the same table once more from the bytes of its file, where these are smaller than its cells.
    """

    names: list[str]
    cells: pa.Table
    label: str
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    dialect: Dialect | None = None
    notes: tuple[str, ...] = ()
    line_of: Callable[[int], int | None] | None = None
    aside: frozenset[int] = frozenset()
    again: Callable[[], RawTable] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows n."""
        return int(self.cells.num_rows)

    def position(self, name: str) -> int | None:
        """Return where the column of that name stands, or None."""
        return self.names.index(name) if name and name in self.names else None

    def split(self, names: str | Sequence[str] | None) -> list[str]:
        """Return a list of names; a text is one name if a column or array has it, else several with commas between."""
        if names is None:
            return []
        if not isinstance(names, str):
            return [str(name) for name in names]
        if names in self.arrays or names.strip() in self.names:
            return [names.strip()]
        return [name.strip() for name in names.split(",")]

    def place(self, row: int) -> str:
        """Name a row, given from 0, as people count: from 1, with its line in the file beside it."""
        line = None if self.line_of is None else self.line_of(row)
        return f"row {row + 1:,}" + (f" (line {line:,} of the file)" if line is not None else "")


def tidy(table: RawTable, least_rows: int = 2) -> RawTable:
    """Drop what spreadsheets leave behind: nameless empty columns, and empty rows at the end; check names and size.

    Raises
    ------
    InputError
        When no column is left, two have one name, or there are too few rows.
    """
    notes = list(table.notes)
    nameless = [i for i, name in enumerate(table.names) if not name and _empty(table.cells.column(i))]
    if nameless and len(nameless) < len(table.names):
        kept = [i for i in range(len(table.names)) if i not in set(nameless)]
        table = replace(
            table,
            names=[table.names[i] for i in kept],
            cells=table.cells.select(kept).rename_columns([str(i) for i in range(len(kept))]),
            aside=frozenset(kept.index(i) for i in table.aside if i in kept),
        )
        notes.append(f"left out {counted(len(nameless), 'column')} without a name or a value")
    _check_names(table.names, table.label)
    rows = _filled(table)
    if rows < table.n_rows:
        notes.append(f"left out {counted(table.n_rows - rows, 'empty row')} at the end")
        table = replace(table, cells=table.cells.slice(0, rows))
    if table.n_rows < least_rows:
        found = "a header but no rows" if table.n_rows == 0 else "one row only"
        needed = "; clustering needs at least two rows" if least_rows > 1 else "; expected at least one row"
        raise InputError(f"{table.label} has {found}{needed}")
    return replace(table, notes=tuple(notes))


def _filled(table: RawTable) -> int:
    """Return the number of rows up to the last one with a value, for tables of several columns."""
    n = table.n_rows
    if len(table.names) < 2:
        return n
    block = 64
    while n > 0:
        start = max(n - block, 0)
        filled = np.zeros(n - start, bool)
        for i in range(len(table.names)):
            filled |= ~_blank(table.cells.column(i).slice(start, n - start))
            if filled[-1]:
                return n
        if filled.any():
            return start + int(np.flatnonzero(filled)[-1]) + 1
        n, block = start, 8 * block
    return 0


def _blank(column: Any) -> npt.NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    absent = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))
    if is_text(column):
        absent = pc.or_kleene(absent, pc.equal(pc.utf8_trim_whitespace(column), ""))
        absent = pc.fill_null(absent, True)
    return np.asarray(absent).astype(bool)


def is_text(column: Any) -> bool:
    """Whether a column of Arrow's holds text."""
    import pyarrow as pa

    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def plain_values(column: Any) -> list[Any]:
    """Return the cells as Python's own values; dates in years that Python's calendar has not, 1 to 9999, as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return list(pc.cast(column, pa.string()).to_pylist())


def _empty(column: Any) -> bool:
    return bool(_blank(column).all())


def _check_names(names: list[str], label: str) -> None:
    if not names:
        raise InputError(f"{label} has no columns; expected a table with at least one")
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if name and name in seen:
            raise InputError(
                f"{label} has two columns named {shown(name)} (columns {seen[name]} and {position}); "
                "give each its own name"
            )
        seen[name] = position


def unknown_column(name: str, table: RawTable, use: str = "") -> InputError:
    """Return the error for a name that no column has, with the nearest one."""
    import difflib

    known = [*filter(None, table.names), *table.arrays]
    close = difflib.get_close_matches(name[:200], [other for other in known if len(other) <= 200], n=1)
    alike = [other for other in known if other.casefold() == name.casefold()]
    hint = f"did you mean {shown((alike or close)[0])}?" if alike or close else f"the columns are {listed(known)}"
    if not close and table.dialect is not None:
        if table.dialect.header is False:
            hint = f"the file was read without a header (--header says that it has one); {hint}"
        elif len(table.names) == 1:
            hint = f"{hint}; if its fields are parted by another character, say --separator"
    return InputError(f"there is no column {shown(name)}{use}; {hint}")
