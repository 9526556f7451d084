"""Tables laid out for the eye, by other programs and for other countries: read right, or told in one sentence."""

import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fairjax.datasets import read_table
from fairjax.datasets.table import Dialect, infer, read_raw_table
from fairjax.datasets.table.inspection import inspect_table
from fairjax.datasets.table.results import encode, with_clusters
from fairjax.errors import InputError

ROWS = [["20", "1.5", "F"], ["30", "2.25", "M"], ["40", "9", "F"], ["50", "0.5", "M"]]
NAMES = ["age", "income", "sex"]


@pytest.fixture
def write(tmp_path):
    def put(content, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


def lines(rows, separator=","):
    return "".join(separator.join(row) + "\n" for row in rows)


def columns(table):
    return [[cell.strip() for cell in column.to_pylist()] for column in table.cells.columns]


TABLE = lines([NAMES, *ROWS])
# content, the line of the first row, a word of the note
LAYOUTS = {
    "title": ("People\n\n" + TABLE, 4, "1 line before the table"),
    "title with separators": ("People,,\n,,\n" + TABLE, 4, "2 lines before the table"),
    "title above semicolons": ("People\nof 2024\n" + lines([NAMES, *ROWS], ";"), 4, "2 lines before"),
    "rule below the names": (TABLE.replace("sex\n", "sex\n---,-----,---\n"), 3, None),
    "Markdown": (
        "| age | income | sex |\n|----:|:------:|-----|\n" + "".join(f"| {' | '.join(row)} |\n" for row in ROWS),
        3,
        "without a name",
    ),
    "psql": (" age | income | sex\n-----+--------+-----\n" + lines(ROWS, " | "), 3, None),
    "separator at the end": (TABLE.replace("F\n", "F,\n").replace("M\n", "M,\n"), 2, "ends in a separator"),
    "mark of the end by DOS": (TABLE + "\x1a", 2, None),
}


@pytest.mark.parametrize("how", LAYOUTS)
def test_what_stands_around_a_table_is_no_part_of_it(write, how):
    content, line, note = LAYOUTS[how]
    table = read_raw_table(write(content))
    assert table.names == NAMES
    assert columns(table) == [list(column) for column in zip(*ROWS, strict=True)]
    assert table.place(0) == f"row 1 (line {line} of the file)"
    assert note is None or any(note in told for told in table.notes), table.notes


@pytest.mark.parametrize("separator", [",", " ", ";"])
@pytest.mark.parametrize("names", [["1", "2", "3", "4"], ["a", "b", "c", "d"]])
def test_row_names_as_r_writes_them(write, separator, names):
    rows = [[f'"{name}"', *row[:2], f'"{row[2]}"'] for name, row in zip(names, ROWS, strict=True)]
    table = read_raw_table(write(lines([[f'"{name}"' for name in NAMES], *rows], separator)))
    assert table.names == ["", *NAMES]
    assert columns(table)[0] == names
    assert columns(table)[3] == ["F", "M", "F", "M"]
    assert any("as R writes it" in note for note in table.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n1,5,F\n2,5,M\n3,0,F\n7,1,M\n", "put numbers with a decimal comma in quotes"),  # no row names
        ("People\n" + TABLE.replace(",9,", ","), r"3 fields in row 1 \(line 2\) and 1 in its first.*say --skip 1"),
        ("<!DOCTYPE html>\n<html><body>Not found</body></html>\n", "is a web page, whatever its name says"),
        ('\ufeff<?xml version="1.0"?>\n<a>1</a>\n', "is XML"),
        ('[{"age": 1, "sex": "F"},\n {"age": 2}]\n', "is JSON"),
        ('{"age": 1}\n{"age": 2}\n', "is JSON"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n", "git lfs pull brings it"),
        ("% a remark\n@RELATION people\n@attribute age numeric\n", "an ARFF file"),
        ("年,性\n1,女\n2,男\n3,女\n".encode("cp932"), r"neither UTF-8 nor cp1252 text \(byte 3\); name its encoding"),
    ],
)
def test_what_is_no_such_table_is_named(write, content, message):
    with pytest.raises(InputError, match=message):
        read_raw_table(write(content))
    assert len(read_raw_table(write("año,g\n1,é\n2,è\n".encode("cp1252"))).names) == 2


def test_packed_twice(write, monkeypatch):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("people.csv.gz", gzip.compress(TABLE.encode()))
    assert read_raw_table(write(stream.getvalue(), "people.zip")).n_rows == 4
    monkeypatch.setattr("fairjax.datasets.table.content.FREE", 1 << 20)
    bomb = gzip.compress(gzip.compress(b"0" * (100 << 20)))  # each step within the bound of its own
    with pytest.raises(InputError, match="is packed from more than"):
        read_raw_table(write(bomb, "people.csv.gz"))


NUMBERS = [
    (["(1,234.50)", "2.5", "(3)"], [-1234.5, 2.5, -3]),
    (["1.234,50-", "2,50", "3,00-"], [-1234.5, 2.5, -3]),
    (["($7)", "-$5", "$6"], [-7, -5, 6]),
    (["(1.234,50 €)", "2,50 €"], [-1234.5, 2.5]),
    (["12,34,567", "1,00,00,000.5", "45"], [1234567, 10000000.5, 45]),
    (["١٬٢٣٤٫٥", "٣", "-٤"], [1234.5, 3, -4]),
    (["１２", "３．５".replace("．", ".")], [12, 3.5]),
]


@pytest.mark.parametrize(("cells", "found"), NUMBERS)
def test_numbers_of_accounts_and_of_other_scripts(write, cells, found):
    assert (
        infer(read_raw_table(write(lines([["x", "y"], *([c, "a"] for c in cells)], ";"))), 0).numbers.tolist() == found
    )


def test_one_column_of_decimal_commas_beside_points(write):
    table = read_raw_table(write("x;y\n1.020,00 €;1.25\n2.030,50 €;2.5\n1,5 €;0.25\n"))
    assert infer(table, 0).numbers.tolist() == [1020, 2030.5, 1.5]
    assert infer(table, 0).notes[1] == "decimal commas, although other columns have decimal points"


@pytest.mark.parametrize("cells", [["12-14", "13-15"], ["(a)", "(b)"], ["(1)(2)", "3"], ["1,23,45", "6"], ["--5", "4"]])
def test_what_only_looks_like_a_number(write, cells):
    assert infer(read_raw_table(write(lines([["x", "y"], *([c, "a"] for c in cells)], ";"))), 0).type == "text"


@pytest.mark.parametrize(
    ("cells", "days", "how"),
    [
        (["29.02.24", "31.12.69", "1.1.70"], [19782, 36524, 0], "day.month.year"),
        (["2/29/24", "3/1/24 12:00"], [19782, 19783.5], "month/day/year"),
        (["29-02-24", "01-03-24"], [19782, 19783], "day/month/year"),
    ],
)
def test_years_of_two_digits(write, cells, days, how):
    found = infer(read_raw_table(write(lines([["x", "y"], *([c, "a"] for c in cells)], ";"))), 0)
    assert found.notes == (f"dates as {how}", "years of two digits read as 1970 to 2069")
    np.testing.assert_allclose(found.numbers, days)


def test_values_that_look_the_same_are_one_group(write):
    content = lines([["x", "g"], *([str(i), g] for i, g in enumerate(["é", "e\u0301", "ö", "ö\u200b", "ö ", "é"]))])
    data = read_table(write(content), sensitive="g")
    assert data.group_names == ("é", "ö")
    assert data.groups.tolist() == [0, 0, 1, 1, 1, 0]
    assert [note for note in data.notes if "the sensitive column" in note] == [
        "the sensitive column 'g': blanks around 1 value dropped",
        "the sensitive column 'g': 2 values written by other characters that look the same",
    ]


BIG = [2**62 + i % 3 for i in range(12)]


@pytest.mark.parametrize("kind", ["text", "int64", "decimal", "uint64"])
def test_whole_numbers_beyond_floats_stay_apart_as_groups(write, kind):
    x = [float(i % 5) for i in range(12)]
    if kind == "text":
        path = write(lines([["x", "g"], *([str(a), str(b)] for a, b in zip(x, BIG, strict=True))]))
    else:
        types = {"int64": pa.int64(), "uint64": pa.uint64(), "decimal": pa.decimal128(38, 0)}
        stream = io.BytesIO()
        pd.DataFrame({"x": x, "g": pd.array(BIG, dtype=pd.ArrowDtype(types[kind]))}).to_parquet(stream)
        path = write(stream.getvalue(), "people.parquet")
    data = read_table(path, sensitive="g")
    assert data.group_names == tuple(str(2**62 + i) for i in range(3))
    assert data.groups.tolist() == [i % 3 for i in range(12)]
    assert len(np.unique(data.sensitive)) == 3
    other = read_table(path, features="x,g")
    assert any("3 numbers of so many digits that floating-point ones tell 1 of them apart" in n for n in other.notes)


def test_unusual_layouts_of_arrow(write):
    table = pa.table(
        {
            "x": pa.RunEndEncodedArray.from_arrays(pa.array([2, 4], pa.int32()), pa.array([1.5, 2.5])),
            "day": pa.array([0, 1, 2, 3], pa.date32()).cast(pa.timestamp("ms")),
            "sex": pa.array([b"F", b"M", b"F", b"M"]),
            "bytes": pa.array([b"\xff", b"\xfe", b"\xff", b"\xfe"]),
            "bool": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([0, 1, 0, 1], pa.int8())),
        }
    )
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    path = write(stream.getvalue(), "people.arrow")
    data = read_table(path, sensitive="sex", drop="bytes", dates="number", standardize=False)
    assert data.X.tolist() == [[1.5, 0, 0], [1.5, 1, 1], [2.5, 2, 0], [2.5, 3, 1]]
    assert data.group_names == ("F", "M")
    assert read_table(path, sensitive="day", features="x", bins=2).n_groups == 2
    assert infer(read_raw_table(path), 1).levels[0] == "1970-01-01"
    with pytest.raises(InputError, match=r"not numeric: 'bytes' \(values of type binary\)"):
        read_table(path, features="x,bytes")


@pytest.mark.parametrize(
    ("values", "names"),
    [(np.array([b"F", b"M"] * 3), ("F", "M")), (np.array(["2024-01-01", "2023-01-01"] * 3, "M8[D]"), None)],
)
def test_arrays_of_bytes_and_dates_in_an_archive(write, values, names):
    stream = io.BytesIO()
    np.savez(stream, X=np.arange(12.0).reshape(6, 2), sensitive=values)
    assert read_table(write(stream.getvalue(), "a.npz")).group_names == (names or ("2023-01-01", "2024-01-01"))


def book(rows, change=None):
    openpyxl = pytest.importorskip("openpyxl")
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    if change is not None:
        change(made.active)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


SHEET = [[20, 1.5, "F"], [30, 2.25, None], [40, 9, "M"], [50, 0.5, None]]


def test_merged_cells_hold_the_value_that_they_show(write):
    def merge(sheet):
        sheet.merge_cells("A1:C1")  # a title above the table
        sheet.merge_cells("C4:C5")
        sheet.merge_cells("C6:C7")

    path = write(book([["People"], [], NAMES, *SHEET], merge), "people.xlsx")
    data = read_table(path, sensitive="sex")
    assert data.groups.tolist() == [0, 0, 1, 1]
    assert data.notes[:2] == (
        "2 lines before the table passed over",
        "2 ranges of merged cells filled with the value that each shows",
    )
    unmerged = write(book([["People"], [], NAMES, *SHEET]), "unmerged.xlsx")
    with pytest.raises(InputError, match=r"'sex' has 2 missing values, the first in row 2 \(line 5 of the file\)"):
        read_table(unmerged, sensitive="sex")
    assert read_raw_table(path, dialect=Dialect(skip=3, header=False)).n_rows == 4


def test_a_value_in_the_last_corner_of_a_sheet_takes_no_memory(write):
    def stray(sheet):
        sheet["XFD1048576"] = "x"

    with pytest.raises(InputError, match=r"reaches to row 1,048,576 and column 16,384 with 14 cells filled"):
        read_table(write(book([NAMES, *SHEET], stray), "people.xlsx"))

    def below(sheet):
        sheet["A200"].number_format = "0.00"  # a cell with a format and no value

    assert read_raw_table(write(book([NAMES, *SHEET], below), "people.xlsx")).n_rows == 4


def test_ranges_that_lie_over_each_other_end(write):
    path = write(book([NAMES, *SHEET], lambda sheet: sheet.merge_cells("C2:C3")), "people.xlsx")
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            text = old.read(member)
            new.writestr(member, text.replace(b'<mergeCell ref="C2:C3" />', b'<mergeCell ref="B2:XFD99999"/>' * 50_000))
    table = read_raw_table(write(content.getvalue(), "people.xlsx"))
    assert table.cells.column(1).to_pylist() == [1.5] * 4
    assert any("1 range of merged cells" in note for note in table.notes)


def test_dates_that_no_calendar_has_and_types_that_a_format_lacks_come_back(write):
    table = pa.table(
        {
            "x": [1.5, float("nan"), 3.0],
            "far": pa.array([2**60, 0, None], pa.timestamp("us")),
            "both": pa.UnionArray.from_sparse(
                pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]
            ),
        }
    )
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    path = write(stream.getvalue(), "people.arrow")
    assert len(inspect_table(path).columns) == 3
    raw = read_raw_table(path)
    found, _ = with_clusters(raw, np.arange(3), np.array([2, 0, 1], np.int32), None, None)
    for ending in (".csv", ".parquet", ".xlsx"):
        back = read_raw_table(write(encode(found, ending), f"back{ending}"))
        assert back.names == ["x", "far", "both", "cluster"]
        assert [str(cell) for cell in back.cells.column(3).to_pylist()] == ["2", "0", "1"]
        assert [str(cell) for cell in back.cells.column(2).to_pylist()] == ["1", "b", "3"]
        assert infer(back, 0).n_missing == 1
