"""Numbers as people of several countries write them, from text to floating point; whole columns at a time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fairjax._core.text import shown
from fairjax.errors import InputError

# words that stand for a missing number or date; in columns of text they are values (NA is Namibia, None an answer)
MISSING_WORDS = ("na", "n/a", "#n/a", "#na", "<na>", "n.a.", "nan", "-nan", "null", "none", "nil", "?", "-", "--", "—",
                 ".", "..", "...", "missing", "#null!", "#value!", "#div/0!", "nat", "n.d.", "k.a.")  # fmt: skip
_SIGN = r"[+\-−]?"
_PLAIN = rf"^{_SIGN}((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:inf(inity)?))$"
_WHOLE = rf"^{_SIGN}\d+$"
_GROUPERS = {",": ",", ".": r"\.", " ": r"[ \x{00a0}\x{202f}\x{2009}]", "'": r"['’]"}
_INDIAN = r"\d{1,2}(,\d{2})+,\d{3}"  # lakh and crore
_ARABIC = {"٫": ".", "٬": ","}
_UNITS = r"^(\(?[-+−]?)[ ]?[$€£¥₹][ ]?|[ \x{00a0}]?[%€$£¥₹](\)?)$"
_CERTAIN_POINT = re.compile(rf"{_SIGN}(\d+\.(\d{{1,2}}|\d{{4,}})|\d{{4,}}\.\d+|0\.\d+|\.\d+|\d{{1,3}}(,\d{{3}})+\.\d+)")
_CERTAIN_COMMA = re.compile(rf"{_SIGN}(\d+,(\d{{1,2}}|\d{{4,}})|\d{{4,}},\d+|0,\d+|,\d+|\d{{1,3}}([.]\d{{3}})+,\d+)")


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Values of distinct texts, NaN for those that stand for a missing one, and how they were read."""

    values: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()


def decimal_sign(cell: str) -> str | None:
    """Return the decimal sign of a number that can be read one way only.

    Examples
    --------
    >>> decimal_sign("3.14"), decimal_sign("1.234,5"), decimal_sign("1,234"), decimal_sign("7")
    ('.', ',', None, None)
    """
    cell = cell.strip()
    if _CERTAIN_POINT.fullmatch(cell):
        return "."
    return "," if _CERTAIN_COMMA.fullmatch(cell) else None


def read_numbers(
    texts: Any, *, decimal: str | None, thousands: str | None, separator: str | None, name: str
) -> Numbers | None:
    """Return the numbers that an Arrow array of distinct, trimmed, non-empty texts spells, or None.

    Parameters
    ----------
    texts : pyarrow.Array of strings
    decimal, thousands : str or None
        What is known of the file; None finds out from the texts.
    separator : str or None
        Of the cells; where it is a comma, a comma within a number is likelier one of thousands.
    name : str
        Of the column, for the sentence.

    Raises
    ------
    InputError
        Where a comma may be either sign and nothing tells which.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    words = pc.is_in(pc.utf8_lower(texts), pa.array(MISSING_WORDS))
    count = int(pc.sum(words).as_py() or 0)
    present = pc.if_else(words, None, texts)
    if count == len(texts):
        return None
    notes = [f"{_examples(texts, words)} read as missing"] if count else []
    spelled = _western(present)
    for respell, told in ((None, ""), *_SPELLINGS):
        if respell is not None:
            before, spelled = spelled, respell(spelled)
            if pc.all(pc.fill_null(pc.equal(spelled, before), True)).as_py():
                continue
            notes.append(told)
        found = _read(spelled, decimal, thousands, separator, name)
        if found is not None:
            values, how = found
            return Numbers(values=values, notes=(*notes, *how))
    return None


def _western(texts: Any) -> Any:
    """Write the digits of any script as 0 to 9, where there are others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring_regex(texts, r"[^\x{00}-\x{7f}]")).as_py():
        return texts
    if not pc.any(pc.match_substring_regex(texts, r"\p{Nd}")).as_py():
        return texts
    return pa.array([None if t is None else _digits(t) for t in texts.to_pylist()], pa.string())


def _digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else _ARABIC.get(c, c) for c in text)


def _without_units(texts: Any) -> Any:
    import pyarrow.compute as pc

    return pc.replace_substring_regex(texts, _UNITS, r"\1\2")


def _signed(texts: Any) -> Any:
    """Write (12) and 12-, as accounts have negative numbers, as -12."""
    import pyarrow.compute as pc

    texts = pc.replace_substring_regex(texts, r"^\(\s*([^()+\-−]+?)\s*\)$", r"-\1")
    return pc.replace_substring_regex(texts, r"^([^()+\-−]*\d)\s*[\-−]$", r"-\1")


_SPELLINGS: tuple[tuple[Callable[[Any], Any], str], ...] = (
    (_without_units, "signs of percent or currency left out"),
    (_signed, "parentheses, or a sign at the end, read as negative"),
)


def _read(
    texts: Any, decimal: str | None, thousands: str | None, separator: str | None, name: str
) -> tuple[npt.NDArray[np.float64], list[str]] | None:
    import pyarrow.compute as pc

    if decimal != "," and thousands is None and _all(texts, _PLAIN):
        return _cast(texts, None, "."), []
    whole = _all(texts, _WHOLE)
    if whole:
        return _cast(texts, None, "."), []
    styles: list[tuple[str, str]] = [
        (point, group)
        for point in (".", ",")
        for group in ("", ",", ".", " ", "'")
        if point not in (group, thousands) and decimal in (None, point) and group in ("", thousands or group)
    ]
    # the plainest first; a point is the decimal sign of a comma file only where it cannot be one of thousands
    fitting = [style for style in styles if _all(texts, _pattern(*style))]
    if decimal == "," and not fitting and thousands is None and _all(texts, _PLAIN):
        return _cast(texts, None, "."), ["decimal points, although other columns have decimal commas"]
    if decimal == "." and not fitting and thousands is None and _has_commas(texts):
        return _cast(texts, ".", ","), ["decimal commas, although other columns have decimal points"]
    if not fitting:
        return None
    commas = bool(pc.any(pc.match_substring(texts, ",")).as_py())
    readings = {style: _used(texts, *style) for style in fitting}
    if commas and (",", "") in readings and (".", ",") in readings and decimal is None and thousands is None:
        if separator != ",":
            example = pc.filter(texts, pc.match_substring(texts, ","))[0].as_py()
            raise InputError(
                f"the column {shown(name)} holds numbers such as {shown(example)}, whose comma may be decimal or "
                "one of thousands; say --decimal , or --decimal . (which makes it one of thousands)"
            )
        chosen = (".", ",")
    elif decimal == "," and (",", ".") in readings:
        chosen = (",", ".")
    else:
        chosen = min(fitting, key=lambda style: (style[1] != "", style[0] != "."))
    point, group = chosen
    return _cast(texts, group or None, point), readings[chosen]


def _has_commas(texts: Any) -> bool:
    """Whether all are numbers with points between thousands, and no comma but a decimal one."""
    return _all(texts, _pattern(",", ".")) and all(
        decimal_sign(text) == "," for text in texts.to_pylist() if text is not None and "," in text
    )


def _pattern(point: str, group: str) -> str:
    """Numbers with that decimal sign; with a sign of thousands, groups of three and no longer runs without it."""
    fraction = rf"({re.escape(point)}\d*)?([eE][+-]?\d+)?"
    if not group:
        return rf"^{_SIGN}(\d+{fraction}|{re.escape(point)}\d+)$"
    grouped = rf"\d{{1,3}}({_GROUPERS[group]}\d{{3}})*"
    if group == ",":
        grouped = rf"({grouped}|{_INDIAN})"
    loose = r"|\d+" if group in (" ", "'") else ""
    return rf"^{_SIGN}({grouped}{loose}){fraction}$"


def _used(texts: Any, point: str, group: str) -> list[str]:
    import pyarrow.compute as pc

    notes = []
    if point == ",":
        notes.append("decimal commas")
    if group and pc.any(pc.match_substring_regex(texts, _GROUPERS[group])).as_py():
        spoken = {" ": "blanks", "'": "apostrophes", ",": "commas", ".": "points"}[group]
        notes.append(f"{spoken} between thousands left out")
    return notes


def _all(texts: Any, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.fill_null(pc.match_substring_regex(texts, pattern), True)).as_py())


def _cast(texts: Any, group: str | None, point: str) -> npt.NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if group:
        texts = pc.replace_substring_regex(texts, _GROUPERS[group], "")
    if point == ",":
        texts = pc.replace_substring(texts, ",", ".")
    texts = pc.replace_substring_regex(texts, "^[+]", "")
    texts = pc.replace_substring(texts, "−", "-")
    values: npt.NDArray[np.float64] = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _examples(texts: Any, words: Any) -> str:
    import pyarrow.compute as pc

    found = pc.filter(texts, words).to_pylist()
    return " and ".join(shown(word) for word in found[:3]) + (" and the like" if len(found) > 3 else "")
