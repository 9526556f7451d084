"""Tables in files, read in blocks: formats, folders and patterns, scaling, and what is refused in one sentence."""

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from fairjax.datasets import blocks, scan
from fairjax.errors import InputError

AGES = [20.0, 30.0, 45.5, 60.0, 33.0]
SEX = ["f", "m", "f", "m", "m"]


def table(rows=slice(None), **more):
    columns = {
        "id": [1, 2, 3, 4, 5],
        "age": AGES,
        "income": [1, 2, 3, 4, 5],
        "sex": SEX,
        "w": [1.0, 2.0, 1.0, 1.0, 0.5],
    }
    return pa.table({name: column[rows] for name, column in columns.items()} | more)


def write(found, path):
    if path.suffix == ".parquet":
        pq.write_table(found, path, row_group_size=2)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(found, path)
    elif path.suffix == ".npz":
        X = np.stack([found["age"].to_numpy(), found["income"].to_numpy()], 1)
        names = np.array(["age", "income"])
        sides = {name: np.array(found[name].to_pylist()) for name in ("id", "sex", "w")}
        np.savez(path, X=X, feature_names=names, **sides)
    else:
        options = csv.WriteOptions(delimiter="\t" if path.suffix == ".tsv" else ",")
        csv.write_csv(found, path, options)
    return path


def whole(found):
    """Features, groups, weights and keys of all blocks."""
    parts = list(found)
    features = np.concatenate([part.features for part in parts])
    groups = [value for part in parts for value in part.groups.to_pylist()]
    weights = None if found.weights is None else np.concatenate([part.weights for part in parts])
    keys = [key for part in parts if part.keys is not None for key in part.keys["id"].to_pylist()]
    return features, groups, weights, keys


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".npz", ".csv", ".tsv"])
def test_a_folder_of_any_format_is_one_table(tmp_path, suffix):
    write(table(slice(0, 2)), tmp_path / f"a{suffix}")
    write(table(slice(2, 5)), tmp_path / f"b{suffix}")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "notes.md").write_text("no table")
    for paths in (tmp_path, f"{tmp_path}/*{suffix}", [tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"]):
        found = scan(paths, "sex", weights="w", key="id")
        assert found.features == ("age", "income")
        for _ in range(2):  # again and again
            features, groups, weights, keys = whole(found)
            np.testing.assert_array_equal(features, np.array([AGES, [1, 2, 3, 4, 5]]).T)
            assert groups == SEX
            assert weights.tolist() == [1, 2, 1, 1, 0.5]
            assert keys == [1, 2, 3, 4, 5]
    assert scan(tmp_path, "sex", features="income,age").features == ("income", "age")
    assert scan(tmp_path, "sex", drop=["id", "w"]).features == ("age", "income")


def test_blocks_are_small_and_narrow(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "_BATCH", 2)
    write(table(), tmp_path / "a.parquet")
    narrow = pa.table({"x": pa.array([1, 2, 3], pa.int16()), "y": pa.array([0.5, 1.5, 2.5], pa.float32())})
    pq.write_table(narrow, tmp_path / "narrow.parquet")
    assert [len(block.features) for block in scan(tmp_path / "a.parquet", "sex", features="age")] == [2, 2, 1]
    found = next(iter(scan(tmp_path / "narrow.parquet")))
    assert found.features.dtype == np.float32
    assert found.groups is None
    assert found.features.T.flags.c_contiguous


def test_files_without_rows_are_passed_over_and_several_attributes_combined(tmp_path):
    write(table(slice(0, 0)), tmp_path / "a.parquet")
    write(table(), tmp_path / "b.parquet")
    write(table(slice(0, 0)), tmp_path / "c.parquet")
    found = scan(tmp_path, ["sex", "id"], features="age")
    assert found.n_rows == 5
    (block,) = found
    assert list(block.groups) == ["sex", "id"]


def test_standardized_columns(tmp_path):
    write(table(), tmp_path / "a.parquet")
    constant = table(one=[7.0] * 5)
    write(constant, tmp_path / "b.parquet")
    found = scan(tmp_path / "a.parquet", "sex", features="age,income").standardized()
    features = whole(found)[0]
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(features.std(0), 1, rtol=1e-6)
    raw = np.array([AGES, [1, 2, 3, 4, 5]]).T
    np.testing.assert_allclose(found.preparation.points(raw), features, rtol=1e-5, atol=1e-6)
    still = scan(tmp_path / "b.parquet", "sex", features="one,age").standardized(l2_normalize=True)
    features = whole(still)[0]
    assert (features[:, 0] == 0).all()
    np.testing.assert_allclose(np.abs(features[:, 1]), 1)


def test_a_fingerprint_tells_tables_apart(tmp_path):
    write(table(), tmp_path / "a.parquet")
    first = scan(tmp_path, "sex").fingerprint()
    assert scan(tmp_path, "sex").fingerprint() == first
    assert scan(tmp_path, "sex", drop="w").fingerprint() != first
    write(table(slice(None, None, -1)), tmp_path / "a.parquet")
    assert scan(tmp_path, "sex").fingerprint() != first


def replaced(name, values):
    found = table()
    return found.set_column(found.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize(
    ("files", "asked", "words"),
    [
        ({}, {}, "has no files with tables"),
        ({"a.parquet": table(), "b.csv": table()}, {}, "files of two formats"),
        ({"a.parquet": table(), "b.parquet": table().drop_columns(["age"])}, {}, "b.parquet lacks the column 'age'"),
        ({"a.parquet": table(), "b.parquet": table(extra=AGES)}, {}, "b.parquet has the column 'extra', which"),
        ({"a.parquet": table(), "b.parquet": replaced("age", SEX)}, {}, "'age' is of type double in"),
        ({"a.parquet": table(), "b.parquet": replaced("sex", AGES)}, {}, "'sex' is of type string in"),
        ({"a.parquet": table(job=SEX)}, {}, "the column 'job' of"),
        ({"a.parquet": table()}, {"features": "agge"}, "did you mean 'age'?"),
        ({"a.parquet": table()}, {"features": "sex"}, "is sensitive or a weight, and a feature too"),
        ({"a.parquet": table()}, {"drop": "id,age,income,w"}, "no columns left"),
    ],
)
def test_what_cannot_be_a_table_is_refused_at_once(tmp_path, files, asked, words):
    for name, content in files.items():
        write(content, tmp_path / name)
    with pytest.raises(InputError) as told:
        scan(tmp_path, "sex", **asked)
    assert words in str(told.value)


@pytest.mark.parametrize("content", [b"", b"PAR1 is all there is"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet cannot be read"):
        scan(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="does not exist"):
        scan(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="no file is called"):
        scan(f"{tmp_path}/*.csv")
    with pytest.raises(InputError, match="no format that is read in blocks"):
        scan(write(table(), tmp_path / "a.csv").rename(tmp_path / "a.xlsx"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (replaced("age", [20.0, None, 3.0, 4.0, 5.0]), "b.parquet, row 2 has no value in the column 'age'"),
        (replaced("sex", ["f", "m", None, "m", "m"]), "b.parquet, row 3 has no value in the column 'sex'"),
        (replaced("age", [20.0, 1.0, 3.0, np.nan, 5.0]), "b.parquet, row 4 holds NaN"),
    ],
)
def test_gaps_are_told_with_file_and_row(tmp_path, content, words):
    write(table(), tmp_path / "a.parquet")
    write(content, tmp_path / "b.parquet")
    with pytest.raises(InputError) as told:
        scan(tmp_path, "sex", features="age").standardized()
    assert words in str(told.value)


def test_text_that_is_no_number_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("age,sex\n20,f\n" + "30,m\n" * 400_000 + "old,m\n")
    found = scan(tmp_path / "a.csv", "sex")
    with pytest.raises(InputError, match=r"a\.csv cannot be read .*old"):
        list(found)
    (tmp_path / "b.csv").write_text("age,sex\n20,f\n,m\n")
    with pytest.raises(InputError, match=r"b\.csv, row 2 has no value"):
        list(scan(tmp_path / "b.csv", "sex"))


def test_files_that_change_between_readings_are_named(tmp_path):
    path = write(table(), tmp_path / "a.parquet")
    found = scan(tmp_path, "sex")
    assert len(list(found)) == 1
    write(table(slice(0, 3)), path)
    with pytest.raises(InputError, match=r"a\.parquet changed since it was first read"):
        list(found)
    found = scan(write(table(), path), "sex")
    path.write_bytes(path.read_bytes()[:-20])  # as by a copy that is still under way
    with pytest.raises(InputError, match=r"a\.parquet changed since it was first read \(its size is another\)"):
        list(found)
    write(table(), path)
    found = scan(tmp_path, "sex")
    path.unlink()
    with pytest.raises(InputError, match=r"a\.parquet does not exist, or no longer"):
        list(found)
