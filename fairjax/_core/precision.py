"""Small problems solved in double precision, whatever the dtype of the data."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

P = ParamSpec("P")
T = TypeVar("T")


class Double(NamedTuple):
    """A float64 array that keeps its digits outside :func:`in_double`: the sum of two arrays of the caller's dtype."""

    high: Array
    low: Array

    @classmethod
    def of(cls, values: Array) -> "Double":
        """``values`` in float64."""
        return cls(values, jnp.zeros_like(values))

    def whole(self) -> Array:
        """The values again, inside :func:`in_double`."""
        return self.high + self.low


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)


def _doubled(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if _is_float(leaf) else leaf, tree)


def rounded(values: Array, dtype: DTypeLike) -> Array:
    """Values as ``dtype`` would hold them, in their own dtype.

    Converting there and back will not do: compilers may remove it.
    """
    digits = jnp.finfo(dtype)
    return jax.lax.reduce_precision(values, digits.nexp, digits.nmant)


def _returned(dtype: Any, tree: Any) -> Any:
    def returned(leaf: Any) -> Any:
        if isinstance(leaf, Double):
            high = rounded(leaf.high, dtype)
            return Double(high.astype(dtype), (leaf.high - high).astype(dtype))
        return leaf.astype(dtype) if _is_float(leaf) else leaf

    return jax.tree.map(returned, tree, is_leaf=lambda node: isinstance(node, Double))


def in_double(function: Callable[P, T]) -> Callable[P, T]:
    """``function`` computed in double precision.

    Floating-point arguments are converted to float64, floating-point results back to the dtype of the first such
    argument; a :class:`Double` keeps its digits. It works inside ``jit``, ``vmap``, ``scan`` and ``shard_map``,
    whether or not JAX's ``jax_enable_x64`` is on. Operations that JAX lowers or batches later, outside the context,
    must not name their dtype: use :func:`first_least` for ``argmin``, and :func:`product` for ``matmul`` and
    ``einsum``.
    """

    @functools.wraps(function)
    def doubled(*args: P.args, **kwargs: P.kwargs) -> T:
        dtype = next(leaf.dtype for leaf in jax.tree.leaves(args) if _is_float(leaf))
        with jax.enable_x64(True):
            args, kwargs = _doubled((args, kwargs))
            return _returned(dtype, function(*args, **kwargs))

    return doubled


def first_least(values: Array, axis: int = -1) -> Array:
    """Index (int32) of the least value along an axis, the first of equal ones; as ``argmin``, see :func:`in_double`.

    One reduction of pairs: comparing with the minimum afterwards may fail, because a compiler that fuses the values
    into both uses may round them differently.
    """
    axis = axis % values.ndim
    index = jax.lax.broadcasted_iota(jnp.int32, values.shape, axis)

    def better(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
        wins = (other[0] < one[0]) | ((other[0] == one[0]) & (other[1] < one[1]))
        return jnp.where(wins, other[0], one[0]), jnp.where(wins, other[1], one[1])

    worst = (jnp.asarray(jnp.inf, values.dtype), jnp.asarray(jnp.iinfo(jnp.int32).max, jnp.int32))
    _, first = jax.lax.reduce((values, index), worst, better, (axis,))
    return jnp.minimum(first, jnp.int32(values.shape[axis] - 1))


def product(a: Array, b: Array) -> Array:
    """Product of matrices or vectors at full precision, in the dtype of its factors; see :func:`in_double`."""
    contracted = (((a.ndim - 1,), (0,)), ((), ()))
    return jax.lax.dot_general(a, b, contracted, precision=jax.lax.Precision.HIGHEST)
