"""The report of a fitted model, made from Python."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from fairjax import FCA, deep, report
from fairjax.errors import InputError
from fairjax.metrics import host

K = 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) + 4.0 * np.eye(K)[RNG.integers(0, K, 60)]
SEX = pd.Series(np.array(["female", "male"])[RNG.integers(0, 2, 60)], name="sex")
IDS = (SEX == "male").to_numpy().astype(int)


@pytest.fixture(scope="module")
def fitted():
    return FCA(K, random_state=0).fit(pd.DataFrame(X, columns=["age", "bmi", "bp"]), sensitive_features=SEX)


@pytest.fixture(scope="module")
def page(fitted):
    frame = pd.DataFrame(X, columns=["age", "bmi", "bp"])
    return report.from_model(fitted, frame, sensitive_features=SEX, title="Sixty <people>", notes=["Made up."])


def test_it_tells_what_the_model_found(fitted, page):
    data = page.data
    assert (data.cost, data.balance, data.max_balance) == (fitted.cost_, fitted.balance_, fitted.max_balance_)
    assert data.counts.tolist() == host.contingency(fitted.labels_, IDS, None, (K, 2)).tolist()
    assert data.features == ("age", "bmi", "bp")
    assert (data.sensitive, data.names) == ("sex", ("female", "male"))
    assert data.unfair["cost"] < data.cost
    assert len(data.curve) == 8
    assert data.chance.costs.shape == (5,)
    assert data.chance.agreement.max() <= 1
    assert data.notes == ("Made up.",)
    assert data.parameters["n_init"] == 1
    assert {"reg", "min_balance", "partition_size"}.isdisjoint(data.parameters)


def test_it_is_a_page_that_can_be_saved_and_shown(page, tmp_path):
    path = page.save(tmp_path / "report.html")
    assert path.read_text() == page.html
    parser = HTMLParser()
    parser.feed(page.html)
    parser.close()
    assert "Sixty &lt;people&gt;" in page.html
    shown = page._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert '"' not in shown.split('srcdoc="')[1].split('" style=')[0]
    assert "Sixty <people>" in repr(page)


def test_without_details(fitted):
    data = report.from_model(fitted, X, sensitive_features=SEX.to_numpy(), details=False).data
    assert data.curve == []
    assert data.sensitive is None
    assert data.unfair is not None
    assert data.features == ("age", "bmi", "bp")


def test_weights_count():
    weights = np.where(IDS == 1, 2.0, 1.0)
    model = FCA(K, random_state=0).fit(X, sensitive_features=SEX, sample_weight=weights)
    data = report.from_model(model, X, sensitive_features=SEX, sample_weight=weights).data
    assert data.balance == pytest.approx(host.balance(data.counts))
    assert data.counts.sum() == weights.sum()
    assert data.control == "epsilon"


def test_a_deep_model():
    X = RNG.random((60, 16)).astype(np.float32)
    model = deep.AEKMeans(K, steps=2, batch_size=16, n_init=1, n_latent=2, random_state=0)
    model.fit(X, sensitive_features=SEX)
    names = [f"pixel {i}" for i in range(16)]
    page = report.from_model(model, X, sensitive_features=SEX, feature_names=names)
    assert page.data.latent.shape == (60, 2)
    assert page.data.image_shape == (4, 4, 1)
    assert "autoencoder" in page.data.method
    assert "checkpoint_dir" not in page.data.parameters
    assert 'class="mean"' in page.html


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": X[:5]}, r"X has shape \(5, 3\), and the model was fitted to 60 points"),
        ({"X": X[0]}, r"X has shape \(3,\)"),
        ({"sensitive_features": None}, "sensitive_features is missing"),
        ({"sensitive_features": SEX[:5]}, "5 values for 60 rows"),
        ({"sensitive_features": SEX.replace("male", "x")}, "holds 'x', not seen"),
        ({"sample_weight": np.ones(5)}, "sample_weight has shape"),
        ({"feature_names": ["a"]}, "1 feature names"),
        ({"raw": X[:5]}, "raw has shape"),
    ],
)
def test_bad_input(fitted, change, message):
    with pytest.raises(InputError, match=message):
        report.from_model(**{"model": fitted, "X": X, "sensitive_features": SEX, "details": False} | change)


def test_a_model_that_was_not_fitted():
    with pytest.raises(NotFittedError):
        report.from_model(FCA(K), X)


def test_several_attributes_are_told_one_by_one(page):
    region = np.where(np.arange(60) % 2, "north", "south")
    both = pd.DataFrame({"sex": SEX, "region": region})
    model = FCA(K, random_state=0).fit(X, sensitive_features=both)
    found = report.from_model(model, X, sensitive_features=both, details=False).data
    assert found.sensitive == "sex and region"
    assert found.notes[0].startswith("Balance by each sensitive column alone: 'sex' ")
    assert page.data.sensitive == "sex"
