"""Fits over tables in blocks: rate of a pass, passes a turn, memory, certificate.

    python benchmarks/streaming.py --rows 20000000          # results/streaming-fit.json
    python benchmarks/streaming.py --rows 100000000 --no-rates --name large

Rows of overlapping blobs in two groups are written as Parquet to a folder that is deleted afterwards. The rate of a
pass that reads them is compared with that of the same pass over blocks in memory, in turns in one process, the least of
several. Fits of all rows and of a quarter of them run in processes of their own, whose peak memory is theirs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import write

D, K, M = 8, 16, 2
FILE_ROWS = 2**22
_RATES = """
import json, sys, time
import jax, jax.numpy as jnp, numpy as np
from fairjax import datasets
from fairjax.fca.points import GroupedPoints, squared_distances
from fairjax.fca.fitting import Fairness
from fairjax.fca.streaming import feed, fitting, passes
from fairjax.fca.streaming.intake import Intake
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
memory, streamed, work, near = [], [], {"in_memory": [], "streamed": []}, np.inf
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
print(json.dumps({
    "first_reading": first, "read_and_laid_out": laid_out, "in_memory": memory, "streamed": streamed, "work": work,
}))
"""
_FIT = """
import json, sys, time, warnings
from fairjax import FCA, datasets
warnings.simplefilter("ignore")

table, turns, k = datasets.scan(sys.argv[1], "sex"), int(sys.argv[2]), int(sys.argv[3])
seconds = []
began = time.perf_counter()
model = FCA(k, random_state=0, max_iter=turns).fit_blocks(table)
whole = time.perf_counter() - began
lines = open("/proc/self/status").read().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
found = model.streamed_
print(json.dumps({
    "seconds": whole, "peak_mb": peak, "n_iter": model.n_iter_, "n_passes": found.n_passes, "gap": model.gap_,
    "labels_gap": model.labels_gap_, "status": model.status_, "cost": model.cost_, "balance": model.balance_,
    "max_balance": model.max_balance_, "converged": model.converged_, "history": found.history.tolist(),
}))
"""


def generate(folder: Path, n_rows: int) -> None:
    """Blobs of unequal size that the groups populate unevenly, some million rows a file."""
    rng = np.random.default_rng(0)
    means, shares = 2 * rng.normal(size=(K, D)), rng.uniform(0.2, 0.8, K)
    sizes = rng.dirichlet(np.full(K, 3.0))
    for number, first in enumerate(range(0, n_rows, FILE_ROWS)):
        n = min(FILE_ROWS, n_rows - first)
        blob = rng.choice(K, n, p=sizes)
        X = (means[blob] + 1.6 * rng.normal(size=(n, D))).astype(np.float32)
        sex = pa.DictionaryArray.from_arrays((rng.random(n) < shares[blob]).astype(np.int8), ["F", "M"])
        columns = {f"x{j}": X[:, j] for j in range(D)} | {"sex": sex}
        pq.write_table(
            pa.table(columns), folder / f"part-{number:04d}.parquet", compression="none", use_dictionary=["sex"]
        )


def child(code: str, *arguments: object) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def rates(folder: Path, n_rows: int, repeats: int) -> dict:
    found = child(_RATES, folder, repeats, K)
    best = {name: min(found[name]) for name in ("in_memory", "streamed")}
    return {
        "rows_per_second": {
            "first_reading": n_rows / found["first_reading"],
            "read_and_laid_out": n_rows / found["read_and_laid_out"],
            **{name: n_rows / seconds for name, seconds in best.items()},
        },
        "seconds": found,  # "work" is that of all cores, which other processes do not lengthen as much
        "streamed_to_in_memory": best["in_memory"] / best["streamed"],
    }


def extrapolated(found: dict) -> list[dict]:
    """Bytes and seconds of one pass over more rows, at the rate that was measured and as if a disk kept up with it."""
    if "passes" not in found:
        return []
    rate = found["passes"]["rows_per_second"]["streamed"]
    each = found["bytes"] / found["rows"]
    return [{"rows": n, "gigabytes": n * each / 1e9, "seconds_a_pass": n / rate} for n in (10**7, 10**8, 10**9)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--turns", type=int, default=20, help="most turns of the fit")
    parser.add_argument("--repeats", type=int, default=3, help="passes of which the quickest counts")
    parser.add_argument("--no-rates", action="store_true", help="only fit, as with rows that memory does not hold")
    parser.add_argument("--name", default="fit", help="of the record: streaming-NAME.json")
    parser.add_argument("--folder", help="where the table is written and deleted (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        generate(folder, options.rows)
        size = sum(path.stat().st_size for path in folder.iterdir())
        found: dict = {"rows": options.rows, "features": D, "clusters": K, "groups": M, "bytes": size}
        if not options.no_rates:
            found |= {"passes": rates(folder, options.rows, options.repeats)}
        found["fit"] = child(_FIT, folder, options.turns, K)
    found["fit"]["passes_per_turn"] = found["fit"]["n_passes"] / found["fit"]["n_iter"]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        generate(Path(name), options.rows // 4)
        found["fit_of_a_quarter"] = child(_FIT, name, options.turns, K)
    found["extrapolated"] = extrapolated(found)
    command = f"python benchmarks/streaming.py --rows {options.rows} --turns {options.turns}"
    path = write(options.name, command, found, family="streaming")
    print(json.dumps({name: value for name, value in found.items() if name != "history"}, indent=1))
    print(f"Wrote {path}.")


if __name__ == "__main__":
    main()
