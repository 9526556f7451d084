"""SpFC: the sparse operator against the published dense formulas, the block model, the synthetic sets, bad input."""

import numpy as np
import pytest
from scipy.linalg import eigh, null_space, sqrtm, subspace_angles
from sklearn.datasets import make_blobs

from fairjax.baselines import SpFC
from fairjax.baselines.fair_spectra import fair_embedding
from fairjax.baselines.graphs import gaussian_affinity, neighbor_graph
from fairjax.errors import InputError


def block_model(n, k, h):
    """Expected affinities, clusters and groups: both, the group, the cluster, neither in common."""
    clusters, groups = np.arange(n) % k, np.arange(n) // k % h
    both = np.where(clusters[:, None] == clusters, 0.4, 0.3)
    W = np.where(groups[:, None] == groups, both, both - 0.2)
    return W * (1 - np.eye(n)), clusters, groups


@pytest.mark.parametrize(("normalized", "second"), [(False, 4.8), (True, 0.857143)])
def test_expected_block_model(normalized, second):
    W, clusters, groups = block_model(24, 2, 2)
    plain = fair_embedding(W, np.zeros(24, int), 3, normalized=normalized)
    fair = fair_embedding(W, groups, 2, normalized=normalized)
    # without the constraint groups come first
    assert np.ptp(plain.vectors[groups == 0, 1]) < 1e-12
    np.testing.assert_allclose(fair.values, [0, second], atol=1e-6)
    if not normalized:
        np.testing.assert_allclose(plain.values, [0, 3.6, 4.8], atol=1e-12)
    assert np.ptp(fair.vectors[clusters == 0, 1]) < 1e-12
    assert fair.vectors[0, 1] * fair.vectors[1, 1] < 0
    for group in (0, 1):
        np.testing.assert_allclose(fair.vectors[groups == group].mean(0), fair.vectors.mean(0), atol=1e-15)


@pytest.mark.parametrize("normalized", [False, True])
def test_subspace_of_the_published_formulas(normalized):
    # large enough for the Lanczos iteration; three groups
    rng = np.random.default_rng(0)
    n = 450
    X, groups = rng.normal(size=(n, 3)), rng.integers(0, 3, n)
    W = gaussian_affinity(X, 0.7)
    D, F = np.diag(W.sum(1)), (groups[:, None] == np.arange(2)) - np.bincount(groups)[:2] / n
    Z = null_space(F.T)
    L = Z.T @ (D - W) @ Z
    if normalized:
        inverse = np.linalg.inv(np.real(sqrtm(Z.T @ D @ Z)))
        L, Z = inverse @ L @ inverse, Z @ inverse
    values, Y = eigh(L)
    found = fair_embedding(W, groups, 5, normalized=normalized)
    assert found.settled
    np.testing.assert_allclose(found.values, values[:5], atol=1e-9 * values[-1])
    assert np.sin(subspace_angles(found.vectors, Z @ Y[:, :5]).max()) < 1e-8
    from scipy.sparse import csr_array

    sparse = fair_embedding(csr_array(W), groups, 5, normalized=normalized)
    np.testing.assert_allclose(sparse.values, found.values, atol=1e-9 * values[-1])


def test_random_block_model():
    # affinity follows the five groups more than the five clusters: plain spectral clustering finds the groups
    expected, clusters, groups = block_model(800, 5, 5)
    rng = np.random.default_rng(0)
    W = np.triu(rng.random(expected.shape) < expected, 1).astype(float)
    model = SpFC(5, affinity="precomputed", random_state=0).fit(W + W.T, sensitive_features=groups)
    table = np.zeros((5, 5))
    np.add.at(table, (model.labels_, clusters), 1)
    assert table.max(1).sum() / 800 > 0.85
    assert model.balance_ > 0.6
    blind = SpFC(5, affinity="precomputed", random_state=0).fit(W + W.T)
    found = np.zeros((5, 5))
    np.add.at(found, (blind.labels_, groups), 1)
    assert found.max(1).sum() / 800 > 0.95


def synthetic(sizes, centers, std):
    X, _ = make_blobs(sizes, centers=centers, cluster_std=std, shuffle=False, random_state=1)
    X = (X - X.mean(0)) / X.std(0)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("sizes", "height", "std", "counts", "balance"),
    [(400, 5, 0.1, [200, 200], 1.0), ([150, 150, 50, 50], 3.5, 0.13, [300, 100], 1 / 3)],
)
def test_synthetic_sets(sizes, height, std, counts, balance):
    X = synthetic(sizes, [(1, 1), (2.1, 1), (1, height), (2.1, height)], std)
    groups = np.repeat([0, 1], counts)
    model = SpFC(2, affinity="nearest_neighbors", random_state=0).fit(X, sensitive_features=groups)
    assert model.balance_ == pytest.approx(balance)
    assert model.status_ == "converged"
    # nothing is cut
    S = np.eye(2)[model.labels_]
    W = neighbor_graph(X, 20)
    assert S[:, 0] @ (W @ S[:, 1]) == 0
    np.testing.assert_allclose(model.eigenvalues_, 0, atol=1e-12)


def test_bad_input():
    X = np.random.default_rng(0).normal(size=(40, 3))
    groups = np.arange(40) % 2
    isolated = np.ones((40, 40))
    isolated[3] = isolated[:, 3] = 0
    for options, points, words in (
        ({"max_points": 30}, X, "the kernel of 40 points needs about 0.0 GiB, and max_points is 30: take affinity"),
        ({"affinity": "precomputed"}, X, r"X has shape \(40, 3\) and affinity is 'precomputed'"),
        ({"affinity": "precomputed"}, isolated, "the point at index 3 has no affinity to any other"),
        ({"affinity": "nearest_neighbors", "n_neighbors": 40}, X, "n_neighbors is 40 for 40 points"),
        ({"n_clusters": 40}, X, "the constraints leave 39 directions"),
    ):
        with pytest.raises(InputError, match=words):
            SpFC(**options).fit(points, sensitive_features=groups)
