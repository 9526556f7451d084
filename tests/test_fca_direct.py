"""Fair clustering by the direct route: descent, fairness, the size of its programs, real data."""

import re

import jax
import numpy as np
import pytest
from compilation import optimiser
from data_files import need
from fca_cases import MAX_ITER, Data, M, assert_certified, data, fit, probabilities_of, routines, taken

from fairjax import datasets, fca
from fairjax.assignment import screening
from fairjax.datasets import sources
from fairjax.errors import InputError
from fairjax.metrics import balance as balance_of

# Descent


@pytest.mark.parametrize("name", [pytest.param("epsilon", marks=pytest.mark.slow), "min_balance"])
def test_cost_never_rises(name):
    for seed in range(5):
        d = data(seed)
        state, found = fit(d, name, tol=1e-6)
        history = taken(found)
        assert found.converged
        assert np.isfinite(history).all()
        assert np.isnan(found.history[found.n_iter :]).all()
        rises = np.diff(history) / history[:-1]
        assert np.all(rises[:-1] <= 1e-12)
        # the iteration that finds nothing left to gain may miss the last one's cost by its own certificate
        assert rises[-1] <= 1e-6
        primal = assert_certified(d, found, name)
        assert primal <= history.min() * (1 + 1e-6)
        assert state.best_cost == history.min()


@pytest.mark.slow
def test_cost_never_rises_in_single_precision():
    for seed in range(5):
        d = data(seed, dtype=np.float32)
        _, found = fit(d)
        history = taken(found)
        assert found.converged
        assert np.all(np.diff(history) <= 1e-5 * history[:-1]), np.diff(history).max()
        assert_certified(d, found, "epsilon")


def test_centers_are_means():
    d = data(1)
    _, found = fit(d, tol=1e-7)
    probabilities = probabilities_of(d, found)
    means = probabilities.T @ d.X / probabilities.sum(0)[:, None]
    assert found.converged
    np.testing.assert_allclose(found.centers, means, atol=1e-4)


def test_perfect_fairness():
    """ε = 0 with three groups: every group's proportions are those of the whole."""
    d = data(2)
    _, found = fit(d, level=0.0)
    assert_certified(d, found, "epsilon", 0.0)
    profiles = np.stack([probabilities_of(d, found)[d.groups == s].mean(0) for s in range(M)])
    np.testing.assert_allclose(profiles, np.broadcast_to(profiles[0], profiles.shape), atol=1e-9)


def test_fairness_has_its_price():
    """Tighter controls cost more from the same start, up to local optima that the gaps would show."""
    d = data(3)
    free = fit(d, level=2.0)[1]
    costs = [float(fit(d, level=level)[1].assignment.primal) for level in (0.0, 0.2, 0.5)]
    assert costs[0] > costs[1] > costs[2] >= float(free.assignment.primal) * (1 - 1e-6)


@pytest.mark.slow
@optimiser(True)
def test_iterations_may_estimate(monkeypatch):
    """From representatives of the few points that move: as good an end, exactly fair, with fewer passes."""
    found = {}
    for few in (screening._FEW_MOVE, -1.0):
        monkeypatch.setattr(screening, "_FEW_MOVE", few)
        start, advance, finish = routines.__wrapped__("epsilon", 2)
        ends = []
        for seed in range(3):
            d = data(seed, n=100_000, m=2, dtype=np.float32)
            level = np.float32(0)
            ends.append(finish(d, level, advance(d, level, start(d), MAX_ITER, np.float32(1e-3), MAX_ITER)))
            assert_certified(d, jax.tree.map(np.asarray, ends[-1]), "epsilon", 0.0, m=2)
        found[few > 0] = ends
    estimated, exact = ([float(end.cost) for end in found[way]] for way in (True, False))
    np.testing.assert_allclose(estimated, exact, rtol=1e-3)
    fewer, more = (sum(int(end.n_passes) / int(end.n_iter) for end in found[way]) for way in (True, False))
    assert fewer < 0.8 * more


@pytest.mark.parametrize("name", ["epsilon", "min_balance"])
def test_programs_are_small(name):
    """Compiling takes half a millisecond an operation; the solver is in there once, for either control."""
    d = data(12, n=20_000, m=2, dtype=np.float32)
    start, advance, finish = routines(name, 2)
    level, tol = np.float32(0.1), np.float32(1e-4)
    state = jax.eval_shape(start, d)
    programs = advance.lower(d, level, state, MAX_ITER, tol, MAX_ITER), finish.lower(d, level, state)
    laid_out = jax.jit(lambda d: fca.prepare(d.X, d.groups, d.weights, n_groups=2)).lower(d)
    operation = re.compile(r" = \"?stablehlo\.(?!constant)")
    n_operations = [len(operation.findall(program.as_text())) for program in (*programs, laid_out)]
    assert sum(n_operations[:2]) - 2 * n_operations[2] <= 3750


@pytest.mark.parametrize("n_rows", [0, -3, 11, "2", 2.0, [2]])
def test_numbers_of_rows_that_there_are_not(n_rows):
    X, groups = np.zeros((10, 2)), np.zeros(10, int)
    with pytest.raises(InputError, match=r"n_rows is .*; expected a whole number from 1 to 10"):
        fca.prepare(X, groups, n_groups=1, n_rows=n_rows)


def test_more_rows_than_there_are_count_as_all():
    """Where the number is traced, nobody can be told."""
    X, groups = np.zeros((10, 2)), np.zeros(10, int)
    points = jax.jit(lambda n_rows: fca.prepare(X, groups, n_groups=1, n_rows=n_rows))(5000)
    assert int(points.n_used) == 1


def test_shapes_that_do_not_fit():
    points = fca.prepare(np.zeros((6, 2)), np.zeros(6, int), n_groups=1)
    with pytest.raises(InputError, match=r"groups has shape \(5,\); expected \(6,\)"):
        fca.prepare(np.zeros((6, 2)), np.zeros(5, int), n_groups=1)
    with pytest.raises(InputError, match=r"weights has shape \(7,\)"):
        fca.prepare(np.zeros((6, 2)), np.zeros(6, int), np.ones(7), n_groups=1)
    with pytest.raises(InputError, match=r"centers has shape \(3, 4\), expected \(K, 2\)"):
        fca.init(points, np.zeros((3, 4)))
    with pytest.raises(InputError, match="max_iter"):
        fca.init(points, np.zeros((3, 2)), max_iter=0)


# Real data


def test_adult():
    """The cost and balance to reach from the centres of scikit-learn, women first."""
    from sklearn.cluster import KMeans

    need(sources.ADULT_TRAIN)
    adult = datasets.load_adult(l2_normalize=True)
    women_first = np.argsort(adult.groups, kind="stable")
    X, groups = np.asarray(adult.X)[women_first].astype(np.float32), adult.groups[women_first]
    model = KMeans(10, n_init=1, random_state=2025).fit(X.astype(float))
    d = Data(X, groups, np.ones(len(X), np.float32), model.cluster_centers_.astype(np.float32))
    _, found = fit(d, level=0.0, m=2)
    labels = found.assignment.labels[: len(X)]
    assert found.converged
    assert_certified(d, found, "epsilon", 0.0, m=2)
    assert found.cost <= 0.3149
    assert balance_of(labels, groups) >= 0.4938
