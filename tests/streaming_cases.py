"""What the tests of fits over blocks share."""

import itertools

import numpy as np

from fairjax.fca.fitting import Fairness
from fairjax.fca.streaming import fitting, labels
from fairjax.fca.streaming.intake import Intake
from fairjax.fca.streaming.survey import survey

N, D, K, M = 6000, 3, 4, 3


def people(n=N, seed=0):
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, K, n)
    X = (2 * rng.normal(size=(K, D))[blob] + rng.normal(size=(n, D)) + 100).astype(np.float32)
    groups = np.where(rng.random(n) < 0.4, blob % M, rng.integers(0, M, n))
    groups[:M] = np.arange(M)
    return X, np.array(["a", "b", "c"])[groups]


def cut(X, groups, *places, weights=None):
    """Blocks that end at these places."""
    edges = [0, *places, len(X)]
    parts = [slice(*edge) for edge in itertools.pairwise(edges)]
    if weights is None:
        return [(X[part], groups[part]) for part in parts]
    return [(X[part], groups[part], weights[part]) for part in parts]


def contingency(groups, found):
    table = np.zeros((M, K))
    np.add.at(table, (np.unique(groups, return_inverse=True)[1], found), 1)
    return table


def problem(blocks, fairness=None, size=1500, n_open=512, block_rows=1024):
    intake = Intake(blocks)
    seen = survey(intake, size)
    fairness = Fairness("gap", 0.0) if fairness is None else fairness
    return fitting.problem_of(intake, seen, fairness, np.float32, n_open=n_open, block_rows=block_rows), seen


def labels_of(intake, rule):
    return np.concatenate([block.labels for block in labels.labelled(intake, rule)])


X40, G40 = people(40)
