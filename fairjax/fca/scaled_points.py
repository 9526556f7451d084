"""Data from the host on the device: centred, scaled, padded to a few sizes; and results back in the data's units.

Small data sets are padded to a few sizes, with points of weight 0 and features of value 0, and the history has one of a
few lengths, so that most fits in a session need no compilation.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax._core import forks
from fairjax._core.compiling import stage
from fairjax.assignment.solution import Solution
from fairjax.errors import InputError
from fairjax.fca.alignment.result import Alignment
from fairjax.fca.direct import FairClustering
from fairjax.fca.points import GroupedPoints, prepare

_LARGEST = 1e150  # the square of a larger value would overflow
_FEW = 4096  # points up to which sizes are padded to powers of two
_ROOMS = (2**14, 2**16, 2**18)  # points that passes are compiled for; they skip the rest of the padding
_MANY = 2**20  # from this many points on, passes take longer than compiling, and nothing is padded
_ITERATIONS = 128  # length of the history for max_iter up to this
_LEAST_CLUSTERS = 4

Result = TypeVar("Result", FairClustering, Alignment)


class InUnits(ABC):
    """Units of data on the device: centred on ``shift`` (d,), in units of ``scale``.

    Subclasses say how the rows are stored.
    """

    n_features: int
    shift: npt.NDArray[Any]
    scale: float

    @property
    @abstractmethod
    def n_columns(self) -> int:
        """Number of columns on the device."""

    @property
    @abstractmethod
    def dtype(self) -> Any:
        """Dtype of the points on the device."""

    @abstractmethod
    def own_labels(self, labels: Array) -> npt.NDArray[Any]:
        """Labels (n,) of the rows that this process supplied, from the labels on the device."""

    @abstractmethod
    def own_rows(self, solution: Solution) -> tuple[Any, Any]:
        """Places (m,) of the split rows among this process's rows, and their places among all split rows."""

    def agreed(self, values: Any) -> Any:
        """Values that all processes agree on: those of the first process."""
        return values

    def to_device(self, centers: npt.NDArray[Any]) -> Array:
        """Centres (K, d) in the data's units as (K, d') in the device's units."""
        inside = (centers - self.shift) / self.scale
        width = self.n_columns - self.n_features
        return jnp.asarray(np.pad(inside, ((0, 0), (0, width))), self.dtype)

    def centers_of(self, centers: Array) -> npt.NDArray[Any]:
        """Centres (K, d') on the device as (K, d) in the data's units."""
        # in double precision, since float32 may not hold the unit
        return np.asarray(centers, np.float64)[:, : self.n_features] * self.scale + self.shift

    def cost_of(self, cost: Any) -> Any:
        """Costs on the device, of any shape, in the data's units."""
        # float32 may not hold the square of the unit
        return np.multiply(cost, self.scale**2, dtype=np.float64)

    def in_units(self, result: Result, max_iter: int) -> Result:
        """A result as numpy arrays in the data's units, without padding; labels and rows are this process's."""
        labels: Any = self.own_labels(result.assignment.labels)
        rows, kept = self.own_rows(result.assignment)
        whole = result._replace(assignment=result.assignment._replace(labels=labels))
        result = jax.tree.map(np.asarray, whole)
        solution = result.assignment
        solution = solution._replace(
            rows=rows,
            fractions=solution.fractions[kept],
            prices=self.cost_of(solution.prices),
            pressing=self.cost_of(solution.pressing),
            primal=self.cost_of(solution.primal),
            dual=self.cost_of(solution.dual),
        )
        centers: Any = self.centers_of(result.centers)
        result = result._replace(
            centers=centers,
            assignment=solution,
            cost=self.cost_of(result.cost),
            history=self.cost_of(result.history[:max_iter]),
        )
        if isinstance(result, Alignment):
            return result._replace(objectives=self.cost_of(result.objectives[:max_iter]))
        return result


@dataclass(frozen=True)
class ScaledPoints(InUnits):
    """Points on the device, centred, and scaled by a power of two so that no unit is too large or too small.

    Attributes
    ----------
    X : (n', d') padded points. weights : (n',) 0 for padding. ids : (n',) int32 groups 0..M-1.
    groups : (n,) on the host. n_groups : M. n_points, n_features : before padding.
    shift : (d,) subtracted from the data. scale : unit of X on the device.
    roomy : whether more points share the programs of the direct route, whose layout then has more padding.
    """

    X: Array
    weights: Array
    ids: Array
    groups: npt.NDArray[np.int32]
    n_groups: int
    n_points: int
    n_features: int
    shift: npt.NDArray[Any]
    scale: float
    roomy: bool = True

    @cached_property
    def grouped(self) -> GroupedPoints:
        """The points laid out for the passes of the direct route, on first use."""
        room = next((room for room in _ROOMS if self.roomy and _FEW < self.n_points <= room), None)
        if room is None:
            return _lay_out(self.X, self.ids, self.weights, None, n_groups=self.n_groups)
        # on the host, where a new size compiles nothing
        X, ids, weights = (_extended(leaf, room) for leaf in (self.X, self.ids, self.weights))
        return _lay_out(X, ids, weights, np.asarray(self.n_points, np.int32), n_groups=self.n_groups)

    @property
    def close(self) -> "ScaledPoints":
        """The same with little padding, for problems in which every point counts at every step."""
        return replace(self, roomy=False)

    @property
    def n_columns(self) -> int:
        """Number of columns on the device."""
        return int(self.X.shape[1])

    @property
    def dtype(self) -> Any:
        """Dtype of the points on the device."""
        return self.X.dtype

    @property
    def n_rows(self) -> int:
        """Number of all points."""
        return self.n_points

    @property
    def mesh(self) -> None:
        """None: all rows are on one device."""
        return None

    @property
    def for_starts(self) -> "ScaledPoints":
        """The points that starts come from: all of them."""
        return self

    def own_labels(self, labels: Array) -> npt.NDArray[Any]:
        """Labels (n,) without those of padding."""
        return np.asarray(labels)[: self.n_points]

    def own_rows(self, solution: Solution) -> tuple[Any, Any]:
        """Numbers (m,) of the split rows, without padding, and their places among all open rows."""
        rows = np.asarray(solution.rows)
        kept = rows < self.n_points
        return rows[kept], kept


def scale_points(
    X: npt.NDArray[Any],
    groups: npt.NDArray[np.int32],
    weights: npt.NDArray[Any] | None = None,
    *,
    n_groups: int,
) -> ScaledPoints:
    """Bring points X (n, d), group ids (n,) and weights (n,) or None to the device; one transfer.

    Raises
    ------
    InputError
        For values beyond 1e150, whose squares would overflow.

    Examples
    --------
    >>> import numpy as np
    >>> points = scale_points(np.array([[1e9], [1e9 + 3.0]]), np.array([0, 1], np.int32), n_groups=2)
    >>> points.scale, points.X.shape, points.centers_of(points.X[:2]).tolist()
    (2.0, (64, 4), [[1000000000.0], [1000000003.0]])
    """
    forks.check()
    dtype = np.dtype(jnp.result_type(float))
    n_points, n_features = X.shape
    rows, columns = padded(n_points, 64), padded(n_features, 4) if n_points <= _FEW else n_features
    # Far from the origin float32 has no digits left for distances, so subtract the mean before converting.
    check_magnitude(float(np.abs(X).max(initial=0.0)))
    shift = X.mean(0, dtype=np.float64).astype(X.dtype)
    centred = X - shift
    scale = scale_of(float(np.abs(centred).max(initial=0.0)), centred.dtype)
    inside = np.zeros((rows, columns), dtype)
    np.divide(centred, scale, out=inside[:n_points, :n_features], casting="same_kind")
    mass = np.zeros(rows, dtype)
    mass[:n_points] = 1 if weights is None else weights / weights.max()
    ids = np.zeros(rows, np.int32)
    ids[:n_points] = groups
    return ScaledPoints(
        jnp.asarray(inside), jnp.asarray(mass), jnp.asarray(ids), groups, n_groups, n_points, n_features,
        shift.astype(np.float64), scale,
    )  # fmt: skip


def check_magnitude(largest: float) -> None:
    """Refuse values whose squares would overflow, by the largest of them."""
    if largest > _LARGEST:
        raise InputError(f"X has values up to {largest:.3g}; expected at most {_LARGEST:.0e}: scale the columns first")


def scale_of(largest: float, dtype: npt.DTypeLike) -> float:
    """The power of two above the largest distance of a value from the mean, which ``dtype`` can hold; 1 for none."""
    if largest == 0:
        return 1.0
    _, exponent = np.frexp(max(largest, float(np.finfo(dtype).tiny)))
    return float(np.ldexp(1.0, int(exponent)))


def padded_clusters(n_clusters: int, n_points: int) -> int:
    """Number of clusters to compile for, at least ``n_clusters``: one of a few.

    Powers of two for few points; four sizes per doubling for more, where a pass takes longer; the number itself for
    many.

    Examples
    --------
    >>> [padded_clusters(9, n_points) for n_points in (1000, 30_000, 2_000_000)]
    [16, 10, 9]
    """
    if n_clusters == 1 or n_points > _MANY:
        return n_clusters
    whole = max(_LEAST_CLUSTERS, _power_of_two(n_clusters))
    step = max(1, whole // 8)
    return whole if n_points <= _FEW else -(-n_clusters // step) * step


def history_length(max_iter: int) -> int:
    """Length of the history for ``max_iter`` iterations: one of a few, so that programs are reused."""
    return max(_ITERATIONS, _power_of_two(max_iter))


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def padded(n: int, least: int) -> int:
    """A size for n, at least ``least``: powers of two, then eight sizes per doubling, so that programs are reused."""
    if n <= _FEW:
        return max(least, _power_of_two(n))
    step = _power_of_two(n) // 16
    return n if n > _MANY else -(-n // step) * step


def _extended(leaf: Array, room: int) -> Any:
    found = np.zeros((room, *leaf.shape[1:]), leaf.dtype)
    found[: len(leaf)] = np.asarray(leaf)
    return found


@partial(stage, static_argnames="n_groups")
def _lay_out(X: Array, ids: Array, weights: Array, n_rows: Any, *, n_groups: int) -> GroupedPoints:
    return prepare(X, ids, weights, n_rows=n_rows, n_groups=n_groups)
