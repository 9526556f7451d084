"""The front door: which format a file has, and its cells."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from fairjax.datasets.table.content import Content, fetch_content
from fairjax.datasets.table.delimited import read_delimited
from fairjax.datasets.table.dialect import Dialect
from fairjax.datasets.table.excel import read_excel
from fairjax.datasets.table.rawtable import RawTable, tidy
from fairjax.datasets.table.typed import read_arrow, read_npz, read_parquet
from fairjax.errors import InputError

FORMATS = "CSV, TSV or other text, Parquet, Arrow, Excel (.xlsx) or NPZ"
_PARQUET = (".parquet", ".pq")
_ARROW = (".feather", ".arrow", ".ipc")
_EXCEL = (".xlsx", ".xlsm")
_FOREIGN = {
    ".xls": "an old Excel file", ".xlsb": "a binary Excel file", ".ods": "an OpenDocument sheet",
    ".json": "JSON", ".jsonl": "JSON", ".ndjson": "JSON", ".sav": "an SPSS file", ".dta": "a Stata file",
    ".sas7bdat": "a SAS file", ".xpt": "a SAS file", ".rds": "an R file", ".rda": "an R file", ".rdata": "an R file",
    ".pkl": "a Python pickle", ".pickle": "a Python pickle", ".npy": "a single NumPy array", ".h5": "an HDF5 file",
    ".hdf5": "an HDF5 file", ".mat": "a MATLAB file", ".db": "a database", ".sqlite": "a database", ".pdf": "a PDF",
    ".html": "a web page", ".htm": "a web page", ".doc": "a text document", ".docx": "a text document",
    ".tar": "an archive", ".tgz": "an archive", ".7z": "an archive", ".rar": "an archive", ".orc": "an ORC file",
    ".avro": "an Avro file", ".arff": "an ARFF file", ".png": "an image", ".jpg": "an image",
}  # fmt: skip
# how files of other formats begin that come under a table's name, often by a download that went wrong
_BEGINNINGS = (
    (rb"<(!doctype html|html|head|body)\b", "a web page"),
    (rb"<\?xml\b", "XML"),
    (rb"\{\\rtf", "a rich text document"),
    (rb"(\[\s*[\[{\"]|\{\s*[\"}])", "JSON"),
    (rb"version https://git-lfs\.github\.com/", "a pointer of Git LFS in the file's place (git lfs pull brings it)"),
    (rb"(%[^\n]*\n|\s)*@relation\b", "an ARFF file"),
    (rb"rdx[23]\n", "an R file"),
)


def read_raw_table(
    source: str | os.PathLike[str], *, dialect: Dialect | None = None, download: bool = False, least_rows: int = 2
) -> RawTable:
    r"""Read the cells of a table; its format is told by the file's name or its first bytes.

    Parameters
    ----------
    source : path
        A file, ``"-"`` for standard input, or with ``download`` an address.
    dialect : Dialect or None
        What is known of how a text file is written; None finds out.
    download : bool
        Whether an address may be fetched.
    least_rows : int
        Fewer rows are refused.

    Raises
    ------
    InputError
        When there is no such file, its content is not of a known format, or names or rows are unfit.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "people.txt")
    ...     _ = file.write_text("age;income\n20;1,5\n30;2,5\n")
    ...     table = read_raw_table(file)
    >>> table.names, table.n_rows, table.dialect.separator, table.dialect.decimal
    (['age', 'income'], 2, ';', ',')
    """
    content = fetch_content(source, download=download)
    table = tidy(_read(content, dialect or Dialect()), least_rows)
    if _is_typed(content) and len(content.data) < table.cells.nbytes:
        return replace(table, again=lambda: tidy(_read(content, Dialect()), least_rows))
    return table


def _is_typed(content: Content) -> bool:
    """Whether the file holds columns of types, which take little time to read once more."""
    return content.suffix in (*_PARQUET, *_ARROW) or content.data.startswith((b"PAR1", b"ARROW1"))


def _read(content: Content, told: Dialect) -> RawTable:
    suffix, data = content.suffix, content.data
    if suffix in _FOREIGN:
        raise InputError(
            f"{content.label} is {_FOREIGN[suffix]}, of no format that is read here; save it as CSV or Parquet"
        )
    if not data:
        raise InputError(f"{content.label} is empty; expected a table with a header and at least two rows")
    if suffix in _PARQUET or data.startswith(b"PAR1"):
        return read_parquet(content)
    if suffix in _ARROW or data.startswith(b"ARROW1"):
        return read_arrow(content)
    if suffix == ".npz":
        return read_npz(content)
    if suffix in _EXCEL:
        return read_excel(content, told)
    if data.startswith(b"PK\x03\x04"):
        if b"xl/" in data:
            return read_excel(content, told)
        raise InputError(f"{content.label} is a zip archive, of no known format; give it its true ending: {FORMATS}")
    if data.startswith(
        (b"\xd0\xcf\x11\xe0", b"%PDF", b"SQLite format 3", b"\x89HDF", b"\x89PNG", b"\x93NUMPY", b"7z\xbc")
    ):
        raise InputError(f"{content.label} is of no known format; expected {FORMATS}")
    begins = data[:2000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for pattern, what in _BEGINNINGS:
        if re.match(pattern, begins):
            raise InputError(f"{content.label} is {what}, whatever its name says; save the table as CSV or Parquet")
    return read_delimited(content, told)
