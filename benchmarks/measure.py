"""What every benchmark needs: the machine in words, clocks, medians, memory, and the header of a record."""

import datetime
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).resolve().parent / "results"
_PACKAGES = ("fairjax", "jax", "jaxlib", "numpy", "scipy", "scikit-learn", "optax", "flax", "ott-jax", "POT")


def machine() -> dict[str, Any]:
    """Processor, cores, memory and load of this machine, by what /proc says where there is one."""
    model = _proc_field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    memory = _proc_field("/proc/meminfo", "MemTotal")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": None if memory is None else round(int(memory.split()[0]) / 2**20, 1),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Versions of what is installed of the packages that matter."""
    found = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version()} | {name: said for name, said in found.items() if said is not None}


def _version(name: str) -> str | None:
    # of a module that is in use, since a source tree may stand before an installed package of the same name
    own = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(own, str):
        return own
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def write(path: Path, benchmark: str, command: str, found: dict[str, Any]) -> Path:
    """Write a record: what was found, after everything that is needed to repeat it.

    The file is whole at any time: it is written beside its place, then moved there.
    """
    record = {
        "benchmark": benchmark,
        "command": command,
        "date": now(),
        "machine": machine(),
        "versions": versions(),
        **found,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(_laid_out(record) + "\n", encoding="utf-8")
    return beside.replace(path)


def now() -> str:
    """Date and time, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _laid_out(record: dict[str, Any]) -> str:
    """As JSON that a reader finds their way in: indented, but a list of numbers in one line."""
    text = json.dumps(record, indent=2, allow_nan=False)
    return re.sub(r"\[\n\s+(-?[\d.][^\[\]{}\"]*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)


class Clocked(NamedTuple):
    """What a call returned, and its seconds by the clock and of all cores together."""

    result: Any
    seconds: float
    processor_seconds: float


def clocked(run: Callable[[], Any]) -> Clocked:
    """Call and wait until everything that it computes is there."""
    import jax

    began, worked = time.perf_counter(), time.process_time()
    result = jax.block_until_ready(run())
    return Clocked(result, time.perf_counter() - began, time.process_time() - worked)


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of one call, until everything that it computes is there."""
    return clocked(run).seconds


def spread(runs: list[float]) -> dict[str, Any]:
    """Median of several runs, with the least, the greatest and their number."""
    return {
        "median": statistics.median(runs),
        "least": min(runs),
        "greatest": max(runs),
        "runs": len(runs),
    }


def compiled(function: Callable[..., Any], *arguments: Any, **static: Any) -> tuple[Any, float]:
    """A jitted function compiled ahead for these arguments (or shapes), and the seconds that took."""
    began = time.perf_counter()
    program = function.lower(*arguments, **static).compile()  # type: ignore[attr-defined]
    return program, time.perf_counter() - began


def resident_bytes() -> int:
    return _status_bytes("VmRSS")


def peak_bytes() -> int:
    """Highest resident memory since the start of the process or the last `forget_peak`."""
    return _status_bytes("VmHWM")


def forget_peak() -> None:
    """Let the high-water mark start again from what is resident now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def available_bytes() -> int:
    found = _proc_field("/proc/meminfo", "MemAvailable")
    assert found is not None
    return int(found.split()[0]) * 1024


def _proc_field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)


def _status_bytes(name: str) -> int:
    found = _proc_field("/proc/self/status", name)
    assert found is not None
    return int(found.split()[0]) * 1024
