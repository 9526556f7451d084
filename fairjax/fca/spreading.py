"""The pure functions of the direct route as programs over the devices of a mesh, each with its own rows."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec

from fairjax._core.rows import AXIS
from fairjax.assignment.screening import Assignment
from fairjax.assignment.solution import Solution
from fairjax.fca.direct import FairClustering, State
from fairjax.fca.points import GroupedPoints

OWN, WHOLE = PartitionSpec(AXIS), PartitionSpec()


def over_rows(
    function: Callable[..., Any], mesh: Mesh | None, results: Any, given: tuple[Any, ...] | None = None
) -> Callable[..., Any]:
    """``function`` run by every device on its own rows; unchanged without a mesh.

    ``results`` is the type of what it returns, a tuple of types, or None if all devices return the same. The placement
    of arguments follows from their types, or is ``given``.
    """
    if mesh is None:
        return function
    placed = tuple(map(spot, results)) if isinstance(results, tuple) else spot(results)

    def spread(*args: Any) -> Any:
        lying = given if given is not None else tuple(spot(type(value)) for value in args)
        return jax.shard_map(function, mesh=mesh, in_specs=lying, out_specs=placed)(*args)

    return spread


def spot(kind: Any) -> Any:
    """Where the leaves of a type are placed: rows on their devices, all else on every one."""
    if kind is GroupedPoints:
        return _fields(GroupedPoints, features=OWN, groups=OWN, weights=OWN)
    if kind is State:
        return _fields(State, assignment=_fields(Assignment, labels=OWN))
    if kind is FairClustering:
        return _fields(FairClustering, assignment=_fields(Solution, labels=OWN))
    return WHOLE


def _fields(kind: Any, **own: Any) -> Any:
    return kind(**{name: own.get(name, WHOLE) for name in kind._fields})
