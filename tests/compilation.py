"""How programs are compiled: as users have them, or in a fraction of the time."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import jaxlib

_EMITTERS, _SPLITS = "xla_cpu_use_fusion_emitters", "xla_cpu_parallel_codegen_split_count"


def _known(flag: str) -> bool:
    """Whether the compiler has a flag; it would abort the process at one that it has not."""
    for library in Path(jaxlib.__file__).parent.glob("*.so"):
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(flag.encode()) >= 0:
                return True
    return False


SHARED = "FAIRJAX_TEST_PROGRAMS"  # names the folder of compiled programs to the worker processes

AS_USERS = {_EMITTERS: True} if _known(_EMITTERS) else {}
"""Compiler options of a program on which nothing is to be saved."""


def compile_small_programs() -> None:
    """Save most of the compiler's time. Through the environment, for child processes too, and before any compilation.

    Of the compiler's two ways the older one, as the package does for small data: it needs half the time. And a program
    in one piece: the pieces that several threads would compile need a fifth more of processors that are busy anyway,
    and twice the memory maps.
    """
    flags = [f"--{_EMITTERS}=false"] if AS_USERS else []
    flags += [f"--{_SPLITS}=1"] if _known(_SPLITS) else []
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()


def for_children(**variables: str) -> dict[str, str]:
    """The environment of a process that shares the programs of the tests, compiled without the optimiser."""
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": os.environ[SHARED],
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    } | variables  # fmt: skip


@contextmanager
def optimiser(on: bool) -> Iterator[None]:
    """With or without the optimiser; without it programs that run for a moment are compiled in a third of the time."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", not on)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
