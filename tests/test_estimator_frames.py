"""Points as frames of any library: the same clusters as of an array, and one sentence for what is no number."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from fairjax import FCA, baselines, compare, deep, metrics, report
from fairjax.errors import InputError

NAMES = ["age", "income", "score"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) + 4.0 * np.eye(3)[RNG.integers(0, 3, 60)]
SEX = np.array(["f", "m"])[RNG.integers(0, 2, 60)]
TEXT = ["x", "y", "z"] * 20
DAYS = np.arange("2020-01-01", "2020-03-01", dtype="M8[D]").tolist()


class Stream:
    """A frame of a library that nobody knows, with Arrow's stream alone."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class Exchange:
    """The same with the older interchange protocol."""

    def __init__(self, table):
        self._table = table

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self._table.__dataframe__(nan_as_null, allow_copy)


def arrow(**columns):
    return pa.table({name: X[:, i] for i, name in enumerate(NAMES)} | {k: pa.array(v) for k, v in columns.items()})


FRAMES = {
    "pandas": lambda **more: pd.DataFrame(X, columns=NAMES).assign(**more),
    "pandas nullable": lambda **more: pd.DataFrame(X, columns=NAMES).assign(**more).convert_dtypes(),
    "pandas arrow": lambda **more: arrow(**more).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda **more: pl.DataFrame(X, schema=NAMES).with_columns(**{k: pl.Series(v) for k, v in more.items()}),
    "arrow": arrow,
    "batch": lambda **more: arrow(**more).combine_chunks().to_batches()[0],
    "reader": lambda **more: arrow(**more).to_reader(),
    "stream": lambda **more: Stream(arrow(**more)),
    "interchange": lambda **more: Exchange(arrow(**more)),
}


@pytest.fixture(scope="module")
def fitted():
    return FCA(3, random_state=0).fit(X, sensitive_features=SEX)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_is_its_numbers_and_names(kind, fitted):
    model = FCA(3, random_state=0).fit(FRAMES[kind](), sensitive_features=SEX)
    np.testing.assert_array_equal(model.labels_, fitted.labels_)
    assert model.feature_names_in_.tolist() == NAMES
    # up to rounding: columns one after another are added up in another order
    np.testing.assert_allclose(model.transform(FRAMES[kind]()), fitted.transform(X), rtol=1e-12)
    np.testing.assert_array_equal(
        model.predict(FRAMES[kind](), sensitive_features=SEX), fitted.predict(X, sensitive_features=SEX)
    )
    assert model.score(FRAMES[kind](), sensitive_features=SEX) == pytest.approx(fitted.score(X, sensitive_features=SEX))


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"job": TEXT}, r"a column that holds no numbers: 'job' \(text\); leave it out, or encode it"),
        ({"job": TEXT, "income": TEXT}, r"2 columns that hold no numbers: '(income|job)' \(text\), .*encode them"),
        ({"day": DAYS}, r"'day' \(dates\)|cannot be read by Arrow"),
        ({"count": [1, None, 3] * 20}, "X has 20 missing values, the first in the column 'count' at index 1"),
    ],
)
def test_what_is_no_number_is_named(kind, more, message):
    with pytest.raises(InputError, match=message):
        FCA(3).fit(FRAMES[kind](**more), sensitive_features=SEX)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame(X).lazy(), "LazyFrame is not computed yet; pass what its collect"),
        ({"a": X[:, 0]}, r"X is a dict; .*pandas.DataFrame\(X\)"),
        (np.array([["a", "b"]] * 60), "X holds text .*encode them"),
        (pd.DataFrame({"a": pd.Categorical(TEXT)}), r"'a' \(categories\)"),
        (pl.DataFrame({"a": pl.Series(TEXT, dtype=pl.Categorical)}), r"'a' \(categories\)"),
        (pd.DataFrame({"a": ["1", "2", "3"] * 20}, dtype=object), r"'a' \(text\)"),
        (pd.DataFrame(X, columns=["a", "b", "a"]), "X has two columns named 'a'; give each its own name"),
        (pd.DataFrame(index=range(60)), "X has no columns"),
        (pd.DataFrame({"a": [10**400] * 60}, dtype=object), "numbers too large for floating point"),
        (np.ma.masked_array(X, X > 4), r"X has \d+ masked values, which are missing"),
        (np.array([["2024-01-01"]] * 60, "M8[D]"), r"X holds dates or durations \(datetime64\[D\]\)"),
        (np.zeros(60, "f8,f8"), r"X is an array of records; .*pandas.DataFrame\(X\)"),
        (iter(X.tolist()), "X is a list_iterator, which can be read once only"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:30],
)
def test_other_tables_are_refused_in_a_sentence(frame, message):
    with pytest.raises(InputError, match=message):
        FCA(3).fit(frame, sensitive_features=SEX)


@pytest.mark.parametrize(
    "numbers", [[True, False] * 30, pd.array([1, 2] * 30, "Int8"), np.array([1, 2.5] * 30, object)], ids=str
)
def test_columns_of_numbers_of_any_type(numbers):
    frame = pd.DataFrame({"a": numbers, "b": X[:, 0], "c": X[:, 1]})
    assert FCA(3, random_state=0).fit(frame, sensitive_features=SEX).cluster_centers_.shape == (3, 3)


def test_every_door_takes_them(fitted):
    one, other = (compare(points, SEX, n_clusters=3, levels=(1.0,), n_seeds=1) for points in (X, Stream(arrow())))
    assert one.frame["cost"].tolist() == other.frame["cost"].tolist()
    page = report.from_model(fitted, arrow().to_reader(), sensitive_features=SEX, details=False)
    assert page.data.features == tuple(NAMES)
    with pytest.raises(InputError, match=r"'job' \(text\)"):
        compare(Stream(arrow(job=TEXT)), SEX)
    with pytest.raises(InputError, match=r"'job' \(text\)"):
        deep.AEKMeans(3).fit(FRAMES["polars"](job=TEXT), sensitive_features=SEX)
    with pytest.raises(InputError, match=r"'job' \(text\)"):
        report.from_model(fitted, arrow(job=TEXT), sensitive_features=SEX)


class TestPairing:
    """Rows are paired by position, and an index that says otherwise is heard."""

    frame = pd.DataFrame(X, columns=NAMES, index=np.arange(60) + 7)
    sex = pd.Series(SEX, index=frame.index, name="sex")

    @pytest.mark.parametrize(
        "wrap",
        [lambda s: s, lambda s: s.to_frame(), lambda s: {"sex": s, "all": ["x"] * 60}, lambda s: [s, s]],
        ids=["Series", "DataFrame", "dict", "list"],
    )
    def test_another_order_is_refused(self, wrap):
        with pytest.raises(InputError, match=r"is that of X in another order.*\.loc\[X\.index\]"):
            FCA(3).fit(self.frame, sensitive_features=wrap(self.sex.sort_values()))

    def test_other_rows_are_warned_of(self):
        with pytest.warns(UserWarning, match="holds other rows than that of X"):
            FCA(3, random_state=0).fit(self.frame, sensitive_features=self.sex.set_axis(np.arange(60) + 8))

    @pytest.mark.parametrize("groups", [sex, sex.reset_index(drop=True), sex.to_numpy(), pl.Series(SEX)])
    def test_the_same_rows_and_none_at_all_are_well(self, groups, fitted):
        model = FCA(3, random_state=0).fit(self.frame, sensitive_features=groups)
        np.testing.assert_array_equal(model.labels_, fitted.labels_)


def test_sparse_columns_are_written_out(fitted):
    frame = pd.DataFrame(X, columns=NAMES)
    mixed = frame.assign(income=pd.arrays.SparseArray(X[:, 1], fill_value=np.nan))
    for sparse in (mixed, frame.astype(pd.SparseDtype(float, 0.0))):
        model = FCA(3, random_state=0).fit(sparse, sensitive_features=SEX)
        np.testing.assert_array_equal(model.labels_, fitted.labels_)


BOTH = pa.table({"sex": SEX, "half": np.arange(60) // 30})
READERS = {
    "reader": lambda: BOTH.to_reader(),
    "stream": lambda: Stream(BOTH.to_reader()),
    "reader of one column": lambda: BOTH.select(["sex"]).to_reader(),
    "stream of a column": lambda: Stream(BOTH.column("sex")),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_stream_of_groups_is_read_once_wherever_it_is_given(kind, fitted):
    values = {"reader of one column": BOTH.select(["sex"]).to_pandas(), "stream of a column": SEX}.get(kind)
    values = BOTH.to_pandas() if values is None else values
    model = FCA(3, random_state=0).fit(X, sensitive_features=READERS[kind]())
    known = model.groups_.tolist()
    assert known == FCA(3, random_state=0).fit(X, sensitive_features=values).groups_.tolist()
    labels = model.predict(X, sensitive_features=READERS[kind]())
    np.testing.assert_array_equal(labels, model.predict(X, sensitive_features=values))
    assert metrics.balance(labels, READERS[kind]()) == metrics.balance(labels, values)
    for by in ("cluster", "attribute"):
        pd.testing.assert_frame_equal(
            metrics.frame(labels, READERS[kind](), by=by), metrics.frame(labels, values, by=by), check_names=False
        )
    if kind == "reader":
        page = report.from_model(model, X, sensitive_features=READERS[kind](), details=False)
        assert page.data.sensitive == "sex and half"
    kmeans = baselines.KMeans(3, random_state=0).fit(BOTH.set_column(0, "sex", pa.array(X[:, 0])).to_reader())
    assert kmeans.feature_names_in_.tolist() == ["sex", "half"]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["f", 1] * 30, dtype=object),
        pd.Series(pd.arrays.SparseArray([0, 1] * 30)),
        pd.Series(pd.Categorical(SEX, categories=["m", "f", "x"])),
        pd.Series(SEX, dtype=pd.ArrowDtype(pa.string())).rename("sex"),
        pd.Series(pd.period_range("2020", periods=2, freq="Y").repeat(30)),
        pl.Series(SEX.tolist(), dtype=pl.Enum(["m", "f", "x"])),
        pa.chunked_array([pa.array(SEX[:7]).dictionary_encode(), pa.array(SEX[7:]).dictionary_encode()]),
        [2**62 + i % 2 for i in range(60)],
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'dtype', '')}"[:40],
)
def test_groups_as_columns_of_any_type(values):
    assert len(FCA(2, random_state=0).fit(X[:, :2], sensitive_features=values).groups_) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ma.masked_array(np.arange(60) % 2, [True] + [False] * 59), "has 1 missing value, the first at index 0"),
        (pl.DataFrame({"sex": SEX.tolist()}).lazy(), "LazyFrame is not computed yet"),
        ((sex for sex in SEX), "is a generator; expected one value per row"),
        (set(SEX), "is a set; expected one value per row"),
        ("f" * 60, "is a str; expected one value per row"),
        (scipy.sparse.csr_matrix(np.eye(60)[:, :1]), "is a csr_matrix; expected one value per row"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:20],
)
def test_groups_that_are_no_column_are_told(values, message):
    with pytest.raises(InputError, match=message):
        metrics.frame(np.arange(60) % 3, values)
    if not hasattr(values, "__next__"):
        with pytest.raises(InputError, match=message):
            metrics.balance(np.arange(60) % 3, values)
        with pytest.raises(InputError, match=message):
            FCA(2).fit(X, sensitive_features=values)
