"""What must hold for every method: order of rows, names of groups, weights, extreme data; curves of the controls."""

import itertools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from test_baselines_common import METHODS, SEX, K, X, name_of

from fairjax.baselines import FCBC, FMC, FRAC, SFC, VFC, Fairlets, FAlg, KMeans, MSFlowFC, SpFC
from fairjax.errors import InputError

CENTERS = X[[0, 7, 19]]
# those whose result is determined by the start; of the others rows are drawn, or dealt in their order
FROM_CENTERS = [
    model for model in METHODS if name_of(model) in ("KMeans", "FAlg", "FCBC", "FRAC", "MSFlowFC", "VFC", "FMC")
]
WEIGHTED = [model for model in METHODS if model._weighted]
TOO_FEW = "makes . fairlets of the points"
every = pytest.mark.parametrize("model", METHODS, ids=name_of)
from_centers = pytest.mark.parametrize("model", FROM_CENTERS, ids=name_of)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(model, points=X, groups=SEX, **options):
    return clone(model).set_params(**options).fit(points, sensitive_features=groups)


def counts_of(model, groups):
    return np.stack([np.bincount(model.labels_[groups == value], minlength=K) for value in np.unique(groups)])


@from_centers
def test_the_order_of_rows_does_not_matter(model):
    """Up to points that rounding may place, at the same cost: at most one in a group and cluster."""
    order = np.random.default_rng(1).permutation(len(X))
    first = fitted(model, init=CENTERS)
    again = fitted(model, X[order], SEX[order], init=CENTERS)
    assert again.objective_ == pytest.approx(first.objective_, rel=1e-4)
    assert np.mean(again.labels_ != first.labels_[order]) <= 0.05
    assert abs(counts_of(again, SEX[order]) - counts_of(first, SEX)).max() <= 1


@every
def test_names_of_groups_do_not_matter(model):
    """Names in the same order change nothing; in the other one costs stay where no group comes before another."""
    first = fitted(model)
    named = np.where(SEX == "f", 3, 7)
    np.testing.assert_array_equal(fitted(model, groups=named).labels_, first.labels_)
    if name_of(model) in ("KMeans", "FAlg", "FCBC", "FRAC", "MSFlowFC", "VFC", "FMC", "SpFC"):
        swapped = fitted(model, groups=np.where(SEX == "f", 7, 3))
        assert swapped.cost_ == pytest.approx(first.cost_, rel=0.02)
        assert swapped.max_balance_ == first.max_balance_


@quiet
@every
def test_a_group_of_one_row(model):
    """It is in one cluster, and no other one can have both groups."""
    lone = np.where(np.arange(len(X)) == 5, "x", "y")
    if isinstance(model, (SFC, Fairlets)):
        with pytest.raises(InputError, match=TOO_FEW):
            fitted(model, groups=lone)
        return
    model = fitted(model, groups=lone)
    assert np.isfinite(model.cost_)
    assert model.balance_ == 0 or model.status_ == "collapsed"
    assert model.max_balance_ == 1 / (len(X) - 1)


@quiet
@every
def test_rows_that_are_all_the_same(model):
    """Nothing to divide by: the cost is 0, and lost clusters are told."""
    model = fitted(model, np.ones_like(X))
    assert model.cost_ == pytest.approx(0, abs=1e-12)
    assert np.isfinite(model.cluster_centers_[np.unique(model.labels_)]).all()
    lost = len(np.unique(model.labels_)) < K
    assert (model.status_ == "collapsed") == lost


@quiet
@pytest.mark.parametrize(
    ("model", "values", "rising"),
    [
        (FAlg(K), {"delta": [0.0, 0.1, 0.3, 0.6]}, False),
        (FCBC(K, delta=0.0), {"pof": [1.0, 1.1, 1.4, 9.0]}, True),
        (FRAC(K, assignment="exact", in_processing=False), {"tau": [0.0, 0.4, 0.8, 1.0]}, True),
        (MSFlowFC(K, max_iter=1), {"tolerance": [0.0, 0.2, 0.5, 0.9]}, False),
        (VFC(K, max_iter=1), {"penalty": [0.0, 100.0, 300.0, 1000.0]}, True),
    ],
    ids=lambda value: name_of(value) if hasattr(value, "fit") else "",
)
def test_the_cost_of_a_control_is_monotone_at_fixed_centres(model, values, rising):
    """More is asked for at more cost, up to what rounding to whole points costs."""
    ((parameter, steps),) = values.items()
    models = [fitted(model, init=CENTERS, **{parameter: step}) for step in steps]
    models = models if rising else models[::-1]
    distances = np.square(X[:, None] - CENTERS).sum(2)
    costs = [distances[np.arange(len(X)), found.labels_].mean() for found in models]
    room = 0.01 * costs[-1]
    if isinstance(model, (FAlg, FRAC)):
        costs, room = [found.result_.details.get("primal", found.objective_) for found in models], 1e-6
    assert all(low <= high + room for low, high in itertools.pairwise(costs)), costs
    assert costs[-1] > 1.01 * costs[0]
    balances = [found.balance_ for found in models]
    assert balances[-1] > balances[0]
    if isinstance(model, FCBC):
        left = [found.objective_ for found in models]  # the violation that the budget leaves
        assert sorted(left, reverse=True) == left


@pytest.mark.slow
@quiet
@pytest.mark.parametrize("model", WEIGHTED, ids=name_of)
def test_weights_are_repeated_rows(model):
    weights = np.random.default_rng(2).integers(1, 4, len(X))
    once = clone(model).set_params(init=CENTERS).fit(X, sensitive_features=SEX, sample_weight=weights)
    rows = np.repeat(np.arange(len(X)), weights)
    repeated = fitted(model, X[rows], SEX[rows], init=CENTERS)
    # a heavy row is rounded to one cluster, its copies need not be
    assert once.cost_ == pytest.approx(repeated.cost_, rel=0.02)
    # where the mixture of FMC begins with k-means, clusters may come in another order
    assert adjusted_rand_score(once.labels_[rows], repeated.labels_) >= 0.9


@pytest.mark.slow
@quiet
@every
def test_one_group(model):
    """There is nothing to be fair about."""
    alone = clone(model).set_params(n_init=3).fit(X)
    assert alone.balance_ == alone.max_balance_ == 1
    plain = KMeans(K, n_init=3, random_state=0).fit(X)
    # FRAC makes clusters of equal size of each group, so of one, too; the two others have medians
    assert alone.cost_ <= plain.cost_ * (1.6 if isinstance(model, (FRAC, SFC, Fairlets)) else 1.1)


@pytest.mark.slow
@quiet
@every
def test_as_many_clusters_as_rows(model):
    """Only where nothing is asked for every row can have a cluster of its own."""
    few, groups = X[:12], np.tile(["f", "m"], 6)
    if isinstance(model, (SFC, Fairlets, SpFC)):
        with pytest.raises(InputError, match="the constraints leave 11" if isinstance(model, SpFC) else TOO_FEW):
            fitted(model, few, groups, n_clusters=12)
        return
    model = fitted(model, few, groups, n_clusters=12)
    assert model.labels_.min() >= 0
    assert model.labels_.max() < 12
    if name_of(model) == "KMeans":
        assert model.cost_ == pytest.approx(0, abs=1e-6)
    assert (model.status_ == "collapsed") == (len(np.unique(model.labels_)) < 12) or model.status_ == "diverged"


@pytest.mark.slow
@quiet
def test_fmc_is_fairer_with_a_larger_penalty():
    """No theory says so of every value, but of the ends: no penalty is the plain mixture."""
    gaps = [fitted(FMC(K, size_penalty=0.1), init=CENTERS, penalty=penalty).share_gap_ for penalty in (0.0, 1.0)]
    assert gaps[1] <= gaps[0]
