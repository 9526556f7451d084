"""Many fits in one call on a CPU.

Every batch is run twice, and the first run counts as compilation. On a GPU the case ``accelerator`` measures the same.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from sklearn.cluster import KMeans

from benchmarks import measure
from benchmarks.direct.programs import K, ordered
from benchmarks.running import Run
from fairjax import datasets, fca


def on_cpu() -> None:
    if jax.default_backend() != "cpu":
        raise SystemExit("this measures CPUs; on an accelerator run python -m benchmarks accelerator --only batches")


def ways(fits: int, run: Callable[[int], fca.FairBatch]) -> dict[str, Any]:
    """The same batch in one thread and in as many as there are cores."""
    found = {}
    for n_threads in sorted({1, measure.machine()["cores"]}):
        first = measure.seconds(lambda n_threads=n_threads: run(n_threads))
        began = time.perf_counter()
        result = run(n_threads)
        seconds = time.perf_counter() - began
        found[f"{n_threads} threads"] = {
            "seconds": seconds, "fits_per_second": fits / seconds, "first_run_seconds": first,
            "mean_cost": float(np.mean(result.cost)), "greatest_gap": float(np.max(result.gap)),
            "statuses": np.unique(result.status).tolist(), "mean_iterations": float(np.mean(result.n_iter)),
        }  # fmt: skip
        print(f"{fits} fits, {n_threads} threads: {seconds:.2f} s, {fits / seconds:.1f} a second", flush=True)
    return found


def sets(run: Run) -> dict[str, Any]:
    on_cpu()
    n_sets, n_points, n_features, n_clusters = 20 if run.quick else 1000, 1000, 5, 5
    made = [
        (data.X, data.groups)
        for data in (
            datasets.make_grouped_blobs(
                n_points, n_features, n_clusters, group_shares=(0.4, 0.6), skew=0.5, cluster_std=2.5,
                center_box=(-2.0, 2.0), random_state=seed, dtype=np.float32,
            )
            for seed in range(n_sets)
        )
    ]  # fmt: skip
    stacked = fca.stack(made)
    starts = stacked.X[:, :n_clusters]
    found = ways(n_sets, lambda n: fca.fit_batch(stacked.X, stacked.groups, starts, n_groups=2, n_threads=n))
    unfair = measure.seconds(
        lambda: [KMeans(n_clusters, init=X[:n_clusters], n_init=1).fit(X) and None for X, _ in made]
    )
    print(f"KMeans: {unfair:.2f} s, {n_sets / unfair:.1f} a second", flush=True)
    return {
        "fits": n_sets, "n_points": n_points, "n_features": n_features, "n_clusters": n_clusters, "ways": found,
        "kmeans_seconds": unfair, "kmeans_fits_per_second": n_sets / unfair,
    }  # fmt: skip


def sweep(run: Run) -> dict[str, Any]:
    on_cpu()
    X, groups = ordered(datasets.load_adult(l2_normalize=True))
    X, groups = (X[::32], groups[::32]) if run.quick else (X, groups)
    n_starts, n_levels = (2, 2) if run.quick else (20, 10)
    starts = [KMeans(K, n_init=1, random_state=seed).fit(X).cluster_centers_ for seed in range(n_starts)]
    centers = np.repeat(starts, n_levels, 0)
    levels = np.tile(np.linspace(0, 0.5, n_levels), n_starts)
    found = ways(
        len(levels), lambda n: fca.fit_batch(X.astype(np.float32), groups, centers, levels, n_groups=2, n_threads=n)
    )
    return {"n_points": len(X), "n_clusters": K, "starts": n_starts, "levels": n_levels, "ways": found}


SECTIONS = {"sets": sets, "sweep": sweep}
