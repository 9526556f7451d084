"""What is in a column: its type, its values as arrays, what is missing, and what a reader should be told of it."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairjax._core.text import counted, shown, visible
from fairjax.datasets.table.dates import read_dates
from fairjax.datasets.table.numerals import read_numbers
from fairjax.datasets.table.rawtable import RawTable, is_text

Type = Literal["number", "boolean", "date", "text", "other"]
Kind = Literal["number", "boolean", "date", "category", "text", "identifier", "constant", "empty", "other"]
_BOOLEANS = ({"true": 1.0, "false": 0.0}, {"yes": 1.0, "no": 0.0})
_LONG = 50  # distinct texts up to which a column is one of categories, however few its rows
_FOLDED = 10_000  # distinct texts that are compared without their capital letters
_EXACT = 2.0**53  # whole numbers up to which every one is a float
_UNSEEN = "\u200b\u200e\u200f\u2060\ufeff"  # characters without width, which web pages leave around words
_FEW = 20  # rows below which nothing is called an identifier
_IDENTIFIER = re.compile(
    r"(^|[_\s.\-])(id|ids|uid|uuid|guid|key|index|idx|row|nr|no|num|caseid|unnamed)([_\s.\-:]|$)", re.I
)
_CAMEL = re.compile(r"[a-z](ID|Id|Key|No|Nr)$")


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """One column of a table, as it was understood.

    Attributes
    ----------
    name : str
    position : int
        From 0, in the file.
    type : {"number", "boolean", "date", "text", "other"}
    numbers : ndarray (n,) of float64, or None
        Numbers, 0 and 1 of booleans, days since 1970 of dates; NaN where missing. None for text.
    codes : ndarray (n,) of int32, or None
        Position in ``levels``, -1 where missing; None for numbers, but for whole ones that floats would not tell apart.
    levels : tuple of str
        The distinct values, sorted.
    n_missing, n_distinct : int
        Cells without a value, and different values among the others.
    notes : tuple of str
        How it was read, where there was a choice.
    trimmed : bool
        Whether values differed by blanks around them alone.
    doubtful : str
        Why its values may be read wrongly, so that they are not used without being asked; "" for most.
    """

    name: str
    position: int
    type: Type
    numbers: npt.NDArray[np.float64] | None = None
    codes: npt.NDArray[np.int32] | None = None
    levels: tuple[str, ...] = ()
    n_missing: int = 0
    n_distinct: int = 0
    notes: tuple[str, ...] = ()
    trimmed: bool = False
    doubtful: str = ""

    @cached_property
    def n_rows(self) -> int:
        """Number of rows n."""
        values = self.codes if self.numbers is None else self.numbers
        return 0 if values is None else len(values)

    @cached_property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Whether each cell is without a value, shape (n,)."""
        if self.numbers is not None:
            return np.isnan(self.numbers)
        assert self.codes is not None
        return self.codes < 0

    @property
    def kind(self) -> Kind:
        """The type, or what is more telling: that it is empty, constant, or different in every row."""
        if self.type == "other":
            return "other"
        if self.n_distinct == 0:
            return "empty"
        if self.n_distinct == 1 and not self.n_missing:
            return "constant"
        if self.is_identifier:
            return "identifier"
        if self.type == "text":
            return "category" if self.n_distinct <= max(_LONG, 0.05 * self.n_rows) else "text"
        return self.type

    @cached_property
    def is_identifier(self) -> bool:
        """Whether it has another value in every row and numbers or names them rather than measuring anything."""
        n = self.n_rows - self.n_missing
        if n < _FEW or self.n_distinct < n:
            return False
        if self.type == "text":
            return True
        if self.type != "number" or self.numbers is None:
            return False
        values = self.numbers[~self.missing]
        if not np.isfinite(values).all() or (values != np.floor(values)).any():
            return False
        named = bool(_IDENTIFIER.search(self.name) or _CAMEL.search(self.name) or not self.name)
        return named or values.max() - values.min() == n - 1

    def take(self, keep: npt.NDArray[np.bool_]) -> Column:
        """Return the column of the rows that are kept."""
        column = self
        if self.codes is not None:
            codes = self.codes[keep]
            used = np.unique(codes[codes >= 0])
            rank = np.full(len(self.levels) + 1, -1, np.int32)
            rank[used] = np.arange(len(used), dtype=np.int32)
            levels = tuple(self.levels[i] for i in used)
            codes = rank[codes]
            column = replace(
                self, codes=codes, levels=levels, n_missing=int((codes < 0).sum()), n_distinct=len(levels)
            )  # fmt: skip
        return column if self.numbers is None else numeric_column(column, self.numbers[keep])

    @property
    def title(self) -> str:
        """The name in quotes, or the position of a nameless column."""
        return shown(self.name) if self.name else f"column {self.position + 1}"


def infer(table: RawTable, position: int) -> Column:
    """Understand one column: O(n), on the host.

    Raises
    ------
    InputError
        Where numbers can be read in two ways and nothing tells which.
    """
    import pyarrow as pa

    cells, name = table.cells.column(position), table.names[position]
    kind = cells.type
    if pa.types.is_dictionary(kind):
        cells = cells.cast(kind.value_type)
        kind = cells.type
    base = Column(name=name, position=position, type="other")
    if is_text(cells):
        return _from_text(base, cells, table)
    return _from_typed(base, cells)


def numeric_column(base: Column, values: npt.NDArray[np.float64], **more: Any) -> Column:
    """Complete a column of numbers: what is missing, and how many there are."""
    ordered = np.sort(values)  # NaN last; a hash of a million different numbers would take a hundred megabytes
    n = len(values) - int(np.isnan(values).sum())
    distinct = int(np.count_nonzero(ordered[1:n] != ordered[: max(n - 1, 0)])) + (n > 0)
    if base.type == "number" and base.codes is not None:
        distinct = len(base.levels)
    return replace(base, numbers=values, n_missing=len(values) - n, n_distinct=distinct, **more)


def _from_typed(base: Column, cells: Any) -> Column:
    """Understand a column of a typed format."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = cells.type
    if pa.types.is_null(kind):
        return numeric_column(base, np.full(len(cells), np.nan), type="number")
    if pa.types.is_boolean(kind):
        codes = pc.fill_null(cells.cast(pa.int32()), -1).to_numpy().astype(np.int32)
        numbers = np.where(codes < 0, np.nan, codes)
        return replace(
            numeric_column(base, numbers, type="boolean"), codes=codes, levels=("False", "True")
        )  # fmt: skip
    # what cannot be converted is of no plain type after all
    with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            column = numeric_column(base, _floats(cells), type="number")
            if not pa.types.is_floating(kind) and _too_large(column.numbers):
                return _exact(_with_levels(column, cells))
            return column
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            stamps = cells.cast(pa.timestamp("ms"), safe=False)
            days = pc.divide(pc.cast(stamps.cast(pa.int64()), pa.float64()), 86_400_000.0)
            plain = not getattr(kind, "tz", None) and pc.all(pc.equal(days, pc.floor(days))).as_py() is not False
            column = numeric_column(base, _floats(days), type="date")
            return _with_levels(column, stamps.cast(pa.date32()) if plain else cells)  # days without a time
    return replace(base, codes=np.zeros(len(cells), np.int32), notes=(f"values of type {visible(kind, 60)}",))


def _floats(cells: Any, *, safe: bool = False) -> npt.NDArray[np.float64]:
    """Return cells as floats, NaN where there are none, in memory of Arrow's: it goes back to the system when asked.

    What NumPy frees in pieces of this size mostly stays with the process. Doubles of one piece are not copied.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wide = pc.cast(cells, pa.float64(), safe=safe)
    if wide.null_count:
        wide = pc.fill_null(wide, np.nan)
    if isinstance(wide, pa.ChunkedArray):
        wide = wide.chunk(0) if wide.num_chunks == 1 else wide.combine_chunks()
    if isinstance(wide, pa.ChunkedArray):  # no cells, or an older Arrow
        wide = pa.concat_arrays(wide.chunks) if wide.num_chunks else pa.array([], pa.float64())
    values: npt.NDArray[np.float64] = wide.to_numpy()
    return values


def _with_levels(column: Column, cells: Any) -> Column:
    codes, words, _ = _encode(cells)
    return replace(column, codes=codes, levels=tuple(words.to_pylist()))


def _too_large(numbers: npt.NDArray[np.float64] | None) -> bool:
    """Whether some number is so large that floats do not tell it from the next."""
    return numbers is not None and bool((np.abs(numbers) >= _EXACT).any())


def _exact(column: Column) -> Column:
    """Keep the digits of whole numbers beside the floats, where two of them have one float; such may name groups."""
    assert column.numbers is not None
    known = numeric_column(replace(column, codes=None), column.numbers).n_distinct
    if len(column.levels) <= known:
        return replace(column, codes=None, levels=())
    note = f"{len(column.levels):,} numbers of so many digits that floating-point ones tell {known:,} of them apart"
    return replace(column, n_distinct=len(column.levels), notes=(*column.notes, note))


def _encode(cells: Any) -> tuple[npt.NDArray[np.int32], Any, tuple[str, ...]]:
    """Return codes (-1 for a gap), the sorted distinct cells as text, and what to tell of those that became one.

    Blanks around them are left out, and so is what cannot be seen: characters without width, and whether an accent is
    a character of its own. Only distinct texts are looked at, since there are mostly few.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    packed = pc.dictionary_encode(cells)
    if isinstance(packed, pa.ChunkedArray):
        packed = packed.unify_dictionaries().combine_chunks()
        if isinstance(packed, pa.ChunkedArray):
            packed = packed.chunk(0) if packed.num_chunks else pa.array([], pa.string()).dictionary_encode()
    found = packed.dictionary if is_text(packed.dictionary) else pc.cast(packed.dictionary, pa.string())
    plain = pc.utf8_trim_whitespace(found)
    trimmed = pc.utf8_trim_whitespace(pc.utf8_trim(_composed(plain), characters=_UNSEEN))
    words = pc.unique(pc.if_else(pc.equal(trimmed, ""), None, trimmed)).drop_null()
    words = words.take(pc.sort_indices(words))
    place = pc.fill_null(pc.index_in(trimmed, words), -1).to_numpy().astype(np.int32)
    indices = pc.fill_null(packed.indices, len(found)).to_numpy()
    spelled = pc.unique(plain.filter(pa.array(place >= 0)))
    blanks, forms = int((place >= 0).sum()) - len(spelled), len(spelled) - len(words)
    told = [f"blanks around {counted(blanks, 'value')} dropped"] if blanks else []
    told += [f"{counted(forms, 'value')} written by other characters that look the same"] if forms else []
    return np.append(place, np.int32(-1))[indices], words, tuple(told)


def _composed(texts: Any) -> Any:
    """Texts whose accents are part of their letters, of whatever form (NFC).

    Not by Arrow's function, which takes accents apart in the oldest version that may be installed.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        return texts
    composed = [text and unicodedata.normalize("NFC", text) for text in texts.to_pylist()]
    return pa.array(composed, texts.type)


def _from_text(base: Column, cells: Any, table: RawTable) -> Column:
    """Understand a column of text: numbers and dates are what all its cells spell."""
    import pyarrow.compute as pc

    dialect = table.dialect
    point = dialect is None or (dialect.decimal != "," and dialect.thousands in (None, ""))
    if point and (quick := _quick(base, cells)) is not None:
        return quick
    codes, words, merged = _encode(cells)
    levels = tuple(words.to_pylist())
    column = replace(base, codes=codes, levels=levels, n_missing=int((codes < 0).sum()), n_distinct=len(levels))
    if not levels:
        return replace(column, type="number", numbers=np.full(len(codes), np.nan), codes=None)
    if truth := _truth(levels):
        return replace(column, type="boolean", numbers=_by_code(np.array(truth), codes))
    numbers = read_numbers(
        words,
        decimal=dialect.decimal if dialect else None,
        thousands=(dialect.thousands or None) if dialect else None,
        separator=dialect.separator if dialect else None,
        name=base.name,
    )
    if numbers is not None:
        notes = (*numbers.notes, *_zeros(words))
        plain = numeric_column(replace(base, type="number", notes=notes), _by_code(numbers.values, codes))
        spelled = bool(pc.all(pc.match_substring_regex(words, r"^[+-]?\d+$")).as_py())
        return _exact(replace(plain, codes=codes, levels=levels)) if spelled and _too_large(plain.numbers) else plain
    dates = read_dates(words)
    if dates is not None:
        doubtful = "day and month cannot be told apart" if dates.how == "day or month first" else ""
        how = (f"dates as {dates.how}", *dates.notes)
        days = _by_code(dates.values, codes)
        return replace(numeric_column(column, days, type="date", notes=how), doubtful=doubtful)
    folded = len({level.casefold() for level in levels}) < len(levels) <= _FOLDED
    alike = ["values that differ in capital letters alone"] if folded else []
    return replace(column, type="text", notes=(*merged, *alike), trimmed=bool(merged))


def _quick(base: Column, filled: Any) -> Column | None:
    """Return a column of plain numbers by one pass of Arrow; None where some cell is something else."""
    import pyarrow as pa

    try:
        values = _floats(filled, safe=True)
    except pa.ArrowInvalid:
        return None
    if _too_large(values):
        return None
    column = numeric_column(base, values, type="number")
    if not len(values) or column.n_missing == len(values):
        return column
    words = column.n_missing - int(filled.null_count)
    notes = (f"{counted(words, 'cell')} with nan read as missing",) if words else ()
    return replace(column, notes=(*notes, *_zeros(filled)))


def _zeros(texts: Any) -> tuple[str, ...]:
    import pyarrow.compute as pc

    some = texts if len(texts) < _FOLDED else pc.filter(texts, pc.starts_with(texts, "0"))
    if pc.any(pc.match_substring_regex(some, r"^0\d")).as_py():
        return ("numbers with leading zeros, as codes have",)
    return ()


def _truth(levels: tuple[str, ...]) -> list[float] | None:
    lowered = [level.lower() for level in levels]
    if len(levels) > 4:
        return None
    return next(([words[word] for word in lowered] for words in _BOOLEANS if set(lowered) <= set(words)), None)


def _by_code(values: npt.NDArray[np.float64], codes: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    return np.append(values, np.nan)[codes]
