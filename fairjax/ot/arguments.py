"""Arguments of the solvers, checked and brought to arrays."""

import warnings

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax.errors import InputError


def real_array(name: str, values: ArrayLike) -> Array:
    """Values as an array of floats of at least 32 bits, the least in which masses can be told to agree.

    Raises
    ------
    InputError
        For values that are no real numbers.
    """
    try:
        with warnings.catch_warnings():
            # jax takes text for the name of a type, and numpy warns of some
            warnings.simplefilter("ignore", DeprecationWarning)
            array = jnp.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no array of numbers ({error}); expected real numbers") from None
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InputError(f"{name} has dtype {array.dtype}; expected real numbers")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(jnp.result_type(float))
    return array if jnp.finfo(array.dtype).bits >= 32 else array.astype(jnp.float32)


def is_traced(*values: Array | None) -> bool:
    """Whether any of the values is known only when the program runs, so that it cannot be checked before."""
    return any(isinstance(value, jax.core.Tracer) for value in values)
