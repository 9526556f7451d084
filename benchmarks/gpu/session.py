"""The rows of a run on a lent machine, kept on disk and within its time; programs and their seconds."""

import json
import os
import select
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from benchmarks import measure
from benchmarks.running import Run
from fairjax import fca
from fairjax.programs import compiler_options

LONG, LONGEST = 5.0, 90.0  # seconds of runs of one program, and of a whole batch that is still tried
BANDWIDTH = {"H100": 3.35e12, "H200": 4.8e12}  # bytes per second
COMPILERS = max(1, min(4, len(os.sched_getaffinity(0)) // 4))
TOLD = ("error", "skipped", "median", "compile_seconds", "cost", "gap", "status", "fits_per_second", "times_lloyd")
Row = dict[str, Any]


class Session:
    """The rows so far, as they are on disk, and the clock."""

    def __init__(self, run: Run, sizes: dict[str, Any]) -> None:
        self.run, self.sizes = run, sizes
        self.budget, self.began = run.options.budget, time.perf_counter()
        self.rows: list[Row] = []
        self.bounds: dict[int, jax.Array] = {}  # of the transport problems, once they are solved
        self.now, self.lock = "start", threading.Lock()

    def listen(self) -> None:
        """End at the end of the budget, or on SIGTERM."""
        heard, told = os.pipe2(os.O_NONBLOCK)
        signal.set_wakeup_fd(told)
        signal.signal(signal.SIGTERM, lambda *_: None)
        threading.Thread(target=self.watch, args=(heard,), daemon=True).start()

    def left(self) -> float:
        return self.budget - (time.perf_counter() - self.began)

    def add(self, section: str, row: Row) -> None:
        row = {"section": section} | row | {"device": jax.devices()[0].device_kind}
        every = row | row.get("seconds", {})
        short = {name: f"{each:.4g}" if isinstance(each, float) else each for name, each in every.items()}
        print(row["what"], *(f"{name} {short[name]}" for name in TOLD if name in short), sep=", ", flush=True)
        with self.lock:
            # JSON has no numbers that are not finite
            self.rows.append(json.loads(json.dumps(row), parse_constant=lambda _: None))
            self.write()

    def write(self, **more: Any) -> None:
        more |= {"budget": self.budget, "seconds": self.budget - self.left(), "compilers": COMPILERS, "rows": self.rows}
        self.run.write(more)

    def watch(self, signals: int) -> None:
        """Ends the process at the end of the budget or on a signal, even while Python waits for a program."""
        heard = select.select([signals], [], [], max(self.left(), 0))[0]
        with self.lock:
            stopped = f"{'by a signal' if heard else 'at the end of the budget'}, in {self.now}"
            self.write(stopped=stopped)
            print(f"stopped {stopped}", flush=True)
            os._exit(0)


def built(function: Any, *arguments: Any, **static: Any) -> tuple[Any, float]:
    """A jitted function compiled as the estimators compile theirs, and the seconds that took."""
    began = time.perf_counter()
    largest = max(leaf.size for leaf in jax.tree.leaves(arguments))
    program = function.lower(*arguments, **static).compile(compiler_options(largest))
    return program, time.perf_counter() - began


def compiled(**calls: tuple[Any, Any, Row]) -> dict[str, tuple[Any, float]]:
    """Programs and the seconds that each took, by name, from function, arguments, static arguments."""
    with ThreadPoolExecutor(COMPILERS) as pool:
        found = pool.map(lambda call: built(call[0], *call[1], **call[2]), calls.values())
        return dict(zip(calls, found, strict=True))


def timed(program: Any, *arguments: Any, parts: Any = lambda _: 1, most: int = 5) -> tuple[Any, Row]:
    """Result and row of a compiled program; the peak of memory is that of the process up to now.

    Seconds are per part of the result; the first run warms up, and counts only where it takes long.
    """
    result, runs = None, []
    while not runs or (len(runs) <= most and sum(runs) < LONG):
        began = time.perf_counter()
        result = jax.block_until_ready(program[0](*arguments))
        runs.append(time.perf_counter() - began)
    return result, {
        "seconds": measure.spread([each / parts(result) for each in runs[1:] or runs]),
        "dtype": "float32", "compile_seconds": program[1],
        "temporary_bytes": int(program[0].memory_analysis().temp_size_in_bytes),
        "peak_bytes_of_process": (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use"),
    }  # fmt: skip


def measured(function: Any, *arguments: Any, most: int = 3) -> tuple[Any, Row]:
    return timed(built(jax.jit(function), *arguments), *arguments, most=most)


def certificate(found: fca.FairClustering) -> Row:
    """Of one fit, or of all fits of a batch: mean cost, greatest gap, every status that there is."""
    iterations = {"mean": float(np.mean(found.n_iter)), "greatest": int(np.max(found.n_iter))}
    about = {"cost": float(np.mean(found.cost)), "gap": float(np.max(found.assignment.gap)), "iterations": iterations}
    return about | {"status": np.unique(found.assignment.status).tolist(), "converged": int(np.sum(found.converged))}


def by_memory(n_bytes: int, row: Row) -> Row:
    """Against reading so many bytes once."""
    rate = next((rate for name, rate in BANDWIDTH.items() if name in jax.devices()[0].device_kind), None)
    return {"bytes_read": n_bytes, "times_full_bandwidth": rate and row["seconds"]["median"] * rate / n_bytes}
