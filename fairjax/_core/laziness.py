"""Work that is done only if it is needed, even under ``vmap``."""

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
    needs it. For ``but`` see :func:`~fairjax._core.varying.varying_as`: ``needed`` does not vary along these axes.
    """

    def once(carry: tuple[Array, Tree]) -> tuple[Array, Tree]:
        # tied to the carry: otherwise the compiler would hoist the work out of the loop and always do it
        tied, _ = jax.lax.optimization_barrier((operands, carry))
        return varying_as((jnp.array(False), compute(*tied)), carry, but=but)

    begin = varying_as((needed, otherwise), operands, but=but)
    return jax.lax.while_loop(lambda carry: carry[0], once, begin)[1]
