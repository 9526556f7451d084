"""How a text file is written: separator, quotes, escapes and lines before the table; told, or found from its start."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from fairjax._core.text import shown
from fairjax.datasets.table.header import short_header, title_lines
from fairjax.errors import InputError

SAMPLE = 1 << 18  # characters that are looked at
_ROWS = 500
_TITLED = 1 << 14  # characters in which a title and the beginning of its table are looked for
_MOST_TITLES = 20  # lines of a title
_USUAL = (",", ";", "\t", "|")
_RARE = ("\x01", "\x1f", "^", "~", "¦", ":", "#", "§", "!", "&", "*", "$", "%", "@")
BLANKS = " "  # runs of blanks, as in tables laid out for the eye
_NAMES = {"\t": "tabs", BLANKS: "blanks", ",": "commas", ";": "semicolons"}
_SPOKEN = {
    "tab": "\t",
    "\\t": "\t",
    "comma": ",",
    "semicolon": ";",
    "pipe": "|",
    "blank": " ",
    "space": " ",
    "none": "",
}
_EXCEL = re.compile(r'\A"?sep=(.)"?[ \t]*(\r\n|\n|\r)', re.IGNORECASE)
_MARK = re.compile(r"[ \t]*#+[ \t]*")
_BEFORE = re.compile(r"\A(?:[ \t\f\v]*(?:\r\n|\n|\r))+")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    r"""How a text file is written; what is None is found out.

    Attributes
    ----------
    separator : str or None
        One character between cells; a blank stands for any number of blanks.
    quote, escape : str or None
        The character around cells that hold separators, and the one before characters taken as they are; "" for none.
    decimal, thousands : str or None
        The decimal sign, and the sign between groups of three digits.
    encoding : str or None
        As Python calls it.
    header : bool or None
        Whether the first line names the columns.
    skip : int or None
        Lines before the table, which are passed over.
    loose : bool
        Blanks after separators, before a quote; found, not told.
    marked : bool
        A ``#`` before the names of the columns; found, not told.

    Examples
    --------
    >>> Dialect(separator="tab").separator
    '\t'
    """

    separator: str | None = None
    quote: str | None = None
    escape: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: bool | None = None
    skip: int | None = None
    loose: bool = False
    marked: bool = False

    def __post_init__(self) -> None:
        for name in ("separator", "quote", "escape", "decimal", "thousands"):
            value = getattr(self, name)
            if value is None:
                continue
            value = _SPOKEN.get(value, value)
            object.__setattr__(self, name, value)
            empty = value == "" and name != "separator" and name != "decimal"
            if not empty and (len(value) != 1 or value in "\r\n" or value.isalnum()):
                raise InputError(
                    f"{name} is {shown(value)}; expected one character that is no letter or digit"
                    + (", or the word tab" if name == "separator" else "")
                )
        if self.decimal is not None and self.decimal not in ".,":
            raise InputError(f"decimal is {shown(self.decimal)}; expected . or ,")
        told = [v for v in (self.separator, self.quote, self.escape) if v]
        if len(set(told)) < len(told):
            raise InputError("separator, quote and escape are the same character; give each its own")
        if self.decimal is not None and self.decimal == self.thousands:
            raise InputError("decimal and thousands are the same character; give each its own")
        if self.skip is not None and self.skip < 0:
            raise InputError(f"skip is {self.skip}; expected a number of lines, 0 or more")

    def describe(self) -> str:
        """Say how cells are parted and quoted."""
        parted = _NAMES.get(self.separator or "", f"{shown(self.separator)}")
        parts = [f"parted by {parted}"]
        if self.quote and self.quote != '"':
            parts.append(f"quoted by {shown(self.quote)}")
        if self.escape:
            parts.append(f"escaped by {shown(self.escape)}")
        if self.skip:
            parts.append(f"{self.skip} {'line' if self.skip == 1 else 'lines'} before the table passed over")
        return ", ".join(parts)

    def rows(self, text: str, *, strict: bool = False) -> Iterator[list[str]]:
        """Rows of a text by Python's csv module, empty ones left out; the reader of dialects that Arrow has not."""
        reader = self.reader(io.StringIO(text, newline=""), strict=strict)
        return (row for row in reader if row and (len(row) > 1 or row[0].strip()))

    def reader(self, lines: Iterator[str] | io.StringIO, *, strict: bool = False) -> Any:
        """Return a csv reader; of blanks only where lines are stripped, since one at the end would part a cell."""
        blanks = self.separator == BLANKS
        return csv.reader(
            (line.strip() for line in lines) if blanks else lines,
            delimiter=self.separator or ",",
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape or None,
            doublequote=not self.escape,
            skipinitialspace=blanks or self.loose,
            strict=strict,
        )


def find_dialect(text: str, told: Dialect, suffix: str) -> Dialect:
    """Return the dialect of the beginning of a text, with what was told left as it is.

    Parameters
    ----------
    text : str
        The beginning, whole lines if it is not all.
    told : Dialect
    suffix : str
        Ending of the file's name; it decides where the text leaves several separators open.
    """
    start, separator, skipped = _before(text, told)
    rest = text[start:]
    separator = separator if told.separator is None else told.separator
    known = replace(told, separator=separator, skip=skipped)
    found = _best(rest, known, suffix)
    if told.skip is None and told.header is not False:
        titles = _titles(rest, found, known, suffix)
        if titles:
            skipped += titles
            rest = text[offset(text, replace(known, skip=skipped)) :]
            found = _best(rest, replace(known, skip=skipped), suffix)
    if told.skip is None and rest.lstrip().startswith("#") and found.separator is not None:
        lines, marked = _remarks(rest, found)
        found = replace(found, skip=skipped + lines, marked=marked)
    return found


def offset(text: str, dialect: Dialect) -> int:
    """Return where in the text the table begins."""
    start = 0
    for _ in range(dialect.skip or 0):
        end = re.compile(r"\r\n|\n|\r").search(text, start)
        if end is None:
            return len(text)
        start = end.end()
    blank = _BEFORE.match(text[start:])
    start += blank.end() if blank else 0
    mark = _MARK.match(text[start:]) if dialect.marked else None
    return start + (mark.end() if mark else 0)


def _before(text: str, told: Dialect) -> tuple[int, str | None, int]:
    """Return where the table begins, the separator that a line before it names, and how many lines are passed over."""
    if told.skip is not None:
        return offset(text, told), None, told.skip
    blank = _BEFORE.match(text)
    start = blank.end() if blank else 0
    excel = _EXCEL.match(text[start:])
    if excel:
        return start + excel.end(), excel[1], _lines(text[: start + excel.end()])
    return start, None, _lines(text[:start])


def _lines(text: str) -> int:
    return len(re.findall(r"\r\n|\n|\r", text))


def _titles(text: str, found: Dialect, known: Dialect, suffix: str) -> int:
    """Return how many lines a title above the table takes: each with one cell filled, or blank.

    A spreadsheet writes separators after it, others do not, so that no dialect fits before it is passed over. Only a
    usual separator and rows as wide as the names that they stand below make a table.
    """
    lines = text[:_TITLED].splitlines(keepends=True)[:-1]
    if not lines or sum(bool(cell.strip()) for cell in next(iter(found.rows("".join(lines))), ())) != 1:
        return 0
    for count in range(1, min(_MOST_TITLES, len(lines))):
        rest = "".join(lines[count:])
        below = _best(rest, known, suffix)
        if below.separator not in _USUAL:
            continue
        rows = list(islice(below.rows(rest), 20))
        above = list(below.rows("".join(lines[:count])))
        even = len(rows) > 2 and len({len(row) for row in rows}) == 1
        if even and above and title_lines([*above, *rows]) == len(above):
            return count
    return 0


def _remarks(text: str, dialect: Dialect) -> tuple[int, bool]:
    """Return how many lines of remarks (``# ...``) stand before the table, and whether the next names its columns."""
    lines = re.split(r"\r\n|\n|\r", text)
    count = next((i for i, line in enumerate(lines) if not line.lstrip().startswith("#")), len(lines))
    if count == len(lines):
        return 0, False
    width = len(next(iter(dialect.rows(lines[count])), []))
    last = next(iter(dialect.rows(_MARK.sub("", lines[count - 1], count=1))), [])
    return (count - 1, True) if width > 1 and len(last) == width else (count, False)


def _best(text: str, told: Dialect, suffix: str) -> Dialect:
    """Return the dialect under which the rows have most often as many cells as the first."""
    body = "\n".join(line for line in re.split(r"\r\n|\n|\r", text) if not line.startswith("#")) or text
    usual = sorted(_USUAL, key=lambda c: {".tsv": "\t", ".tab": "\t", ".psv": "|"}.get(suffix) != c)
    for separators in (usual, (BLANKS,), _RARE):
        if told.separator is not None:
            separators = (told.separator,)
        tried = [(_score(body, candidate), candidate) for candidate in _candidates(told, separators, body)]
        wide = [(score, candidate) for score, candidate in tried if score[0] > 0]
        if wide:
            return max(wide, key=lambda pair: pair[0])[1]
        if told.separator is not None:
            break
    plain = replace(told, separator=told.separator or usual[0])
    return replace(plain, quote='"' if told.quote is None else told.quote, escape=told.escape or "")


def _candidates(told: Dialect, separators: Sequence[str], text: str) -> Iterator[Dialect]:
    quotes = [told.quote] if told.quote is not None else ['"', *(["'"] if "'" in text else [])]
    escapes = [told.escape] if told.escape is not None else ["", *(["\\"] if "\\" in text else [])]
    for separator in separators:
        if separator not in text:
            continue
        for quote in quotes:
            for escape in escapes:
                plain = replace(told, separator=separator, quote=quote, escape=escape)
                yield plain
                if separator != BLANKS and quote and f"{separator} {quote}" in text:
                    yield replace(plain, loose=True)


def _score(text: str, dialect: Dialect) -> tuple[float, ...]:
    """Tell how well a dialect fits: rows as wide as the first one, cells without stray quotes or separators."""
    rows, whole = [], True
    try:
        for row in dialect.rows(text, strict=True):
            rows.append(row)
            if len(rows) == _ROWS:
                break
    except csv.Error:
        whole = len(rows) > 1 and len(text) >= SAMPLE - 1  # the sample may end inside a quoted cell
    if not rows or len(rows[0]) < 2:
        return (0.0,)
    alike = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
    if short_header(rows) is not None:
        alike = 1.0
    rare = dialect.separator in _RARE or dialect.separator == BLANKS
    if rare and (alike < 1 or len(rows) < 3 or not whole):
        return (0.0,)
    whole_columns = zip(*(row for row in rows if len(row) == len(rows[0])), strict=True)
    quoted = sum(len(column) for column in whole_columns if _all_quoted(column))
    cells = Counter(_clean(cell, dialect) for row in rows for cell in row)
    clean = (cells[True] - quoted) / max(cells.total(), 1)
    return (
        0.01 + alike * (1.0 if whole else 0.5),
        round(clean, 3),
        -float(bool(dialect.escape)),
        -float(dialect.loose),
    )


def _all_quoted(column: Sequence[str]) -> bool:
    """Whether every cell still has quotes around it; a few may be meant."""
    cells = [cell.strip() for cell in column]
    return len(cells) > 1 and all(len(c) > 1 and c[0] == c[-1] and c[0] in "'\"" for c in cells)


def _clean(cell: str, dialect: Dialect) -> bool:
    """Whether nothing in a cell looks like another separator or an escape that was not undone."""
    if not dialect.escape and '\\"' in cell:
        return False
    return not any(other in cell for other in _USUAL if other != dialect.separator)
