"""Devices and meshes: the one place that knows of them. Everything else takes a mesh, or nothing."""

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fairjax.errors import InputError

__all__ = ["data_mesh", "replicated", "split_rows"]

_ROWS = "rows"


def data_mesh(n_devices: int | None = None) -> Mesh:
    """A mesh of one axis over devices of the default platform, for rows that are spread over them.

    Parameters
    ----------
    n_devices : int, optional
        How many; all by default.

    Raises
    ------
    InputError
        If there are not so many.

    Examples
    --------
    >>> data_mesh(1).size
    1
    """
    found = jax.devices()
    count = len(found) if n_devices is None else n_devices
    if not 1 <= count <= len(found):
        there = "there is 1 device" if len(found) == 1 else f"there are {len(found)} devices"
        raise InputError(f"n_devices is {n_devices}; {there} of the kind {found[0].platform!r}")
    return jax.make_mesh((count,), (_ROWS,), (AxisType.Auto,), devices=found[:count])


def split_rows(mesh: Mesh) -> NamedSharding:
    """First axis spread over the mesh, whatever follows whole on each device."""
    return NamedSharding(mesh, PartitionSpec(_ROWS))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on each device."""
    return NamedSharding(mesh, PartitionSpec())
