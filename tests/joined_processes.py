"""Processes of this machine that work together, and the table of people in files that they share; no tests."""

import json
import socket
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from compilation import for_children

N, K = 2000, 3
START = [[-1.0, -1], [0, 0], [1, 1]]


def write_people(path):
    """Three files of unequal length, in row groups of a hundred rows."""
    rng = np.random.default_rng(0)
    blob, sex = rng.integers(0, K, N), rng.integers(0, 2, N)
    columns = {
        "id": np.arange(N),
        "age": 40 + 5 * blob + 15 * rng.normal(size=N),
        "income": 3e4 + 1e4 * blob * sex + 1e4 * rng.normal(size=N),
        "sex": np.array(["F", "M"])[sex],
    }
    for part, rows in enumerate((slice(0, 300), slice(300, 1500), slice(1500, N))):
        found = pa.table({name: column[rows] for name, column in columns.items()})
        pq.write_table(found, path / f"{part}.parquet", row_group_size=100)
    return path


def labels_in(folder, n_rows=N):
    """What the files of a folder of labels say, which have every row once and in order."""
    told = json.loads((folder / "manifest.json").read_text())
    whole = pa.concat_tables([pq.read_table(folder / part["name"]) for part in told["parts"]])
    assert whole["row"].to_pylist() == list(range(n_rows))
    return whole["cluster"].to_numpy()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def running(code, size, *arguments, numbers=(None,) * 3):
    """Processes that run the same code, each with its number.

    ``numbers`` are the options for coordinator, number of processes and own number, if they have names.
    """
    told = [f"127.0.0.1:{free_port()}", size]
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments), *_named(numbers, [*told, index])],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=for_children(),
        )
        for index in range(size)
    ]  # fmt: skip


def _named(numbers, values):
    return [str(word) for pair in zip(numbers, values, strict=True) for word in pair if word is not None]


def ended(several, seconds=900):
    """Standard output and error, and exit code, of each, which may take so long."""
    try:
        return [(*process.communicate(timeout=seconds), process.returncode) for process in several]
    finally:
        for process in several:
            process.kill()
