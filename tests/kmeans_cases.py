"""What the tests of k-means share."""

import numpy as np


def blobs(n=300, d=4, k=5, seed=0, spread=1.0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    means = rng.normal(scale=3.0, size=(k, d))
    return (means[rng.integers(k, size=n)] + spread * rng.normal(size=(n, d))).astype(dtype)


def cost_of(X, centers, weights=None):
    distances = ((np.asarray(X, float)[:, None] - np.asarray(centers, float)[None]) ** 2).sum(2)
    return np.average(distances.min(1), weights=weights)
