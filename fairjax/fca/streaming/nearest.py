"""The rows of least margin, kept as a pass goes; rows that are the same in all that decides stand together as one.

Where a table has few distinct rows, more of them may lie on a boundary than can be looked at one by one. A row that
stands for its copies is split between clusters like any other, and then so many copies go here and so many there.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax.fca.streaming.feed import Block
from fairjax.fca.streaming.intake import Floats

Keys = npt.NDArray[np.uint64]


class Open(NamedTuple):
    """Rows near a boundary, each for all of its copies.

    Attributes
    ----------
    features : (m, d) on the device's scale. ids : (m,) groups. weights : (m,) of one copy. labels : (m,) int32 their
    cluster in the pass. margins : (m,) to the second cheapest. rows : (m,) int64, the number of the first copy in the
    table. copies : (m,) int64.
    """

    features: Floats
    ids: npt.NDArray[np.int32]
    weights: Floats
    labels: npt.NDArray[np.int32]
    margins: Floats
    rows: npt.NDArray[np.int64]
    copies: npt.NDArray[np.int64]

    @property
    def masses(self) -> npt.NDArray[np.float64]:
        """Weight (m,) of all copies."""
        return self.weights.astype(np.float64) * self.copies


class Nearest:
    """Up to ``n_open`` different rows whose margin is below ``near``, the least of those that were added."""

    def __init__(self, n_open: int, near: float) -> None:
        self._n_open, self._limit, self._kept = n_open, near, 0
        self._parts: list[Open] = []

    def add(self, block: Block, labels: npt.NDArray[np.integer], margins: Floats) -> None:
        """Look at the rows of a block."""
        index = np.flatnonzero(margins < self._limit)
        own = labels[index].astype(np.int32)
        part = Open(
            block.coordinates(index), block.ids[index], block.weights[index], own, margins[index],
            block.first + index.astype(np.int64), np.ones(len(index), np.int64),
        )  # fmt: skip
        self._parts.append(part)
        self._kept += len(index)
        if self._kept > 2 * self._n_open:
            self._prune()

    def include(self, parts: Sequence[Open]) -> None:
        """Look at the open rows of other tables, in the order of these."""
        self._parts += [_chosen(part, np.flatnonzero(part.margins < self._limit)) for part in parts]

    def _prune(self) -> None:
        parts: list[Any] = [np.concatenate(part) for part in zip(*self._parts, strict=True)]
        whole = _together(Open(*parts))
        if len(whole.rows) > self._n_open:
            self._limit = float(np.partition(whole.margins, self._n_open)[self._n_open])
            whole = _chosen(whole, np.flatnonzero(whole.margins < self._limit))
        self._parts, self._kept = [whole], len(whole.rows)

    def result(self) -> tuple[Open, float]:
        """The rows, and the least margin of all others."""
        self._prune()
        return self._parts[0], float(self._limit)


def merged(parts: Sequence[Open], radii: Sequence[float], n_open: int) -> tuple[Open, float]:
    """The ``n_open`` rows of least margin of several tables, and the least margin of all others.

    ``radii`` are those of rows that the parts leave out.
    """
    found = Nearest(n_open, min(radii))
    found.include(parts)
    return found.result()


def row_keys(features: Floats, ids: npt.NDArray[np.int32], weights: Floats) -> Keys:
    """Hashes (m,) of rows by all that decides over them, 64 bits.

    Examples
    --------
    >>> keys = row_keys(np.array([[0.5], [1.5], [0.5]]), np.zeros(3, np.int32), np.ones(3))
    >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
    (True, False)
    """
    whole = np.concatenate([features, weights[:, None]], 1)
    words = np.ascontiguousarray(whole).view(np.uint64 if whole.itemsize == 8 else np.uint32).astype(np.uint64)
    found = _mixed(ids.astype(np.uint64))
    for column in words.T:
        found = _mixed(found ^ column)
    return found


def _mixed(values: Keys) -> Keys:
    with np.errstate(over="ignore"):
        values = (values + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        return values ^ (values >> np.uint64(32))


def _together(rows: Open) -> Open:
    """Each row once, with its copies; rows that a program has labelled differently stay apart."""
    keys = _mixed(row_keys(rows.features, rows.ids, rows.weights) ^ rows.labels.astype(np.uint64))
    distinct, first, place = np.unique(keys, return_index=True, return_inverse=True)
    if len(distinct) == len(keys):
        return rows
    copies = np.bincount(place, rows.copies, len(distinct)).astype(np.int64)
    return _chosen(rows, first)._replace(copies=copies)


def _chosen(rows: Open, index: npt.NDArray[np.intp]) -> Open:
    parts: list[Any] = [part[index] for part in rows]
    return Open(*parts)
