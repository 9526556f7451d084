"""Arguments of the solvers, checked and converted to arrays."""

import warnings

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax.errors import InputError


def real_array(name: str, values: ArrayLike) -> Array:
    """Values as an array of at least 32-bit floats, which masses need so that their sums can be compared.

    Raises
    ------
    InputError
        For values that are not real numbers.
    """
    try:
        with warnings.catch_warnings():
            # jax takes text for the name of a dtype, and numpy warns about some names
            warnings.simplefilter("ignore", DeprecationWarning)
            array = jnp.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not an array of numbers ({error}); expected real numbers") from None
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InputError(f"{name} has dtype {array.dtype}; expected real numbers")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(jnp.result_type(float))
    return array if jnp.finfo(array.dtype).bits >= 32 else array.astype(jnp.float32)


def is_traced(*values: Array | None) -> bool:
    """Whether any of the values is traced, and so cannot be checked eagerly."""
    return any(isinstance(value, jax.core.Tracer) for value in values)
