"""The arguments of `fit` besides the points: weights, and the groups with their masses."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import validate_data

from fairjax._core import frames, group_codes
from fairjax.errors import InputError


def sharding() -> Any:
    """The module ``fairjax._core.sharding``, which imports JAX."""
    from fairjax._core import sharding

    return sharding


def points_of(model: Any, X: Any, *, reset: bool = False, least: int = 1) -> npt.NDArray[Any]:
    """Points (n, d) from an array or a frame of any library; with ``reset`` the model records the feature names.

    There must be at least ``least`` of them.

    Raises
    ------
    InputError
        For text, and for columns of a frame that are not numbers or have gaps. scikit-learn reports other errors.
    """
    with frames.reading():
        points, types = frames.points(X), [np.float64, np.float32]
        return validate_data(model, points, dtype=types, reset=reset, ensure_min_samples=least)


def is_sharded(X: Any) -> bool:
    """Whether X is a JAX array with rows on several devices."""
    # X cannot be a JAX array unless JAX has been imported
    return "jax" in sys.modules and sharding().over_devices(X) and not X.sharding.is_fully_replicated


def check_sharded(model: Any, X: Any) -> int:
    """Refuse sharded arrays that are not (n, d) arrays of numbers; the model records its number of features.

    Returns
    -------
    int
        Number of rows that this process has.
    """
    numeric = X.dtype.kind in "fiub" or "float" in X.dtype.name
    if X.ndim != 2 or 0 in X.shape or not numeric:
        raise InputError(f"X has shape {X.shape} and dtype {X.dtype}; expected (n, d) numbers, with n and d at least 1")
    vars(model).pop("feature_names_in_", None)
    model.n_features_in_ = X.shape[1]
    return sum(part.shape[0] for part in sharding().parts(X))


def groups_of(sensitive_features: Any, n_samples: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    """Group ids (n,) and the M values that they stand for; without an attribute one group, whose value is None."""
    if sensitive_features is None:
        return np.zeros(n_samples, np.int32), np.array([None], dtype=object)
    return group_codes.encode(sensitive_features, n_samples)


def members_of(known: npt.NDArray[Any], parameter: str = "attributes='separately'") -> list[npt.NDArray[np.float64]]:
    """For each of several attributes, which groups (M,), combinations of their values, have each value: (M_a, M).

    Raises
    ------
    InputError
        For a single attribute.

    Examples
    --------
    >>> known = np.empty(3, dtype=object)
    >>> known[:] = [("f", 1), ("f", 2), ("m", 1)]
    >>> [table.tolist() for table in members_of(known)]
    [[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]
    """
    if not all(isinstance(value, tuple) for value in known):
        raise InputError(f"{parameter} is for several sensitive columns, and there is one; leave it out")
    tables = []
    for column in zip(*known, strict=True):
        values = list(dict.fromkeys(column))
        tables.append(np.array([[own == value for own in column] for value in values], np.float64))
    return tables


def balances_of(
    table: npt.NDArray[np.float64], members: Sequence[npt.NDArray[np.float64]]
) -> list[tuple[float, float]]:
    """Balance for each attribute, and the best that the data allow, from weights (K, M) of combinations."""
    from fairjax.metrics import host

    found = []
    for own in members:
        counts = table @ own.T
        sizes = counts.sum(0)
        found.append((float(host.balance(counts)), float(sizes.min() / sizes.max())))
    return found


def balance_of(table: npt.NDArray[np.float64], members: Sequence[npt.NDArray[np.float64]]) -> float:
    """Balance of weights (K, M); the least over the attributes if each is to be fair by itself."""
    from fairjax.metrics import host

    return min((own for own, _ in balances_of(table, members)), default=host.balance(table))


def known_groups_of(sensitive_features: Any, n_samples: int, known: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Group ids (n,) of new points among the ``known`` values of the fit; InputError for any other value."""
    fitted_with_groups = known[0] is not None
    if fitted_with_groups and sensitive_features is None:
        raise InputError("sensitive_features is missing; it was given to fit, so predict needs it too")
    if not fitted_with_groups and sensitive_features is not None:
        raise InputError("sensitive_features is given, but was not to fit; fit with it, or leave it out")
    if not fitted_with_groups:
        return np.zeros(n_samples, np.int32)
    return group_codes.encode_known(sensitive_features, n_samples, known)


def weights_of(sample_weight: Any, n_samples: int, *, alone: bool = True) -> npt.NDArray[np.float64] | None:
    """Weights (n,) that are finite, at least 0 and not all 0; None if none are given.

    Unless these rows are ``alone``, their weights may all be 0, and there may be no rows.
    """
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"sample_weight is not numeric ({error}); expected one number ≥ 0 per row of X") from error
    if weights.ndim == 0:
        weights = np.full(n_samples, float(weights))
    if weights.shape != (n_samples,):
        raise InputError(
            f"sample_weight has shape {weights.shape} for {n_samples} rows of X; expected one weight per row"
        )
    if not np.isfinite(weights).all():
        raise InputError("sample_weight holds NaN or infinite values; expected finite weights ≥ 0")
    if weights.min(initial=0) < 0:
        raise InputError(f"sample_weight holds the negative value {weights.min():g}; expected weights ≥ 0")
    if alone and weights.max() == 0:
        raise InputError("sample_weight is zero for every point; expected at least one positive weight")
    return weights


def masses_of(
    groups: npt.NDArray[np.int32], weights: npt.NDArray[np.float64] | None, known: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Weight (M,) of each group; InputError for a group that has none."""
    masses = np.bincount(groups, weights, len(known)).astype(np.float64)
    check_masses(masses, known)
    return masses


def check_masses(masses: npt.NDArray[np.float64], known: npt.NDArray[Any]) -> None:
    """Refuse a group that has no weight."""
    absent = [group_codes.plain(value) for value, mass in zip(known, masses, strict=True) if mass == 0]
    if absent:
        raise InputError(
            f"the group {group_codes.listed(absent)} has no weight; give its points a positive weight, or leave them "
            "out"
        )
