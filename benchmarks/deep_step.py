"""Seconds per training step against the same step in PyTorch; writes ``benchmarks/results/deep-step.json``.

    python benchmarks/deep_step.py --torch-python ENVIRONMENT/bin/python [--rounds N] [--only NAME] [--quick]

Same layers, losses, batch and optimiser on both sides (`deep_step_torch.py` holds the other), random rows, float32.
PyTorch runs in a process of its own; the two take turns, a few steps each, on the same number of threads. Compilation
is timed apart. Take a quiet machine. Without ``--torch-python`` only this package is timed.
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
from fairjax.deep.method import Config
from fairjax.deep.streams import Data
from fairjax.deep.trainer import begin, train_chunk

K = 10
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
        return fcmi.FCMIConfig(network=network, n_clusters=6, batch=batch)

    unit = (("n_groups", 2), ("output", "tanh"), ("unit_norm", True))
    conv = Network(kind="conv", shape=(28, 28, 1), n_latent=K, options=unit)
    vae = Network(kind="vae", shape=(32, 32, 1), n_latent=64)
    return {
        "dfc": (dfc.DFCConfig(network=vae, n_clusters=K, batch=batch, n_init=1), images(32)),
        "fcmi": (fcmi.FCMIConfig(network=conv, n_clusters=K, batch=batch), images(28)),
        "fcmi, 30 groups": (wide(30), vectors(30)),
        "fcmi, one branch": (wide(1), vectors(1)),
    }


class Ours:
    """The last stage of a method, compiled for chunks of some steps; called, it gives the seconds of a step."""

    def __init__(self, config: Config, data: Data, length: int) -> None:
        hyper, carry = {key: jnp.float32(value) for key, value in config.hyper().items()}, None
        for task in config.tasks(data):
            self.state = begin(task, jax.random.key(0), carry, hyper, data)
            carry = (self.state.params, self.state.rest, self.state.extra)
        # from step 0 on, where the rows are shuffled: without that all rows of a batch are the same one
        self.data, self.length, self.first = data, length, jnp.int32(0)
        program, self.compile_seconds = measure.compiled(train_chunk, task, self.state, data, self.first, length=length)
        self.program = program

    def __call__(self) -> float:
        began = time.perf_counter()
        self.state, _ = jax.block_until_ready(self.program(self.state, self.data, self.first))
        return (time.perf_counter() - began) / self.length


class Theirs:
    """The PyTorch process."""

    def __init__(self, python: str, batch: int) -> None:
        script = Path(__file__).with_name("deep_step_torch.py")
        self.process = subprocess.Popen(
            [python, str(script), str(THREADS), str(batch)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self._read()

    def __call__(self, name: str, steps: int) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name} {steps}\n")
        self.process.stdin.flush()
        return float(self._read()["seconds"])

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def close(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()


def compare(ours: Ours, others: dict[str, Callable[[int], float]], rounds: int) -> dict[str, Any]:
    """Alternate; the first round only warms up."""
    seconds: dict[str, list[float]] = {"fairjax": [], **{name: [] for name in others}}
    for _ in range(rounds + 1):
        seconds["fairjax"].append(ours())
        for name, run in others.items():
            time.sleep(0.3)  # until idle threads of the one before have gone to sleep
            seconds[name].append(run(ours.length))
        time.sleep(0.3)
    found: dict[str, Any] = {"compile_seconds": round(ours.compile_seconds, 2), "steps_per_run": ours.length}
    found["seconds_per_step"] = {name: measure.spread(runs[1:]) for name, runs in seconds.items()}
    medians = {name: runs["median"] for name, runs in found["seconds_per_step"].items()}
    for name in others:
        found[f"times {name}"] = round(medians["fairjax"] / medians[name], 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", help="interpreter of an environment with torch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name begins so; the others of the file stay")
    parser.add_argument("--quick", action="store_true", help="small batch, to see that everything runs")
    options = parser.parse_args()
    batch, length = (32, 2) if options.quick else (512, 5)
    torch = Theirs(options.torch_python, batch) if options.torch_python else None
    path = measure.RESULTS / "deep-step.json"
    found = json.loads(path.read_text(encoding="utf-8"))["cases"] if options.only and path.is_file() else {}
    for name, (config, data) in cases(batch).items():
        if not name.startswith(options.only):
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
        about = {"batch": batch, "threads": THREADS, "torch": torch and torch.about, "cases": found}
        measure.write("step", f"python benchmarks/deep_step.py {' '.join(sys.argv[1:])}", about, family="deep")
        print(f"Wrote {path}.")


if __name__ == "__main__":
    main()
