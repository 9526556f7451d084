"""Reader of a user's own table: checked, understood and encoded before anything is clustered."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairjax._core.text import counted, visible
from fairjax.datasets.dataset import Dataset, choose, finish, float_dtype
from fairjax.datasets.table import features as chosen
from fairjax.datasets.table import proxies
from fairjax.datasets.table.columns import Column, infer
from fairjax.datasets.table.dialect import Dialect
from fairjax.datasets.table.encoding import Categorical, Dates, Encoding, Missing, Treatment, learn
from fairjax.datasets.table.grouping import Groups, GroupSettings, make_groups
from fairjax.datasets.table.rawtable import RawTable
from fairjax.datasets.table.reading import read_raw_table
from fairjax.datasets.table.sensitive import sensitive_columns
from fairjax.errors import InputError


def read_table(
    path: str | os.PathLike[str],
    *,
    sensitive: str | Sequence[str] | None = None,
    features: str | Sequence[str] | None = None,
    drop: str | Sequence[str] = (),
    key: str | Sequence[str] = (),
    missing: Missing = "error",
    missing_indicator: bool = False,
    categorical: Categorical = "error",
    dates: Dates = "error",
    missing_group: bool = False,
    bins: int | None = None,
    min_group: int | None = None,
    small_groups: Literal["merge", "error"] = "merge",
    attributes: Literal["jointly", "separately"] = "jointly",
    dialect: Dialect | None = None,
    standardize: bool = True,
    l2_normalize: bool = False,
    dtype: npt.DTypeLike = np.float64,
    download: bool = False,
    keep_table: bool = False,
) -> Dataset:
    r"""Read points, and the group of each, from a file of one's own.

    Parameters
    ----------
    path : path
        A text file (``.csv``, ``.tsv``, ``.txt``, ...) whose separator, quotes, decimal sign, encoding and header are
        found out, plain or packed (gzip, bzip2, xz, zstd, zip); Parquet, Arrow (``.feather``), Excel (``.xlsx``, with
        openpyxl), or an ``.npz`` archive with ``X`` (n, d) and, if wanted, ``sensitive`` or ``groups`` (n,), ``y`` or
        ``target`` (n,), and ``feature_names`` (d,). ``"-"`` is standard input; an address is fetched with `download`.
    sensitive : str, sequence of str or None
        Names of the columns (for NPZ: of the array or column) with the protected attributes: any values. Each
        combination of several is a group. None means one group, except that an NPZ archive's own ``sensitive`` or
        ``groups`` is taken.
    features, drop : sequence of str or None
        Names of the columns to cluster on, in that order; None takes all but the sensitive ones and those to `drop`.
        One text may hold several names with commas between.
    key : str or sequence of str
        Names of the columns that tell the rows apart: left out, unless they are among the `features`.
    missing : {"error", "drop", "mean", "median"}
        What becomes of missing numbers; "drop" leaves out rows with any gap in a column in use.
    missing_indicator : bool
        Whether a column with gaps is followed by one that says where they were.
    categorical : {"error", "one-hot", "ordinal"}
        What becomes of columns of text.
    dates : {"error", "number"}
        What becomes of dates; a number is that of the days since 1970.
    missing_group : bool
        Whether rows without a sensitive value are a group of their own.
    bins : int or None
        Cut sensitive columns of numbers into this many ranges of about equal size.
    min_group : int or None
        Least rows of a group; smaller ones become one group, "other", or with ``small_groups="error"`` are refused.
    attributes : {"jointly", "separately"}
        Whether `min_group` is meant of the combinations of several sensitive columns, or of the values of each.
    dialect : Dialect or None
        What is known of how a text file is written.
    standardize : bool
        Give each column mean 0 and population standard deviation 1; the columns of one category share a variance of 1.
    l2_normalize : bool
        Then divide each row by its Euclidean norm, floored at 1e-7.
    dtype : dtype
        Floating type of ``X``.
    download : bool
        Whether an address may be fetched.
    keep_table : bool
        Whether the result holds the table as it was read, to write it back with the clusters.

    Returns
    -------
    Dataset
        Groups are numbered in the sorted order of their values. Constant columns are left out, and ``notes`` says so,
        as it does of everything else that a reader should know: how the file was read, identifiers, and columns that
        give the sensitive one away.

    Raises
    ------
    InputError
        When the file is missing, unreadable or of another format; a name is unknown, missing or repeated; a column is
        not numeric, or holds missing or infinite values, and nothing says what to do; no column varies; the sensitive
        columns have missing values, one value, or a different one in every row.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "people.csv")
    ...     _ = file.write_text("age,income,sex\n20,1.5,F\n30,2.5,M\n40,9.0,F\n")
    ...     data = read_table(file, sensitive="sex")
    >>> data.feature_names, data.group_names, data.groups.tolist()
    (('age', 'income'), ('F', 'M'), [0, 1, 0])
    """
    float_dtype(dtype)  # an unknown type is known at once
    choose("attributes", attributes, ("jointly", "separately"))
    treatment = Treatment(missing=missing, indicator=missing_indicator, categorical=categorical, dates=dates)
    settings = GroupSettings(
        missing=missing_group, bins=bins, min_group=min_group, small=small_groups, each=attributes == "separately"
    )
    table = read_raw_table(path, dialect=dialect, download=download)
    if not keep_table:
        table = replace(table, again=None)  # and with it the bytes of the file
    protected = sensitive_columns(table, table.split(sensitive))
    positions = chosen.choose_columns(table, [column.name for column in protected], features, drop, key)
    columns = [infer(table, i) for i in positions]
    notes = list(table.notes)
    columns, left_out = chosen.usable(columns, table, treatment, [c.name for c in protected], features is None)
    notes += left_out
    chosen.check_protected(protected, table, treatment, settings)
    keep = _kept_rows(columns, protected, treatment, settings)
    if keep is not None:
        columns, protected = [c.take(keep) for c in columns], [c.take(keep) for c in protected]
        notes.append(_without_gaps(keep, table.label))
    rows = np.arange(table.n_rows) if keep is None else np.flatnonzero(keep)
    target, target_names = _target(table, keep)
    label = table.label
    origin = Origin(held=table.again or table, sensitive=tuple(c.name for c in protected)) if keep_table else None
    del table  # its cells are as large as all that follows
    _give_back()
    groups = make_groups(protected, settings) if protected else None
    encoding = learn(columns, treatment)
    raw, encoding, constant = _varying(encoding.apply(columns), encoding)
    notes += constant
    notes += chosen.remarks(columns) + ([] if groups is None else [*groups.notes, *_given_away(columns, groups)])
    del columns
    _give_back()
    scaled = encoding.standardize(raw) if standardize else raw
    return Dataset(
        name=visible(Path(label).name, 120),
        X=finish(scaled, l2_normalize=l2_normalize, dtype=dtype, copy=not standardize),
        feature_names=tuple(visible(name, 120) for name in encoding.features),
        groups=np.zeros(len(raw), np.int32) if groups is None else groups.ids,
        group_names=("all",) if groups is None else groups.names,
        sensitive=None if groups is None else _values(protected, groups),
        target=target,
        target_names=target_names,
        raw=raw,
        rows=rows,
        source="the user's own file",
        notes=tuple(notes),
        encoding=encoding,
        standardized=standardize,
        l2_normalized=l2_normalize,
        attributes={} if groups is None else {n: (a.ids, a.names) for n, a in groups.attributes.items()},
        ranges={} if groups is None else {n: a.ranges for n, a in groups.attributes.items() if a.ranges is not None},
        table=origin,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """The table that a data set was read from, kept to write it back, and the names of its sensitive columns.

    Of a typed format the bytes of the file are kept, which are fewer, and decoded once more when the table is needed.
    """

    held: RawTable | Callable[[], RawTable]
    sensitive: tuple[str, ...]

    @property
    def table(self) -> RawTable:
        """The table as it was read."""
        return self.held if isinstance(self.held, RawTable) else self.held()


def _without_gaps(keep: npt.NDArray[np.bool_], label: str) -> str:
    """Remark about rows that are left out, for having gaps; at least two must be kept."""
    if int(keep.sum()) < 2:
        raise InputError(
            f"{label} has {counted(int(keep.sum()), 'row')} without gaps; say --missing mean, or choose fewer columns"
        )
    return f"left out {int((~keep).sum()):,} of {len(keep):,} rows, which have gaps"


def _give_back() -> None:
    """Let Arrow return the memory of cells to the system: matrices come from another allocator."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _kept_rows(
    columns: Sequence[Column], protected: Sequence[Column], treatment: Treatment, settings: GroupSettings
) -> npt.NDArray[np.bool_] | None:
    """Whether each row is kept; None where all are."""
    if treatment.missing != "drop":
        return None
    used = [*columns, *([] if settings.missing else protected)]
    gaps = [column.missing for column in used if column.n_missing]
    return ~np.logical_or.reduce(gaps) if gaps else None


def _varying(raw: npt.NDArray[np.float64], encoding: Encoding) -> tuple[npt.NDArray[np.float64], Encoding, list[str]]:
    """Leave out what is the same in all rows."""
    varies = raw.min(axis=0) != raw.max(axis=0)
    if varies.all():
        return raw, encoding, []
    keep, constant, start = varies.copy(), [], 0
    for rule in encoding.rules:
        part = slice(start, start + len(rule.features))
        if not varies[part].any():
            constant.append(rule.name)
        else:
            keep[part] = True
        start += len(rule.features)
    if not keep.any():
        raise InputError(
            f"no column varies ({chosen.names_listed(constant)} constant); choose columns that differ between rows"
        )
    notes = [f"left out {chosen.names_listed(constant)}, constant over all rows"] if constant else []
    return raw[:, keep], encoding.select(keep), notes


def _given_away(columns: Sequence[Column], groups: Groups) -> list[str]:
    found = [proxy for proxy in proxies.find_proxies(columns, groups.attributes) if proxy.kind != "weak"]
    shown = [proxy.sentence() for proxy in found[:5]]
    return shown + (
        [f"{len(found) - 5} more columns give a sensitive one away (see fairjax inspect)"] if found[5:] else []
    )


def _values(protected: Sequence[Column], groups: Groups) -> npt.NDArray[Any]:
    """The protected attribute of every row: the values of one column, the names of the groups of several."""
    if len(protected) == 1 and len(groups.names) == len(set(groups.names)):
        column = protected[0]
        plain = column.type == "number" and column.codes is None  # else floats do not tell its values apart
        if plain and column.numbers is not None and len(groups.names) == column.n_distinct:
            whole = bool((column.numbers == np.floor(column.numbers)).all()) and np.abs(column.numbers).max() < 2**53
            return column.numbers.astype(np.int64) if whole else column.numbers
    return np.array(groups.names, dtype=object)[groups.ids]


def _target(table: RawTable, keep: npt.NDArray[np.bool_] | None) -> tuple[npt.NDArray[Any] | None, tuple[str, ...]]:
    """Return the classes of an NPZ archive as ids with names, or its real outcome as it is."""
    target = table.arrays.get("y", table.arrays.get("target"))
    if target is None:
        return None, ()
    target = target if keep is None else target[keep]
    if target.dtype.kind == "f":
        return target, ()
    if target.dtype.kind not in "biuU":
        raise InputError(f"the array y has type {target.dtype}; expected whole numbers, real numbers or strings")
    classes, ids = np.unique(target, return_inverse=True)
    return ids.astype(np.int32), tuple(visible(str(value), 80) for value in classes)
