"""Methods that assign to plain centres: FAlg, FCBC; worked examples of one dimension, by hand and by HiGHS."""

import jax
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fairjax.baselines import FCBC, FAlg
from fairjax.errors import InputError

# two groups, and the centres that the examples are to
LINE = np.array([0, 1, 2, 3, 1.5, 4, 4.5, 6])[:, None]
SEX = ["f"] * 4 + ["m"] * 4
CENTERS = [[0.0], [4.0]]
THREE = np.array([0, 0.5, 5, 0.2, 4, 4.4, 1, 5.5, 6])[:, None]
REGION = [0] * 3 + [1] * 3 + [2] * 3
ENDS = [[0.0], [5.0]]


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(
    ("delta", "fractional", "whole"), [(0, 20.5, 20.5), (0.1, 18.722222, 20.5), (0.2, 16.5, 20.5), (0.5, 12.5, 12.5)]
)
def test_falg_of_two_groups(delta, fractional, whole):
    model = FAlg(2, delta=delta, init=CENTERS).fit(LINE, sensitive_features=SEX)
    assert 8 * model.result_.details["primal"] == pytest.approx(fractional, abs=1e-6)
    assert 8 * model.objective_ == pytest.approx(whole, abs=1e-6)
    assert model.status_ == "optimal"
    assert 0 <= model.gap_ <= 1e-9
    assert model.violation_ < 2


def test_falg_of_three_groups_and_by_bounds():
    for delta, cost in ((0, 23.9), (0.2, 15.328571)):
        model = FAlg(2, delta=delta, init=ENDS).fit(THREE, sensitive_features=REGION)
        assert 9 * model.result_.details["primal"] == pytest.approx(cost, abs=1e-6)
    bounds = {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}
    model = FAlg(2, lower=bounds, upper=bounds, init=ENDS).fit(THREE, sensitive_features=REGION)
    assert 9 * model.result_.details["primal"] == pytest.approx(23.9, abs=1e-6)
    free = FAlg(2, lower=0, init=ENDS).fit(THREE, sensitive_features=REGION)
    assert 9 * free.objective_ == pytest.approx(3.9, abs=1e-6)


def test_falg_k_median():
    model = FAlg(2, delta=0, objective="kmedian", init=CENTERS).fit(LINE, sensitive_features=SEX)
    distances = abs(LINE - [0, 4])
    assert 8 * model.objective_ == pytest.approx(distances[np.arange(8), model.labels_].sum())
    assert model.balance_ == 1
    own = FAlg(2, delta=0, objective="kmedian", random_state=0).fit(LINE, sensitive_features=SEX)
    assert np.mean(own.predict(LINE, sensitive_features=SEX) != own.labels_) <= 0.25


def test_bounds_that_exclude_the_data():
    model = FAlg(2, lower=0.6, init=CENTERS)
    with pytest.raises(InputError, match=r"exclude .* the share of f is 0.5, outside of 0.6 to 1: widen them"):
        model.fit(LINE, sensitive_features=SEX)
    assert model.status_ == "infeasible"


@pytest.mark.parametrize(
    ("budget", "violation"),
    [(12.5, 0.166667), (14, 0.144444), (16.5, 0.1), (18, 0.067568), (20, 0.015152), (20.5, 0)],
)
def test_fcbc_of_two_groups(budget, violation):
    for kind in ("egalitarian", "utilitarian"):
        model = FCBC(2, pof=np.sqrt(budget / 12.5), violation=kind, delta=0, init=CENTERS)
        model.fit(LINE, sensitive_features=SEX)
        np.testing.assert_allclose(model.relaxation_, violation, atol=2e-6)
        assert 8 * model.budget_ == pytest.approx(budget)
        assert model.n_iter_ <= 30


def test_fcbc_of_three_groups():
    # V(v) to the ends, by HiGHS: the same three programmes for all
    rooms = {}
    for kind in ("egalitarian", "utilitarian", "leximin"):
        model = FCBC(2, pof=1.3, violation=kind, delta=0, init=ENDS).fit(THREE, sensitive_features=REGION)
        rooms[kind] = model.relaxation_
        assert 9 * model.budget_ == pytest.approx(3.9 * 1.69)
    worst = rooms["egalitarian"].max()
    assert np.ptp(rooms["egalitarian"]) == 0
    assert rooms["leximin"].max() == pytest.approx(worst, abs=1e-6)
    assert sorted(rooms["leximin"])[1] <= worst + 1e-9
    assert rooms["utilitarian"].sum() <= rooms["egalitarian"].sum() + 1e-9


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (FCBC(2, pof=0.9), "pof is 0.9; expected a finite number of at least 1"),
        (FCBC(2, violation="least"), "violation is 'least'; expected one of 'egalitarian'"),
        (FAlg(2, delta=1), "delta is 1; expected a number from 0 to below 1"),
        (FAlg(2, lower={"x": 0.1}), "lower names 'x'; the groups are 'f', 'm'"),
        (FAlg(2, upper=[0.5]), r"upper has shape \(1,\); expected one share, or one for each of the 2 groups"),
        (FAlg(2, lower=0.7, upper=0.3), "expected lower below upper"),
        (FAlg(2, objective="kmode"), "objective is 'kmode'"),
    ],
)
def test_bad_settings(model, message):
    with pytest.raises(InputError, match=message):
        model.fit(LINE, sensitive_features=SEX)


def test_weights_are_repeated_rows():
    weights = np.array([1, 2, 1, 1, 2, 1, 1, 1.0])
    once = FAlg(2, delta=0.1, init=CENTERS).fit(LINE, sensitive_features=SEX, sample_weight=weights)
    rows = np.repeat(np.arange(8), weights.astype(int))
    repeated = FAlg(2, delta=0.1, init=CENTERS).fit(LINE[rows], sensitive_features=np.array(SEX)[rows])
    assert once.result_.details["primal"] == pytest.approx(repeated.result_.details["primal"], rel=1e-6)


def test_one_group_is_the_plain_clustering():
    with pytest.warns(ConvergenceWarning, match="only 2 of the 3"):
        FAlg(3, init=[[0.0], [4.0], [99.0]]).fit(LINE)
    assert FAlg(2, init=CENTERS).fit(LINE).labels_.tolist() == [0, 0, 0, 1, 0, 1, 1, 1]


def test_falg_of_attributes_that_overlap():
    rng = np.random.default_rng(0)
    sex, age = np.tile(["f", "m"], 60), rng.choice(["old", "young"], 120)
    X = rng.normal(size=(120, 2)) + np.c_[sex == "f", age == "old"]
    given, centers = {"sex": sex, "age": age}, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    model = FAlg(3, delta=0.1, init=centers, attributes="separately").fit(X, sensitive_features=given)
    assert model.status_ == "optimal"
    assert model.violation_ < 4
    for attribute, (balance, _) in zip(given.values(), model.attribute_balances_, strict=True):
        _, ids = np.unique(attribute, return_inverse=True)
        counts = np.stack([np.bincount(model.labels_[ids == value], minlength=3) for value in (0, 1)])
        assert balance == pytest.approx((counts.min(0) / counts.max(0)).min())
        share, own = counts / counts.sum(0), counts.sum(1, keepdims=True) / counts.sum()
        assert np.all(share * counts.sum(0) >= 0.9 * own * counts.sum(0) - model.violation_ - 1e-9)
    with pytest.raises(InputError, match="take delta"):
        FAlg(3, lower=0.1, attributes="separately").fit(X, sensitive_features=given)
    with pytest.raises(InputError, match="several sensitive columns"):
        FAlg(3, attributes="separately").fit(X, sensitive_features=sex)
