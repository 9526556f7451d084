"""The stages of a fit by the direct route, each one compiled program, on one device or over the devices of a mesh.

The control's value, the tolerance and the number of iterations are traced. Numbers are passed as NumPy scalars, which
all processes may pass.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from jax.sharding import Mesh

from fairjax import fca
from fairjax._core.compiling import stage
from fairjax.assignment import controls, several
from fairjax.assignment.attributes import AnyControl
from fairjax.fca.direct import FairClustering, State
from fairjax.fca.points import GroupedPoints
from fairjax.fca.spreading import OWN, over_rows, spot

Numbers = npt.NDArray[Any]


def _control(points: GroupedPoints, kind: str, value: Any, members: Any, n_clusters: int) -> AnyControl:
    """The control from its value () and whether it is additive, or (lower, upper, whole) for sizes."""
    if kind == "counts":
        lower, upper, whole = value
        return controls.counts(jnp.full((n_clusters,), lower), jnp.full((n_clusters,), upper), whole)
    value, additive = value
    if members:
        # a gap is zero: attributes offer no other
        floors = (value,) * len(members) if kind == "balance" else None
        return several.control(points.masses, members, min_balance=floors)
    return controls.either(additive > 0, value, points.masses)


@partial(stage, static_argnames=("length", "n_open", "kind", "mesh"))
def begin(
    points: GroupedPoints,
    centers: npt.NDArray[np.floating],
    present: npt.NDArray[np.bool_],
    value: Numbers,
    members: tuple[Numbers, ...],
    *,
    length: int,
    n_open: int,
    kind: str,
    mesh: Mesh | None,
) -> State:
    """The state before the first iteration from centres (K, d'), of which some are ``present`` (K,)."""

    def before(points: GroupedPoints, centers: Array, present: Array, value: Array, members: Any) -> State:
        fairness = _control(points, kind, value, members, centers.shape[0]) if members else None
        return fca.init(points, centers, present, max_iter=length, n_open=n_open, control=fairness)

    return over_rows(before, mesh, State)(points, centers, present, value, members)


@partial(stage, static_argnames=("kind", "mesh"))
def iterations(
    points: GroupedPoints,
    state: State,
    value: Numbers,
    members: tuple[Numbers, ...],
    tol: Numbers,
    until: Numbers,
    pause: Numbers,
    *,
    kind: str,
    mesh: Mesh | None,
) -> State:
    """Iterate until ``pause`` iterations are done, or to the end."""

    def run(points: GroupedPoints, state: State, value: Array, members: Any, *limits: Array) -> State:
        fairness = _control(points, kind, value, members, state.centers.shape[0])
        tol, until, pause = limits
        return fca.run(points, fairness, state, until=until, pause=pause, tol=tol)

    return over_rows(run, mesh, State)(points, state, value, members, tol, until, pause)


@partial(stage, static_argnames=("kind", "mesh"))
def finish(
    points: GroupedPoints,
    state: State,
    value: Numbers,
    members: tuple[Numbers, ...],
    *,
    kind: str,
    mesh: Mesh | None,
) -> FairClustering:
    """Labels and certificate of a final ``state``."""

    def end(points: GroupedPoints, state: State, value: Array, members: Any) -> FairClustering:
        return fca.finish(points, _control(points, kind, value, members, state.centers.shape[0]), state)

    return over_rows(end, mesh, FairClustering)(points, state, value, members)


@partial(stage, static_argnames="mesh")
def refill(points: GroupedPoints, state: State, *, mesh: Mesh | None) -> tuple[State, Array]:
    """The state with a useless centre moved, see :func:`fairjax.fca.refill`, and whether there was one."""
    return over_rows(fca.refill, mesh, (State, None))(points, state)


@partial(stage, static_argnames=("n_clusters", "mesh"))
def sizes(points: GroupedPoints, labels: Array, *, n_clusters: int, mesh: Mesh) -> Array:
    """Weight (K,) of each cluster."""

    def weigh(points: GroupedPoints, labels: Array) -> Array:
        own = jnp.zeros((n_clusters,), points.weights.dtype).at[labels].add(points.weights)
        return points.spread.sum(own)

    return over_rows(weigh, mesh, None, (spot(GroupedPoints), OWN))(points, labels)
