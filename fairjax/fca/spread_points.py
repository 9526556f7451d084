"""Points whose rows are spread over devices, laid out there; and results back in the data's own units.

Rows from the host go to this process's devices, as many to each as to any other device of the mesh, the last devices
padded with rows of weight 0. A ``jax.Array`` whose rows are already spread stays where it is. No device and no process
ever has all rows: starts come from a sample, and each process gets the labels of its own rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from jax.sharding import Mesh, NamedSharding

from fairjax._core import forks, processes
from fairjax._core.compiling import stage
from fairjax._core.rows import AXIS, Rows
from fairjax.assignment.solution import Solution
from fairjax.errors import InputError
from fairjax.fca.points import GroupedPoints, coordinates, prepare, whole_blocks
from fairjax.fca.scaled_points import InUnits, ScaledPoints, check_magnitude, padded, scale_of
from fairjax.fca.spreading import OWN, WHOLE, over_rows

_SAMPLE = 2**17  # rows to draw starts from, at most
_LEAST = 64  # rows per device
_SPREAD = Rows(AXIS)


@dataclass(frozen=True)
class Shares:
    """Which rows the devices of a mesh have.

    Attributes
    ----------
    held : (D,)
        Rows of each, without padding.
    local : (L,)
        This process's devices among them.
    """

    held: npt.NDArray[np.int64]
    local: npt.NDArray[np.int64]

    @property
    def own(self) -> npt.NDArray[np.int64]:
        """Rows (L,) of this process's devices."""
        return self.held[self.local]


@dataclass(frozen=True)
class SpreadPoints(InUnits):
    """Points over the devices of a mesh, centred and scaled by a power of two.

    Attributes
    ----------
    grouped
        Laid out, with rows over the mesh.
    mesh, shares
        Where they are.
    groups : (n,)
        Groups of this process's rows, on the host.
    n_points
        n, of this process.
    n_groups : M
    n_features : d
    shift : (d,)
        Subtracted from the data.
    scale
        Unit of the points on the device.
    """

    grouped: GroupedPoints
    mesh: Mesh
    shares: Shares
    groups: npt.NDArray[np.int32]
    n_points: int
    n_groups: int
    n_features: int
    shift: npt.NDArray[Any]
    scale: float

    @property
    def n_columns(self) -> int:
        """Number of columns on the device."""
        return self.n_features

    @property
    def dtype(self) -> Any:
        """Dtype of the points on the device."""
        return self.grouped.features.dtype

    @property
    def n_rows(self) -> int:
        """Number of points of all processes."""
        return int(self.shares.held.sum())

    @property
    def room(self) -> int:
        """Number of rows per device, padding included."""
        return int(self.grouped.weights.shape[0]) // self.mesh.size

    @property
    def close(self) -> "SpreadPoints":
        """The same points, which have little padding."""
        return self

    @cached_property
    def for_starts(self) -> ScaledPoints:
        """The points that starts come from: at most 131,072 random rows, in one place, the same in every process."""
        until = np.cumsum(self.shares.held)
        chosen = np.arange(self.n_rows)
        if self.n_rows > _SAMPLE:
            chosen = np.sort(np.random.default_rng(0).choice(self.n_rows, _SAMPLE, replace=False, shuffle=False))
        device = np.searchsorted(until, chosen, side="right")
        places = chosen - (until - self.shares.held)[device]
        index = np.full(padded(len(chosen), _LEAST), self.room * self.mesh.size, np.int32)
        index[: len(chosen)] = device * self.room + places
        X, ids, weights = map(np.asarray, _looked_up(self.grouped, index, mesh=self.mesh))
        largest = weights.max()
        weights = weights / (largest if largest > 0 else 1)
        return ScaledPoints(
            jnp.asarray(X), jnp.asarray(weights), jnp.asarray(ids), ids[: len(chosen)], self.n_groups, len(chosen),
            self.n_features, self.shift, self.scale,
        )  # fmt: skip

    def agreed(self, values: Any) -> Any:
        """Values that all processes agree on: those of the first process."""
        return processes.agreed(np.asarray(values))

    def own_labels(self, labels: Array) -> npt.NDArray[Any]:
        """Labels (n,) of this process's rows."""
        parts = sorted(labels.addressable_shards, key=lambda shard: shard.index[0].start or 0)
        found = [np.asarray(part.data)[:held] for part, held in zip(parts, self.shares.own.tolist(), strict=True)]
        return np.concatenate(found)

    def own_rows(self, solution: Solution) -> tuple[Any, Any]:
        """Places (m,) of the split rows among this process's rows, and their places among all split rows."""
        rows = np.asarray(solution.rows)
        first = np.full(self.mesh.size + 1, -1)
        first[self.shares.local] = np.cumsum(self.shares.own) - self.shares.own
        device, place = np.divmod(rows, self.room)
        device = np.minimum(device, self.mesh.size)
        kept = (first[device] >= 0) & (place < np.append(self.shares.held, 0)[device])
        return (first[device] + place)[kept].astype(rows.dtype), kept


def spread_points(
    X: npt.NDArray[Any],
    groups: npt.NDArray[np.int32],
    weights: npt.NDArray[Any] | None = None,
    *,
    n_groups: int,
    mesh: Mesh,
) -> SpreadPoints:
    """Spread this process's points X (n, d), group ids (n,) and weights (n,) or None over the devices of a mesh.

    A process may have no rows, but every process must call this.

    Raises
    ------
    InputError
        For values beyond 1e150, and for fewer rows than devices.
    """
    forks.check()
    n_points, n_features = X.shape
    local = _local(mesh)
    counts = processes.told([n_points, len(local)])
    n_rows = sum(n_own for n_own, _ in counts)
    if n_rows < mesh.size:
        raise InputError(f"there are {mesh.size} devices for {n_rows} rows; take no more devices than rows")
    room = whole_blocks(padded(max(-(-n_own // n_devices) for n_own, n_devices in counts), _LEAST))
    held = np.clip(n_points - room * np.arange(len(local)), 0, room)
    check_magnitude(float(processes.greatest(np.abs(X).max(initial=0.0, keepdims=True).ravel())[0]))
    shift = (processes.total(X.sum(0, dtype=np.float64)) / n_rows).astype(X.dtype)
    reach = np.zeros(1) if n_points == 0 else np.maximum(X.max(0) - shift, shift - X.min(0)).max(keepdims=True)
    scale = scale_of(float(processes.greatest(reach.astype(np.float64))[0]), X.dtype)
    dtype = np.dtype(jnp.result_type(float))

    def put(values: npt.NDArray[Any], dtype: Any, change: Callable[[Any], Any] = lambda part: part) -> Array:
        parts = []
        for i, device in enumerate(mesh.devices.flat[j] for j in local):
            part = np.zeros((room, *values.shape[1:]), dtype)
            part[: held[i]] = change(values[i * room : i * room + held[i]])
            parts.append(jax.device_put(part, device))
        shape = (room * mesh.size, *values.shape[1:])
        return jax.make_array_from_single_device_arrays(shape, NamedSharding(mesh, OWN), parts)

    inside = put(X, dtype, lambda part: (part - shift) / scale)
    grouped = _lay_out(
        inside, put(groups, np.int32), put(_masses(weights, n_points), dtype), n_groups=n_groups, mesh=mesh
    )
    shares = _shares(mesh, held)
    return SpreadPoints(grouped, mesh, shares, groups, n_points, n_groups, n_features, shift.astype(np.float64), scale)


def points_as_they_lie(
    X: Array,
    groups: npt.NDArray[np.int32],
    weights: npt.NDArray[Any] | None = None,
    *,
    n_groups: int,
) -> SpreadPoints:
    """The same for a ``jax.Array`` X (n, d) whose rows are spread over a mesh of one axis, :data:`AXIS`.

    ``groups`` and ``weights`` belong to the rows on this process's devices.

    Raises
    ------
    InputError
        For values that are not finite, or beyond 1e150.
    """
    forks.check()
    sharding: Any = X.sharding
    mesh = sharding.mesh
    dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.dtype(jnp.result_type(float))
    mean, largest, reach = map(np.asarray, _measured(X.astype(dtype), mesh=mesh))
    if not np.isfinite(largest):
        raise InputError("X holds NaN or infinite values; expected finite numbers: fill them in, or leave them out")
    check_magnitude(float(largest))
    scale = scale_of(float(reach), dtype)
    room = X.shape[0] // mesh.size
    ids, mass = (
        jax.make_array_from_process_local_data(NamedSharding(mesh, OWN), np.asarray(values, kind), X.shape[:1])
        for values, kind in ((groups, np.int32), (_masses(weights, len(groups)), dtype))
    )
    grouped = _lay_out(X, ids, mass, mean, np.asarray(scale, dtype), n_groups=n_groups, mesh=mesh)
    shares = _shares(mesh, np.full(len(_local(mesh)), room))
    return SpreadPoints(
        grouped, mesh, shares, groups, len(groups), n_groups, X.shape[1], mean.astype(np.float64), scale
    )


def _local(mesh: Mesh) -> npt.NDArray[np.int64]:
    """Which devices of the mesh are this process's."""
    owner = [device.process_index for device in mesh.devices.flat]
    return np.flatnonzero(np.asarray(owner) == jax.process_index())


def _shares(mesh: Mesh, held: npt.NDArray[Any]) -> Shares:
    """What all devices hold, given the rows ``held`` (L,) by this process's devices."""
    local = _local(mesh)
    everywhere = np.zeros(mesh.size, np.int64)
    everywhere[local] = held
    return Shares(processes.total(everywhere), local)


def _masses(weights: npt.NDArray[Any] | None, n_points: int) -> npt.NDArray[Any]:
    """Weights (n,), scaled so that the greatest of all processes is 1."""
    if weights is None:
        return np.ones(n_points)
    return weights / float(processes.greatest(weights.max(initial=0, keepdims=True))[0])


@partial(stage, static_argnames=("n_groups", "mesh"))
def _lay_out(
    X: Array, ids: Array, weights: Array, shift: Any = None, scale: Any = None, *, n_groups: int, mesh: Mesh
) -> GroupedPoints:
    def lay_out(X: Array, ids: Array, weights: Array, *unit: Array) -> GroupedPoints:
        inside = (X.astype(unit[0].dtype) - unit[0]) / unit[1] if unit else X
        return prepare(inside, ids, weights, n_groups=n_groups, rows=_SPREAD)

    unit = () if shift is None else (shift, scale)
    placed = (OWN, OWN, OWN, *(WHOLE for _ in unit))
    return over_rows(lay_out, mesh, GroupedPoints, placed)(X, ids, weights, *unit)


@partial(stage, static_argnames="mesh")
def _looked_up(points: GroupedPoints, index: npt.NDArray[np.int32], *, mesh: Mesh) -> tuple[Array, Array, Array]:
    """Points (m, d), group ids and weights (m,) of the rows with these numbers; 0 if there is no such row."""

    def look_up(points: GroupedPoints, index: Array) -> tuple[Array, Array, Array]:
        n_own = points.weights.shape[0]

        def tell(own: Array) -> tuple[Array, Array, Array]:
            inside = jnp.minimum(own, n_own - 1)
            return coordinates(points, inside) + points.mean, points.groups[inside], points.weights[inside]

        return points.spread.at(index, tell, n_own)

    return over_rows(look_up, mesh, None)(points, index)


@partial(stage, static_argnames="mesh")
def _measured(X: Array, *, mesh: Mesh) -> tuple[Array, Array, Array]:
    """Mean (d,), the largest value (), and the largest distance from the mean ()."""

    def measure(X: Array) -> tuple[Array, Array, Array]:
        mean = _SPREAD.sum(jnp.mean(X, 0)) / _SPREAD.n_devices
        # on some platforms a maximum over devices loses NaN
        largest = jnp.where(jnp.all(jnp.isfinite(X)), jnp.max(jnp.abs(X)), jnp.inf)
        return mean, _SPREAD.greatest(largest), _SPREAD.greatest(jnp.max(jnp.abs(X - mean)))

    return over_rows(measure, mesh, None, (OWN,))(X)
