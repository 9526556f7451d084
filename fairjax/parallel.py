"""Devices and meshes: the only module that creates them. Everything else takes a mesh, or none."""

from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fairjax._core import joining, processes, sharding
from fairjax._core.checks import check_count
from fairjax._core.rows import AXIS, Rows
from fairjax.errors import InputError

__all__ = ["Rows", "by_rows", "data_mesh", "replicated", "split_rows", "start"]


def data_mesh(n_devices: int | None = None) -> Mesh:
    """A mesh of one axis over devices of the default platform, for rows that are spread over them.

    Parameters
    ----------
    n_devices : int, optional
        How many; all by default.

    Raises
    ------
    InputError
        If there are fewer devices.

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
    return jax.make_mesh((count,), (AXIS,), (AxisType.Auto,), devices=found[:count])


def split_rows(mesh: Mesh) -> NamedSharding:
    """First axis spread over the mesh; the other axes whole on each device."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on each device."""
    return NamedSharding(mesh, PartitionSpec())


def by_rows(array: Array) -> Array:
    """An array whose rows are spread over devices, resharded to a mesh of one axis over just these; nothing is copied.

    Raises
    ------
    InputError
        If it is not spread by rows, or if a process holds only second copies of rows.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> X = jax.device_put(jnp.zeros((4, 2)), split_rows(data_mesh(1)))
    >>> by_rows(X) is X
    True
    """
    if sharding.of_rows(array) is None:
        return array
    owners: dict[int, Any] = {}
    device: Any
    for device, index in array.sharding.devices_indices_map(array.shape).items():
        start = index[0].start or 0
        if start not in owners or device.id < owners[start].id:
            owners[start] = device
    devices = [owners[start] for start in sorted(owners)]
    mesh = Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,))
    parts = [shard.data for shard in array.addressable_shards if shard.device in devices]
    if not parts:
        raise InputError(f"process {jax.process_index()} has no rows of X but as copies; spread X over all devices")
    return jax.make_array_from_single_device_arrays(array.shape, split_rows(mesh), parts)


def start(
    coordinator: str | None = None,
    *,
    n_processes: int | None = None,
    process: int | None = None,
    timeout: float = 60.0,
) -> None:
    """Join the processes of one program, so that ``jax.devices()`` are those of all of them.

    Every process calls it, once, before it uses JAX. Then ``FCA(n_devices="all").fit(...)`` clusters the rows of all
    processes: each passes its own rows, possibly none, and gets their labels. So does
    ``FCA(n_devices="all").fit_blocks(...)`` with blocks. Without arguments JAX finds the processes itself: under SLURM,
    Open MPI, Kubernetes and on TPUs.

    Parameters
    ----------
    coordinator : str, optional
        ``"HOST:PORT"`` at which all processes can reach process 0.
    n_processes, process : int, optional
        How many there are, and the number of this one, from 0 on; with a coordinator.
    timeout : float
        Seconds to wait for the others.

    Raises
    ------
    InputError
        If the coordinator does not answer, processes do not come in time, two have the same number, JAX finds none,
        or JAX has already been used.

    Notes
    -----
    If a process is lost later, a fit on the others ends in a :class:`~fairjax.errors.LostProcessError`; if it was
    process 0, JAX may end them itself. Anyone who can reach the coordinator's port can take part: use it only in
    networks that you trust.

    Examples
    --------
    >>> from fairjax import parallel
    >>> parallel.start("10.0.0.1:1234", n_processes=2, process=0)  # doctest: +SKIP
    """
    if coordinator is None:
        if n_processes is not None or process is not None:
            raise InputError("n_processes and process are given without a coordinator; give its HOST:PORT, or neither")
    else:
        host, port = _address(coordinator)
        check_count("n_processes", n_processes)
        check_count("process", process, least=0)
        assert n_processes is not None
        assert process is not None
        if process >= n_processes:
            raise InputError(f"process is {process} of {n_processes}; expected 0 to {n_processes - 1}")
    if jax.distributed.is_initialized():
        raise InputError("the processes are joined already; call fairjax.parallel.start once")
    if coordinator is not None and n_processes is not None and process is not None and n_processes > 1:
        joining.meet(host, port, n_processes, process, timeout)
    try:
        jax.distributed.initialize(coordinator, n_processes, process, initialization_timeout=int(max(timeout, 1)))
    except (RuntimeError, ValueError) as error:
        if "before any JAX" in str(error):
            raise InputError(
                "JAX has been used in this process already; call fairjax.parallel.start before anything else"
            ) from error
        if coordinator is None:
            raise InputError(
                f"JAX finds no other processes here ({error}); give a coordinator, n_processes and process"
            ) from error
        raise InputError(f"the processes could not be joined: {error}") from error
    # gather once, which connects all processes: from here on a lost process is noticed at once
    processes.gathered(b"")


def _address(coordinator: str) -> tuple[str, int]:
    host, colon, port = coordinator.rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 2**16):
        raise InputError(f"coordinator is {coordinator!r}; expected HOST:PORT, such as 10.0.0.1:1234")
    return host.strip("[]"), int(port)
