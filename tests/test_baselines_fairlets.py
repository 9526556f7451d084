"""Fairlets: stars of least cost against numbers by hand and a linear programme, chunks, clusters, bad input."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from fairjax.baselines import Fairlets
from fairjax.baselines.decomposition import gather
from fairjax.baselines.fairlets import farthest_first
from fairjax.baselines.stars import least_stars, smallest_radius
from fairjax.errors import InputError


def on_a_line(reds, blues, t):
    """Fairlets as sets of positions, cost of the stars, of the medoids, and radius with centres of least radius."""
    reds, blues = np.array(reds, float)[:, None], np.array(blues, float)[:, None]
    lengths, X = cdist(reds, blues), np.concatenate([reds, blues])
    stars = least_stars(lengths, t)
    narrow = least_stars(lengths, t, limit=smallest_radius(lengths, t))
    return (
        [set(X[star, 0].tolist()) for star in stars],
        star_cost(stars, lengths),
        gather(X, stars).costs.sum(),
        gather(X, narrow, farthest=True).costs.max(),
    )


def star_cost(stars, lengths):
    m = len(lengths)
    return sum(lengths[i, j - m] for star in stars for i in star if i < m for j in star if j >= m)


def test_pairs():
    found = on_a_line([0, 1, 5, 6], [2, 3, 4, 9], 1)
    assert found[1:] == (8, 8, 3)
    # (0, 3)(1, 2) costs as much
    assert {4, 5} in found[0]
    assert {6, 9} in found[0]


@pytest.mark.parametrize(
    ("blues", "t", "star", "medoid", "radius"),
    [([1, 2, 5, 6, 8, 11], 2, 11, 8, 3), ([1, 2, 5, 6, 8], 2, 6, 5, 1), ([1, 2, 5, 6, 8], 3, 6, 5, 1)],
)
def test_stars(blues, t, star, medoid, radius):
    found = on_a_line([0, 4, 7], blues, t)
    assert found[1:] == (star, medoid, radius)
    if len(blues) == 6:
        assert found[0] == [{0, 1, 2}, {4, 5, 6}, {7, 8, 11}]


def programme(lengths, t):
    """The least sum of distances with every degree from 1 to t."""
    m, n = lengths.shape
    degrees = np.concatenate([np.kron(np.eye(m), np.ones(n)), np.kron(np.ones(m), np.eye(n))])
    bounds = np.concatenate([np.full(m + n, float(t)), np.full(m + n, -1.0)])
    found = linprog(lengths.ravel(), np.concatenate([degrees, -degrees]), bounds, bounds=(0, 1))
    return found.fun


@pytest.mark.parametrize("t", [1, 2, 3])
def test_stars_against_a_linear_programme(t):
    rng = np.random.default_rng(t)
    for _ in range(3):
        sizes = (8, 8) if t == 1 else (6, 10)
        lengths = cdist(rng.normal(size=(sizes[0], 2)), rng.normal(size=(sizes[1], 2)))
        stars = least_stars(lengths, t)
        assert star_cost(stars, lengths) == pytest.approx(programme(lengths, t))
        assert sorted(point for star in stars for point in star) == list(range(16))
        for star in stars:
            reds = sum(point < sizes[0] for point in star)
            assert 1 <= reds <= t
            assert 1 <= len(star) - reds <= t
            assert min(reds, len(star) - reds) == 1


def test_equal_points_make_stars():
    # arcs of no length are not kept where both ends have others
    stars = least_stars(np.zeros((4, 7)), 3)
    assert all(min(sum(p < 4 for p in star), sum(p >= 4 for p in star)) == 1 for star in stars)


def people(n=120, seed=0):
    rng = np.random.default_rng(seed)
    groups = (rng.random(n) < 0.4).astype(int)
    return rng.normal(size=(n, 3)) + groups[:, None], groups


@pytest.mark.parametrize("objective", ["kmedian", "kcenter"])
def test_clusters(objective):
    X, groups = people()
    flow = Fairlets(4, objective=objective, random_state=0).fit(X, sensitive_features=groups)
    vanilla = Fairlets(4, method="vanilla", objective=objective, random_state=0).fit(X, sensitive_features=groups)
    assert flow.t_ == 2
    for model in (flow, vanilla):
        assert model.balance_ >= 0.5
        assert model.status_ == "converged"
        assert len(np.unique(model.fairlets_ * 4 + model.labels_)) == model.fairlets_.max() + 1
    assert flow.fairlet_cost_ < 0.6 * vanilla.fairlet_cost_
    centers = flow.result_.centers
    lengths = np.linalg.norm(X - centers[flow.labels_], axis=1)
    assert flow.objective_ == pytest.approx(lengths.sum() if objective == "kmedian" else lengths.max())


def test_farthest_first_is_within_twice_the_least_radius():
    X = np.array([0.0, 1, 2, 10, 11, 12, 30])[:, None]
    chosen, labels = farthest_first(X, 3, 0)
    assert labels.tolist() == [0, 0, 0, 2, 2, 2, 1]
    assert np.abs(X[:, 0] - X[chosen[labels], 0]).max() <= 2 * 1


def test_bad_input():
    X, groups = people()
    for options, words in (
        ({"t": 1}, r"t=1 is too small for groups of \d+ and \d+ points; ask for at least 2"),
        ({"n_clusters": 100}, "n_clusters=100, but balance 1/2 makes"),
        ({"method": "tree"}, "method is 'tree'"),
        ({"t": 0}, "t is 0"),
    ):
        with pytest.raises(InputError, match=words):
            Fairlets(**options).fit(X, sensitive_features=groups)
    many = np.zeros((6000, 1))
    with pytest.raises(InputError, match=r"3000 and 3000 points has 3.6e\+07 arcs and needs about 1.1 GiB.*take SFC"):
        Fairlets(2).fit(many, sensitive_features=np.arange(6000) % 2)
