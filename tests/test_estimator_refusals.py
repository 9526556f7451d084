"""What FCA refuses, in one sentence, and what it warns of."""

import warnings

import numpy as np
import pandas as pd
import pytest
from estimator_cases import MODEL, NAMES, SEX, K, X, fitted_once
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fairjax import FCA
from fairjax.errors import InputError


@pytest.fixture
def fitted():
    return fitted_once()


def test_groups_given_as_y_are_noticed():
    with pytest.warns(UserWarning, match="y is ignored and sensitive_features is not given"):
        clone(MODEL).fit(X, NAMES)
    with warnings.catch_warnings(action="error"):
        clone(MODEL).fit(X, NAMES, sensitive_features=NAMES)


def test_rows_in_another_order_are_noticed(fitted):
    frame, names = pd.DataFrame(X, columns=list("abc")), pd.Series(NAMES)
    message = r"the index of sensitive_features is that of X in another order.*sensitive_features.loc\[X.index\]"
    for method in (clone(MODEL).fit, clone(MODEL).fit(frame, sensitive_features=names).predict):
        with pytest.raises(InputError, match=message):
            method(frame, sensitive_features=names[::-1])
    with pytest.raises(InputError, match="the index of sample_weight"):
        clone(MODEL).fit(frame, sensitive_features=names, sample_weight=pd.Series(np.ones(len(X)))[::-1])
    # labels that cannot be sorted
    mixed = ["a", *range(59)]
    with pytest.raises(InputError, match=message):
        clone(MODEL).fit(frame.set_axis(mixed), sensitive_features=names.set_axis(mixed[::-1]))
    # an index of its own says nothing about the order
    again = clone(MODEL).fit(frame, sensitive_features=names.set_axis(np.arange(100, 160)))
    np.testing.assert_array_equal(again.labels_, fitted.labels_)


def test_clusters_that_are_none():
    """Fewer distinct rows than clusters are told of; a centre that nobody is near is moved to where it is of use."""
    X, groups = np.repeat(np.arange(3.0)[:, None], 20, 0), np.tile([0, 1], 30)
    with pytest.warns(ConvergenceWarning, match="only 3 of the 5 centres differ"):
        FCA(5, random_state=0).fit(X, sensitive_features=groups)
    model = FCA(3, init=[[0.0], [2.0], [1e6]]).fit(X, sensitive_features=groups)
    assert sorted(np.bincount(model.labels_)) == [20, 20, 20]
    assert model.cost_ < 1e-9


def test_too_few_iterations_warn():
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        model = FCA(K, max_iter=1, random_state=0).fit(X, sensitive_features=NAMES)
    assert not model.converged_
    assert model.n_iter_ == 1
    assert model.result_.history.shape == (1,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_clusters": 0}, "n_clusters is 0"),
        ({"n_clusters": 2.5}, "n_clusters is 2.5"),
        ({"n_clusters": 61}, "n_samples=60 is less than n_clusters=61"),
        ({"n_init": 0}, "n_init is 0"),
        ({"max_iter": 0}, "max_iter is 0"),
        ({"tol": -1.0}, "tol is -1.0"),
        ({"epsilon": -0.1}, "from 0 to 2"),
        ({"epsilon": 2.1}, "from 0 to 2"),
        ({"epsilon": float("nan")}, "epsilon is nan"),
        ({"epsilon": "much"}, "epsilon is 'much'"),
        ({"min_balance": -0.1}, "min_balance is -0.1"),
        ({"min_balance": 1.0}, "allow at most"),
        ({"n_init": "many"}, "n_init is 'many'; expected one of 'auto'"),
        ({"min_balance": 0.3, "epsilon": 0.1}, "choose one fairness control"),
        ({"method": "fast"}, "method is 'fast'"),
        ({"center_update": "newton"}, "center_update is 'newton'"),
        ({"center_update": "gradient"}, 'method="direct" does not offer'),
        ({"transport_weight": 2.0}, 'method="direct" solves 1.0'),
        ({"transport_weight": -1.0}, "transport_weight is -1.0"),
        ({"method": "exact", "epsilon": 0.1}, "epsilon=0.1 is given"),
        ({"method": "sinkhorn", "min_balance": 0.1}, "min_balance=0.1 is given"),
        ({"method": "sinkhorn", "reg": 0.0}, "reg is 0"),
        ({"method": "exact", "partition_size": 0}, "partition_size is 0"),
        ({"attributes": "each"}, "attributes is 'each'; expected one of 'jointly', 'separately'"),
        ({"attributes": "separately"}, "is for several sensitive columns, and there is one"),
        ({"attributes": "separately", "epsilon": 0.1}, "choose min_balance"),
        ({"attributes": "separately", "method": "exact"}, "aligns one set of groups"),
        ({"init": "best"}, r"'aligned', 'k-means\+\+', 'random' or an array"),
        ({"init": np.zeros((2, 3))}, "shape \\(2, 3\\)"),
        ({"init": [["a"]]}, "not an array of numbers"),
    ],
)
def test_bad_parameters(changes, message):
    with pytest.raises(InputError, match=message):
        FCA(**{"n_clusters": K, **changes}).fit(X, sensitive_features=NAMES)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (NAMES[:-1], "59 values for 60 rows"),
        ([None, *NAMES[1:]], "1 missing value, the first at index 0"),
        ([*NAMES[:-1], float("nan")], "missing value, the first at index 59"),
        (pd.Series(NAMES).mask(SEX == 1), "missing values"),
        (np.stack([SEX, SEX], 1)[:-1], r"sensitive_features\[:, 0\] has 59 values for 60 rows"),
        ({}, "has no columns"),
        (np.zeros((60, 2, 2)), r"has shape \(60, 2, 2\)"),
        ([[s] for s in SEX], "cannot be hashed"),
    ],
)
def test_bad_groups(values, message):
    with pytest.raises(InputError, match=message):
        FCA(K).fit(X, sensitive_features=values)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(59), "shape \\(59,\\)"),
        (np.full(60, -1.0), "negative"),
        (np.full(60, np.nan), "NaN or infinite"),
        (np.zeros(60), "zero for every point"),
        (["heavy"] * 60, "not numeric"),
        (SEX.astype(float), "the group 'female' has no weight"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(InputError, match=message):
        FCA(K).fit(X, sensitive_features=NAMES, sample_weight=weights)


def test_bad_points():
    for bad in (np.nan, np.inf):
        spoilt = X.copy()
        spoilt[3, 1] = bad
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            FCA(K).fit(spoilt, sensitive_features=NAMES)
    with pytest.raises(InputError, match=r"values up to 1e\+300"):
        FCA(K).fit(np.where(X.max() > X, X, 1e300), sensitive_features=NAMES)
    with pytest.raises(ValueError, match=r"inconsistent|values for"):
        FCA(K).fit(X[:30], sensitive_features=NAMES)


def test_bad_prediction(fitted):
    with pytest.raises(NotFittedError):
        FCA(K).predict(X)
    with pytest.raises(
        InputError, match="holds 'divers', not seen when fitting; the known groups are 'female', 'male'"
    ):
        fitted.predict(X[:1], sensitive_features=["divers"])
    with pytest.raises(InputError, match="sensitive_features is missing"):
        fitted.predict(X)
    with pytest.raises(InputError, match="was not to fit"):
        clone(MODEL).fit(X).predict(X, sensitive_features=NAMES)
    with pytest.raises(ValueError, match="features"):
        fitted.predict(X[:, :2], sensitive_features=NAMES)
