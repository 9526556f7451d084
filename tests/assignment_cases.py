"""Problems that several files of tests of fair assignment share, each solved once for all of them."""

import functools

import numpy as np
from assignment_oracle import BATCH, FORMS, KINDS, Instance, instances, solve

N, K, M = 20, 4, 3
# The optimum is unique with probability one.
UNIQUE = ("generic", "weighted", "unordered")
# Two certified values of one optimum differ by at most two gaps.
CERTIFIED = 2e-6
TIGHTNESS = (0.0, 1e-6, 0.5, 0.999999, 1 - 1e-8, 1.0)


def keywords(form, masses, tightness):
    """Keywords of a control that is loose at 0 and perfect fairness at 1."""
    if form == "gap":
        return {"epsilon": 2 * (1 - tightness)}
    if form == "balance":
        return {"min_balance": tightness * masses.min() / masses.max()}
    return {"lower": tightness * masses, "upper": 1 - tightness * (1 - masses)}


def masses_of(groups, weights):
    return np.bincount(groups, weights, M) / np.sum(weights)


def with_sizes(rng, n, k, sizes):
    costs, _, weights = KINDS["generic"](rng, n, k, M)
    return costs, rng.permutation(np.repeat(np.arange(M), sizes)).astype(np.int32), weights


def weights_over_orders(rng, of_groups):
    costs, groups, _ = KINDS["generic"](rng, N, K, M)
    return costs, groups, (10 ** rng.uniform(-12, 0, M))[groups] if of_groups else 10 ** rng.uniform(-12, 0, N)


HARD = (
    functools.partial(with_sizes, n=N, k=K, sizes=[N - 3, 2, 1]),
    *(functools.partial(weights_over_orders, of_groups=each) for each in (True, False)),
    *(functools.partial(KINDS[name], n=N, k=K, m=M) for name in ("lonely", "grid", "far_outlier")),
)


@functools.cache
def hard(form, dtype):
    """Three problems of each kind at each tightness, and their solutions."""
    rng = np.random.default_rng([7, FORMS.index(form)])
    problems = []
    for draw in HARD:
        for tightness in TIGHTNESS * 3:
            costs, groups, weights = (a.astype(to) for a, to in zip(draw(rng), (dtype, int, dtype), strict=True))
            asked = keywords(form, masses_of(groups, weights.astype(float)), tightness)
            asked = {name: np.asarray(value, dtype).astype(float) for name, value in asked.items()}
            problems.append(Instance(costs, groups, weights, asked))
    return problems, solve(problems, M, dtype)


@functools.cache
def base(form):
    problems = instances(form, BATCH, N, K, M, 3, kinds=UNIQUE)
    return problems, solve(problems, M)


def assert_same(found, expected, *, scale=1.0, plus=0.0, reordered=False):
    """Same labels, and values that agree within their certificates after scaling and shifting.

    Of points or clusters that have been ``reordered`` only the split ones may be rounded otherwise: where two clusters
    lack equally much, the first of them gets the point.
    """
    assert not np.any(found.status)
    # of 20 points, with bounds kept to 1e-7 of the weight
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=20 * 1e-7 * 2)
    compared = (found.probabilities.max(-1) > 1 - 1e-9) | (not reordered)
    otherwise = np.any(compared & (found.labels != expected.labels), -1)
    # in another order a split of one point that costs nothing may fall on another
    assert np.mean(otherwise) <= (2 / BATCH if reordered else 0)
    size = np.abs(expected.primal * scale) + np.abs(plus)
    assert np.all(abs(found.primal - (expected.primal * scale + plus)) <= CERTIFIED * size)
    assert np.all(abs(found.dual - (expected.dual * scale + plus)) <= CERTIFIED * size)
