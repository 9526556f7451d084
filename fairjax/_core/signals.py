"""Signals that end a program while its main thread is away in compiled code, where Python hears nothing.

Python runs its handlers in the main thread, between two of its own instructions; a compilation of some seconds lets
them wait. A thread that the system tells at once ends the process in its place, where nothing would be lost by that.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

PATIENCE = 1.0  # seconds in which the main thread may end by itself
_PAUSE = 0.1

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

_guards: list[Callable[[], bool]] = []
_watching = False


@contextmanager
def guard(may_end: Callable[[], bool]) -> Iterator[None]:
    """Within the block the process is not ended early unless ``may_end()``, which another thread asks."""
    _guards.append(may_end)
    try:
        yield
    finally:
        _guards.remove(may_end)


@contextmanager
def watching(numbers: Sequence[int], farewell: Callable[[int], None]) -> Iterator[None]:
    """Within the block, end the process on these signals once the main thread had its time and no guard objects.

    The signals need handlers of Python's own. Does nothing in another thread than the main one, within another such
    block, beside a library that has the system's word already, and where the system has no pipes of that kind.

    Parameters
    ----------
    numbers : sequence of int
    farewell : callable
        Is given the number, and says the last words; the exit code is 128 more.
    """
    global _watching
    if os.name != "posix" or _watching or threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if before != -1:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(reader, frozenset(numbers), farewell, over), daemon=True)
    thread.start()
    _watching = True
    try:
        yield
    finally:
        _watching = False
        over.set()
        signal.set_wakeup_fd(-1)
        os.close(writer)  # which ends the thread's reading
        thread.join(PATIENCE)


def _watch(reader: int, numbers: frozenset[int], farewell: Callable[[int], None], over: threading.Event) -> None:
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while heard := stream.read(1):
            if heard[0] in numbers:
                _end(heard[0], farewell, over)


def _end(number: int, farewell: Callable[[int], None], over: threading.Event) -> None:
    """End the process, unless the block ends first."""
    deadline = time.monotonic() + PATIENCE
    while not over.wait(_PAUSE):
        if time.monotonic() > deadline and all(may_end() for may_end in tuple(_guards)):
            farewell(number)
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(128 + number)
