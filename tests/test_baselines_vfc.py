"""VFC: the assignment against hand-made numbers, its safeguard, the objectives, and the paper's synthetic sets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from fairjax.baselines import VFC
from fairjax.baselines.graphs import neighbor_graph
from fairjax.baselines.medoids import cluster_medoids
from fairjax.baselines.variational import assign
from fairjax.baselines.variational_iterations import Graph, cut_costs
from fairjax.errors import InputError

COSTS = np.array([[0.0, 1.0], [0.5, 0.2], [2.0, 0.0], [1.0, 1.0]])
GROUPS, HALVES = np.array([0, 0, 1, 1]), np.array([0.5, 0.5])


def four(penalty, **options):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, assign(COSTS, GROUPS, penalty, HALVES, **options))


def unit_rows(sizes, centers, std):
    X, blob = make_blobs(sizes, centers=centers, cluster_std=std, shuffle=False, random_state=1)
    X = (X - X.mean(0)) / X.std(0)
    return X / np.linalg.norm(X, axis=1, keepdims=True), blob


@pytest.fixture(scope="module")
def equal():
    return unit_rows(400, [(1, 1), (2.1, 1), (1, 5), (2.1, 5)], 0.1)[0], np.repeat([0, 1], 200)


@pytest.fixture(scope="module")
def unequal():
    X, _ = unit_rows([150, 150, 50, 50], [(1, 1), (2.1, 1), (1, 3.5), (2.1, 3.5)], 0.13)
    return X, np.repeat([0, 1], [300, 100])


def test_first_steps():
    # S0 is the softmax of the negative costs, and its first step is known by hand
    start, first = four(10.0, max_steps=0), four(10.0, max_steps=1)
    np.testing.assert_allclose(start.energy, 2.616054, atol=1e-6)
    np.testing.assert_allclose(first.energy, 2.506623, atol=1e-6)
    slope = 2 * first.prices * first.sharpness / 10.0
    np.testing.assert_allclose(slope, [[0.130825, -0.143246], [-0.244369, 0.087494]], atol=1e-6)
    shares = jax.nn.softmax(-first.sharpness * (COSTS + first.prices[GROUPS]), axis=1)
    np.testing.assert_allclose(shares[:, 0], [0.532366, 0.139391, 0.207398, 0.840146], atol=1e-6)


@pytest.mark.parametrize("penalty", [10.0, 100.0, 1000.0])
def test_safeguarded_steps_end_at_the_optimum(penalty):
    found = four(penalty, tol=1e-7, max_steps=3000)
    assert found.labels.tolist() == [0, 1, 1, 0]
    assert found.energy == pytest.approx(1.2, abs=1e-4)
    assert found.settled


@pytest.mark.parametrize("step", [2.0, 5.0])
def test_published_steps_diverge_for_a_large_penalty(step):
    found = four(50.0, step=step)
    assert not np.isfinite(found.energy)
    assert not found.settled
    assert np.isfinite(found.prices).all()
    assert four(10.0, step=2.0).energy == pytest.approx(1.2, abs=1e-3)


def test_vmap_and_weights_as_repeated_points():
    with jax.enable_x64(True):
        curve = jax.vmap(lambda penalty: assign(COSTS, GROUPS, penalty, HALVES).energy)(jnp.array([10.0, 100.0]))
        np.testing.assert_allclose(curve, [four(10.0).energy, four(100.0).energy])
        twice = np.array([0, 1, 1, 2, 3])
        repeated = assign(COSTS[twice], GROUPS[twice], 10.0, HALVES)
        weighted = assign(COSTS, GROUPS, 10.0, HALVES, np.array([1.0, 2.0, 1.0, 1.0]))
        np.testing.assert_allclose(weighted.energy, repeated.energy)
        np.testing.assert_allclose(weighted.prices, repeated.prices)


def test_medoids_against_all_distances():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(1200, 3)), rng.random(1200)
    labels = rng.choice([0, 1, 3, 4], size=1200)  # nobody in 2, and 4 is no cluster
    found, totals = cluster_medoids(X, labels, 4, weights)
    for k in (0, 1, 3):
        rows = np.flatnonzero(labels == k)
        sums = cdist(X[rows], X[rows]) @ weights[rows]
        assert found[k] == rows[sums.argmin()]
        assert totals[k] == pytest.approx(sums.min(), rel=1e-5)
    assert (int(found[2]), float(totals[2])) == (-1, np.inf)


def test_costs_of_the_cut_sum_to_it():
    rng = np.random.default_rng(1)
    W = neighbor_graph(rng.normal(size=(40, 2)), 4)
    labels = rng.integers(0, 3, 40)
    edges = W.tocoo()
    with jax.enable_x64(True):
        costs = np.asarray(cut_costs(Graph(*edges.coords, edges.data), jnp.asarray(labels), 3))
    S = np.eye(3)[labels]
    degrees = W.sum(1)
    value = -sum(S[:, k] @ W @ S[:, k] / (degrees @ S[:, k]) for k in range(3))
    assert costs[labels, np.arange(40)].sum() == pytest.approx(value)


def test_synthetic(equal):
    # at the printed λ = 10 the public code ends at 201.86; λ = 60 gives what is printed
    X, groups = equal
    published = VFC(2, penalty=10.0, step=2.0, random_state=0).fit(X, sensitive_features=groups)
    assert published.cost_ * 400 == pytest.approx(201.86, abs=0.01)
    assert published.balance_ == pytest.approx(0.005, abs=5e-4)
    fair = VFC(2, penalty=60.0, random_state=0).fit(X, sensitive_features=groups)
    assert fair.cost_ * 400 == pytest.approx(207.80, abs=0.01)
    assert (fair.balance_, fair.status_) == (1.0, "converged")
    np.testing.assert_array_equal(fair.predict(X, sensitive_features=groups), fair.labels_)
    assert fair.divergence_ == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("objective", ["kmeans", "kmedian", "ncut"])
def test_synthetic_unequal(unequal, objective):
    X, groups = unequal
    model = VFC(2, penalty=10.0, objective=objective, random_state=0).fit(X, sensitive_features=groups)
    assert model.cost_ * 400 == pytest.approx(159.75, abs=0.01)
    assert model.balance_ == pytest.approx(1 / 3)
    if objective == "kmedian":
        distances = np.linalg.norm(X - model.assigned_centers_[model.labels_], axis=1)
        assert distances.sum() == pytest.approx(174.82, abs=0.02)
        np.testing.assert_array_equal(model.predict(X, sensitive_features=groups), model.labels_)
    if objective == "ncut":
        assert model.objective_ == pytest.approx(-2.0, abs=1e-3)
        with pytest.raises(InputError, match="graph"):
            model.predict(X, sensitive_features=groups)


def test_divergence_is_told(equal):
    X, groups = equal
    with pytest.warns(ConvergenceWarning, match="step=2 diverged at penalty=5000"):
        model = VFC(2, penalty=5000.0, step=2.0, random_state=0).fit(X, sensitive_features=groups)
    assert model.status_ == "diverged"


def test_points_too_far_apart_are_told_as_such(equal):
    X, groups = equal
    with pytest.warns(ConvergenceWarning, match="VFC diverged at penalty=10: squared distances are so large"):
        model = VFC(2, penalty=10.0, random_state=0).fit(100 * X, sensitive_features=groups)
    assert model.status_ == "diverged"


def test_bad_input(equal):
    X, groups = equal
    for options, words in (
        ({"penalty": -1.0}, "penalty is -1.0"),
        ({"target": [0.7, 0.7]}, "2 shares ≥ 0 that sum to 1"),
        ({"objective": "cut"}, "objective is 'cut'"),
        ({"objective": "ncut", "n_neighbors": 400}, "n_neighbors is 400 for 400 points"),
    ):
        with pytest.raises(InputError, match=words):
            VFC(2, **options).fit(X, sensitive_features=groups)
