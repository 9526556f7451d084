"""Search against restarts: what each has reached after so many seconds of one core.

Both begin with the same aligned start. Restarts go on with further ones, the search (``FCA(search=...)``) with moves of
single centres. Times are those of the processor, of a process that is bound to one core, programs compiled before; so
they hold on a machine that has other work. A piece is a number of
clusters and a data set.
"""

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one of those that it was given

from benchmarks.running import Run  # noqa: E402
from fairjax import datasets  # noqa: E402
from fairjax.fca import fitting, restarts, search  # noqa: E402
from fairjax.fca.scaled_points import ScaledPoints, scale_points  # noqa: E402

CLUSTERS = (5, 10, 20, 50)
SECONDS = 20.0
LONGER = 3  # times as long with the most clusters
FAIRNESS = fitting.Fairness("gap", 0.0)
WAYS = ("restarts", "search")


READERS: dict[str, Callable[[], datasets.Dataset]] = {
    "Adult": partial(datasets.load_adult, l2_normalize=True),
    "Bank": partial(datasets.load_bank, l2_normalize=True),
    "Bank, three marital groups": partial(datasets.load_bank, groups="marital", l2_normalize=True),
    "Census sample": partial(datasets.load_census, l2_normalize=True),
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the processor, for each way of a piece")
    parser.add_argument("--seed", type=int, default=0)


def restarts_and_search(run: Run) -> None:
    seconds, seed = 1.0 if run.quick else run.options.seconds, run.options.seed
    clusters = CLUSTERS[:2] if run.quick else CLUSTERS
    todo = {f"{n_clusters}, {name}": (n_clusters, name) for n_clusters in clusters for name in READERS}
    known = {f"{row['n_clusters']}, {row['data']}" for row in run.record().get("rows", [])}
    for piece in run.pieces(todo, known.__contains__):
        n_clusters, name = todo[piece]
        row = compared(name, n_clusters, (LONGER if n_clusters == CLUSTERS[-1] else 1) * seconds, seed, run.quick)
        print(piece, *(f"{way} {row[way]['falls'][-1]['cost']:.5f}" for way in WAYS), flush=True)
        rows = [*(old for old in run.record().get("rows", []) if place(old) != place(row)), row]
        found = {"processor_seconds_each": seconds, "seed": seed, "dtype": "float32"}
        run.write(found | {"rows": sorted(rows, key=place)})


def compared(name: str, n_clusters: int, seconds: float, seed: int, quick: bool) -> dict[str, Any]:
    """Both ways on one data set."""
    data, thinned = READERS[name](), slice(None, None, 20 if quick else 1)
    points = scale_points(data.matrix[thinned], data.groups[thinned], n_groups=data.n_groups)
    for _ in itertools.islice(by_search(points, n_clusters, seed + 1), 2):
        pass  # all that compiles
    row: dict[str, Any] = {"data": name, "n": len(data.groups[thinned]), "n_clusters": n_clusters}
    for way, costs in zip(WAYS, (by_restarts, by_search), strict=True):
        row[way] = trajectory(costs(points, n_clusters, seed), points, seconds)
    return row


def place(row: dict[str, Any]) -> tuple[int, str]:
    return row["n_clusters"], row["data"]


SECTIONS = {"restarts": restarts_and_search}
