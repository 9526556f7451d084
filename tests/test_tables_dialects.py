"""Text files as programs and countries write them: read to the same cells, or refused in a sentence with the cause."""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairjax.datasets import read_table
from fairjax.datasets.table import Dialect, read_raw_table
from fairjax.errors import InputError

PEOPLE = [["age", "income", "sex"], ["20", "1.5", "F"], ["30", "2.25", "M"], ["40", "9", "F"], ["50", "0.5", "M"]]


def text(separator=",", rows=PEOPLE, end="\n"):
    return "".join(separator.join(row) + end for row in rows)


def quoted(quote='"', separator=","):
    return "".join(separator.join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in PEOPLE)


def zipped(content, name="people.csv"):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def write(tmp_path):
    def put(content, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


PLAIN = text().encode()
WRITTEN = {
    "commas": ("a.csv", text()),
    "semicolons": ("a.csv", text(";")),
    "tabs in a csv": ("a.csv", text("\t")),
    "bars": ("a.csv", text("|")),
    "semicolons in a tsv": ("a.tsv", text(";")),
    "one blank": ("a.csv", text(" ")),
    "columns laid out with blanks": ("a.txt", " " + text("    ").replace("\n", "  \n ")),
    "a rare separator": ("a.csv", text("^")),
    "no ending": ("people", text()),
    "an unknown ending": ("people.data", text("\t")),
    "the line of Excel": ("a.csv", "sep=;\n" + text(";")),
    "blanks after commas": ("a.csv", text(", ")),
    "blanks before commas": ("a.csv", text(" ,")),
    "every cell quoted": ("a.csv", quoted()),
    "quotes after blanks": ("a.csv", quoted(separator=", ")),
    "single quotes": ("a.csv", quoted("'", ";")),
    "returns and newlines": ("a.csv", text(end="\r\n")),
    "returns alone": ("a.csv", text(end="\r")),
    "no newline at the end": ("a.csv", text().rstrip()),
    "empty lines": ("a.csv", "\n\n" + text(end="\n\n")),
    "lines of blanks": ("a.csv", "  \n" + text(end="\n   \n")),
    "remarks before": ("a.csv", "# of our survey, 2024\n# second wave\n" + text()),
    "a mark before the names": ("a.txt", "# " + text(" ")),
    "empty columns and rows of a spreadsheet": ("a.csv", text(end=",,\n") + ",,,,\n,,,,\n"),
    "a byte order mark": ("a.csv", b"\xef\xbb\xbf" + PLAIN),
    "utf-16": ("a.csv", text("\t").encode("utf-16")),
    "utf-16 of big ends": ("a.csv", b"\xfe\xff" + text().encode("utf-16-be")),
    "utf-32": ("a.csv", text().encode("utf-32")),
    "decimal commas": ("a.csv", text(";").replace(".", ",")),
    "decimal commas in quotes": ("a.csv", re.sub(r"(\d)\.(\d+)", r'"\1,\2"', text())),
    "signs and exponents": ("a.csv", text().replace("1.5", "+15e-1").replace("2.25", "225E-02")),
    "gzip": ("a.csv.gz", gzip.compress(PLAIN)),
    "gzip that does not say so": ("a.csv", gzip.compress(PLAIN)),
    "bzip2": ("a.csv.bz2", bz2.compress(PLAIN)),
    "xz": ("a.csv.xz", lzma.compress(PLAIN)),
    "zip": ("a.zip", zipped(PLAIN)),
    "zip with a name of its own": ("a.csv.zip", zipped(text("\t"), "folder/b.tsv")),
}  # fmt: skip


@pytest.mark.parametrize("how", WRITTEN)
def test_one_table_in_many_spellings(write, how):
    name, content = WRITTEN[how]
    data = read_table(write(content, name), sensitive="sex", standardize=False)
    assert data.feature_names == ("age", "income")
    assert data.X.tolist() == [[20, 1.5], [30, 2.25], [40, 9], [50, 0.5]]
    assert data.group_names == ("F", "M")
    assert data.groups.tolist() == [0, 1, 0, 1]


def test_zstandard(write):
    import pyarrow as pa

    packed = pa.compress(PLAIN * 3, codec="zstd", asbytes=True)
    assert read_raw_table(write(packed, "a.csv.zst")).n_rows == 14


def test_an_address_is_fetched_only_when_asked(tmp_path):
    import threading
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    (tmp_path / "people.csv.gz").write_bytes(gzip.compress(PLAIN))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/people.csv.gz?version=2"
        with pytest.raises(InputError, match="nothing is downloaded unless asked; say --download"):
            read_raw_table(address)
        assert read_raw_table(address, download=True).n_rows == 4
        with pytest.raises(InputError, match=r"could not be downloaded \(HTTP Error 404"):
            read_raw_table(address.replace("people", "nobody"), download=True)
        server.shutdown()


def numbers(write, cells, separator=";", **told):
    rows = [["x", "y"], *([cell, str(i)] for i, cell in enumerate(cells))]
    data = read_table(
        write(text(separator, rows)), features="x", standardize=False, dialect=Dialect(**told), missing="mean"
    )
    return data.X.ravel().tolist(), data.notes


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["1.234,5", "7"], [1234.5, 7]),
        (["1.234.567", "2,5"], [1234567, 2.5]),
        (["1 234", "12 345 678"], [1234, 12345678]),
        (["1\u202f234,5", "2"], [1234.5, 2]),
        (["1'234.5", "2"], [1234.5, 2]),
        (["1,234,567", "1.5"], [1234567, 1.5]),
        (["1,234.5", "7"], [1234.5, 7]),
        (["12,5", "1,125"], [12.5, 1.125]),
        (["0,125", "1,125"], [0.125, 1.125]),
        (["−5", "+3"], [-5, 3]),
        (["12 %", "7.5 %"], [12, 7.5]),
        (["$5", "$7.5"], [5, 7.5]),
        (["5 €", "7,5 €"], [5, 7.5]),
        (["1e3", "2.5E-1"], [1000, 0.25]),
        ([".5", "5."], [0.5, 5]),
        (["1" + "0" * 30, "5"], [1e30, 5]),
        (["3", "NA", "5"], [3, 4, 5]),
        (["3", "n/a", "?", "5"], [3, 4, 4, 5]),
        (["3,5", "", "4,5"], [3.5, 4, 4.5]),
        (["true", "False"], [1, 0]),
        (["yes", "no"], [1, 0]),
    ],
)
def test_numbers_of_several_countries(write, cells, found):
    assert numbers(write, cells)[0] == found


def test_a_sign_that_may_be_either_is_asked_for(write):
    with pytest.raises(InputError, match=r"'x' holds numbers such as '1,234', whose comma may be decimal.*--decimal"):
        numbers(write, ["1,234", "56,789"])
    assert numbers(write, ["1,234", "56,789"], decimal=",")[0] == [1.234, 56.789]
    assert numbers(write, ["1,234", "56,789"], decimal=".")[0] == [1234, 56789]
    assert numbers(write, ["1.234", "56.789"])[0] == [1.234, 56.789]
    assert numbers(write, ["1.234", "56.789"], thousands=".")[0] == [1234, 56789]
    # between quotes in a file of commas they are thousands, as American spreadsheets write them
    assert numbers(write, ['"1,234"', '"56,789"'], separator=",") == (
        [1234, 56789],
        ("'x': commas between thousands left out",),
    )


@pytest.mark.parametrize("cell", ["0x1F", "1_000", "1j", "1,2,3", "1.2.3", "12:30", "1 2", "1e", "--5", "٣x"])
def test_what_is_no_number(write, cell):
    with pytest.raises(InputError, match="not numeric: 'x'"):
        numbers(write, ["1", cell, "2"])


HEADERS = [
    ("a,b\n1,2\n3,4\n", ["a", "b"], 2),
    ("1.5,2\n3,4\n", ["column 1", "column 2"], 2),
    ("country,2019,2020\nx,1,2\ny,3,4\n", ["country", "2019", "2020"], 2),
    (",0,1,2\nx,1,2,3\ny,4,5,6\n", ["", "0", "1", "2"], 2),
    ("x1,x2,g\n1,2,F\n3,4,M\n", ["x1", "x2", "g"], 2),
    ("q 2,g\nyes,F\nno,M\n", ["q 2", "g"], 2),
]


@pytest.mark.parametrize(("content", "names", "rows"), HEADERS)
def test_header_or_data(write, content, names, rows):
    table = read_raw_table(write(content))
    assert (table.names, table.n_rows) == (names, rows)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("1,2,F\n3,4,M\n5,6,F\n", "'F'"),
        ("2001,2002,F\n2003,2004,M\n2005,2006,F\n", "'F'"),
        ("p,x,s\ne,x,s\np,y,s\n", "'p', 'x', 's'"),
        ("F;north\nM;south\nM;north\nF;south\n", "'F', 'north'"),
    ],
)
def test_a_first_line_whose_values_come_again_is_asked_about(write, content, shown):
    """Categories name no columns: the first row of a table without a header is not eaten."""
    path = write(content)
    with pytest.raises(
        InputError, match=rf"holds values that come again below it \({shown}\) and may be data.*--header"
    ):
        read_raw_table(path)
    assert read_raw_table(path, dialect=Dialect(header=False)).n_rows == content.count("\n")
    assert read_raw_table(path, dialect=Dialect(header=True)).n_rows == content.count("\n") - 1


def test_a_line_that_may_be_either_is_asked_about(write):
    path = write("39, State-gov, 77516\n50, Private, 83311\n38, Private, 215646\n")
    with pytest.raises(InputError, match=r"holds numbers \('39', '77516'\) and may be data.*--no-header.*--header"):
        read_raw_table(path)
    assert read_raw_table(path, dialect=Dialect(header=False)).n_rows == 3
    assert read_raw_table(path, dialect=Dialect(header=True)).names == ["39", "State-gov", "77516"]
    assert "taken as data" in read_table(write("5.5,1\n7,2\n8,3\n")).notes[0]
    with pytest.raises(InputError, match=r"read without a header.*column 1"):
        read_table(write("5.5,1\n7,2\n8,3\n"), sensitive="sex")


def test_what_is_told_is_not_found(write):
    assert read_raw_table(write("a;b,c\n1;2,3\n4;5,6\n"), dialect=Dialect(separator=",")).names == ["a;b", "c"]
    assert read_raw_table(write("x\ny\na,b\n1,2\n3,4\n"), dialect=Dialect(skip=2)).names == ["a", "b"]
    table = read_raw_table(write('a,b\n"1,2\n3,4\n'), dialect=Dialect(quote="none"))
    assert table.cells.column(0).to_pylist() == ['"1', "3"]
    assert read_raw_table(write("a,é\n1,2\n3,4\n".encode("cp1252")), dialect=Dialect(encoding="cp1252")).names[1] == "é"
    table = read_raw_table(write("п,г\n1,2\n3,4\n".encode("cp1251")), dialect=Dialect(encoding="cp1251"))
    assert table.names == ["п", "г"]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"separator": ",,"}, "separator is ',,'; expected one character"),
        ({"separator": "a"}, "separator is 'a'"),
        ({"separator": '"', "quote": '"'}, "are the same character"),
        ({"decimal": ";"}, r"decimal is ';'; expected \. or ,"),
        ({"decimal": ",", "thousands": ","}, "the same character"),
        ({"skip": -1}, "skip is -1"),
        ({"encoding": "utf-99"}, "encoding 'utf-99' is not known"),
        ({"encoding": "rot13"}, "no encoding of text|is not known"),
        ({"encoding": "utf-16"}, "is not 'utf-16' text"),
    ],
)
def test_faults_of_what_is_told(write, told, message):
    with pytest.raises(InputError, match=message):
        read_raw_table(write("a,b\n1,2\n3,4"), dialect=Dialect(**told))


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ('a,b\n"say ""no""",1\nx,2\n', ['say "no"', "x"]),
        ('a,b\nsay \\"no\\",1\nx,2\n', ['say "no"', "x"]),
        ('a,b\n"say \\"no\\", then",1\nx,2\n', ['say "no", then', "x"]),
        ('a,b\n"C:\\dir\\",1\n"D:\\",2\n', ["C:\\dir\\", "D:\\"]),
        ("a,b\nx\\,y,1\nz,2\n", ["x,y", "z"]),
        ("a,b\n'q',1\nit's,2\n", ["'q'", "it's"]),
        ("'a','b'\n'q,r','1'\n'it''s','2'\n", ["q,r", "it's"]),
        ('a;b\n5" pipe;1\n7";2\n', ['5" pipe', '7"']),
        ('a,b\n"two\nlines",1\nx,2\n', ["two\nlines", "x"]),
    ],
)
def test_quotes_and_escapes(write, content, cells):
    table = read_raw_table(write(content))
    assert table.names == ["a", "b"]
    assert table.cells.column(0).to_pylist() == cells


FAULTS = [
    ("a,b\n1,2\n3\n", r"has 1 field in row 2 \(line 3\) and 2 in its first line"),
    ("a,b\n1,2,3\n4,5,6\n", r"has 3 fields in row 1 \(line 2\) and 2 in its first line"),
    ("a,b\n1,2\n\n3,4,5\n", r"3 fields in row 2 \(line 4\)"),
    ("a,b,c\n1,5,2\n3,4,5,6\n", "put numbers with a decimal comma in quotes"),
    ('a,b\n1,"2\n3,4\n5,6\n', r"a quote that is never closed, in line .* --quote none"),
    (b"\x89PNG\r\n\x1a\n", "of no known format"),
    (bytes(range(1, 32)) * 20, "not a text file"),
    (b"a,b\n1,\0\n", "null bytes"),
    (b"PK\x03\x04 and so on", "is a zip archive"),
    ("a,b\n" + "1,2\n" * 3, None),
]


@pytest.mark.parametrize(("content", "message"), FAULTS)
def test_faults_name_their_cause_and_place(write, content, message):
    if message is None:
        assert read_raw_table(write(content)).n_rows == 3
        return
    with pytest.raises(InputError, match=message):
        read_raw_table(write(content))


def test_rows_are_counted_from_one_with_their_line_beside(write):
    content = '# remark\na,b\n1,"x\ny"\n\n2,z\n,w\n'
    with pytest.raises(InputError, match=r"'a' has 1 missing value, in row 3 \(line 7 of the file\)"):
        read_table(write(content), features="a")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zipped], ids=["gz", "bz2", "xz", "zip"])
def test_bombs_are_told_before_memory_is_gone(write, monkeypatch, pack):
    from fairjax.datasets.table import content

    monkeypatch.setattr(content, "FREE", 1 << 20)
    path = write(pack(b"a,b\n" + b"1,2\n" * 2_000_000), "bomb.zip" if pack is zipped else "bomb.csv")
    with pytest.raises(InputError, match="is packed from more than 1 MiB"):
        read_raw_table(path)


def attempt(path):
    """The table, or the sentence that says why there is none."""
    try:
        return read_raw_table(path)
    except InputError as error:
        return str(error)


CELL = st.text(st.characters(codec="cp1252", exclude_categories=["C", "Z"], exclude_characters="\\#"), max_size=6)
SPOKEN = st.one_of(
    CELL, st.sampled_from(["a,b", "c;d", 'say "no"', "two\nlines", "it's", "a|b", "x\ty", " lead", "1.5", "-3"])
)


@settings(
    derandomize=True, max_examples=60, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    rows=st.integers(2, 4).flatmap(
        lambda d: st.lists(st.lists(SPOKEN, min_size=d, max_size=d), min_size=2, max_size=6)
    ),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_the_csv_module_writes_is_read_to_the_same_cells(write, rows, separator, quoting, end, encoding):
    names = ["first", "second", "third", "fourth"][: len(rows[0])]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerows([names, *rows])
    table = attempt(write(stream.getvalue().encode(encoding)))
    if isinstance(table, str):
        assert re.search(r"quote|fields? in row|may be data or a header|one row only|no rows", table)
        return
    assert table.names == names
    found = [[cell or "" for cell in row] for row in zip(*(c.to_pylist() for c in table.cells.columns), strict=True)]
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows = rows[:-1]  # empty rows at the end are left out
    assert found == rows
