"""The first reading of a table: what is in it, and a sample that stays in memory.

Rows are drawn by a hash of their number, so that neither blocks nor processes change which ones. Half of the places go
to the groups in proportion, half to all of them alike, since a group that is rare has to be represented, too.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax._core import group_codes
from fairjax.errors import InputError
from fairjax.fca.streaming.intake import Floats, Intake, Rows

SAMPLE = 2**17  # rows, at most
_LEAST = 100_000
_ENTRIES = 2**20  # features of the sample; from so many on, programs take twice as long to compile
_LARGEST = 1e150  # the square of a larger value cannot be told

_Hashes = npt.NDArray[np.uint64]


class Sample(NamedTuple):
    """Rows that stand for all: X (m, d), ids (m,) int32, and weights (m,) that sum to those of their groups."""

    X: Floats
    ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float64]


class Survey(NamedTuple):
    """What one reading of a table tells.

    Attributes
    ----------
    n_rows : number of rows. groups : (M,) values, sorted. sizes : (M,) int64 rows of each.
    masses : (M,) weight of each; ``heaviest`` is the greatest weight of a row, ``weighted`` whether any were given.
    shift : (d,) mean of the rows, and scale : power of two, that features are brought to the device with.
    mean : (d,) weighted, and spread : () weighted mean square, of the features there.
    dtype : of the features. sample : :class:`Sample`. digest : of the sample and the totals.
    """

    n_rows: int
    groups: npt.NDArray[Any]
    sizes: npt.NDArray[np.int64]
    masses: npt.NDArray[np.float64]
    heaviest: float
    weighted: bool
    shift: npt.NDArray[np.float64]
    scale: float
    mean: npt.NDArray[np.float64]
    spread: float
    dtype: np.dtype[Any]
    sample: Sample
    digest: str


def survey(intake: Intake, size: int = SAMPLE) -> Survey:
    """Read the table once; O(n d), and memory for the sample of about ``size`` rows.

    Raises
    ------
    InputError
        For a table without rows, of a group without weight, of values beyond 1e150, and for all that
        :class:`~fairjax.fca.streaming.intake.Intake` refuses.
    """
    totals, drawn = _Totals(), _Drawn(size)
    for rows in intake:
        totals.add(rows)
        drawn.add(rows, totals.sizes)
    if totals.n_rows == 0:
        raise InputError("the table has no rows; expected at least one")
    values, order = _sorted(intake.groups.values)
    sizes, masses = totals.sizes[order], totals.masses[order]
    absent = [group_codes.plain(value) for value, mass in zip(values, masses, strict=True) if mass == 0]
    if absent:
        raise InputError(
            f"the group {group_codes.listed(absent)} has no weight; give its rows a positive weight, or leave them out"
        )
    intake.groups = type(intake.groups)(values.tolist() if values.dtype != object else list(values))
    intake.n_rows = totals.n_rows
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    sample, digest = drawn.sample(rank, totals.sizes, masses)
    shift, scale, mean, spread = totals.layout()
    told = hashlib.sha256(repr((totals.n_rows, sizes.tolist(), masses.tolist(), digest)).encode()).hexdigest()
    return Survey(
        totals.n_rows, values, sizes, masses, totals.heaviest, bool(intake.weighted), shift, scale, mean, spread,
        totals.dtype, sample, told,
    )  # fmt: skip


def _sorted(values: list[Any]) -> tuple[npt.NDArray[Any], list[int]]:
    """Values (M,) in order, or by their text where they have none, and the place of each before."""
    try:
        order = sorted(range(len(values)), key=lambda i: values[i])
    except TypeError:
        order = sorted(range(len(values)), key=lambda i: str(values[i]))
    kept = [values[i] for i in order]
    if all(isinstance(value, str | int | float | bool) for value in kept) and len({type(value) for value in kept}) == 1:
        return np.array(kept), order
    found = np.empty(len(kept), dtype=object)
    found[:] = kept
    return found, order


class _Totals:
    """Sums over all rows in double precision, of features about a point amid the first ones."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.sizes = np.zeros(0, np.int64)
        self.masses = np.zeros(0)
        self.heaviest = 0.0
        self.dtype: np.dtype[Any] = np.dtype(np.float32)

    def add(self, rows: Rows) -> None:
        columns = rows.columns
        if self.n_rows == 0:
            self.dtype = columns.dtype
            self._about = columns.mean(1, dtype=np.float64).astype(columns.dtype)
            none = np.zeros(len(columns))
            self._sums, self._heavy, self._squares = none.copy(), none.copy(), none.copy()
            self._least, self._most = columns.min(1), columns.max(1)
        self.dtype = np.promote_types(self.dtype, columns.dtype)
        n_groups = int(rows.ids.max()) + 1
        if n_groups > len(self.sizes):
            self.sizes = np.pad(self.sizes, (0, n_groups - len(self.sizes)))
            self.masses = np.pad(self.masses, (0, n_groups - len(self.masses)))
        self.sizes += np.bincount(rows.ids, minlength=len(self.sizes))
        if rows.weights is None:
            self.masses, self.heaviest = self.sizes.astype(np.float64), 1.0
        else:
            self.masses += np.bincount(rows.ids, rows.weights, len(self.masses))
            self.heaviest = max(self.heaviest, float(rows.weights.max()))
        for j, column in enumerate(columns):
            self._least[j], self._most[j] = min(self._least[j], column.min()), max(self._most[j], column.max())
            near = column - self._about[j]
            total = near.sum(dtype=np.float64)
            self._sums[j] += total
            if rows.weights is None:
                self._heavy[j] += total
                self._squares[j] += _square(near)
            else:
                heavy = rows.weights * near
                self._heavy[j] += heavy.sum()
                self._squares[j] += heavy @ near
        self.n_rows += columns.shape[1]

    def layout(self) -> tuple[npt.NDArray[np.float64], float, npt.NDArray[np.float64], float]:
        """Shift (d,) and scale of the device, and the weighted mean (d,) and mean square of features there."""
        largest = max(abs(float(self._least.min())), abs(float(self._most.max())))
        if largest > _LARGEST:
            raise InputError(
                f"there are values up to {largest:.3g}; expected at most {_LARGEST:.0e}: scale the columns first"
            )
        about = self._about.astype(np.float64)
        shift = (about + self._sums / self.n_rows).astype(self.dtype).astype(np.float64)
        least, most = self._least.astype(np.float64) - shift, self._most.astype(np.float64) - shift
        reach = max(float(most.max()), float(-least.min()))
        scale = float(np.ldexp(1.0, int(np.frexp(reach)[1]))) if reach > 0 else 1.0
        whole = self.masses.sum()
        off = shift - about
        squares = self._squares / whole - 2 * off * self._heavy / whole + off**2
        mean = (self._heavy / whole - off) / scale
        return shift, scale, mean, float(np.maximum(squares, 0).sum()) / scale / scale


def _square(values: Floats) -> float:
    """Sum of squares; of parts in their own type, and these in double precision."""
    part = 4096
    whole = values[: len(values) // part * part].reshape(-1, part)
    rest = values[whole.size :].astype(np.float64)
    return float(np.einsum("ij,ij->i", whole, whole).sum(dtype=np.float64) + rest @ rest)


class _Drawn:
    """Rows of least hash of each group, as many as it has places for."""

    def __init__(self, size: int) -> None:
        self._size, self._kept = size, 0
        self._limits: _Hashes = np.zeros(0, np.uint64)
        self._parts: list[tuple[_Hashes, Floats, npt.NDArray[np.int32], npt.NDArray[np.float64]]] = []

    def add(self, rows: Rows, sizes: npt.NDArray[np.int64]) -> None:
        if self._kept == 0:
            self._size = min(self._size, max(_ENTRIES // len(rows.columns), _LEAST))
        new = len(sizes) - len(self._limits)
        self._limits = np.pad(self._limits, (0, new), constant_values=np.uint64(2**64 - 1))
        hashes = _hashed(rows.first, rows.columns.shape[1])
        chosen = np.flatnonzero(hashes < self._limits[rows.ids])
        weights = np.ones(len(chosen)) if rows.weights is None else rows.weights[chosen]
        self._parts.append((hashes[chosen], rows.columns[:, chosen].T, rows.ids[chosen], weights))
        self._kept += len(chosen)
        if self._kept > 2 * self._size:
            self._prune(sizes)

    def _prune(self, sizes: npt.NDArray[np.int64]) -> None:
        hashes, X, ids, weights = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        places = _places(sizes, self._size)
        for group in np.flatnonzero(sizes):
            own = hashes[ids == group]
            if len(own) > places[group]:
                self._limits[group] = np.partition(own, places[group])[places[group]]
        kept = np.flatnonzero(hashes < self._limits[ids])
        self._parts = [(hashes[kept], X[kept], ids[kept], weights[kept])]
        self._kept = len(kept)

    def sample(
        self, rank: npt.NDArray[np.int32], sizes: npt.NDArray[np.int64], masses: npt.NDArray[np.float64]
    ) -> tuple[Sample, str]:
        """The sample and its digest; ``rank`` (M,) is each group's new id, and ``masses`` (M,) go by these."""
        if self._kept > self._size:
            self._prune(sizes)
        hashes, X, ids, weights = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        order = np.argsort(hashes)
        X, ids, weights = np.ascontiguousarray(X[order]), rank[ids[order]], weights[order]
        total = np.bincount(ids, weights, len(rank))
        part = np.divide(masses, total, out=np.zeros_like(masses), where=total > 0)
        digest = hashlib.sha256()
        for array in (hashes[order], X, ids, weights):
            digest.update(np.ascontiguousarray(array).data)
        return Sample(X, ids, weights * part[ids]), digest.hexdigest()


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
