"""Tables of typed formats: Parquet, Arrow (Feather) and NPZ."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source = pq.ParquetFile(pa.BufferReader(content.data))
        cells = source.metadata.num_rows * max(source.metadata.num_columns, 1)
        if cells * _CELL > 64 * bound(len(content.data)):
            raise too_large(content.label, len(content.data))
        table = source.read(use_threads=False)
        table.validate(full=True)  # damaged text would show itself only later
        pa.default_memory_pool().release_unused()  # what decoding took
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
    cells = pa.table({str(place): _plain_layout(table.column(i)) for place, i in enumerate(kept)})
    names = [names[i] for i in kept]
    return RawTable(
        names=[name.strip() for name in names],
        cells=cells,
        label=content.label,
        aside=frozenset(i for i, name in enumerate(names) if name in index),
    )


def _plain_layout(column: Any) -> Any:
    """Return values of any layout (runs, views, types of an extension) in the one that Arrow's functions all take.

    Bytes that are UTF-8 are text: several writers leave out the mark that says so.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column.type, pa.BaseExtensionType):
        return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_run_end_encoded(column.type):
        column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        with suppress(pa.ArrowInvalid):  # bytes of another kind
            return column.cast(pa.string() if column.nbytes < _LONG_TEXT else pa.large_string())
    return _plain_text(column)


def _plain_text(column: Any) -> Any:
    """Return text as views or categories as plain text."""
    import pyarrow as pa

    coded = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if coded else column.type
    if not (pa.types.is_string_view(kind) or (pa.types.is_large_string(kind) and column.nbytes < _LONG_TEXT)):
        return column
    if not coded:
        return column.cast(pa.string())
    chunks = [chunk.dictionary.cast(pa.string()).take(chunk.indices) for chunk in column.chunks]
    return pa.chunked_array(chunks, pa.string())


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
