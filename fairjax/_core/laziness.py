"""Work that is done only where it is needed, under ``vmap`` too."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.varying import varying_as

Tree = TypeVar("Tree")


def only_if(
    needed: Array,
    compute: Callable[..., Tree],
    operands: tuple[Any, ...],
    otherwise: Tree,
    *,
    but: frozenset[str] = frozenset(),
) -> Tree:
    """``compute(*operands)`` where ``needed`` () holds, else ``otherwise`` (a pytree of the same shapes and dtypes).

    ``jax.lax.cond`` computes both branches for every member of a batch; this skips ``compute`` unless some member
    needs it. ``but`` as in :func:`~fairjax._core.varying.varying_as`: along these axes ``needed`` does not vary.
    """

    def once(carry: tuple[Array, Tree]) -> tuple[Array, Tree]:
        # tied to the loop: the compiler moves what does not change out of loops, and so would do it always
        tied, _ = jax.lax.optimization_barrier((operands, carry))
        return varying_as((jnp.array(False), compute(*tied)), carry, but=but)

    begin = varying_as((needed, otherwise), operands, but=but)
    return jax.lax.while_loop(lambda carry: carry[0], once, begin)[1]
