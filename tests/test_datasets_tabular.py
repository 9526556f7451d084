"""Tabular benchmarks: counts, groups, balances and scaling of Adult, Bank, Census, diabetes and activity."""

import numpy as np
import pytest
from data_files import need

from fairjax import datasets
from fairjax.datasets import sources
from fairjax.datasets.dataset import prepare
from fairjax.datasets.files import find
from fairjax.datasets.scaling import l2_normalize_rows, standardize_columns
from fairjax.errors import InputError


def assert_whole(data):
    """What holds for every data set."""
    n = data.n_samples
    assert data.raw.shape == data.X.shape
    assert len(data.groups) == len(data.rows) == n
    assert data.groups.dtype == np.int32
    assert sorted(set(data.groups.tolist())) == list(range(data.n_groups))
    # groups and original values tell the same partition
    assert len(set(zip(data.groups.tolist(), data.sensitive.tolist(), strict=True))) == data.n_groups
    assert np.isfinite(data.X).all()
    assert data.source
    if data.X.ndim == 2:
        assert len(data.feature_names) == len(set(data.feature_names)) == data.X.shape[1]


def assert_standardised(X):
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(X.std(axis=0), 1, rtol=1e-10)


def test_adult_follows_the_fca_protocol():
    need(sources.ADULT_TRAIN)
    data = datasets.load_adult()
    assert_whole(data)
    assert data.X.shape == (32_561, 5)
    assert data.X.dtype == np.float64
    assert data.feature_names == ("age", "fnlwgt", "education-num", "capital-gain", "hours-per-week")
    assert dict(zip(data.group_names, data.group_sizes.tolist(), strict=True)) == {
        "Female": 10_771,
        "Male": 21_790,
    }
    assert round(data.max_balance, 4) == 0.4943
    assert data.raw[0].tolist() == [39, 77_516, 13, 2_174, 40]
    assert data.sensitive[0] == "Male"
    assert data.target.sum() == 7_841
    assert_standardised(data.X)


def test_adult_rows_have_unit_length_in_the_l2_setting():
    need(sources.ADULT_TRAIN)
    X = datasets.load_adult(l2_normalize=True, dtype=np.float32).X
    assert X.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("subset", "drop_missing", "sizes"),
    [
        ("train", True, [9_782, 20_380]),
        ("test", False, [5_421, 10_860]),
        ("test", True, [4_913, 10_147]),
        ("all", False, [16_192, 32_650]),
    ],
)
def test_adult_parts(subset, drop_missing, sizes):
    need(sources.ADULT_TRAIN, sources.ADULT_TEST)
    data = datasets.load_adult(subset=subset, drop_missing=drop_missing)
    assert_whole(data)
    assert data.group_sizes.tolist() == sizes
    assert 0.2 < data.target.mean() < 0.3
    if drop_missing:
        assert data.rows[-1] > len(data.X)  # rows keep the numbers of the file


def test_bank_two_groups():
    need(sources.BANK)
    data = datasets.load_bank()
    assert_whole(data)
    assert data.X.shape == (41_108, 6)
    assert data.group_sizes.tolist() == [16_180, 24_928]
    assert data.group_names == ("not married", "married")
    assert round(data.max_balance, 4) == 0.6491
    assert (np.diff(data.groups) >= 0).all()  # the FCA order: all not married first
    assert_standardised(data.X)
    first = np.argmin(data.rows)
    assert data.raw[first].tolist() == [56, 261, 4.857, 5_191, 93.994, 1]


def test_bank_three_groups():
    need(sources.BANK)
    data = datasets.load("bank-marital")
    assert_whole(data)
    assert dict(zip(data.group_names, data.group_sizes.tolist(), strict=True)) == {
        "divorced": 4_612,
        "married": 24_928,
        "single": 11_568,
    }
    assert round(data.max_balance, 4) == 0.1850
    assert (np.diff(data.rows) > 0).all()


def test_census_raw_form():
    need(sources.CENSUS_POINTS, sources.CENSUS_GROUPS)
    data = datasets.load_census(form="raw")
    assert_whole(data)
    assert data.X.shape == (3_000, 25)
    assert sorted(data.group_sizes.tolist()) == [1_454, 1_546]
    assert round(data.max_balance, 4) == 0.9405
    assert len(np.unique(data.raw, axis=0)) <= 2_995
    drawn = datasets.load_census(form="raw", n_samples=500, random_state=3)
    assert drawn.X.shape == (500, 25)
    np.testing.assert_array_equal(drawn.raw, data.raw[drawn.rows])
    with pytest.raises(InputError, match="n_samples=3001 does not fit"):
        datasets.load_census(form="raw", n_samples=3_001)


def test_census_discretised_form(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRJAX_DATA", str(tmp_path))
    file = tmp_path / "subsampled_census1990.csv"
    file.write_text("caseid,dAge,dIncome1,iClass,iSex\n7,1,2,3,0\n8,1,0,3,1\n9,2,1,3,1\n")
    data = datasets.load_census()
    assert data.feature_names == ("dIncome1", "iClass")
    assert data.groups.tolist() == [0, 1, 1]
    assert data.group_names == ("0", "1")
    assert data.X[:, 1].tolist() == [0, 0, 0]  # a constant column is 0, not NaN
    for damaged in ("", "a,b\n1,2\n", "dAge,iSex,dIncome1\n1,0,x\n", "dAge,iSex,dIncome1\n1,0,\n"):
        file.write_text(damaged)
        with pytest.raises(InputError, match="cannot be read as the discretised census"):
            datasets.load_census()


def test_diabetes_needs_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("FAIRJAX_DATA", str(tmp_path))
    data = datasets.load_diabetes()
    assert_whole(data)
    assert data.X.shape == (442, 9)
    assert "sex" not in data.feature_names
    assert data.group_sizes.tolist() == [235, 207]
    assert set(data.sensitive.tolist()) == {1, 2}
    assert data.target.dtype == np.float64
    assert 18 < data.raw[:, data.feature_names.index("age")].mean() < 80  # years, not scaled units
    assert_standardised(data.X)


def test_har_derived_form():
    need(sources.HAPT_FEATURES)
    data = datasets.load_har(form="hapt")
    assert_whole(data)
    assert data.X.shape == (10_411, 561)
    assert data.n_groups == 30
    assert (data.group_sizes.min(), data.group_sizes.max()) == (284, 413)
    assert round(data.max_balance, 4) == 0.6877
    assert np.bincount(data.target).tolist() == [1722, 1544, 1407, 1801, 1979, 1958]
    assert np.abs(data.X).max() <= 1
    np.testing.assert_array_equal(data.X, data.raw)
    assert data.X is not data.raw


def test_har_original_form(tmp_path, monkeypatch):
    small = [sources.HAR_FEATURES, *(file for part in sources.HAR_PARTS.values() for file in part[1:])]
    need(*small)
    (tmp_path / "har").mkdir()
    for file in small:
        (tmp_path / "har" / file.name).symlink_to(find(file))
    monkeypatch.setenv("FAIRJAX_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"X_train\.txt was not found"):
        datasets.load_har()
    row = b" 5.0e-1" * 561 + b"\n"
    train, test = tmp_path / "har" / "X_train.txt", tmp_path / "har" / "X_test.txt"
    train.write_bytes(row * 7_352)
    test.write_bytes(row * 2_946)
    with pytest.raises(InputError, match=r"is not UCI HAR's X_test\.txt .*expected \(2947, 561\)"):
        datasets.load_har()
    test.write_bytes(row * 2_947)
    data = datasets.load_har(dtype=np.float32)
    assert_whole(data)
    assert data.X.shape == (10_299, 561)
    assert (data.group_sizes.min(), data.group_sizes.max()) == (281, 409)
    assert np.bincount(data.target).tolist() == [1722, 1544, 1406, 1777, 1906, 1944]
    assert data.feature_names[0] == "tBodyAcc-mean()-X"


def test_unknown_options_are_named():
    for call in (
        lambda: datasets.load_adult(subset="valid"),
        lambda: datasets.load_bank(groups="sex"),
        lambda: datasets.load_census(form="csv"),
        lambda: datasets.load_har(form="x"),
    ):
        with pytest.raises(InputError, match="is not known; choose one of"):
            call()
    for dtype in (np.int32, "float33"):
        with pytest.raises(InputError, match="float32 or float64"):
            datasets.load_diabetes(dtype=dtype)


def test_scaling_of_hard_columns():
    X = np.array([[0.1, 1e300, 1e-300, 7.0], [0.1, -1e300, 3e-300, 7.0], [0.1, 0.0, 2e-300, 7.0]])
    scaled = standardize_columns(X)
    assert scaled[:, [0, 3]].tolist() == [[0, 0]] * 3
    np.testing.assert_allclose(scaled[:, 1:3].std(axis=0), 1)
    assert l2_normalize_rows(np.zeros((2, 3))).tolist() == [[0, 0, 0]] * 2
    with pytest.raises(InputError, match="too large for float32"):
        prepare(X, standardize=False, l2_normalize=False, dtype=np.float32)


def test_scaling_agrees_with_scikit_learn():
    from sklearn.preprocessing import StandardScaler, normalize

    raw = datasets.load_diabetes(standardize=False).X
    expected = normalize(StandardScaler().fit_transform(raw))
    np.testing.assert_allclose(datasets.load_diabetes(l2_normalize=True).X, expected, rtol=1e-12, atol=1e-14)
