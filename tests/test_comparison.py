"""Plain k-means beside fair clustering, from Python."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

import fairjax
from fairjax import FCA
from fairjax.errors import InputError

K = 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) + 4.0 * np.eye(K)[RNG.integers(0, K, 60)]
SEX = np.array(["female", "male"])[(X.sum(1) + RNG.normal(size=60) > 4).astype(int)]


@pytest.fixture(scope="module")
def found():
    return fairjax.compare(X, SEX, n_clusters=K, levels=(0.5, 1.0), n_seeds=2)


def test_a_row_for_every_method(found):
    sizes = np.unique(SEX, return_counts=True)[1]
    best = sizes.min() / sizes.max()
    assert found.max_balance == best
    table = found.frame
    assert table.index.tolist() == ["k-means", f"FCA ≥ {best / 2:.4f}", f"FCA ≥ {best:.4f}"]
    assert table["cost"].is_monotonic_increasing
    assert table["balance"].is_monotonic_increasing
    assert (table["lowest_cost"] <= table["cost"]).all()
    np.testing.assert_allclose(table["price"], table["cost"] / table["cost"].iloc[0] - 1)
    assert (table["seconds"] > 0).all()


def test_the_runs_are_those_of_the_estimator(found):
    runs = found.runs
    assert runs.shape == (6, 6)
    kept = runs[runs["method"] == "k-means"]["cost"].min()
    assert kept == pytest.approx(KMeans(K, n_init=5, random_state=0).fit(X).inertia_ / len(X), rel=1e-3)
    perfect = FCA(K, n_init=2, random_state=0).fit(X, sensitive_features=SEX)
    assert found.frame["lowest_cost"].iloc[-1] == pytest.approx(perfect.cost_, rel=0.05)


def test_from_the_k_means_centres(found):
    """There plain k-means is the start itself."""
    plain = fairjax.compare(X, SEX, n_clusters=K, levels=(1.0,), n_seeds=1, init="k-means++")
    assert plain.init == "k-means++"
    assert plain.frame["cost"].iloc[0] == pytest.approx(found.frame["lowest_cost"].iloc[0], rel=1e-3)


def test_it_shows_itself(found, tmp_path):
    assert "2 starts by init='aligned'" in repr(found)
    assert "<table" in found._repr_html_()
    axes = found.plot()
    assert axes.get_ylabel() == "cost"
    axes.figure.savefig(tmp_path / "curve.svg")
    assert found.plot(axes) is axes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_clusters": 0}, "n_clusters is 0"),
        ({"n_clusters": 61}, "60 rows for 61 clusters"),
        ({"n_seeds": 1.5}, "n_seeds is 1.5"),
        ({"levels": (0.5, 2)}, r"levels is \(0.5, 2.0\)"),
        ({"levels": ()}, "expected shares"),
        ({"init": "best"}, "init is 'best'"),
        ({"init": X[:8]}, "init is an array"),
        ({"sensitive_features": np.zeros(60)}, "has one group"),
        ({"sensitive_features": SEX[:3]}, "3 values for 60 rows"),
        ({"sample_weight": -np.ones(60)}, "negative"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(InputError, match=message):
        fairjax.compare(**{"X": X, "sensitive_features": SEX} | changes)
