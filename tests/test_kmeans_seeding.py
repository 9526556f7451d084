"""Seeding of k-means: distinct points, draws by weight, k-means++."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kmeans_cases import blobs, cost_of

from fairjax import kmeans
from fairjax.kmeans import seeding


@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("offset", [0.0, 1000.3])
def test_fewer_distinct_points_than_clusters(init, offset):
    distinct = (blobs(3, seed=5) + offset).astype(np.float32)
    X = np.repeat(distinct, [5, 1, 7], axis=0)
    found = kmeans.fit(jax.random.key(2), X, 6, init=init)
    assert np.all(np.isfinite(found.centers))
    assert len(np.unique(np.asarray(found.labels))) == 3
    np.testing.assert_allclose(found.cost, 0, atol=1e-5)
    assert found.converged
    assert found.n_iter <= 3


def test_seeding_takes_every_distinct_point_before_it_repeats_one():
    distinct = blobs(4, d=6, seed=5)
    X = np.repeat(distinct, 8, axis=0)
    for seed in range(10):
        centers = kmeans.init_plus_plus(jax.random.key(seed), X, 6)
        assert len(np.unique(np.asarray(centers), axis=0)) == 4


def test_more_clusters_than_points():
    X = blobs(3)
    for seed in (kmeans.init_plus_plus, kmeans.init_random):
        centers = np.asarray(seed(jax.random.key(0), X, 8))
        assert centers.shape == (8, 4)
        np.testing.assert_array_equal(np.unique(centers, axis=0), np.unique(X, axis=0))


def test_random_seeding_draws_distinct_rows_by_weight():
    X = np.arange(6, dtype=np.float32)[:, None]
    weights = jnp.array([0.0, 1.0, 2.0, 0.0, 4.0, 1.0])
    draw = jax.jit(jax.vmap(lambda key: kmeans.init_random(key, X, 3, weights)[:, 0]))
    rows = np.asarray(draw(jax.random.split(jax.random.key(0), 4000))).astype(int)
    assert all(len(set(draw)) == 3 for draw in rows.tolist())
    first = np.bincount(rows[:, 0], minlength=6) / 4000
    np.testing.assert_allclose(first, np.asarray(weights) / 8, atol=0.03)  # four standard deviations


def test_plus_plus_with_one_trial_follows_the_squared_distances():
    # Given a first centre at 0, the second is drawn with probability w d^2 / sum w d^2.
    X = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    weights = jnp.array([1.0, 1.0, 2.0, 0.0])
    draw = jax.jit(jax.vmap(lambda key: kmeans.init_plus_plus(key, X, 2, weights, n_local_trials=1)[:, 0]))
    pairs = np.asarray(draw(jax.random.split(jax.random.key(0), 8000)))
    first = np.array([np.mean(pairs[:, 0] == x) for x in range(4)])
    np.testing.assert_allclose(first, np.asarray(weights) / 4, atol=0.025)
    second = pairs[pairs[:, 0] == 0, 1]
    np.testing.assert_allclose(np.mean(second == 2), 8 / 9, atol=0.03)
    assert not np.any(pairs == 3)


def test_weight_zero_is_never_drawn_over_many_blocks():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 2)).astype(np.float32)
    weights = (rng.uniform(size=5000) < 0.01).astype(np.float32)
    allowed = X[weights > 0]
    centers = np.asarray(kmeans.init_plus_plus(jax.random.key(0), X, 40, weights))
    assert np.all((centers[:, None] == allowed[None]).all(2).any(1))
    assert len(np.unique(centers, axis=0)) == min(40, len(allowed))


def test_draw_survives_levels_beyond_the_end():
    index, _ = seeding._invert(jnp.array([0.0, 1.0, 2.0, 0.0]), jnp.float32(3.5))
    assert index == 2
    index, _ = seeding._invert(jnp.array([0.0, 1.0, 2.0, 0.0]), jnp.float32(0.0))
    assert index == 1


def test_plus_plus_seeds_as_well_as_scikit_learn():
    from sklearn.cluster import kmeans_plusplus

    X = blobs(300, k=12, spread=0.3)
    draw = jax.jit(jax.vmap(lambda key: kmeans.init_plus_plus(key, X, 12)))
    ours = np.mean([cost_of(X, c) for c in draw(jax.random.split(jax.random.key(0), 40))])
    theirs = np.mean([cost_of(X, kmeans_plusplus(X, 12, random_state=seed)[0]) for seed in range(40)])
    np.testing.assert_allclose(ours, theirs, rtol=0.1)


def test_seeding_without_jit():
    X = blobs(9, d=2)
    compiled = kmeans.init_plus_plus(jax.random.key(0), X, 2, n_local_trials=1)
    with jax.disable_jit():
        plain = kmeans.init_plus_plus(jax.random.key(0), X, 2, n_local_trials=1)
    np.testing.assert_array_equal(compiled, plain)
