"""Seconds per training step against the same step in PyTorch; writes ``benchmarks/results/deep-step.json``.

    python benchmarks/deep_step.py --torch-python ENVIRONMENT/bin/python [--rounds N] [--only NAME] [--quick]

Same layers, losses, batch and optimiser on both sides (`deep_step_torch.py` holds the other), random rows, float32.
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
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import measure
import numpy as np

from fairjax.deep import Network, dfc, fcmi, prepare
from fairjax.deep.methods.config import Config
from fairjax.deep.training.steps import begin, train_chunk
from fairjax.deep.training.streams import Data

K = 10


def cases(batch: int) -> dict[str, tuple[Config, Data]]:
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

    def __init__(self, config: Config, data: Data, length: int) -> None:
        hyper, carry = {key: jnp.float32(value) for key, value in config.hyper().items()}, None
        for task in config.tasks(data):
            self.state = begin(task, jax.random.key(0), carry, hyper, data)
            carry = (self.state.params, self.state.rest, self.state.extra)
        # from step 0 on, where the rows are shuffled: without that all rows of a batch are the same one
        self.data, self.length, self.first = data, length, jnp.int32(0)
        program, self.compile_seconds = measure.compiled(train_chunk, task, self.state, data, self.first, length=length)
        self.program = program

    def __call__(self) -> tuple[float, float]:
        began, busy = time.perf_counter(), time.process_time()
        self.state, _ = jax.block_until_ready(self.program(self.state, self.data, self.first))
        return (time.perf_counter() - began) / self.length, (time.process_time() - busy) / self.length


class Theirs:
    """The PyTorch process."""

    def __init__(self, python: str, threads: int, batch: int) -> None:
        script = Path(__file__).with_name("deep_step_torch.py")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", help="interpreter of an environment with torch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="the one case of this name; the others of the file stay")
    parser.add_argument("--quick", action="store_true", help="small batch, to see that everything runs")
    parser.add_argument("--threads", type=int, default=2, help="cores that the processes are bound to")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    batch, length = (32, 2) if options.quick else (512, 5)
    torch = Theirs(options.torch_python, options.threads, batch) if options.torch_python else None
    section = "step" if options.threads == 2 else f"step-{options.threads}-thread"
    path = measure.RESULTS / f"deep-{section}.json"
    found = json.loads(path.read_text(encoding="utf-8"))["cases"] if options.only and path.is_file() else {}
    for name, (config, data) in cases(batch).items():
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
    if not options.quick:
        about = {"batch": batch, "threads": options.threads, "torch": torch and torch.about, "cases": found}
        # where PyTorch's environment lay says nothing of the figures
        given = ["ENV/bin/python" if each == options.torch_python else each for each in sys.argv[1:]]
        measure.write(section, f"python benchmarks/deep_step.py {' '.join(given)}", about, family="deep")
        print(f"Wrote {path}.")


if __name__ == "__main__":
    main()
