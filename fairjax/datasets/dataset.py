"""The one result type of every reader, and the scaling that turns raw columns into points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax.datasets.preparation import Preparation
from fairjax.datasets.scaling import column_scales, l2_normalize_rows, standardize_columns
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.datasets.table.encoding import Encoding
    from fairjax.datasets.table.ranges import Ranges
    from fairjax.datasets.tables import Origin


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Points with one protected group each, as host-side numpy arrays.

    Attributes
    ----------
    name : str
        Name of the data set, or the file's name for a user's own table.
    X : ndarray, shape (n, d) or (n, height, width, channels), floating
        The points, scaled as the reader was asked to.
    feature_names : tuple of str, length d
        Names of the columns of ``X``; empty for images.
    groups : ndarray, shape (n,), int32
        Group id of each point, 0 to M - 1.
    group_names : tuple of str, length M
        Name of each group id.
    sensitive : ndarray, shape (n,), or None
        The protected attribute in the source's own values; None where no attribute was named.
    target : ndarray, shape (n,), or None
        Class ids (int32), or a real outcome (floating); never part of ``X``.
    target_names : tuple of str
        Names of the class ids; empty for a real outcome.
    raw : ndarray, same shape as ``X``
        The points in their own units, before any scaling. For images it is ``X`` itself.
    rows : ndarray, shape (n,), int64
        Row of each point in the source, counted from 0.
    source, licence : str
        Where the data come from and on what terms.
    notes : tuple of str
        What a reader of the results should be told, one sentence each.
    encoding : Encoding or None
        Of a user's own table: how its columns became those of ``raw``, for new rows.
    attributes : mapping
        Of a user's own table: for every sensitive column the id of each row, shape (n,), and the names behind the ids.
    ranges : mapping
        Of a user's own table: the ranges of every sensitive column that was cut into some.
    table : Origin or None
        The table as it was read, where it was to be kept.
    standardized, l2_normalized : bool
        How ``X`` was made from ``raw``.
    """

    name: str
    X: npt.NDArray[Any]
    groups: npt.NDArray[np.int32]
    group_names: tuple[str, ...]
    raw: npt.NDArray[Any]
    rows: npt.NDArray[np.int64]
    feature_names: tuple[str, ...] = ()
    sensitive: npt.NDArray[Any] | None = None
    target: npt.NDArray[Any] | None = None
    target_names: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()
    encoding: "Encoding | None" = None
    attributes: Mapping[str, tuple[npt.NDArray[np.int32], tuple[str, ...]]] = field(default_factory=dict)
    ranges: "Mapping[str, Ranges]" = field(default_factory=dict)
    table: "Origin | None" = None
    standardized: bool = False
    l2_normalized: bool = False

    @property
    def n_samples(self) -> int:
        """Number of points n."""
        return len(self.X)

    @property
    def n_groups(self) -> int:
        """Number of groups M."""
        return len(self.group_names)

    @property
    def group_sizes(self) -> npt.NDArray[np.int64]:
        """Number of points in each group, shape (M,)."""
        return np.bincount(self.groups, minlength=self.n_groups)

    @property
    def max_balance(self) -> float:
        """Smallest over largest group size: no clustering of the whole set has a greater balance."""
        sizes = self.group_sizes
        return float(sizes.min() / sizes.max())

    @property
    def matrix(self) -> npt.NDArray[Any]:
        """The points as an (n, d) matrix; images are flattened row by row, without a copy."""
        return self.X.reshape(self.n_samples, -1)

    @cached_property
    def preparation(self) -> Preparation | None:
        """How rows of the same columns become points beside these; None for images."""
        if self.raw.ndim != 2 or not self.feature_names:
            return None
        centers, spreads = None, None
        if self.standardized:
            centers, spreads = column_scales(self.raw, () if self.encoding is None else self.encoding.categories)
        return Preparation(
            columns=self.feature_names,
            centers=centers,
            spreads=spreads,
            l2_normalize=self.l2_normalized,
            sensitive=tuple(self.attributes),
            encoding=self.encoding,
            ranges=self.ranges,
        )

    def __repr__(self) -> str:
        sizes = ", ".join(f"{g} {n}" for g, n in zip(self.group_names[:6], self.group_sizes, strict=False))
        more = ", ..." if self.n_groups > 6 else ""
        return f"Dataset({self.name!r}, X {self.X.shape} {self.X.dtype}, groups: {sizes}{more})"


def float_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return ``dtype`` as a numpy floating type; raise InputError for any other kind."""
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise InputError(f"dtype {dtype!r} is not known to numpy; choose float32 or float64") from error
    if not np.issubdtype(found, np.floating):
        raise InputError(f"dtype {found} is not a floating type; choose float32 or float64")
    return found


def prepare(
    raw: npt.NDArray[np.float64], *, standardize: bool, l2_normalize: bool, dtype: npt.DTypeLike
) -> npt.NDArray[Any]:
    """Scale raw columns as the protocol says: standardise, then L2 rows; all of it in float64.

    Raises
    ------
    InputError
        When the result does not fit ``dtype`` or is not finite.
    """
    wanted = float_dtype(dtype)  # first: an unknown type is known at once
    X = standardize_columns(raw) if standardize else raw
    return finish(X, l2_normalize=l2_normalize, dtype=wanted, copy=X is raw)  # raw must not be an alias of X


def finish(X: npt.NDArray[np.float64], *, l2_normalize: bool, dtype: npt.DTypeLike, copy: bool) -> npt.NDArray[Any]:
    """Scale rows and convert, as `prepare` does after columns are standardised; ``copy`` even if nothing changes."""
    wanted = float_dtype(dtype)
    if l2_normalize:
        X, copy = l2_normalize_rows(X), False
    with np.errstate(over="ignore"):
        X = X.astype(wanted, copy=copy)
    if not np.isfinite(X).all():
        raise InputError(f"the points hold values too large for {wanted}; use standardize=True or a wider dtype")
    return X


def choose(option: str, value: object, allowed: Sequence[str]) -> None:
    """Raise InputError when ``value`` is not one of the allowed words."""
    if value not in allowed:
        raise InputError(f"{option}={value!r} is not known; choose one of {', '.join(map(repr, allowed))}")


def draw_rows(n: int, n_samples: int | None, random_state: int) -> npt.NDArray[np.int64]:
    """Return ``n_samples`` distinct rows of ``n`` in increasing order, or all of them for None."""
    if n_samples is None:
        return np.arange(n)
    if not 1 <= n_samples <= n:
        raise InputError(f"n_samples={n_samples} does not fit the data; choose a number from 1 to {n}")
    return np.sort(np.random.default_rng(random_state).choice(n, n_samples, replace=False))
