"""What reaches the terminal: nothing that it would obey, and nothing that it cannot show."""

import contextlib
import os
import sys
from typing import IO

from fairjax._core.text import visible

LONGEST = 2000  # characters of a sentence on standard error


_ours = False


def is_ours() -> bool:
    """Whether this process is the command, which speaks on its streams, and not a program that called `main`."""
    return _ours


def prepare() -> None:
    """Let standard output and error replace what their encoding lacks, in place of failing after the work."""
    global _ours
    _ours = True
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and getattr(stream, "errors", "") == "strict":
            with contextlib.suppress(OSError, ValueError):
                reconfigure(errors="replace")


def say(text: str) -> None:
    """Print one sentence on standard error, if there is one: on one line, control characters written out."""
    if sys.stderr is None:
        return
    sentence = visible(" ".join(text.splitlines()), LONGEST)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"fairjax: {sentence}", file=sys.stderr, flush=True)


def flush() -> None:
    """Push out what was printed; an error of the stream shows here rather than when Python ends."""
    if sys.stdout is not None:
        sys.stdout.flush()


def abandon(stream: IO[str] | None) -> None:
    """Point a stream that cannot be written to nowhere, so that Python does not complain when it closes it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)
