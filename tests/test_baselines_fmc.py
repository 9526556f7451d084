"""FMC: its fairness terms by hand, EM without penalty against scikit-learn's, the trade-off, predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from fairjax.baselines import FMC
from fairjax.baselines.mixture import run, share_distance, share_gap
from fairjax.errors import InputError


def blobs(n=240, d=2, seed=0):
    """Overlapping blobs of different shares of two groups."""
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, 3, n)
    X = rng.normal(size=(n, d)) * 0.4 + np.array([[0, 0], [1.2, 0], [0, 1.2]])[blob]
    return X, (rng.random(n) < np.array([0.7, 0.5, 0.3])[blob]).astype(int)


def test_fairness_terms():
    shares = np.array([0.9, 0.6, 0.2, 0.7, 0.1])
    groups = np.array([0, 0, 1, 1, 1])
    counts = np.stack([[r[groups == g].sum() for g in (0, 1)] for r in (shares, 1 - shares)])
    with jax.enable_x64(True):
        assert share_gap(jnp.asarray(counts)) == pytest.approx(0.416667, abs=1e-6)
        assert share_distance(jnp.asarray(counts), jnp.array([0.4, 0.6])) == pytest.approx(0.1)
    np.testing.assert_allclose(np.abs(counts - np.array([0.4, 0.6]) * counts.sum(1, keepdims=True)) / 5, 0.1)


def test_without_penalty_it_is_plain_em():
    X, groups = blobs()
    reference = GaussianMixture(3, covariance_type="tied", tol=1e-9, max_iter=2000, random_state=0)
    # a tied spherical covariance is none of scikit-learn's; its log-likelihood bounds ours from above
    ours = []
    with jax.enable_x64(True):
        for penalty in (0.0, 0.5):
            found = run(X, groups, X[:3], penalty, np.array([0.5, 0.5]), size_penalty=0.0, max_iter=60)
            ours.append(found)
    log_joint, mixture = _posterior(X, ours[0].mixture)
    # a fixed point of EM: one more iteration leaves it
    r = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True))
    means = r.T @ X / r.sum(0)[:, None]
    np.testing.assert_allclose(mixture.means, means, atol=2e-3)
    variance = (r * ((X[:, None] - means) ** 2).sum(2)).sum() / X.size
    assert float(mixture.root_precision) ** -2 == pytest.approx(variance, rel=1e-2)
    assert np.logaddexp.reduce(log_joint, axis=1).mean() == pytest.approx(float(ours[0].log_likelihood))
    assert float(ours[0].log_likelihood) <= reference.fit(X).score(X) + 1e-6
    assert float(ours[1].log_likelihood) < float(ours[0].log_likelihood)
    assert float(ours[1].gap) < float(ours[0].gap)


def test_a_cluster_does_not_shrink_to_be_fair():
    """The gradient of a share's distance is that at a fixed size: a cluster of half the points weighs half as much."""
    counts, shares = jnp.array([[6.0, 2.0], [2.0, 6.0]]), jnp.array([0.5, 0.5])

    def slope(masses):
        return np.asarray(jax.grad(lambda counts: share_distance(counts, shares, masses))(counts))

    held = slope(counts.sum(1))
    # of (N_0 / N − 1/2) / 2 by N_0 and N_1: the first cluster is the one that counts
    np.testing.assert_allclose(held, [[2 / 64 / 2, -6 / 64 / 2], [0, 0]], rtol=1e-6)
    assert np.all(held.sum(1) != slope(None).sum(1))
    assert slope(jnp.array([2.0, 14.0]))[0, 0] == 0  # of a cluster of an eighth, the other one counts


def test_averages_begun_anew_do_not_come_to_rest():
    X, groups = blobs()
    options = {"penalty": 0.5, "size_penalty": 0.1, "max_iter": 30, "random_state": 0}
    kept = FMC(3, **options).fit(X, sensitive_features=groups)
    with pytest.warns(ConvergenceWarning, match="had not settled"):
        anew = FMC(3, averages="anew", **options).fit(X, sensitive_features=groups)
    assert kept.status_ == "converged"
    assert anew.objective_ == pytest.approx(kept.objective_, abs=2e-3)


def _posterior(X, mixture):
    mixture = jax.tree.map(np.asarray, mixture)
    precision = float(mixture.root_precision) ** 2
    weights = np.exp(mixture.logits) / np.exp(mixture.logits).sum()
    squares = ((X[:, None] - mixture.means) ** 2).sum(2)
    return np.log(weights) + X.shape[1] / 2 * np.log(precision / 2 / np.pi) - precision / 2 * squares, mixture


def test_penalty_makes_it_fairer():
    X, groups = blobs()
    with pytest.warns(ConvergenceWarning, match="only . of FMC's 3 clusters have points at penalty=5"):
        collapsed = FMC(3, penalty=5.0, size_penalty=0.1, random_state=0).fit(X, sensitive_features=groups)
    assert collapsed.status_ == "collapsed"
    models = [
        FMC(3, penalty=penalty, size_penalty=0.1, random_state=0).fit(X, sensitive_features=groups)
        for penalty in (0.0, 1.0)
    ]
    assert models[1].share_gap_ < models[0].share_gap_ - 0.005
    assert models[1].balance_ > models[0].balance_
    assert models[1].cost_ > models[0].cost_
    for model in models:
        np.testing.assert_array_equal(model.predict(X), model.labels_)
        assert model.weights_.sum() == pytest.approx(1)


def test_batches_end_near_all_rows():
    X, groups = blobs()
    options = {"size_penalty": 0.1, "random_state": 0, "max_iter": 60}
    with pytest.warns(ConvergenceWarning, match="had not settled"):
        plain, fair = (FMC(3, penalty=p, batch_size=0.5, **options).fit(X, sensitive_features=groups) for p in (0, 1.0))
    assert fair.share_gap_ < plain.share_gap_
    whole = FMC(3, penalty=0.0, size_penalty=0.1, random_state=0).fit(X, sensitive_features=groups)
    assert plain.objective_ == pytest.approx(whole.objective_, abs=0.02)
    np.testing.assert_array_equal(fair.predict(X), fair.labels_)


def test_columns_of_categories():
    """Two variables that tell the clusters, one of them by category: EM's probabilities are the soft shares."""
    X, groups = blobs()
    rng = np.random.default_rng(1)
    kind = np.where(rng.random(len(X)) < 0.9, X[:, 0] > 0.6, X[:, 0] <= 0.6).astype(int)
    rows = np.c_[X, np.eye(3)[kind]]  # the third category never occurs
    model = FMC(3, penalty=0.0, size_penalty=0.0, categories=[[2, 3, 4]], random_state=0)
    model.fit(rows, sensitive_features=groups)
    probabilities = model.means_[:, 2:]
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    squares = np.square(rows[:, None, :2] - model.means_[:, :2]).sum(2)
    logs = np.log(model.weights_) - squares / 2 / model.variance_ + rows[:, 2:] @ np.log(probabilities.T)
    soft = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
    np.testing.assert_allclose(soft.T @ rows[:, 2:] / soft.sum(0)[:, None], probabilities, atol=0.02)
    np.testing.assert_array_equal(model.predict(rows), model.labels_)
    np.testing.assert_array_equal(logs.argmax(1), model.labels_)
    for categories, words in (
        ([[0, 1]], "not 1 in just one of them"),
        ([[2, 3, 4], [4]], "not 1 in just one of them|a column twice"),
        ([[2, 9]], "expected lists of columns from 0 to 4"),
    ):
        with pytest.raises(InputError, match=words):
            FMC(3, categories=categories).fit(rows, sensitive_features=groups)


def test_bad_input():
    X, groups = blobs(40)
    for options, words in (
        ({"penalty": -1}, "penalty is -1; expected a finite number of at least 0"),
        ({"start": "kmeans"}, "start is 'kmeans'"),
        ({"averages": "none"}, "averages is 'none'"),
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
    ):
        with pytest.raises(InputError, match=words):
            FMC(2, **options).fit(X, sensitive_features=groups)
