"""One block of rows after the other: sums of their parts, which stay as small as one block's, and results by block."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.varying import varying_as

Blocks = TypeVar("Blocks")
Parts = TypeVar("Parts")
Carry = TypeVar("Carry")
Once = Callable[[Array], Array]


def scan_blocks(
    step: Callable[[Carry, Any], tuple[Carry, Any]],
    carry: Carry,
    blocks: Any,
    n_used: Array | None = None,
    *,
    overlapping: int = 1,
) -> tuple[Carry, Any]:
    """``jax.lax.scan`` over ``blocks`` (B, ...), of which only the first ``n_used`` () take time; None for all.

    Results of the others are zeros. ``overlapping`` blocks at a time are independent for the compiler; it divides B.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> total, squares = scan_blocks(lambda total, x: (total + x, x * x), 0.0, jnp.arange(1.0, 5.0), jnp.int32(3))
    >>> float(total), squares.tolist()
    (6.0, [1.0, 4.0, 9.0, 0.0])
    """
    if n_used is None:
        return jax.lax.scan(step, carry, blocks, unroll=overlapping)
    n_blocks = jax.tree.leaves(blocks)[0].shape[0]
    assert n_blocks % overlapping == 0

    def at(index: Array) -> Any:
        return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), blocks)

    def several(trip: Array, state: tuple[Carry, Any]) -> tuple[Carry, Any]:
        carry, found = state
        for index in range(overlapping):
            place = overlapping * trip + index
            carry, own = step(carry, at(place))
            found = jax.tree.map(lambda every, own, i=place: every.at[i].set(own), found, own)
        return carry, found

    shapes = jax.eval_shape(lambda carry: step(carry, at(jnp.int32(0)))[1], carry)
    none = jax.tree.map(lambda one: jnp.zeros((n_blocks, *one.shape), one.dtype), shapes)
    n_trips = jax.lax.div(n_used + (overlapping - 1), jnp.asarray(overlapping, n_used.dtype))
    return jax.lax.fori_loop(0, n_trips, several, (carry, none))


def over_stretches(
    add: Callable[[Carry, Array, Once, Any], Carry],
    carry: Carry,
    rows: Any,
    length: int,
    *constants: object,
) -> Carry:
    """``carry`` after ``add(carry, places, once, part)`` for one stretch of the ``rows`` (n, ...) after the other.

    A stretch has ``length`` rows at most, with ``places`` (b,) uint32 among all. All are of one length, so the last one
    reaches back; ``once`` returns an array (b,) with zeros for rows that the stretch before had, too. It is for rows
    that do not lie in blocks: nothing of their size is copied.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> def add(total, places, once, part):
    ...     return total + jnp.sum(once(part))
    >>> float(over_stretches(add, jnp.zeros(()), jnp.arange(1.0, 6.0), 2))
    15.0
    """
    n_rows = jax.tree.leaves(rows)[0].shape[0]
    length = min(n_rows, length)
    carry = varying_as(carry, rows, *constants)
    if length == n_rows:
        return add(carry, jnp.arange(length, dtype=jnp.uint32), lambda values: values, rows)

    def one(number: Array, carry: Carry) -> Carry:
        first = number * length
        # unsigned: of an index that may be negative, every slice would ask whether it is
        begin = jnp.minimum(first, n_rows - length)
        places = begin + jnp.arange(length, dtype=jnp.uint32)
        part = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, begin, length), rows)
        return add(carry, places, lambda values: jnp.where(places >= first, values, 0), part)

    return jax.lax.fori_loop(jnp.uint32(0), jnp.uint32(-(-n_rows // length)), one, carry)


def block_sums(
    part: Callable[[Blocks], Parts], blocks: Blocks, zero: Parts, *constants: object, n_used: Array | None = None
) -> Parts:
    """Sum of ``part(block)`` over the leading axis of ``blocks``; inside ``jax.shard_map`` over a device's own.

    Parameters
    ----------
    part : of one block, arrays as ``zero`` has them.
    blocks : arrays (B, ...).
    zero : what the sum of no blocks is.
    constants : arrays that ``part`` closes over, which may vary along axes of a mesh.
    n_used : () int32, how many blocks count; None for all.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> rows = jnp.arange(6.0).reshape(3, 2)
    >>> block_sums(lambda block: (block.sum(), block), rows, (0.0, jnp.zeros(2)))
    (Array(15., dtype=float32), Array([6., 9.], dtype=float32))
    """

    def add(sums: Parts, block: Blocks) -> tuple[Parts, None]:
        return jax.tree.map(jnp.add, sums, part(block)), None

    return scan_blocks(add, varying_as(zero, blocks, *constants), blocks, n_used)[0]
