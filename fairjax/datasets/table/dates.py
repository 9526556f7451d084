"""Dates as people write them, from text to days since the first of January 1970."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fairjax.datasets.table.numerals import MISSING_WORDS

_CLOCK = r"([T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?[ ]?(Z|[+-]\d{2}:?\d{2})?)?"
_ISO = rf"^\d{{4}}-\d{{1,2}}-\d{{1,2}}{_CLOCK}$"
_SLASHED = rf"^\d{{4}}/\d{{1,2}}/\d{{1,2}}{_CLOCK}$"
_POINTS = rf"^\d{{1,2}}\.\d{{1,2}}\.\d{{4}}{_CLOCK}$"
_SHORT = r"^(\d{1,2})([./-])(\d{1,2})([./-])(\d{2})(|[T ].*)$"  # two digits of a year
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = rf"(?:{'|'.join(_MONTHS)})[a-z]*\.?"
_DAY_FIRST = rf"^(\d{{1,2}})[ .-]+({_NAME})[ ,-]+(\d{{4}}|\d{{2}})(|[T ].*)$"
_MONTH_FIRST = rf"^({_NAME})[ -]+(\d{{1,2}})(?:st|nd|rd|th)?[ ,-]+(\d{{4}}|\d{{2}})(|[T ].*)$"
_EITHER = rf"^\d{{1,2}}[/-]\d{{1,2}}[/-]\d{{4}}{_CLOCK}$"


@dataclass(frozen=True, kw_only=True)
class Dates:
    """Days since 1970 of distinct texts, NaN for a missing one, and how they were read."""

    values: npt.NDArray[np.float64]
    how: str
    notes: tuple[str, ...] = ()


def read_dates(texts: Any) -> Dates | None:
    """Return the dates that an Arrow array of distinct, trimmed, non-empty texts spells, or None.

    Day and month are told apart by a value above 12; where there is none, ``how`` is "day or month first" and the
    values are read with the month first.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    words = pc.is_in(pc.utf8_lower(texts), pa.array(MISSING_WORDS))
    present = pc.if_else(words, None, texts)
    if pc.all(words).as_py():
        return None

    present = _numbered(present)
    short = bool(pc.all(pc.fill_null(pc.match_substring_regex(present, _SHORT), True)).as_py())
    if short:
        present = _with_century(present, r"^(\d+[./-]\d+[./-])")

    def all_match(pattern: str) -> bool:
        return bool(pc.all(pc.fill_null(pc.match_substring_regex(present, pattern), True)).as_py())

    if all_match(_ISO) or all_match(_SLASHED):
        how, order = "year-month-day", ("year", "month", "day")
    elif all_match(_POINTS):
        how, order = "day.month.year", ("day", "month", "year")
    elif all_match(_EITHER):
        first, second = (_part(present, i) for i in (0, 1))
        if np.nanmax(first) > 12:
            how, order = "day/month/year", ("day", "month", "year")
        elif np.nanmax(second) > 12:
            how, order = "month/day/year", ("month", "day", "year")
        else:
            how, order = "day or month first", ("month", "day", "year")
    else:
        return None
    parts = {name: _part(present, i) for i, name in enumerate(order)}
    days = _days(parts["year"], parts["month"], parts["day"])
    if days is None:
        return None
    marks = ("words such as NA read as missing",) if pc.any(words).as_py() else ()
    if short:
        marks = (*marks, "years of two digits read as 1970 to 2069")
    return Dates(values=days + _clock(present), how=how, notes=marks)


def _numbered(texts: Any) -> Any:
    """Write dates with English names of months as day.month.year, two digits of a year being from 1970 to 2069."""
    import pyarrow.compute as pc

    lowered = pc.utf8_lower(texts)
    if pc.all(pc.fill_null(pc.match_substring_regex(lowered, _DAY_FIRST), True)).as_py():
        out = pc.replace_substring_regex(lowered, _DAY_FIRST, r"\1.\2.\3\4")
    elif pc.all(pc.fill_null(pc.match_substring_regex(lowered, _MONTH_FIRST), True)).as_py():
        out = pc.replace_substring_regex(lowered, _MONTH_FIRST, r"\2.\1.\3\4")
    else:
        return texts
    for number, name in enumerate(_MONTHS, start=1):
        out = pc.replace_substring_regex(out, rf"\.{name}[a-z]*\.+", f".{number}.")
    return pc.replace_substring_regex(_with_century(out, r"^(\d+\.\d+\.)"), "t", "T")


def _with_century(texts: Any, before: str) -> Any:
    """Write years of two digits, which follow a pattern of one group, as those from 1970 to 2069."""
    import pyarrow.compute as pc

    for century, digits in (("19", "[7-9]"), ("20", "[0-6]")):
        # a character between keeps the replacement from reading the century as the number of a group
        texts = pc.replace_substring_regex(texts, rf"{before}({digits}\d)(|[Tt ].*)$", rf"\1@{century}\2\3")
    return pc.replace_substring(texts, "@", "")


def _part(texts: Any, position: int) -> npt.NDArray[np.float64]:
    """Return the number at a position (year, month, day in their order), NaN where the text is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pattern = r"^(?P<a>\d+)[./-](?P<b>\d+)[./-](?P<c>\d+)"
    found = pc.struct_field(pc.extract_regex(texts, pattern), "abc"[position])
    values: npt.NDArray[np.float64] = pc.cast(found, pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _days(
    year: npt.NDArray[np.float64], month: npt.NDArray[np.float64], day: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    """Days since 1970, or None where one of them is in no calendar."""
    known = ~np.isnan(year)
    y, m, d = (np.where(known, part, fill).astype(np.int64) for part, fill in ((year, 1970), (month, 1), (day, 1)))
    if (m < 1).any() or (m > 12).any() or (d < 1).any():
        return None
    months = (y - 1970) * 12 + m - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    last = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    if (first + d > last).any():
        return None
    return np.where(known, first + d - 1, np.nan).astype(np.float64)


def _clock(texts: Any) -> npt.NDArray[np.float64]:
    """Return the time of day as a share of it, less the offset from Greenwich; 0 where none is given."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring(texts, ":")).as_py():
        return np.zeros(len(texts))
    pattern = (
        r"[T ](?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}(?:[.]\d+)?))?[ Z]*"
        r"(?:(?P<sign>[+-])(?P<oh>\d{2}):?(?P<om>\d{2}))?$"
    )
    found = pc.extract_regex(pc.replace_substring(texts, ",", "."), pattern)

    def part(name: str) -> npt.NDArray[np.float64]:
        field = pc.struct_field(found, name)
        field = pc.if_else(pc.equal(field, ""), None, field)
        return np.nan_to_num(pc.cast(field, pa.float64()).to_numpy(zero_copy_only=False))

    sign = np.where(np.asarray(pc.fill_null(pc.equal(pc.struct_field(found, "sign"), "-"), False)), -1.0, 1.0)
    seconds = 3600 * part("h") + 60 * part("m") + part("s")
    return np.asarray((seconds - sign * (3600 * part("oh") + 60 * part("om"))) / 86_400)
