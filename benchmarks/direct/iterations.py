"""An iteration of FCA beside one of Lloyd's: of a million points, with memory, and over the number of points."""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measure
from benchmarks.direct.programs import K, begin, blobs, certificate, finish, iterations, lloyd, rough_centers
from benchmarks.running import Run


def million(run: Run) -> dict[str, Any]:
    """One iteration, solved to the required gap, against one iteration of scikit-learn's KMeans; memory apart."""
    n_points = 100_000 if run.quick else 1_000_000
    size = {"n_points": n_points, "n_features": 16, "n_clusters": 16}
    with tempfile.TemporaryDirectory() as folder:
        path = _written(run, folder, **size)
        speed = _iteration_and_lloyd(run, path, repeats=3 if run.quick else 7)
        memory = run.child("memory", 1200, path=path)
    found: dict[str, Any] = {**size, "n_groups": 2, "dtype": "float32", "speed": speed, "memory": memory}
    if "failed" not in speed:
        ratios = speed["ratio"], speed["ratio_of_least"]
        found["required_ratio"], found["ratio_met"] = 3.0, max(ratios) <= 3.0
        print(
            f"n={n_points:,}: an iteration {speed['iteration']['median']:.4f} s "
            f"({speed['passes_per_iteration']:.1f} passes), a Lloyd iteration {speed['lloyd']['median']:.4f} s, "
            f"ratio {ratios[0]:.2f}, of the least times {ratios[1]:.2f}; gap {speed['result']['gap']:.1e}, "
            f"status {speed['result']['status']}"
        )
    if "failed" not in memory:
        found["required_memory"], found["memory_met"] = 4.0, memory["peak_with_data"] <= 4.0
        print(
            f"peak while running: {memory['peak_with_data']:.2f} times the data's bytes, the data included; "
            f"with compilation {memory['peak_with_data_and_compilation']:.2f} times"
        )
    return found


def growth(run: Run) -> dict[str, Any]:
    """Seconds per iteration and per Lloyd iteration over n, with the slope of their logarithms."""
    sizes = (
        (3_000, 10_000, 30_000) if run.quick else (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
    )
    rows = []
    for n_points in run.each(sizes):
        with tempfile.TemporaryDirectory() as folder:
            row = _iteration_and_lloyd(
                run, _written(run, folder, n_points=n_points, n_features=8, n_clusters=K), repeats=3
            )
        rows.append({"n": n_points} | row)
        if "failed" in row:
            print(f"n={n_points:,}: {row['failed']}", flush=True)
            continue
        print(
            f"n={n_points:>10,}: an iteration {row['iteration']['median']:.5f} s, "
            f"a Lloyd iteration {row['lloyd']['median']:.5f} s (least {row['lloyd']['least']:.5f}), "
            f"gap {row['result']['gap']:.1e}, status {row['result']['status']}",
            flush=True,
        )
    measured = [row for row in rows if "failed" not in row]
    slope = _slope(measured)
    print(f"slope of log(seconds) over log(n): {slope:.2f}")
    return {
        "n_features": 8, "n_clusters": K, "n_groups": 2, "dtype": "float32", "rows": rows,
        "slope_of_logs": slope,
    }  # fmt: skip


def _written(run: Run, folder: str, **size: int) -> str:
    """Path of the blobs and a start, made in a process of their own so that this one keeps no trace of them."""
    path = str(Path(folder) / "data.npz")
    made = run.child("blobs", 600, path=path, **size)
    if "failed" in made:
        raise SystemExit(f"the blobs were not made: {made['failed']}")
    return path


def child_blobs(path: str, n_points: int, n_features: int, n_clusters: int) -> dict[str, Any]:
    X, ids = blobs(n_points, n_features, n_clusters)
    np.savez(path, X=X, groups=ids, centers=rough_centers(X, n_clusters))
    return {}


def _loaded(path: str) -> tuple[Any, Any, Any]:
    with np.load(path) as file:
        return file["X"], file["groups"], file["centers"]


def _iteration_and_lloyd(run: Run, path: str, repeats: int) -> dict[str, Any]:
    """Each side in processes of its own, so that neither's threads are in the other's way; KMeans before and after."""
    before = run.child("lloyd", 1800, path=path, repeats=repeats)
    found = run.child("iteration", 3000, path=path, repeats=repeats)
    after = run.child("lloyd", 1800, path=path, repeats=repeats)
    lloyds = [seconds for side in (before, after) for seconds in side.get("seconds", [])]
    if lloyds and "failed" not in found:
        found["lloyd"] = measure.spread(lloyds)
        found["ratio"] = found["iteration"]["median"] / found["lloyd"]["median"]
        # on a busy machine a waiting thread of KMeans may stall each iteration; the least times show it
        found["ratio_of_least"] = found["iteration"]["least"] / found["lloyd"]["least"]
    elif not lloyds:
        found.setdefault("failed", before.get("failed", "KMeans settled before its iterations could be timed"))
    return found


def child_lloyd(path: str, repeats: int) -> dict[str, Any]:
    """Seconds per iteration of KMeans: what fit does around its iterations cancels in the difference of two calls."""
    X, _, start = _loaded(path)
    lloyd(X, start, 3)
    found = []
    for _ in range(repeats):
        short, long = lloyd(X, start, 3), lloyd(X, start, 3 + max(10, min(200, 3_000_000 // len(X))))
        if long[1] > short[1] and long[0] > short[0]:
            found.append((long[0] - short[0]) / (long[1] - short[1]))
    return {"seconds": found}


def child_iteration(path: str, repeats: int) -> dict[str, Any]:
    """Seconds per iteration, from the warm prices of the iterations before."""
    X, ids, start = _loaded(path)
    epsilon, tol = jnp.float32(0), jnp.float32(0)
    program, compile_begin = measure.compiled(begin, jnp.asarray(X), jnp.asarray(ids), jnp.asarray(start), n_groups=2)
    points, state = program(jnp.asarray(X), jnp.asarray(ids), jnp.asarray(start))
    until, warm_at, more = jnp.int32(100), 10, 5
    iterate, compile_iterate = measure.compiled(iterations, points, state, epsilon, tol, until, jnp.int32(warm_at))
    ready = jax.block_until_ready(iterate(points, state, epsilon, tol, until, jnp.int32(warm_at)))
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        later = jax.block_until_ready(iterate(points, ready, epsilon, tol, until, jnp.int32(warm_at + more)))
        elapsed = time.perf_counter() - began
        taken = int(later.n_iter) - int(ready.n_iter)
        if not taken:
            raise SystemExit("the centres settled before the iterations to be timed; take blobs that overlap more")
        seconds.append(elapsed / taken)
    end, compile_end = measure.compiled(finish, points, later, epsilon)

    def ended() -> Any:
        return end(points, iterate(points, later, epsilon, tol, jnp.int32(0), jnp.int32(0)), epsilon)

    result = jax.block_until_ready(ended())
    return {
        "n": len(X),
        "n_open": int(later.assignment.rows.shape[0]),
        "iteration": measure.spread(seconds),
        "passes_per_iteration": (int(later.n_passes) - int(ready.n_passes)) / taken,
        "finish_seconds": measure.seconds(ended),
        "compile_seconds": compile_begin + compile_iterate + compile_end,
        "result": certificate(result),
    }


def child_memory(path: str) -> dict[str, Any]:
    """Peak resident memory of a run, over a process that has loaded the data and JAX, with and without compiling."""
    X, ids, start = _loaded(path)
    jax.block_until_ready(jnp.zeros(8) + 1)  # brings the backend up
    measure.forget_peak()
    loaded = measure.resident_bytes()
    epsilon, tol, until = np.float32(0), np.float32(0), np.int32(15)
    program, _ = measure.compiled(begin, X, ids, start, n_groups=2)
    points, state = jax.eval_shape(partial(begin, n_groups=2), X, ids, start)
    iterate, _ = measure.compiled(iterations, points, state, epsilon, tol, until)
    end, _ = measure.compiled(finish, points, state, epsilon)
    after_compiling = measure.peak_bytes() - loaded
    measure.forget_peak()
    ready = measure.resident_bytes()
    points, state = program(X, ids, start)
    result = jax.block_until_ready(end(points, iterate(points, state, epsilon, tol, until), epsilon))
    running, total = measure.peak_bytes() - ready, max(after_compiling, measure.peak_bytes() - loaded)
    return {
        "data_bytes": X.nbytes,
        "running_bytes": running,
        "compiling_and_running_bytes": total,
        "peak_with_data": 1 + running / X.nbytes,
        "peak_with_data_and_compilation": 1 + total / X.nbytes,
        "temporary_bytes_of_iterations": int(iterate.memory_analysis().temp_size_in_bytes),
        "result": certificate(result),
    }


def _slope(rows: list[dict[str, Any]]) -> float:
    n = np.log([row["n"] for row in rows])
    return float(np.polyfit(n, np.log([row["iteration"]["median"] for row in rows]), 1)[0])
