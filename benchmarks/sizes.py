"""k-means with bounds on the size of clusters, beside the package k-means-constrained: same optimum, how many seconds.

    python benchmarks/sizes.py [--theirs PYTHON] [--rows 20000,100000] [--repeats N]

Points of five features, K = 10. That package assigns at least *distance*, not squared distance. *assignment*: of the
points to the same centres, both by distance, where the mean must be the same;
*fit*: from the same ten points to the end. Seconds are of one thread, in a compiled process the least of the runs,
and in brackets those of the processor. ``--theirs`` names the interpreter of an environment that has the package, if
this one has not; it runs once.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import measure
import numpy as np

K, D = 10, 5
SLACK = {"equal": 0.0, "within 2 %": 0.02}


def data(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, seeds, and centres that lie unevenly."""
    rng = np.random.default_rng(0)
    X = rng.random((n, D)) ** 2
    return X, X[:K].copy(), X[K : 2 * K].copy()


def bounds(n: int, slack: float) -> tuple[int, int]:
    return int(np.floor(n / K * (1 - slack))), int(np.ceil(n / K * (1 + slack)))


def clocked(run: Any) -> tuple[Any, float, float]:
    began = time.perf_counter(), time.process_time()
    found = run()
    return found, time.perf_counter() - began[0], time.process_time() - began[1]


def theirs(n: int, slack: float) -> dict[str, Any]:
    from k_means_constrained import KMeansConstrained

    X, start, centers = data(n)
    low, high = bounds(n, slack)
    model = KMeansConstrained(K, size_min=low, size_max=high, init=start, n_init=1, max_iter=100, random_state=0)
    fit = clocked(lambda: model.fit(X))
    cost = within(X, model.labels_)
    n_iter = int(model.n_iter_)
    model.cluster_centers_ = centers
    labels, *seconds = clocked(lambda: model.predict(X, size_min=low, size_max=high))
    return {
        "assignment": {"cost": apart(X, labels, centers), "seconds": seconds},
        "fit": {"cost": cost, "n_iter": n_iter, "seconds": fit[1:]},
    }


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


def apart(X: np.ndarray, labels: np.ndarray, centers: np.ndarray) -> float:
    return float(np.sqrt(((X - centers[labels]) ** 2).sum(1)).mean())


def within(X: np.ndarray, labels: np.ndarray) -> float:
    means = np.stack([X[labels == k].mean(0) for k in range(K)])
    return float(((X - means[labels]) ** 2).sum(1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theirs", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--rows", default="20000,100000")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--only", metavar="n,slack", help="what --theirs runs")
    options = parser.parse_args()
    if options.only:
        n, slack = options.only.split(",")
        print(json.dumps(theirs(int(n), float(slack))))
        return
    rows = []
    for n in map(int, options.rows.split(",")):
        for name, slack in SLACK.items():
            command = [options.theirs, __file__, "--only", f"{n},{slack}"]
            other = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rows.append({"n": n, "sizes": name, "ours": ours(n, slack, options.repeats), "theirs": other})
            for what in ("assignment", "fit"):
                mine, other = rows[-1]["ours"][what], rows[-1]["theirs"][what]
                print(
                    f"| {n:,}, {name}, {what} | {mine['cost']:.8f} | {other['cost']:.8f} | "
                    f"{mine['seconds'][0]:.2f} ({mine['seconds'][1]:.2f}) | "
                    f"{other['seconds'][0]:.2f} ({other['seconds'][1]:.2f}) |",
                    flush=True,
                )
    found = {"n_clusters": K, "n_features": D, "rows": rows}
    print(measure.write("sizes", f"python benchmarks/sizes.py --repeats {options.repeats}", found, family="baselines"))


if __name__ == "__main__":
    main()
