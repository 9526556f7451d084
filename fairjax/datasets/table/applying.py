"""Another table on the terms of a fit: its columns by name, encoded and scaled as those were, its groups by theirs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax._core.text import counted, listed, visible
from fairjax.datasets.dataset import Dataset
from fairjax.datasets.preparation import Preparation
from fairjax.datasets.table.columns import Column, infer
from fairjax.datasets.table.encoding import Encoding, Rule
from fairjax.datasets.table.features import choose_columns
from fairjax.datasets.table.grouping import MISSING, OTHER, Attribute, combine, named_values
from fairjax.datasets.table.ranges import Ranges
from fairjax.datasets.table.rawtable import RawTable, unknown_column
from fairjax.datasets.table.reading import read_raw_table
from fairjax.datasets.table.sensitive import sensitive_columns
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.datasets.table.dialect import Dialect


def read_rows(
    path: str | os.PathLike[str],
    preparation: Preparation | None,
    *,
    group_names: Sequence[str],
    group_values: Sequence[Any] = (),
    sensitive: str | Sequence[str] | None = None,
    dialect: Dialect | None = None,
    download: bool = False,
    keep_table: bool = False,
) -> Dataset:
    """Read the rows of another table than the one of the fit.

    Parameters
    ----------
    path, dialect, download, keep_table
        As for :func:`fairjax.datasets.read_table`; one row is enough.
    preparation : Preparation or None
        Of the fit. None takes all columns but the sensitive ones as numbers, in their order.
    group_names : sequence of str
        Names of the fit's groups; a single one means that it knew no attribute.
    group_values : sequence of tuple of str, optional
        The values of several columns in each group, where each column was to be fair by itself.
    sensitive : str or sequence of str, optional
        Names of the columns with the protected attributes, in place of those of the fit.

    Returns
    -------
    Dataset
        Groups are numbered as ``group_names`` are.

    Raises
    ------
    InputError
        When a column of the fit is missing or of another kind, a cell is missing that was not then, or a row is of a
        group that the fit did not know.
    """
    from fairjax.datasets.tables import Origin

    table = read_raw_table(path, dialect=dialect, download=download, least_rows=1)
    known = () if preparation is None else preparation.sensitive
    names = list(known) if sensitive is None else table.split(sensitive)
    several = len(group_names) > 1
    if several and not names and not {"sensitive", "groups"} & set(table.arrays):
        raise InputError("the model was fitted with groups; name the column that tells them with --sensitive")
    if not several and sensitive is not None:
        raise InputError("the model was fitted without groups; leave out --sensitive")
    protected = sensitive_columns(table, names) if several else []
    if preparation is None:
        positions = choose_columns(table, names, None)
        preparation = Preparation(columns=[table.names[i] or f"column {i + 1}" for i in positions])
        columns = [infer(table, i) for i in positions]
    else:
        columns = [infer(table, _position(table, name)) for name in _needed(preparation)]
    raw = _encoding(preparation).apply(columns)
    _check_finite(raw, preparation.columns, table)
    groups, notes = np.zeros(len(raw), np.int32), list(table.notes)
    attributes: dict[str, Attribute] = {}
    if several:
        # by place, since the columns may have other names here
        ranges = [preparation.ranges.get(name) for name in known] if len(known) == len(protected) else []
        found = _merged(_attributes(protected, ranges), group_values)
        attributes = {column.name: attribute for column, attribute in zip(protected, found, strict=True)}
        groups, told = known_groups(_names_of(found), group_names)
        notes += told
    return Dataset(
        name=visible(Path(table.label).name, 120),
        X=preparation.points(raw),
        feature_names=tuple(visible(name, 120) for name in preparation.columns),
        groups=groups,
        group_names=tuple(group_names),
        raw=raw,
        rows=np.arange(len(raw)),
        source="the user's own file",
        notes=tuple(notes),
        attributes={name: (attribute.ids, attribute.names) for name, attribute in attributes.items()},
        ranges={name: attribute.ranges for name, attribute in attributes.items() if attribute.ranges is not None},
        table=Origin(held=table.again or table, sensitive=tuple(c.name for c in protected)) if keep_table else None,
    )


def known_groups(names: npt.NDArray[Any], group_names: Sequence[str]) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Ids of the groups of rows (n,) by their names, and what to tell of those that only "other" takes.

    Raises
    ------
    InputError
        For a name that is not among those of the fit.
    """
    found, ids = np.unique(names.astype(str), return_inverse=True)
    place = {name: i for i, name in enumerate(group_names)}
    unseen = [str(name) for name in found if name not in place]
    if unseen and OTHER not in place:
        raise InputError(
            f"the sensitive column holds {listed(unseen)}, not seen when fitting; the groups of the model are "
            f"{listed(list(group_names))}: leave these rows out, or fit anew with them"
        )
    of_name = np.array([place.get(str(name), place.get(OTHER, -1)) for name in found], np.int32)
    told = [f"{counted(len(unseen), 'value')} of the sensitive column taken as {OTHER!r}: {listed(unseen)}"]
    return of_name[ids], told if unseen else []


def _needed(preparation: Preparation) -> list[str]:
    """Names of the table's columns behind the features."""
    if preparation.encoding is None:
        return list(preparation.columns)
    return [rule.name for rule in preparation.encoding.rules]


def _position(table: RawTable, name: str) -> int:
    position = table.position(name)
    if position is None:
        raise unknown_column(name, table, ", which the model was fitted to")
    return position


def _encoding(preparation: Preparation) -> Encoding:
    if preparation.encoding is not None:
        return preparation.encoding
    return Encoding(rules=tuple(Rule(name=name, type="number", how="number") for name in preparation.columns))


def _attributes(protected: Sequence[Column], ranges: Sequence[Ranges | None]) -> list[Attribute]:
    """The sensitive columns one by one, cut into ranges where the fit cut them."""
    found = []
    for column, cut in zip_longest(protected, ranges):
        if column.type == "other":
            raise InputError(f"the sensitive column {column.title} holds lists or the like; expected plain values")
        ids, names = np.full(column.n_rows, -1, np.int32), tuple[str, ...]()
        if column.n_distinct:
            ids, names = named_values(column) if cut is None else (cut.cut(column), cut.names)
        ids = np.where(ids < 0, len(names), ids).astype(np.int32)
        found.append(Attribute(ids=ids, names=(*names, MISSING), ranges=cut))
    return found


def _merged(attributes: list[Attribute], group_values: Sequence[Any]) -> list[Attribute]:
    """The attributes with values that the fit knew only as "other" of their column under that name."""
    told = all(isinstance(value, tuple) and len(value) == len(attributes) for value in group_values)
    if not told or not len(group_values):
        return attributes
    known_by_column: list[set[Any]] = [set(values) for values in zip(*group_values, strict=True)]
    found = []
    for attribute, known in zip(attributes, known_by_column, strict=True):
        names = [name if name in known or OTHER not in known else OTHER for name in attribute.names]
        distinct = tuple(dict.fromkeys(names))
        place = np.array([distinct.index(name) for name in names], np.int32)
        found.append(replace(attribute, ids=place[attribute.ids], names=distinct))
    return found


def _names_of(attributes: Sequence[Attribute]) -> npt.NDArray[Any]:
    """Name of the group of every row, as a fit calls it."""
    if len(attributes) == 1:
        ids, names = attributes[0].ids, attributes[0].names
    else:
        ids, names = combine(attributes)
    texts: npt.NDArray[Any] = np.array([visible(name, 80) for name in names], dtype=object)
    return texts[ids]


def _check_finite(raw: npt.NDArray[np.float64], names: Sequence[str], table: RawTable) -> None:
    bad = ~np.isfinite(raw)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"the column {names[column]!r} has an infinite value in {table.place(row)}; fill in or remove these rows"
        )
