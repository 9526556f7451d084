"""Beyond restarts: swaps of single centres, crosses, and what the search tells."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from fairjax import FCA, load
from fairjax.cli import main
from fairjax.errors import InputError
from fairjax.fca.restarts import Outcome, Start
from fairjax.fca.scaled_points import scale_points
from fairjax.fca.search import crossed, ranked_swaps, search
from fairjax.fca.splits import Splits

K = 6
PLACES = np.array([[0, 0], [0, 8], [8, 0], [8, 8], [40, 0], [40, 8]])


def blobs(n=120, seed=0):
    """Six blobs, far apart from each other, in which both groups are; with two centres in one no iteration gets out."""
    rng = np.random.default_rng(seed)
    X = PLACES[np.arange(n) % K] + rng.normal(size=(n, 2))
    return X, (np.arange(n) // K % 2).astype(np.int32)


X, SEX = blobs()
# one blob has two centres, two others share one
WRONG = np.r_[PLACES[:3], [[8.5, 8.5], [7.5, 7.5], [40, 4]]]


def fit(**options):
    return FCA(K, **options).fit(X, sensitive_features=SEX)


def test_one_swap_frees_a_trapped_centre(tmp_path):
    trapped, found = (fit(init=WRONG, search=n_fits) for n_fits in (0, 1))
    assert trapped.search_ is None
    assert found.search_[:2] == (1, 1)
    assert found.search_.costs.tolist() == pytest.approx([trapped.cost_, found.cost_], rel=1e-5)
    assert found.cost_ < 2.1 < trapped.cost_
    assert found.balance_ == found.max_balance_
    found.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz").search_
    assert again[:2] == (1, 1)
    np.testing.assert_array_equal(again.costs, found.search_.costs)
    np.testing.assert_array_equal(np.bincount(found.labels_), np.full(K, len(X) // K))


@pytest.mark.parametrize("options", [{"epsilon": 0.1}, {"min_balance": 0.8}])
def test_budget_seed_and_monotonicity(options):
    """The budget is spent to the last fit, the cost never rises, and the seed decides everything."""
    once, twice = (fit(init="random", search=15, random_state=3, **options) for _ in range(2))
    plain = fit(init="random", random_state=3, **options)
    costs = once.search_.costs
    assert once.search_.n_fits == 15
    assert costs.shape == (16,)
    assert np.all(np.diff(costs) <= 0)
    assert np.count_nonzero(np.diff(costs)) == once.search_.n_improvements
    assert costs[0] == pytest.approx(plain.cost_, rel=1e-6)
    assert costs[-1] == pytest.approx(once.cost_, rel=1e-6)
    np.testing.assert_array_equal(once.labels_, twice.labels_)
    np.testing.assert_array_equal(costs, twice.search_.costs)
    assert once.result_.assignment.status == 0


def test_more_clusters_never_cost_more():
    """From the same search; blobs and a uniform square, which has many poor optima."""
    uniform = np.random.default_rng(1).uniform(size=X.shape)
    for points in (X, uniform):
        costs = [FCA(k, search=8, random_state=0).fit(points, sensitive_features=SEX).cost_ for k in (2, 3, K)]
        assert np.all(np.diff(costs) < 0)


@pytest.mark.slow
def test_the_alignment_route_searches_too():
    model = fit(method="exact", init=WRONG, search=1)
    assert model.search_[:2] == (1, 1)
    assert model.cost_ < 2.1


def test_swaps_are_tried_in_the_order_of_what_they_promise():
    """The cheapest merge and the widest cluster first; no cluster is both merged and split, or split for nothing."""
    centers = np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 0.0], [20.0, 0.0]])
    offsets = np.array([[0.1, 0], [0.1, 0], [2.0, 0], [0.0, 0.0]])
    masses = np.array([0.2, 0.3, 0.4, 0.1])
    swaps = ranked_swaps(Splits(centers, offsets, masses * (offsets**2).sum(1), masses))
    assert swaps[0].tolist() == [0, 1, 2]
    assert all(split not in pair and split != 3 for *pair, split in swaps.tolist())
    assert len({tuple(swap) for swap in swaps.tolist()}) == len(swaps) == 3 + 3 + 3


def test_crosses_match_the_centres():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(8, 2))
    other = one[::-1] + 1e-3
    child = crossed(rng, one, other)
    assert 0 < np.count_nonzero((child == one).all(1)) < 8
    np.testing.assert_allclose(child, one, atol=2e-3)


def test_fresh_and_crossed_starts_follow_when_swaps_do_not_help():
    """Every fit that has nothing to beat begins with a fresh start or a cross; a budget of 0 is none."""
    points = scale_points(X, SEX, n_groups=2)
    tried = []

    class Dear:
        def __init__(self, centers):
            self.centers, self.cost = centers, np.float32(2.0)
            self.assignment = type("Assignment", (), {"labels": jnp.arange(len(X), dtype=jnp.int32) % K})

    def refit(start, number, bound):
        tried.append((number, bound, start))
        return Dear(start.centers)

    fresh = [Start(points.to_device(PLACES + shift), None) for shift in range(20)]
    first = Outcome(Dear(points.to_device(PLACES)), fresh[0], 0)
    found = search(points, first, refit, iter(fresh), n_fits=16, seed=0)
    assert found.result is first.result
    assert found.search[:2] == (16, 0)
    assert [number for number, *_ in tried] == list(range(16))
    # four swaps in vain, then a fresh start; four from there, then a cross; and so on
    assert [number for number, bound, _ in tried if np.isinf(bound)] == [4, 9, 14]
    unknown = [start for _, bound, start in tried if np.isinf(bound)]
    assert [any(start is one for one in fresh) for start in unknown] == [True, False, True]
    assert search(points, first, refit, iter(fresh), n_fits=0, seed=0).search[:2] == (0, 0)


@pytest.mark.parametrize("value", [-1, 1.5, True, "many"])
def test_budgets_that_are_none(value):
    with pytest.raises(InputError, match=r"search is .*; expected a whole number of at least 0"):
        fit(search=value)


def test_command_line(capsys):
    assert main(["fit", "--clusters", "4", "--search", "3", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["search"]["n_fits"] == 3
    assert found["search"]["cost_before"] >= found["cost"] * (1 - 1e-6)
    assert found["parameters"]["search"] == 3
    assert any(note.startswith("The search took 3 fits") for note in found["notes"])
