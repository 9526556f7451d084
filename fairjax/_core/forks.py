"""Processes forked from one in which JAX was at work: its threads are gone there, and a computation waits for ever."""

import os
import sys

from fairjax.errors import InputError

_lost = False


def _look() -> None:
    """Whether the process that was forked had started JAX's devices; JAX has no public word for that."""
    global _lost
    bridge = sys.modules.get("jax._src.xla_bridge")
    _lost = bool(getattr(bridge, "_backends", None))


def watch() -> None:
    """From now on notice forks of this process."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_look)


def check() -> None:
    """Refuse to compute where the threads that would do it stayed behind.

    Raises
    ------
    InputError
        In a process that `os.fork` made after JAX had begun to compute.
    """
    if _lost:
        raise InputError(
            "this process was forked from one in which JAX was at work, where it would wait for ever; start workers "
            'anew: multiprocessing.get_context("spawn"), joblib with its default backend "loky", or threads'
        )
