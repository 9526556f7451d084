"""What is in the columns of a table: gaps, categories, dates, groups of any values, and what gives them away."""

import datetime
import io
import json

import numpy as np
import pandas as pd
import pytest

from fairjax.datasets import read_table
from fairjax.datasets.table import Encoding, infer, read_raw_table
from fairjax.datasets.table.inspection import inspect_table
from fairjax.errors import InputError


@pytest.fixture
def write(tmp_path):
    def put(content, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


def column(write, cells):
    content = "x;other\n" + "".join(f"{cell};{i}\n" for i, cell in enumerate(cells))
    return infer(read_raw_table(write(content)), 0)


KINDS = {
    "number": [str(i % 7) for i in range(30)],
    "boolean": ["TRUE", "FALSE"] * 15,
    "date": [f"2024-02-{1 + i % 28:02}" for i in range(30)],
    "category": ["cook", "nurse"] * 15,
    "text": [f"remark {i % 60}" for i in range(120)],
    "identifier": [f"p{i:03}" for i in range(30)],
    "constant": ["earth"] * 30,
    "empty": [""] * 30,
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(write, kind):
    assert column(write, KINDS[kind]).kind == kind


def test_numbers_that_count_are_identifiers_and_measures_are_not(write):
    assert column(write, range(100, 140)).kind == "identifier"
    assert column(write, [i * i for i in range(40)]).kind == "number"
    assert column(write, [i / 7 for i in range(40)]).kind == "number"
    assert column(write, range(10)).kind == "number"  # too few rows to tell


def test_only_empty_cells_of_text_are_missing(write):
    found = column(write, ["NA", "None", "null", "", " ", "nan", "x"])
    assert (found.levels, found.n_missing) == (("NA", "None", "nan", "null", "x"), 2)
    found = column(write, ["1", "NA", "None", "", "nan", "2"])
    assert (found.type, found.n_missing, found.numbers.tolist()[::5]) == ("number", 4, [1, 2])
    assert "read as missing" in found.notes[0]


def test_blanks_around_values_do_not_make_new_ones(write):
    found = column(write, ["F", " F", "F ", "\u00a0M", "M"])
    assert (found.levels, found.trimmed) == (("F", "M"), True)
    assert found.notes == ("blanks around 3 values dropped",)
    assert column(write, ["f", "F", "M"]).notes == ("values that differ in capital letters alone",)
    assert column(write, ["007", "012"]).notes == ("numbers with leading zeros, as codes have",)


DATES = [
    (["2024-02-29", "1969-12-31"], [19782, -1], "year-month-day"),
    (["2024-02-29 12:00", "2024-02-29T18:00:00"], [19782.5, 19782.75], "year-month-day"),
    (["2024-02-29T12:00:00Z", "2024-02-29T12:00+06:00"], [19782.5, 19782.25], "year-month-day"),
    (["2024/2/29", "2024/3/1"], [19782, 19783], "year-month-day"),
    (["29.2.2024", "1.03.2024"], [19782, 19783], "day.month.year"),
    (["29/02/2024", "01/03/2024"], [19782, 19783], "day/month/year"),
    (["02/29/2024", "03/01/2024"], [19782, 19783], "month/day/year"),
    (["29-Feb-24", "31-Dec-69", "1-jan-70"], [19782, 36524, 0], "day.month.year"),
    (["29 February 2024", "1 Mar. 2024"], [19782, 19783], "day.month.year"),
    (["Feb 29, 2024", "March 1st, 2024 12:00"], [19782, 19783.5], "day.month.year"),
    (["2024-02-29", "", "NA"], [19782, np.nan, np.nan], "year-month-day"),
]


@pytest.mark.parametrize(("cells", "days", "how"), DATES)
def test_dates(write, cells, days, how):
    found = column(write, cells)
    assert found.type == "date"
    assert found.notes[0] == f"dates as {how}"
    np.testing.assert_allclose(found.numbers, days)


def test_dates_are_used_only_when_asked_and_sure(write):
    path = write("d,x\n2024-02-29,1\n2024-03-01,2\n")
    with pytest.raises(InputError, match=r"'d' \(dates such as '2024-02-29'\); say --dates number"):
        read_table(path)
    assert read_table(path, dates="number", standardize=False).X[:, 0].tolist() == [19782, 19783]
    with pytest.raises(InputError, match="day and month cannot be told apart"):
        read_table(write("d,x\n1/2/2024,1\n3/4/2024,2\n"), dates="number")
    assert column(write, ["2024-02-30", "2024-01-01"]).type == "text"


GAPS = "age,job,sex\n20,cook,F\n,nurse,M\n40,,F\n60,cook,M\n"


def test_gaps(write):
    path = write(GAPS)
    message = r"'age' has 1 missing value, in row 2 \(line 3 of the file\); say --missing drop, mean or median"
    with pytest.raises(InputError, match=message):
        read_table(path, sensitive="sex", features="age")
    options = {"sensitive": "sex", "features": ["age"], "standardize": False}
    assert read_table(path, missing="mean", **options).X.ravel().tolist() == [20, 40, 40, 60]
    assert read_table(path, missing="median", **options).X.ravel().tolist() == [20, 40, 40, 60]
    data = read_table(path, missing="drop", **options)
    assert (data.X.ravel().tolist(), data.rows.tolist(), data.groups.tolist()) == ([20, 40, 60], [0, 2, 3], [0, 0, 1])
    assert data.notes == ("left out 1 of 4 rows, which have gaps",)
    marked = read_table(path, missing="mean", missing_indicator=True, **options)
    assert marked.feature_names == ("age", "age is missing")
    assert marked.X[:, 1].tolist() == [0, 1, 0, 0]
    with pytest.raises(InputError, match="has 1 row without gaps"):
        read_table(write("a,b\n1,\n,2\n3,4\n"), missing="drop")
    with pytest.raises(InputError, match="no values at all; leave it out with --drop"):
        read_table(write("a,b\n1,\n2,\n"), missing="mean")
    with pytest.raises(InputError, match="missing is 'zero'; expected one of"):
        read_table(path, missing="zero")


def test_categories(write):
    path = write(GAPS)
    with pytest.raises(InputError, match=r"'job' \(for instance 'cook'\); say --categorical one-hot .*--features age"):
        read_table(path, sensitive="sex", missing="mean")
    data = read_table(path, sensitive="sex", missing="mean", categorical="one-hot")
    assert data.feature_names == ("age", "job=cook", "job=nurse", "job=(missing)")
    assert data.raw[:, 1:].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    # a category counts as much as a number, over all its columns together
    np.testing.assert_allclose(data.X.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose([data.X[:, 0].var(), data.X[:, 1:].var(axis=0).sum()], 1)
    ranks = read_table(path, sensitive="sex", missing="drop", categorical="ordinal", standardize=False)
    assert ranks.X.tolist() == [[20, 0], [60, 0]] or ranks.X.tolist() == [[20], [60]]
    many = "x,y\n" + "".join(f"v{i % 150},{i}\n" for i in range(400))
    with pytest.raises(InputError, match=r"'x' has 150 different values, more than the 100.*--drop"):
        read_table(write(many), categorical="one-hot")
    assert read_table(write(many), categorical="ordinal").X.shape == (400, 2)


def test_texts_that_name_the_rows_are_left_out(write):
    content = "name,job,x\n" + "".join(f"p{i},{'ab'[i % 2]},{i % 5}\n" for i in range(30))
    data = read_table(write(content), categorical="one-hot")
    assert data.feature_names == ("job=a", "job=b", "x")
    assert "left out 'name', different in every row" in data.notes
    assert read_table(write(content), drop="name,job").feature_names == ("x",)
    with pytest.raises(InputError, match="no column 'nam'; did you mean 'name'"):
        read_table(write(content), drop="nam")


def test_rules_serve_new_rows_and_keep_their_values_in_json(write):
    settings = {"missing": "mean", "missing_indicator": True, "categorical": "one-hot"}
    data = read_table(write(GAPS), sensitive="sex", **settings)
    rules = Encoding.from_dict(json.loads(json.dumps(data.encoding.to_dict())))
    assert rules == data.encoding
    new = read_raw_table(write("job,age\nnurse,1\ncook,\n,3\n", "new.csv"))
    columns = [infer(new, new.position(rule.name)) for rule in rules.rules]
    assert rules.apply(columns).tolist() == [[1, 0, 0, 1, 0], [40, 1, 1, 0, 0], [3, 0, 0, 0, 1]]
    odd = read_raw_table(write("job,age\npilot,1\ncook,2\n", "new.csv"))
    with pytest.raises(InputError, match="'job' holds 'pilot', not seen when fitting; the known values are 'cook'"):
        rules.apply([infer(odd, odd.position(rule.name)) for rule in rules.rules])


def table(values, name="g", extra=""):
    return f"x,{name}{extra and ',h'}\n" + "".join(
        f"{(7 * i) % 11},{value}{extra and ',' + extra[i % len(extra)]}\n" for i, value in enumerate(values)
    )


def test_groups_of_any_values(write):
    for values, names in (
        (["10", "2", "2", "10"], ("2", "10")),
        (["1.5", "1", "1.5", "1"], ("1", "1.5")),
        (["True", "False", "True", "False"], ("False", "True")),
        (["no", "yes", "no", "no"], ("no", "yes")),
        (["2024-03-01", "2023-12-01"] * 2, ("2023-12-01", "2024-03-01")),
        (["1.12.2023", "1.3.2024"] * 2, ("1.12.2023", "1.3.2024")),
        (["NA", "DE", "NA", "DE"], ("DE", "NA")),
        (["é", "e", "é", "e"], ("e", "é")),
        (["a\x1b[2J", "b"] * 2, ("a\\x1b[2J", "b")),
    ):
        data = read_table(write(table(values)), sensitive="g")
        assert data.group_names == names
        assert np.bincount(data.groups).sum() == len(values)


def test_a_gap_is_a_group_on_request(write):
    path = write(table(["F", "M", "", "F"]))
    with pytest.raises(InputError, match=r"1 missing value, in row 3 \(line 4 of the file\); say --missing-group"):
        read_table(path, sensitive="g")
    assert read_table(path, sensitive="g", missing_group=True).group_names == ("F", "M", "(missing)")
    assert read_table(path, sensitive="g", missing="drop").n_samples == 3
    assert read_table(write(table(["F", "", "F"])), sensitive="g", missing_group=True).n_groups == 2


def test_every_combination_is_a_group(write):
    path = write(table(["F", "M", "F", "M"] * 3, extra="ab"))
    data = read_table(path, sensitive=["g", "h"])
    assert data.group_names == ("F, a", "M, b")
    assert {name: names for name, (_, names) in data.attributes.items()} == {"g": ("F", "M"), "h": ("a", "b")}
    assert read_table(path, sensitive="h,g").group_names == ("a, F", "b, M")
    with pytest.raises(InputError, match="the sensitive column 'g' is named twice"):
        read_table(path, sensitive=["g", "g"])
    with pytest.raises(InputError, match="have a different combination in every row"):
        read_table(write(table(["F", "M", "D", "F"], extra="aabb")), sensitive="g,h")
    odd = write(table(["F", "M"] * 3, name='"g,h"'))
    assert read_table(odd, sensitive="g,h").group_names == ("F", "M")  # a column of that very name


def test_small_groups(write):
    path = write(table(["a"] * 6 + ["b"] * 5 + ["c"] * 2 + ["d"]))
    data = read_table(path, sensitive="g", min_group=3)
    assert (data.group_names, data.group_sizes.tolist()) == (("a", "b", "other"), [6, 5, 3])
    assert "merged 2 groups of fewer than 3 rows ('c' 2, 'd' 1) into 'other', 3 rows" in data.notes
    with pytest.raises(InputError, match=r"there are 2 groups of fewer than 3 rows \('c' 2, 'd' 1\)"):
        read_table(path, sensitive="g", min_group=3, small_groups="error")
    with pytest.raises(InputError, match="too few even together"):
        read_table(path, sensitive="g", min_group=5)
    with pytest.raises(InputError, match="all groups have fewer than 9 rows"):
        read_table(path, sensitive="g", min_group=9)
    with pytest.raises(InputError, match="min_group is 0"):
        read_table(path, sensitive="g", min_group=0)


def test_measures_are_groups_by_ranges(write):
    path = write(table([f"{i / 3:.3f}" for i in range(60)] * 2))
    with pytest.raises(InputError, match=r"'g' looks continuous \(60 different values\); say --bins 4"):
        read_table(path, sensitive="g")
    data = read_table(path, sensitive="g", bins=3)
    assert data.group_names == ("below 6.667", "6.667 to below 13.33", "13.33 and above")
    assert data.group_sizes.tolist() == [40, 40, 40]
    assert read_table(write(table([1, 1, 1, 1, 2, 3])), sensitive="g", bins=4).group_names == ("below 2", "2 and above")
    with pytest.raises(InputError, match="bins is 1"):
        read_table(path, sensitive="g", bins=1)


def test_what_gives_the_sensitive_column_away_is_told(write):
    rng = np.random.default_rng(0)
    sex = rng.integers(0, 3, 300)
    frame = pd.DataFrame(
        {
            "id": range(300),
            "code": 10 - sex,
            "is_b": (sex == 1).astype(int),
            "height": sex * 10 + rng.normal(size=300),
            "hint": np.where(rng.random(300) < 0.9, sex, rng.integers(0, 3, 300)),
            "noise": rng.normal(size=300),
            "sex": np.array(list("abc"))[sex],
        }
    )
    path = write(frame.to_csv(index=False))
    found = inspect_table(path, sensitive="sex")
    assert {p.column: p.kind for p in found.proxies} == {
        "code": "copy", "height": "strong", "is_b": "part", "hint": "strong", "noise": "weak",
    }  # fmt: skip
    notes = " ".join(read_table(path, sensitive="sex").notes)
    assert "'code' tells 'sex' exactly" in notes
    assert "'is_b' tells exactly whether 'sex' is 'b'" in notes
    assert "'hint' gives 'sex' away" in notes
    assert "'id' looks like an identifier" in notes
    assert "noise" not in notes


def test_inspection_says_what_would_be_read_and_a_command_that_works(write, monkeypatch):
    content = "id;when;income;job;sex\n" + "".join(
        f"{i};{1 + i % 28}.2.2024;{'' if i == 4 else f'{i % 7},5'};{'ab'[i % 2]};{'FM'[i % 3 > 0]}\n" for i in range(40)
    )
    path = write(content)
    found = inspect_table(path, sensitive="sex")
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [c["kind"] for c in plain["columns"]] == ["identifier", "date", "number", "category", "category"]
    assert plain["dialect"]["decimal"] == ","
    assert plain["groups"] == {"F": 14, "M": 26}
    assert [problem.split(":")[1] for problem in plain["problems"]] == [
        " say --dates number", " say --missing drop, mean or median", " say --categorical one-hot",
    ]  # fmt: skip
    assert plain["command"].endswith("--sensitive sex --drop id --missing median --categorical one-hot --dates number")
    data = read_table(path, sensitive="sex", drop="id", missing="median", categorical="one-hot", dates="number")
    assert data.feature_names == ("when", "income", "job=a", "job=b")


def test_excel(write):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame(
        {
            "age": [20, None, 40, 50],
            "income": [1.5, 2.5, 3.5, 4.5],
            "day": [datetime.datetime(2024, 1, d) for d in (1, 2, 3, 4)],
            "sex": ["F", "M", "F", "M"],
        }
    )
    stream = io.BytesIO()
    frame.to_excel(stream, index=False, startrow=2)
    path = write(stream.getvalue(), "people.xlsx")
    data = read_table(path, sensitive="sex", missing="mean", dates="number", standardize=False)
    assert data.feature_names == ("age", "income", "day")
    assert data.X[1].tolist() == [110 / 3, 2.5, 19724]
    with pytest.raises(InputError, match=r"in row 2 \(line 5 of the file\)"):
        read_table(path, sensitive="sex", features="age")
    with pytest.raises(InputError, match="cannot be read as an Excel file"):
        read_table(write(b"PK\x03\x04 no sheet", "broken.xlsx"))


def test_excel_without_its_reader_is_one_sentence(write, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r"needs openpyxl: pip install 'fairjax\[xlsx\]', or save the sheet as CSV"):
        read_table(write(b"PK\x03\x04", "people.xlsx"))


def test_typed_tables(write):
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3, 4], dtype="Int64"),
            "when": pd.to_datetime(["2024-01-01 12:00", "2024-01-02 00:00", None, "2024-01-03 00:00"]),
            "kind": pd.Categorical(["a", "b", "a", "b"]),
            "sex": ["F", "M", "F", "M"],
        }
    )
    options = {"sensitive": "sex", "missing": "mean", "categorical": "ordinal", "dates": "number", "standardize": False}
    for put, name in ((frame.to_parquet, "t.parquet"), (frame.to_feather, "t.feather")):
        stream = io.BytesIO()
        put(stream)
        data = read_table(write(stream.getvalue(), name), **options)
        assert data.feature_names == ("whole", "when", "kind")
        np.testing.assert_allclose(data.X[1], [8 / 3, 19724, 1])


@pytest.mark.parametrize(
    ("put", "name"), [("write_parquet", "t.parquet"), ("write_ipc", "t.arrow"), ("write_ipc_stream", "s.arrow")]
)
def test_tables_of_polars(write, put, name):
    import polars as pl

    frame = pl.DataFrame(
        {
            "x": pl.Series(["1.5", "2.5", None, "3.5"]).cast(pl.Decimal(10, 2)),
            "when": [datetime.datetime(2024, 1, day, 12) for day in (1, 2, 3, 4)],
            "kind": pl.Series(["a", "b", "a", None], dtype=pl.Categorical),
            "true": [True, False, None, True],
            "sex": ["F", " M", "F", "M"],
            "lists": [[1], [2], [3], []],
        }
    )
    stream = io.BytesIO()
    getattr(frame, put)(stream)
    path = write(stream.getvalue(), name)
    options = {"sensitive": "sex", "missing": "mean", "categorical": "one-hot", "dates": "number", "standardize": False}
    data = read_table(path, drop="lists", **options)
    assert data.feature_names == ("x", "when", "kind=a", "kind=b", "kind=(missing)", "true")
    np.testing.assert_allclose(data.X[2], [2.5, 19725.5, 1, 0, 0, 2 / 3])
    assert data.group_names == ("F", "M")
    with pytest.raises(InputError, match=r"'lists' \(values of type \w*list<.*\); choose numeric columns"):
        read_table(path, **options)


def test_a_named_index_is_a_feature_only_by_name(write):
    frame = pd.DataFrame({"x": [1.0, 2, 4], "sex": ["F", "M", "F"]}, index=pd.Index([5, 6, 7], name="key"))
    stream = io.BytesIO()
    frame.to_parquet(stream)
    path = write(stream.getvalue(), "t.parquet")
    assert read_table(path, sensitive="sex").feature_names == ("x",)
    assert read_table(path, sensitive="sex", features="x,key").feature_names == ("x", "key")
