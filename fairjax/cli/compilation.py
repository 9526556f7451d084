"""Compile time on the command line: kept low by a cache on disk, and told apart from the work.

Every command is a process of its own and would compile for some seconds each time.
"""

import os
import sys


def keep_programs() -> None:
    """Let JAX, not imported yet, keep compiled programs, unless the environment already says where or not to."""
    if "jax" in sys.modules or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    from fairjax import programs
    from fairjax.datasets.files import user_cache
    from fairjax.errors import InputError

    try:
        folder = programs.prepared(user_cache() / "compiled")
    except InputError:
        return  # the command works without
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    programs.keep_in(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", str(programs.MIN_SECONDS))


def seconds() -> float:
    """Seconds that this process has spent compiling since the first call."""
    from fairjax._core import compiling

    return compiling.seconds()
