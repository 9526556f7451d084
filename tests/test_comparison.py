"""Methods side by side, from Python."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

import fairjax
from fairjax import FCA
from fairjax.baselines import FAlg, MSFlowFC
from fairjax.baselines.catalogue import METHODS, find
from fairjax.comparison.quoted import quoted
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
    levels = [f"FCA ≥ {best / 2:.4f}", f"FCA ≥ {best:.4f}"]
    assert table.index.tolist() == ["k-means", "FAlg δ=0", "FAlg δ=0.2", *levels]
    by_level = table.loc[["k-means", *levels]]
    assert by_level["cost"].is_monotonic_increasing
    assert by_level["balance"].is_monotonic_increasing
    assert (table["lowest_cost"] <= table["cost"]).all()
    assert table["status"].tolist() == ["converged", "optimal", "optimal", "converged", "converged"]
    assert table["violation"].isna().tolist() == [True, False, False, False, False]
    assert (table["violation"].dropna() < 1).all()
    np.testing.assert_allclose(table["share"], table["balance"] / best)
    assert (table["n_nonempty"] == K).all()
    np.testing.assert_allclose(table["price"], table["cost"] / table["cost"].iloc[0] - 1)
    assert (table["seconds"] > 0).all()


def test_the_runs_are_those_of_the_estimator(found):
    runs = found.runs
    assert len(runs) == 10
    kept = runs[runs["method"] == "k-means"]["cost"].min()
    assert kept == pytest.approx(KMeans(K, n_init=5, random_state=0).fit(X).inertia_ / len(X), rel=1e-3)
    perfect = FCA(K, n_init=2, random_state=0).fit(X, sensitive_features=SEX)
    assert found.frame["lowest_cost"].iloc[-1] == pytest.approx(perfect.cost_, rel=0.05)


def test_all_methods_have_the_same_start(found):
    """FAlg assigns to the centres of the k-means row, whose cost bounds the one of any assignment to them."""
    runs = found.runs.set_index(["method", "seed"])
    for seed in (0, 1):
        loose, strict = (runs.loc[(f"FAlg δ={delta}", seed)] for delta in ("0.2", "0"))
        assert runs.loc[("k-means", seed), "cost"] <= loose["objective"] <= strict["objective"]
        assert strict["control"] == "delta"
        assert strict["value"] == 0


def test_names_and_estimators():
    """An estimator keeps its parameters; one that knows no groups can take part; labels may be given."""
    methods = {"mine": FAlg(7, delta=0.1), "spread": "ms-flow", "sklearn": KMeans(2, n_init=2)}
    found = fairjax.compare(X, SEX, methods=methods, n_clusters=K, n_seeds=1)
    assert found.frame.index.tolist() == ["mine", "spread tol=0.01", "sklearn"]
    assert found.frame["price"].isna().all()
    assert (found.runs["n_nonempty"] == K).all()
    assert found.runs["value"].tolist()[:2] == [0.1, 0.01]
    (row,) = fairjax.compare(X, SEX, methods=FAlg(delta=0.1), n_clusters=K, n_seeds=1).frame.index
    assert row == "FAlg, delta=0.1"


def test_what_a_method_cannot_do_is_a_row_with_a_sentence():
    three = np.array(["a", "b", "c"])[np.arange(60) % 3]
    found = fairjax.compare(X, three, methods=("kmeans", "sfc"), n_clusters=K, n_seeds=2)
    refused = found.frame.loc["SFC"]
    assert refused["status"] == "refused"
    assert np.isnan(refused["cost"])
    assert found.runs["method"].tolist().count("SFC") == 1
    assert "3 groups, and SFC takes 2" in " ".join(found.notes)
    found.plot()


def test_a_row_that_takes_too_long_has_one_start():
    found = fairjax.compare(X, SEX, methods=("falg",), n_clusters=K, n_seeds=3, time_limit=1e-9)
    assert found.runs["status"].tolist() == ["stopped", "stopped"]
    assert found.runs["cost"].notna().all()
    assert "no further ones" in found.notes[0]


def test_a_search_that_takes_too_long_is_told():
    found = fairjax.compare(X, SEX, methods=("vfc",), n_clusters=K, n_seeds=1, time_limit=1e-9)
    assert "fairest: its search ended early, since one run took" in found.notes[0]
    assert found.runs["cost"].notna().all()


def test_known_classes_are_what_labels_are_looked_at_beside():
    """Accuracy and mutual information of the labels, in the table only where classes are given."""
    found = fairjax.compare(X, SEX, methods={"mine": FAlg(delta=0.1)}, n_clusters=K, n_seeds=1, target=SEX)
    plain = fairjax.compare(X, SEX, methods={"mine": FAlg(delta=0.1)}, n_clusters=K, n_seeds=1)
    assert "accuracy" not in plain.frame
    assert "nmi" not in plain.runs
    assert found.frame["cost"].iloc[0] == plain.frame["cost"].iloc[0]
    assert 0.3 <= found.frame["accuracy"].iloc[0] <= 1
    # clusters of nearly equal shares tell little of the group
    assert 0 <= found.frame["nmi"].iloc[0] < 0.1


def test_the_fairest_penalty_is_searched_for():
    """Balance and cost of more penalty are no less, and what breaks down is not taken."""
    found = fairjax.compare(X, SEX, methods=("kmeans", "vfc"), n_clusters=K, n_seeds=1)
    plain, fairest, published = found.frame.index
    assert fairest.endswith("fairest")
    assert published.endswith("step 2")
    assert found.frame.loc[fairest, "balance"] > found.frame.loc[plain, "balance"]
    assert found.frame.loc[fairest, "status"] == "converged"


def test_curve():
    """The cost falls as FAlg's room grows, up to whole points, since all of them assign to the same centres."""
    found = fairjax.compare(X, SEX, methods=("falg",), n_clusters=K, n_seeds=1, curve=True)
    assert len(found.runs) == 12
    objective = found.runs["objective"]
    assert objective.iloc[0] > objective.iloc[5] > objective.iloc[-1]
    assert len(found.plot().lines) == 3  # runs, medians, the best possible


def test_every_method_of_the_catalogue_can_be_made():
    for entry in METHODS.values():
        known = entry.estimator().get_params()
        for setting in entry.settings:
            assert set(setting.parameters) <= set(known), entry.name
        for curve in entry.curves:
            assert {curve.parameter, *curve.kept} <= set(known), entry.name
    assert find("MSFlowFC").estimator is MSFlowFC


def test_published_figures_need_the_same_protocol():
    same = {"n_clusters": 10, "n_groups": 2, "l2_normalize": True, "standardize": True}
    assert {row.method for row in quoted("adult", **same)} >= {"FCA", "FCBC", "SFC", "FRAC"}
    for change in ({"n_clusters": 8}, {"n_groups": 3}, {"l2_normalize": False}, {"standardize": False}):
        assert quoted("adult", **{**same, **change}) == ()


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
        ({"methods": ()}, "methods is empty"),
        ({"methods": ("falk",)}, "no method 'falk'; did you mean 'falg'"),
        ({"methods": (FAlg,)}, "expected names such as 'falg', or estimators"),
        ({"methods": (FAlg(), FAlg())}, "two rows 'FAlg'"),
        ({"time_limit": -1}, "time_limit is -1"),
        ({"target": SEX[:3]}, "target has 3 values for 60 rows"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(InputError, match=message):
        fairjax.compare(**{"X": X, "sensitive_features": SEX} | changes)


def test_methods_that_know_no_groups_take_part():
    found = fairjax.compare(X, SEX, methods=("sec", "dbscan"), n_clusters=K, n_seeds=1)
    assert found.frame.index.tolist() == ["SEC", "DBSCAN"]
    assert found.frame["violation"].isna().all()
    weighted = fairjax.compare(
        X, SEX, methods=("sec",), n_clusters=K, n_seeds=1, sample_weight=np.arange(1, len(X) + 1)
    )
    assert weighted.frame["status"].tolist() == ["refused"]
    assert "does not know" in weighted.notes[0]


def test_the_best_of_several_restarts_is_the_run():
    told = {"methods": ["kmeans", "fca", "fairlets"], "levels": (1.0,), "n_clusters": K, "n_seeds": 1, "init": "random"}
    once, best = fairjax.compare(X, SEX, **told), fairjax.compare(X, SEX, n_init=5, **told)
    costs = [found.runs["objective"].to_numpy() for found in (once, best)]
    assert costs[1][0] <= costs[0][0]
    assert costs[1][1] < costs[0][1]  # fair clusters from the first random start are not the best
    assert costs[1][2] == costs[0][2]  # it has starts of its own
    assert best.n_init == 5
    assert "1 start, each the best of 5" in repr(best)
    assert fairjax.compare(X, SEX, n_init="auto", **told | {"methods": "kmeans"}).n_init == 10
    with pytest.raises(InputError, match="n_init is 0"):
        fairjax.compare(X, SEX, n_init=0)
    with pytest.raises(InputError, match="n_init is 'many'; expected one of 'auto'"):
        fairjax.compare(X, SEX, n_init="many")


REGION = np.array(["north", "south", "south"])[np.arange(60) // 2 % 3]


def test_each_attribute_by_itself():
    """Balances are the least over the columns, and what holds one set of groups only has no figures."""
    told = {"n_clusters": K, "n_seeds": 1, "methods": ("kmeans", "falg", "frac", "vfc"), "attributes": "separately"}
    found = fairjax.compare(X, {"sex": SEX, "region": REGION}, **told)
    assert found.separately
    assert list(found.attributes) == ["sex", "region"]
    assert found.max_balance == min(found.attributes.values())
    table = found.frame
    whole = table[table["status"] != "refused"]
    np.testing.assert_array_equal(whole["balance"], whole[["balance_sex", "balance_region"]].min(axis=1))
    assert whole.index.tolist() == ["k-means", "FAlg δ=0", "FAlg δ=0.2"]
    (note,) = found.notes
    assert note.startswith("FRAC τ=")
    assert "VFC λ=" in note
    assert "made for one set of groups" in note
    direct = FAlg(K, delta=0.0, attributes="separately", init=found_centers()).fit(X, sensitive_features=[SEX, REGION])
    assert whole.loc["FAlg δ=0", "balance"] == pytest.approx(direct.balance_)
    with pytest.raises(InputError, match="is for several sensitive columns, and there is one"):
        fairjax.compare(X, SEX, **told)


def found_centers():
    """The centres that the first start gives methods which assign to those of plain k-means."""
    from fairjax.baselines import KMeans as Plain
    from fairjax.fca.restarts import starts
    from fairjax.fca.scaled_points import scale_points

    groups = np.unique([f"{a}{b}" for a, b in zip(SEX, REGION, strict=True)], return_inverse=True)[1]
    points = scale_points(X, groups.astype(np.int32), None, n_groups=4)
    (start,) = starts(points, "aligned", K, 1, 0)
    return Plain(K, init=np.asarray(points.centers_of(start.centers))).fit(X).cluster_centers_


def test_a_name_with_settings_is_one_row():
    methods = (("falg", {"delta": 0.1}), ("fca", {"epsilon": 0.2, "max_iter": 1}), ("frac-oe", {"tau": 0.5}))
    found = fairjax.compare(X, SEX, methods=methods, n_clusters=K, n_seeds=1)
    assert found.frame.index.tolist() == ["FAlg, delta=0.1", "FCA, epsilon=0.2, max_iter=1", "FRAC_OE, tau=0.5"]
    assert found.runs["name"].tolist() == ["falg", "fca", "frac-oe"]
    assert found.runs["value"].tolist() == [0.1, 0.2, 0.5]
    assert found.runs["status"].tolist()[1] == "stopped"
    named = fairjax.compare(X, SEX, methods={"mine": ("falg", {"delta": 0.1})}, n_clusters=K, n_seeds=1)
    assert named.frame.index.tolist() == ["mine"]
    assert named.frame["cost"].iloc[0] == found.frame["cost"].iloc[0]
    curve = fairjax.compare(X, SEX, methods=[("falg", {"objective": "kmedian"})], n_clusters=K, n_seeds=1, curve=True)
    assert len(curve.runs) == 12
    assert curve.runs["method"].str.endswith("objective='kmedian'").all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": [("falg", {"delt": 0.1})]}, "gives falg the setting 'delt', which is none of falg: delta, "),
        ({"methods": [("falg", {"n_init": 3})]}, "the setting 'n_init', which the comparison sets"),
        ({"methods": [("falg", 0.1)]}, "holds 'falg' with 0.1; expected a dict"),
        ({"attributes": "apart"}, "attributes is 'apart'"),
        ({"n_devices": 0}, "n_devices is 0"),
        ({"n_devices": 4096}, "n_devices"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(InputError, match=message):
        fairjax.compare(**{"X": X, "sensitive_features": SEX} | changes)


def test_the_highest_level_of_several_attributes_is_perfect_fairness():
    """A floor is one number for all columns, and the best of one of them may be far below that of another."""
    from fairjax.comparison.entrants import Facts, entrants

    facts = Facts(0.01, 1.0, K, 60, 4, separately=True)
    rows = entrants(("fca",), facts, (0.5, 1.0), curve=False)
    assert [row.label for row in rows] == ["FCA ≥ 0.0050", "FCA, perfect fairness"]
    assert rows[1].model.min_balance is None
    curve = entrants(("fca",), facts, (1.0,), curve=True)
    assert max(row.floor for row in curve if row.control == "min_balance") < 0.01
