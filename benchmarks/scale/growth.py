"""Seconds and memory of a pass over tables from a million rows to a hundred million.

    python -m benchmarks streaming-growth     # results/streaming-growth.json

The tables are those of ``python -m benchmarks streaming``. The first reading counts the groups and draws the sample;
then passes read the copy of ``scratch_dir``, and the quickest of several counts. Each table has a process of its own.
10^8 rows take 3.2 GB on disk and 4 GB for the copy.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.running import Run
from benchmarks.scale.streaming import OPENED, D, K, M, child, generate, told

SIZES, FEW = (10**6, 3 * 10**6, 10**7, 3 * 10**7, 10**8), (10_000, 30_000, 100_000)
_PASSES = (
    OPENED
    + """
kept = feed.Workshop(Scratch(sys.argv[4]))
seconds, near = [], np.inf
for _ in range(repeats + 2):  # the first compiles and writes the copy, the second learns what is near
    began = time.perf_counter()
    found = passes.one_pass(
        intake, problem.layout, centers, prices, n_open=problem.n_open, near=1.5 * near, workshop=kept
    )
    near = found.radius
    seconds.append(time.perf_counter() - began)
lines = open("/proc/self/status").read().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
print(json.dumps({"first_reading": first, "passes": seconds[2:], "n_open": problem.n_open, "peak_mb": peak}))
"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, default=3, help="passes of which the quickest counts")
    parser.add_argument("--folder", type=Path, help="where tables are written and deleted (default: a temporary one)")


def growth(run: Run) -> dict[str, Any]:
    rows = []
    for n_rows in FEW if run.quick else SIZES:
        with tempfile.TemporaryDirectory(dir=run.options.folder) as name:
            told(f"{n_rows:,} rows")
            table = Path(name) / "table"
            table.mkdir()
            generate(table, n_rows)
            found = child(_PASSES, table, run.options.repeats, K, name)
        rows.append({"n": n_rows, **found, "seconds_a_pass": min(found["passes"])})
    n, seconds = (np.log([row[name] for row in rows]) for name in ("n", "seconds_a_pass"))
    # of the power of n that fits best; 1 is proportional
    return {
        "features": D, "clusters": K, "groups": M, "exponent": float(np.polyfit(n, seconds, 1)[0]), "rows": rows,
    }  # fmt: skip


SECTIONS = {"growth": growth}
