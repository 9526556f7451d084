"""Fair clustering by the direct route: descent, certificate, symmetries, batches, and the target on real data."""

import functools
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from assignment_oracle import Instance, group_counts, proven_bound, violation
from compilation import optimiser
from data_files import need
from theory import assert_proposition_4_2

from fairjax import datasets, fca, kmeans
from fairjax.assignment import fair, screening
from fairjax.datasets import sources
from fairjax.errors import InputError
from fairjax.fca import points as passes
from fairjax.metrics import balance as balance_of

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


# Descent


@pytest.mark.parametrize("name", ["epsilon", "min_balance"])
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


# What changes nothing


def test_one_group_is_kmeans():
    d = data(4)._replace(groups=np.zeros(N, np.int32))
    _, found = fit(d, level=0.0, m=1, tol=1e-7)
    with jax.enable_x64(True):
        expected = kmeans.run(d.X, d.centers, tol=0.0)
        np.testing.assert_array_equal(found.assignment.labels, expected.labels)
        np.testing.assert_allclose(found.centers, expected.centers, rtol=1e-9)
        np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-9)


def test_weights_are_repetitions():
    rng = np.random.default_rng(5)
    d = data(5)
    times = np.zeros(N, int)
    times[:100] = rng.integers(1, 4, 100)
    times[:M] = 1
    repeated = np.repeat(np.arange(N), times)[:N]
    times = np.bincount(repeated, minlength=N)
    pad = N - len(repeated)
    one = d._replace(weights=times.astype(float))
    other = Data(
        np.pad(d.X[repeated], ((0, pad), (0, 0))),
        np.pad(d.groups[repeated], (0, pad)),
        np.pad(np.ones(len(repeated)), (0, pad)),
        d.centers,
    )
    _, first = fit(one)
    _, second = fit(other)
    np.testing.assert_allclose(first.centers, second.centers, atol=1e-3)
    np.testing.assert_allclose(first.assignment.primal, second.assignment.primal, rtol=1e-4)


def test_translation_and_rotation():
    d = data(6)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0]
    shift = np.array([100.0, -50.0, 7.0])
    _, expected = fit(d)
    _, found = fit(d._replace(X=d.X @ rotation + shift, centers=d.centers @ rotation + shift))
    np.testing.assert_array_equal(found.assignment.labels, expected.assignment.labels)
    np.testing.assert_allclose(found.centers, expected.centers @ rotation + shift, rtol=1e-6)
    np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-6)


def test_far_from_the_origin_in_single_precision():
    d = data(6, dtype=np.float32)
    _, expected = fit(d)
    moved = d._replace(X=d.X + np.float32(1000), centers=d.centers + np.float32(1000))
    _, found = fit(moved)
    assert found.assignment.status == 0
    np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_scale(scale):
    d = data(7)
    _, expected = fit(d)
    _, found = fit(d._replace(X=d.X * scale, centers=d.centers * scale))
    assert found.assignment.status == 0
    np.testing.assert_array_equal(found.assignment.labels, expected.assignment.labels)
    np.testing.assert_allclose(found.cost, expected.cost * scale**2, rtol=1e-6)


def test_order_of_points():
    d = data(8)
    order = np.random.default_rng(0).permutation(N)
    _, expected = fit(d)
    _, found = fit(d._replace(X=d.X[order], groups=d.groups[order]))
    np.testing.assert_allclose(found.centers, expected.centers, atol=1e-6)
    np.testing.assert_allclose(found.assignment.primal, expected.assignment.primal, rtol=2e-6)


def test_precisions_agree():
    for seed in range(9, 12):
        d = data(seed, dtype=np.float32)
        _, single = fit(d)
        _, double = fit(
            d._replace(X=d.X.astype(float), weights=d.weights.astype(float), centers=d.centers.astype(float))
        )
        assert single.cost.dtype == np.float32
        np.testing.assert_allclose(single.centers, double.centers, atol=1e-3)
        np.testing.assert_allclose(single.assignment.primal, double.assignment.primal, rtol=2e-5)


# Batches and resuming


def test_starts_and_levels_in_one_call():
    d = data(10)
    rng = np.random.default_rng(1)
    starts = d.X[np.stack([rng.choice(N, K, replace=False) for _ in range(3)])]
    levels = np.array([0.0, 0.3])
    start, advance, finish = routines("epsilon")

    def whole(centers, level):
        member = d._replace(centers=centers)
        return finish(member, level, advance(member, level, start(member), MAX_ITER, 1e-4, MAX_ITER))

    with jax.enable_x64(True):
        both = jax.jit(jax.vmap(jax.vmap(whole, (None, 0)), (0, None)))
        batch = jax.tree.map(np.asarray, both(starts, levels))
    assert batch.cost.shape == (3, 2)
    for i, centers in enumerate(starts):
        for j, level in enumerate(levels):
            _, alone = fit(d._replace(centers=centers), level=level)
            assert batch.assignment.status[i, j] == 0
            assert batch.n_iter[i, j] == alone.n_iter
            np.testing.assert_array_equal(batch.assignment.labels[i, j], alone.assignment.labels)
            np.testing.assert_allclose(batch.centers[i, j], alone.centers, rtol=1e-6, atol=1e-6)


def test_resuming_changes_nothing():
    d = data(11)
    start, advance, _ = routines("epsilon")
    with jax.enable_x64(True):
        level, tol = np.asarray(0.1), np.asarray(1e-6)
        whole = advance(d, level, start(d), MAX_ITER, tol, MAX_ITER)
        early = advance(d, level, start(d), 3, tol, MAX_ITER)
        resumed = advance(d, level, early, MAX_ITER, tol, MAX_ITER)
    assert int(early.n_iter) == 3 < int(whole.n_iter)
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)


def test_pausing_changes_nothing():
    """A run that pauses goes on as if it had not; before its end there is no certificate to be had."""
    d = data(11)
    start, advance, finish = routines("epsilon")
    with jax.enable_x64(True):
        level, tol = np.asarray(0.1), np.asarray(1e-6)
        whole, paused = (advance(d, level, start(d), MAX_ITER, tol, pause) for pause in (MAX_ITER, 3))
        assert int(paused.n_iter) == 3
        assert not bool(paused.ended)
        assert int(finish(d, level, paused).assignment.status) != 0
        resumed = advance(d, level, paused, MAX_ITER, tol, MAX_ITER)
        assert int(finish(d, level, resumed).assignment.status) == 0
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)


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
@pytest.mark.parametrize("n_open", [None, pytest.param(200, marks=pytest.mark.slow)])
def test_absent_centers_change_nothing(name, n_open):
    d = data(4, n=1000 if n_open else N)
    _, plain = fit(d, name, n_open=n_open)
    _, padded = fit(d, name, n_open=n_open, n_absent=2)
    best = padded.assignment
    assert padded.assignment.labels.max() < K
    assert not best.counts[:, K:].any()
    assert not best.fractions[:, K:].any()
    best = best._replace(
        fractions=best.fractions[:, :K], counts=best.counts[:, :K], prices=best.prices[:, :K],
        pressing=best.pressing[:, :K],
    )  # fmt: skip
    assert_certified(d, padded._replace(centers=padded.centers[:K], assignment=best), name)
    assert padded.cost == pytest.approx(float(plain.cost), rel=1e-6)
    np.testing.assert_allclose(padded.centers[:K], plain.centers, atol=1e-4)


@pytest.mark.parametrize("name", CONTROLS)
def test_another_trial_ends_in_the_same_clustering(name):
    d = data(4)
    state, found = fit(d, name)
    _, advance, finish = routines(name)
    with jax.enable_x64(True), optimiser(False):
        state = advance(d, CONTROLS[name], fca.direct.tried_again(state, 3), MAX_ITER, 1e-4, MAX_ITER)
        again = jax.tree.map(np.asarray, finish(d, CONTROLS[name], state))
    assert (state.trial, state.n_iter) == (3, found.n_iter)
    assert_certified(d, again, name)
    np.testing.assert_allclose(again.centers, found.centers, rtol=1e-12)
    assert again.cost == pytest.approx(float(found.cost), rel=1e-6)


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
    assert sum(n_operations[:2]) - 2 * n_operations[2] <= 3900


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


# Screening and blocks


@pytest.mark.parametrize("name", [pytest.param("epsilon", marks=pytest.mark.slow), "min_balance"])
def test_several_blocks_with_screening(name):
    """20,000 points are two blocks with padding in the last one, and more than may be open."""
    d = data(12, n=20_000, dtype=np.float32)
    _, found = fit(d, name, n_open=2048)
    assert found.assignment.labels.shape == (2 * 10_048,)
    assert_certified(d, found, name)


def test_rows_that_do_not_count_change_nothing():
    """Whatever they hold; passes leave out their blocks."""
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(6000, 3)), rng.integers(0, 2, 6000)
    centers, prices = rng.normal(size=(4, 3)), rng.normal(size=(2, 4))

    @jax.jit
    def passed(X, groups, n_rows=None):
        points = fca.prepare(X, groups, n_groups=2, n_rows=n_rows)
        found = passes.squared_distances(points, jnp.asarray(centers)).scan(prices)
        return points, found, passes.labelled_cost(points, jnp.asarray(centers), found.labels)

    X[1500:] = 1e6
    with jax.enable_x64(True):
        some, found, cost = passed(X, groups, jnp.int32(1500))
        alone, expected, expected_cost = passed(X[:1500], groups[:1500])
    assert some.features.shape[0] > some.n_used
    for name in ("masses", "mean", "variance"):
        np.testing.assert_allclose(getattr(some, name), getattr(alone, name), rtol=1e-9, atol=1e-12)
    for name in ("labels", "rivals", "margins"):
        np.testing.assert_allclose(getattr(found, name)[:1500], getattr(expected, name)[:1500], rtol=1e-9)
    for name in ("counts", "cost", "extra"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-12)
    assert float(cost) == pytest.approx(float(expected_cost), rel=1e-12)


@pytest.mark.slow
def test_screening_finds_the_same_optimum():
    d = data(13)
    _, expected = fit(d)
    _, found = fit(d, n_open=100)
    assert_certified(d, found, "epsilon")
    np.testing.assert_allclose(found.assignment.primal, expected.assignment.primal, rtol=1e-4)


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
