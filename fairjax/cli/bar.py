"""A bar on standard error for work longer than a second, and only where somebody sees it."""

import sys
import threading
from typing import Any, Self

from fairjax.cli import interrupt

_PATIENCE = 1.0  # seconds before the bar appears


class Bar:
    """Context manager; call it with the stage and the share done, from 0 to 1.

    It stays silent when standard error is no terminal or ``wanted`` is False.
    """

    def __init__(self, wanted: bool = True) -> None:
        self._wanted = wanted and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._stage, self._share = "reading", 0.0
        self._progress: Any = None
        self._task: Any = None
        self._closed = False
        self._timer = threading.Timer(_PATIENCE, self._show)
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
