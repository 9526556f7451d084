"""Many fits in one call are the same fits one by one."""

import numpy as np
import pytest

from fairjax.errors import InputError
from fairjax.fca import batches, fit_batch, lane_queue, stack

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


@pytest.mark.slow
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


def many(n_sets=24, n_points=200, seed=0):
    rng = np.random.default_rng(seed)
    groups = (rng.random((n_sets, n_points)) < 0.4).astype(int)
    return rng.normal(size=(n_sets, n_points, 2)) + groups[..., None] * [2.0, 0.0], groups


@pytest.fixture
def few_lanes(monkeypatch):
    """Lanes from two data sets on, and a list of the members that were fitted alone."""
    alone = []
    fit = batches._fit
    monkeypatch.setattr(batches, "_MANY", 2)
    monkeypatch.setattr(batches, "_fit", lambda *args, **options: alone.append(args) or fit(*args, **options))
    monkeypatch.setattr(lane_queue, "_LANES", 8)
    monkeypatch.setattr(lane_queue, "_TOGETHER", 2)
    return alone


def test_lanes_come_to_what_single_fits_come_to(few_lanes, monkeypatch):
    """The same iterations, and so the same costs, with as good a certificate; padding and a member that is invalid
    aside."""
    X, groups = many()
    weights = np.ones(groups.shape)
    weights[1, 150:] = 0
    X[2, 0] = np.nan
    found = fit_batch(X, groups, X[:, -K:], weights=weights, **SETTINGS)
    assert len(few_lanes) < 4
    monkeypatch.setattr(batches, "_MANY", len(X) + 1)
    single = fit_batch(X, groups, X[:, -K:], weights=weights, **SETTINGS)
    np.testing.assert_array_equal(found.status, single.status)
    np.testing.assert_allclose(found.primal, single.primal, rtol=1e-5)
    valid = found.status == 0
    assert np.all(found.gap[valid] <= 1e-5)
    assert np.mean(found.n_iter[valid] == single.n_iter[valid]) > 0.9
    profiles = found.counts[valid] / found.counts[valid].sum(2, keepdims=True)
    np.testing.assert_allclose(profiles[:, 0], profiles[:, 1], atol=1e-5)


def test_a_lane_does_not_depend_on_the_others(few_lanes):
    X, groups = many()
    found = fit_batch(X, groups, X[:, :K], **SETTINGS)
    fewer = fit_batch(X[5:9], groups[5:9], X[5:9, :K], n_threads=1, **SETTINGS)
    for name, leaf in fewer._asdict().items():
        np.testing.assert_array_equal(leaf, getattr(found, name)[5:9], err_msg=name)


def test_what_lanes_do_not_get_through_is_fitted_alone(few_lanes):
    """Masses of duplicates; and gaps, which lanes do not know."""
    X, groups = many()
    rounded = fit_batch(np.round(X), groups, X[:, :K], **SETTINGS)
    assert np.all(rounded.status == 0)
    alone = len(few_lanes)
    loose = fit_batch(X[:3], groups[:3], X[:3, :K], np.array([0.0, 0.1, 0.1]), **SETTINGS)
    assert np.all(loose.status == 0)
    assert len(few_lanes) - alone == 2
