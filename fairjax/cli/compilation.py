"""Compile time on the command line: kept low by a cache on disk, and told apart from the work.

Every command is a process of its own and would compile for some seconds each time. JAX can keep compiled programs on
disk; they go into the user's cache, apart for each kind of processor, because native code of one need not run on
another that shares the folder.
"""

import contextlib
import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

_MOST_BYTES = 200 * 2**20
_COMPILING = ("/jax/core/compile/backend_compile_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration")

_seconds = 0.0
_listening = False


def keep_programs() -> None:
    """Let JAX, not imported yet, keep compiled programs, unless the environment already says where or not to."""
    if "jax" in sys.modules or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    from fairjax.datasets.files import user_cache

    folder = user_cache() / "compiled" / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _prune(folder)
        if not os.access(folder, os.W_OK):
            return
    except OSError:
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


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


def _processor() -> str:
    text = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        text += "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _prune(folder: Path) -> None:
    """Remove the oldest programs while they take more than their due."""
    files = sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: file.stat().st_mtime)
    excess = sum(file.stat().st_size for file in files) - _MOST_BYTES
    for file in files:
        if excess <= 0:
            break
        excess -= file.stat().st_size
        file.unlink(missing_ok=True)
