"""Finding, checking and (only when asked) downloading the original public files."""

import bz2
import gzip
import hashlib
import os
import sys
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairjax.errors import InputError

ENVIRONMENT_VARIABLE = "FAIRJAX_DATA"
_SUFFIXES = ("", ".gz", ".bz2")
_TIMEOUT = 60.0  # seconds without an answer from the server


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """One public file: what it is called, how it is recognised and where it comes from.

    Attributes
    ----------
    name : str
        The source's own name of the file.
    paths : tuple of str
        Where it may stand below a data folder, best first; each is tried plain, with ``.gz`` and with
        ``.bz2``.
    sha256 : tuple of str
        Accepted digests of the unpacked content, so that the plain and the compressed form pass alike.
    md5 : tuple of str
        Digests, accepted as well, of the file as its source packs it (where only that one is published).
    url : str or None
        Address of the original, for files whose digest is known.
    members : tuple of str
        The way into the archive at ``url``: one name for each nested zip, the file last.
    remedy : str
        How to get the file by hand.
    """

    name: str
    paths: tuple[str, ...]
    sha256: tuple[str, ...] = ()
    md5: tuple[str, ...] = ()
    url: str | None = None
    members: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def how_to_get(self) -> str:
        """One clause: where the file can be had and where to put it."""
        got = self.remedy or (f"take {' / '.join(self.members)} from {self.url}" if self.members else f"get {self.url}")
        return f"{got} and put it at {user_cache() / self.paths[0]}"


def user_cache() -> Path:
    """Return the user's cache folder for fairjax: ``XDG_CACHE_HOME``, else the platform's convention."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.path.expanduser(os.environ["XDG_CACHE_HOME"])) / "fairjax"
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "fairjax"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "fairjax" / "Cache"
    return home / ".cache" / "fairjax"


def data_folders() -> tuple[Path, ...]:
    """Return the folders that are searched: that of ``FAIRJAX_DATA`` if set, then the user's cache."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return (*([Path(os.path.expanduser(named))] if named else []), user_cache())


def find(file: DataFile) -> Path | None:
    """Return the first place where the file stands, or None."""
    for folder in data_folders():
        for path in file.paths:
            for suffix in _SUFFIXES:
                candidate = folder / (path + suffix)
                if _is_file(candidate):
                    return candidate
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a folder that may not be searched holds nothing for this user
        return False


def read(file: DataFile, *, download: bool = False) -> bytes:
    """Return the unpacked content of a file after checking its digest.

    Raises
    ------
    InputError
        When the file is missing, cannot be unpacked, or is not the file that was expected.
    """
    path = find(file)
    if path is None and download:
        path = fetch(file)
    if path is None:
        raise InputError(_missing(file))
    packed = read_bytes(path)
    content = unpack(packed, path)
    if not matches(file, packed, content):
        raise InputError(
            f"{path} is not the expected {file.name} (its content has SHA-256 {_sha256(content)[:16]}..., "
            f"expected {' or '.join(f'{digest[:16]}...' for digest in file.sha256)}); get the original"
        )
    return content


def first_available(alternatives: Sequence[Sequence[DataFile]]) -> Sequence[DataFile]:
    """Return the first set of files that is complete on this machine, or the first set where none is."""
    for files in alternatives:
        if all(find(file) is not None for file in files):
            return files
    return alternatives[0]


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes; InputError where the system refuses them."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); check the path and its permissions"
        ) from error


def unpack(packed: bytes, path: Path) -> bytes:
    """Undo gzip or bzip2, recognised by their first bytes; return anything else as it is."""
    try:
        if packed.startswith(b"\x1f\x8b"):
            return gzip.decompress(packed)
        if packed.startswith(b"BZh"):
            return bz2.decompress(packed)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} cannot be unpacked ({error}); it is cut short or damaged, copy it again") from error
    return packed


def matches(file: DataFile, packed: bytes, content: bytes) -> bool:
    """Whether the digests agree; a file without published digests is judged by its reader alone."""
    if not file.sha256 and not file.md5:
        return True
    if _sha256(content) in file.sha256:
        return True
    return bool(file.md5) and hashlib.md5(packed, usedforsecurity=False).hexdigest() in file.md5


def fetch(file: DataFile) -> Path:
    """Download a file into the user's cache; it appears there only when whole and checked.

    Raises
    ------
    InputError
        When the file has no address, the server does not give it, or what came is another file.
    """
    from http.client import HTTPException
    from urllib.request import urlopen

    if file.url is None or not (file.sha256 or file.md5):
        raise InputError(f"{file.name} cannot be downloaded by fairjax; {file.how_to_get}")
    try:
        with urlopen(file.url, timeout=_TIMEOUT) as answer:
            packed = _member(answer.read(), file.members)
    except (OSError, HTTPException, ValueError, KeyError) as error:
        raise InputError(f"{file.name} could not be downloaded ({error}); {file.how_to_get}") from error
    suffix = "" if file.members else next((s for s in _SUFFIXES[1:] if file.url.endswith(s)), "")
    target = user_cache() / (file.paths[0] + suffix)
    if not matches(file, packed, unpack(packed, target)):
        raise InputError(f"{file.url} gave another {file.name} than the expected one; {file.how_to_get}")
    _write_atomically(target, packed)
    return target


def _member(archive: bytes, members: Sequence[str]) -> bytes:
    """Return what stands at the end of a chain of nested zip members."""
    import io
    import zipfile

    for member in members:
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                archive = opened.read(member)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ValueError(f"the archive with {member} is damaged: {error}") from error
    return archive


def _write_atomically(target: Path, content: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error.strerror or error}); set XDG_CACHE_HOME") from error


def _missing(file: DataFile) -> str:
    places = " nor in ".join(str(folder) for folder in data_folders())
    online = (
        "pass download=True (--download on the command line), or " if file.url and (file.sha256 or file.md5) else ""
    )
    return (
        f"{file.name} was not found in {places}; {online}{file.how_to_get} "
        f"(or in the folder that {ENVIRONMENT_VARIABLE} names)"
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
