"""What every benchmark needs: the machine in words, medians, peak memory, child processes, results as JSON."""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("fairjax", "jax", "jaxlib", "numpy", "scikit-learn", "scipy")


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
    return {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        # a source tree that is not installed, fairjax itself as a rule
        return "not installed"


def write(
    section: str, command: str, found: dict[str, Any], results: Path = RESULTS, *, family: str = "direct"
) -> Path:
    """Write one section's measurements with everything needed to repeat them."""
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{family}-{section}.json"
    record = {
        "benchmark": f"{family} {section}",
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        **found,
    }
    path.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of one call, until everything that it computes is there."""
    import jax

    began = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - began


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


def child(name: str, timeout: float, **arguments: Any) -> dict[str, Any]:
    """Run ``_child_NAME`` of the calling script in a process of its own; what it prints last is its result."""
    command = [sys.executable, sys.argv[0], "--child", name, "--arguments", json.dumps(arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"stopped after {timeout:g} s"}
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"failed": f"ended with code {done.returncode}: {last[0]}"}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


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
