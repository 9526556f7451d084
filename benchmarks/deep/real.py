"""Every deep method on real data: agreement, fairness, seconds, compilation, memory, loss curves.

``full`` has the full protocols on MNIST-USPS, Reverse MNIST and HAR with five seeds, for a GPU; ``reduced`` a few
thousand images, few epochs, three seeds, for two cores; ``--quick`` a few steps of each. ``FAIRJAX_DATA`` names the
folder of the files.

Each piece (a method on a data set) runs in a process of its own, within ``--budget`` seconds: at the end of it the
training stops where it is, and the record says where. The record is written after every piece. Pieces that were stopped
go on from the state that was written to the folder ``--checkpoints``: with ``--minutes 0.1 --budget 360`` a call takes
one piece, for some eight minutes at most, and the same call again and again gets to the end. The pieces ``compile,
...`` compile the steps of each stage and train nothing; ``gain, ...`` compare some seeds in one `vmap` with one after
the other.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure
from benchmarks.deep import training
from benchmarks.deep.cases import METHODS, SCALES
from benchmarks.running import Run


def summary(seeds: list[dict[str, float]]) -> dict[str, Any]:
    return {
        name: {
            "mean": round(statistics.fmean(seed[name] for seed in seeds), 4),
            "deviation": round(float(np.std([seed[name] for seed in seeds], ddof=min(1, len(seeds) - 1))), 4),
        }
        for name in seeds[0]
        if all(isinstance(seed.get(name), (int, float)) for seed in seeds)
    }


_LISTS = ("seeds", "seconds_of_each_run", "processor_seconds_of_each_run")


def joined(before: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """A piece that was stopped, and its further seeds."""
    lists = {name: before.get(name, []) + found[name] for name in _LISTS}
    sums = {name: round(before.get(name, 0) + found[name], 1) for name in ("seconds", "compile_seconds")}
    first = {name: before[name] for name in ("curves",) if name in before}
    return found | lists | sums | first | ({"summary": summary(lists["seeds"])} if lists["seeds"] else {})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--budget", type=float, help="seconds of training for each piece")
    folder = Path(tempfile.gettempdir(), "fairjax-deep")
    parser.add_argument("--checkpoints", type=Path, default=folder, help="folder of the trainings that were stopped")
    parser.add_argument("--chunk", type=int, default=50, help="steps between two looks at the clock")


def pieces() -> dict[str, tuple[str, str, str]]:
    """Kind, data and method of each piece, by its name."""
    trained = [("train", data, method) for data, methods in METHODS.items() for method in methods]
    several = [("gain", "reverse-mnist", "fcmi"), ("gain", "mnist-usps", "dfc"), ("gain", "har", "fairoids")]
    todo = [*trained, *(("compile", data, method) for _, data, method in trained), *several]
    return {f"{data}, {method}" if kind == "train" else f"{kind}, {data}, {method}": (kind, data, method)
            for kind, data, method in todo}  # fmt: skip


def all_of(run: Run) -> None:
    scale = "quick" if run.quick else run.section
    limit = SCALES[scale].budget if run.options.budget is None else run.options.budget
    known = run.record().get("pieces", {})
    todo = pieces()
    for name in run.pieces(todo, lambda name: name in known and "stopped" not in known[name]):
        kind, data, method = todo[name]
        before = {} if run.options.again else known.get(name, {})
        missing = {"first": len(before.get("seeds", [])), "folder": str(run.options.checkpoints)}
        # over the training's own budget: reading, compiling, scoring
        found = run.child(
            kind, 2 * limit + 300, data=data, method=method, scale=scale, budget=limit, chunk=run.options.chunk,
            **(missing if kind == "train" else {}),
        )  # fmt: skip
        print(name, json.dumps({key: value for key, value in found.items() if key != "curves"}), flush=True)
        if "failed" in found and not run.quick:
            continue  # so that the next run tries again
        device = found.pop("device", None)
        if "seeds" in found:
            found = joined(before, found)
        written = run.record().get("pieces", {})  # another process may have written since
        written[name] = found | {"load_average": measure.machine()["load_average"]}
        run.write({"device": device, "pieces": written})


SECTIONS = {"reduced": all_of, "full": all_of}
CHILDREN = {"train": training.train, "compile": training.compiling, "gain": training.gain}
