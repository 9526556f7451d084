"""From the bytes of a user's CSV, Parquet or NPZ file to columns; every fault of the file is one sentence."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax.datasets.files import read_bytes, unpack
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_EXPECTED = ".csv or .tsv (plain or .gz), .parquet or .npz"


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """Columns as the file has them, by position, since names may be missing or repeated.

    Attributes
    ----------
    frame : DataFrame, n rows, columns labelled 0 to d - 1
    names : list of str, length d
    arrays : mapping
        The arrays beside ``X`` in an NPZ file; empty for other formats.
    """

    frame: pd.DataFrame
    names: list[str]
    arrays: Mapping[str, npt.NDArray[Any]]


def read_raw_table(path: str | os.PathLike[str]) -> RawTable:
    """Read a table; its format is told by the file's name.

    Raises
    ------
    InputError
        When there is no such file, its name or content is not of a known format, or names or rows are unfit.
    """
    file = Path(os.path.expanduser(path))
    exists, directory = _look(file)
    if directory:
        raise InputError(f"{file} is a directory; give the path of one {_EXPECTED} file")
    suffixes = [suffix.lower() for suffix in file.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[-2:-1] if packed else suffixes[-1:])
    if kind not in (*_SEPARATORS, ".parquet", ".pq", ".npz") or (packed and kind not in _SEPARATORS):
        raise InputError(f"{file} is of no known format; expected a file whose name ends in {_EXPECTED}")
    if not exists:
        raise InputError(f"{file} does not exist; check the path")
    content = read_bytes(file)
    if packed:
        content = unpack(content, file)
    if not content:
        raise InputError(f"{file} is empty; expected a table with a header and at least two rows")
    if kind in _SEPARATORS:
        table = _read_delimited(content, file, _SEPARATORS[kind])
    elif kind == ".npz":
        table = _read_npz(content, file)
    else:
        table = _read_parquet(content, file)
    _check_names(table.names, file)
    if len(table.frame) < 2:
        found = "a header but no rows" if len(table.frame) == 0 else "one row only"
        raise InputError(f"{file} has {found}; clustering needs at least two rows")
    return table


def _look(file: Path) -> tuple[bool, bool]:
    """Whether there is something at the path, and whether it is a directory."""
    try:
        return file.exists(), file.is_dir()
    except (OSError, ValueError) as error:  # no right to look, too long a name, a null byte
        raise InputError(f"{str(file)!r} cannot be opened ({error}); check the path") from error


def _read_delimited(content: bytes, file: Path, separator: str) -> RawTable:
    import pandas as pd

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if "\0" in text:
        raise InputError(f"{file} is not a text file (it holds null bytes); save it as UTF-8 text")
    if not text.strip():
        raise InputError(f"{file} is empty; expected a table with a header and at least two rows")
    first_line = text.lstrip().split("\n", 1)[0]
    if separator == "," and "," not in first_line and ";" in first_line:
        separator = ";"  # as spreadsheets of many countries write it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pd.errors.ParserWarning)  # given when surplus fields are dropped
            header = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                header=None,
                nrows=1,
                dtype=str,
                na_filter=False,
                skipinitialspace=True,
            )
            names = [str(name).strip() for name in header.iloc[0]]
            frame = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                header=0,
                names=list(range(len(names))),
                index_col=False,
                skipinitialspace=True,
                low_memory=False,
            )
    except Exception as error:  # whatever the parser meets in a user's bytes is a fault of the file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{file} cannot be read as a table ({reason}); give every row as many fields as the header"
        ) from error
    if frame.iloc[:, -1].isna().any():
        _check_short_rows(text, separator, len(names), file)
    return RawTable(frame=frame, names=names, arrays={})


def _check_short_rows(text: str, separator: str, width: int, file: Path) -> None:
    """Tell a row that ends early from one whose last cell is empty; the parser fills in both."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        rows = (row for row in reader if row and row != [""])
        next(rows)
        for number, row in enumerate(rows, start=1):
            if len(row) < width:
                raise InputError(
                    f"{file} has {len(row)} fields in row {number} and {width} in its header; "
                    "give every row as many fields as the header"
                )
    except csv.Error as error:
        raise InputError(f"{file} cannot be read as a table ({error}); check its quotes") from error


def _read_parquet(content: bytes, file: Path) -> RawTable:
    import pyarrow.parquet as pq

    try:
        names = [str(name) for name in pq.read_schema(io.BytesIO(content)).names]
        _check_names(names, file)  # first, since pandas refuses repeated names in words of its own
        frame = pq.read_table(io.BytesIO(content)).to_pandas().reset_index(drop=True)
    except InputError:
        raise
    except Exception as error:  # whatever the parser meets in a user's bytes is a fault of the file
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"{file} cannot be read as Parquet ({reason}); write it again or give a CSV file") from error
    names = [str(name) for name in frame.columns]
    frame.columns = range(len(names))
    return RawTable(frame=frame, names=names, arrays={})


def _read_npz(content: bytes, file: Path) -> RawTable:
    import pandas as pd

    try:
        archive = np.load(io.BytesIO(content), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array, not an archive of named ones")
        with archive:
            arrays = {key: archive[key] for key in archive.files}
    except Exception as error:  # whatever the parser meets in a user's bytes is a fault of the file
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(
            f"{file} cannot be read as NPZ ({reason}); write it with numpy.savez, without pickled objects"
        ) from error
    if "X" not in arrays:
        found = ", ".join(map(repr, arrays)) or "nothing"
        raise InputError(f"{file} has no array 'X' (found {found}); store the points as X, shape (n, d)")
    X = arrays.pop("X")
    if X.ndim != 2:
        raise InputError(f"{file} has X of shape {X.shape}; expected two axes, (n, d)")
    if X.dtype.kind not in "biuf":
        raise InputError(f"{file} has X of type {X.dtype}; expected real numbers")
    if X.shape[1] == 0:
        raise InputError(f"{file} has X of shape {X.shape}, without columns; expected at least one")
    for key in ("sensitive", "groups", "y", "target"):
        if key in arrays and arrays[key].shape != X.shape[:1]:
            raise InputError(
                f"{file} has {key!r} of shape {arrays[key].shape} beside X of shape {X.shape}; expected ({len(X)},)"
            )
    given = arrays.pop("feature_names", np.array([f"x{j}" for j in range(X.shape[1])]))
    if given.shape != X.shape[1:]:
        raise InputError(f"{file} has feature_names of shape {given.shape}; expected ({X.shape[1]},) for its X")
    return RawTable(frame=pd.DataFrame(X), names=[str(name) for name in given], arrays=arrays)


def _check_names(names: list[str], file: Path) -> None:
    if not names:
        raise InputError(f"{file} has no columns; expected a table with at least one")
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if name and name in seen:
            raise InputError(
                f"{file} has two columns named {name!r} (columns {seen[name]} and {position}); give each its own name"
            )
        seen[name] = position
