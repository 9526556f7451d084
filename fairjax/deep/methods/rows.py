"""Rows as the estimators take them: vectors or images, finite, and on the scale that the decoder ends on."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from fairjax._core import forks, frames
from fairjax.errors import InputError

__all__ = ["Scale", "check_pixels_again", "checked", "scale_of", "scaled"]

Scale = tuple[float, float, str]  # factor, offset, and the last function of the decoder


def checked(model: BaseEstimator, X: Any, *, reset: bool) -> npt.NDArray[Any]:
    """Rows (n, D) or (n, height, width, channels) in floating numbers.

    Raises
    ------
    InputError
        For rows of another shape, or numbers that are not finite.
    """
    forks.check()
    dtype = jnp.result_type(float)
    X = frames.points(X)
    # what is wrong with vectors scikit-learn says; of images it would not say where
    vectors = np.ndim(X) <= 2
    with frames.reading():
        X = validate_data(
            model, X, dtype=dtype, allow_nd=True, reset=reset, ensure_min_samples=1, ensure_all_finite=vectors
        )
    if X.ndim not in (2, 4):
        raise InputError(
            f"X has shape {X.shape}; expected vectors (N, D) or images (N, height, width, channels): images "
            "without a channel axis get one by X[..., None]"
        )
    if 0 in X.shape:
        raise InputError(f"X has shape {X.shape}, so its rows hold no numbers; expected at least one in each")
    if not vectors and not np.isfinite(X).all():
        row, *place = (int(i) for i in np.argwhere(~np.isfinite(X))[0])
        raise InputError(
            f"the image in row {row} has the value {X[row, *place]} (NaN or infinite) at (height, width, channel) "
            f"{tuple(place)}; expected finite numbers"
        )
    return X


def scale_of(X: npt.NDArray[Any], *, signed: bool) -> Scale:
    """The scale for rows: values in [0, 1] or [-1, 1] get a decoder that ends there, other vectors a linear one.

    Parameters
    ----------
    X : ndarray (n, ...)
    signed : bool
        Bring values in [0, 1] to [-1, 1].

    Raises
    ------
    InputError
        For images with other values.
    """
    low, high = float(X.min()), float(X.max())
    if X.ndim == 4:
        _check_pixels(low, high, "[0, 1] or [-1, 1]", -1.0)
    if low >= 0 and high <= 1:
        return (2.0, -1.0, "tanh") if signed else (1.0, 0.0, "sigmoid")
    return 1.0, 0.0, "tanh" if low >= -1 and high <= 1 else "linear"


def check_pixels_again(X: npt.NDArray[Any], scale: Scale) -> None:
    """Refuse images whose values go beyond those of the fit."""
    if X.ndim == 4:
        # a decoder that ends in [-1, 1] without a change of scale was fitted to such values
        signed = scale[0] == 1 and scale[2] == "tanh"
        wanted, least = ("[-1, 1]", -1.0) if signed else ("[0, 1]", 0.0)
        _check_pixels(float(X.min()), float(X.max()), f"{wanted} as in fit", least)


def scaled(X: npt.NDArray[Any], scale: Scale) -> npt.NDArray[Any]:
    """Rows as the network takes them."""
    factor, offset, _ = scale
    return X if (factor, offset) == (1.0, 0.0) else X * X.dtype.type(factor) + X.dtype.type(offset)


def _check_pixels(low: float, high: float, wanted: str, least: float) -> None:
    if not least <= low <= high <= 1:
        # as bytes do
        raise InputError(f"the images' values go from {low:g} to {high:g}; expected {wanted}: divide bytes by 255")
