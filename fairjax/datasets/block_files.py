"""Files with tables, each read in batches of rows: Parquet, text, Arrow and NPZ.

A file is looked at once for its columns, and read as often as it is asked to be, never as a whole.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fairjax._core.text import counted, listed, reason, shown, visible
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_KINDS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".feather": "arrow",
    ".arrow": "arrow", ".ipc": "arrow", ".npz": "npz",
}  # fmt: skip
FORMATS = "Parquet, CSV, TSV, Arrow (.feather, .arrow) or NPZ"
_EDGE = 1 << 16  # bytes at both ends of a file that its fingerprint is taken of
_TEXT_BLOCK = 1 << 22  # bytes


class Seen(NamedTuple):
    """What tells that a file is the one it was: bytes, and nanoseconds of its last change."""

    size: int
    time: int


@dataclass(frozen=True, kw_only=True)
class BlockFile:
    """One file of a table.

    Attributes
    ----------
    path : of the file. kind : "parquet", "csv", "arrow" or "npz". separator : of text.
    types : type of each column by its name, as Arrow has it. aside : columns that are no features unless they are
    named, the arrays beside X. n_rows : where the file tells it without being read.
    seen : when it was looked at. row_groups : rows of each, of Parquet.
    span : the first of these that is read and the one after the last; None for all.
    """

    path: Path
    kind: str
    separator: str
    types: dict[str, pa.DataType]
    aside: tuple[str, ...]
    n_rows: int | None
    seen: Seen
    row_groups: tuple[int, ...] = ()
    span: tuple[int, int] | None = None

    @property
    def first_row(self) -> int:
        """Rows of the file before those that are read."""
        return 0 if self.span is None else sum(self.row_groups[: self.span[0]])

    def part(self, begin: int, end: int) -> BlockFile:
        """The same file, of which only these row groups are read."""
        n_rows = sum(self.row_groups[begin:end])
        return replace(self, span=(begin, end), n_rows=n_rows)

    @property
    def label(self) -> str:
        """What to call it in a sentence."""
        return visible(self.path, 200)

    def check_unchanged(self) -> None:
        """InputError if the file is not as it was."""
        with _told(self.path):
            now = _seen(self.path)
        if now != self.seen:
            what = "its size" if now.size != self.seen.size else "its time of change"
            raise InputError(
                f"{self.label} changed since it was first read ({what} is another); let files be while they are in "
                "use, and begin again"
            )

    def fingerprint(self) -> dict[str, Any]:
        """Name, size, rows, and a digest of both ends of the file, where formats keep what is in between."""
        with _told(self.path), open(self.path, "rb") as stream:
            digest = hashlib.sha256(stream.read(_EDGE))
            stream.seek(max(self.seen.size - _EDGE, 0))
            digest.update(stream.read(_EDGE))
        return {
            "name": self.path.name,
            "size": self.seen.size,
            "rows": self.n_rows if self.span is None else sum(self.row_groups),
            "ends": digest.hexdigest()[:32],
        }

    def batches(self, names: Sequence[str], numbers: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """These columns, up to so many rows at a time; those of ``numbers`` in text are read as numbers."""
        import pyarrow as pa

        with _told(self.path):
            try:
                if self.kind == "parquet":
                    yield from _parquet_batches(self.path, names, rows, self.span)
                elif self.kind == "npz":
                    yield from _npz_batches(self.path, names, rows)
                elif self.kind == "arrow":
                    yield from _dataset(self.path, "ipc").to_batches(columns=list(names), batch_size=rows, **_AHEAD)
                else:
                    yield from _text_batches(self.path, self.separator, names, numbers, rows)
            finally:
                # Arrow keeps freed memory for the next file: a hundred megabytes and more
                pa.default_memory_pool().release_unused()


_AHEAD: dict[str, int] = {"batch_readahead": 2, "fragment_readahead": 1}


def look(path: Path, separator: str | None = None) -> BlockFile:
    """Find out which columns a file has; O(1) for formats that tell them apart.

    Raises
    ------
    InputError
        If the file is of no known format, damaged, or has a name twice.
    """
    kind, own = kind_of(path)
    separator = own if separator is None else separator
    n_rows: int | None = None
    aside: tuple[str, ...] = ()
    row_groups: tuple[int, ...] = ()
    with _told(path):
        seen = _seen(path)
        if kind == "parquet":
            import pyarrow.parquet as pq

            with pq.ParquetFile(path) as file:
                schema, told = file.schema_arrow, file.metadata
                n_rows = told.num_rows
                row_groups = tuple(told.row_group(number).num_rows for number in range(told.num_row_groups))
        elif kind == "npz":
            schema, aside, n_rows = _npz_schema(path)
        elif kind == "arrow":
            schema = _dataset(path, "ipc").schema
        else:
            schema = _text_schema(path, separator)
    names = [name.strip() for name in schema.names] if kind == "csv" else list(schema.names)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{visible(path, 200)} has two columns named {shown(twice[0])}; give each its own name")
    types = dict(zip(names, schema.types, strict=True))
    return BlockFile(
        path=path, kind=kind, separator=separator, types=types, aside=aside, n_rows=n_rows, seen=seen,
        row_groups=row_groups,
    )  # fmt: skip


def kind_of(path: Path) -> tuple[str, str]:
    """Format of a file by its name, and what parts the cells of text; InputError for another one."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    suffix = suffixes[-2 if packed else -1] if len(suffixes) > packed else ""
    kind = _KINDS.get(suffix, "")
    if not kind or (packed and kind != "csv"):
        raise InputError(f"{visible(path, 200)} is of no format that is read in blocks; expected {FORMATS}")
    return kind, "\t" if suffix == ".tsv" else ","


def is_known(path: Path) -> bool:
    """Whether the name is that of a known format."""
    try:
        kind_of(path)
    except InputError:
        return False
    return True


def _seen(path: Path) -> Seen:
    found = os.stat(path)
    return Seen(found.st_size, found.st_mtime_ns)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever a reader meets in a file is told of that file."""
    import pyarrow as pa

    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{visible(path, 200)} does not exist, or no longer; check the path") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, pa.ArrowException) as error:
        raise InputError(
            f"{visible(path, 200)} cannot be read ({reason(error)}); write it again, or leave it out"
        ) from error


def _parquet_batches(
    path: Path, names: Sequence[str], rows: int, span: tuple[int, int] | None = None
) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    # only so much of a row group is held as the batch at hand needs
    with pq.ParquetFile(path, buffer_size=1 << 20) as file:
        groups = None if span is None else list(range(*span))
        yield from file.iter_batches(batch_size=rows, columns=list(names), row_groups=groups)


def _dataset(path: Path, form: Any) -> Any:
    import pyarrow.dataset as ds

    return ds.dataset(path, format=form)


def _text_schema(path: Path, separator: str) -> pa.Schema:
    from pyarrow import csv

    with csv.open_csv(path, parse_options=csv.ParseOptions(delimiter=separator)) as reader:
        return reader.schema


def _text_batches(
    path: Path, separator: str, names: Sequence[str], numbers: Sequence[str], rows: int
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from pyarrow import csv

    inside = {name.strip(): name for name in _text_schema(path, separator).names}
    # a column may begin with whole numbers and go on with others
    types: Any = {inside[name]: pa.float64() for name in numbers}
    form = ds.CsvFileFormat(
        parse_options=csv.ParseOptions(delimiter=separator),
        read_options=csv.ReadOptions(block_size=_TEXT_BLOCK),
        convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True),
    )
    source = ds.dataset(path, format=form)
    for batch in source.to_batches(columns=[inside[name] for name in names], batch_size=rows, **_AHEAD):
        yield batch.rename_columns(list(names))


def _npz_members(path: Path) -> dict[str, tuple[tuple[int, ...], bool, np.dtype[Any]]]:
    """Shape, order and type of each array."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as stream:
                found[name.removesuffix(".npy")] = _header(stream)
    return found


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    npy = np.lib.format
    read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
    return read(stream)


def _npz_names(path: Path, n_features: int) -> list[str]:
    with np.load(path, allow_pickle=False) as archive:
        if "feature_names" in archive.files and archive["feature_names"].shape == (n_features,):
            return [str(name).strip() for name in archive["feature_names"]]
    return [f"x{j}" for j in range(n_features)]


def _npz_schema(path: Path) -> tuple[pa.Schema, tuple[str, ...], int]:
    import pyarrow as pa

    members = _npz_members(path)
    shape, _, dtype = members.get("X", ((), False, np.dtype(object)))
    if len(shape) != 2 or dtype.kind not in "biuf":
        raise InputError(
            f"{visible(path, 200)} has no array 'X' of numbers with two axes (found {listed(list(members))}); store "
            "the points as X, shape (n, d)"
        )
    fields = [(name, pa.from_numpy_dtype(dtype)) for name in _npz_names(path, shape[1])]
    for name, (own, _, kind) in members.items():
        if name not in ("X", "feature_names") and own == shape[:1] and kind.kind in "biufU":
            fields.append((name, pa.string() if kind.kind == "U" else pa.from_numpy_dtype(kind)))
    return pa.schema(fields), tuple(name for name, _ in fields[shape[1] :]), shape[0]


def _npz_batches(path: Path, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    members = _npz_members(path)
    n_rows, n_features = members["X"][0]
    places = {name: j for j, name in enumerate(_npz_names(path, n_features))}
    with zipfile.ZipFile(path) as archive:
        wanted = ["X", *(name for name in names if name not in places)]
        streams = {name: _NpzStream(archive, f"{name}.npy") for name in wanted}
        try:
            for first in range(0, n_rows, rows):
                parts = {name: stream.rows(min(rows, n_rows - first)) for name, stream in streams.items()}
                columns = parts.pop("X").T
                arrays = [np.ascontiguousarray(columns[places[n]]) if n in places else parts[n] for n in names]
                yield pa.RecordBatch.from_arrays([pa.array(array) for array in arrays], names=list(names))
        finally:
            for stream in streams.values():
                stream.close()


class _NpzStream:
    """An array of an archive, some rows at a time; one in Fortran's order is read as a whole."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._stream = archive.open(name)
        self._shape, fortran, self._dtype = _header(self._stream)
        self._done = 0
        self._whole: Any = None
        if fortran and len(self._shape) > 1:
            self._whole = np.frombuffer(self._stream.read(), self._dtype).reshape(self._shape, order="F")

    def rows(self, n: int) -> Any:
        if self._whole is not None:
            self._done += n
            return self._whole[self._done - n : self._done]
        width = int(np.prod(self._shape[1:], dtype=np.intp)) * self._dtype.itemsize
        content = self._stream.read(n * width)
        if len(content) != n * width:
            raise ValueError(f"an array ends before its {counted(self._shape[0], 'row')}")
        return np.frombuffer(content, self._dtype).reshape(n, *self._shape[1:])

    def close(self) -> None:
        self._stream.close()
