"""A sample of a table's rows that does not depend on blocks, their order, or on how many processes read them.

Rows are drawn by a hash of their number: those of least hash of all rows, and those of least hash of each group. What
is least among the least of several parts is least of all, so parts may be drawn from by themselves. Half of the places
go to the groups in proportion, half to all of them alike, since a group that is rare has to be represented, too.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax.fca.streaming.intake import Floats, Rows

SAMPLE = 2**19  # rows, at most
_ENTRIES = 2**22  # features of the sample, at most
_START, _START_ENTRIES = 2**17, 2**20  # for a start: from so many on, its programs take twice as long to compile
_LEAST = 100_000  # rows, whatever the number of features
_SPARE = 3  # times as many rows as there are places for are kept before some are dropped
_LAST = np.uint64(2**64 - 1)

_Hashes = npt.NDArray[np.uint64]


class Sample(NamedTuple):
    """Rows that stand for all: X (m, d), ids (m,) int32, and weights (m,) that sum to those of their groups."""

    X: Floats
    ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float64]


def for_start(sample: Sample, sizes: npt.NDArray[np.int64]) -> Sample:
    """What a smaller sample of a table with groups of ``sizes`` (M,) would be: its rows of least hash."""
    size = min(_START, max(_START_ENTRIES // sample.X.shape[1], _LEAST))
    if len(sample.ids) <= size:
        return sample
    by_hash = np.arange(len(sample.ids), dtype=np.uint64)  # as they lie there
    order, place = _places_in_groups(by_hash, sample.ids, len(sizes))
    kept = np.sort(order[place < _places(sizes, size)[sample.ids[order]]])
    ids, weights = sample.ids[kept], sample.weights[kept]
    return Sample(sample.X[kept], ids, _standing_for(ids, weights, np.bincount(sample.ids, sample.weights, len(sizes))))


class Drawn:
    """Rows of least hash of all and of each group, some more than there are places for."""

    def __init__(self, size: int = SAMPLE) -> None:
        self._size, self._kept = size, 0
        self._limit = _LAST
        self._limits: _Hashes = np.zeros(0, np.uint64)
        self._parts: list[tuple[_Hashes, Floats, npt.NDArray[np.int32], npt.NDArray[np.float64]]] = []

    def add(self, rows: Rows, n_groups: int) -> None:
        """Look at some rows of a table, of which so many groups have been met."""
        new = n_groups - len(self._limits)
        self._limits = np.pad(self._limits, (0, new), constant_values=_LAST)
        hashes = _hashed(rows.first, rows.columns.shape[1])
        chosen = np.flatnonzero(hashes < np.maximum(self._limit, self._limits[rows.ids]))
        weights = np.ones(len(chosen)) if rows.weights is None else rows.weights[chosen]
        self._keep(hashes[chosen], rows.columns[:, chosen].T, rows.ids[chosen], weights)

    def arrays(self) -> dict[str, Any]:
        """What was drawn so far, for `include`."""
        if not self._parts:
            return {}
        self._prune()
        return dict(zip(("hashes", "X", "ids", "weights"), self._parts[0], strict=True))

    def include(self, arrays: Mapping[str, Any], rank: npt.NDArray[np.int32], n_groups: int) -> None:
        """What was drawn elsewhere, where groups have other ids: ``rank`` tells those that they have here."""
        self._limits = np.pad(self._limits, (0, n_groups - len(self._limits)), constant_values=_LAST)
        if "hashes" in arrays:
            self._keep(arrays["hashes"], arrays["X"], rank[arrays["ids"]], arrays["weights"])

    def _keep(self, hashes: _Hashes, X: Floats, ids: npt.NDArray[np.int32], weights: Any) -> None:
        if not self._parts:
            self._size = min(self._size, max(_ENTRIES // X.shape[1], _LEAST))
        self._parts.append((hashes, X, ids, weights))
        self._kept += len(hashes)
        if self._kept > _SPARE * self._size:
            self._prune()

    def _prune(self) -> None:
        hashes, X, ids, weights = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        n_groups = len(self._limits)
        # more of all rows than there are places, so that by chance a group does not lack some of its own
        common, own = self._size + self._size // 4, max(self._size // n_groups, 1)
        if len(hashes) > common:
            self._limit = min(self._limit, np.partition(hashes, common)[common])
        order, place = _places_in_groups(hashes, ids, n_groups)
        self._limits[ids[order[place == own]]] = hashes[order[place == own]]
        kept = np.sort(order[(place < own) | (hashes[order] < self._limit)])
        self._parts = [(hashes[kept], X[kept], ids[kept], weights[kept])]
        self._kept = len(kept)

    def sample(self, sizes: npt.NDArray[np.int64], masses: npt.NDArray[np.float64]) -> tuple[Sample, str]:
        """The sample and its digest, for groups of so many rows (M,) and so much weight (M,)."""
        self._prune()
        hashes, X, ids, weights = self._parts[0]
        order, place = _places_in_groups(hashes, ids, len(sizes))
        kept = order[place < _places(sizes, self._size)[ids[order]]]
        kept = kept[np.argsort(hashes[kept])]
        X, ids, weights = np.ascontiguousarray(X[kept]), ids[kept], weights[kept]
        digest = hashlib.sha256()
        for array in (hashes[kept], X, ids, weights):
            digest.update(np.ascontiguousarray(array).data)
        return Sample(X, ids, _standing_for(ids, weights, masses)), digest.hexdigest()


def _standing_for(
    ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float64], masses: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Weights of rows that sum to ``masses`` (M,) in their groups."""
    total = np.bincount(ids, weights, len(masses))
    return weights * np.divide(masses, total, out=np.zeros_like(total), where=total > 0)[ids]


def _places_in_groups(
    hashes: _Hashes, ids: npt.NDArray[np.int32], n_groups: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows in the order of their groups and, within these, of their hashes; and the place of each in its group."""
    order: npt.NDArray[np.intp] = np.lexsort((hashes, ids))
    sizes = np.bincount(ids, minlength=n_groups)
    return order, np.arange(len(ids)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _places(sizes: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Places (M,) of groups with so many rows; what small ones leave goes to the others.

    Examples
    --------
    >>> _places(np.array([900, 90, 10]), 100).tolist()
    [68, 21, 10]
    """
    wanted = size * (0.5 * sizes / sizes.sum() + 0.5 / np.count_nonzero(sizes))
    places = np.minimum(sizes, np.floor(wanted).astype(np.int64))
    room, left = sizes - places, max(size - int(places.sum()), 0)
    return places + (left * room) // max(int(room.sum()), 1)


def _hashed(first: int, n: int) -> _Hashes:
    """Hashes (n,) of the numbers from ``first`` on, spread evenly over 64 bits (SplitMix64)."""
    with np.errstate(over="ignore"):
        x = np.arange(first + 1, first + 1 + n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
