"""Data that several files of tests of the estimator share, and a fit of them."""

import functools

import numpy as np
from sklearn.base import clone

from fairjax import FCA

K = 3


def data(n=60, d=3, seed=0):
    """Three blobs, whose two groups are unevenly spread; all tests share the padded shape (64, 4)."""
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, K, n)
    X = rng.normal(size=(n, d)) + 4.0 * np.eye(K, d)[blob]
    groups = (rng.random(n) < np.array([0.8, 0.5, 0.2])[blob]).astype(int)
    return X, groups


X, SEX = data()
NAMES = np.array(["female", "male"])[SEX]
MODEL = FCA(K, random_state=0)


@functools.cache
def fitted_once():
    return clone(MODEL).fit(X, sensitive_features=NAMES)
