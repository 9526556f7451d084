"""Reader of a user's own table: CSV, TSV, Parquet or NPZ, checked before anything is clustered."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax.datasets.dataset import Dataset, prepare
from fairjax.datasets.rawtable import RawTable, read_raw_table
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5  # columns named in a message


def read_table(
    path: str | os.PathLike[str],
    *,
    sensitive: str | None = None,
    features: Sequence[str] | None = None,
    standardize: bool = True,
    l2_normalize: bool = False,
    dtype: npt.DTypeLike = np.float64,
) -> Dataset:
    r"""Read points, and the group of each, from a file of one's own.

    Parameters
    ----------
    path : path
        A file with a header line, ``.csv`` or ``.tsv`` (plain or gzip, UTF-8), a ``.parquet`` file, or an
        ``.npz`` archive with ``X`` (n, d) and, if wanted, ``sensitive`` or ``groups`` (n,), ``y`` or
        ``target`` (n,), and ``feature_names`` (d,).
    sensitive : str or None
        Name of the column (for NPZ: of the array or column) with the protected attribute: any values, at
        least two different ones. None means one group, except that an NPZ archive's own ``sensitive`` or
        ``groups`` is taken.
    features : sequence of str or None
        Names of the numeric columns to cluster on, in that order; None takes all but the sensitive one.
    standardize : bool
        Give each column mean 0 and population standard deviation 1.
    l2_normalize : bool
        Then divide each row by its Euclidean norm, floored at 1e-7.
    dtype : dtype
        Floating type of ``X``.

    Returns
    -------
    Dataset
        Groups are numbered in the sorted order of their values. Constant columns are left out, and ``notes``
        says so.

    Raises
    ------
    InputError
        When the file is missing, unreadable or of another format; a name is unknown, missing or repeated; a
        chosen column is not numeric or holds missing or infinite values; no chosen column varies; the
        sensitive column has missing values, one value, or a different one in every row.

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
    table = read_raw_table(path)
    chosen = _choose_columns(table, sensitive, features)
    # before the features: a misspelt group column is the fault, not the true one, which is then taken for a feature
    groups, group_names, values = _groups(table, sensitive)
    raw = _numeric(table, chosen, sensitive)
    varies = raw.min(axis=0) != raw.max(axis=0)
    names = [table.names[i] for i in chosen]
    constant = [name for name, keep in zip(names, varies, strict=True) if not keep]
    if not varies.any():
        raise InputError(f"no column varies ({_listed(constant)} constant); choose columns that differ between rows")
    notes = (f"left out {_listed(constant)}, constant over all rows",) if constant else ()
    raw = raw[:, varies]
    target, target_names = _target(table)
    return Dataset(
        name=Path(path).name,
        X=prepare(raw, standardize=standardize, l2_normalize=l2_normalize, dtype=dtype),
        feature_names=tuple(name for name, keep in zip(names, varies, strict=True) if keep),
        groups=groups,
        group_names=group_names,
        sensitive=values,
        target=target,
        target_names=target_names,
        raw=raw,
        rows=np.arange(len(raw)),
        source="the user's own file",
        notes=notes,
    )


def _choose_columns(table: RawTable, sensitive: str | None, features: Sequence[str] | None) -> list[int]:
    """Return the positions of the feature columns."""
    if features is None:
        chosen = [i for i, name in enumerate(table.names) if name != sensitive]
        for i in chosen:
            if not table.names[i]:
                raise InputError(
                    f"column {i + 1} has no name; name it, or choose columns with "
                    f"--features {_suggestion(table, sensitive)}"
                )
        if not chosen:
            raise InputError(f"the file has no column besides {sensitive!r}; expected at least one numeric column")
        return chosen
    wanted = [name.strip() for name in features.split(",")] if isinstance(features, str) else list(features)
    if not wanted:
        raise InputError("the list of features is empty; name at least one numeric column")
    for position, name in enumerate(wanted):
        if name in wanted[:position]:
            raise InputError(f"the feature {name!r} is named twice; name each column once")
        if name == sensitive:
            raise InputError(f"{name!r} is named both as a feature and as the sensitive column; take it out of one")
    return [_position(table, name) for name in wanted]


def _position(table: RawTable, name: str) -> int:
    if name and name in table.names:
        return table.names.index(name)
    raise InputError(f"there is no column {name!r}; {_nearest(name, [*filter(None, table.names)])}")


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"the columns are {_listed(known)}"


def _numeric(table: RawTable, chosen: Sequence[int], sensitive: str | None) -> npt.NDArray[np.float64]:
    """Return the chosen columns as an (n, d) matrix of finite numbers."""
    columns, unfit = [], []
    for i in chosen:
        values = _as_float(table.frame[i])
        if values is None:
            unfit.append(f"{table.names[i]!r} (for instance {_first_text(table.frame[i])})")
        else:
            columns.append(values)
    if unfit:
        some = "some columns are" if len(unfit) > 1 else "one column is"
        shown = ", ".join(unfit[:_SHOWN]) + (", ..." if len(unfit) > _SHOWN else "")
        others = "" if sensitive else ", and name a group column with --sensitive"
        raise InputError(
            f"{some} not numeric: {shown}; choose numeric columns with "
            f"--features {_suggestion(table, sensitive)}{others}"
        )
    for i, values in zip(chosen, columns, strict=True):
        for what, bad in (("missing", np.isnan(values)), ("infinite", np.isinf(values))):
            if bad.any():
                raise InputError(
                    f"the column {table.names[i]!r} has {_counted(bad, what)}; fill in or remove these rows, "
                    "or choose other columns with --features"
                )
    return np.stack(columns, axis=1)


def _counted(bad: npt.NDArray[np.bool_], what: str) -> str:
    """Say how many values of a column are bad and in which row, counted from 1, the first one is."""
    row = int(bad.argmax()) + 1
    return f"1 {what} value, in row {row}" if bad.sum() == 1 else f"{bad.sum()} {what} values, the first in row {row}"


def _as_float(column: pd.Series) -> npt.NDArray[np.float64] | None:
    """Return a column as float64 with NaN for missing values, or None when it does not hold real numbers."""
    import pandas as pd

    kind = column.dtype
    try:
        if pd.api.types.is_complex_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind):
            return None
        if pd.api.types.is_numeric_dtype(kind):
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        if column.isna().all():
            return np.full(len(column), np.nan)
        # Whole numbers beyond 64 bits and decimals arrive as objects.
        return pd.to_numeric(column.astype(object)).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError, OverflowError):
        return None


def _first_text(column: pd.Series) -> str:
    """Return the first value that is no number, shortened, for a message."""
    import pandas as pd

    present = column.dropna()
    try:
        odd = present[pd.to_numeric(present.astype(object), errors="coerce").isna()]
    except (TypeError, ValueError, OverflowError):
        odd = present
    text = repr((odd if len(odd) else present).iloc[0])
    return text if len(text) <= 40 else text[:37] + "..."


def _suggestion(table: RawTable, sensitive: str | None) -> str:
    """Return the numeric columns of the file as ``a,b,c``, for the remedy in a message."""
    numeric = [
        name
        for i, name in enumerate(table.names)
        if name and name != sensitive and "," not in name and _as_float(table.frame[i]) is not None
    ]
    return ",".join(numeric[:_SHOWN]) or "a,b,c"


def _groups(
    table: RawTable, sensitive: str | None
) -> tuple[npt.NDArray[np.int32], tuple[str, ...], npt.NDArray[Any] | None]:
    """Return group ids, their names and the original values; one group when nothing is protected."""
    import pandas as pd

    if sensitive is None:
        sensitive = next((key for key in ("sensitive", "groups") if key in table.arrays), None)
        if sensitive is None:
            return np.zeros(len(table.frame), dtype=np.int32), ("all",), None
    if sensitive in table.arrays:
        array = table.arrays[sensitive]
        if array.shape != (len(table.frame),) or array.dtype.kind not in "biufU":
            raise InputError(
                f"the array {sensitive!r} has shape {array.shape} and type {array.dtype}; "
                f"expected ({len(table.frame)},) numbers or strings"
            )
        column = pd.Series(array)
    elif sensitive and sensitive in table.names:
        column = table.frame[table.names.index(sensitive)]
    else:
        known = [*filter(None, table.names), *table.arrays]
        raise InputError(f"there is no column {sensitive!r} for --sensitive; {_nearest(sensitive, known)}")
    return _encode(column, sensitive)


def _encode(column: pd.Series, name: str) -> tuple[npt.NDArray[np.int32], tuple[str, ...], npt.NDArray[Any]]:
    import pandas as pd

    absent = column.isna().to_numpy()
    if absent.any():
        raise InputError(
            f"the sensitive column {name!r} has {_counted(absent, 'missing')}; fill in or remove these rows"
        )
    values = column.to_numpy() if column.dtype.kind in "biuf" else column.to_numpy(dtype=object)
    try:
        ids, distinct = pd.factorize(values)
    except TypeError as error:
        raise InputError(f"the sensitive column {name!r} holds lists or the like; expected plain values") from error
    if len(distinct) == 1:
        raise InputError(
            f"the sensitive column {name!r} has one value ({_plain(distinct[0])!r}); fair clustering needs "
            "at least two groups; leave out --sensitive to cluster without groups"
        )
    if len(distinct) == len(values) > 2:
        raise InputError(
            f"the sensitive column {name!r} has a different value in every row; choose a column whose values "
            "name groups of several rows"
        )
    try:
        order = sorted(range(len(distinct)), key=lambda i: distinct[i])
    except TypeError:  # values of several types have no order of their own
        order = sorted(range(len(distinct)), key=lambda i: str(distinct[i]))
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[ids], tuple(str(_plain(distinct[i])) for i in order), values


def _target(table: RawTable) -> tuple[npt.NDArray[Any] | None, tuple[str, ...]]:
    """Return the classes of an NPZ archive as ids with names, or its real outcome as it is."""
    target = table.arrays.get("y", table.arrays.get("target"))
    if target is None or target.dtype.kind == "f":
        return target, ()
    if target.dtype.kind not in "biuU":
        raise InputError(f"the array y has type {target.dtype}; expected whole numbers, real numbers or strings")
    classes, ids = np.unique(target, return_inverse=True)
    return ids.astype(np.int32), tuple(str(value) for value in classes)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
