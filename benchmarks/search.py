"""Search against restarts: what each has reached after so many seconds of one core.

    python benchmarks/search.py            every case, both ways, for 20 s each, 60 s with 50 clusters

Both begin with the same aligned start. Restarts go on with further ones, the search (``FCA(search=...)``) with moves of
single centres. Times are those of the processor, of a process that is bound to one core, programs compiled before; so
they hold on a machine that has other work. Files are looked for where ``FAIRJAX_DATA`` says. ``--quick`` takes a
twentieth of the rows and a second each.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one of those that it was given

import measure  # noqa: E402

from fairjax import datasets  # noqa: E402
from fairjax.fca import fitting, restarts, search  # noqa: E402
from fairjax.fca.scaled_points import ScaledPoints, scale_points  # noqa: E402

CLUSTERS = (5, 10, 20, 50)
SECONDS = 20.0
LONGER = 3  # times as long with the most clusters
FAIRNESS = fitting.Fairness("gap", 0.0)
WAYS = ("restarts", "search")


def cases() -> dict[str, datasets.Dataset]:
    return {
        "Adult": datasets.load_adult(l2_normalize=True),
        "Bank": datasets.load_bank(l2_normalize=True),
        "Bank, three marital groups": datasets.load_bank(groups="marital", l2_normalize=True),
        "Census sample": datasets.load_census(l2_normalize=True),
    }


def by_restarts(points: ScaledPoints, n_clusters: int, seed: int) -> Iterator[float]:
    """The least cost after every fit."""
    least = float("inf")
    for start in restarts.starts(points, "aligned", n_clusters, None, seed):
        least = min(least, float(fitting.fit_from(points, start.centers, FAIRNESS).cost))
        yield least


def by_search(points: ScaledPoints, n_clusters: int, seed: int) -> Iterator[float]:
    fresh = restarts.starts(points, "aligned", n_clusters, None, seed)
    first = next(fresh)
    best = restarts.Outcome(fitting.fit_from(points, first.centers, FAIRNESS), first, 0)
    yield float(best.result.cost)
    for found in search.steps(points, best, fitting.refitting(points, FAIRNESS), fresh, seed=seed):
        yield float(found.result.cost)


def trajectory(costs: Iterator[float], points: ScaledPoints, seconds: float) -> dict[str, Any]:
    """When the least cost fell, in seconds of the processor, and to what; fits in all."""
    began, falls, fits = time.process_time(), [], 0
    for fits, cost in enumerate(costs, 1):
        spent = time.process_time() - began
        if not falls or cost < falls[-1]["cost"]:
            falls.append({"seconds": round(spent, 2), "fits": fits, "cost": float(points.cost_of(cost))})
        if spent >= seconds:
            break
    return {"fits": fits, "seconds": round(time.process_time() - began, 2), "falls": falls}


def run(quick: bool, chosen: Sequence[int], seconds: float, seed: int, folder: Path) -> None:
    for n_clusters in chosen:
        times = LONGER if n_clusters == CLUSTERS[-1] else 1
        for name, data in cases().items():
            thinned = slice(None, None, 20 if quick else 1)
            X, groups = data.matrix[thinned], data.groups[thinned]
            points = scale_points(X, groups, n_groups=data.n_groups)
            for _ in itertools.islice(by_search(points, n_clusters, seed + 1), 2):
                pass  # all that compiles
            row: dict[str, Any] = {"data": name, "n": len(X), "n_clusters": n_clusters}
            for name_of_way, way in zip(WAYS, (by_restarts, by_search), strict=True):
                row[name_of_way] = trajectory(way(points, n_clusters, seed), points, times * seconds)
            print(name, n_clusters, *(f"{way} {row[way]['falls'][-1]['cost']:.5f}" for way in WAYS), flush=True)
            # those of other numbers of clusters may come from a run of their own
            rows = [old for old in written(folder) if (old["data"], old["n_clusters"]) != (name, n_clusters)] + [row]
            found = {
                "processor_seconds_each": seconds,
                "seed": seed,
                "dtype": "float32",
                "rows": sorted(rows, key=place),
            }
            command = "python benchmarks/search.py" + (" --quick" if quick else f" --seconds {seconds:g} --seed {seed}")
            measure.write("restarts", command, found, folder, family="search")


def written(folder: Path) -> list[dict[str, Any]]:
    path = folder / "search-restarts.json"
    return json.loads(path.read_text())["rows"] if path.exists() else []


def place(row: dict[str, Any]) -> tuple[int, str]:
    return row["n_clusters"], row["data"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows; results go to the temporary folder")
    parser.add_argument("--clusters", type=int, nargs="+", default=CLUSTERS, metavar="K")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="of the processor, for each way; thrice with 50 clusters"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.gettempdir()) if options.quick else measure.RESULTS
    run(
        options.quick,
        CLUSTERS[:2] if options.quick else options.clusters,
        1.0 if options.quick else options.seconds,
        options.seed,
        folder,
    )


if __name__ == "__main__":
    main()
