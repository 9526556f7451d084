"""Ctrl-C that is never lost.

Python raises KeyboardInterrupt wherever it happens to be; inside a callback of a compiled library it is printed or
dropped, and the work goes on. So the request is also remembered, and raised again at the next report of progress.
"""

import signal
import sys
from types import FrameType

_requested = False


def listen() -> None:
    """Remember Ctrl-C in this process, unless it is ignored (as in the background) or handled by somebody else."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)
        sys.unraisablehook = _say_unless_asked


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed."""
    if _requested:
        raise KeyboardInterrupt


def _remember(number: int, frame: FrameType | None) -> None:
    global _requested
    _requested = True
    raise KeyboardInterrupt


def _say_unless_asked(lost: "sys.UnraisableHookArgs") -> None:
    """Leave out the traceback of a Ctrl-C that a callback dropped: `check` raises it again."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
