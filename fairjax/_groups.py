"""Group values of any hashable kind as integer ids, and back."""

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fairjax.errors import InputError

_SHOWN = 6


def factorize(values: Any, n_samples: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any]]:
    """Ids (n,) in order of appearance and the distinct values behind them; O(n).

    Parameters
    ----------
    values : array-like (n,) of hashable values
        A list, an array, a pandas, Polars or Arrow column (categorical too). Several attributes, of which each
        combination is a group, as a frame or Arrow table, a dict of columns, a list of columns, or an array (n, m);
        the value of a group is then a tuple.
    n_samples : int
        The length that is expected.

    Raises
    ------
    InputError
        For another length, a missing value, or one that cannot be hashed.

    Examples
    --------
    >>> ids, distinct = factorize(["b", "a", "b"], 3)
    >>> ids.tolist(), distinct.tolist()
    ([0, 1, 0], ['b', 'a'])
    >>> factorize({"sex": ["f", "m", "f"], "region": [1, 1, 1]}, 3)[1].tolist()
    [('f', 1), ('m', 1)]
    """
    parts = [_factorize(column, n_samples, name) for name, column in _columns(values, n_samples)]
    if len(parts) == 1:
        return parts[0]
    code = np.zeros(n_samples, np.int64)
    for ids, distinct in parts:
        # packed anew each time, so that the product of many sizes stays in range
        _, code = np.unique(code, return_inverse=True)
        code = code * max(len(distinct), 1) + ids
    _, first, ids = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(first)  # by appearance
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    combined = np.empty(len(order), dtype=object)
    for place, row in enumerate(first[order]):
        combined[place] = tuple(plain(distinct[own[row]]) for own, distinct in parts)
    return rank[ids], combined


def _factorize(values: Any, n_samples: int, name: str) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any]]:
    import pandas as pd

    column = _column(values)
    where = f"sensitive_features{name}"
    if len(column) != n_samples:
        raise InputError(f"{where} has {len(column)} values for {n_samples} rows of X; give one value per row")
    absent = pd.isna(column)
    if absent.any():
        raise InputError(
            f"{where} has {int(absent.sum())} missing values, the first at index {int(absent.argmax())} (from 0); "
            "fill them in, or leave these rows out"
        )
    try:
        ids, distinct = pd.factorize(column)
    except TypeError as error:
        raise InputError(
            f"{where} holds values that cannot be hashed ({error}); expected strings, numbers or the like"
        ) from error
    return ids, np.asarray(distinct)


def check_pairing(X: Any, sensitive_features: Any, y: Any = None, sample_weight: Any = None) -> None:
    """Refuse columns whose index is that of X in another order; warn of a ``y`` that may have been meant for groups.

    Rows are paired by position, as everywhere in scikit-learn; there a score would show a mistake.
    """
    if y is not None and sensitive_features is None:
        warnings.warn(
            "y is ignored and sensitive_features is not given, so all points are one group; pass the protected "
            "attribute as sensitive_features=",
            UserWarning,
            stacklevel=3,
        )
    index = getattr(X, "index", None)
    for name, column in (("sensitive_features", sensitive_features), ("sample_weight", sample_weight)):
        other = getattr(column, "index", None)
        # lists and strings have a method of that name
        if index is None or other is None or callable(index) or callable(other):
            continue
        same_rows = len(index) == len(other) and index.isin(other).all() and other.isin(index).all()
        if same_rows and not index.equals(other):
            raise InputError(
                f"the index of {name} is that of X in another order, and rows are paired by position: "
                f"pass {name}.loc[X.index]"
            )


def encode(values: Any, n_samples: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    """Ids (n,) from 0 to M-1 and the M values in sorted order, or by their text where they have no order."""
    ids, distinct = factorize(values, n_samples)
    try:
        order = sorted(range(len(distinct)), key=lambda i: distinct[i])
    except TypeError:
        order = sorted(range(len(distinct)), key=lambda i: str(distinct[i]))
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[ids], distinct[order]


def encode_known(values: Any, n_samples: int, known: Iterable[Hashable]) -> npt.NDArray[np.int32]:
    """Ids (n,) of values among the ``known`` ones; a value that is not among them raises InputError."""
    ids, distinct = factorize(values, n_samples)
    position = {plain(value): i for i, value in enumerate(known)}
    unseen = [plain(value) for value in distinct if plain(value) not in position]
    if unseen:
        raise InputError(
            f"sensitive_features holds {listed(unseen)}, not seen when fitting; the known groups are "
            f"{listed(list(position))}"
        )
    return np.array([position[plain(value)] for value in distinct], dtype=np.int32)[ids]


def plain(value: Any) -> Any:
    """Return a numpy scalar as the Python value that it holds."""
    return value.item() if isinstance(value, np.generic) else value


def name_of(value: Any) -> str:
    """Return the name of a group: its value as text, those of several attributes with commas between.

    Examples
    --------
    >>> name_of(np.str_("f")), name_of(("f", 1))
    ('f', 'f, 1')
    """
    if isinstance(value, tuple):
        return ", ".join(name_of(part) for part in value)
    return str(plain(value))


def listed(values: Sequence[Any]) -> str:
    """Return the first few values for a message."""
    shown = ", ".join(repr(value) for value in values[:_SHOWN])
    return shown + (f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else "")


def _columns(values: Any, n_samples: int) -> list[tuple[str, Any]]:
    """Return the attributes one by one, each with what names it in a sentence: nothing for a single one."""
    if isinstance(values, Mapping):
        found = [(f"[{key!r}]", column) for key, column in values.items()]
    elif hasattr(values, "column_names") and hasattr(values, "column"):  # an Arrow table
        found = [(f"[{name!r}]", values.column(i)) for i, name in enumerate(values.column_names)]
    elif hasattr(values, "columns") and hasattr(values, "iloc"):  # a frame of pandas, where names may be repeated
        found = [(f"[{name!r}]", values.iloc[:, i]) for i, name in enumerate(values.columns)]
    elif hasattr(values, "columns") and hasattr(values, "shape") and len(values.shape) == 2:  # of Polars and others
        found = [(f"[{name!r}]", values[name]) for name in values.columns]
    elif isinstance(values, (list, tuple)) and _are_columns(values, n_samples):
        found = [(f"[{i}]", column) for i, column in enumerate(values)]
    elif not isinstance(values, (list, tuple)) and getattr(np.asarray(values), "ndim", 1) == 2:
        matrix = np.asarray(values)
        found = [(f"[:, {i}]", matrix[:, i]) for i in range(matrix.shape[1])]
    else:
        return [("", values)]
    if not found:
        raise InputError("sensitive_features has no columns; give at least one attribute, or leave it out")
    return found if len(found) > 1 else [("", found[0][1])]


def _are_columns(values: Sequence[Any], n_samples: int) -> bool:
    """Whether a list holds columns of the right length rather than one value per row, which could be hashed."""
    return bool(values) and all(
        not isinstance(value, (str, bytes, tuple)) and hasattr(value, "__len__") and len(value) == n_samples
        for value in values
    )


def _column(values: Any) -> npt.NDArray[Any]:
    """Return the values as a one-dimensional array that keeps their types apart."""
    if isinstance(values, (list, tuple)):
        # numpy would turn [1, "a"] into strings and a list of tuples into a matrix
        return np.fromiter(values, dtype=object, count=len(values))
    column = np.asarray(values)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise InputError(f"sensitive_features has shape {column.shape}; expected (n,) or (n, m), one row per row of X")
    return column
