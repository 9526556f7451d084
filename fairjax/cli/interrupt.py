"""Ctrl-C and the signals that end a program: never lost, and answered at once.

Python raises KeyboardInterrupt wherever it happens to be; inside a callback of a compiled library it is printed or
dropped, and the work goes on. So the request is also remembered, and raised again at the next report of progress. While
a program is compiled nothing is raised for seconds: there a thread ends the process (`fairjax._core.signals`).
"""

import contextlib
import os
import signal
import sys
import threading
from contextlib import ExitStack
from types import FrameType

from fairjax._core import signals
from fairjax.cli import terminal

AS_THEY_WERE = "output files are as they were"

_requested: int | None = None
_saying = threading.Lock()  # which is not given back: the last words are said once
_for_life = ExitStack()


class Stopped(KeyboardInterrupt):
    """Asked to stop by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {name_of(number)}; {AS_THEY_WERE}")
        self.number = number


def listen() -> None:
    """Listen in this process, unless a signal is ignored (as with nohup) or handled by somebody else."""
    ours = []
    for number in (signal.SIGINT, *signals.ENDING):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _remember)
            ours.append(number)
    sys.unraisablehook = _say_unless_asked
    _for_life.enter_context(signals.watching(ours, _farewell))


def check() -> None:
    """Raise `Stopped` if that was asked for."""
    if _requested is not None:
        raise Stopped(_requested)


def end(code: int, sentence: str) -> None:
    """Say the last words, once, and leave: threads of JAX may be at work still, and must not be waited for."""
    _saying.acquire()
    with contextlib.suppress(ValueError):  # in another thread than the main one
        for number in (signal.SIGINT, *signals.ENDING):
            signal.signal(number, signal.SIG_IGN)
    terminal.say(sentence)
    os._exit(code)


def name_of(number: int) -> str:
    """What a signal is called in a sentence."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def _farewell(number: int) -> None:
    checkpoints = sys.modules.get("fairjax.deep.training.checkpoints")
    folder = None if checkpoints is None else checkpoints.kept_in()
    rest = AS_THEY_WERE if folder is None else f"the training is kept in {folder}: go on with --resume"
    end(128 + number, f"stopped by {name_of(number)}; {rest}")


def _remember(number: int, frame: FrameType | None) -> None:
    global _requested
    _requested = number
    raise Stopped(number)


def _say_unless_asked(lost: "sys.UnraisableHookArgs") -> None:
    """Leave out the traceback of a Ctrl-C that a callback dropped: `check` raises it again."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
