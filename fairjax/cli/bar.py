"""A bar on standard error for work longer than a second, where somebody sees it; a line where it goes elsewhere."""

import sys
import threading
from typing import Any, Self

from fairjax.cli import interrupt, terminal

_PATIENCE = 1.0  # seconds before the bar appears
_LONGER = 2.0  # and before the line does


class Bar:
    """Context manager; call it with the stage and the share done, from 0 to 1.

    It stays silent where ``wanted`` is False. Where standard error is no terminal, as in a pipe or a log, one line says
    what takes so long, unless the output is for a program (``for_program``).
    """

    def __init__(self, wanted: bool = True, *, for_program: bool = False) -> None:
        seen = sys.stderr is not None and sys.stderr.isatty()
        line = not seen and not for_program and terminal.is_ours()
        self._wanted = wanted and (seen or line)
        self._lock = threading.Lock()
        self._stage, self._share = "reading", 0.0
        self._progress: Any = None
        self._task: Any = None
        self._closed = False
        self._timer = threading.Timer(_LONGER if line else _PATIENCE, self._say if line else self._show)
        self._timer.daemon = True

    def __call__(self, stage: str, share: float) -> None:
        """Show the stage and how far it is; the place where a Ctrl-C that got lost is heard."""
        interrupt.check()
        with self._lock:
            self._stage, self._share = stage, share
            if self._progress is not None:
                self._progress.update(self._task, description=stage, completed=share)

    def __enter__(self) -> Self:
        if self._wanted:
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._closed = True
            if self._progress is not None:
                self._progress.stop()

    def _say(self) -> None:
        with self._lock:
            if not self._closed:
                terminal.say(f"{self._stage}; the first run on data of a new size compiles for some seconds")

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._closed:
                return
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._progress.add_task(self._stage, total=1.0, completed=self._share)
            self._progress.start()
