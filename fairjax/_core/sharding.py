"""Arrays whose rows lie on several devices, seen from outside any program; they stay where they are."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from fairjax.errors import InputError


def over_devices(array: Any) -> bool:
    """Whether it is a concrete JAX array with parts on several devices."""
    concrete = isinstance(array, jax.Array) and not isinstance(array, jax.core.Tracer)
    return concrete and len(array.sharding.device_set) > 1


def of_rows(array: Any) -> tuple[Mesh, str | tuple[str, ...]] | None:
    """The mesh and the axis over which the rows of an array are spread; None if they are in one place.

    Raises
    ------
    InputError
        If it is spread in another way: by columns, or not by a mesh.
    """
    if not over_devices(array) or array.sharding.is_fully_replicated:
        return None
    found: Any = array.sharding
    if not isinstance(found, NamedSharding):
        raise InputError(
            f"an array of shape {array.shape} is spread over devices as {type(found).__name__}; expected a "
            "jax.sharding.NamedSharding of its first axis: see fairjax.parallel.split_rows"
        )
    spec = (*found.spec, *(None,) * (array.ndim - len(found.spec)))
    if spec[0] is None or any(axis is not None for axis in spec[1:]):
        raise InputError(
            f"an array of shape {array.shape} is spread over devices by {found.spec}; expected its rows to be, and "
            "its columns not: see fairjax.parallel.split_rows"
        )
    mesh: Any = found.mesh
    return mesh, spec[0]


def own_rows(array: Any) -> Any:
    """The rows of an array on this process's devices, copied to the host; anything else unchanged."""
    if not over_devices(array):
        return array
    return np.concatenate([np.asarray(part) for part in parts(array)])


def parts(array: Any) -> list[Any]:
    """The row blocks on this process's devices, each once, in their order."""
    found = {shard.index[0].start or 0: shard.data for shard in array.addressable_shards}
    return [found[start] for start in sorted(found)]
