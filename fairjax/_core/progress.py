"""Progress reports of long work: ignored by default, shown as a bar on the command line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[str, float], None]

_watcher: ContextVar[Watcher | None] = ContextVar("fairjax_watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Within the block, pass every report of this thread to ``watcher(stage, share)``."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def report(stage: str, share: float) -> None:
    """Report what is being done, and which share of the whole, from 0 to 1, is done."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(stage, share)


def report_to() -> Watcher:
    """The current watcher; by default a function that does nothing."""
    return _watcher.get() or (lambda _stage, _share: None)
