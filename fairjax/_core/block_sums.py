"""Sums over blocks of rows, one block after the other: what is added up is as small as one block's part."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from fairjax._core.varying import varying_as

Blocks = TypeVar("Blocks")
Parts = TypeVar("Parts")


def block_sums(part: Callable[[Blocks], Parts], blocks: Blocks, zero: Parts, *constants: object) -> Parts:
    """Sum of ``part(block)`` over the leading axis of ``blocks``; inside ``jax.shard_map`` over a device's own.

    Parameters
    ----------
    part : of one block, arrays as ``zero`` has them.
    blocks : arrays (B, ...).
    zero : what the sum of no blocks is.
    constants : arrays that ``part`` closes over, which may vary along axes of a mesh.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> rows = jnp.arange(6.0).reshape(3, 2)
    >>> block_sums(lambda block: {"sum": block.sum(), "most": block}, rows, {"sum": 0.0, "most": jnp.zeros(2)})
    {'sum': Array(15., dtype=float32), 'most': Array([6., 9.], dtype=float32)}
    """

    def add(sums: Parts, block: Blocks) -> tuple[Parts, None]:
        return jax.tree.map(jnp.add, sums, part(block)), None

    return jax.lax.scan(add, varying_as(zero, blocks, *constants), blocks)[0]
