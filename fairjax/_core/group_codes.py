"""Group values of any hashable kind as integer ids, and back."""

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime, time
from typing import Any

import numpy as np
import numpy.typing as npt

from fairjax._core import frames
from fairjax._core.text import counted
from fairjax.errors import InputError

_SHOWN = 6


def factorize(
    values: Any, n_samples: int, what: str = "sensitive_features"
) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any]]:
    """Ids (n,) in order of appearance and the distinct values behind them; O(n).

    Parameters
    ----------
    values : array-like (n,) of hashable values
        A list, an array, or a pandas, Polars or Arrow column (categorical too). For several attributes, whose
        combinations are the groups, a frame of any library, a dict or a list of columns, or an array (n, m);
        the value of a group is then a tuple.
    n_samples : int
        The expected length.
    what : str
        What error messages call them.

    Raises
    ------
    InputError
        For a wrong length, a missing value, or one that cannot be hashed.

    Examples
    --------
    >>> ids, distinct = factorize(["b", "a", "b"], 3)
    >>> ids.tolist(), distinct.tolist()
    ([0, 1, 0], ['b', 'a'])
    >>> factorize({"sex": ["f", "m", "f"], "region": [1, 1, 1]}, 3)[1].tolist()
    [('f', 1), ('m', 1)]
    """
    parts = [found for _, found in attributes(values, n_samples, what)]
    if len(parts) == 1:
        return parts[0]
    code = np.zeros(n_samples, np.int64)
    for ids, distinct in parts:
        # renumbered each time, so that the product of many sizes stays in range
        _, code = np.unique(code, return_inverse=True)
        code = code * max(len(distinct), 1) + ids
    _, first, ids = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(first)  # in order of appearance
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    combined = np.empty(len(order), dtype=object)
    for place, row in enumerate(first[order]):
        combined[place] = tuple(plain(distinct[own[row]]) for own, distinct in parts)
    return rank[ids], combined


def attributes(
    values: Any, n_samples: int, what: str = "sensitive_features"
) -> list[tuple[Any, tuple[npt.NDArray[np.intp], npt.NDArray[Any]]]]:
    """Name, ids (n,) and distinct values of each attribute, as in `factorize`; a single one has the name None."""
    values = frames.held(values)
    found = _columns(values, n_samples, what)
    if len(found) == 1:
        return [(found[0][0], _factorize(found[0][1], n_samples, what))]
    first = "" if isinstance(values, (Mapping, list, tuple)) or frames.columns(values) is not None else ":, "
    return [(name, _factorize(column, n_samples, f"{what}[{first}{name!r}]")) for name, column in found]


def _factorize(values: Any, n_samples: int, where: str) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any]]:
    import pandas as pd

    column = _column(values, where)
    if len(column) != n_samples:
        raise InputError(f"{where} has {len(column)} values for {n_samples} rows; give one value per row")
    absent = pd.isna(column)
    if isinstance(values, np.ma.MaskedArray):
        absent = absent | np.ma.getmaskarray(values).reshape(absent.shape)
    if absent.any():
        missing = counted(int(absent.sum()), "missing value")
        raise InputError(
            f"{where} has {missing}, the first at index {int(absent.argmax())} (from 0); fill them in, or leave these "
            "rows out"
        )
    try:
        ids, distinct = pd.factorize(column)
    except TypeError as error:
        raise InputError(
            f"{where} holds values that cannot be hashed ({error}); expected strings, numbers or the like"
        ) from error
    return ids, np.asarray(distinct)


def check_pairing(X: Any, sensitive_features: Any, y: Any = None, sample_weight: Any = None) -> None:
    """Refuse columns with the index of X in another order; warn if a ``y`` may have been meant as groups.

    Rows are paired by position, as everywhere in scikit-learn; but here no bad score reveals a wrong order.
    """
    if y is not None and sensitive_features is None:
        warnings.warn(
            "y is ignored and sensitive_features is not given, so all points are one group; pass the protected "
            "attribute as sensitive_features=",
            UserWarning,
            stacklevel=3,
        )
    index = _index(X)
    given = [("sample_weight", sample_weight), ("sensitive_features", sensitive_features)]
    if isinstance(sensitive_features, Mapping):
        given += [(f"sensitive_features[{name!r}]", column) for name, column in sensitive_features.items()]
    elif isinstance(sensitive_features, (list, tuple)) and any(hasattr(c, "iloc") for c in sensitive_features[:_SHOWN]):
        given += [(f"sensitive_features[{i}]", column) for i, column in enumerate(sensitive_features)]
    for name, column in given:
        other = _index(column)
        if index is None or other is None or len(index) != len(other) or index.equals(other):
            continue
        if index.isin(other).all() and other.isin(index).all():
            raise InputError(
                f"the index of {name} is that of X in another order, and rows are paired by position: "
                f"pass {name}.loc[X.index]"
            )
        if not (_counts(index) or _counts(other)):
            warnings.warn(
                f"the index of {name} holds other rows than that of X; rows are paired by position: if that is meant, "
                f"pass {name}.to_numpy()",
                UserWarning,
                stacklevel=3,
            )


def _index(values: Any) -> Any | None:
    """The index of a pandas frame or column; None for others (lists and strings have an ``index`` method)."""
    found = getattr(values, "index", None)
    return None if callable(found) or not hasattr(found, "isin") else found


def _counts(index: Any) -> bool:
    """Whether an index only counts the rows, as a default one does."""
    return bool(index.dtype.kind == "i" and np.array_equal(index, np.arange(len(index))))


def encode(
    values: Any, n_samples: int, what: str = "sensitive_features"
) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    """Ids (n,) from 0 to M-1 and the M values in sorted order, or sorted by their text if they have no order."""
    ids, distinct = factorize(values, n_samples, what)
    try:
        order = sorted(range(len(distinct)), key=lambda i: distinct[i])
    except TypeError:
        order = sorted(range(len(distinct)), key=lambda i: str(distinct[i]))
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[ids], distinct[order]


def encode_known(values: Any, n_samples: int, known: Iterable[Hashable]) -> npt.NDArray[np.int32]:
    """Ids (n,) of values among the ``known`` ones; InputError for any other value."""
    ids, distinct = factorize(values, n_samples)
    position = {plain(value): i for i, value in enumerate(known)}
    unseen = [plain(value) for value in distinct if plain(value) not in position]
    if unseen:
        raise InputError(
            f"sensitive_features holds {listed(unseen)}, not seen when fitting; the known groups are "
            f"{listed(list(position))}"
        )
    return np.array([position[plain(value)] for value in distinct], dtype=np.int32)[ids]


def length(values: Any) -> int:
    """Number of rows of one or several attributes, in any form that `factorize` takes."""
    if isinstance(values, Mapping):
        return len(next(iter(values.values()), ()))
    if (frame := frames.columns(values)) is not None:
        return len(frame[0][1]) if frame else 0
    if isinstance(values, (list, tuple)) and values and hasattr(values[0], "__len__"):
        n = len(values[0])
        return n if _are_columns(values, n) else len(values)
    counted_apart = hasattr(values, "toarray") or getattr(values, "ndim", 1) == 0  # len() fails for sparse matrices
    return 1 if counted_apart or not hasattr(values, "__len__") else len(values)


def plain(value: Any) -> Any:
    """Return a numpy scalar as the Python value that it holds."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]")  # nanoseconds, as in pandas, would become a number
    return value.item() if isinstance(value, np.generic) else value


def tupled(value: Any) -> Any:
    """A value read from JSON, where the tuple of several attributes has become a list."""
    return tuple(map(tupled, value)) if isinstance(value, list) else value


def name_of(value: Any) -> str:
    """Return the name of a group: its value as text; several attributes are joined by commas, dates have no time.

    Examples
    --------
    >>> name_of(np.str_("f")), name_of(("f", 1))
    ('f', 'f, 1')
    """
    if isinstance(value, tuple):
        return ", ".join(name_of(part) for part in value)
    value = plain(value)
    return str(value.date() if isinstance(value, datetime) and value.time() == time.min else value)


def listed(values: Sequence[Any]) -> str:
    """Return the first few values for a message."""
    shown = ", ".join(repr(value) for value in values[:_SHOWN])
    return shown + (f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else "")


def _columns(values: Any, n_samples: int, what: str) -> list[tuple[Any, Any]]:
    """Name and values of each attribute; in an array or a list the position is the name; one alone may have none."""
    if isinstance(values, Mapping):
        found = list(values.items())
    elif (frame := frames.columns(values)) is not None:
        found = frame
    elif isinstance(values, (list, tuple)) and _are_columns(values, n_samples):
        found = list(enumerate(values))
    elif not isinstance(values, (list, tuple)) and getattr(np.asanyarray(values), "ndim", 1) == 2:
        found = list(enumerate(np.asanyarray(values).T))  # keeps a mask
    else:
        name = getattr(values, "name", None)
        return [(name if isinstance(name, str) else None, values)]
    if not found:
        raise InputError(f"{what} has no columns; give at least one attribute, or leave it out")
    return found


def _are_columns(values: Sequence[Any], n_samples: int) -> bool:
    """Whether a list holds columns of the right length rather than one hashable value per row."""
    return bool(values) and all(
        not isinstance(value, (str, bytes, tuple)) and hasattr(value, "__len__") and len(value) == n_samples
        for value in values
    )


def _column(values: Any, where: str) -> npt.NDArray[Any]:
    """Return the values as a one-dimensional array that keeps their types apart."""
    if isinstance(values, (list, tuple)):
        # numpy would turn [1, "a"] into strings and a list of tuples into a matrix
        return np.fromiter(values, dtype=object, count=len(values))
    column = np.asarray(values)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim == 0:
        raise InputError(
            f"{where} is a {type(values).__name__}; expected one value per row: a list, an array, a column or a frame"
        )
    if column.ndim != 1:
        raise InputError(f"{where} has shape {column.shape}; expected (n,) or (n, m), one row per point")
    return column
