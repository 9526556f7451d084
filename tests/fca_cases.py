"""Data, compiled routines and the certificate that the tests of the direct route share."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from assignment_oracle import Instance, group_counts, proven_bound, violation
from compilation import optimiser
from theory import assert_proposition_4_2

from fairjax import fca
from fairjax.assignment import fair

N, D, K, M = 240, 3, 4, 3
MAX_ITER = 100
CONTROLS = {"epsilon": 0.1, "min_balance": 0.4}


class Data(NamedTuple):
    X: np.ndarray
    groups: np.ndarray
    weights: np.ndarray
    centers: np.ndarray


def data(seed=0, n=N, m=M, dtype=np.float64):
    """Blobs that the groups populate unevenly, and centres drawn from the points."""
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, K, n)
    X = 3 * rng.normal(size=(K, D))[blob] + rng.normal(size=(n, D))
    groups = np.array([rng.choice(m, p=rng.dirichlet(np.full(m, 2.0))) for _ in range(K)])[blob]
    groups = np.where(rng.random(n) < 0.7, rng.integers(0, m, n), groups).astype(np.int32)
    groups[:m] = np.arange(m)
    return Data(X.astype(dtype), groups, np.ones(n, dtype), X[rng.choice(n, K, replace=False)].astype(dtype))


@functools.cache
def routines(name, m=M, n_open=None, n_absent=0):
    """Jitted (start, advance, finish) for one control, with so many centres that there are not behind the others."""

    def problem(d, level):
        points = fca.prepare(d.X, d.groups, d.weights, n_groups=m)
        return points, fair.control(points.masses, **{name: level})

    def start(d):
        points = fca.prepare(d.X, d.groups, d.weights, n_groups=m)
        if n_absent == 0:
            return fca.init(points, d.centers, max_iter=MAX_ITER, n_open=n_open)
        centers = jnp.pad(d.centers, ((0, n_absent), (0, 0)))
        return fca.init(points, centers, np.arange(K + n_absent) < K, max_iter=MAX_ITER, n_open=n_open)

    def advance(d, level, state, until, tol, pause):
        points, control = problem(d, level)
        return fca.run(points, control, state, until=until, pause=pause, tol=tol)

    def finish(d, level, state):
        points, control = problem(d, level)
        return fca.finish(points, control, state)

    return jax.jit(start), jax.jit(advance), jax.jit(finish)


def fit(d, name="epsilon", level=None, *, until=MAX_ITER, tol=1e-4, m=M, **options):
    """The final state and the clustering, as numpy. In single precision of programs as users have them."""
    start, advance, finish = routines(name, m, **options)
    level = np.asarray(CONTROLS[name] if level is None else level, d.X.dtype)
    exact = d.X.dtype == np.float64
    with jax.enable_x64(exact), optimiser(not exact):
        state = advance(d, level, start(d), until, np.asarray(tol, d.X.dtype), MAX_ITER)
        found = finish(d, level, state)
        return jax.tree.map(np.asarray, (state, found))


def squared_distances(X, centers):
    return ((X[:, None].astype(float) - centers.astype(float)) ** 2).sum(-1)


def instance_of(d, found, name, level=None):
    level = CONTROLS[name] if level is None else level
    return Instance(squared_distances(d.X, found.centers), d.groups, d.weights, {name: level})


def probabilities_of(d, found):
    n_points, n_clusters = len(d.X), len(found.centers)
    probabilities = np.eye(n_clusters)[found.assignment.labels[:n_points]]
    inside = found.assignment.rows < n_points
    probabilities[found.assignment.rows[inside]] = found.assignment.fractions[inside]
    return probabilities


def assert_certified(d, found, name, level=None, *, m=M):
    """Everything that the result claims, recomputed from the points in double precision."""
    exact = d.X.dtype == np.float64
    promised, rounding = (1e-6, 1e-9) if exact else (1e-5, 2e-5)
    problem = instance_of(d, found, name, level)
    best = found.assignment
    assert best.status == 0
    probabilities = probabilities_of(d, found)
    share = d.weights / d.weights.sum()
    primal = np.sum(share[:, None] * probabilities * problem.costs)
    bound, missed = proven_bound(problem, best.prices)
    counts = group_counts(problem, probabilities, m)
    assert missed <= (1e-12 if exact else 1e-5)
    assert primal == pytest.approx(float(best.primal), rel=rounding)
    assert bound == pytest.approx(float(best.dual), rel=rounding)
    assert 0 <= best.gap <= promised
    assert primal - bound <= (promised + 2 * rounding) * primal
    assert violation(problem, counts) <= rounding
    if name == "epsilon":
        sizes = counts.sum(1)
        asked = (CONTROLS[name] if level is None else level) + 10 * rounding
        for other in range(1, m):
            first, second = (counts[s] / sizes[s] for s in (0, other))
            assert_proposition_4_2(first, second, sizes[[0, other]], asked)
    labels = best.labels[: len(d.X)]
    label_counts = group_counts(problem, np.eye(len(found.centers))[labels], m)
    assert np.all(abs(label_counts - counts) < share.max() * (1 + 1e-2))
    cost = np.sum(share * np.take_along_axis(problem.costs, labels[:, None], 1)[:, 0])
    assert cost == pytest.approx(float(found.cost), rel=max(rounding, 1e-9))
    return primal


def taken(found):
    return found.history[: found.n_iter]
