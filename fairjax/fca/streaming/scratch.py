"""A copy of a table as the device takes it, in a file of this process's own: passes read it several times quicker.

Decoding Parquet and laying rows out costs about as much as computing with them. The first pass writes each block down
as it is; the others read these. The file has no name, so it is gone when the process is, however that ends.
"""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

from fairjax._core.text import visible
from fairjax.errors import InputError
from fairjax.fca.streaming.feed import Block, Layout, Spare, empty


class Scratch:
    """A file in a folder with room for the table: 4 (d + 2) bytes a row.

    Raises
    ------
    InputError
        If nothing can be written there; later, if the room does not do.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = folder
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
        for block in source:
            try:
                for part in _parts(block):
                    self._go_on(self._file.write, part)
            except OSError as error:
                raise self._told(error) from error
            self._rows.append((block.first, block.n_rows))
            yield block
        self._layout = layout

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
