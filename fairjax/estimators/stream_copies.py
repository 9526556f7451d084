"""Whether a fit over blocks keeps a copy of its rows on disk, and where."""

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairjax._core.processes import Crew
    from fairjax.fca.streaming.feed import Layout
    from fairjax.fca.streaming.scratch import Scratch

AUTOMATIC = "auto"


class Copying:
    """The copy that `scratch_dir` asks for: in that folder, nowhere (None), or where it pays ("auto").

    Parameters
    ----------
    folder : path, None or "auto"
    crew
        The processes of the fit, each with a copy of its own rows.
    stack
        At whose end the room is given back.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, crew: "Crew", stack: contextlib.ExitStack) -> None:
        self._folder, self._crew, self._stack = folder, crew, stack
        self._scratch: Scratch | None = None

    @property
    def n_bytes(self) -> int:
        """Bytes of this process's copy; 0 without one."""
        return 0 if self._scratch is None else self._scratch.n_bytes

    def check(self) -> None:
        """InputError at once if nothing can be written to the folder that was named."""
        if self._folder is not None and self._folder != AUTOMATIC:
            self._open(self._folder, needed=True)

    def of(self, layout: "Layout", n_rows: int) -> "Scratch | None":
        """Room for so many rows as they come to the device, if they are to be copied."""
        from fairjax.errors import InputError
        from fairjax.fca.streaming.scratch import bytes_of, where_it_pays

        if self._scratch is None and self._folder == AUTOMATIC:
            folder = where_it_pays(bytes_of(layout, n_rows), self._crew.size)
            if folder is not None:
                with contextlib.suppress(InputError):  # nobody asked for it
                    self._open(folder, needed=False)
        return self._scratch

    def _open(self, folder: str | os.PathLike[str], *, needed: bool) -> None:
        from fairjax.fca.streaming.scratch import Scratch

        self._scratch = self._stack.enter_context(contextlib.closing(Scratch(folder, needed=needed)))
