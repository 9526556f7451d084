"""The first reading of a table: what is in it, and a sample that stays in memory.

Several processes read a share each, tell each other what they have found, and all come to the same.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax._core import group_codes
from fairjax._core.processes import Crew
from fairjax.errors import InputError
from fairjax.fca.scaled_points import scale_of
from fairjax.fca.streaming.intake import Floats, GroupIds, Intake, Rows
from fairjax.fca.streaming.sampling import SAMPLE, Drawn, Sample

_LARGEST = 1e150  # the square of a larger value cannot be told


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


def survey(intake: Intake, size: int = SAMPLE, crew: Crew | None = None) -> Survey:
    """Read the table once; O(n d), and memory for the sample of about ``size`` rows.

    With a crew of several processes ``intake`` is this one's share, and the survey is that of all.

    Raises
    ------
    InputError
        For a table without rows, of a group without weight, of values beyond 1e150, and for all that
        :class:`~fairjax.fca.streaming.intake.Intake` refuses.
    """
    crew = Crew(False) if crew is None else crew
    totals, drawn = _Totals(), Drawn(size)
    with crew.as_one():
        for rows in intake:
            totals.add(rows)
            drawn.add(rows, len(totals.sizes))
        if crew.size > 1:
            _check_plain(intake.groups.values)
    own_rows, own_values = totals.n_rows, intake.groups.values
    told = crew.told([own_values, intake.n_features, intake.weighted])
    # as they were sent: lists in place of tuples
    lists = [[group_codes.tupled(value) for value in values] if crew.size > 1 else values for values, *_ in told]
    values = _common(lists)
    intake.n_features = _the_same([n_features for _, n_features, _ in told], "numbers of features")
    intake.weighted = bool(_the_same([weighted for *_, weighted in told], "weights"))
    groups, order = _sorted(values)
    position = {values[place]: rank for rank, place in enumerate(order)}
    found = crew.gathered(totals.arrays() | drawn.arrays())
    totals, drawn = _Totals(), Drawn(size)
    for part, known in zip(found, lists, strict=True):
        rank = np.array([position[value] for value in known], np.int32)
        totals.include(part, rank, len(groups))
        drawn.include(part, rank, len(groups))
    if totals.n_rows == 0:
        raise InputError("the table has no rows; expected at least one")
    sizes, masses = totals.sizes, totals.masses
    absent = [group_codes.plain(value) for value, mass in zip(groups, masses, strict=True) if mass == 0]
    if absent:
        raise InputError(
            f"the group {group_codes.listed(absent)} has no weight; give its rows a positive weight, or leave them out"
        )
    intake.groups = GroupIds(groups.tolist() if groups.dtype != object else list(groups))
    intake.n_rows = own_rows
    sample, digest = drawn.sample(sizes, masses)
    shift, scale, mean, spread = totals.layout()
    # without what is rounded otherwise where other processes add it up
    digest = hashlib.sha256(repr((totals.n_rows, sizes.tolist(), digest)).encode()).hexdigest()
    return Survey(
        totals.n_rows, groups, sizes, masses, totals.heaviest, intake.weighted, shift, scale, mean, spread,
        totals.dtype, sample, digest,
    )  # fmt: skip


def _check_plain(values: list[Any]) -> None:
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the groups {group_codes.listed(values)} cannot be told to other processes ({error}); expected texts, "
            "numbers or truth values"
        ) from error


def _common(lists: list[list[Any]]) -> list[Any]:
    """The values that any process has met, each once."""
    values = list(dict.fromkeys(value for own in lists for value in own))
    if None in values and len(values) > 1:
        raise InputError("some processes have rows with groups, others without; give all or none")
    return values


def _the_same(found: list[Any], what: str) -> Any:
    """What all processes that have rows have found."""
    distinct = list(dict.fromkeys(value for value in found if value is not None))
    if len(distinct) > 1:
        raise InputError(f"processes have other {what} ({group_codes.listed(distinct)}); expected the same in each")
    return distinct[0] if distinct else None


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

    def arrays(self) -> dict[str, Any]:
        """What was summed up so far, for `include`."""
        if self.n_rows == 0:
            return {"n_rows": 0}
        return {
            "n_rows": self.n_rows, "sizes": self.sizes, "masses": self.masses, "heaviest": self.heaviest,
            "dtype": str(self.dtype), "about": self._about, "sums": self._sums, "heavy": self._heavy,
            "squares": self._squares, "least": self._least, "most": self._most,
        }  # fmt: skip

    def include(self, part: Mapping[str, Any], rank: npt.NDArray[np.int32], n_groups: int) -> None:
        """What was summed up elsewhere, where groups have other ids: ``rank`` tells those that they have here."""
        self.sizes = np.pad(self.sizes, (0, n_groups - len(self.sizes)))
        self.masses = np.pad(self.masses, (0, n_groups - len(self.masses)))
        if int(part["n_rows"]) == 0:
            return
        if self.n_rows == 0:
            self.dtype, self._about = np.dtype(str(part["dtype"])), part["about"]
            self._least, self._most = part["least"], part["most"]
            self._sums, self._heavy, self._squares = np.zeros((3, len(self._about)))
        self.dtype = np.promote_types(self.dtype, np.dtype(str(part["dtype"])))
        self._least, self._most = np.minimum(self._least, part["least"]), np.maximum(self._most, part["most"])
        np.add.at(self.sizes, rank, part["sizes"])
        np.add.at(self.masses, rank, part["masses"])
        self.heaviest = max(self.heaviest, float(part["heaviest"]))
        # sums about another point
        off = part["about"].astype(np.float64) - self._about.astype(np.float64)
        weight = float(part["masses"].sum())
        self._squares += part["squares"] + off * (2 * part["heavy"] + off * weight)
        self._heavy += part["heavy"] + off * weight
        self._sums += part["sums"] + off * int(part["n_rows"])
        self.n_rows += int(part["n_rows"])

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
        scale = scale_of(reach, self.dtype)
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
