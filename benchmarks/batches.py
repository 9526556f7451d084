"""Many fits in one call on a CPU; each section writes one JSON file to ``benchmarks/results``.

    python benchmarks/batches.py sets      1,000 data sets of 1,000 x 5 points, K = 5, beside scikit-learn's KMeans
    python benchmarks/batches.py sweep     20 starts x 10 levels of epsilon on Adult

Every batch is run twice, and the first run counts as compilation. ``--quick`` takes small sizes, to see that everything
runs; its files go to the temporary folder. On a GPU ``accelerator.py`` measures the same.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import direct
import jax
import measure
import numpy as np
from sklearn.cluster import KMeans

from fairjax import datasets, fca


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
            "statuses": np.unique(result.status).tolist(), "mean_turns": float(np.mean(result.n_iter)),
        }  # fmt: skip
        print(f"{fits} fits, {n_threads} threads: {seconds:.2f} s, {fits / seconds:.1f} a second", flush=True)
    return found


def sets(quick: bool) -> dict[str, Any]:
    n_sets, n_points, n_features, n_clusters = 20 if quick else 1000, 1000, 5, 5
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


def sweep(quick: bool) -> dict[str, Any]:
    X, groups = direct.ordered(datasets.load_adult(l2_normalize=True))
    X, groups = (X[::32], groups[::32]) if quick else (X, groups)
    n_starts, n_levels = (2, 2) if quick else (20, 10)
    starts = [KMeans(direct.K, n_init=1, random_state=seed).fit(X).cluster_centers_ for seed in range(n_starts)]
    centers = np.repeat(starts, n_levels, 0)
    levels = np.tile(np.linspace(0, 0.5, n_levels), n_starts)
    found = ways(
        len(levels), lambda n: fca.fit_batch(X.astype(np.float32), groups, centers, levels, n_groups=2, n_threads=n)
    )
    return {"n_points": len(X), "n_clusters": direct.K, "starts": n_starts, "levels": n_levels, "ways": found}


SECTIONS = {"sets": sets, "sweep": sweep}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="?", choices=[*SECTIONS, "all"], default="all")
    parser.add_argument("--quick", action="store_true", help="small sizes; results go to the temporary folder")
    options = parser.parse_args()
    if jax.default_backend() != "cpu":
        raise SystemExit("this measures CPUs; on an accelerator run benchmarks/accelerator.py --only batches")
    for section in SECTIONS if options.section == "all" else [options.section]:
        print(f"== {section}", flush=True)
        command = f"python benchmarks/batches.py {section}" + (" --quick" if options.quick else "")
        folder = Path(tempfile.gettempdir()) if options.quick else measure.RESULTS
        found = SECTIONS[section](options.quick)
        print(f"wrote {measure.write(section, command, found, folder, family='batches').name}", flush=True)


if __name__ == "__main__":
    main()
