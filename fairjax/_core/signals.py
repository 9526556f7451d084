"""Signals that end a program while its main thread is in compiled code, where Python cannot react.

Python runs its handlers in the main thread, between two of its own instructions; a compilation of some seconds delays
them. A thread that the system notifies at once ends the process instead, unless something would be lost.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

PATIENCE = 1.0  # seconds that the main thread has to end by itself
_PAUSE = 0.1

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

_guards: list[Callable[[], bool]] = []
_watching = False


@contextmanager
def guard(may_end: Callable[[], bool]) -> Iterator[None]:
    """Within the block, do not end the process early unless ``may_end()``, which another thread calls, is true."""
    _guards.append(may_end)
    try:
        yield
    finally:
        _guards.remove(may_end)


@contextmanager
def watching(numbers: Sequence[int], farewell: Callable[[int], None]) -> Iterator[None]:
    """Within the block, end the process on these signals once the main thread has had its time, unless a guard objects.

    The signals need Python handlers. Does nothing in a thread other than the main one, within another such block, if a
    library already uses the system's notification, and on systems without such pipes.

    Parameters
    ----------
    numbers : sequence of int
    farewell : callable
        Called with the number, to print a last message; the exit code is the number plus 128.
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
        os.close(writer)  # ends the thread's reading
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
