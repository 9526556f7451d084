"""Processes meet before JAX connects them, so that an error can name a process that is missing.

JAX's own client ends the whole process with a C++ stack trace when nobody answers in time. So all processes first meet
at the coordinator's address, over plain sockets: each sends its number to process 0, which releases them once all are
there, and leaves the address to JAX.
"""

import contextlib
import socket
import time

from fairjax._core.text import counted
from fairjax.errors import InputError

_HELLO, _GO = "fairjax", b"go\n"
_AGAIN = 0.1  # seconds between two tries


def meet(host: str, port: int, n_processes: int, process: int, timeout: float) -> None:
    """Return when all processes have come, at most ``timeout`` seconds later.

    Raises
    ------
    InputError
        If some of them, or process 0, did not come in time, or two have the same number.
    """
    until = time.monotonic() + timeout
    if process == 0:
        _receive(port, n_processes, until, timeout)
    else:
        _call(host, port, process, until, timeout)


def _receive(port: int, n_processes: int, until: float, timeout: float) -> None:
    """At process 0: wait for the others, then release them."""
    try:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        server = socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise InputError(
            f"process 0 cannot listen at port {port}: {error.strerror}; choose another one for all processes"
        ) from error
    with contextlib.ExitStack() as stack:
        stack.enter_context(server)
        came: dict[int, socket.socket] = {}
        while len(came) < n_processes - 1:
            left = until - time.monotonic()
            if left <= 0:
                missing = [str(number) for number in range(1, n_processes) if number not in came]
                raise InputError(
                    f"after {timeout:g} s {_listed(missing)} of {n_processes} had not come to process 0; start all "
                    "processes within that time, with the same coordinator and number of processes"
                )
            server.settimeout(left)
            with contextlib.suppress(TimeoutError):
                caller = stack.enter_context(server.accept()[0])
                caller.settimeout(max(left, _AGAIN))
                number = _number(caller)
                if number in came or (number is not None and number >= n_processes):
                    said = "came twice" if number in came else f"came, but there are to be {n_processes}"
                    raise InputError(f"process {number} {said}; give each process a number of its own, from 0 on")
                if number is not None:
                    came[number] = caller
        for caller in came.values():
            with contextlib.suppress(OSError):
                caller.sendall(_GO)
        for caller in came.values():
            with contextlib.suppress(OSError):
                caller.recv(1)  # they hang up first, so that the port is free again


def _call(host: str, port: int, process: int, until: float, timeout: float) -> None:
    """At the others: report to process 0, and wait until all are there."""
    reached = False
    while (left := until - time.monotonic()) > 0:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=left) as line:
            reached = True
            line.sendall(f"{_HELLO} {process}\n".encode())
            line.settimeout(max(until - time.monotonic(), _AGAIN))
            if line.recv(len(_GO)) == _GO:
                return
        time.sleep(_AGAIN)
    if reached:
        raise InputError(
            f"process {process} waited {timeout:g} s at {host}:{port} for the others; process 0 says which did not come"
        )
    raise InputError(
        f"no coordinator answered at {host}:{port} within {timeout:g} s; start process 0 there, and look whether its "
        "address can be reached from here"
    )


def _number(caller: socket.socket) -> int | None:
    """The number that a caller sends, or None if it is not one of our processes."""
    with contextlib.suppress(OSError, ValueError, UnicodeDecodeError):
        name, number = caller.recv(64).decode().split()
        return int(number) if name == _HELLO and int(number) > 0 else None
    return None


def _listed(numbers: list[str]) -> str:
    if len(numbers) > 3:
        return counted(len(numbers), "process", "processes")
    return f"process {numbers[0]}" if len(numbers) == 1 else f"processes {' and '.join(numbers)}"
