"""Starts in the aligned space: matched points, and what fits from there come to."""

import warnings
from functools import partial
from itertools import permutations

import jax
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning

from fairjax import FCA, fca
from fairjax.errors import InputError
from fairjax.fca.host_starts import aligned_points, sample_size

K = 3


def apart(n=60):
    """Two groups that lie apart, so that plain k-means finds clusters of one group each."""
    rng = np.random.default_rng(0)
    sex = np.repeat([0, 1], n // 2)
    return rng.normal(size=(n, 3)) + 8 * np.eye(2, 3)[sex], sex


def test_points_are_matched_at_least_cost():
    X, sex = apart(8)
    pairs = aligned_points(X, sex, None, K, np.random.default_rng(0))
    # all ways to match four points to four
    left, right = X[sex == 0], X[sex == 1]
    costs = cdist(left, right, "sqeuclidean")
    best = min(permutations(range(4)), key=lambda order: costs[range(4), order].sum())
    expected = (left + right[list(best)]) / 2
    np.testing.assert_allclose(sorted(map(tuple, pairs)), sorted(map(tuple, expected)))


def test_the_pure_start_is_the_same_matching_under_vmap():
    """As many centres as samples are the pairs themselves; what has no weight takes no part."""
    X, sex = apart(8)
    expected = aligned_points(X, sex, None, K, np.random.default_rng(0))
    padded = np.vstack([X, np.full((2, 3), np.nan)])
    groups, weights = np.r_[sex, 0, 1], np.r_[np.ones(8), 0, 0]
    start = partial(fca.aligned_start, n_clusters=4, n_groups=3, n_samples=4)
    keys = jax.random.split(jax.random.key(0), 2)
    side_by_side = jax.vmap(lambda key: start(key, padded, groups, weights=weights))(keys)
    for pairs in side_by_side:
        np.testing.assert_allclose(sorted(map(tuple, pairs)), sorted(map(tuple, expected)), rtol=1e-5)


def test_a_pure_start_of_fewer_groups_than_rows():
    with pytest.raises(InputError, match=r"groups has shape \(2,\); expected \(8,\)"):
        fca.aligned_start(jax.random.key(0), apart(8)[0], [0, 1], K, n_groups=2)


@pytest.mark.slow
def test_the_pure_start_ends_where_that_of_the_estimator_does():
    X, sex = apart()
    centers = fca.aligned_start(jax.random.key(0), X, sex, K, n_groups=2, n_samples=30)
    fitted = FCA(K, init=np.asarray(centers)).fit(X, sensitive_features=sex)
    assert fitted.cost_ <= FCA(K, random_state=0, n_init=8).fit(X, sensitive_features=sex).cost_ * 1.02


def test_groups_count_with_their_shares():
    """Also one of a single row, and rows of weight zero not at all."""
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(31, 2)), np.r_[np.zeros(20, int), np.ones(10, int), 2]
    weights = np.ones(31)
    np.testing.assert_allclose(aligned_points(X, groups, weights, K, rng).mean(0), X.mean(0), atol=0.2)
    X[:5] = np.nan
    weights[:5] = 0
    pairs = aligned_points(X, groups, weights, K, rng)
    assert np.all(np.isfinite(pairs))
    assert len(pairs) == 15


def test_samples_stay_small():
    assert sample_size(np.array([10, 7]), K) == 10
    assert sample_size(np.array([50_000, 70_000]), K) == 1000
    assert sample_size(np.array([50_000, 70_000]), 30) == 1500
    assert sample_size(np.array([50_000, 70_000]), 500) == 2000
    assert sample_size(np.full(30, 5_000), K) == 410
    assert sample_size(np.array([5]), K) == 5


def test_fits_end_cheaper_and_fill_their_clusters():
    X, sex = apart()
    models = [FCA(K, init=init, n_init=8, random_state=0) for init in ("aligned", "k-means++")]
    aligned, plain = (model.fit(X, sensitive_features=sex) for model in models)
    assert aligned.result_.assignment.status == 0
    assert aligned.balance_ == 1
    assert len(np.unique(aligned.labels_)) == K
    assert aligned.cost_ <= plain.cost_ * (1 + 1e-4)
    again = FCA(K, init="aligned", n_init=8, random_state=0).fit(X, sensitive_features=sex)
    np.testing.assert_array_equal(again.labels_, aligned.labels_)


def test_one_group_starts_from_plain_k_means():
    X, _ = apart()
    with warnings.catch_warnings(action="error"):
        aligned, plain = (FCA(K, init=init, random_state=0).fit(X) for init in ("aligned", "k-means++"))
    np.testing.assert_array_equal(aligned.labels_, plain.labels_)


@pytest.mark.parametrize("method", ["exact", pytest.param("sinkhorn", marks=pytest.mark.slow)])
def test_alignment_routes_take_them_too(method):
    X, sex = apart()
    # settings as in test_estimator_alignment, for the programs' sake
    blocks = {"transport_weight": 2.0, "partition_size": 8, "max_iter": 10}
    model = FCA(K, method=method, init="aligned", **blocks, random_state=0)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model.fit(X, sensitive_features=sex)
    assert len(np.unique(model.labels_)) == K


@pytest.mark.parametrize("n_groups", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_more_clusters_than_matched_points(n_groups):
    """Then plain k-means begins, and no centre is there twice."""
    X = np.random.default_rng(0).normal(size=(40, 2))
    n_clusters = 25 if n_groups == 2 else 4
    model = FCA(n_clusters, epsilon=2.0, random_state=0).fit(X, sensitive_features=np.arange(40) % n_groups)
    assert len(np.unique(model.cluster_centers_, axis=0)) == n_clusters


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 3.0, 1e8])
def test_rows_that_are_all_the_same(value, dtype):
    """No distance is a scale; the clusters are fair all the same."""
    X, sex = np.full((60, 1), value, dtype), np.arange(60) % 2
    with pytest.warns(ConvergenceWarning, match="only 1 of the 2 centres differ"):
        model = FCA(2, random_state=0).fit(X, sensitive_features=sex)
    assert (model.cost_, model.balance_) == (0, 1)
    np.testing.assert_array_equal(model.cluster_centers_, np.full((2, 1), value))


@pytest.mark.parametrize("seed", range(4))
def test_the_best_balance_of_a_rare_group_is_perfect_fairness(seed):
    """As a number of float32, two of sixty is a little less; with so little room the solver would get nowhere."""
    rng = np.random.default_rng(seed)
    X, rare = np.round(2 * rng.normal(size=(60, 2))), np.arange(60) < 2
    balanced, fair = (
        FCA(K, init="random", random_state=0, **asked).fit(X, sensitive_features=rare)
        for asked in ({"min_balance": 2 / 58}, {"epsilon": 0.0})
    )
    assert (balanced.result_.assignment.status, fair.result_.assignment.status) == (0, 0)
    assert balanced.cost_ == pytest.approx(fair.cost_, rel=1e-5)
