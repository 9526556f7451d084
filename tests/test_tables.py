"""A user's own CSV, TSV, Parquet and NPZ files: what is read, and one sentence for each fault."""

import gzip
import io
import os
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairjax.datasets import Dataset, read_table
from fairjax.errors import InputError

PEOPLE = "age,income,sex\n20,1.5,F\n30,2.5,M\n40,9,F\n50,0,M\n"


@pytest.fixture
def write(tmp_path):
    def put(content, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


def savez(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def parquet(frame):
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def fails(path, message, **options):
    with pytest.raises(InputError, match=message) as error:
        read_table(path, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("people.csv", PEOPLE.encode()),
        ("people.CSV", PEOPLE.replace("\n", "\r\n").encode()),
        ("people.csv", b"\xef\xbb\xbf" + PEOPLE.encode()),
        ("people.csv", PEOPLE.replace(",", ";").encode()),
        ("people.csv", PEOPLE.replace(",", ", ").encode()),
        ("people.csv", ("\n" + PEOPLE + "\n\n").encode()),
        ("people.csv.gz", gzip.compress(PEOPLE.encode(), mtime=0)),
        ("people.tsv", PEOPLE.replace(",", "\t").encode()),
        ("people.tsv.gz", gzip.compress(PEOPLE.replace(",", "\t").encode(), mtime=0)),
        ("people.parquet", parquet(pd.read_csv(io.StringIO(PEOPLE)))),
        ("people.pq", parquet(pd.read_csv(io.StringIO(PEOPLE)).set_index(pd.Index([5, 6, 7, 8])))),
    ],
)
def test_formats_give_the_same_points(write, name, content):
    data = read_table(write(content, name), sensitive="sex", standardize=False)
    assert data.feature_names == ("age", "income")
    assert data.X.tolist() == [[20, 1.5], [30, 2.5], [40, 9], [50, 0]]
    assert data.groups.tolist() == [0, 1, 0, 1]
    assert data.group_names == ("F", "M")
    assert data.sensitive.tolist() == ["F", "M", "F", "M"]
    assert data.notes == (("read as text parted by semicolons",) if b";" in content[:20] else ())
    assert data.name == name


def test_scaling_and_choice_of_columns(write):
    data = read_table(write(PEOPLE), sensitive="sex", features=["income"], dtype=np.float32)
    assert data.X.shape == (4, 1)
    assert data.X.dtype == np.float32
    np.testing.assert_allclose(data.X.std(), 1, rtol=1e-6)
    assert data.raw.ravel().tolist() == [1.5, 2.5, 9, 0]
    both = read_table(write(PEOPLE), sensitive="sex", features="income, age", l2_normalize=True)
    assert both.feature_names == ("income", "age")
    np.testing.assert_allclose(np.linalg.norm(both.X, axis=1), 1)


def test_without_a_sensitive_column_there_is_one_group(write):
    data = read_table(write(PEOPLE), features=["age", "income"])
    assert data.group_names == ("all",)
    assert data.sensitive is None
    assert not data.groups.any()


def test_numeric_groups_are_sorted_as_numbers(write):
    text = "a,code\n" + "".join(f"{i},{code}\n" for i, code in enumerate([10, 2, 10, 2, 1, 1]))
    assert read_table(write(text), sensitive="code").group_names == ("1", "2", "10")


def test_truth_values_and_long_numbers_are_numbers(write):
    data = read_table(write(f"a,b\nTrue,{10**30}\nFalse,5\n"), standardize=False)
    assert data.X.tolist() == [[1, 1e30], [0, 5]]


def test_unused_columns_may_be_anything(write):
    text = "id,job,age,sex\nx1,,20,F\nx2,cook,30,M\nx3,,25,M\n"
    assert read_table(write(text), sensitive="sex", features=["age"]).X.shape == (3, 1)


def test_constant_columns_are_left_out_with_a_note(write):
    data = read_table(write("a,b,c\n1,0.1,5\n2,0.1,5\n"))
    assert data.feature_names == ("a",)
    assert data.notes == ("left out 'b', 'c', constant over all rows",)
    fails(write("a,b\n1,2\n1,2\n"), "no column varies")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("a,b\n", "a header but no rows"),
        ("a,b\n1,2\n", "one row only"),
        ("a,b\n1,2\n3,\n", "'b' has 1 missing value, in row 2"),
        ("a,b\n1,2\n3,nan\n4,NA\n", "'b' has 2 missing values, the first in row 2"),
        ("a,b\n1,2\n3,4\n-inf,5\n", "'a' has 1 infinite value, in row 3"),
        ("a,b\n1,2\n3,1e999\n", "'b' has 1 infinite value"),
        ("a,b\n1,2\n3,4\n5\n", r"has 1 field in row 3 \(line 4\) and 2 in its first line"),
        ("a,b\n1,2\n3,4,5\n", r"3 fields in row 2 \(line 3\)"),
        ("a,b\n1,2,3\n3,4,5\n", "give every row as many fields as the header"),
        ('a,b\n1,"2\n3,4\n', "a quote that is never closed"),
        ("a,b,a\n1,2,3\n4,5,6\n", r"two columns named 'a' \(columns 1 and 3\)"),
        (",a\n7,2\n7,3\n1,3\n", "column 1 has no name; name it, or choose columns with --features a"),
        (b"a,b\n1,\xff\n2,3\n", "not numeric: 'b' .for instance 'ÿ'"),
        (b"a,b\n1,2\0\n3,4\n", "null bytes"),
        (
            "a,job,c\n1,cook,2\n2,7,4\n",
            r"not numeric: 'job' \(for instance 'cook'\); .*--features a,c, and name",
        ),
        ("day\n2020-01-01\n2020-01-02\n", "not numeric: 'day'"),
        ("a,b\n1,2j\n3,4j\n", "not numeric: 'b'"),
    ],
)
def test_faults_of_text_files(write, content, message):
    fails(write(content), message)


def test_remedy_names_the_numeric_columns(write):
    text = "age,job,income,sex\n1,cook,2,F\n2,nurse,4,M\n"
    fails(write(text), r"column is not numeric: 'job' .*with --features age,income$", sensitive="sex")
    fails(write(text), r"columns are not numeric: 'job' .*, 'sex' .*--features age,income, and name")
    fails(write(text), "column is not numeric: 'job'", features=["job"])


def test_unknown_and_repeated_names(write):
    path = write(PEOPLE)
    fails(path, r"no column 'agee'; did you mean 'age'\?", features=["agee"], sensitive="sex")
    fails(path, r"no column 'zzz'; the columns are 'age', 'income', 'sex'", features=["zzz"])
    fails(path, r"no column 'sexe' for --sensitive; did you mean 'sex'\?", features=["age"], sensitive="sexe")
    fails(path, "'age' is named twice", features=["age", "age"])
    fails(path, "both as a feature and as the sensitive", features=["age", "sex"], sensitive="sex")
    fails(path, "list of features is empty", features=[])
    fails(write("sex\nF\nM\n"), "no column besides 'sex'", sensitive="sex")


def test_faults_of_the_sensitive_column(write):
    fails(
        write("a,sex\n1,F\n2,F\n"),
        r"the sensitive column 'sex' has one value \('F'\); fair clustering needs at least two groups; "
        "leave out --sensitive",
        sensitive="sex",
    )
    fails(write("a,sex\n1,F\n2,\n3,M\n"), "'sex' has 1 missing value, in row 2", sensitive="sex")
    fails(write("a,id\n1,x\n2,y\n3,z\n"), "'id' has a different value in every row", sensitive="id")


def test_faults_of_the_path(tmp_path, write):
    fails(tmp_path, "is a directory")
    fails(tmp_path / "absent.csv", "does not exist")
    fails(
        write(PEOPLE, "people.xls"), "is an old Excel file, of no format that is read here; save it as CSV or Parquet"
    )
    fails(write(b"", "people.npz.gz"), "is empty")
    fails(str(tmp_path / "a\0b.csv"), "cannot be opened|does not exist")
    fails(tmp_path / ("x" * 5_000 + ".csv"), "cannot be opened|does not exist")
    locked = write(PEOPLE, "locked.csv")
    locked.chmod(0)
    if not os.access(locked, os.R_OK):
        fails(locked, "cannot be read")


def test_damaged_gzip(write):
    packed = gzip.compress(PEOPLE.encode() * 20, mtime=0)
    fails(write(packed[:-20], "people.csv.gz"), "cannot be unpacked")
    fails(write(b"\x1f\x8bnonsense", "people.csv.gz"), "cannot be unpacked")
    fails(write(PEOPLE, "people.csv.gz"), "is not packed by gzip as its name says")


def test_faults_of_parquet(write):
    whole = parquet(pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]}))
    for content in (b"PAR1", whole[:-10], whole[:40] + whole[60:], b"not parquet at all"):
        fails(write(content, "t.parquet"), "cannot be read as Parquet")
    fails(write(b"", "t.parquet"), "is empty")
    fails(write(parquet(pd.DataFrame({"a": [1.0, None, 3.0]})), "t.parquet"), "'a' has 1 missing value")
    fails(write(parquet(pd.DataFrame({"a": [1, 2], "b": [[1], [2]]})), "t.parquet"), "not numeric: 'b'")
    lists = parquet(pd.DataFrame({"a": [1, 2, 3], "b": [[1], [2], [1]]}))
    fails(write(lists, "t.parquet"), "holds lists or the like", sensitive="b")
    fails(write(parquet(pd.DataFrame(index=[1, 2])), "t.parquet"), "no columns")


def test_parquet_types(write):
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, 2, 3, 4], dtype="Int64"),
            "true": [True, False, True, True],
            "sex": pd.Categorical(["F", "M", "F", "M"]),
        }
    )
    data = read_table(write(parquet(frame), "t.parquet"), sensitive="sex", standardize=False)
    assert data.X.tolist() == [[1, 1], [2, 0], [3, 1], [4, 1]]
    assert data.group_names == ("F", "M")
    frame["whole"] = pd.array([1, None, 3, 4], dtype="Int64")
    fails(write(parquet(frame), "t.parquet"), "'whole' has 1 missing value", sensitive="sex")


def test_a_kept_parquet_table_is_the_one_that_was_read(write):
    """The bytes of the file are kept, not its cells: fewer, and the same whatever becomes of the file meanwhile."""
    n = 5_000
    frame = pd.DataFrame(
        {"job": np.resize(["cook", "nurse"], n), "age": np.arange(n) % 60, "sex": np.resize([*"FMM"], n)}
    )
    path = write(parquet(frame), "people.parquet")
    data = read_table(path, features="age", sensitive="sex", keep_table=True)
    assert callable(data.table.held)
    path.write_bytes(b"another table")
    table = data.table.table
    assert table.names == ["job", "age", "sex"]
    pd.testing.assert_frame_equal(table.cells.to_pandas().set_axis(table.names, axis=1), frame)
    path.write_bytes(parquet(frame))
    assert read_table(path, features="age", sensitive="sex").table is None


def test_npz(write):
    X = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 4.0]], dtype=np.float32)
    path = write(savez(X=X, groups=[1, 0, 1], y=["b", "a", "b"]), "t.npz")
    data = read_table(path, standardize=False)
    assert data.X.dtype == np.float64
    assert data.feature_names == ("x0", "x1")
    assert data.groups.tolist() == [1, 0, 1]
    assert data.target.tolist() == [1, 0, 1]
    assert data.target_names == ("a", "b")
    named = write(savez(X=X, sensitive=["F", "M", "F"], y=[0.5, 1.5, 2.0], feature_names=["u", "v"]), "t.npz")
    data = read_table(named, features=["v"])
    assert data.group_names == ("F", "M")
    assert data.feature_names == ("v",)
    assert data.target.tolist() == [0.5, 1.5, 2.0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"Y": np.zeros((3, 2))}, "no array 'X'"),
        ({"X": np.zeros(3)}, r"X of shape \(3,\); expected two axes"),
        ({"X": np.zeros((3, 0))}, "without columns"),
        ({"X": np.array([["a"], ["b"]])}, "expected real numbers"),
        ({"X": np.zeros((3, 2), complex)}, "expected real numbers"),
        ({"X": np.zeros((3, 2)), "groups": np.zeros(2)}, r"'groups' of shape \(2,\) beside X"),
        ({"X": np.zeros((3, 2)), "y": np.zeros((3, 1))}, r"'y' of shape \(3, 1\) beside X"),
        ({"X": np.zeros((3, 2)), "feature_names": np.array(["a"])}, "feature_names of shape"),
        ({"X": np.zeros((3, 2)), "feature_names": np.array(["a", "a"])}, "two columns named 'a'"),
        ({"X": np.zeros((3, 2), object)}, "without pickled objects"),
        ({"X": np.array([[1.0], [np.nan]])}, "'x0' has 1 missing value"),
        ({"X": np.eye(3), "groups": np.zeros(3)}, "one value"),
        ({"X": np.eye(3), "groups": np.zeros(3, "i4,i4")}, "expected .* numbers, strings or dates"),
        ({"X": np.eye(3), "y": np.zeros(3, complex)}, "the array y has type"),
    ],
)
def test_faults_of_npz(write, arrays, message):
    fails(write(savez(**arrays), "t.npz"), message)


def test_damaged_npz(write):
    whole = savez(X=np.eye(3))
    single = io.BytesIO()
    np.save(single, np.eye(3))
    for content in (whole[:-30], b"nonsense", single.getvalue(), whole[:60] + b"\0" * 40 + whole[100:]):
        fails(write(content, "t.npz"), "cannot be read as NPZ")
    fails(write(whole, "t.npz"), r"no column 'sex' for --sensitive; the columns are 'x0'", sensitive="sex")


def attempt(path, options):
    """The data set, or the sentence that says why there is none; anything else raised comes through."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return read_table(path, **options)
        except InputError as error:
            return str(error)


def reads_or_explains(path, **options):
    data = attempt(path, options)
    if isinstance(data, str):
        assert data
        assert "\n" not in data
        return
    assert isinstance(data, Dataset)
    assert data.n_samples >= 2
    assert np.isfinite(data.X).all()
    assert len(data.groups) == data.n_samples
    assert len(data.feature_names) == data.X.shape[1] >= 1


FUZZ = settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FUZZ
@given(
    content=st.binary(max_size=200),
    name=st.sampled_from(["f.csv", "f.csv.gz", "f.parquet", "f.npz", "f.tsv"]),
)
def test_arbitrary_bytes(write, content, name):
    reads_or_explains(write(content, name), sensitive=None)


@FUZZ
@given(content=st.text(alphabet='ab1.,;\t"\n\r -eé∞', max_size=80), sensitive=st.sampled_from([None, "a"]))
def test_arbitrary_text(write, content, sensitive):
    reads_or_explains(write(content), sensitive=sensitive)


CELLS = st.one_of(
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(["", "NA", "x", "F", "M", '"q,r"', "True", "1e400", "2020-01-01", "0x1F", "1_000", "1j"]),
)


@FUZZ
@given(
    rows=st.integers(1, 4).flatmap(lambda d: st.lists(st.lists(CELLS, min_size=d, max_size=d), max_size=6)),
    sensitive=st.sampled_from([None, "c0", "c1"]),
    features=st.sampled_from([None, ["c0"], ["c1", "c2"]]),
)
def test_structured_tables(write, rows, sensitive, features):
    width = len(rows[0]) if rows else 2
    lines = [",".join(f"c{j}" for j in range(width)), *(",".join(row) for row in rows)]
    reads_or_explains(write("\n".join(lines)), sensitive=sensitive, features=features)


def test_a_misspelt_group_column_is_named_with_the_nearest(tmp_path):
    """Even though the true one, left among the features, is not numeric."""
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE)
    with pytest.raises(InputError, match="no column 'sx' for --sensitive; did you mean 'sex'"):
        read_table(file, sensitive="sx")
