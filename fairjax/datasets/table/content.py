"""From what a user names (a path, ``-``, an address) to bytes; compressed files are unpacked within bounds."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import os
import stat
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from fairjax._core.text import listed, reason, shown, visible
from fairjax.errors import InputError

STANDARD_INPUT = "-"
FREE = 256 << 20  # bytes that any compressed file may unpack to
RATIO = 100  # beyond that, times its own size; tables in text seldom reach 30
_BLOCK = 1 << 20
_PACKED = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd", ".xz": "xz", ".zip": "zip"}
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"))
_TIMEOUT = 60.0  # seconds without an answer from a server


@dataclass(frozen=True, kw_only=True)
class Content:
    """Bytes of one table.

    Attributes
    ----------
    data : bytes
        Unpacked.
    label : str
        What to call it in a sentence.
    name : str
        Its file name without the ending of a packer, which tells the format.
    packing : str
        What it was packed by; "" for plain files.
    """

    data: bytes
    label: str
    name: str
    packing: str = ""

    @property
    def suffix(self) -> str:
        """The ending of the name in lower case, such as ``.csv``."""
        return Path(self.name).suffix.lower()


def fetch_content(source: str | os.PathLike[str], *, download: bool = False) -> Content:
    """Return the bytes behind a path, standard input (``-``) or, with ``download``, an address.

    Raises
    ------
    InputError
        When there is nothing to read, it may not be read, or it does not unpack to a table of reasonable size.
    """
    text = os.fspath(source)
    if text == STANDARD_INPUT:
        return _unpacked(_standard_input(), "standard input", "-")
    if is_address(text):
        name = text.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1]
        return _unpacked(_download(text, download), visible(text, 120), name)
    file = Path(os.path.expanduser(text))
    return _unpacked(_read(file), visible(file, 200), file.name)


def is_address(text: str) -> bool:
    """Whether the text is an address of the web or of a store rather than a path."""
    scheme, colon, _ = text.partition("://")
    return bool(colon) and scheme.isalnum() and len(scheme) > 1


def check_source(source: str | os.PathLike[str], *, download: bool = False) -> None:
    """Refuse at once what cannot be read; reads nothing."""
    text = os.fspath(source)
    if is_address(text):
        _check_address(text, download)
    elif text != STANDARD_INPUT:
        _look(Path(os.path.expanduser(text)))


def bound(packed: int) -> int:
    """Most bytes that a file of ``packed`` bytes is unpacked to."""
    return max(FREE, RATIO * packed)


def too_large(label: str, packed: int) -> InputError:
    """Return the error for a file that unpacks beyond `bound`."""
    return InputError(
        f"{label} is packed from more than {bound(packed) >> 20:,} MiB ({packed:,} bytes packed); "
        "unpack it yourself if that is meant"
    )


def _look(file: Path) -> os.stat_result:
    label = visible(file, 200)
    try:
        found = os.stat(file)
    except FileNotFoundError as error:
        if file.is_symlink():
            raise InputError(f"{label} is a link to something that does not exist; check the path") from error
        raise InputError(f"{label} does not exist; check the path") from error
    except NotADirectoryError as error:
        raise InputError(f"{label} does not exist: a part of the path is a file; check the path") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(f"{label} is a link that leads back to itself; check the path") from error
        raise InputError(f"{label} cannot be opened ({error.strerror or error}); check the path") from error
    except ValueError as error:  # a null byte
        raise InputError(f"{label} cannot be opened ({error}); check the path") from error
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{label} is a directory; give the path of one file with a table")
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
        raise InputError(f"{label} is a device or socket; give the path of one file with a table")
    return found


def _read(file: Path) -> bytes:
    _look(file)
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{visible(file, 200)} cannot be read ({error.strerror or error}); check the path and its permissions"
        ) from error


def _standard_input() -> bytes:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise InputError("standard input is closed; give a file, or send a table into the command")
    if stream.isatty():
        raise InputError("standard input is a terminal; send a table into the command: fairjax fit - < table.csv")
    try:
        content: bytes = stream.read()
    except OSError as error:
        raise InputError(f"standard input cannot be read ({error.strerror or error})") from error
    return content


def _check_address(address: str, download: bool) -> None:
    scheme = address.partition("://")[0].lower()
    if scheme not in ("http", "https", "ftp"):
        raise InputError(f"{shown(address)} is an address of a kind that is not read; copy the file here first")
    if not download:
        raise InputError(
            f"{shown(address)} is an address, and nothing is downloaded unless asked; say --download, "
            "or download it and give the file"
        )


def _download(address: str, download: bool) -> bytes:
    from http.client import HTTPException
    from urllib.request import urlopen

    _check_address(address, download)
    try:
        with urlopen(address, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read()
    except (OSError, HTTPException, ValueError) as error:
        raise InputError(f"{shown(address)} could not be downloaded ({reason(error)}); check the address") from error
    return content


def _unpacked(data: bytes, label: str, name: str, packed: int | None = None) -> Content:
    """Unpack bytes that are packed, or packed twice as a zip of a gzip is; both within the bound of the outer ones."""
    suffix = Path(name).suffix.lower()
    if suffix in _PACKED:
        name = name[: -len(suffix)]
    kind = next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
    if kind is None and suffix == ".zip":
        kind = "zip"
    if kind is None:
        if suffix in _PACKED and data:
            raise InputError(f"{label} is not packed by {_PACKED[suffix]} as its name says; give it its true ending")
        return Content(data=data, label=label, name=name)
    size = len(data) if packed is None else packed
    if kind == "zip":
        data, name = _from_zip(data, label, size)
    else:
        data = _inflate(data, kind, label, size)
    if packed is None:
        return replace(_unpacked(data, label, name, size), packing=kind)
    return Content(data=data, label=label, name=name, packing=kind)


def _inflate(data: bytes, kind: str, label: str, packed: int) -> bytes:
    openers: dict[str, Callable[[Any], IO[bytes]]] = {"gzip": gzip.open, "bzip2": bz2.open, "zstd": _zstd, "xz": _xz}  # type: ignore[dict-item]
    try:
        with openers[kind](io.BytesIO(data)) as stream:
            return _limited(stream, label, packed)
    except InputError:
        raise
    except Exception as error:  # a damaged stream shows itself in many ways
        raise InputError(
            f"{label} cannot be unpacked ({reason(error)}); it is cut short or damaged, copy it again"
        ) from error


def _limited(stream: IO[bytes], label: str, packed: int) -> bytes:
    """Read a stream block by block, so that a bomb is noticed before memory is gone."""
    blocks, size = [], 0
    while block := stream.read(_BLOCK):
        size += len(block)
        if size > bound(packed):
            raise too_large(label, packed)
        blocks.append(block)
    return b"".join(blocks)


def _xz(stream: Any) -> IO[bytes]:
    import lzma

    try:
        return lzma.open(stream)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error


def _zstd(stream: Any) -> IO[bytes]:
    import pyarrow as pa

    opened: IO[bytes] = pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")
    return opened


def _from_zip(data: bytes, label: str, packed: int) -> tuple[bytes, str]:
    """Return the one table in a zip archive and its name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [
                member
                for member in archive.infolist()
                if not member.is_dir() and not Path(member.filename).name.startswith((".", "__"))
                and not member.filename.startswith("__MACOSX")
            ]  # fmt: skip
            if len(members) != 1:
                held = listed([member.filename for member in members]) if members else "nothing"
                raise InputError(f"{label} holds {held}; expected an archive with one table: take it out and give that")
            with archive.open(members[0]) as stream:
                return _limited(stream, label, packed), Path(members[0].filename).name
    except InputError:
        raise
    except Exception as error:  # a damaged archive shows itself in many ways
        raise InputError(
            f"{label} cannot be unpacked ({reason(error)}); it is damaged or locked, pack it anew"
        ) from error
