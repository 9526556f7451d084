"""Seconds per training step against the same step in PyTorch.

Same layers, losses, batch and optimiser on both sides (`step_torch.py` holds the other), random rows, float32.
PyTorch runs in a process of its own; the two take turns, a few steps each, on the same number of threads. Compilation
is timed apart. Without ``--torch-python`` only this package is timed.

On a machine that does other work at the same time wall times of two threads mean little: PyTorch's threads wait for the
slowest of them at every layer. ``--threads 1`` binds both to one core; the processor time of one thread is what can be
compared then, and stands beside the wall time (of two threads it also holds their idle turning).
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measure
from benchmarks.deep.stages import first_states
from benchmarks.running import Run
from fairjax.deep import Network, dfc, fcmi, prepare
from fairjax.deep.training import Data, train_chunk

K = 10


def cases(batch: int) -> dict[str, tuple[Any, Data]]:
    """Configurations and random rows: shapes decide the time, not values."""
    rng = np.random.default_rng(0)

    def images(side: int) -> Data:
        return prepare(rng.random((4096, side, side, 1), dtype=np.float32), np.arange(4096) % 2)

    def vectors(n_groups: int) -> Data:
        return prepare(rng.random((2048, 561), dtype=np.float32), np.arange(2048) % n_groups)

    def wide(n_groups: int) -> fcmi.FCMIConfig:
        options = (("n_groups", n_groups), ("output", "tanh"), ("unit_norm", True))
        network = Network(kind="fc", shape=(561,), n_latent=6, options=options)
        return fcmi.FCMIConfig(network=network, n_clusters=6, batch_size=batch)

    unit = (("n_groups", 2), ("output", "tanh"), ("unit_norm", True))
    conv = Network(kind="conv", shape=(28, 28, 1), n_latent=K, options=unit)
    vae = Network(kind="vae", shape=(32, 32, 1), n_latent=64)
    return {
        "dfc": (dfc.DFCConfig(network=vae, n_clusters=K, batch_size=batch, n_init=1), images(32)),
        "fcmi": (fcmi.FCMIConfig(network=conv, n_clusters=K, batch_size=batch), images(28)),
        "fcmi, 30 groups": (wide(30), vectors(30)),
        "fcmi, one branch": (wide(1), vectors(1)),
    }


class Ours:
    """The last stage of a method, compiled for chunks of some steps; called, it gives the seconds of a step
    by the clock and by the processor."""

    def __init__(self, config: Any, data: Data, length: int) -> None:
        *_, (task, self.state) = first_states(config, jax.random.key(0), data)
        # from step 0 on, where the rows are shuffled: without that all rows of a batch are the same one
        self.data, self.length, self.first = data, length, jnp.int32(0)
        program, self.compile_seconds = measure.compiled(train_chunk, task, self.state, data, self.first, length=length)
        self.program = program

    def __call__(self) -> tuple[float, float]:
        (self.state, _), wall, processor = measure.clocked(lambda: self.program(self.state, self.data, self.first))
        return wall / self.length, processor / self.length


class Theirs:
    """The PyTorch process."""

    def __init__(self, python: str, threads: int, batch: int) -> None:
        script = Path(__file__).with_name("step_torch.py")
        self.process = subprocess.Popen(
            [python, str(script), str(threads), str(batch)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self._read()

    def __call__(self, name: str, steps: int) -> tuple[float, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name} {steps}\n")
        self.process.stdin.flush()
        found = self._read()
        return found["seconds"], found["processor_seconds"]

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def close(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()


def compare(ours: Ours, others: dict[str, Callable[[int], tuple[float, float]]], rounds: int) -> dict[str, Any]:
    """Alternate; the first round only warms up."""
    runs: dict[str, list[tuple[float, float]]] = {"fairjax": [], **{name: [] for name in others}}
    for _ in range(rounds + 1):
        runs["fairjax"].append(ours())
        for name, run in others.items():
            time.sleep(0.3)  # until idle threads of the one before have gone to sleep
            runs[name].append(run(ours.length))
        time.sleep(0.3)
    found: dict[str, Any] = {"compile_seconds": round(ours.compile_seconds, 2), "steps_per_run": ours.length}
    for place, kind in enumerate(("seconds_per_step", "processor_seconds_per_step")):
        found[kind] = {name: measure.spread([one[place] for one in each[1:]]) for name, each in runs.items()}
        medians = {name: spread["median"] for name, spread in found[kind].items()}
        if others:
            fastest = min(medians[name] for name in others)
            found[kind]["times the faster"] = round(medians["fairjax"] / fastest, 3)
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--torch-python", type=Path, help="interpreter of an environment with torch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="the one case of this name; the others of the record stay")
    parser.add_argument("--threads", type=int, default=2, help="cores that the processes are bound to")


def step(run: Run) -> dict[str, Any]:
    options = run.options
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    batch, length = (32, 2) if run.quick else (512, 5)
    torch = Theirs(str(options.torch_python), options.threads, batch) if options.torch_python else None
    if options.threads != 2:
        run.name = f"{run.name}-{options.threads}-thread"
    found = run.record().get("cases", {}) if options.only else {}
    for name, (config, data) in run.each(cases(batch).items()):
        if options.only not in ("", name):
            continue
        others = {}
        if torch is not None:
            others["torch"] = lambda steps, name=name: torch(name, steps)
        if torch is not None and name in ("dfc", "fcmi"):
            others["torch, channels last"] = lambda steps, name=name: torch(f"{name}, channels last", steps)
        found[name] = compare(Ours(config, data, length), others, options.rounds)
        found[name]["load_average"] = measure.machine()["load_average"]
        print(name, json.dumps(found[name]), flush=True)
    if torch is not None:
        torch.close()
    return {"batch": batch, "threads": options.threads, "torch": torch and torch.about, "cases": found}


SECTIONS = {"step": step}
