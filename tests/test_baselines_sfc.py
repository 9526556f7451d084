"""SFC: the decomposition against the authors' order by hand, its balance on random data, clusters, bad input."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from fairjax.baselines import SFC
from fairjax.baselines.decomposition import closest_ratio, gather, in_chunks
from fairjax.baselines.quadtree import keep, quadtree_fairlets
from fairjax.errors import InputError

REDS = [0.0, 1, 5, 6]
BLUES = [2.0, 3, 4, 9]


def sets(fairlets):
    return [set(rows.tolist()) for rows in fairlets.sets()]


def people(n=300, share=0.4, seed=0):
    rng = np.random.default_rng(seed)
    groups = (rng.random(n) < share).astype(int)
    return rng.normal(size=(n, 3)) + groups[:, None], groups


@pytest.mark.parametrize(("p", "q", "red", "blue", "sizes"), [(1, 2, 7, 4, [3, 3, 3, 2]), (2, 5, 11, 5, [7, 7, 2])])
def test_chunks(p, q, red, blue, sizes):
    rows = [list(chunk) for chunk in in_chunks(p, q, range(red), range(red, red + blue))]
    assert [len(chunk) for chunk in rows] == sizes
    assert sorted(row for chunk in rows for row in chunk) == list(range(red + blue))
    swapped = [list(chunk) for chunk in in_chunks(p, q, range(red, red + blue), range(red))]
    assert swapped == rows


def test_one_to_one():
    found = quadtree_fairlets(np.array([*REDS, *BLUES])[:, None], np.repeat([0, 1], 4), 1, 1, None)
    assert sets(found) == [{3, 6}, {1, 5}, {0, 4}, {2, 7}]
    assert found.centers.tolist() == [3, 1, 0, 2]
    assert found.costs.sum() == 10


def test_one_to_two():
    X = np.array([0.0, 4, 7, 1, 2, 5, 6, 8, 11])[:, None]
    found = quadtree_fairlets(X, np.repeat([0, 1], [3, 6]), 1, 2, None)
    assert sets(found) == [{1, 5, 8}, {0, 3, 4}, {2, 6, 7}]
    assert found.centers.tolist() == [5, 3, 2]
    assert found.costs.sum() == 11


@pytest.mark.parametrize(("p", "q"), [(1, 1), (1, 3), (2, 3), (7, 12)])
def test_fairlets_are_balanced(p, q):
    rng = np.random.default_rng(p + q)
    n_red = 60
    n_blue = n_red if q == 1 else int(n_red * q / p)
    # many equal points, which end in one cell
    X = rng.integers(0, 6, size=(n_red + n_blue, 2)).astype(float)
    colors = rng.permutation(np.repeat([0, 1], [n_red, n_blue]))
    found = quadtree_fairlets(X, colors, p, q, rng.random(2))
    assert sorted(found.members.tolist()) == list(range(len(X)))
    counts = np.array([np.bincount(colors[rows], minlength=2) for rows in found.sets()])
    assert (counts.min(1) * q >= counts.max(1) * p).all()


def test_what_leaves_a_node_is_balanced():
    rng = np.random.default_rng(0)
    for _ in range(200):
        p, q = [(1, 1), (1, 2), (2, 3), (3, 5), (1, 6)][rng.integers(5)]
        red, blue = (rng.integers(0, 9, 4).tolist() for _ in range(2))
        if min(sum(red), sum(blue)) * q < max(sum(red), sum(blue)) * p:
            continue
        kept = keep(p, q, red, blue)
        removed = sum(red) - sum(kept[0]), sum(blue) - sum(kept[1])
        for r, b in (*zip(*kept, strict=True), removed):
            assert min(r, b) >= 0
            assert min(r, b) * q >= max(r, b) * p


def test_centers_of_fairlets():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(30, 4))
    cuts = np.split(rng.permutation(30), [3, 5, 12, 20, 28])
    found = gather(X, [rows.tolist() for rows in cuts])
    for rows, center, cost, mean in zip(cuts, found.centers, found.costs, found.means(X), strict=True):
        sums = cdist(X[rows], X[rows]).sum(1)
        assert center == rows[sums.argmin()]
        assert cost == pytest.approx(sums.min())
        np.testing.assert_allclose(mean, X[rows].mean(0))


def test_ratios():
    # those of Adult and Bank
    assert closest_ratio(Fraction(10771, 21790)) == Fraction(43, 87)
    assert closest_ratio(0.649) == Fraction(61, 94)
    assert closest_ratio(0.4) == Fraction(2, 5)
    assert closest_ratio(0.001) == 0


@pytest.mark.parametrize("objective", ["kmeans", "kmedian"])
def test_clusters_are_balanced(objective):
    X, groups = people()
    model = SFC(4, objective=objective, random_state=0).fit(X, sensitive_features=groups)
    p, q = model.ratio_
    assert model.balance_ >= p / q
    assert model.balance_ > 0.97 * model.max_balance_
    assert model.status_ == "converged"
    loose = SFC(4, balance=0.2, objective=objective, n_init=3, random_state=0).fit(X, sensitive_features=groups)
    assert loose.balance_ >= 0.2
    assert loose.cost_ < model.cost_
    # points of a fairlet stay together
    assert len(np.unique(model.fairlets_ * 4 + model.labels_)) == model.fairlets_.max() + 1


def test_options_lower_the_cost():
    X, groups = people()
    costs = [
        SFC(4, centers=centers, weighted=weighted, n_init=3, random_state=0).fit(X, sensitive_features=groups).cost_
        for centers, weighted in (("medoid", False), ("mean", True))
    ]
    assert costs[1] < costs[0]


def test_bad_input():
    X, groups = people(60)
    for options, words in (
        ({"balance": (2, 4)}, r"share the factor 2; say \(1, 2\)"),
        ({"balance": (1, 1)}, "balance 1:1 is above that of the data"),
        ({"balance": 1.5}, "balance is 1.5; expected a number from 0.01 to 1"),
        ({"balance": "half"}, "balance is 'half'"),
        ({"n_clusters": 50}, "n_clusters=50, but balance .* fairlets of the points"),
    ):
        with pytest.raises(InputError, match=words):
            SFC(**options).fit(X, sensitive_features=groups)
    with pytest.raises(InputError, match=r"\[3, 1\] points of the colours; expected two colours within 1:2"):
        quadtree_fairlets(np.zeros((4, 1)), np.array([0, 0, 0, 1]), 1, 2, None)
    model = SFC(2, balance=(1, 1))
    with pytest.raises(InputError):
        model.fit(X, sensitive_features=groups)
    assert model.status_ == "infeasible"
    with pytest.raises(InputError, match=r"has 3 groups, and SFC takes 2; for more groups take FAlg"):
        SFC(2).fit(X, sensitive_features=np.arange(60) % 3)
