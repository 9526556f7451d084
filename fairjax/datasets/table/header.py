"""Whether the first line of a text file names its columns; a line of numbers is never eaten."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fairjax._core.text import listed
from fairjax.errors import InputError


def has_header(first: Sequence[str], rest: Sequence[Sequence[str]], label: str) -> tuple[bool, str | None]:
    """Whether the first row is a header, and what to tell of it.

    Cells without numbers name columns. Only numbers are data. A mixture is a header where the numbers are years or
    count the columns; otherwise nobody can tell, and the user is asked.

    Examples
    --------
    >>> has_header(["age", "sex"], [["20", "F"]], "t.csv")
    (True, None)
    >>> has_header(["20", "1.5"], [["30", "2.5"]], "t.csv")[0]
    False
    """
    cells = [cell.strip() for cell in first]
    numbers = [cell for cell in cells if is_number(cell)]
    if not numbers:
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
    if (named and (counts or _years(numbers))) or (counts and not cells[0]):
        return True, None
    if named or (counts and numbers[0] in ("0", "1") and len(numbers) > 2):
        raise InputError(
            f"the first line of {label} holds numbers ({listed(numbers, 3)}) and may be data or a header; "
            "say --no-header if it is data and --header if it names the columns"
        )
    return False, (
        "the first line holds only numbers and is taken as data; the columns are called column 1, column 2, ... "
        "(--header says that it names them)"
    )


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
