"""k-means with bounds on the size of clusters, beside the package k-means-constrained: same optimum, how many seconds.

Points of five features, K = 10. That package assigns at least *distance*, not squared distance. *assignment*: of the
points to the same centres, both by distance, where the mean must be the same; *fit*: from the same ten points to the
end. Seconds are of one thread, in a compiled process the least of the runs, and in brackets those of the processor.
``--theirs`` names the interpreter of an environment that has the package, if this one has not; it runs once.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.baselines.constrained import D, K, apart, bounds, clocked, data, within
from benchmarks.running import Run, ran

SLACK = {"equal": 0.0, "within 2 %": 0.02}


def ours(n: int, slack: float, repeats: int) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    from fairjax.assignment import capacity_assignment
    from fairjax.baselines import KMeans
    from fairjax.kmeans import squared_distances

    X, start, centers = data(n)
    low, high = bounds(n, slack)
    points, places = jnp.asarray(X, jnp.float32), jnp.asarray(centers, jnp.float32)
    solve = jax.jit(lambda X, centers: capacity_assignment(jnp.sqrt(squared_distances(X, centers)), low, high))
    found, *first = clocked(lambda: jax.block_until_ready(solve(points, places)))
    assigned = [clocked(lambda: jax.block_until_ready(solve(points, places)))[1:] for _ in range(repeats)]
    model = KMeans(K, size_min=low, size_max=high, init=start, max_iter=100)
    fits = [clocked(lambda: model.fit(X))[1:] for _ in range(repeats + 1)]
    counts = np.bincount(found.labels, minlength=K)
    assert low <= counts.min() <= counts.max() <= high
    return {
        "assignment": {
            "cost": apart(X, np.asarray(found.labels), centers),
            "gap": float(found.gap),
            "first_seconds": first,
            "seconds": min(assigned),
        },
        "fit": {
            "cost": within(X, model.labels_), "n_iter": model.n_iter_, "gap": model.gap_,
            "first_seconds": fits[0], "seconds": min(fits[1:]),
        },
    }  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--theirs", type=Path, default=Path(sys.executable))
    parser.add_argument("--rows", type=lambda text: [int(n) for n in text.split(",")], default=[20_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3, metavar="N")


def sizes(run: Run) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    cases = [(n, name, slack) for n in ([1000] if run.quick else run.options.rows) for name, slack in SLACK.items()]
    for n, name, slack in run.each(cases):
        script = Path(__file__).with_name("constrained.py")
        other = ran([str(run.options.theirs), str(script), str(n), str(slack)])
        rows.append({"n": n, "sizes": name, "ours": ours(n, slack, run.options.repeats), "theirs": other})
        for what in ("assignment", "fit"):
            mine, others = rows[-1]["ours"][what], other.get(what, {"cost": np.nan, "seconds": [np.nan, np.nan]})
            print(
                f"{n:,}, {name}, {what}: {mine['cost']:.8f} in {mine['seconds'][0]:.2f} s "
                f"({mine['seconds'][1]:.2f}), theirs {others['cost']:.8f} in {others['seconds'][0]:.2f} s "
                f"({others['seconds'][1]:.2f})",
                flush=True,
            )
    return {"n_clusters": K, "n_features": D, "rows": rows}


SECTIONS = {"sizes": sizes}
