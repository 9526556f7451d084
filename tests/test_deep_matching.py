"""Clusters of groups matched by the distances between them."""

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from fairjax import datasets, fair_assignment, metrics
from fairjax.deep import match_groups, own_costs
from fairjax.deep.methods.matching import cluster_distances, match_clusters
from fairjax.errors import InputError

RNG = np.random.default_rng(0)


def test_the_order_is_the_best_of_all():
    first, second = (np.array(cluster_distances(jnp.asarray(RNG.normal(size=(6, 3))))) for _ in range(2))
    wanted = min(((first - second[list(p)][:, list(p)]) ** 2).mean() for p in permutations(range(6)))
    order, misfit = match_clusters(jax.random.key(0), jnp.asarray(first), jnp.asarray(second))
    np.testing.assert_allclose(misfit, wanted, rtol=1e-4)
    np.testing.assert_allclose(((first - second[order][:, order]) ** 2).mean(), wanted, rtol=1e-4)
    # any units, and centres in one place
    np.testing.assert_allclose(cluster_distances(jnp.asarray([[0.0], [2.0]])), [[0, 2], [2, 0]])
    assert not cluster_distances(jnp.ones((3, 2))).any()


def test_groups_that_no_place_has_in_common():
    """Turned, stretched and moved, with other numbers: three groups, of which the largest lends its numbers."""
    places = RNG.normal(size=(6, 5)) * 3
    digits, groups = RNG.integers(6, size=300), np.repeat([0, 1, 2], [60, 140, 100])
    rows = places[digits] + 0.1 * RNG.normal(size=(300, 5))
    turn = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    rows[groups == 1] = 2 * rows[groups == 1] @ turn + 40
    rows[groups == 2] *= -1
    numbers = np.stack([RNG.permutation(6) * 7 for _ in range(3)])
    found = match_groups(rows, numbers[groups, digits], sensitive_features=np.array(["x", "y", "z"])[groups])
    assert metrics.accuracy(found.labels, digits) == 1
    np.testing.assert_array_equal(found.labels[groups == 1], numbers[1, digits[groups == 1]] // 7)
    assert found.misfits[1] == 0
    assert found.misfits.max() < 1e-3
    np.testing.assert_allclose(
        found.centers[2, 0], rows[(groups == 2) & (found.labels == 0)].mean(0), rtol=1e-5, atol=1e-6
    )
    costs = own_costs(rows, found)
    assert np.mean(np.argmin(costs, 1) == found.labels) == 1
    np.testing.assert_allclose(costs[0, 3], ((rows[0] - found.centers[0, 3]) ** 2).sum(), rtol=1e-4)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 0], r"labels has shape \(3,\)"),
        ([0, 1, 0, -1], "labels holds -1"),
        ([0, 1, 5, 5], "the group b has 1 clusters and a 2; cluster every group into the same number"),
    ],
)
def test_labels_that_do_not_fit(labels, message):
    with pytest.raises(InputError, match=message):
        match_groups(np.eye(4), labels, sensitive_features=["a", "a", "b", "b"])


@pytest.mark.slow
def test_digits_and_their_reversals():
    """No digit twice: k-means on each group alone, matched and made fair, where k-means on all rows has .40."""
    data = datasets.load_reverse_digits(variant="half_reversed", signed=True, dtype=np.float32)
    labels = np.zeros(len(data.X), int)
    for group in (0, 1):
        own = data.groups == group
        labels[own] = KMeans(10, n_init=10, random_state=0).fit_predict(data.X[own])
    found = match_groups(data.X, labels, sensitive_features=data.sensitive)
    fair = fair_assignment(own_costs(data.X, found), found.groups)
    assert metrics.accuracy(fair.labels, data.target) > 0.7
    assert metrics.balance(fair.labels, data.groups) > 0.95
