"""Rows in blocks of one size, laid out for the passes and read ahead of them.

However a table is cut into blocks, the device gets the same ones: as many rows as ``Layout.shape`` holds, the last
block filled up with rows of weight 0. So there is one program, and the cut of the table changes but last digits.
"""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from fairjax.fca.streaming.intake import Floats, Intake, Rows

if TYPE_CHECKING:
    from fairjax.fca.streaming.scratch import Scratch

T = TypeVar("T")

_AHEAD = 2  # blocks
_ALIGNED = 64  # bytes; what begins there need not be copied to a CPU's device


class Layout(NamedTuple):
    """How rows are brought to the device.

    Attributes
    ----------
    shape : number of parts, features, and rows of a part. dtype : there.
    shift : (d,) taken off the features, and scale : that they are then divided by. heaviest : of the weights.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    shift: npt.NDArray[np.float64]
    scale: float
    heaviest: float

    @property
    def size(self) -> int:
        """Rows of a block."""
        return self.shape[0] * self.shape[2]

    def features(self, columns: Floats, out: Floats) -> None:
        """Write columns (d, r) as the device has them; the shift goes in the table's own type, before that changes."""
        shift = self.shift.astype(columns.dtype)[:, None]
        if columns.dtype == out.dtype:
            np.subtract(columns, shift, out=out)
            out *= out.dtype.type(1 / self.scale)
        else:  # the unit may be beyond the range of the device's type
            np.divide(columns - shift, self.scale, out=out, casting="same_kind")


class Block(NamedTuple):
    """Rows as the device takes them.

    Attributes
    ----------
    features : (n_parts, d, r / n_parts). ids : (r,) int32. weights : (r,) relative to the heaviest, 0 for padding.
    first : number of the first row. n_rows : before padding.
    """

    features: Floats
    ids: npt.NDArray[np.int32]
    weights: Floats
    first: int
    n_rows: int

    def coordinates(self, index: npt.NDArray[np.intp]) -> Floats:
        """Features (m, d) of the rows at ``index`` (m,)."""
        return self.features[index // self.features.shape[2], :, index % self.features.shape[2]]


Spare = queue.SimpleQueue[Block]
"""Blocks that are done with, to be filled again."""


class Workshop:
    """What one pass leaves for the next: blocks to be filled again, a copy, and the thread that reads ahead.

    Memory that is asked for anew all the time, by a thread that is another one each time, is not all given back.
    """

    def __init__(self, scratch: "Scratch | None" = None) -> None:
        self.spare: Spare = queue.SimpleQueue()
        self.reader = ThreadPoolExecutor(1, "fairjax-reader")
        self.scratch = scratch


def blocks(intake: Intake, layout: Layout, workshop: Workshop) -> Generator[Block, None, None]:
    """The rows of a table in blocks, read ahead by a thread; close it if it is left early."""
    scratch = workshop.scratch
    if scratch is not None and scratch.holds(layout):
        return ahead(scratch.blocks(layout, workshop.spare), workshop.reader)
    source = fill(intake, layout, workshop.spare)
    kept = source if scratch is None or scratch.given_up else scratch.kept(source, layout)
    return ahead(kept, workshop.reader)


def fill(intake: Intake, layout: Layout, spare: Spare | None = None) -> Iterator[Block]:
    """The rows of a table in blocks, which take the place of ``spare`` ones."""
    spare = queue.SimpleQueue() if spare is None else spare
    block, end = empty(layout, intake.first, spare), 0
    for rows in intake:
        begin, n_rows = 0, rows.columns.shape[1]
        while begin < n_rows:
            taken = min(n_rows - begin, layout.size - end)
            _put(block, end, rows, begin, taken, layout)
            begin, end = begin + taken, end + taken
            if end == layout.size:
                yield block._replace(n_rows=end)
                block, end = empty(layout, block.first + end, spare), 0
    if end:
        block.weights[end:] = 0
        yield block._replace(n_rows=end)
    else:
        spare.put(block)


def empty(layout: Layout, first: int, spare: Spare) -> Block:
    """A block to be filled from row number ``first`` on."""
    with contextlib.suppress(queue.Empty):
        return spare.get_nowait()._replace(first=first, n_rows=0)
    return Block(
        _aligned(layout.shape, layout.dtype),
        _aligned((layout.size,), np.dtype(np.int32)),
        _aligned((layout.size,), layout.dtype),
        first,
        0,
    )


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    content = np.zeros(n_bytes + _ALIGNED, np.uint8)
    begin = -content.ctypes.data % _ALIGNED
    return content[begin : begin + n_bytes].view(dtype).reshape(shape)


def _put(block: Block, end: int, rows: Rows, begin: int, taken: int, layout: Layout) -> None:
    """Copy ``taken`` rows from number ``begin`` on to places from ``end`` on."""
    block.ids[end : end + taken] = rows.ids[begin : begin + taken]
    weights = 1.0 if rows.weights is None else rows.weights[begin : begin + taken] / layout.heaviest
    block.weights[end : end + taken] = weights
    length, done = layout.shape[2], 0
    while done < taken:
        part, at = divmod(end + done, length)
        some = min(taken - done, length - at)
        source = rows.columns[:, begin + done : begin + done + some]
        layout.features(source, block.features[part, :, at : at + some])
        done += some


def ahead(items: Iterable[T], reader: Executor, depth: int = _AHEAD) -> Generator[T, None, None]:
    """The items, made by a thread that is up to ``depth`` of them ahead; what it raises is raised here.

    The thread is ``reader``'s, which has one and nothing else to do meanwhile.

    Examples
    --------
    >>> with ThreadPoolExecutor(1) as reader:
    ...     list(ahead(range(3), reader))
    [0, 1, 2]
    """
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    over = threading.Event()

    def offer(what: tuple[str, Any]) -> None:
        while not over.is_set():
            try:
                return ready.put(what, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                offer(("item", item))
                if over.is_set():
                    return
            offer(("end", None))
        except BaseException as error:
            offer(("error", error))

    job = reader.submit(work)
    try:
        while True:
            kind, what = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise what
            yield what
    finally:
        over.set()
        wait([job])
