"""Group values of any hashable kind as integer ids, and back."""

import warnings
from collections.abc import Hashable, Iterable, Sequence
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
        A list, an array, a pandas or Polars series (categorical too), or a frame of one column.
    n_samples : int
        The length that is expected.

    Raises
    ------
    InputError
        For another length, more than one column, a missing value, or one that cannot be hashed.

    Examples
    --------
    >>> ids, distinct = factorize(["b", "a", "b"], 3)
    >>> ids.tolist(), distinct.tolist()
    ([0, 1, 0], ['b', 'a'])
    """
    import pandas as pd

    column = _column(values)
    if len(column) != n_samples:
        raise InputError(
            f"sensitive_features has {len(column)} values for {n_samples} rows of X; give one value per row"
        )
    absent = pd.isna(column)
    if absent.any():
        raise InputError(
            f"sensitive_features has {int(absent.sum())} missing values, the first in row "
            f"{int(absent.argmax())}; fill them in, or leave these rows out"
        )
    try:
        ids, distinct = pd.factorize(column)
    except TypeError as error:
        raise InputError(
            f"sensitive_features holds values that cannot be hashed ({error}); expected strings, numbers or the like"
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


def listed(values: Sequence[Any]) -> str:
    """Return the first few values for a message."""
    shown = ", ".join(repr(value) for value in values[:_SHOWN])
    return shown + (f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else "")


def _column(values: Any) -> npt.NDArray[Any]:
    """Return the values as a one-dimensional array that keeps their types apart."""
    if isinstance(values, (list, tuple)):
        # numpy would turn [1, "a"] into strings and a list of tuples into a matrix
        return np.fromiter(values, dtype=object, count=len(values))
    column = np.asarray(values)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise InputError(
            f"sensitive_features has shape {column.shape}; expected one value per row of X: "
            "join several attributes into one value first"
        )
    return column
