"""How long a million rows of mixed columns take to read, and how much memory.

Numbers, whole numbers, categories, yes and no, dates and gaps, as CSV and as Parquet; a process of its own for each
time, the least of three. The yardstick is pandas' reading of the same file and the memory of its frame, in which the
peak of ours is told ("times"): at most 4 for CSV, 3 for Parquet. What a small table of the same kinds takes, modules
above all, is no part of it. "kept" is with the table held to be written back, as for ``--out``.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.running import Run, ran

ROWS = 1_000_000
_FAIRJAX = """
import json, pathlib, time
from fairjax.datasets import read_table

def highest():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

how = dict(sensitive="sex", missing="mean", categorical="ordinal", dates="number", keep_table={kept})
read_table({small!r}, **how)
before = highest()
began, work = time.perf_counter(), time.process_time()
data = read_table({path!r}, **how)
peak = highest() - before
print(json.dumps({{"figures": [time.perf_counter() - began, time.process_time() - work, peak / 1024]}}))
"""
_PANDAS = """
import json, time
import pandas
began, work = time.perf_counter(), time.process_time()
frame = pandas.read_{kind}({path!r})
size = frame.memory_usage(deep=True).sum()
print(json.dumps({{"figures": [time.perf_counter() - began, time.process_time() - work, size / 2**20]}}))
"""


def table(n: int) -> pd.DataFrame:
    """Nine columns of six kinds."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": np.arange(n),
            "age": rng.integers(18, 90, n),
            "income": rng.normal(3e4, 1e4, n).round(2),
            "score": rng.normal(size=n),
            "job": rng.choice(["cook", "nurse", "teacher", "driver"], n),
            "city": rng.choice([f"city {i}" for i in range(50)], n),
            "married": rng.choice(["yes", "no"], n),
            "day": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), "D"),
            "sex": rng.choice(["F", "M"], n),
        }
    )
    frame.loc[rng.random(n) < 0.01, "income"] = np.nan
    return frame


def least(code: str, **values: object) -> list[float]:
    """The least of three processes, of each figure by itself."""
    runs = []
    for _ in range(3):
        found = ran([sys.executable, "-c", code.format(**values)])
        if "failed" in found:
            raise SystemExit(found["failed"])
        runs.append(found["figures"])
    return [min(figures) for figures in zip(*runs, strict=True)]


def measured(folder: Path, kind: str, rows: int) -> dict[str, object]:
    """Both readers on one kind of file."""
    large, small = folder / f"mixed.{kind}", folder / f"small.{kind}"
    for path, n in ((large, rows), (small, 1_000)):
        frame = table(n)
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    theirs = least(_PANDAS, path=str(large), kind=kind)
    found: dict[str, object] = {"file_mib": round(large.stat().st_size / 2**20, 1)}
    found["pandas"] = dict(zip(("seconds", "cpu_seconds", "frame_mib"), (round(x, 2) for x in theirs), strict=True))
    for name, kept in (("fairjax", False), ("kept", True)):
        ours = least(_FAIRJAX, path=str(large), small=str(small), kept=kept)
        figures = dict(zip(("seconds", "cpu_seconds", "peak_mib"), (round(x, 2) for x in ours), strict=True))
        found[name] = figures | {"times": round(ours[2] / theirs[2], 2)}
    return found


def tables(run: Run) -> dict[str, Any]:
    rows = ROWS // 100 if run.quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        return {"rows": rows} | {kind: measured(Path(folder), kind, rows) for kind in run.each(("csv", "parquet"))}


SECTIONS = {"tables": tables}
