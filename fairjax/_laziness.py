"""Work that is done only where it is needed, under ``vmap`` too."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array

Tree = TypeVar("Tree")


def only_if(needed: Array, compute: Callable[[], Tree], otherwise: Tree) -> Tree:
    """``compute()`` where ``needed`` () holds, else ``otherwise`` (a pytree of the same shapes and dtypes).

    ``jax.lax.cond`` computes both branches for every member of a batch; this skips ``compute`` unless some member
    needs it.
    """
    _, result = jax.lax.while_loop(
        lambda carry: carry[0], lambda _: (jnp.array(False), compute()), (needed, otherwise)
    )  # fmt: skip
    return result
