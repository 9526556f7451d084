"""Methods that deal in counts of groups: FRAC and MSFlowFC; worked examples of one dimension."""

import warnings
from itertools import pairwise

import jax
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from test_baselines_common import SEX as MIXED
from test_baselines_common import K, X
from test_baselines_fixed import CENTERS, LINE, SEX

from fairjax.baselines import FRAC, MSFlowFC
from fairjax.baselines.frac import deal
from fairjax.baselines.msflow import bounds
from fairjax.errors import InputError

LINE_OF_ONE, THREE_CENTERS = np.array([0.0, 1, 2, 3, 8, 9])[:, None], [[0.0], [1.5], [9.0]]


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(
    ("assignment", "one", "cost_of_one", "two", "cost_of_two"),
    [
        ("round-robin", [0, 1, 0, 1, 2, 2], 7.5, [0, 0, 1, 1, 0, 1, 0, 1], 32.5),
        ("exact", [0, 0, 1, 1, 2, 2], 4.5, [0, 0, 1, 1, 0, 0, 1, 1], 28.5),
    ],
)
def test_frac_after_clustering(assignment, one, cost_of_one, two, cost_of_two):
    model = FRAC(3, assignment=assignment, in_processing=False, init=THREE_CENTERS).fit(LINE_OF_ONE)
    assert model.labels_.tolist() == one
    assert 6 * model.objective_ == pytest.approx(cost_of_one)
    model = FRAC(2, assignment=assignment, in_processing=False, init=CENTERS).fit(LINE, sensitive_features=SEX)
    assert model.labels_.tolist() == two
    assert 8 * model.objective_ == pytest.approx(cost_of_two)
    assert model.balance_ == 1
    assert hasattr(model, "predict") == (assignment == "exact")


def test_frac_keeps_quotas():
    for assignment in ("round-robin", "exact"):
        ends = []
        for tau in (0.0, 0.5, 1.0):
            model = FRAC(K, tau=tau, assignment=assignment, random_state=0).fit(X, sensitive_features=MIXED)
            for group in "fm":
                counts = np.bincount(model.labels_[group == MIXED], minlength=K)
                assert counts.min() >= np.floor(tau * np.sum(group == MIXED) / K)
                if tau == 1:
                    assert np.ptp(counts) <= 1
            assert model.result_.details["violation"] == 0
            ends.append(model.objective_)
        assert sorted(ends) == ends
    quotas = FRAC(K, tau={"f": 1.0, "m": 0.0}, random_state=0).fit(X, sensitive_features=MIXED)
    assert np.ptp(np.bincount(quotas.labels_[MIXED == "f"], minlength=K)) <= 1


def test_frac_stops_by_the_sum_as_the_authors_code_does():
    """Of 8 points the sum changes by 3.5 at first and by nothing then, a part of 1/9 of the cost."""
    start = [[0.0], [1.0]]
    first = FRAC(2, max_iter=1, tol=1e9, tol_of="sum", init=start)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        first.fit(LINE, sensitive_features=SEX)
    iterations = {}
    for tol_of, tol in (("sum", 1e9), ("sum", 0.0), ("cost", 0.0)):
        model = FRAC(2, tol=tol, tol_of=tol_of, init=start).fit(LINE, sensitive_features=SEX)
        assert model.status_ == "converged"
        iterations[tol_of, tol] = model.n_iter_
    assert iterations["sum", 1e9] == 2 < iterations["sum", 0.0] == iterations["cost", 0.0]
    # a sum is n times the mean: the same number stops it later
    change = 8 * (first.objective_ - FRAC(2, tol=0.0, init=start).fit(LINE, sensitive_features=SEX).objective_)
    for tol, stops in ((change * 1.01, True), (change * 0.01, False)):
        model = FRAC(2, tol=tol, tol_of="sum", init=start).fit(LINE, sensitive_features=SEX)
        assert (model.n_iter_ == 2) == stops


def test_deal_a_group_smaller_than_the_number_of_clusters():
    distances = np.array([[0.0, 5, 1], [3, 4, 5]])
    assert deal(distances, 0, True).tolist() == [0, 1]
    assert deal(distances, 0, False).tolist() == [0, 0]


def test_msflow_examples():
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        model = MSFlowFC(2, tolerance=0, max_iter=1, init=CENTERS).fit(LINE, sensitive_features=SEX)
    assert model.labels_.tolist() == [0, 0, 0, 1, 0, 0, 0, 1]
    assert 8 * model.objective_ == pytest.approx(48.5)
    x = np.array([0.0, 0, 1, 4, 5, 5, 0, 1, 5, 5, 2, 4, 5])[:, None]
    region = [0] * 6 + [1] * 4 + [2] * 3
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        model = MSFlowFC(2, tolerance=0.1, max_iter=1, init=[[0.0], [5.0]]).fit(x, sensitive_features=region)
    assert model.labels_.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1]
    assert model.target_ == pytest.approx(0.45)
    # bounds had to be eased
    assert model.balance_ == pytest.approx(1 / 3)


def test_msflow_keeps_its_target():
    costs = []
    for tolerance in (0.05, 0.3, 0.6):
        model = MSFlowFC(K, tolerance=tolerance, random_state=0).fit(X, sensitive_features=MIXED)
        assert model.balance_ >= model.target_ - 0.1
        costs.append(model.cost_)
    assert costs[0] >= costs[-1]
    maximal = MSFlowFC(K, target="maximum", random_state=0).fit(X, sensitive_features=MIXED)
    assert maximal.target_ <= maximal.max_balance_


def test_msflow_by_the_means_keeps_the_iteration_before_the_small_gain():
    """Against a plain rendering of the rule: least cost to the new means, the first gain below `tol` is dropped."""
    start = X[:K]
    for tol in (0.001, 0.05, 0.3):
        model = MSFlowFC(K, tolerance=0.1, tol=tol, cost_to="means", init=start).fit(X, sensitive_features=MIXED)
        costs, iteration = [], 0
        while len(costs) < 2 or costs[-2] - costs[-1] >= tol * costs[-2]:
            iteration += 1
            limited = MSFlowFC(K, tolerance=0.1, tol=0, cost_to="means", max_iter=iteration, init=start)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                costs.append(limited.fit(X, sensitive_features=MIXED).cost_)
            if limited.status_ == "converged":
                break
        assert model.cost_ == pytest.approx(costs[model.n_iter_ - 1])
        assert model.objective_ == pytest.approx(model.cost_)
        assert model.status_ == "converged"
        assert all(before - after >= tol * before for before, after in pairwise(costs[: model.n_iter_]))
        np.testing.assert_array_equal(model.predict(X, sensitive_features=MIXED), model.labels_)


def test_bounds_admit_the_group():
    rng = np.random.default_rng(0)
    for _ in range(200):
        least = rng.integers(1, 9, 4)
        most = least + rng.integers(0, 5, 4)
        size = int(rng.integers(1, 30))
        lower, upper = bounds(least, most, float(rng.random()), size)
        assert lower.sum() <= size <= upper.sum()
        assert (lower <= upper).all()
        assert (lower >= 0).all()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (FRAC(2, assignment="greedy"), "assignment is 'greedy'"),
        (FRAC(2, tau=1.5), "tau is 1.5; expected shares from 0 to 1"),
        (FRAC(2, in_processing="no"), "in_processing is 'no'"),
        (FRAC(2, tol_of="mean"), "tol_of is 'mean'"),
        (MSFlowFC(2, tolerance=1), "tolerance is 1; expected a number from 0 to below 1"),
        (MSFlowFC(2, target="best"), "target is 'best'"),
        (MSFlowFC(2, cost_to="points"), "cost_to is 'points'"),
    ],
)
def test_bad_settings(model, message):
    with pytest.raises(InputError, match=message):
        model.fit(LINE, sensitive_features=SEX)


def test_methods_without_weights_say_so():
    with pytest.raises(InputError, match="different weights, which FRAC does not know; leave it out, or take KMeans"):
        FRAC(2).fit(LINE, sample_weight=np.arange(8))
