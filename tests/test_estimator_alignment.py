"""FCA's alignment routes through the estimator and the command line."""

import json
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from theory import assert_proposition_4_2

import fairjax
from fairjax import FCA, datasets
from fairjax.cli import main
from fairjax.errors import InputError
from fairjax.fca.alignment import fitting

K = 3
DATA = datasets.make_grouped_blobs(60, 3, K, group_shares=(0.4, 0.6), skew=0.8)
NAMES = np.array(["female", "male"])[DATA.groups]
# small blocks, so that there are several
MODEL = FCA(K, method="exact", transport_weight=2.0, partition_size=8, max_iter=10, random_state=0)


def fit(model, sensitive_features=NAMES, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(DATA.X, sensitive_features=sensitive_features, **options)


@pytest.fixture(scope="module")
def fitted():
    return fit(clone(MODEL))


def test_exact_is_fair_and_certified(fitted):
    counts = np.stack([np.bincount(fitted.labels_[DATA.groups == s], minlength=K) for s in (0, 1)])
    # within one point of proportional counts
    share = counts.sum(0) / counts.sum()
    assert np.all(np.abs(counts - share * counts.sum(1, keepdims=True)) < 2)
    # rounding to whole points moves the groups apart by less than one of each in every cluster
    sizes = counts.sum(1)
    assert_proposition_4_2(*(counts / sizes[:, None]), sizes, K * (1 / sizes).sum())
    centers = np.stack([DATA.X[fitted.labels_ == k].mean(0) for k in range(K)])
    np.testing.assert_allclose(fitted.cluster_centers_, centers, rtol=1e-4, atol=1e-4)
    assert fitted.cost_ == pytest.approx(((DATA.X - centers[fitted.labels_]) ** 2).sum(1).mean(), rel=1e-5)
    solution = fitted.result_.assignment
    assert solution.dual <= solution.primal
    assert fitted.gap_ == pytest.approx(1 - solution.dual / solution.primal, abs=1e-5)
    assert fitted.transport_.n_blocks == 3
    assert fitted.transport_.scheme == "refine"
    assert fitted.result_.transport_gap <= 1e-5
    assert 0 < fitted.result_.solved <= 1


def test_new_points_are_assigned_by_prices(fitted):
    labels = fitted.predict(DATA.X, sensitive_features=NAMES)
    assert np.mean(labels == fitted.labels_) > 0.8
    reduced = ((DATA.X[:, None] - fitted.cluster_centers_) ** 2).sum(-1) + fitted.multipliers_[DATA.groups]
    assert np.mean(labels == reduced.argmin(1)) == 1


def test_assignment_before_rounding(fitted):
    """Eq. (6): perfectly fair as fractions; the argmax and draws need not be."""
    soft = fitted.assignment()
    np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-5)
    first, second = (soft[DATA.groups == s].mean(0) for s in (0, 1))
    np.testing.assert_allclose(first, second, atol=1e-5)
    # Proposition 4.2 with the ε = 0 of the alignment
    assert_proposition_4_2(first, second, np.bincount(DATA.groups), gap=1e-4)
    np.testing.assert_array_equal(fitted.assignment("argmax"), soft.argmax(1))
    drawn = np.stack([fitted.assignment("sample", random_state=seed) for seed in range(400)])
    np.testing.assert_allclose(np.stack([(drawn == k).mean(0) for k in range(K)], 1), soft, atol=0.1)
    np.testing.assert_array_equal(drawn[0], fitted.assignment("sample", random_state=0))
    with pytest.raises(InputError, match="how is 'hard'"):
        fitted.assignment("hard")


def test_a_model_comes_back_from_its_file(fitted, tmp_path):
    fitted.save(tmp_path / "model.npz")
    back = fairjax.load(tmp_path / "model.npz")
    assert (back.transport_, back.message_, back.gap_) == (fitted.transport_, fitted.message_, fitted.gap_)
    np.testing.assert_array_equal(back.assignment(), fitted.assignment())
    np.testing.assert_array_equal(back.result_.objectives, fitted.result_.objectives)
    np.testing.assert_array_equal(
        back.predict(DATA.X, sensitive_features=NAMES), fitted.predict(DATA.X, sensitive_features=NAMES)
    )


def test_the_same_seed_gives_the_same_answer(fitted):
    np.testing.assert_array_equal(fit(clone(MODEL)).labels_, fitted.labels_)


def test_the_first_start_is_the_same_whatever_their_number(monkeypatch):
    found = []
    finish = fitting._finish

    def kept(points, state):
        found.append(np.asarray(state.costs))
        return finish(points, state)

    monkeypatch.setattr(fitting, "_finish", kept)
    for n_init in (1, 2):
        fit(clone(MODEL).set_params(n_init=n_init))
    alone, first, second = found
    np.testing.assert_array_equal(alone, first)
    assert not np.array_equal(first, second, equal_nan=True)


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        ({"method": "sinkhorn", "reg": 0.1}, NAMES),
        ({"n_init": 2, "init": "random"}, NAMES),
        pytest.param({}, np.arange(60) % 3, marks=pytest.mark.slow),
        ({}, None),
    ],
    ids=["sinkhorn", "restarts", "three groups", "one group"],
)
def test_other_settings(options, groups):
    model = fit(clone(MODEL).set_params(max_iter=4, **options), groups)
    assert len(np.unique(model.labels_)) == K
    assert model.balance_ >= 0.5 * model.max_balance_
    assert np.isfinite([model.cost_, model.gap_]).all()


def test_what_cannot_be_combined():
    with pytest.raises(InputError, match="cannot be dealt into blocks at random"):
        fit(clone(MODEL).set_params(method="sinkhorn"), sample_weight=1 + np.arange(60))
    with pytest.raises(InputError, match="there are 3 groups"):
        fit(clone(MODEL).set_params(method="sinkhorn"), np.arange(60) % 3)
    with pytest.raises(InputError, match="partition_size above 12, half the smallest group"):
        fit(clone(MODEL).set_params(method="sinkhorn", partition_size=12), sample_weight=1 + np.arange(60))
    weighted = fit(clone(MODEL).set_params(max_iter=2), sample_weight=np.full(60, 2.0))
    assert len(weighted.labels_) == 60


@pytest.mark.parametrize("method", ["exact", "sinkhorn"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("partition_size", value) for value in (0, -1, 2.5, np.nan, "8", None, True)),
        *((name, value) for name in ("reg", "transport_weight") for value in (-1, np.nan, np.inf, "x", None)),
        ("tol", np.inf),
        ("center_update", "adam"),
    ],
)
def test_parameters_out_of_range(method, name, value):
    with pytest.raises(InputError, match=f"^{name} is .*; expected"):
        fit(clone(MODEL).set_params(method=method, **{name: value}))


def test_extreme_weights_of_the_transport(fitted):
    """Far beyond what single precision can tell apart; the centres then count for nothing in the coupling."""
    far, further = (fit(clone(MODEL).set_params(transport_weight=weight)) for weight in (1e30, 1e300))
    np.testing.assert_array_equal(far.labels_, further.labels_)
    assert far.balance_ >= 0.5 * far.max_balance_
    assert far.cost_ >= fitted.cost_ * (1 - 1e-6)


@pytest.mark.slow
def test_weight_two_is_the_point_twice():
    """Without a partition; most points have weight 1, some 2, and some none at all."""
    copies = np.random.default_rng(0).choice([0, 1, 2], 60, p=[0.2, 0.5, 0.3])
    # one iteration moves the centres to the means of one and the same optimal coupling
    model = clone(MODEL).set_params(partition_size=60, max_iter=1, init=DATA.X[:K])
    weighted = fit(clone(model), sample_weight=copies)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        twice = model.fit(np.repeat(DATA.X, copies, 0), sensitive_features=np.repeat(NAMES, copies))
    for history in ("history", "objectives"):
        found, wanted = (getattr(one.result_, history)[0] for one in (weighted, twice))
        assert found == pytest.approx(wanted, rel=1e-5)
    assert weighted.max_balance_ == pytest.approx(twice.max_balance_)
    assert weighted.cost_ == pytest.approx(twice.cost_, rel=0.05)
    reduced = ((DATA.X[:, None] - weighted.cluster_centers_) ** 2).sum(-1) + weighted.multipliers_[DATA.groups]
    np.testing.assert_array_equal(weighted.labels_[copies == 0], reduced.argmin(1)[copies == 0])


@pytest.mark.parametrize("transport_weight", [pytest.param(1.0, marks=pytest.mark.slow), 2.0])
def test_weights_in_blocks(transport_weight):
    weights = np.random.default_rng(1).exponential(size=60)
    model = fit(clone(MODEL).set_params(transport_weight=transport_weight), sample_weight=weights)
    assert model.transport_.n_blocks == 3
    table = np.stack([np.bincount(model.labels_[DATA.groups == s], weights[DATA.groups == s], K) for s in (0, 1)])
    # each group misses its share of a cluster by less than its heaviest point
    share = table.sum(0) / table.sum()
    heaviest = max(weights)
    assert np.all(np.abs(table - share * table.sum(1, keepdims=True)) < 2 * heaviest)
    centers = np.stack([np.average(DATA.X[model.labels_ == k], 0, weights[model.labels_ == k]) for k in range(K)])
    np.testing.assert_allclose(model.cluster_centers_, centers, rtol=1e-4, atol=1e-4)
    cost = np.average(((DATA.X - centers[model.labels_]) ** 2).sum(1), weights=weights)
    assert model.cost_ == pytest.approx(cost, rel=1e-5)
    found = model.result_.objectives[: model.n_iter_]
    # the centres also move, so that F falls from iteration to iteration but for rounding
    assert np.all(np.diff(found) <= 1e-5 * found[0])


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_points_of_any_unit(fitted, unit):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = clone(MODEL).fit(unit * DATA.X, sensitive_features=NAMES)
    assert model.cost_ == pytest.approx(unit**2 * fitted.cost_, rel=0.02)
    assert model.result_.assignment.status == 0


def test_command_line(capsys):
    code = main(["fit", "--method", "exact", "--transport-weight", "2", "--clusters", "3", "--max-iter", "5", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert found["status"] == 0
    assert found["parameters"]["transport_weight"] == 2
    assert found["parameters"]["partition_size"] == 1024
    assert 0 <= found["gap"] < 0.2


@pytest.mark.parametrize("method", ["exact", "sinkhorn"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--partition-size", "0"], "argument --partition-size: '0' is no whole number"),
        (["--partition-size", "2.5"], "argument --partition-size: '2.5' is no whole number"),
        (["--transport-weight", "inf"], "--transport-weight is inf"),
        (["--reg", "nan"], "--reg is nan"),
        (["--epsilon", "0.1"], "perfect fairness"),
        (["--clusters", "443"], "less than --clusters 443"),
    ],
)
def test_command_line_refuses(capsys, method, options, sentence):
    assert main(["fit", "--method", method, *options, "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1
