"""Fits over tables in blocks: rate of a pass, passes an iteration, memory, certificate.

    python -m benchmarks streaming --rows 20000000 --joined     # results/streaming-fit.json
    python -m benchmarks streaming --rows 100000000 --no-rates --name large
    python -m benchmarks streaming --data census --rows 2458285 --name census

Rows of overlapping blobs in two groups are written as Parquet to a folder that is deleted afterwards. The rate of a
pass that reads them, and of one that reads the copy of ``scratch_dir``, is compared with that of the same pass over
blocks in memory, in turns in one process, the least of several. Fits of all rows and of a quarter of them run in
processes of their own, whose peak memory is theirs.

``census`` draws rows from the 3,000 of the census of 1990 that fairjax.datasets.load_census reads (25 standardised
columns, two groups), blurred so that means and covariances stay: 10 clusters with a balance of at least 0.9, beside
scikit-learn's KMeans from the same start, in memory.

Fits keep a copy of the rows where it pays, as they do by default (``copied_bytes``); the rate of the first pass, and of
others without a copy, is that of ``streamed``. 10^8 rows of eight features take 3.2 GB on disk and 4 GB for the copy,
10^9 32 GB (the copy would be too large, so there is none); all else is small.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.running import Run, ran, surroundings
from fairjax.datasets import load_census

D, K, M = 8, 16, 2
CENSUS = {"features": 25, "clusters": 10, "min_balance": 0.9}
_BLUR = 0.5
Drawn = Callable[[int], tuple[np.ndarray, np.ndarray]]
FILE_ROWS = 2**22
OPENED = """
import json, sys, time
import jax, jax.numpy as jnp, numpy as np
from fairjax import datasets
from fairjax.fca.points import GroupedPoints, squared_distances
from fairjax.fca.fitting import Fairness
from fairjax.fca.streaming import feed, fitting, passes
from fairjax.fca.streaming.intake import Intake
from fairjax.fca.streaming.scratch import Scratch
from fairjax.fca.streaming.survey import survey

table, repeats = datasets.scan(sys.argv[1], "sex"), int(sys.argv[2])
began = time.perf_counter()
intake = Intake(table)
seen = survey(intake)
first = time.perf_counter() - began
problem = fitting.problem_of(intake, seen, Fairness("gap", 0.0), np.float32)
rng = np.random.default_rng(0)
centers = np.asarray(seen.sample.X[rng.choice(len(seen.sample.X), int(sys.argv[3]), replace=False)], np.float32)
centers = ((centers - seen.shift) / seen.scale).astype(np.float32)
prices = np.zeros((len(seen.groups), len(centers)), np.float32)
"""
_RATES = (
    OPENED
    + """
blocks = [block for block in feed.fill(intake, problem.layout)]
began = time.perf_counter()
n_read = sum(block.n_rows for block in feed.blocks(intake, problem.layout, problem.workshop))
laid_out = time.perf_counter() - began
parts, d, length = problem.layout.shape
whole = GroupedPoints(
    jnp.concatenate([jnp.asarray(block.features) for block in blocks]),
    jnp.concatenate([jnp.asarray(block.ids) for block in blocks]),
    jnp.concatenate([jnp.asarray(block.weights) for block in blocks]),
    jnp.zeros(len(prices)), jnp.zeros(d), jnp.zeros(()),
)
del blocks
in_memory = jax.jit(lambda points, centers, prices: squared_distances(points, centers).scan(prices))
jax.block_until_ready(in_memory(whole, centers, prices))
passes.one_pass(intake, problem.layout, centers, prices, n_open=problem.n_open, workshop=problem.workshop)
scratch = Scratch(sys.argv[4])
copied = feed.Workshop(scratch)
passes.one_pass(intake, problem.layout, centers, prices, n_open=problem.n_open, workshop=copied)
memory, streamed, again, near = [], [], [], np.inf
work = {"in_memory": [], "streamed": [], "scratch": []}
for _ in range(repeats):
    began, worked = time.perf_counter(), time.process_time()
    jax.block_until_ready(in_memory(whole, centers, prices))
    memory.append(time.perf_counter() - began)
    work["in_memory"].append(time.process_time() - worked)
    began, worked = time.perf_counter(), time.process_time()
    found = passes.one_pass(
        intake, problem.layout, centers, prices, n_open=problem.n_open, near=1.5 * near, workshop=problem.workshop
    )
    near = found.radius
    streamed.append(time.perf_counter() - began)
    work["streamed"].append(time.process_time() - worked)
    began, worked = time.perf_counter(), time.process_time()
    passes.one_pass(
        intake, problem.layout, centers, prices, n_open=problem.n_open, near=1.5 * near, workshop=copied
    )
    again.append(time.perf_counter() - began)
    work["scratch"].append(time.process_time() - worked)
print(json.dumps({
    "first_reading": first, "read_and_laid_out": laid_out, "in_memory": memory, "streamed": streamed, "scratch": again,
    "work": work,
}))
"""
)
_FIT = """
import json, sys, time, warnings
import numpy as np
from fairjax import FCA, datasets
warnings.simplefilter("ignore")

table, iterations, k = datasets.scan(sys.argv[1], "sex"), int(sys.argv[2]), int(sys.argv[3])
floor = None if sys.argv[4] == "None" else float(sys.argv[4])
began = time.perf_counter()
model = FCA(k, random_state=0, max_iter=iterations, min_balance=floor).fit_blocks(table)
whole = time.perf_counter() - began
lines = open("/proc/self/status").read().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
found = model.streamed_
print(json.dumps({
    "seconds": whole, "peak_mb": peak, "n_iter": model.n_iter_, "n_passes": found.n_passes, "gap": model.gap_,
    "labels_gap": model.labels_gap_, "status": model.status_, "cost": model.cost_, "balance": model.balance_,
    "max_balance": model.max_balance_, "converged": model.converged_, "history": found.history.tolist(),
    "copied_bytes": model._copied_bytes,
    "start": np.asarray(model.start_centers_).tolist() if len(sys.argv) > 5 else None,
}))
"""
_JOINED = """
import json, os, sys, time, warnings
folder, iterations, k, coordinator, parts, size, index = sys.argv[1:]
os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[int(index)]})  # before any thread is made
from fairjax import FCA, datasets, parallel
warnings.simplefilter("ignore")
if int(size) > 1:
    parallel.start(coordinator, n_processes=int(size), process=int(index))
table = datasets.scan(folder, "sex").share(int(index), int(parts))
first = next(iter(datasets.scan(folder, "sex"))).features[: int(k)]
seconds = []
for most in (1, int(iterations)):
    began = time.perf_counter()
    model = FCA(int(k), init=first, tol=0, max_iter=most, n_devices="all").fit_blocks(table)
    seconds.append(time.perf_counter() - began)
print(json.dumps({"seconds": seconds, "n_passes": model.streamed_.n_passes, "cost": model.cost_, "gap": model.gap_}))
"""
_UNFAIR = """
import json, sys, time
import numpy as np
from sklearn.cluster import KMeans
from fairjax import datasets
from fairjax.metrics import host

blocks = list(datasets.scan(sys.argv[1], "sex"))
X = np.concatenate([block.features for block in blocks])
sex = np.concatenate([block.groups.indices.to_numpy() for block in blocks])
start = np.asarray(json.loads(sys.argv[3]), np.float32)
began = time.perf_counter()
model = KMeans(len(start), init=start, n_init=1, max_iter=int(sys.argv[2])).fit(X)
seconds = time.perf_counter() - began
table = host.contingency(model.labels_.astype(np.int32), sex.astype(np.int32), None, (len(start), 2))
print(json.dumps({
    "seconds": seconds, "cost": model.inertia_ / len(X), "balance": host.balance(table), "n_iter": model.n_iter_,
}))
"""


def generate(folder: Path, n_rows: int, kind: str = "blobs") -> None:
    """Rows of a kind, some million a file."""
    rng = np.random.default_rng(0)
    drawn = _census(rng) if kind == "census" else _blobs(rng)
    for number, first in enumerate(range(0, n_rows, FILE_ROWS)):
        X, sex = drawn(min(FILE_ROWS, n_rows - first))
        columns = {f"x{j}": X[:, j] for j in range(X.shape[1])}
        columns |= {"sex": pa.DictionaryArray.from_arrays(sex.astype(np.int8), ["F", "M"])}
        pq.write_table(
            pa.table(columns), folder / f"part-{number:04d}.parquet", compression="none", use_dictionary=["sex"]
        )


def _blobs(rng: np.random.Generator) -> Drawn:
    """Blobs of unequal size that the groups populate unevenly."""
    means, shares = 2 * rng.normal(size=(K, D)), rng.uniform(0.2, 0.8, K)
    sizes = rng.dirichlet(np.full(K, 3.0))

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        blob = rng.choice(K, n, p=sizes)
        X = (means[blob] + 1.6 * rng.normal(size=(n, D))).astype(np.float32)
        return X, rng.random(n) < shares[blob]

    return drawn


def _census(rng: np.random.Generator) -> Drawn:
    """Rows of the census, blurred: half a standard deviation along each principal axis, and shrunk by as much."""
    data = load_census()
    X, sex = np.asarray(data.matrix), np.unique(np.asarray(data.sensitive), return_inverse=True)[1] == 1
    mean, root = X.mean(0), np.linalg.cholesky(np.cov(X.T) + 1e-9 * np.eye(X.shape[1]))

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        row = rng.integers(len(X), size=n)
        blurred = X[row] - mean + _BLUR * rng.normal(size=(n, X.shape[1])) @ root.T
        return (mean + blurred / np.sqrt(1 + _BLUR**2)).astype(np.float32), sex[row]

    return drawn


def child(code: str, *arguments: object) -> dict:
    found = ran([sys.executable, "-c", code, *map(str, arguments)])
    if "failed" in found:
        raise SystemExit(found["failed"])
    return found


def rates(folder: Path, n_rows: int, repeats: int, n_clusters: int) -> dict:
    found = child(_RATES, folder, repeats, n_clusters, folder.parent)
    best = {name: min(found[name]) for name in ("in_memory", "streamed", "scratch")}
    return {
        "rows_per_second": {
            "first_reading": n_rows / found["first_reading"],
            "read_and_laid_out": n_rows / found["read_and_laid_out"],
            **{name: n_rows / seconds for name, seconds in best.items()},
        },
        "seconds": found,  # "work" is that of all cores, which other processes do not lengthen as much
        "streamed_to_in_memory": best["in_memory"] / best["streamed"],
        "scratch_to_in_memory": best["in_memory"] / best["scratch"],
    }


def joined(folder: Path, iterations: int, n_clusters: int) -> dict:
    """One process on one core with all rows and with half of them, and two on two that share all.

    A first fit compiles, the second counts. Strong scaling compares two processes with one that has all rows, weak
    scaling with one that has as many as each of them.
    """
    found = {}
    for name, size, parts in (("1", 1, 1), ("1, half the rows", 1, 2), ("2", 2, 2)):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
        shared = str(folder), str(iterations), str(n_clusters), address, str(parts), str(size)
        running = [
            subprocess.Popen(
                [sys.executable, "-c", _JOINED, *shared, str(index)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings(),
            )
            for index in range(size)
        ]  # fmt: skip
        ended = [process.communicate() for process in running]
        if any(process.returncode for process in running):
            sys.exit(ended[0][1])
        told = json.loads(ended[0][0].splitlines()[-1])
        told["seconds_a_pass"] = told["seconds"][1] / told["n_passes"]
        found[name] = told
    whole, half, both = (case["seconds_a_pass"] for case in found.values())
    return found | {"efficiency": whole / both / 2, "weak_efficiency": half / both}


def extrapolated(found: dict) -> list[dict]:
    """Bytes and seconds of one pass over more rows, at the rate that was measured and as if a disk kept up with it."""
    if "passes" not in found:
        return []
    rate = found["passes"]["rows_per_second"]["streamed"]
    each = found["bytes"] / found["rows"]
    return [{"rows": n, "gigabytes": n * each / 1e9, "seconds_a_pass": n / rate} for n in (10**7, 10**8, 10**9)]


def told(what: str) -> None:
    """Where a run of minutes is."""
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--iterations", type=int, default=20, help="most iterations of the fit")
    parser.add_argument("--repeats", type=int, default=3, help="passes of which the quickest counts")
    parser.add_argument("--no-rates", action="store_true", help="only fit, as with rows that memory does not hold")
    parser.add_argument("--name", help="of another size or table, for the record: streaming-fit-NAME.json")
    parser.add_argument("--folder", type=Path, help="where the table is written and deleted (default: a temporary one)")
    parser.add_argument("--joined", action="store_true", help="also by two processes, on a core each")
    parser.add_argument("--data", choices=["blobs", "census"], default="blobs")


def fit(run: Run) -> dict[str, Any]:
    options = run.options
    if options.name is not None:
        run.name = f"{run.name}-{options.name}"
    if run.quick:
        options.rows = min(options.rows, 200_000)
    case = CENSUS if options.data == "census" else {"features": D, "clusters": K, "min_balance": None}
    asked = options.iterations, case["clusters"], case["min_balance"]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        began = time.perf_counter()
        told(f"writing {options.rows:,} rows")
        generate(folder, options.rows, options.data)
        size = sum(path.stat().st_size for path in folder.iterdir())
        found: dict = {"rows": options.rows, **case, "groups": M, "bytes": size}
        found["seconds_to_generate"] = time.perf_counter() - began
        if not options.no_rates:
            told(f"timing passes over {size / 1e9:.2g} GB")
            found |= {"passes": rates(folder, options.rows, options.repeats, case["clusters"])}
        if options.joined:
            told("one process on one core, then two on two")
            found["processes"] = joined(folder, options.iterations, case["clusters"])
        told("a fit of all rows")
        if options.data == "census":
            found["fit"] = child(_FIT, folder, *asked, "with its start")
            start = json.dumps(found["fit"].pop("start"))
            told("k-means of scikit-learn, in memory")
            found["unfair"] = child(_UNFAIR, folder, options.iterations, start)
            found["price_of_fairness"] = found["fit"]["cost"] / found["unfair"]["cost"] - 1
        else:
            found["fit"] = child(_FIT, folder, *asked)
    found["fit"]["passes_per_iteration"] = found["fit"]["n_passes"] / max(found["fit"]["n_iter"], 1)
    told(f"a fit of a quarter of the rows (all took {found['fit']['seconds']:.0f} s)")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        generate(Path(name), options.rows // 4, options.data)
        found["fit_of_a_quarter"] = child(_FIT, name, *asked)
    found["extrapolated"] = extrapolated(found)
    return found


SECTIONS = {"fit": fit}
