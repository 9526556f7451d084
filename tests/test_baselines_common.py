"""The surface that all methods share: conventions, attributes, weights, groups, starts, bad input."""

import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import fairjax
from fairjax import baselines
from fairjax.baselines import KMeans
from fairjax.errors import InputError
from fairjax.saving import archive

K = 3
# what suits small data, where the defaults do not
SETTINGS = {"FRAC": {"assignment": "exact"}, "SpFC": {"n_init": 2}, "FMC": {"penalty": 0.1, "tol": 1e-3}}
PUBLIC = [(name, getattr(baselines, name)) for name in baselines.__all__]
# every method that is public, k-means first; the tests below hold for each
METHODS = [
    kind(K, random_state=0, **SETTINGS.get(name, {}))
    for name, kind in sorted(PUBLIC, key=lambda found: found[0] != "KMeans")
    if inspect.isclass(kind) and issubclass(kind, baselines.Baseline) and not inspect.isabstract(kind)
]


def name_of(model):
    return type(model).__name__


def data(n=60, d=3, seed=0):
    """Three blobs, whose two groups are unevenly spread; the shape is padded to (64, 4)."""
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, K, n)
    X = rng.normal(size=(n, d)) + 4.0 * np.eye(K, d)[blob]
    return X, np.where(rng.random(n) < np.array([0.8, 0.5, 0.2])[blob], "f", "m")


X, SEX = data()
every = pytest.mark.parametrize("model", METHODS, ids=name_of)


def expected_failures(model):
    failures = {
        "check_sample_weight_equivalence_on_dense_data": (
            "random starts are drawn by weight: the same distribution as for repeated rows, not the same draw"
        )
    }
    if not model._weighted:
        failures["check_sample_weights_not_overwritten"] = "different weights are refused"
    return failures


@parametrize_with_checks(METHODS[:1], expected_failed_checks=expected_failures)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


# what these checks find is in the base class, and each compiles for shapes of its own
@pytest.mark.slow
@parametrize_with_checks(METHODS[1:], expected_failed_checks=expected_failures)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_conventions_of_the_others(estimator, check):
    check(estimator)


@every
def test_attributes(model):
    fitted = clone(model).fit(X, sensitive_features=SEX)
    labels = fitted.labels_
    assert labels.dtype == np.int32
    assert labels.shape == (len(X),)
    assert fitted.status_ in ("optimal", "converged")
    assert fitted.converged_
    assert fitted.n_iter_ >= 1
    means = np.stack([X[labels == k].mean(0) for k in range(K)])
    np.testing.assert_allclose(fitted.cluster_centers_, means, atol=1e-12)
    assert fitted.cost_ == pytest.approx(((X - means[labels]) ** 2).sum(1).mean(), rel=1e-12)
    counts = np.array([[np.sum((labels == k) & (g == SEX)) for g in "fm"] for k in range(K)])
    assert fitted.balance_ == (counts.min(1) / counts.max(1)).min()
    sizes = counts.sum(0)
    assert fitted.max_balance_ == sizes.min() / sizes.max()
    assert fitted.groups_.tolist() == ["f", "m"]
    assert fitted.group_names_ == ("f", "m")
    assert fitted.transform(X).shape == (len(X), K)
    assert np.isfinite(fitted.objective_)
    control = type(model).control
    assert control is None or control in fitted.get_params()


@every
def test_the_same_seed_gives_the_same_labels_whatever_the_groups_are_called(model):
    first = clone(model).fit_predict(X, sensitive_features=SEX)
    renamed = clone(model).fit_predict(X, sensitive_features=np.where(SEX == "f", 7, 3))
    if type(model).control is None:
        np.testing.assert_array_equal(first, renamed)
    np.testing.assert_array_equal(first, clone(model).fit_predict(X, sensitive_features=SEX))


@every
def test_a_file_brings_the_model_back(model, tmp_path):
    fitted, path = clone(model).fit(X, sensitive_features=SEX), tmp_path / "model.npz"
    if not hasattr(fitted, "predict"):
        with pytest.raises(InputError, match="has no rule for new points"):
            fitted.save(path)
        assert not path.exists()
        return
    fitted.save(path)
    again = fairjax.load(path)
    assert type(again) is type(fitted)
    assert again.get_params() == fitted.get_params()
    known = {name: value for name, value in vars(fitted).items() if name.endswith("_") and name != "result_"}
    assert set(known) <= set(vars(again))
    for name, value in known.items():
        np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)
    np.testing.assert_array_equal(again.predict(X, sensitive_features=SEX), fitted.predict(X, sensitive_features=SEX))


def test_a_damaged_file_is_told_as_such(tmp_path):
    fitted, path = clone(METHODS[0]).fit(X, sensitive_features=SEX), tmp_path / "model.npz"
    fitted.save(path)
    words, arrays = archive.read(path)
    changes = (
        (words, arrays | {"multipliers_": arrays["multipliers_"][:1]}, "multipliers_ has shape"),
        (words, arrays | {"labels": arrays["labels"] + K}, "labels holds values"),
        (words | {"status": "infeasible"}, arrays, "status is 'infeasible'"),
        (words | {"settings": words["settings"] | {"n_clusters": 0}}, arrays, "n_clusters is 0"),
    )
    for told, held, sentence in changes:
        archive.write(path, told, held)
        with pytest.raises(InputError, match=sentence):
            fairjax.load(path)


@every
def test_pickle(model):
    fitted = clone(model).fit(X, sensitive_features=SEX)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.labels_, fitted.labels_)
    if hasattr(fitted, "predict"):
        np.testing.assert_array_equal(
            again.predict(X, sensitive_features=SEX), fitted.predict(X, sensitive_features=SEX)
        )


@every
def test_one_cluster(model):
    fitted = clone(model).set_params(n_clusters=1).fit(X, sensitive_features=SEX)
    assert (fitted.labels_ == 0).all()
    assert fitted.balance_ == fitted.max_balance_


@pytest.mark.parametrize("model", [model for model in METHODS if hasattr(model, "predict")], ids=name_of)
def test_predict_agrees_with_fit_but_on_boundaries(model):
    fitted = clone(model).fit(X, sensitive_features=SEX)
    assert np.mean(fitted.predict(X, sensitive_features=SEX) != fitted.labels_) <= 0.05


def test_groups_are_optional():
    fitted = KMeans(K, random_state=0).fit(X)
    assert fitted.group_names_ == ("all",)
    assert fitted.balance_ == fitted.max_balance_ == 1
    assert fairjax.baselines.KMeans is KMeans


def test_given_centers_and_restarts():
    start = X[:K]
    fitted = KMeans(K, init=start).fit(X)
    np.testing.assert_array_equal(KMeans(K, init=start, n_init=5, random_state=3).fit(X).labels_, fitted.labels_)
    assert KMeans(K, n_init=5, init="random", random_state=0).fit(X).cost_ <= fitted.cost_ * (1 + 1e-6)


def test_lost_clusters_are_told():
    with pytest.warns(ConvergenceWarning, match="only 2 of the 3 clusters"):
        fitted = KMeans(3, random_state=0).fit(np.repeat([[0.0], [1.0]], 5, 0))
    assert fitted.status_ == "collapsed"
    assert not fitted.converged_


def test_limit_is_told():
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        fitted = KMeans(K, max_iter=1, tol=0, random_state=0).fit(X)
    assert fitted.status_ == "stopped"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_clusters": 0}, "n_clusters is 0"),
        ({"n_clusters": 61}, "n_samples=60 is less than n_clusters=61"),
        ({"n_init": 1.5}, "n_init is 1.5"),
        ({"tol": -1}, "tol is -1; expected a finite number of at least 0"),
        ({"init": "best"}, "init is 'best'; expected one of 'k-means\\+\\+', 'random'"),
        ({"init": X[:2]}, r"init has shape \(2, 3\); expected finite centres of shape \(3, 3\)"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        KMeans(K, random_state=0).set_params(**settings).fit(X)
