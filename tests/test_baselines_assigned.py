"""FAlg, FCBC, FRAC and MS-FlowFC on the public data, against exact solvers and what the authors' codes gave there."""

import numpy as np
import pytest
from sklearn.cluster import KMeans, kmeans_plusplus
from test_baselines_public import CENTERS, K, public  # noqa: F401

from fairjax.baselines import FCBC, FRAC, FAlg, MSFlowFC

pytestmark = pytest.mark.slow


@pytest.fixture
def data(request, public):  # noqa: F811
    return public[request.param]


def rows(**by_name):
    """Cases of a method on both data sets."""
    cases = [(name, *row) for name, own in by_name.items() for row in own]
    return pytest.mark.parametrize(("data", "setting", "cost", "balance"), cases, indirect=["data"])


def fitted(model, data):
    return model.fit(data.X, sensitive_features=data.groups)


def starts(data):
    return CENTERS["adult" if data.X.shape[1] == 5 else "bank"]


@rows(
    adult=[
        (0, 0.3192, 0.4941),
        (0.05, 0.3143, 0.4585),
        (0.1, 0.3101, 0.4240),
        (0.2, 0.3034, 0.3602),
        (0.5, 0.2945, 0.1982),
    ],
    bank=[
        (0, 0.2499, 0.6489),
        (0.05, 0.2351, 0.5974),
        (0.1, 0.2223, 0.5486),
        (0.2, 0.2122, 0.4598),
        (0.5, 0.2074, 0.2453),
    ],
)
def test_falg(data, setting, cost, balance):
    model = fitted(FAlg(K, delta=setting, init=starts(data)), data)
    assert model.status_ == "optimal"
    assert model.gap_ <= 1e-6
    assert model.violation_ < 2
    assert model.cost_ == pytest.approx(cost, abs=5e-4)
    assert model.balance_ == pytest.approx(balance, abs=1e-3)


@rows(
    adult=[(1.001, 0.2950, 0.177), (1.01, 0.3002, 0.298), (1.03, 0.3120, 0.439), (1.05, 0.3192, 0.494)],
    bank=[(1.01, 0.2114, 0.430), (1.05, 0.2279, 0.567), (1.1, 0.2487, 0.645), (1.2, 0.2499, 0.649)],
)
def test_fcbc(data, setting, cost, balance):
    model = fitted(FCBC(K, pof=setting, delta=0, init=starts(data)), data)
    assert model.status_ == "optimal"
    assert model.cost_ == pytest.approx(cost, abs=5e-4)
    # the grid of the published search is 2^-7 wide
    assert model.balance_ == pytest.approx(balance, abs=2e-3)
    assert model.n_iter_ <= 15


@rows(
    adult=[
        ({"in_processing": False}, 0.3617, 0.4943),
        ({"in_processing": False, "assignment": "exact"}, 0.3494, 0.4943),
        ({"in_processing": False, "tau": 0.2}, 0.2946, 0.175),
        ({"in_processing": False, "tau": 0.5}, 0.3004, 0.217),
        ({"in_processing": False, "tau": 0.8}, 0.3203, 0.364),
    ],
    bank=[
        ({"in_processing": False}, 0.3534, 0.6490),
        ({"in_processing": False, "assignment": "exact"}, 0.3002, 0.6490),
    ],
)
def test_frac_after_clustering(data, setting, cost, balance):
    model = fitted(FRAC(K, init=starts(data), **setting), data)
    assert model.status_ == "converged"
    assert model.cost_ == pytest.approx(cost, abs=5e-4)
    assert model.balance_ == pytest.approx(balance, abs=1e-3)


# published iterations end earlier than ours, so these are bounds
@rows(
    adult=[("round-robin", 0.3384, 0.4943), ("exact", 0.3262, 0.4943)],
    bank=[("round-robin", 0.3225, 0.6490), ("exact", 0.2686, 0.6490)],
)
def test_frac_in_processing(data, setting, cost, balance):
    model = fitted(FRAC(K, assignment=setting, init=starts(data)), data)
    assert model.cost_ <= cost + 5e-4
    assert model.balance_ == pytest.approx(balance, abs=1e-3)


@rows(adult=[(0.01, 0.3332, 0.4894), (0.1, 0.3103, 0.445)], bank=[(0.01, 0.2699, 0.6426), (0.1, 0.2335, 0.584)])
def test_ms_flow(data, setting, cost, balance):
    """From seeds in the largest group: the authors' code gave 0.3298 to 0.3407 on Adult, 0.2653 to 0.2785 on Bank."""
    largest = data.X[data.groups == np.bincount(data.groups).argmax()]
    seeds = [kmeans_plusplus(largest, K, random_state=seed)[0] for seed in range(5)]
    models = [fitted(MSFlowFC(K, tolerance=setting, init=centers), data) for centers in seeds]
    assert np.median([model.cost_ for model in models]) == pytest.approx(cost, abs=8e-3)
    assert min(model.balance_ for model in models) >= balance - 2e-3


@pytest.mark.parametrize(
    ("data", "mean", "balance"), [("adult", 0.3195, 0.4939), ("bank", 0.2557, 0.6487)], indirect=["data"]
)
def test_exact_falg_from_ten_starts(data, mean, balance):
    plain = [KMeans(K, n_init=1, random_state=seed).fit(data.X).cluster_centers_ for seed in range(10)]
    models = [fitted(FAlg(K, delta=0, init=centers), data) for centers in plain]
    assert np.mean([model.cost_ for model in models]) == pytest.approx(mean, abs=4e-3)
    assert min(model.balance_ for model in models) >= balance
