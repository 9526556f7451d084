"""The arguments of `fit` of FCA: rows of this process or of a sharded array, checked, and moved to the devices."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax._core import group_codes
from fairjax._core.text import counted
from fairjax.errors import InputError
from fairjax.estimators import inputs

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from fairjax.estimators.fca import FCA
    from fairjax.fca.restarts import FitPoints


class Given(NamedTuple):
    """The input of a fit.

    Attributes
    ----------
    X : (n, d)
        Rows of this process, or a ``jax.Array`` of all rows, spread over ``mesh``.
    groups : (n,)
        Ids of this process.
    weights : (n,)
        Weights of this process, or None.
    known
        The M group values.
    masses : (M,)
        Weights of the groups.
    n_rows
        Number of rows of all processes.
    mesh
        The devices for the rows; None for one device.
    """

    X: Any
    groups: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float64] | None
    known: npt.NDArray[Any]
    masses: npt.NDArray[np.float64]
    n_rows: int
    mesh: "Mesh | None"

    @property
    def n_processes(self) -> int:
        """Number of participating processes."""
        return 1 if self.mesh is None else len({device.process_index for device in self.mesh.devices.flat})

    def total(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The sum over all participating processes."""
        from fairjax._core import processes

        return values if self.mesh is None else processes.total(values)

    def seed(self, own: int) -> int:
        """The seed of the first participating process, which all of them use."""
        from fairjax._core import processes

        return own if self.mesh is None else int(processes.told(own)[0])

    def to_devices(self) -> "FitPoints":
        """The points on their devices."""
        from fairjax.fca.scaled_points import scale_points
        from fairjax.fca.spread_points import points_as_they_lie, spread_points

        n_groups = len(self.known)
        if self.mesh is None:
            return scale_points(self.X, self.groups, self.weights, n_groups=n_groups)
        if isinstance(self.X, np.ndarray):
            return spread_points(self.X, self.groups, self.weights, n_groups=n_groups, mesh=self.mesh)
        return points_as_they_lie(self.X, self.groups, self.weights, n_groups=n_groups)


class _Own(NamedTuple):
    """What this process has: ``X`` as in :class:`Given`, ids (n,), the values that they stand for, and weights."""

    X: Any
    ids: npt.NDArray[Any]
    values: npt.NDArray[Any]
    weights: npt.NDArray[np.float64] | None


def read(model: "FCA", X: Any, sensitive_features: Any, sample_weight: Any) -> Given:
    """Check the arguments of `fit`; of several processes either all raise an error, or none.

    Raises
    ------
    InputError
        See :meth:`fairjax.FCA.fit`.
    """
    from fairjax._core import sharding

    mesh, lying = _mesh(model, X, lies=sharding.over_devices(X))
    if mesh is None:
        own, n_rows = _own(model, X, sensitive_features, sample_weight, alone=True), None
        groups, known = own.ids.astype(np.int32), own.values
    else:
        own, groups, known, n_rows = _together(model, X if lying is None else lying, sensitive_features, sample_weight)
    given = Given(own.X, groups, own.weights, known, np.zeros(0), n_rows or len(groups), mesh)
    _check_rows(model, given)
    masses = given.total(np.bincount(groups, own.weights, len(known)).astype(np.float64))
    inputs.check_masses(masses, known)
    return given._replace(masses=masses)


def _mesh(model: "FCA", X: Any, *, lies: bool) -> tuple["Mesh | None", Any]:
    """The mesh for the rows, if any, and X over that mesh if it is already spread."""
    import jax

    from fairjax import parallel

    if lies and not X.sharding.is_fully_replicated:
        lying: Any = parallel.by_rows(X)
        mesh = lying.sharding.mesh
        if model.n_devices not in (1, "all", mesh.size):
            raise InputError(
                f"n_devices is {model.n_devices}, but X is spread over {mesh.size} devices, where it stays; leave "
                "n_devices out"
            )
        return mesh, lying
    if model.n_devices == 1:
        return None, None
    mesh = parallel.data_mesh(None if model.n_devices == "all" else int(model.n_devices))
    if mesh.size == 1:
        return None, None
    if jax.process_count() > 1 and mesh.size < jax.device_count():
        raise InputError(
            f"n_devices is {model.n_devices}, but {jax.process_count()} processes have {jax.device_count()} devices "
            'together; expected n_devices="all"'
        )
    return mesh, None


def _together(
    model: "FCA", X: Any, sensitive_features: Any, sample_weight: Any
) -> tuple[_Own, npt.NDArray[np.int32], npt.NDArray[Any], int]:
    """What this process has, its group ids among the values of all processes, these values, and the number of all
    rows.
    """
    import jax

    from fairjax._core import processes

    own, failure = None, ""
    try:
        own = _own(model, X, sensitive_features, sample_weight, alone=jax.process_count() == 1)
    except ValueError as error:
        if jax.process_count() == 1:
            raise
        failure = str(error)
    if jax.process_count() == 1:
        assert own is not None
        return own, own.ids.astype(np.int32), own.values, len(own.ids)
    settings = str({name: value for name, value in model.get_params().items() if name != "random_state"})
    seen = [] if own is None else [own.X.shape[1], len(own.ids), [group_codes.plain(value) for value in own.values]]
    told = processes.told([failure, settings, *seen])
    for process, (text, *_) in enumerate(told):
        if text:
            raise InputError(f"process {process}: {text}")
    for process, (_, others, columns, *_) in enumerate(told):
        if others != told[0][1] or columns != told[0][2]:
            raise InputError(
                f"processes 0 and {process} have other settings, {told[0][1]} and {others}, or numbers of columns, "
                f"{told[0][2]} and {columns}; expected the same in each"
            )
    assert own is not None
    n_rows = sum(found[3] for found in told)
    every = [group_codes.tupled(value) for found in told for value in found[4]]
    _, known = group_codes.encode(every, len(every))
    position = {group_codes.plain(value): i for i, value in enumerate(known)}
    rank = np.array([position[group_codes.plain(value)] for value in own.values], np.int32)
    return own, rank[own.ids] if len(own.ids) else np.zeros(0, np.int32), known, n_rows


def _own(model: "FCA", X: Any, sensitive_features: Any, sample_weight: Any, *, alone: bool) -> _Own:
    from fairjax._core import sharding

    if sharding.over_devices(X):
        n_own = inputs.check_sharded(model, X)
        sensitive_features, sample_weight = map(sharding.own_rows, (sensitive_features, sample_weight))
    else:
        X = inputs.points_of(model, X, reset=True, least=1 if alone else 0)
        n_own = X.shape[0]
    weights = inputs.weights_of(sample_weight, n_own, alone=alone)
    if sensitive_features is None or n_own:
        ids, values = inputs.groups_of(sensitive_features, n_own)
    else:
        ids, values = np.zeros(0, np.int32), np.zeros(0, object)
    return _Own(X, ids, values, weights)


def _check_rows(model: "FCA", given: Given) -> None:
    """Refuse more clusters than rows, and weights that are all zero."""
    if model.n_clusters > given.n_rows:
        raise InputError(
            f"n_samples={given.n_rows} is less than n_clusters={model.n_clusters}; ask for at most as many clusters "
            "as there are points"
        )
    if given.mesh is not None and given.mesh.size > given.n_rows:
        raise InputError(
            f"there are {counted(given.mesh.size, 'device')} for {counted(given.n_rows, 'row')}; take no more devices "
            "than rows"
        )
