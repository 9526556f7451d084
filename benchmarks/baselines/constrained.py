"""The package k-means-constrained on the points of ``sizes.py``, which runs this in an environment that has it.

It needs that package and numpy only: ``python constrained.py N SLACK`` prints costs and seconds as JSON.
"""

import json
import sys
import time
from typing import Any

import numpy as np

K, D = 10, 5


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


def apart(X: np.ndarray, labels: np.ndarray, centers: np.ndarray) -> float:
    return float(np.sqrt(((X - centers[labels]) ** 2).sum(1)).mean())


def within(X: np.ndarray, labels: np.ndarray) -> float:
    means = np.stack([X[labels == k].mean(0) for k in range(K)])
    return float(((X - means[labels]) ** 2).sum(1).mean())


if __name__ == "__main__":
    print(json.dumps(theirs(int(sys.argv[1]), float(sys.argv[2]))))
