"""Programs that are compiled for every new size of the data, and on few rows run for less time than that takes.

On CPUs the compiler has two ways to turn fused operations into machine code. The newer one makes passes over many rows
up to a quarter faster, and takes twice as long to compile a program of a thousand operations. Where the data are small
the older one is what the user waits less for.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
T = TypeVar("T")

_SMALL = 2**20  # entries of the largest array


@functools.cache
def _quick_options() -> dict[str, bool]:
    """Options of the compiler for small data; none where it does not know them."""
    options = {"xla_cpu_use_fusion_emitters": False}
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:
        return {}
    return options


def stage(function: Callable[P, T], *, static_argnames: str | tuple[str, ...] = ()) -> Callable[P, T]:
    """``jax.jit`` of a function that is called from the host only, compiled as suits the size of its arguments."""
    thorough = jax.jit(function, static_argnames=static_argnames)

    @functools.cache
    def quick() -> Callable[P, T]:
        return jax.jit(function, static_argnames=static_argnames, compiler_options=_quick_options())

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        largest = max(leaf.size for leaf in jax.tree.leaves(args))
        return (quick() if largest <= _SMALL else thorough)(*args, **kwargs)

    return call
