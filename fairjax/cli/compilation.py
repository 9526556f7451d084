"""Compile time on the command line: kept low by a cache on disk, and told apart from the work.

Every command is a process of its own and would compile for some seconds each time.
"""

import os
import sys
from typing import Any

_COMPILING = ("/jax/core/compile/backend_compile_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration")

_seconds = 0.0
_listening = False


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
    global _listening
    if not _listening:
        import jax

        jax.monitoring.register_event_duration_secs_listener(_hear)
        _listening = True
    return _seconds


def _hear(event: str, duration_secs: float, **_: Any) -> None:
    global _seconds
    if event in _COMPILING:
        _seconds += duration_secs
