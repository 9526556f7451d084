"""A copy of a table as the device takes it, in a file of this process's own: passes read it several times quicker.

Decoding Parquet and laying rows out costs about as much as computing with them. The first pass writes each block down
as it is; the others read these. The file has no name, so it is gone when the process is, however that ends.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fairjax._core import memory
from fairjax._core.text import visible
from fairjax.errors import InputError
from fairjax.fca.streaming.feed import Block, Layout, Spare, empty

_LEAST = 2**25  # bytes; passes over smaller tables take no time
# Of what is free. What the system's cache of files cannot hold is no quicker to read than a table, which may be packed.
_OF_DISK, _OF_MEMORY = 0.25, 0.5
_IN_MEMORY = ("tmpfs", "ramfs")
_MOUNTS = Path("/proc/mounts")


def bytes_of(layout: Layout, n_rows: int) -> int:
    """Size of the copy of so many rows."""
    n_blocks = -(-n_rows // layout.size)
    return n_blocks * layout.size * ((layout.shape[1] + 1) * layout.dtype.itemsize + np.dtype(np.int32).itemsize)


def where_it_pays(n_bytes: int, n_processes: int = 1) -> str | None:
    """A folder for temporary files where copies of so many bytes, one of each process, are well kept; None if none is.

    The disk has four times the room, and memory twice, so that the system's cache of files holds them; and the folder
    is none that is in memory itself.
    """
    free, whole = memory.machine(), n_bytes * n_processes
    if n_bytes < _LEAST or free is None or whole > _OF_MEMORY * free:
        return None
    for folder in dict.fromkeys((tempfile.gettempdir(), "/var/tmp")):
        with contextlib.suppress(OSError):
            if _is_on_disk(folder) and whole <= _OF_DISK * shutil.disk_usage(folder).free:
                return folder
    return None


def _is_on_disk(folder: str) -> bool:
    """Whether a folder is not in memory, as far as the system tells."""
    here, kinds = Path(folder).resolve(strict=True), {}
    with contextlib.suppress(OSError):
        for line in _MOUNTS.read_text(errors="replace").splitlines():
            kinds[Path(line.split()[1])] = line.split()[2]
    mount = next((path for path in (here, *here.parents) if path in kinds), None)
    return mount is None or kinds[mount] not in _IN_MEMORY


class Scratch:
    """A file in a folder with room for the table: 4 (d + 2) bytes a row.

    Parameters
    ----------
    folder : path
    needed : bool
        Whether to raise an error where the room does not do; otherwise passes go on without the copy.

    Attributes
    ----------
    given_up : whether they do. n_bytes : of the copy so far.

    Raises
    ------
    InputError
        If nothing can be written there; later, if the room does not do.
    """

    def __init__(self, folder: str | os.PathLike[str], *, needed: bool = True) -> None:
        self._folder, self._needed = folder, needed
        self.given_up, self.n_bytes = False, 0
        self._rows: list[tuple[int, int]] = []  # number of the first row, and how many, of each block
        self._layout: Layout | None = None
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # as long as this object
        except OSError as error:
            raise self._told(error) from error

    def close(self) -> None:
        """Give the room back."""
        self._file.close()

    def holds(self, layout: Layout) -> bool:
        """Whether the whole table is there, laid out so."""
        return self._layout is layout

    def kept(self, source: Iterator[Block], layout: Layout) -> Iterator[Block]:
        """The blocks of a source, which are written down on the way."""
        self._rows.clear()
        self._file.seek(0)
        self.n_bytes = 0
        for block in source:
            if not self.given_up:
                self._keep(block)
            yield block
        if not self.given_up:
            self._layout = layout

    def _keep(self, block: Block) -> None:
        try:
            for part in _parts(block):
                self._go_on(self._file.write, part)
                self.n_bytes += len(part)
            self._rows.append((block.first, block.n_rows))
        except OSError as error:
            if self._needed:
                raise self._told(error) from error
            self.given_up, self.n_bytes = True, 0
            self._file.truncate(0)

    def blocks(self, layout: Layout, spare: Spare) -> Iterator[Block]:
        """The blocks again, which take the place of ``spare`` ones."""
        self._file.seek(0)
        for first, n_rows in self._rows:
            block = empty(layout, first, spare)._replace(n_rows=n_rows)
            try:
                for part in _parts(block):
                    self._go_on(self._file.readinto, part)
            except OSError as error:
                raise self._told(error) from error
            yield block

    @staticmethod
    def _go_on(move: Any, part: memoryview) -> None:
        done = 0
        while done < len(part):
            moved = move(part[done:])
            if not moved:
                raise OSError("it ends too early")
            done += moved

    def _told(self, error: OSError) -> InputError:
        return InputError(
            f"a copy of the table cannot be kept in {visible(self._folder, 200)} ({error.strerror or error}); give a "
            "folder with more room as scratch_dir, or leave that out"
        )


def _parts(block: Block) -> list[memoryview]:
    arrays: tuple[Any, ...] = (block.features, block.ids, block.weights)
    return [memoryview(part).cast("B") for part in arrays]


Copied = Callable[[Layout, int], Scratch | None]
