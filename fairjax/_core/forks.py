"""Processes forked from one that had used JAX: its threads do not exist there, so a computation would never end."""

import os
import sys

from fairjax.errors import InputError

_lost = False


def _look() -> None:
    """Note whether the forked process had started JAX's devices; JAX has no public function for that."""
    global _lost
    bridge = sys.modules.get("jax._src.xla_bridge")
    _lost = bool(getattr(bridge, "_backends", None))


def watch() -> None:
    """Notice forks of this process from now on."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_look)


def check() -> None:
    """Refuse to compute in a process without the threads to do it.

    Raises
    ------
    InputError
        In a process made by `os.fork` after JAX had begun to compute.
    """
    if _lost:
        raise InputError(
            "this process was forked from one in which JAX was at work, where it would wait for ever; start workers "
            'anew: multiprocessing.get_context("spawn"), joblib with its default backend "loky", or threads'
        )
