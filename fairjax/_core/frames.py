"""Frames of other libraries: read through Arrow's stream or the interchange protocol, checked column by column."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fairjax._core.text import counted, reason, shown
from fairjax.errors import InputError

_SHOWN = 5
_ENCODE = "leave them out, or encode them (pandas.get_dummies; the command line has --categorical)"


def points(X: Any) -> Any:
    """X in a form that scikit-learn takes: frames that it knows unchanged, others as Arrow tables; arrays untouched.

    Parameters
    ----------
    X : array-like, or a frame of pandas, Polars, Arrow, or any with ``__arrow_c_stream__`` or ``__dataframe__``

    Returns
    -------
    array-like or frame
        A frame's columns hold numbers or booleans, without missing values.

    Raises
    ------
    InputError
        For columns of a frame with anything but numbers, with missing values, and for a lazy frame.

    Examples
    --------
    >>> import pandas as pd
    >>> points(pd.DataFrame({"age": [31, 45], "job": ["baker", "cook"]}))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    fairjax.errors.InputError: X has a column that holds no numbers: 'job' (text); leave it out, or encode it ...
    """
    if isinstance(X, dict) and not hasattr(X, "shape"):  # as some sparse matrices have
        raise InputError("X is a dict; expected an array or a frame: pandas.DataFrame(X) makes one of columns by name")
    if _is_pandas(X):
        X = _dense(X)
        _check(_pandas_columns(X), [str(name) for name in X.columns])
        return X
    table = arrow_table(X)
    if table is None:
        _check_array(X)
        return X
    _check(_arrow_columns(table), table.column_names)
    # scikit-learn knows these two and needs no copy of them
    return X if _is_polars(X) or isinstance(X, type(table)) else table


@contextmanager
def reading() -> Iterator[None]:
    """Replace NumPy's error about text in an array by a sentence of ours."""
    try:
        yield
    except InputError:
        raise
    except OverflowError as error:
        raise InputError(f"X holds numbers too large for floating point ({reason(error)}); scale them first") from error
    except ValueError as error:
        if not str(error).startswith("could not convert string"):
            raise
        raise InputError(f"X holds text ({reason(error)}); expected numbers: {_ENCODE}") from error


def arrow_table(values: Any) -> Any | None:
    """A frame, other than a pandas one, as an Arrow table, without a copy if its library allows that; None for others.

    Raises
    ------
    InputError
        For a lazy frame, or one that Arrow cannot read.
    """
    _check_computed(values)
    protocols = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__")
    if not any(hasattr(values, name) for name in protocols) or hasattr(values, "iloc"):
        return None  # pandas columns too; Arrow lacks types for some of them
    import pyarrow as pa

    streams = any(hasattr(values, name) for name in protocols[:2])
    try:
        if streams:
            return pa.table(values)
        from pyarrow.interchange import from_dataframe

        return from_dataframe(values)
    except (ValueError, TypeError, RuntimeError, NotImplementedError, pa.ArrowException) as error:
        if streams and "non-struct" in str(error):
            return None  # a single column, which has these protocols too
        raise InputError(
            f"{type(values).__name__} cannot be read by Arrow ({reason(error)}); pass a pandas frame"
        ) from error


def _check_computed(values: Any) -> None:
    if callable(getattr(values, "collect", None)) and not hasattr(values, "__arrow_c_stream__"):
        raise InputError(f"{type(values).__name__} is not computed yet; pass what its collect() returns")


def held(values: Any) -> Any:
    """Values that can be read repeatedly: an Arrow stream, which can be read only once, becomes a table or column.

    Examples
    --------
    >>> import pyarrow as pa
    >>> batch = pa.record_batch({"sex": ["f", "m"]})
    >>> held(pa.RecordBatchReader.from_batches(batch.schema, [batch])).num_rows
    2
    """
    if not hasattr(values, "__arrow_c_stream__") or hasattr(values, "__array__") or _is_polars(values):
        return values
    import pyarrow as pa

    table = arrow_table(values)
    return pa.chunked_array(values) if table is None else table


def columns(values: Any) -> list[tuple[Any, Any]] | None:
    """Name and values of each column of a frame, duplicate names included; None if it is not a frame."""
    if _is_pandas(values):
        return [(name, values.iloc[:, place]) for place, name in enumerate(values.columns)]
    _check_computed(values)
    if _is_polars(values) and hasattr(values, "columns"):
        return [(name, values[name]) for name in values.columns]
    table = arrow_table(values)
    return None if table is None else [(name, table.column(i)) for i, name in enumerate(table.column_names)]


def names(values: Any) -> list[str] | None:
    """Names of the columns of a frame as text; None if it is not a frame."""
    if _is_pandas(values):
        return [str(name) for name in values.columns]
    table = arrow_table(values)
    return None if table is None else list(table.column_names)


def _check_array(X: Any) -> None:
    """Refuse what NumPy would silently take for numbers: dates, records, and masked values."""
    if hasattr(X, "__next__"):
        raise InputError(f"X is a {type(X).__name__}, which can be read once only; pass a list of it, or an array")
    dtype = getattr(X, "dtype", None)
    if getattr(dtype, "kind", "") in ("M", "m"):
        raise InputError(f"X holds dates or durations ({dtype}); expected numbers: X.astype(float) if that is meant")
    if getattr(dtype, "names", None):
        raise InputError("X is an array of records; expected numbers: pandas.DataFrame(X) makes a frame of it")
    if isinstance(X, np.ma.MaskedArray) and (count := int(np.ma.getmaskarray(X).sum())):
        raise InputError(
            f"X has {counted(count, 'masked value')}, which are missing; fill them in (sklearn.impute.SimpleImputer), "
            "or leave these rows out"
        )


def _dense(frame: Any) -> Any:
    """A pandas frame with its sparse columns made dense."""
    import pandas as pd

    sparse = [isinstance(kind, pd.SparseDtype) for kind in frame.dtypes]
    if not any(sparse):
        return frame
    return frame.astype({name: kind.subtype for name, kind in frame.dtypes[sparse].items()})


def _check(found: Iterator[tuple[Any, str, Any]], names: list[str]) -> None:
    """Raise InputError for columns (name, kind or nothing, which rows are missing) that do not hold numbers."""
    if not names:
        raise InputError("X has no columns; expected a frame with at least one")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"X has two columns named {shown(twice)}; give each its own name")
    odd: list[str] = []
    missing, first = 0, None
    for name, kind, absent in found:
        if kind:
            odd.append(f"{shown(name)} ({kind})")
        elif absent is not None and (count := int(absent.sum())):
            missing += count
            first = first or (name, int(absent.argmax()))
    if odd:
        columns = "a column that holds" if len(odd) == 1 else f"{len(odd)} columns that hold"
        more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        remedy = _ENCODE if len(odd) > 1 else _ENCODE.replace("them", "it")
        raise InputError(f"X has {columns} no numbers: {', '.join(odd[:_SHOWN])}{more}; {remedy}")
    if first is not None:
        raise InputError(
            f"X has {counted(missing, 'missing value')}, the first in the column {shown(first[0])} at index {first[1]} "
            "(from 0); fill them in (sklearn.impute.SimpleImputer), or leave these rows out"
        )


def _pandas_columns(frame: Any) -> Iterator[tuple[Any, str, Any]]:
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        kind = _pandas_kind(column)
        whole = isinstance(column.dtype, np.dtype) and column.dtype.kind in "bui"  # cannot have gaps
        yield name, kind, None if kind or whole else column.isna().to_numpy()


def _pandas_kind(column: Any) -> str:
    import pandas as pd
    from pandas.api import types

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "categories"
    if types.is_numeric_dtype(dtype):  # booleans too
        return ""
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_kind(dtype.pyarrow_dtype)
    if types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "dates"
    if types.is_timedelta64_dtype(dtype):
        return "durations"
    held = types.infer_dtype(column, skipna=True)
    if held in ("integer", "floating", "mixed-integer-float", "decimal", "boolean", "complex", "empty"):
        return ""
    kinds = {"datetime64": "dates", "datetime": "dates", "date": "dates", "categorical": "categories"}
    return kinds.get(held, "text" if held == "string" else "values of several kinds")


def _arrow_columns(table: Any) -> Iterator[tuple[Any, str, Any]]:
    import pyarrow.compute as pc
    from pyarrow import types

    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = _arrow_kind(column.type)
        absent = None
        if not kind and (column.null_count or types.is_floating(column.type)):
            absent = pc.is_null(column, nan_is_null=types.is_floating(column.type)).to_numpy()
        yield name, kind, absent


def _arrow_kind(kind: Any) -> str:
    from pyarrow import types

    is_number = types.is_integer, types.is_floating, types.is_boolean, types.is_decimal
    if any(of(kind) for of in is_number):
        return ""
    if types.is_dictionary(kind):
        return "categories"
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind):
        return "dates"
    if types.is_duration(kind):
        return "durations"
    if types.is_null(kind):
        return "nothing"
    is_text = types.is_string, types.is_large_string, types.is_string_view
    return "text" if any(of(kind) for of in is_text) else str(kind)


def _is_pandas(values: Any) -> bool:
    return hasattr(values, "iloc") and hasattr(values, "columns")


def _is_polars(values: Any) -> bool:
    return type(values).__module__.partition(".")[0] == "polars"
