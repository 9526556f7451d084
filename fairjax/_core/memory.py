"""Running out of memory, explained in a sentence: what was asked for, what is free, and what would fit."""

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairjax._core.text import counted
from fairjax.errors import InputError, OutOfMemoryError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_ASKED = re.compile(r"allocat\w* ([\d.,]+) ?([KMGT]?)i?(?:B|bytes)", re.IGNORECASE)
_JAX = ("JaxRuntimeError", "XlaRuntimeError")  # types that JAX does not export
_SAFE = 0.5  # of the free memory: one block is seldom all that is needed


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that memory ran out; JAX says so in several wordings.

    Examples
    --------
    >>> is_exhausted(MemoryError()), is_exhausted(ValueError("out of memory"))
    (True, False)
    """
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return type(error).__name__ in _JAX and ("out of memory" in text or "resource_exhausted" in text)


def asked_for(error: BaseException) -> float | None:
    """Bytes that could not be allocated, if the error says so.

    Examples
    --------
    >>> asked_for(MemoryError("Unable to allocate 1.50 GiB for an array with shape (1, 2)"))
    1610612736.0
    >>> asked_for(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 7223308824 bytes"))
    7223308824.0
    """
    found = _ASKED.search(str(error))
    return float(found[1].replace(",", "")) * _UNITS[found[2].upper()] if found else None


def free() -> float | None:
    """Bytes that this process can still get: of an accelerator if there is one, else of the machine and its limits."""
    found = [amount for amount in (_device(), machine(), _address_space(), _container()) if amount is not None]
    return min(found, default=None)


def sentence(error: BaseException, n_rows: int, n_clusters: int) -> str:
    """Say what was asked for and what would fit, for these numbers of rows and clusters.

    Examples
    --------
    >>> print(sentence(MemoryError("Unable to allocate 64.0 TiB"), 10**6, 3000))  # doctest: +ELLIPSIS
    memory ran out with 1,000,000 rows and 3,000 clusters: one block of 70,369 GB was asked for, and ...
    """
    wanted, left = asked_for(error), free()
    text = f"memory ran out with {counted(n_rows, 'row')} and {counted(n_clusters, 'cluster')}"
    if wanted is not None:
        text += f": one block of {_giga(wanted)} was asked for"
    if left is not None:
        text += f"{':' if wanted is None else ', and'} {_giga(left)} are free"
    share = _SAFE * left / wanted if wanted and left is not None else 1.0
    rows, clusters = int(n_rows * share), int(n_clusters * share)
    if share < 1 and rows > 1 and clusters > 1:
        return f"{text}; about {_rounded(clusters):,} clusters would fit, or {_rounded(rows):,} rows"
    return f"{text}; take fewer rows, columns or clusters, or a machine with more"


@contextmanager
def explained(n_rows: int, n_clusters: int) -> Iterator[None]:
    """Within the block, running out of memory raises an `OutOfMemoryError` with that sentence."""
    try:
        yield
    except InputError:
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_exhausted(error):
            raise
        raise OutOfMemoryError(sentence(error, n_rows, n_clusters)) from error


def _giga(amount: float) -> str:
    return f"{amount / 1e9:,.0f} GB" if amount >= 1e10 else f"{amount / 1e9:.2g} GB"


def _rounded(number: int) -> int:
    """Rounded to two digits, which are all that is known."""
    unit = 10 ** max(len(str(number)) - 2, 0)
    return number // unit * unit


def _device() -> float | None:
    """Free memory of an accelerator, if JAX runs on one."""
    import sys

    jax = sys.modules.get("jax")
    with contextlib.suppress(RuntimeError, AttributeError, KeyError, TypeError):
        stats = jax.local_devices()[0].memory_stats()  # type: ignore[union-attr]
        return float(stats["bytes_limit"] - stats["bytes_in_use"])
    return None


def machine() -> float | None:
    """Bytes of the machine's memory that programs can still get, its cache of files included."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    return None


def _address_space() -> float | None:
    """Free address space of the process, if it is limited (ulimit -v)."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            return max(float(limit - used), 0.0)
    return None


def _container() -> float | None:
    """Free memory of the control group, if it is limited."""
    with contextlib.suppress(OSError, ValueError):
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current"))
        if limit != "max":
            return max(float(limit) - float(used), 0.0)
    return None
