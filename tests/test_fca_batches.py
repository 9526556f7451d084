"""Many fits in one call are the same fits one by one."""

import numpy as np
import pytest

from fairjax.errors import InputError
from fairjax.fca import batches, fit_batch, stack

K, SIZES = 3, (600, 520)
SETTINGS = {"n_groups": 2, "max_iter": 30}


def data(seed, n):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 2, n)
    return rng.normal(size=(n, 2)) + np.outer(groups, [2.0, 0.0]), groups


@pytest.fixture(scope="module")
def sets():
    return stack([data(seed, n) for seed, n in enumerate(SIZES)])


@pytest.fixture(scope="module")
def found(sets):
    """Two data sets, from their first rows."""
    return fit_batch(sets.X, sets.groups, sets.X[:, :K], weights=sets.weights, **SETTINGS)


def test_members_are_fair(sets, found):
    assert found.status.tolist() == [0, 0]
    assert found.labels.shape == (2, max(SIZES))
    for b, n in enumerate(SIZES):
        counts = np.zeros((2, K))
        np.add.at(counts, (np.asarray(sets.groups[b, :n]), found.labels[b, :n]), 1)
        shares = counts / counts.sum(1, keepdims=True)
        assert np.abs(shares[0] - shares[1]).max() < 2 / counts.sum(1).min()
        rows = np.asarray(sets.X[b, :n])
        cost = np.mean(np.sum((rows - found.centers[b][found.labels[b, :n]]) ** 2, 1))
        assert found.cost[b] == pytest.approx(cost, rel=1e-5)


def test_a_member_does_not_depend_on_the_others(sets, found):
    alone = fit_batch(sets.X[1], sets.groups[1], sets.X[1:, :K], weights=sets.weights[1], n_threads=1, **SETTINGS)
    for name, leaf in alone._asdict().items():
        np.testing.assert_array_equal(leaf[0], getattr(found, name)[1], err_msg=name)


def test_levels_of_one_data_set(sets):
    levels = np.array([0.0, 0.2, 2.0])
    swept = fit_batch(sets.X[0], sets.groups[0], sets.X[0, :K], levels, weights=sets.weights[0], **SETTINGS)
    assert swept.status.tolist() == [0, 0, 0]
    assert np.all(np.diff(swept.cost) < 0)


def test_side_by_side_as_in_threads(sets, found, monkeypatch):
    """What accelerators do, in two pieces."""
    monkeypatch.setattr(batches, "_AT_ONCE", 1)
    monkeypatch.setattr(batches, "default_backend", lambda: "gpu")
    vmapped = fit_batch(sets.X, sets.groups, sets.X[:, :K], weights=sets.weights, **SETTINGS)
    np.testing.assert_allclose(vmapped.cost, found.cost, rtol=1e-5)
    assert vmapped.status.tolist() == [0, 0]


def test_masses_of_duplicates_are_looked_at_as_a_whole():
    """More points tie than stay open: the member that is unsolved is fitted again with all points open."""
    X, groups = data(0, 600)
    several = np.stack([np.round(X / 8), X])
    found = fit_batch(several, groups, several[:, -K:], **SETTINGS)
    assert found.status.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"centers": np.zeros((K, 2))}, "no argument has a leading axis"),
        ({"values": [0.0, 0.1, 0.2]}, "leading axes have the lengths"),
        ({"values": [[0.0]]}, r"values has shape \(1, 1\)"),
        ({"groups": np.zeros(7, int)}, "numbers of points"),
        ({"groups": np.full(6, 2)}, "ids from 2 to 2"),
        ({"groups": np.full(6, 0.5)}, "groups has dtype float64; expected whole numbers"),
        ({"X": "six"}, "expected real numbers"),
        ({"centers": np.zeros((0, K, 2))}, "no members"),
        ({"weights": -np.ones(6)}, "weights are negative"),
        ({"n_threads": 0}, "n_threads is 0"),
    ],
)
def test_bad_input(changed, said):
    given = {"X": np.zeros((6, 2)), "groups": np.zeros(6, int), "centers": np.zeros((2, K, 2)), "values": 0.0} | changed
    with pytest.raises(InputError, match=said):
        fit_batch(**given, **SETTINGS)


def test_sets_that_do_not_go_together():
    with pytest.raises(InputError, match="same d"):
        stack([data(0, 5), (np.zeros((3, 4)), np.zeros(3))])
    with pytest.raises(InputError, match="of data set 1 have shape"):
        stack([data(0, 5), (np.zeros((3, 2)), np.zeros(4))])
    with pytest.raises(InputError, match="no rows"):
        stack([data(0, 5), (np.zeros((0, 2)), np.zeros(0))])
