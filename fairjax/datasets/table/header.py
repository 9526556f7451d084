"""Whether the first line of a text file names its columns; a line of numbers is never eaten."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from fairjax._core.text import listed
from fairjax.errors import InputError


def has_header(first: Sequence[str], rest: Sequence[Sequence[str]], label: str) -> tuple[bool, str | None]:
    """Whether the first row is a header, and what to tell of it.

    Cells without numbers name columns, unless each comes again as a value of its own column. Only numbers are data. A
    mixture is a header where the numbers are years or count the columns and no name comes again; otherwise nobody can
    tell, and the user is asked.

    Examples
    --------
    >>> has_header(["age", "sex"], [["20", "F"]], "t.csv")
    (True, None)
    >>> has_header(["20", "1.5"], [["30", "2.5"]], "t.csv")[0]
    False
    """
    cells = [cell.strip() for cell in first]
    numbers = [cell for cell in cells if is_number(cell)]
    again = _come_again(cells, rest)
    if not numbers:
        if again and len(again) == len(list(filter(None, cells))):
            raise _doubtful(label, f"values that come again below it ({listed(again, 3)})")
        return True, None
    named = [cell for cell in cells if cell and not is_number(cell)]
    like_data = [
        cell
        for cell, column in zip(cells, zip(*rest, strict=False), strict=False)
        if is_number(cell) and any(is_number(other.strip()) for other in column)
    ]
    if not like_data and rest and named:
        return True, None
    counts = _counts(numbers) and len(numbers) > 1
    if again:
        raise _doubtful(label, f"values that come again below it ({listed(again, 3)})")
    if (named and (counts or _years(numbers))) or (counts and not cells[0]):
        return True, None
    if named or (counts and numbers[0] in ("0", "1") and len(numbers) > 2):
        raise _doubtful(label, f"numbers ({listed(numbers, 3)})")
    return False, (
        "the first line holds only numbers and is taken as data; the columns are called column 1, column 2, ... "
        "(--header says that it names them)"
    )


def _come_again(cells: Sequence[str], rest: Sequence[Sequence[str]]) -> list[str]:
    """Texts of the first row that are values of their own columns, too; a row repeated as a whole says nothing.

    Files put together have the names once more in each.
    """
    others = [row for row in rest if len(cells) == 1 or [cell.strip() for cell in row] != list(cells)]
    return [
        cell
        for cell, column in zip(cells, zip(*others, strict=False), strict=False)
        if cell and not is_number(cell) and cell in map(str.strip, column)
    ]


def _doubtful(label: str, holds: str) -> InputError:
    return InputError(
        f"the first line of {label} holds {holds} and may be data or a header; say --no-header if it is data and "
        "--header if it names the columns"
    )


def title_lines(rows: Sequence[Sequence[str]]) -> int:
    """Return how many rows stand before the names of the columns as a title does: one cell or none of each filled.

    Only names, two and more and none of them a number, end a title; where there are none, nothing is passed over.

    Examples
    --------
    >>> title_lines([["A survey", ""], ["", ""], ["age", "sex"], ["20", "F"]])
    2
    >>> title_lines([["age", ""], ["20", "F"]])
    0
    """
    filled = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    count = next((i for i, cells in enumerate(filled) if len(cells) > 1), 0)
    return 0 if not count or any(map(is_number, filled[count])) or count + 1 == len(rows) else count


def short_header(rows: Sequence[Sequence[str]]) -> Literal["names", "ends"] | None:
    """Tell why the first row has one cell less than all others have, where that is how a program writes tables.

    R leaves out the name of the column of row names ("names"); others put a separator after each row ("ends"). A
    decimal comma among commas also makes one cell more, so row names are texts or count from 1.

    Examples
    --------
    >>> short_header([["age", "sex"], ["1", "20", "F"], ["2", "30", "M"], ["3", "25", "F"]])
    'names'
    >>> short_header([["age", "sex"], ["20", "F", ""], ["30", "M", ""]])
    'ends'
    >>> short_header([["age", "sex"], ["20", "5", "F"], ["30", "0", "M"], ["25", "5", "F"]])
    """
    width, body = len(rows[0]), rows[1:]
    if len(body) < 2 or any(len(row) != width + 1 for row in body):
        return None
    if not any(row[-1].strip() for row in body):
        return "ends"
    first = [row[0].strip() for row in body]
    counts = len(body) > 2 and first == [str(i + 1) for i in range(len(body))]
    texts = len(set(first)) == len(first) and all(cell and not is_number(cell) for cell in first)
    return "names" if counts or texts else None


def is_number(cell: str) -> bool:
    """Whether a cell is a number in any usual spelling."""
    try:
        float(cell.replace(",", ".").replace("−", "-"))
    except ValueError:
        return False
    return any(character.isdigit() for character in cell) and "_" not in cell


def _counts(cells: Sequence[str]) -> bool:
    """Whether whole numbers go up by one, as names made by counting do."""
    if not all(cell.isdigit() for cell in cells):
        return False
    values = [int(cell) for cell in cells]
    return all(b == a + 1 for a, b in pairwise(values))


def _years(cells: Sequence[str]) -> bool:
    return all(cell.isdigit() and len(cell) == 4 and "1700" <= cell <= "2200" for cell in cells) and len(
        set(cells)
    ) == len(cells)
