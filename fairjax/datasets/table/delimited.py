"""CSV, TSV and their relatives: read by Arrow, and by Python's csv module where Arrow knows no such dialect."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from fairjax._core.text import counted, reason
from fairjax.datasets.table import dialect as dialects
from fairjax.datasets.table.content import Content
from fairjax.datasets.table.dialect import BLANKS, Dialect
from fairjax.datasets.table.encodings import to_utf8
from fairjax.datasets.table.header import has_header, is_number, short_header
from fairjax.datasets.table.numerals import decimal_sign
from fairjax.datasets.table.rawtable import RawTable
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 4 << 20  # bytes that Arrow parses at a time; a cell has to fit in
_MOST_COLUMNS = 200_000
_REMEDY = "give every row as many fields as the header"
_NEWLINE = re.compile(rb"\r\n|\n|\r")
_DASHES = re.compile(r"(?=.*([-=─═]{2}))[-=─═ \t|+:┼╪]+")
_SHORT = {
    "names": "the first line has one name less than the rows have fields, as R writes it: the first column has no name",
    "ends": "every row but the first ends in a separator, which is passed over",
}


def read_delimited(content: Content, told: Dialect) -> RawTable:
    """Read a text file whose cells are parted by a character."""
    label = content.label
    data, encoding, guessed = to_utf8(content.data, told.encoding, label)
    head = _head(data)
    if not head.strip():
        raise InputError(f"{label} is empty; expected a table with a header and at least two rows")
    found = dialects.find_dialect(head, told, content.suffix)
    start = len(head[: dialects.offset(head, found)].encode())
    if found.header is not False and (rule := _rule(data, start, found)):
        data = data[: rule[0]] + data[rule[1] :]
        head = _head(data)
    first = _first_rows(head, found, 20)
    if not first:
        raise InputError(f"{label} is empty; expected a table with a header and at least two rows")
    width = len(first[0])
    if width > _MOST_COLUMNS:
        raise InputError(f"{label} has {width:,} columns; expected at most {_MOST_COLUMNS:,}")
    notes: list[str] = []
    header, remark = (told.header, None) if told.header is not None else has_header(first[0], first[1:], label)
    notes += [remark] if remark else []
    short = short_header(first) if header else None
    if short is not None:
        data, width = _with_all_names(data, start, found, short), width + 1
        notes.append(_SHORT[short])
    if _is_unusual(found, content.suffix) or head[: dialects.offset(head, found)].strip("# \t\r\n"):
        notes.append(f"read as text {found.describe()}")
    if guessed:
        notes.append(f"the file is not UTF-8 and was read as {encoding}; say --encoding if words look wrong")
    found = replace(found, encoding=encoding, header=header, decimal=found.decimal or _decimal(first, head, found))
    table = _cells(data, start, found, width, label)
    names = [f"column {i + 1}" for i in range(width)]
    if header:
        names = [(table.column(i)[0].as_py() or "").strip() for i in range(width)]
        table = table.slice(1)
    line_of = _plain_lines(data, start, table.num_rows, header) or _Lines(data, start, found)
    return RawTable(names=names, cells=table, label=label, dialect=found, notes=tuple(notes), line_of=line_of)


def _rule(data: bytes, start: int, found: Dialect) -> tuple[int, int] | None:
    """Return where a line of dashes below the names stands, as tables laid out for the eye have, or None."""
    ends = _line_end(data, start)
    if ends is None:
        return None
    below = _line_end(data, ends[1])
    stop = len(data) if below is None else below[0]
    line = data[ends[1] : stop].decode(errors="replace")
    signs = line.replace(found.separator or ",", "").strip(" \t|+:")
    return (ends[1], stop) if len(signs) > 2 and _DASHES.fullmatch(signs) else None


def _line_end(data: bytes, start: int) -> tuple[int, int] | None:
    """Return where the line ends that begins there, and where the next one begins; None in the last one."""
    found = _NEWLINE.search(data, start)
    return None if found is None else found.span()


def _with_all_names(data: bytes, start: int, found: Dialect, short: str) -> bytes:
    """Return the text with a nameless column added to the line of names, before the others or after them."""
    ends = _line_end(data, start)
    place = start if short == "names" or ends is None else ends[0]
    mark = (found.separator or ",").encode()
    if short == "names" and found.separator == BLANKS:
        mark = b'"" '
    return data[:place] + mark + data[place:]


def _is_unusual(found: Dialect, suffix: str) -> bool:
    """Whether a file is written otherwise than its ending leads one to think."""
    usual = {".tsv": "\t", ".tab": "\t", ".psv": "|"}.get(suffix, ",")
    return found.separator != usual or found.quote not in ('"', "") or bool(found.escape)


def _head(data: bytes) -> str:
    """Return the beginning of a text, cut at the end of a line."""
    head = data[: dialects.SAMPLE]
    if len(head) < len(data):
        cut = max(head.rfind(b"\n"), head.rfind(b"\r"))
        if cut < 0:  # a line longer than the sample, as of very many columns
            ends = [end for end in (data.find(b"\n"), data.find(b"\r")) if end >= 0]
            cut = min(ends) if ends else len(data) - 1
        head = data[: cut + 1]
    return head.decode("utf-8", errors="ignore")


def _first_rows(head: str, found: Dialect, most: int) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in found.rows(head[dialects.offset(head, found) :]):
            rows.append(row)
            if len(rows) == most:
                break
    except csv.Error:
        pass  # the whole is read below, and says where
    return rows


def _cells(data: bytes, start: int, found: Dialect, width: int, label: str) -> pa.Table:
    """Return all cells, the header's too, as text."""
    import pyarrow as pa

    quote = (found.quote or "").encode()
    if quote and data.count(quote) % 2:
        _check_quotes(data, start, found, label)
    own = found.loose or found.separator == BLANKS or not (found.separator or "").isascii()
    if own or not (found.quote or "").isascii() or not (found.escape or "").isascii():
        return _by_hand(data, start, found, width, label)
    try:
        return _by_arrow(data, start, found, width)
    except pa.ArrowInvalid as error:
        _check_widths(data, start, found, width, label)
        if "Expected" in str(error):  # lines of blanks alone, which are no rows
            return _by_hand(data, start, found, width, label)
        raise InputError(f"{label} cannot be read as a table ({reason(error)}); {_REMEDY}") from error


def _by_arrow(data: bytes, start: int, found: Dialect, width: int) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv as arrow

    names = [str(i) for i in range(width)]
    block = _BLOCK
    while True:
        try:
            return arrow.read_csv(
                pa.py_buffer(data).slice(start),
                read_options=arrow.ReadOptions(column_names=names, block_size=block, use_threads=False),
                parse_options=arrow.ParseOptions(
                    delimiter=found.separator or ",",
                    quote_char=found.quote or False,
                    double_quote=not found.escape,
                    escape_char=found.escape or False,
                    newlines_in_values=bool(found.quote) and (found.quote or "").encode() in data,
                ),
                convert_options=arrow.ConvertOptions(
                    column_types={name: pa.string() for name in names}, strings_can_be_null=True, null_values=[""]
                ),
            )
        except pa.ArrowInvalid as error:
            # a cell longer than a block
            if "straddling" not in str(error) or block > len(data):
                raise
            block = min(8 * block, max(len(data) + 1, _BLOCK), 2**31 - 1) if block < 2**31 - 1 else len(data) + 1


def _by_hand(data: bytes, start: int, found: Dialect, width: int, label: str) -> pa.Table:
    """Return all cells by Python's csv module: of dialects that Arrow has not, and where lines hold blanks alone."""
    import pyarrow as pa

    _check_widths(data, start, found, width, label)
    columns: list[list[str | None]] = [[] for _ in range(width)]
    for row in found.rows(data[start:].decode()):
        for column, cell in zip(columns, row, strict=True):
            column.append(cell or None)
    return pa.table({str(i): pa.array(column, pa.string()) for i, column in enumerate(columns)})


def _check_quotes(data: bytes, start: int, found: Dialect, label: str) -> None:
    """Refuse a quote that is never closed: the rest of the file would be one cell."""
    reader = found.reader(io.StringIO(data[start:].decode(), newline=""), strict=True)
    rows = 0
    try:
        for _ in reader:
            rows += 1
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise InputError(
                f"{label} has a quote that is never closed, in line {reader.line_num + (found.skip or 0)} or before "
                f"(after {counted(rows, 'row')}); close it, or say --quote none if quotes have no meaning"
            ) from error


def _check_widths(data: bytes, start: int, found: Dialect, width: int, label: str) -> None:
    """Raise the sentence about the first row that is longer or shorter than the header."""
    reader = found.reader(io.StringIO(data[start:].decode(), newline=""))
    number = 0 if found.header else 1
    try:
        for row in reader:
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if len(row) != width:
                raise _uneven(label, row, width, number, reader.line_num + (found.skip or 0), found)
            number += 1
    except csv.Error as error:
        raise InputError(f"{label} cannot be read as a table ({reason(error)}); check its quotes") from error


def _uneven(label: str, cells: list[str], expected: int, row: int, line: int, dialect: Dialect) -> InputError:
    hint = ""
    if expected == 1:
        hint = "; if the table begins further down, say --skip 1, or its fields are parted otherwise, --separator"
    elif row <= 1 and not dialect.skip and (len(cells) < expected or dialect.separator != ","):
        hint = "; if the table begins further down, say --skip 1"
    elif len(cells) > expected and dialect.separator == "," and any(map(is_number, cells)):
        hint = ", put numbers with a decimal comma in quotes, or say --separator"
    return InputError(
        f"{label} has {counted(len(cells), 'field')} in row {row:,} (line {line:,}) and {expected} in its first line; "
        f"{_REMEDY}{hint}"
    )


def _decimal(rows: list[list[str]], head: str, found: Dialect) -> str | None:
    """Return the decimal sign that some cell of the beginning can only have; None where there is none, or both."""
    cells: Iterator[str] = (cell for row in _first_rows(head, found, 200)[1:] or rows for cell in row)
    signs = {sign for sign in map(decimal_sign, cells) if sign}
    return signs.pop() if len(signs) == 1 else None


def _plain_lines(data: bytes, start: int, n_rows: int, header: bool) -> Callable[[int], int] | None:
    """Return how rows are counted as lines where each is one and none is blank, so that the text need not be kept."""
    ends = b"\n" if b"\n" in data else b"\r"
    if ends == b"\n" and data.count(b"\r") not in (0, data.count(b"\n")):
        return None
    lines = data.count(ends, start) + (not data.endswith(ends))
    first = data.count(ends, 0, start) + 1 + header
    return (lambda row: row + first) if lines == n_rows + header else None


class _Lines:
    """From a row, counted from 0, to its line in the file, as a spreadsheet or an editor shows it."""

    def __init__(self, data: bytes, start: int, found: Dialect) -> None:
        self._data, self._start, self._found = data, start, found

    def __call__(self, row: int) -> int | None:
        wanted = row + (1 if self._found.header else 0)
        reader = self._found.reader(io.StringIO(self._data[self._start :].decode(), newline=""))
        skipped = self._data[: self._start].count(b"\n") or self._data[: self._start].count(b"\r")
        seen = 0
        first = 1
        try:
            for cells in reader:
                if cells and (len(cells) > 1 or cells[0].strip()):
                    if seen == wanted:
                        return first + skipped
                    seen += 1
                first = reader.line_num + 1
        except csv.Error:
            return None
        return None
