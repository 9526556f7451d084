"""Messages between the processes of one program, outside compiled programs: small ones, once per fit.

Usually there is one process, which hears only itself. If there are several (see :func:`fairjax.parallel.start`), all
of them must make the same calls, or they wait for each other forever.
"""

import atexit
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from fairjax.errors import InputError, LostProcessError

_LOST = ("gloo", "connection closed", "connection reset", "socket closed", "coordination service", "nccl")

_leaving = False


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Within the block, losing a process raises a `LostProcessError`."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        text = str(error).lower()
        if jax.process_count() == 1 or isinstance(error, InputError) or not any(word in text for word in _LOST):
            raise
        _leave_alone()
        raise LostProcessError(
            f"process {jax.process_index()} of {jax.process_count()} lost another one and cannot go on; see what that "
            "one said last, and start all of them again"
        ) from error


def _leave_alone() -> None:
    """Let this process exit without JAX's shutdown, which would wait for the lost process and then abort."""
    global _leaving
    if not _leaving:
        _leaving = True
        atexit.register(_leave)


def _leave() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(1)


def gathered(message: bytes) -> list[bytes]:
    """The message of every process, in their order.

    Raises
    ------
    LostProcessError
        If one of them was lost.
    """
    if jax.process_count() == 1:
        return [message]
    with explained():
        return _gathered(message)


def _gathered(message: bytes) -> list[bytes]:
    from jax.experimental.multihost_utils import process_allgather

    # as bytes, since JAX may not support the types of others, such as 64-bit numbers
    sizes = np.asarray(process_allgather(np.asarray([len(message)], np.int32))).reshape(-1)
    packed = np.zeros(max(int(sizes.max()), 1), np.uint8)
    packed[: len(message)] = np.frombuffer(message, np.uint8)
    everyone = np.asarray(process_allgather(packed)).reshape(len(sizes), -1)
    return [bytes(row[:size]) for row, size in zip(everyone, sizes.tolist(), strict=True)]


def told(value: Any) -> list[Any]:
    """Every process's value, in their order: anything that JSON can hold."""
    return [json.loads(message) for message in gathered(json.dumps(value).encode())]


def agreed(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The first process's numbers, where all processes have computed their own."""
    if jax.process_count() == 1:
        return values
    return np.frombuffer(gathered(np.ascontiguousarray(values).tobytes())[0], values.dtype).reshape(values.shape)


def total(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The sum of numbers over processes, entry by entry; all must have equally many."""
    if jax.process_count() == 1:
        return values
    found = [np.frombuffer(part, values.dtype) for part in gathered(np.ascontiguousarray(values).tobytes())]
    return np.sum(found, 0).reshape(values.shape)


def greatest(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The maximum of numbers over processes, entry by entry; all must have equally many."""
    if jax.process_count() == 1:
        return values
    found = [np.frombuffer(part, values.dtype) for part in gathered(np.ascontiguousarray(values).tobytes())]
    return np.max(found, 0).reshape(values.shape)


Arrays = Mapping[str, Any]


class ToldError(InputError):
    """Bad input of one process, reported to all."""


class Crew:
    """The processes that work together, led by the first one; or this process alone.

    Parameters
    ----------
    together : bool
        Whether all processes of the program take part; all of them must then call the same methods.
    """

    def __init__(self, together: bool) -> None:
        self.size = jax.process_count() if together else 1
        self.index = jax.process_index() if self.size > 1 else 0

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.index == 0

    def told(self, value: Any) -> list[Any]:
        """Every process's value, in their order: anything that JSON can hold."""
        return [value] if self.size == 1 else told(value)

    def gathered(self, arrays: Arrays) -> list[Arrays]:
        """The arrays of every process, in their order."""
        return [arrays] if self.size == 1 else [_unpacked(message) for message in gathered(_packed(arrays))]

    def shared(self, arrays: Arrays) -> Arrays:
        """The arrays of the first process; the others pass none."""
        return self.gathered(arrays if self.leads else {})[0]

    @contextlib.contextmanager
    def as_one(self) -> Iterator[None]:
        """What goes wrong within the block in one process is told by all of them at its end."""
        failure: Exception | None = None
        try:
            yield
        except LostProcessError:
            raise
        except Exception as error:
            failure = error
        if self.size > 1:
            texts = self.told("" if failure is None else described(failure))
            if failure is None or isinstance(failure, InputError):
                refuse(texts)
        if failure is not None:
            raise failure

    def check_same(self, value: str, what: str) -> None:
        """InputError in all processes if any value differs from the first process's."""
        every = self.told(value)
        for process, other in enumerate(every):
            if other != every[0]:
                raise ToldError(
                    f"processes 0 and {process} have other {what}, {every[0]} and {other}; expected the same in each"
                )


def described(error: Exception) -> str:
    """What other processes are told of an exception: a sentence, and its kind where it is not meant for users."""
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def refuse(failures: Sequence[str]) -> None:
    """InputError with the first non-empty text of a process, if there is one."""
    for process, text in enumerate(failures):
        if text:
            raise ToldError(f"process {process}: {text}")


def _packed(arrays: Arrays) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def _unpacked(message: bytes) -> Arrays:
    with np.load(io.BytesIO(message), allow_pickle=False) as found:
        return dict(found)
