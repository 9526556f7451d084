"""k-means: Lloyd's iteration, masks, batches; scikit-learn and brute force as oracles."""

import itertools
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kmeans_cases import blobs, cost_of
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from fairjax import kmeans
from fairjax.errors import InputError
from fairjax.kmeans import sums


def sklearn_run(X, centers, weights=None, max_iter=300, tol=1e-4):
    model = KMeans(len(centers), init=centers, n_init=1, max_iter=max_iter, tol=tol, algorithm="lloyd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, sample_weight=weights)


def assert_same_clustering(found, expected, n=None):
    """The same labels of the first `n` rows (of all by default), centres, cost and number of steps."""
    np.testing.assert_array_equal(found.labels[:n], expected.labels[:n])
    np.testing.assert_allclose(found.centers, expected.centers, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-5, atol=1e-6)
    assert found.n_iter == expected.n_iter


# Distances


def test_squared_distances_against_differences():
    X, centers = blobs(40), blobs(7, seed=1)
    expected = ((X[:, None] - centers[None]) ** 2).sum(2)
    np.testing.assert_allclose(kmeans.squared_distances(X, centers), expected, rtol=1e-5, atol=1e-4)


def test_squared_distances_are_never_negative():
    X = blobs(200) + np.float32(100)
    assert kmeans.squared_distances(X, X).min() >= 0


# Against scikit-learn


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_iter", [0, 1, 3, 300])
def test_run_equals_scikit_learn_from_the_same_start(weighted, max_iter):
    X = blobs(dtype=np.float64)
    weights = np.random.default_rng(1).uniform(0.1, 3, len(X)) if weighted else None
    with jax.enable_x64(True):
        found = kmeans.run(X, X[:5], weights, max_iter=max_iter)
    if max_iter == 0:
        np.testing.assert_allclose(found.centers, X[:5], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.cost, cost_of(X, X[:5], weights), rtol=1e-12)
        assert not found.converged
        return
    oracle = sklearn_run(X, X[:5], weights, max_iter)
    total = len(X) if weights is None else weights.sum()
    np.testing.assert_array_equal(found.labels, oracle.labels_)
    np.testing.assert_allclose(found.centers, oracle.cluster_centers_, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.cost, oracle.inertia_ / total, rtol=1e-10)
    assert bool(found.converged) == (max_iter == 300)
    if not weighted:  # scikit-learn scales its tolerance by the unweighted variance
        assert found.n_iter == oracle.n_iter_


def test_run_equals_scikit_learn_in_float32_far_from_the_origin():
    X = blobs() + np.float32(500)
    found, oracle = kmeans.run(X, X[:5], tol=0.0), sklearn_run(X, X[:5], tol=0.0)
    np.testing.assert_array_equal(found.labels, oracle.labels_)
    np.testing.assert_allclose(found.cost, oracle.inertia_ / len(X), rtol=1e-4)


def test_one_empty_cluster_is_relocated_as_in_scikit_learn():
    X = blobs(dtype=np.float64)
    centers = np.concatenate([X[:4], [[1e3] * 4]])
    with jax.enable_x64(True):
        found = kmeans.run(X, centers)
    oracle = sklearn_run(X, centers)
    np.testing.assert_array_equal(found.labels, oracle.labels_)
    np.testing.assert_allclose(found.cost, oracle.inertia_ / len(X), rtol=1e-10)


# Brute force


def best_cost(X, weights, k):
    """Smallest cost over all partitions into at most k parts."""
    best = math.inf
    for labels in itertools.product(range(k), repeat=len(X)):
        labels = np.array(labels)
        cost = 0.0
        for part in range(k):
            mine = labels == part
            if weights[mine].sum() > 0:
                mean = np.average(X[mine], axis=0, weights=weights[mine])
                cost += weights[mine] @ ((X[mine] - mean) ** 2).sum(1)
        best = min(best, cost)
    return best / weights.sum()


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_restarts_reach_the_global_optimum_of_a_tiny_problem(init):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(7, 2)).astype(np.float32)
    weights = rng.uniform(0.5, 2, 7).astype(np.float32)
    found = kmeans.fit(jax.random.key(0), X, 3, weights, n_init=30, init=init, tol=0.0)
    np.testing.assert_allclose(found.cost, best_cost(X, weights, 3), rtol=1e-5)
    np.testing.assert_allclose(found.cost, cost_of(X, found.centers, weights), rtol=1e-5)


def test_one_cluster_is_the_mean():
    X = blobs()
    found = kmeans.fit(jax.random.key(0), X, 1)
    np.testing.assert_allclose(found.centers[0], X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.cost, X.var(0).sum(), rtol=1e-5)
    assert found.converged


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_as_many_clusters_as_points_cost_nothing(init):
    X = blobs(12)
    found = kmeans.fit(jax.random.key(0), X, 12, init=init)
    assert sorted(found.labels.tolist()) == list(range(12))
    np.testing.assert_allclose(found.cost, 0, atol=1e-4)


# Lloyd steps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cost_never_rises(dtype):
    with jax.enable_x64(dtype == np.float64):
        X = blobs(k=9, spread=2.0, dtype=dtype)
        weights = np.random.default_rng(1).uniform(0, 2, len(X)).astype(dtype)
        far = np.full((4, 4), 1e3, dtype)  # four empty clusters at the start
        state = kmeans.init(np.concatenate([X[:4], far]))
        costs = []
        for _ in range(25):
            state = kmeans.step(X, weights, state)
            costs.append(float(state.cost))
        assert state.n_iter == 25
        assert state.centers.dtype == dtype
    assert np.all(np.diff(costs) <= 4 * np.finfo(dtype).eps * costs[0])
    assert costs[-1] < 0.5 * costs[0]


def test_run_is_the_loop_of_steps():
    X = blobs()
    ones = np.ones(len(X), np.float32)
    state = kmeans.init(X[:5])
    for _ in range(4):
        state = kmeans.step(X, ones, state)
    np.testing.assert_allclose(kmeans.run(X, X[:5], max_iter=4, tol=0.0).centers, state.centers, rtol=1e-4)


def test_empty_clusters_take_distinct_far_points():
    # Two points share the farthest position; it is used once, and the next cluster takes the next position.
    X = jnp.array([[0.0], [1.0], [2.0], [40.0], [40.0], [-30.0]])
    centers = jnp.array([[1.0], [1e3], [2e3], [3e3]])
    found = kmeans.lloyd_step(X, jnp.ones(6), centers)
    assert found.labels.tolist() == [0] * 6
    np.testing.assert_allclose(found.centers[1:, 0], [40.0, -30.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(found.centers[0, 0], 43 / 3, rtol=1e-5)


def test_empty_clusters_keep_their_centres_when_every_point_lies_on_one():
    X = jnp.array([[0.0], [0.0], [5.0]])
    centers = jnp.array([[0.0], [0.0], [5.0], [9.0]])
    found = kmeans.lloyd_step(X, jnp.ones(3), centers)
    np.testing.assert_array_equal(found.centers, centers)
    assert found.labels.tolist() == [0, 0, 2]
    assert found.cost == 0
    assert found.shift == 0


@pytest.mark.parametrize("n", [3000, 2999])
def test_chunks_leave_the_sums_as_they_are(monkeypatch, n):
    X = blobs(n)
    weights = np.random.default_rng(0).uniform(0, 1, n).astype(np.float32)
    whole = kmeans.cluster_sums(X, weights, X[:5])
    monkeypatch.setattr(sums, "_chunk_rows", lambda n, n_clusters, n_features: 704)
    chunked = kmeans.cluster_sums.__wrapped__(X, weights, X[:5])
    for found, expected in zip(chunked, whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(chunked[2], whole[2])
    np.testing.assert_allclose(whole[1].sum(), weights.sum(), rtol=1e-5)


@pytest.mark.parametrize("n", [1, 1023, 1024, 32_561, 1_000_000, 999_999])
def test_chunk_sizes(n):
    rows = sums._chunk_rows(n, 16, 16)
    assert 1 <= rows <= n
    assert n < 1024 or rows % 16 == 0
    assert n * (16 + 16) < 2**20 or jax.default_backend() != "cpu" or rows < n


# Weights and masks


def test_weights_equal_repeated_points():
    X = blobs(60)
    counts = np.random.default_rng(2).integers(0, 4, 60)
    repeated = np.repeat(X, counts, axis=0)
    weighted = kmeans.run(X, X[:4], counts)
    plain = kmeans.run(repeated, X[:4])
    assert_same_clustering(weighted._replace(labels=np.repeat(weighted.labels, counts)), plain)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_padding_with_weight_zero_changes_nothing(init):
    X = blobs(100)
    padded = np.concatenate([X, np.full((60, 4), 1e4, np.float32)])
    mask = np.arange(160) < 100
    plain = kmeans.fit(jax.random.key(1), X, 5, init=init)
    masked = kmeans.fit(jax.random.key(1), padded, 5, mask, init=init)
    assert_same_clustering(masked, plain, n=100)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_a_mask_that_leaves_one_point_or_none_gives_no_nan(init):
    X = blobs(20)
    for mask in (np.arange(20) == 7, np.zeros(20)):
        found = kmeans.fit(jax.random.key(0), X, 3, mask, init=init)
        assert np.all(np.isfinite(found.centers))
        np.testing.assert_allclose(found.cost, 0, atol=1e-10)
        assert found.converged
        if mask.any():
            np.testing.assert_allclose(found.centers, np.tile(X[7], (3, 1)), rtol=1e-6)


def test_single_point_clusters():
    X = np.concatenate([blobs(18, k=1), [[50.0] * 4], [[-50.0] * 4]]).astype(np.float32)
    found = kmeans.fit(jax.random.key(0), X, 3)
    assert sorted(np.bincount(found.labels).tolist()) == [1, 1, 18]
    assert found.converged


# Transformations and dtypes


def test_vmap_equals_loop_over_masked_data_sets_of_different_sizes():
    sizes = (100, 37, 1, 80)
    X = np.stack([blobs(100, seed=s) for s in range(4)])
    masks = (np.arange(100) < np.array(sizes)[:, None]).astype(np.float32)
    keys = jax.random.split(jax.random.key(0), 4)
    batch = jax.vmap(lambda key, X, w: kmeans.fit(key, X, 5, w))(keys, X, masks)
    for i, size in enumerate(sizes):
        member = jax.tree.map(lambda leaf, i=i: leaf[i], batch)
        assert_same_clustering(member, kmeans.fit(keys[i], X[i], 5, masks[i]), n=size)
        assert member.converged


def test_vmap_equals_loop_when_only_some_members_have_empty_clusters():
    X = blobs(100)
    starts = np.stack([X[:4], X[4:8], X[8:12]])
    starts[1, 2:] = 1e3
    ones = np.ones(100, np.float32)
    batch = jax.vmap(lambda c: kmeans.lloyd_step(X, ones, c))(starts)
    for i in range(3):
        alone = kmeans.lloyd_step(X, ones, starts[i])
        np.testing.assert_allclose(batch.centers[i], alone.centers, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(batch.cost[i], alone.cost, rtol=1e-5)


def test_best_restart_is_returned():
    X = blobs(200, k=8, spread=0.5)
    key = jax.random.key(3)
    best = kmeans.fit(key, X, 8, n_init=6, init="random")
    singles = [kmeans.run(X, kmeans.init_random(k, X, 8)).cost.item() for k in jax.random.split(key, 6)]
    np.testing.assert_allclose(best.cost, min(singles), rtol=1e-4)
    assert max(singles) > 1.05 * min(singles)


def test_jit_equals_no_jit():
    X = blobs(9, d=2)
    weights = jnp.ones(9)
    starts = np.concatenate([X[:2], [[99.0, 99.0]]]).astype(np.float32)
    compiled = kmeans.run(X, starts, weights, max_iter=2), kmeans.init_random(jax.random.key(0), X, 3)
    with jax.disable_jit():
        plain = kmeans.run(X, starts, weights, max_iter=2), kmeans.init_random(jax.random.key(0), X, 3)
    np.testing.assert_array_equal(compiled[0].labels, plain[0].labels)
    np.testing.assert_allclose(compiled[0].centers, plain[0].centers, rtol=1e-5)
    np.testing.assert_array_equal(compiled[1], plain[1])


def test_float32_agrees_with_float64():
    X = blobs()
    single = kmeans.run(X, X[:5])
    with jax.enable_x64(True):
        double = kmeans.run(X.astype(np.float64), X[:5].astype(np.float64))
        for leaf in (double.centers, double.cost):
            assert leaf.dtype == np.float64
    assert single.centers.dtype == single.cost.dtype == np.float32
    assert single.labels.dtype == double.labels.dtype == single.n_iter.dtype == np.int32
    np.testing.assert_array_equal(single.labels, double.labels)
    np.testing.assert_allclose(single.cost, double.cost, rtol=1e-5)


def test_keys_are_used_once():
    with jax.debug_key_reuse(True):
        kmeans.fit(jax.random.key(0), blobs(20), 3)


def test_tolerance_and_iterations_are_traced():
    X = blobs(20)
    kmeans.run(X, X[:2], max_iter=5, tol=1e-3)
    before = kmeans.run._cache_size()
    kmeans.run(X, X[:2], max_iter=9, tol=1e-2)
    assert kmeans.run._cache_size() == before


def test_non_finite_data_stop_the_loop_at_once():
    X = blobs(20)
    X[3, 1] = np.nan
    found = kmeans.run(X, X[5:8])
    assert found.n_iter <= 1
    assert not found.converged


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda key, X: kmeans.fit(key, X[:, 0], 2), r"X has shape \(9,\)"),
        (lambda key, X: kmeans.fit(key, X[:0], 2), r"X has shape \(0, 2\)"),
        (lambda key, X: kmeans.fit(key, X, 0), "n_clusters is 0"),
        (lambda key, X: kmeans.fit(key, X, 2, n_init=0), "n_init is 0"),
        (lambda key, X: kmeans.fit(key, X, 2, n_local_trials=0), "n_local_trials is 0"),
        (lambda key, X: kmeans.fit(key, X, 2, X[:5, 0]), r"weights has shape \(5,\), expected \(9,\)"),
        (lambda key, X: kmeans.fit(key, X, 2, init="best"), "init is 'best'"),
        (lambda key, X: kmeans.run(X, X[:2, :1]), r"centers has shape \(2, 1\), expected \(K, 2\)"),
        (lambda key, X: kmeans.squared_distances(X, X[0]), r"centers has shape \(2,\)"),
    ],
)
def test_bad_input_is_told_in_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call(jax.random.key(0), blobs(9, d=2))


def test_integers_are_taken_as_floats():
    found = kmeans.run(np.array([[0], [1], [10], [11]]), np.array([[0], [1]]))
    np.testing.assert_allclose(found.centers[:, 0], [0.5, 10.5])
