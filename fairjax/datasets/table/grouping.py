"""From sensitive columns to groups: any values, several columns, gaps, ranges of numbers, and groups too small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairjax._core.text import counted, listed, shown, visible
from fairjax.datasets.table.columns import Column
from fairjax.datasets.table.ranges import Ranges, number_name
from fairjax.errors import InputError

MISSING = "(missing)"
OTHER = "other"
_LONGEST_NAME = 80
_CONTINUOUS = 20  # different numbers above which a column may be a measure rather than a code
_ROWS_EACH = 10  # rows of each number below which it is
_MANY = 50  # groups above which the reader is told


@dataclass(frozen=True, kw_only=True)
class GroupSettings:
    """How values become groups.

    Attributes
    ----------
    missing : bool
        Whether rows without a value are a group of their own.
    bins : int or None
        Number columns are cut into this many ranges of about equal size.
    min_group : int or None
        Least number of rows of a group.
    small : {"merge", "error"}
        Whether smaller groups become one, "other", or are refused.
    each : bool
        Whether that is meant of the values of every column, and not of the combinations of several.
    """

    missing: bool = False
    bins: int | None = None
    min_group: int | None = None
    small: Literal["merge", "error"] = "merge"
    each: bool = False

    def __post_init__(self) -> None:
        for name, least in (("bins", 2), ("min_group", 1)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise InputError(f"{name} is {shown(value)}; expected a whole number of at least {least}")
        if self.small not in ("merge", "error"):
            raise InputError(f"small_groups is {shown(self.small)}; expected 'merge' or 'error'")


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribute:
    """One sensitive column: an id for every row, the names behind the ids, and the ranges if it was cut."""

    ids: npt.NDArray[np.int32]
    names: tuple[str, ...]
    ranges: Ranges | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Group ids (n,) from 0, their names, the attributes that they combine, and what to tell of them."""

    ids: npt.NDArray[np.int32]
    names: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    notes: tuple[str, ...] = ()


def make_groups(columns: Sequence[Column], settings: GroupSettings) -> Groups:
    """Give every row its group: each value of one column, or each combination of several; O(n log n).

    Raises
    ------
    InputError
        For missing values, one value, a different value in every row, numbers that look continuous, and groups that
        are too small, unless the settings say what to do.
    """
    notes: list[str] = []
    attributes = {}
    for column in columns:
        attribute, told = _attribute(column, settings, alone=len(columns) == 1)
        notes += told
        if settings.each and len(columns) > 1:
            ids, names, told = _merge_small(attribute.ids, attribute.names, settings)
            attribute = replace(attribute, ids=ids, names=names)
            notes += [f"the sensitive column {column.title}: {note}" for note in told]
        attributes[column.name] = attribute
    if len(attributes) == 1:
        (attribute,) = attributes.values()
        ids, names = attribute.ids, attribute.names
    else:
        ids, names = combine(list(attributes.values()))
        if len(names) == 1:
            raise InputError(f"the sensitive columns {listed(list(attributes))} have one combination of values only")
        if len(names) == len(ids) > 2:
            raise InputError(
                f"the sensitive columns {listed(list(attributes))} have a different combination in every row; "
                "name fewer"
            )
    if not (settings.each and len(attributes) > 1):
        ids, names, told = _merge_small(ids, names, settings)
        notes += told
    if len(names) > _MANY:
        notes.append(f"there are {len(names):,} groups; --min-group merges small ones")
    names = tuple(visible(name, _LONGEST_NAME) for name in names)
    return Groups(ids=ids, names=names, attributes=attributes, notes=tuple(notes))


def combine(attributes: Sequence[Attribute]) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return ids and names of the combinations that occur, in the order of the attributes' own."""
    code = np.zeros(len(attributes[0].ids), np.int64)
    for attribute in attributes:
        # packed anew each time, so that the product of many sizes stays in range
        _, code = np.unique(code, return_inverse=True)
        code = code * len(attribute.names) + attribute.ids
    _, first, ids = np.unique(code, return_index=True, return_inverse=True)
    names = tuple(", ".join(a.names[a.ids[row]] for a in attributes) for row in first)
    return ids.astype(np.int32), names


def _attribute(column: Column, settings: GroupSettings, *, alone: bool) -> tuple[Attribute, list[str]]:
    notes = [f"the sensitive column {column.title}: {note}" for note in column.notes if column.trimmed]
    if column.type == "other":
        raise InputError(f"the sensitive column {column.title} holds lists or the like; expected plain values")
    if column.n_distinct == 0:
        raise InputError(f"the sensitive column {column.title} has no values; choose another")
    gaps = column.n_missing > 0 and settings.missing
    n_values = column.n_distinct + gaps
    if n_values == 1:
        value = column.levels[0] if column.levels else number_name(float(np.nanmax(column.numbers)))  # type: ignore[arg-type]
        raise InputError(
            f"the sensitive column {column.title} has one value ({shown(value)}); fair clustering needs "
            "at least two groups; leave out --sensitive to cluster without groups"
        )
    ranges = _ranges(column, settings.bins) if settings.bins and column.type in ("number", "date") else None
    if ranges is None:
        _check_groupable(column, alone)
    ids, names = named_values(column) if ranges is None else (ranges.cut(column), ranges.names)
    if gaps:
        ids = np.where(ids < 0, len(names), ids).astype(np.int32)
        names = (*names, MISSING)
    return Attribute(ids=ids, names=names, ranges=ranges), notes


def _check_groupable(column: Column, alone: bool) -> None:
    n = column.n_rows
    if alone and column.n_distinct == n > 2:
        raise InputError(
            f"the sensitive column {column.title} has a different value in every row; choose a column whose values "
            "name groups of several rows" + ("" if column.numbers is None else ", or say --bins 4")
        )
    if column.type not in ("number", "date") or column.numbers is None or column.n_distinct <= _CONTINUOUS:
        return
    values = column.numbers[~column.missing]
    whole = bool((values == np.floor(values)).all())
    if not whole or n < _ROWS_EACH * column.n_distinct:
        raise InputError(
            f"the sensitive column {column.title} looks continuous ({column.n_distinct:,} different values); say "
            "--bins 4 for four groups of about equal size, or choose another column"
        )


def named_values(column: Column) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Ids by the sorted values: numbers by size, booleans, dates and text as they are written."""
    if column.type != "number" and column.codes is not None:
        if column.type == "date" and column.numbers is not None:
            return _ordered(column.codes, column.levels, [_first(column, i) for i in range(len(column.levels))])
        used, place = np.unique(column.codes[column.codes >= 0], return_inverse=True)
        out = np.full(column.n_rows, -1, np.int32)
        out[column.codes >= 0] = place
        return out, tuple(column.levels[i] for i in used)
    assert column.numbers is not None
    if column.codes is not None:  # whole numbers that have one float
        return _ordered(column.codes, column.levels, [Decimal(level) for level in column.levels])
    present = ~column.missing
    distinct, inverse = np.unique(column.numbers[present], return_inverse=True)
    ids = np.full(column.n_rows, -1, np.int32)
    ids[present] = inverse
    return ids, tuple(number_name(value) for value in distinct.tolist())


def _ordered(
    codes: npt.NDArray[np.int32], levels: Sequence[str], values: Sequence[Any]
) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Ids and names of the levels sorted by their values; -1 stays."""
    order = sorted(range(len(levels)), key=values.__getitem__)
    rank = np.full(len(order) + 1, -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    ids: npt.NDArray[np.int32] = rank[codes]
    return ids, tuple(levels[i] for i in order)


def _first(column: Column, level: int) -> float:
    assert column.codes is not None
    assert column.numbers is not None
    return float(column.numbers[np.argmax(column.codes == level)])


def _ranges(column: Column, bins: int) -> Ranges:
    """Ranges between quantiles, which are values of the column; equal values stay together."""
    assert column.numbers is not None
    values = column.numbers[~column.missing]
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="higher"))
    edges = edges[edges > values.min()]
    if not len(edges):
        raise InputError(f"the sensitive column {column.title} cannot be cut into ranges: most of its values are one")
    return Ranges.between(edges.tolist(), dates=column.type == "date")


def _merge_small(
    ids: npt.NDArray[np.int32], names: tuple[str, ...], settings: GroupSettings
) -> tuple[npt.NDArray[np.int32], tuple[str, ...], list[str]]:
    """Make one group of those below the least size, or refuse them with their counts."""
    least = settings.min_group
    if least is None:
        return ids, names, []
    sizes = np.bincount(ids, minlength=len(names))
    small = np.flatnonzero(sizes < least)
    if not len(small):
        return ids, names, []
    counts = ", ".join(f"{shown(names[i])} {sizes[i]}" for i in small[:6]) + (", ..." if len(small) > 6 else "")
    few = f"{counted(len(small), 'group')} of fewer than {least} rows ({counts})"
    if settings.small == "error":
        raise InputError(f"there {'is' if len(small) == 1 else 'are'} {few}; lower --min-group, or merge them")
    total = int(sizes[small].sum())
    if total < least:
        raise InputError(
            f"there {'is' if len(small) == 1 else 'are'} {few}, too few even together; lower --min-group, or take "
            "these rows out"
        )
    if len(small) == len(names):
        raise InputError(f"all groups have fewer than {least} rows ({counts}); lower --min-group")
    other = OTHER if OTHER not in names else "other (merged)"
    kept = [i for i in range(len(names)) if i not in set(small.tolist())]
    rank = np.full(len(names), len(kept), np.int32)
    rank[kept] = np.arange(len(kept))
    note = f"merged {few} into {shown(other)}, {counted(total, 'row')}"
    return rank[ids].astype(np.int32), (*(names[i] for i in kept), other), [note]
