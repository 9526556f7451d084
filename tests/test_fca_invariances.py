"""What must not change a fit of the direct route: repetition, motion, order, precision, pauses, padding, screening."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compilation import optimiser
from fca_cases import CONTROLS, MAX_ITER, D, Data, K, M, N, assert_certified, data, fit, routines

from fairjax import fca, kmeans
from fairjax.fca import points as passes

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


@pytest.mark.parametrize("name", [pytest.param("epsilon", marks=pytest.mark.slow), "min_balance"])
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
