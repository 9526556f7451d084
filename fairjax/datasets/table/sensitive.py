"""The sensitive columns of a table: those that are named, or the array that an NPZ archive brings for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fairjax._core.text import shown
from fairjax.datasets.table.columns import Column, infer
from fairjax.datasets.table.rawtable import RawTable, unknown_column
from fairjax.errors import InputError

_OWN = ("sensitive", "groups")  # arrays of an NPZ archive that are taken without being asked


def sensitive_columns(table: RawTable, names: Sequence[str]) -> list[Column]:
    """Return the columns of the names, in their order; for none, the archive's own array if it has one.

    Raises
    ------
    InputError
        For a name that no column has, one named twice, and an array that is no column of plain values.
    """
    if not names:
        names = [key for key in _OWN if key in table.arrays][:1]
    found: list[Column] = []
    for name in names:
        if any(name == column.name for column in found):
            raise InputError(f"the sensitive column {shown(name)} is named twice; name each column once")
        if name in table.arrays:
            found.append(_from_array(table, name))
            continue
        position = table.position(name)
        if position is None:
            raise unknown_column(name, table, " for --sensitive")
        found.append(infer(table, position))
    return found


def _from_array(table: RawTable, name: str) -> Column:
    import pyarrow as pa

    array = table.arrays[name]
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "backslashreplace")
    if array.dtype.kind == "M":
        array = array.astype("datetime64[ms]")
    if array.shape != (table.n_rows,) or array.dtype.kind not in "biufUM":
        raise InputError(
            f"the array {shown(name)} has shape {array.shape} and type {array.dtype}; "
            f"expected ({table.n_rows},) numbers, strings or dates"
        )
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
    cells = pa.table({"0": pa.array(array)})
    return infer(replace(table, names=[name], cells=cells, dialect=None), 0)
