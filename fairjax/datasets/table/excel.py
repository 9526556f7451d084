"""Excel workbooks: the first sheet that is seen, its title lines, merged cells and cells far from the table."""

from __future__ import annotations

import datetime
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fairjax._core.text import counted, reason, shown
from fairjax.datasets.table.content import Content, bound, too_large
from fairjax.datasets.table.dialect import Dialect
from fairjax.datasets.table.header import has_header, title_lines
from fairjax.datasets.table.rawtable import RawTable
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_BLOCK = 1 << 20
_LONGEST_TAG = 200  # bytes of one merged range in the file
_SMALL = 1 << 22  # cells of a sheet that are laid out however few of them are filled
_SPARSE = 50  # beyond that, cells for each one that is filled


def read_excel(content: Content, told: Dialect) -> RawTable:
    """Read the first sheet of an Excel workbook (needs openpyxl); of what is told, `header` and `skip` say something.

    Raises
    ------
    InputError
        Without openpyxl, for what is no workbook, and for a sheet of which almost all cells are empty.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise InputError(
            f"{content.label} is an Excel file, and reading it needs openpyxl: pip install 'fairjax[xlsx]', or save "
            "the sheet as CSV"
        ) from error
    try:
        _check_sizes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(content.data), read_only=True, data_only=True)
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
            if not sheets:
                raise ValueError("it has no sheet with cells")
            sheet = sheets[0]
            sheet.reset_dimensions()  # rows as wide as they are filled, not as wide as the widest
            rows = _filled_rows(sheet.iter_rows(values_only=True), content)
            merged = list(_merged(book, sheet))
    except InputError:
        raise
    except Exception as error:  # whatever the parser meets in a user's bytes is a fault of the file
        raise InputError(
            f"{content.label} cannot be read as an Excel file ({reason(error)}); save it anew as .xlsx or as CSV"
        ) from error
    notes: list[str] = []
    if len(sheets) > 1:
        notes.append(f"read the first sheet, {shown(sheet.title)}, of {len(sheets)}")
    return _from_rows(rows, merged, content, told, notes)


def _check_sizes(content: Content) -> None:
    with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > bound(len(content.data)):
            raise too_large(content.label, len(content.data))


def _is_empty(cell: Any) -> bool:
    return cell is None or cell == ""


def _filled_rows(found: Iterable[Sequence[Any]], content: Content) -> list[list[Any]]:
    """Return the rows up to the last with a value, each up to its last value.

    One value in the last corner of a sheet makes 17 thousand million cells of it, which nothing may lay out.
    """
    rows: list[list[Any]] = []
    laid = filled = last = width = 0
    for cells in found:
        row = list(cells)
        while row and _is_empty(row[-1]):
            row.pop()
        rows.append(row)
        if row:
            last, width = len(rows), max(width, len(row))
            laid, filled = laid + len(row), filled + sum(not _is_empty(cell) for cell in row)
            if max(laid, last * width) > max(_SMALL, _SPARSE * filled):
                raise InputError(
                    f"{content.label} has values far apart: its first sheet reaches to row {last:,} and column "
                    f"{width:,} with {counted(filled, 'cell')} filled; delete what stands outside of the table"
                )
    return rows[:last]


def _merged(book: Any, sheet: Any) -> Iterator[tuple[int, int, int, int]]:
    """First row, first column, last row and last column of the merged ranges, from 0.

    The reader that goes row by row leaves them out, so they are looked up in the sheet's own file.
    """
    tail = b""
    with book._archive.open(sheet._worksheet_path) as stream:
        while block := stream.read(_BLOCK):
            text = tail + block
            end = 0
            for found in _MERGED.finditer(text):
                end = found.end()
                left, top, right, bottom = found.groups()
                yield int(top) - 1, _column(left), int(bottom) - 1, _column(right)
            tail = text[max(end, len(text) - _LONGEST_TAG) :]


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number - 1


def _from_rows(
    rows: list[list[Any]],
    merged: Sequence[tuple[int, int, int, int]],
    content: Content,
    told: Dialect,
    notes: list[str],
) -> RawTable:
    """Lay out the rows of a sheet: what stands before the table is passed over, short rows are filled up."""
    import pyarrow as pa

    first = next((i for i, row in enumerate(rows) if row and i >= (told.skip or 0)), None)
    if first is None:
        raise InputError(f"{content.label} is empty; expected a table with a header and at least two rows")
    if told.skip is None and told.header is not False:
        titles = title_lines([[_text(cell) for cell in row] for row in rows[first : first + 20]])
        if titles:
            notes.append(f"{counted(titles, 'line')} before the table passed over")
            first += titles
    rows = rows[first:]
    width = max(map(len, rows))
    rows = [row + [None] * (width - len(row)) for row in rows]
    texts = [[_text(cell) for cell in row] for row in rows[:20]]
    header = told.header
    if header is None:
        header, remark = has_header(texts[0], texts[1:], content.label)
        notes += [remark] if remark else []
    body = rows[1:] if header else rows
    start = first + (1 if header else 0)
    if filled := _fill(body, merged, start, width):
        notes.append(f"{counted(filled, 'range')} of merged cells filled with the value that each shows")
    columns = [_cells_of(cells) for cells in zip(*body, strict=True)] if body else [pa.array([], pa.string())] * width
    return RawTable(
        names=[cell.strip() for cell in texts[0]] if header else [f"column {i + 1}" for i in range(width)],
        cells=pa.table({str(i): column for i, column in enumerate(columns)}),
        label=content.label,
        notes=tuple(notes),
        line_of=lambda row: row + start + 1,
    )


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _fill(body: list[list[Any]], merged: Sequence[tuple[int, int, int, int]], start: int, width: int) -> int:
    """Put the value of merged cells, which stands in the first, into all of them; return how many ranges there were."""
    ranges, left = 0, len(body) * width
    for top, west, bottom, east in merged:
        top, bottom, east = top - start, min(bottom - start, len(body) - 1), min(east, width - 1)
        if top < 0 or top > bottom or west > east or _is_empty(body[top][west]):
            continue
        left -= (bottom - top + 1) * (east - west + 1)
        if left < 0:
            break  # ranges that lie over each other, which no spreadsheet writes
        ranges += 1
        for row in body[top : bottom + 1]:
            row[west : east + 1] = [body[top][west]] * (east - west + 1)
    return ranges


def _cells_of(values: tuple[Any, ...]) -> pa.Array:
    """Return the cells of one column: of one type as that type, of several as text."""
    import pyarrow as pa

    kinds = {type(value) for value in values if not _is_empty(value)}
    values = tuple(None if value == "" else value for value in values)
    if kinds == {int} and all(v is None or abs(v) < 2**62 for v in values):
        return pa.array(values, pa.int64())
    if kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= {datetime.datetime, datetime.date}:
        return pa.array(
            [datetime.datetime(v.year, v.month, v.day) if type(v) is datetime.date else v for v in values],
            pa.timestamp("us"),
        )
    return pa.array([None if v is None else str(v) for v in values], pa.string())
