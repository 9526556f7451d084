"""The columns of a table of several files: the same in all of them, and numbers where numbers are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairjax._core.text import shown
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.datasets.block_files import BlockFile

_NARROW = 2  # bytes of whole numbers that float32 holds to the last digit


def check(
    files: Sequence[BlockFile], features: Sequence[str], others: Sequence[str], weights: str | None, all_taken: bool
) -> None:
    """Refuse files that lack a column, have one more where all are taken, or hold no numbers where these are wanted."""
    import pyarrow as pa

    first = files[0]
    for file in files:
        for name in (*features, *others):
            if name not in file.types:
                raise InputError(
                    f"{file.label} lacks the column {shown(name)}, which {first.label} has; expected the same columns "
                    "in all files"
                )
        more = [name for name in file.types if name not in first.types]
        if all_taken and more:
            raise InputError(
                f"{file.label} has the column {shown(more[0])}, which {first.label} lacks; expected the same columns "
                "in all files, or name those to cluster on by features"
            )
    for name in (*features, *others):
        # a file without rows may not know the type of its columns
        told = [file for file in files if not pa.types.is_null(file.types[name])]
        for file in told:
            kind, usual = file.types[name], told[0].types[name]
            if kind != usual and not (_is_number(kind) and _is_number(usual)):
                raise InputError(
                    f"the column {shown(name)} is of type {usual} in {told[0].label} and {kind} in {file.label}; "
                    "expected one type in all files"
                )
            if (name in features or name == weights) and not _is_number(kind):
                raise InputError(
                    f"the column {shown(name)} of {file.label} holds {_worded(kind)}, no numbers; leave it out, or "
                    "encode it first"
                )


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _worded(kind: Any) -> str:
    import pyarrow as pa

    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    return "text" if text else "dates" if pa.types.is_temporal(kind) else str(kind)


def is_narrow(kind: Any) -> bool:
    """Whether float32 holds the values of this type to the last digit."""
    import pyarrow as pa

    if pa.types.is_floating(kind):
        return bool(kind.bit_width <= 32)
    return bool(pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and kind.bit_width <= 8 * _NARROW))
