"""The user's own table back, in its own order, with a column for the cluster: as CSV, TSV, Parquet or Excel."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax._core.text import counted, shown
from fairjax.datasets.table.dialect import BLANKS, Dialect
from fairjax.datasets.table.rawtable import RawTable, is_text, plain_values, unknown_column
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".pq", ".xlsx")
_TEXT = (".csv", ".tsv", ".txt")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # beginnings of a cell that a spreadsheet runs
_EXCEL_ROWS, _EXCEL_COLUMNS = 1_048_576, 16_384


def check_ending(option: str, path: str, endings: Sequence[str] = ENDINGS) -> None:
    """Refuse a file name whose ending is of no format that is written; Excel also where openpyxl is missing."""
    suffix = path[path.rfind(".") :].lower() if "." in path else ""
    if suffix not in endings:
        raise InputError(f"{option} {shown(path)} is of no format that is written; end its name in {_spoken(endings)}")
    if suffix == ".xlsx":
        from importlib.util import find_spec

        if find_spec("openpyxl") is None:
            raise InputError(f"{option} {shown(path)} needs openpyxl: pip install 'fairjax[xlsx]', or write .csv")


def _spoken(endings: Sequence[str]) -> str:
    return ", ".join(endings[:-1]) + f" or {endings[-1]}" if len(endings) > 1 else endings[0]


def with_clusters(
    table: RawTable,
    rows: npt.NDArray[np.int64],
    labels: npt.NDArray[Any],
    groups: Sequence[str] | None = None,
    columns: Sequence[str] | str | None = None,
) -> tuple[pa.Table, str]:
    """Return the table with a column for the cluster, and the name of that column.

    Parameters
    ----------
    table : RawTable
    rows, labels : ndarray (m,)
        Rows that were clustered, counted from 0, and their clusters; other rows get an empty cell.
    groups : sequence of str (m,), optional
        Name of each row's group, where it is no column of the table.
    columns : sequence of str, optional
        The columns to write; all by default.
    """
    import pyarrow as pa

    positions = list(range(len(table.names))) if columns is None else columns_to_write(table, columns)
    names = [table.names[i] for i in positions]
    out = table.cells.select(positions)
    extra: dict[str, Any] = {}
    cluster = np.full(table.n_rows, -1, np.int64)
    cluster[rows] = labels
    own = _free("cluster", names)
    extra[own] = pa.array(cluster, mask=cluster < 0)
    if groups is not None:
        group = np.full(table.n_rows, None, dtype=object)
        group[rows] = np.asarray(groups, dtype=object)
        extra[_free("group", [*names, own])] = pa.array(group, pa.string())
    for values in extra.values():
        out = out.append_column(str(out.num_columns), values)
    return out.rename_columns([*names, *extra]), own


def columns_to_write(table: RawTable, columns: Sequence[str] | str, option: str = "--columns") -> list[int]:
    """Return the positions of the columns to write; InputError for an unknown name, or one named twice."""
    found: list[int] = []
    for name in table.split(columns):
        position = table.position(name)
        if position is None:
            raise unknown_column(name, table, f" for {option}")
        if position in found:
            raise InputError(f"{option} names {shown(name)} twice; name each column once")
        found.append(position)
    return found


def check_key(table: RawTable, positions: Sequence[int]) -> None:
    """Raise InputError unless the values of these columns together tell every row from every other, without gaps."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named = " and ".join(shown(table.names[i]) for i in positions)
    columns = [table.cells.column(i) for i in positions]
    for column in columns:
        empty = pc.equal(column, "") if is_text(column) else pc.is_null(column)
        gaps = np.asarray(pc.fill_null(empty, True)).astype(bool)
        if gaps.any():
            raise InputError(
                f"the key {named} has no value in {table.place(int(gaps.argmax()))}; name columns that tell all rows "
                "apart, or say --columns"
            )
    names = [str(i) for i in range(len(columns))]
    keys = pa.table([*columns, pa.array(np.arange(table.n_rows))], names=[*names, "row"])
    found = keys.group_by(names, use_threads=False).aggregate([("row", "min"), ("row", "max")])
    first, last = (np.asarray(found.column(f"row_{end}")) for end in ("min", "max"))
    if len(first) < table.n_rows:
        twice = int(np.flatnonzero(first < last)[np.argmin(first[first < last])])
        value = ", ".join(str(*plain_values(found.column(name).slice(twice, 1))) for name in names)
        raise InputError(
            f"the key {named} has the value {shown(value)} in {table.place(int(first[twice]))} and in "
            f"{table.place(int(last[twice]))}; name columns that tell all rows apart, or say --columns"
        )


def _free(name: str, taken: Sequence[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def encode(table: pa.Table, suffix: str, *, dialect: Dialect | None = None, plain_formulas: bool = False) -> bytes:
    """Return the bytes of a file with that ending; text is parted as the input was, if it was text of that kind.

    Parameters
    ----------
    table : pyarrow.Table
    suffix : str
        One of `ENDINGS`.
    dialect : Dialect or None
        Of the input.
    plain_formulas : bool
        Put an apostrophe before text that a spreadsheet would run as a formula.
    """
    suffix = suffix.lower()
    if plain_formulas:
        table = _neutral(table)
    if suffix in (".parquet", ".pq"):
        return _parquet(table)
    if suffix == ".xlsx":
        return _excel(table)
    separator = "\t" if suffix == ".tsv" else ","
    if dialect is not None and dialect.separator not in (None, BLANKS) and suffix != ".tsv":
        separator = dialect.separator or ","
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
    writer.writerow(table.column_names)
    for batch in table.to_batches(max_chunksize=1 << 16):
        writer.writerows(zip(*(_texts(column) for column in batch.columns), strict=True))
    mark = "\ufeff" if dialect is not None and "mark" in (dialect.encoding or "") else ""
    return (mark + stream.getvalue()).encode()


def _texts(column: Any) -> list[str]:
    if is_text(column):
        return ["" if value is None else value for value in column.to_pylist()]
    return ["" if value is None else str(value) for value in plain_values(column)]


def _parquet(table: pa.Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [_storable(_typed(table.column(i))) for i in range(table.num_columns)]
    stream = io.BytesIO()
    pq.write_table(pa.table(columns, names=table.column_names), stream)
    return stream.getvalue()


def _storable(column: Any) -> Any:
    """A column as it is, or as text where Parquet has no such type, as for unions of several."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.write_table(pa.table({"": column.slice(0, 0)}), io.BytesIO())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.array([None if value is None else str(value) for value in plain_values(column)], pa.string())
    return column


def _typed(column: Any) -> Any:
    """Whole and other numbers that are written plainly become numbers again; all else stays as it was read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_text(column):
        return column
    if pc.any(pc.match_substring_regex(column, r"^[+-]?0\d")).as_py():
        return column  # codes with leading zeros
    for kind in (pa.int64(), pa.float64()):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    return column


def _excel(table: pa.Table) -> bytes:
    import openpyxl
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if table.num_rows >= _EXCEL_ROWS or table.num_columns > _EXCEL_COLUMNS:
        raise InputError(
            f"the table has {counted(table.num_rows, 'row')} and {counted(table.num_columns, 'column')}, more than an "
            "Excel sheet holds; write .csv or .parquet"
        )
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("clusters")
    columns = [plain_values(_typed(table.column(i))) for i in range(table.num_columns)]

    def cell(value: Any) -> Any:
        if isinstance(value, str):
            text = ILLEGAL_CHARACTERS_RE.sub("\ufffd", value)
            written = openpyxl.cell.WriteOnlyCell(sheet, value=text[:32_767])
            written.data_type = "s"  # text, even where it begins as a formula does
            return written
        if isinstance(value, float) and not np.isfinite(value):
            return None if np.isnan(value) else str(value)
        date = getattr(value, "year", 0) >= 1900 and getattr(value, "tzinfo", None) is None  # others Excel has not
        return value if value is None or date or isinstance(value, (int, float, bool, Decimal)) else str(value)

    sheet.append([cell(name) for name in table.column_names])
    for row in zip(*columns, strict=True):
        sheet.append([cell(value) for value in row])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _neutral(table: pa.Table) -> pa.Table:
    """Put an apostrophe before text that begins as a formula does and is no number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    number = r"^[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?$"
    for i in range(table.num_columns):
        column = table.column(i)
        if is_text(column):
            starts = pc.is_in(pc.utf8_slice_codeunits(column, 0, 1), pa.array(_FORMULA))
            risky = pc.and_(starts, pc.invert(pc.fill_null(pc.match_substring_regex(column, number), False)))
            safe = pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)
            table = table.set_column(i, table.column_names[i], safe)
    names = [f"'{n}" if n.startswith(_FORMULA) else n for n in table.column_names]
    return table.rename_columns(names)
