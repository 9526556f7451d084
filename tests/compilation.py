"""How programs are compiled: as users have them, or in a fraction of the time."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import jaxlib

_EMITTERS = "xla_cpu_use_fusion_emitters"


def _known(flag: str) -> bool:
    """Whether the compiler has a flag; it would abort the process at one that it has not."""
    for library in Path(jaxlib.__file__).parent.glob("*.so"):
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(flag.encode()) >= 0:
                return True
    return False


AS_USERS = {_EMITTERS: True} if _known(_EMITTERS) else {}
"""Compiler options of a program on which nothing is to be saved."""


def compile_small_programs() -> None:
    """Take the older of the compiler's two ways, as the package does for small data: it needs half the time.

    Through the environment, so that child processes do the same; before anything is compiled.
    """
    if AS_USERS:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --{_EMITTERS}=false".strip()


@contextmanager
def optimiser(on: bool) -> Iterator[None]:
    """With or without the optimiser; without it programs that run for a moment are compiled in a third of the time."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", not on)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
