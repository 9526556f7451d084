"""Tables of typed formats: Parquet, Arrow (Feather), Excel and NPZ."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax._core.text import listed, reason, shown
from fairjax.datasets.table.content import Content, bound, too_large
from fairjax.datasets.table.rawtable import RawTable
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_LONG_TEXT = 2**31  # bytes of text that need longer offsets
_CELL = 8  # bytes of a number
_SIDE_ARRAYS = ("sensitive", "groups", "y", "target")


def read_parquet(content: Content) -> RawTable:
    """Read a Parquet file; pandas' index, where it is no range, is a column like others."""
    import pyarrow.parquet as pq

    try:
        source = pq.ParquetFile(io.BytesIO(content.data))
        cells = source.metadata.num_rows * max(source.metadata.num_columns, 1)
        if cells * _CELL > 64 * bound(len(content.data)):
            raise too_large(content.label, len(content.data))
        table = source.read()
        table.validate(full=True)  # damaged text would show itself only later
    except InputError:
        raise
    except Exception as error:  # whatever the parser meets in a user's bytes is a fault of the file
        raise InputError(
            f"{content.label} cannot be read as Parquet ({reason(error)}); write it again or give a CSV file"
        ) from error
    return _from_arrow(table, content)


def read_arrow(content: Content) -> RawTable:
    """Read a Feather file or an Arrow stream."""
    import pyarrow as pa
    from pyarrow import feather

    try:
        if content.data.startswith(b"ARROW1"):
            table = feather.read_table(pa.BufferReader(content.data))
        else:
            table = pa.ipc.open_stream(content.data).read_all()
        table.validate(full=True)  # damaged text would show itself only later
    except Exception as error:  # whatever the parser meets in a user's bytes is a fault of the file
        raise InputError(
            f"{content.label} cannot be read as an Arrow file ({reason(error)}); write it again or give a CSV file"
        ) from error
    return _from_arrow(table, content)


def _from_arrow(table: pa.Table, content: Content) -> RawTable:
    import json

    import pyarrow as pa

    names = [str(name) for name in table.column_names]
    index: list[str] = []
    try:
        hints = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
        index = [name for name in hints.get("index_columns", []) if isinstance(name, str)]
    except (ValueError, AttributeError, TypeError):
        pass  # other writers may put what they like there
    kept = [i for i, name in enumerate(names) if not (name in index and name.startswith("__index"))]
    cells = pa.table({str(place): _plain_text(table.column(i)) for place, i in enumerate(kept)})
    names = [names[i] for i in kept]
    return RawTable(
        names=[name.strip() for name in names],
        cells=cells,
        label=content.label,
        aside=frozenset(i for i, name in enumerate(names) if name in index),
    )


def _plain_text(column: Any) -> Any:
    """Return text of any layout (views, categories) in the one that Arrow's functions on text all take."""
    import pyarrow as pa

    coded = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if coded else column.type
    if not (pa.types.is_string_view(kind) or (pa.types.is_large_string(kind) and column.nbytes < _LONG_TEXT)):
        return column
    if not coded:
        return column.cast(pa.string())
    chunks = [chunk.dictionary.cast(pa.string()).take(chunk.indices) for chunk in column.chunks]
    return pa.chunked_array(chunks, pa.string())


def read_excel(content: Content, header: bool | None) -> RawTable:
    """Read the first sheet of an Excel workbook (needs openpyxl)."""
    try:
        import openpyxl
    except ImportError as error:
        raise InputError(
            f"{content.label} is an Excel file, and reading it needs openpyxl: pip install 'fairjax[xlsx]', or save "
            "the sheet as CSV"
        ) from error
    import warnings

    try:
        _check_sizes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(content.data), read_only=True, data_only=True)
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
            if not sheets:
                raise ValueError("it has no sheet with cells")
            rows = [list(row) for row in sheets[0].iter_rows(values_only=True)]
    except InputError:
        raise
    except Exception as error:  # whatever the parser meets in a user's bytes is a fault of the file
        raise InputError(
            f"{content.label} cannot be read as an Excel file ({reason(error)}); save it anew as .xlsx or as CSV"
        ) from error
    notes: list[str] = []
    if len(sheets) > 1:
        notes.append(f"read the first sheet, {shown(sheets[0].title)}, of {len(sheets)}")
    return _from_rows(rows, content, header, notes)


def _check_sizes(content: Content) -> None:
    with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > bound(len(content.data)):
            raise too_large(content.label, len(content.data))


def _from_rows(rows: list[list[Any]], content: Content, header: bool | None, notes: list[str]) -> RawTable:
    """Lay out the rows of a sheet: empty ones before the table are passed over, short ones filled up."""
    import pyarrow as pa

    from fairjax.datasets.table.header import has_header

    first = next((i for i, row in enumerate(rows) if any(cell not in (None, "") for cell in row)), None)
    if first is None:
        raise InputError(f"{content.label} is empty; expected a table with a header and at least two rows")
    rows = rows[first:]
    width = max(map(len, rows))
    rows = [row + [None] * (width - len(row)) for row in rows]
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows[:20]]
    if header is None:
        header, remark = has_header(texts[0], texts[1:], content.label)
        notes += [remark] if remark else []
    names = [cell.strip() for cell in texts[0]] if header else [f"column {i + 1}" for i in range(width)]
    body = rows[1:] if header else rows
    columns = [_cells_of(cells) for cells in zip(*body, strict=True)] if body else [pa.array([], pa.string())] * width
    start = first + 1 + (1 if header else 0)
    return RawTable(
        names=names,
        cells=pa.table({str(i): column for i, column in enumerate(columns)}),
        label=content.label,
        notes=tuple(notes),
        line_of=lambda row: row + start,
    )


def _cells_of(values: tuple[Any, ...]) -> pa.Array:
    """Return the cells of one column: of one type as that type, of several as text."""
    import datetime

    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None and value != ""}
    values = tuple(None if value == "" else value for value in values)
    if kinds == {int} and all(v is None or abs(v) < 2**62 for v in values):
        return pa.array(values, pa.int64())
    if kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= {datetime.datetime, datetime.date}:
        return pa.array(
            [datetime.datetime(v.year, v.month, v.day) if type(v) is datetime.date else v for v in values],
            pa.timestamp("us"),
        )
    return pa.array([None if v is None else str(v) for v in values], pa.string())


def read_npz(content: Content) -> RawTable:
    """Read an archive of NumPy arrays: ``X`` and what stands beside it."""
    import pyarrow as pa

    label = content.label
    arrays = _arrays(content)
    if "X" not in arrays:
        raise InputError(
            f"{label} has no array 'X' (found {listed(list(arrays)) if arrays else 'nothing'}); "
            "store the points as X, shape (n, d)"
        )
    X = arrays.pop("X")
    if X.ndim != 2:
        raise InputError(f"{label} has X of shape {X.shape}; expected two axes, (n, d)")
    if X.dtype.kind not in "biuf":
        raise InputError(f"{label} has X of type {X.dtype}; expected real numbers")
    if X.shape[1] == 0:
        raise InputError(f"{label} has X of shape {X.shape}, without columns; expected at least one")
    for key in _SIDE_ARRAYS:
        if key in arrays and arrays[key].shape != X.shape[:1]:
            raise InputError(
                f"{label} has {key!r} of shape {arrays[key].shape} beside X of shape {X.shape}; expected ({len(X)},)"
            )
    given = arrays.pop("feature_names", np.array([f"x{j}" for j in range(X.shape[1])]))
    if given.shape != X.shape[1:]:
        raise InputError(f"{label} has feature_names of shape {given.shape}; expected ({X.shape[1]},) for its X")
    wide = np.ascontiguousarray(X.T if X.dtype.kind == "b" else X.astype(np.float64, copy=False).T)
    cells = pa.table({str(i): pa.array(wide[i]) for i in range(len(wide))})
    return RawTable(names=[str(n).strip() for n in given], cells=cells, label=label, arrays=arrays)


def _arrays(content: Content) -> dict[str, npt.NDArray[Any]]:
    try:
        if not content.data.startswith(b"PK"):
            raise ValueError("it is no archive of named arrays, as numpy.savez writes it")
        with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
            for member in archive.infolist():
                _check_member(archive, member, content)
        archive = np.load(io.BytesIO(content.data), allow_pickle=False)
        with archive:
            arrays = {key: archive[key] for key in archive.files}
    except InputError:
        raise
    except Exception as error:  # whatever the parser meets in a user's bytes is a fault of the file
        raise InputError(
            f"{content.label} cannot be read as NPZ ({reason(error)}); write it with numpy.savez, without pickled "
            "objects"
        ) from error
    strangers = [key for key, value in arrays.items() if not isinstance(value, np.ndarray)]
    if strangers:
        raise InputError(
            f"{content.label} cannot be read as NPZ (its member {shown(strangers[0])} is no array); "
            "write it with numpy.savez, without pickled objects"
        )
    return arrays


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, content: Content) -> None:
    """Refuse a member that unpacks to, or claims, more than its archive can hold."""
    if member.file_size > bound(len(content.data)):
        raise too_large(content.label, len(content.data))
    if not PurePath(member.filename).name.endswith(".npy"):
        return
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    if dtype.itemsize * int(np.prod(shape, dtype=object)) > member.file_size:
        raise ValueError(f"{member.filename} is shorter than its shape {shape} says")
