"""Scores of groups of any values, and the table of scores by cluster, group and attribute."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fairjax import metrics
from fairjax.errors import InputError

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 60)
SEX = np.array(["f", "m"])[RNG.integers(0, 2, 60)]
REGION = RNG.integers(0, 2, 60)
IDS = (SEX == "m").astype(int)
BOTH = 2 * IDS + REGION
POINTS = RNG.normal(size=(60, 3))


@pytest.mark.parametrize(
    "values",
    [SEX, SEX.tolist(), pd.Series(SEX), pd.Categorical(SEX), pl.Series(SEX), pa.array(SEX), IDS - 0.5, 2 * IDS - 1,
     10**9 * IDS, IDS.astype(bool), pd.DataFrame({"sex": SEX}), np.array(["2020", "2021"], "M8[D]")[IDS]],
    ids=lambda values: type(values).__name__,
)  # fmt: skip
def test_groups_of_any_values_score_as_their_ids(values):
    assert metrics.balance(LABELS, values) == metrics.balance(LABELS, IDS)
    assert metrics.max_balance(values) == metrics.max_balance(IDS)
    np.testing.assert_array_equal(metrics.contingency(LABELS, values), metrics.contingency(LABELS, IDS))
    assert metrics.nmi(LABELS, values) == metrics.nmi(LABELS, IDS)


@pytest.mark.parametrize(
    "values",
    [{"sex": SEX, "region": REGION}, pd.DataFrame({"sex": SEX, "region": REGION}), [SEX, REGION],
     pl.DataFrame({"sex": SEX, "region": REGION}), np.array([IDS, REGION]).T],
    ids=lambda values: type(values).__name__,
)  # fmt: skip
def test_several_attributes_score_by_their_combinations(values):
    assert metrics.group_violation(LABELS, values) == metrics.group_violation(LABELS, BOTH)
    assert metrics.max_balance(values) == metrics.max_balance(BOTH)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["f", None] * 30, "groups has 30 missing values, the first at index 1"),
        ({"sex": SEX, "region": REGION[:4]}, r"groups\['region'\] has 4 values for 60 rows"),
        (SEX[:10], "lengths 60 and 10"),
        ({}, "groups has no columns"),
    ],
)
def test_groups_that_do_not_fit(groups, message):
    with pytest.raises(InputError, match=message):
        metrics.balance(LABELS, groups)


def test_more_values_than_groups_that_were_told():
    with pytest.raises(InputError, match="n_groups=1 allows"):
        metrics.balance(LABELS, SEX, n_groups=1)


def test_frame_by_cluster_agrees_with_the_scores():
    found = metrics.frame(LABELS, SEX, X=POINTS)
    assert found.index.tolist() == [0, 1, 2, "overall", "worst"]
    assert found.loc["worst", "balance"] == pytest.approx(float(metrics.balance(LABELS, IDS)))
    assert found.loc["overall", "balance"] == pytest.approx(float(metrics.max_balance(IDS)))
    assert found.loc["worst", "relative_balance"] == pytest.approx(float(metrics.balance(LABELS, IDS, kind="relative")))
    assert found.loc["worst", "evenness"] == pytest.approx(float(metrics.mnce(LABELS, IDS)))
    assert found.loc["overall", "cost"] == pytest.approx(float(metrics.clustering_cost(POINTS, LABELS)))
    assert found["size"].tolist()[:4] == [*np.bincount(LABELS).tolist(), 60]
    assert found.loc["worst", "cost"] == found["cost"][:3].max()
    np.testing.assert_allclose(found[["share of f", "share of m"]].sum(axis=1)[:4], 1)


def test_frame_by_group_agrees_with_the_scores():
    found = metrics.frame(LABELS, SEX, by="group", X=POINTS)
    assert found.index.tolist() == ["f", "m", "overall", "worst"]
    np.testing.assert_allclose(found["entropy"].iloc[:2], metrics.entropy(LABELS, IDS), rtol=1e-6)
    # the whole lies between two groups, so the two gaps are parts of the one between them
    assert found["gap"].iloc[:2].sum() == pytest.approx(float(metrics.group_violation(LABELS, IDS)))
    assert found.loc["worst", "gap"] == found["gap"].iloc[:2].max()


def test_frame_by_attribute():
    found = metrics.frame(LABELS, {"sex": SEX, "region": REGION}, by="attribute")
    assert found.index.tolist() == ["sex", "region", "combinations"]
    for name, ids in (("sex", IDS), ("region", REGION), ("combinations", BOTH)):
        assert found.loc[name, "balance"] == pytest.approx(float(metrics.balance(LABELS, ids)))
        assert found.loc[name, "gap"] == pytest.approx(float(metrics.group_violation(LABELS, ids)))
        assert found.loc[name, "max_balance"] == pytest.approx(float(metrics.max_balance(ids)))


def test_frame_with_weights_is_that_of_repeated_points():
    weights = RNG.integers(0, 3, 60)
    for by in ("cluster", "group", "attribute"):
        one = metrics.frame(LABELS, SEX, by=by, X=POINTS, weights=weights)
        other = metrics.frame(*(np.repeat(v, weights) for v in (LABELS, SEX)), by=by, X=np.repeat(POINTS, weights, 0))
        pd.testing.assert_frame_equal(one, other)


def test_frame_with_an_empty_cluster_and_one_group():
    found = metrics.frame([0, 0, 2], ["a"] * 3, centers=np.zeros((4, 1)), X=[[1.0], [1.0], [2.0]])
    assert found["size"].tolist()[:5] == [2, 0, 1, 0, 3]
    assert found.loc[1].drop(["size", "share"]).isna().all()
    assert found.loc["worst"].drop(["size", "share", "cost"]).eq(1).all()
    assert found.loc["worst", "cost"] == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "row"}, "by is 'row'; expected one of 'cluster'"),
        ({"X": POINTS[:4]}, r"X has shape \(4, 3\); expected \(60, d\)"),
        ({"X": POINTS, "centers": np.zeros((3, 2))}, r"centers has shape \(3, 2\)"),
        ({"weights": np.zeros(60)}, "zero for every point"),
        ({"X": pd.DataFrame({"a": SEX})}, "holds no numbers: 'a'"),
    ],
)
def test_frame_told_in_one_sentence(options, message):
    with pytest.raises(InputError, match=message):
        metrics.frame(LABELS, SEX, **options)
