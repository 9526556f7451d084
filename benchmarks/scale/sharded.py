"""The direct route with rows spread over four virtual devices of one CPU, beside the same on one device.

Overlapping blobs of eight features, K = 16, two groups apart by one standard deviation, perfect fairness; one
assignment to the same centres, which has one answer, and ten iterations, whose way depends on rounding, as *shuffled*
shows: the same on one device with the rows in another order. *arguments*: bytes that a device holds of the compiled
iterations' arguments. *sent*: the largest collective operation of the program, in bytes, and how many there are; for n
rows and for four times as many. The rest is what a fit comes to. Seconds are those of one machine whose cores the
virtual devices share, so that they show no gain; they tell what spreading costs.
"""

import argparse
import os
import re
from functools import partial
from typing import Any

DEVICES = 4
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402, the devices have to be asked for before
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import PartitionSpec  # noqa: E402

from benchmarks import measure  # noqa: E402
from benchmarks.running import Run  # noqa: E402
from fairjax import fca, parallel  # noqa: E402
from fairjax.assignment import control  # noqa: E402
from fairjax.fca import spreading  # noqa: E402
from fairjax.fca.points import GroupedPoints  # noqa: E402
from fairjax.parallel import Rows  # noqa: E402

D, K, ITERATIONS, RUNS = 8, 16, 10, 3
OWN, WHOLE = PartitionSpec("rows"), PartitionSpec()
_BYTES = {"f32": 4, "i32": 4, "ui32": 4, "i1": 1, "f64": 8, "i64": 8}


def data(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    middle = 3 * rng.normal(size=(K, D))
    groups = rng.integers(2, size=n).astype(np.int32)
    X = middle[rng.integers(K, size=n)] + 2 * rng.normal(size=(n, D))
    X[:, 0] += 2 * groups
    return X.astype(np.float32), groups, X[:K].astype(np.float32)


def prepared(X: Any, groups: Any, *, rows: Rows) -> GroupedPoints:
    return fca.prepare(X, groups, n_groups=2, rows=rows)


def iterations(points: GroupedPoints, centers: Any, until: Any) -> Any:
    fairness = control(points.masses, epsilon=0.0)
    state = fca.run(points, fairness, fca.init(points, centers, max_iter=ITERATIONS), until=until, tol=0.0)
    return fca.finish(points, fairness, state)


def programs(mesh: Any) -> tuple[Any, Any]:
    """Laying out, and the iterations."""
    rows = Rows() if mesh is None else Rows("rows")
    lay_out = spreading.over_rows(partial(prepared, rows=rows), mesh, GroupedPoints, (OWN, OWN))
    return jax.jit(lay_out), jax.jit(spreading.over_rows(iterations, mesh, fca.FairClustering))


def sent(text: str) -> dict[str, int]:
    """The collective operations of a program."""
    kinds = "all_reduce|all_gather|all_to_all|collective_permute|reduce_scatter"
    sizes = []
    for _, shape in re.findall(rf'"stablehlo\.({kinds})".*?->\s*\(?tensor<([^>]*)>', text, re.S):
        *lengths, dtype = shape.split("x")
        sizes.append(int(np.prod([int(length) for length in lengths])) * _BYTES[dtype])
    return {"operations": len(sizes), "largest_bytes": max(sizes, default=0)}


def clustered_rows(n: int, mesh: Any, seed: int | None = None, dtype: Any = np.float32) -> tuple[dict[str, Any], Any]:
    X, groups, centers = data(n)
    X, centers = X.astype(dtype), centers.astype(dtype)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(n)
        X, groups = X[order], groups[order]
    if mesh is not None:
        X, groups = (jax.device_put(leaf, parallel.split_rows(mesh)) for leaf in (X, groups))
    lay_out, clustered = programs(mesh)
    points = jax.block_until_ready(lay_out(X, groups))
    first, last = np.int32(1), np.int32(ITERATIONS)
    program, compiling = measure.compiled(clustered, points, centers, last)
    assigned, found = (program(points, centers, until) for until in (first, last))
    seconds = [measure.seconds(lambda: program(points, centers, last)) for _ in range(RUNS)]
    return {
        "argument_bytes": int(program.memory_analysis().argument_size_in_bytes),
        "labels": str(found.assignment.labels.sharding),
        "assignment": told(assigned),
        "iterations": told(found),
        "seconds": measure.spread(seconds),
        "compile_seconds": compiling,
    }, assigned


def double(mesh: Any) -> dict[str, float]:
    """The same in double precision: what spreading changes apart from last digits. Iterations then differ as these
    do."""
    with jax.enable_x64(True):
        one, spread, shuffled = (
            clustered_rows(2**17, *how, dtype=np.float64)[0] for how in ((None,), (mesh,), (None, 1))
        )
    return {"rows": 2**17, "spread": apart(one, spread), "shuffled": apart(one, shuffled)}


def told(found: Any) -> dict[str, Any]:
    solution = found.assignment
    return {
        "cost": float(found.cost),
        "primal": float(solution.primal),
        "gap": float(solution.gap),
        "status": int(solution.status),
        "passes": int(found.n_passes),
    }


def apart(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """By how much costs differ, relative to them."""
    return {part: abs(other[part]["cost"] / one[part]["cost"] - 1) for part in ("assignment", "iterations")}


def shapes(n: int, mesh: Any) -> dict[str, int]:
    lay_out, clustered = programs(mesh)
    given = jax.ShapeDtypeStruct((n, D), jnp.float32), jax.ShapeDtypeStruct((n,), jnp.int32)
    points = jax.eval_shape(lay_out, *given)
    return sent(clustered.lower(points, jax.ShapeDtypeStruct((K, D), jnp.float32), np.int32(1)).as_text())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=2**20)


def rows(run: Run) -> dict[str, Any]:
    n = 2**16 if run.quick else run.options.rows
    mesh = parallel.data_mesh(DEVICES)
    one, alone = clustered_rows(n, None)
    spread, together = clustered_rows(n, mesh)
    labels = [np.asarray(found.assignment.labels)[:n] for found in (alone, together)]
    return {
        "rows": n, "features": D, "clusters": K, "iterations": ITERATIONS, "devices": DEVICES,
        "one": one, "spread": spread,
        "argument_share": spread["argument_bytes"] / one["argument_bytes"],
        "cost_difference": apart(one, spread),
        "shuffled_cost_difference": [apart(one, clustered_rows(n, None, seed)[0]) for seed in (1, 2)],
        "double_cost_difference": double(mesh),
        "labels_that_differ": int(np.sum(labels[0] != labels[1])),
        "seconds_ratio": spread["seconds"]["least"] / one["seconds"]["least"],
        "sent": {str(sent_rows): shapes(sent_rows, mesh) for sent_rows in (n, 2**24, 2**26)},
    }  # fmt: skip


SECTIONS = {"rows": rows}
