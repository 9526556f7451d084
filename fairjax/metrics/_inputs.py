"""Checks of ids and weights, shared by all scores: by value where values can be read, else by shape."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from fairjax._core import forks, frames, group_codes
from fairjax.errors import InputError

_MOST_IDS = 1 << 16


def readable(x: object) -> bool:
    """Whether the values of `x` can be read here: it is not traced, and no part is on another host."""
    return not isinstance(x, jax.core.Tracer) and getattr(x, "is_fully_addressable", True)


def as_array(x: object) -> jax.Array | np.ndarray:
    """Leave JAX arrays where they are; everything else (lists, Series) becomes numpy, unrounded."""
    return x if isinstance(x, jax.Array) else np.asarray(x)


def floating(x: ArrayLike) -> jax.Array:
    """Return `x` as float32 or wider: integers and half precision become the default float type."""
    array = jnp.asarray(x)
    wide = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize >= 4
    return array if wide else array.astype(jnp.result_type(float))


def check_ids(ids: ArrayLike, what: str, size: int | None, keyword: str) -> tuple[jax.Array, int]:
    """Check one array of ids 0..size-1 and determine `size`.

    Parameters
    ----------
    ids
        Integer (or boolean) array of shape (n,), n ≥ 1. Groups and classes may also be other values, or several columns
        of values: these are numbered in sorted order.
    what
        What the ids are, for messages: ``"labels"``, ``"groups"``, ``"classes"``.
    size
        Number of different ids, or None to take one more than the greatest id.
    keyword
        Name of the argument that `size` came from.

    Returns
    -------
    ids, size
        int32 array of shape (n,) and the size.

    Raises
    ------
    InputError
        For a wrong shape or type, for ids out of range when the values are readable, and for a missing `size`
        when they are not.
    """
    forks.check()
    array = as_array(ids) if what == "labels" else _numbered(ids, what, size)
    if array.ndim != 1 or array.shape[0] == 0:
        raise InputError(f"{what} has shape {array.shape}; expected (n,) with n ≥ 1: one id for each point.")
    if not (jnp.issubdtype(array.dtype, jnp.integer) or array.dtype == bool):
        raise InputError(
            f"{what} has type {array.dtype}; expected integer ids 0, 1, 2, …: "
            "number the distinct values first, for instance with numpy.unique(..., return_inverse=True)."
        )
    if size is not None and size < 1:
        raise InputError(f"{keyword} is {size}; expected at least 1.")
    if readable(array):
        low, high = int(array.min()), int(array.max())
        if low < 0:
            raise InputError(f"{what} holds the id {low}; expected ids from 0 on: drop such points or renumber them.")
        if size is not None and high >= size:
            raise InputError(f"{what} holds the id {high}, but {keyword}={size} allows 0..{size - 1}: raise {keyword}.")
        size = high + 1 if size is None else size
    elif size is None:
        raise InputError(
            f"{what} is traced (inside jax.jit or jax.vmap) or spread over hosts, so the number of distinct "
            f"ids cannot be read from it: pass {keyword}=..., a Python integer."
        )
    return jnp.asarray(array).astype(jnp.int32), size


def _numbered(values: object, what: str, size: int | None) -> jax.Array | np.ndarray:
    """Return ids unchanged; number any other values in sorted order."""
    if isinstance(values, jax.Array):
        return values
    values = frames.held(values)
    n = group_codes.length(values)
    if isinstance(values, np.ma.MaskedArray):
        return group_codes.encode(values, n, what)[0]
    with contextlib.suppress(ValueError):  # columns of different lengths, which `encode` reports
        array = np.asarray(values)
        if array.size == 0:
            return array
        # negative integers, and those too large to count with, are values rather than ids
        whole = array.ndim == 1 and array.dtype.kind in "biu"
        if whole and (size is not None or (array.min() >= 0 and array.max() < max(n, _MOST_IDS))):
            return array
    return group_codes.encode(values, n, what)[0]


def check_weights(weights: ArrayLike | None, n: int) -> jax.Array | None:
    """Check that weights, if any, are (n,), finite and not negative; values only if they are readable."""
    if weights is None:
        return None
    array = as_array(weights)
    if array.shape != (n,):
        raise InputError(f"weights has shape {array.shape}; expected ({n},): one weight for each point.")
    if readable(array) and not (np.isfinite(low := float(array.min())) and np.isfinite(float(array.max()))):
        raise InputError("weights holds NaN or infinity; expected finite numbers, 0 for a point to be ignored.")
    elif readable(array) and low < 0:
        raise InputError(f"weights holds {low}; expected numbers ≥ 0, 0 for a point to be ignored.")
    result = jnp.asarray(array)
    if jnp.issubdtype(result.dtype, jnp.integer):
        return result.astype(jnp.promote_types(result.dtype, jnp.int32))  # narrow types would overflow in sums
    return floating(result)


def check_same_length(first: jax.Array, second: jax.Array, names: str) -> None:
    """Check that two arrays describe the same points."""
    if first.shape[0] != second.shape[0]:
        raise InputError(
            f"{names} have lengths {first.shape[0]} and {second.shape[0]}; expected the same points in both."
        )
