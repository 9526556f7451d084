"""Reductions and the softmax over a short leading axis of clusters.

On a CPU a reduction over the leading axis of (K, n) takes several times as long as the same as K operations on rows,
and the compiler would repeat the exponentials in each place where they are used.
"""

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
from jax import Array, lax

_MOST_ROWS = 64  # that are taken one by one; more make the program long


def fold(operation: Callable[[Array, Array], Array], whole: Callable[..., Array], x: Array) -> Array:
    """``whole(x, axis=0)``, by ``operation`` on one row after the other where they are few."""
    return reduce(operation, [x[k] for k in range(len(x))]) if len(x) <= _MOST_ROWS else whole(x, axis=0)


def total(x: Array) -> Array:
    """Sum over the leading axis of (K, ...).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> total(jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [4.0, 6.0]
    """
    return fold(jnp.add, jnp.sum, x)


def exponentials(x: Array) -> tuple[Array, Array, Array]:
    """Exponentials of (K, n), divided by the greatest of each column; their sums (n,); the greatest exponents (n,)."""
    highest = lax.optimization_barrier(fold(jnp.maximum, jnp.max, x))
    raised = lax.optimization_barrier(jnp.exp(x - highest))
    return raised, lax.optimization_barrier(total(raised)), highest


@jax.custom_vjp
def softmax(x: Array) -> Array:
    """Softmax over the leading axis of (K, n).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> softmax(jnp.array([[0.0, 1000.0], [0.0, 0.0]])).tolist()
    [[0.5, 1.0], [0.5, 0.0]]
    """
    raised, sums, _ = exponentials(x)
    return raised * lax.optimization_barrier(1 / sums)


def _forward(x: Array) -> tuple[Array, Array]:
    shares = softmax(x)
    return shares, shares


def _backward(shares: Array, change: Array) -> tuple[Array]:
    moved = lax.optimization_barrier(shares * change)
    return (moved - shares * lax.optimization_barrier(total(moved)),)


softmax.defvjp(_forward, _backward)
