"""Archives of plain arrays and one JSON text, read with no trust in where they come from.

An archive is an NPZ file without compression: arrays of numbers by name, and a JSON object as bytes. Nothing in it is
executed, since pickles are refused, and nothing larger than the file itself is allocated.
"""

import io
import json
import math
import os
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from fairjax._core.atomic import replacing
from fairjax.errors import InputError

Arrays = dict[str, npt.NDArray[Any]]

_WORDS = "words"
_ENDING = ".npy"
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_LONGEST = 160  # characters of a message that quotes the file
# what the readers of ZIP, NPY and JSON raise for content that they do not expect
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    RuntimeError,
    SyntaxError,
    OverflowError,
    MemoryError,
    Warning,
    struct.error,
    zipfile.BadZipFile,
)


Target = str | os.PathLike[str] | BinaryIO


def write(target: Target, words: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write words and arrays of numbers by name; the file appears completely or not at all.

    ``target`` is a path or a writable binary stream.

    Raises
    ------
    InputError
        If the words cannot be stored as JSON, or the file cannot be written.
    """
    try:
        text = json.dumps(words, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the model cannot be saved: {error}; group values must be text or numbers") from error
    members: dict[str, Any] = {_WORDS: np.frombuffer(text.encode(), np.uint8), **arrays}
    if not isinstance(target, (str, os.PathLike)):
        np.savez(target, **members)
        return
    with replacing(target) as stream:
        np.savez(stream, **members)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    """Words and arrays by name.

    Raises
    ------
    InputError
        If the file does not exist, or was not made by `write`: compressed, with pickles, with parts that claim to be
        longer than they are, or without words.
    """
    file = Path(path)
    try:
        if not file.exists():
            raise InputError(f"there is no file {str(path)!r}")
        if not file.is_file():
            raise InputError(f"{str(path)!r} is not a file; expected a saved model")
        with file.open("rb") as stream, warnings.catch_warnings(action="error"):
            arrays = _members(stream, os.fstat(stream.fileno()).st_size)
        words = json.loads(arrays.pop(_WORDS).tobytes().decode(), parse_constant=_refuse)
        if not isinstance(words, dict):
            raise ValueError("its words are no object")
    except InputError:
        raise
    except _UNREADABLE as error:
        raise _damaged(path, error) from error
    return words, arrays


class ForeignError(InputError):
    """The file is intact, but needs something that is missing; the text continues after the file's name."""


@contextmanager
def believing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within the block, name the file in every error."""
    try:
        yield
    except ForeignError as error:
        raise InputError(f"{str(path)!r} {error}") from error
    except (*_UNREADABLE, ArithmeticError, AttributeError) as error:
        # the checks name the faults that they know; a foreign file may have others
        raise _damaged(path, error) from error


def _damaged(path: str | os.PathLike[str], error: BaseException) -> InputError:
    """An error in one short line: the file is not what it should be."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return InputError(f"{str(path)!r} is not a saved model, or is damaged ({text})")


def _members(stream: BinaryIO, size: int) -> Arrays:
    arrays: Arrays = {}
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("its parts are compressed")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its parts claim to be longer than the file")
        for member in members:
            name = member.filename.removesuffix(_ENDING)
            if name in arrays:
                raise ValueError(f"the part {name!r} is there twice")
            arrays[name] = _array(name, archive.read(member))
    return arrays


def _array(name: str, content: bytes) -> npt.NDArray[Any]:
    stream = io.BytesIO(content)
    shape, fortran_order, dtype = _HEADERS[npy.read_magic(stream)](stream)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ValueError(f"the part {name!r} has the type {dtype}, which is none of plain numbers")
    begin = stream.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - begin:
        raise ValueError(f"the part {name!r} is not as long as its shape {shape} says")
    order: Any = "F" if fortran_order else "C"
    array = np.ndarray(shape, dtype, buffer=content, offset=begin, order=order)
    if dtype.kind == "b":
        return array.view(np.uint8) != 0  # a byte that is neither 0 nor 1 is no truth value
    return array.astype(dtype.newbyteorder("="))


def _refuse(constant: str) -> None:
    raise ValueError(f"its words hold {constant}")
