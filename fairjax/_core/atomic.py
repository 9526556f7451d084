"""Files written completely or not at all, one or several together, with care for the files they replace.

New content goes into a temporary file beside the old one, which then takes its place. The permissions, extended
attributes and, if allowed, the owner of the old file are kept; a link keeps its target; a write-protected file is
refused.
"""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fairjax._core import signals
from fairjax._core.text import visible
from fairjax.errors import InputError

_REMEDY = "give a file name in a folder you may write to"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A stream whose content replaces ``path`` when the block ends without an exception.

    Raises
    ------
    InputError
        If ``path`` is a folder or a device, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "note") as stream:
    ...         _ = stream.write(b"done")
    ...     (Path(folder) / "note").read_text()
    'done'
    """
    with signals.guard(_never), _told(path):
        target = target_of(path)
        partial = beside(target)
        try:
            with open(partial, "xb") as stream:
                yield stream
                _settle(stream)
            _take_after(partial, target)
            os.replace(partial, target)
            _settle_folder(target.parent)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def write_all(files: Sequence[tuple[str, bytes | str]]) -> None:
    """Write all files, or none if one of them cannot be written: first beside their places, then into them.

    Raises
    ------
    InputError
        As `replacing`; files replaced before the failure are restored.
    """
    with signals.guard(_never):
        _write_all(files)


def _never() -> bool:
    """False: no signal may end the process while files are half-written."""
    return False


def _write_all(files: Sequence[tuple[str, bytes | str]]) -> None:
    placed: list[tuple[str, Path, Path]] = []
    old: list[tuple[Path, Path | None]] = []
    path = ""
    try:
        for path, content in files:
            with _told(path):
                target = target_of(path)
                partial = beside(target)
                placed.append((path, partial, target))
                with open(partial, "xb") as stream:
                    stream.write(content.encode() if isinstance(content, str) else content)
                    _settle(stream)
                _take_after(partial, target)
        for path, partial, target in placed:
            with _told(path):
                old.append((target, _kept(target)))
                os.replace(partial, target)
        for folder in {target.parent for target, _ in old}:
            _settle_folder(folder)
    except BaseException:
        # the last file may or may not have been replaced when the error came; either way the old one is right
        for target, kept in old:
            with contextlib.suppress(OSError):
                if kept is not None:
                    os.replace(kept, target)
                elif not any(partial.exists() for _, partial, other in placed if other == target):
                    target.unlink(missing_ok=True)
        raise
    finally:
        for leftover in [*(partial for _, partial, _ in placed), *(kept for _, kept in old if kept is not None)]:
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)


def target_of(path: str | os.PathLike[str]) -> Path:
    """The file behind ``path``, through links, if it may be written; InputError or OSError otherwise."""
    target = Path(path).resolve()
    if target.exists():
        if not target.is_file():
            raise InputError(f"{visible(path, 200)} is not a file; give the name of a file to write")
        if not os.access(target, os.W_OK):
            raise InputError(f"{visible(path, 200)} is write-protected; give another file name, or allow writing")
    return target


def beside(target: Path, ending: str = "part") -> Path:
    """An unused name in the same folder, which shows the file that it belongs to."""
    return target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.{ending}")


@contextmanager
def _told(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError for a loop of links
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot write {visible(path, 200)}: {why}; {_REMEDY}") from error


def _kept(target: Path) -> Path | None:
    """The old file under another name, so that it can be restored; None if there is none."""
    if not target.exists():
        return None
    kept = beside(target, "old")
    try:
        os.link(target, kept)
    except (OSError, AttributeError):  # file systems or platforms without hard links
        shutil.copy2(target, kept)
    return kept


def _take_after(partial: Path, target: Path) -> None:
    """Give the new file the permissions and attributes of the old one, and its owner if allowed."""
    if not target.exists():
        return
    found = target.stat()
    with contextlib.suppress(OSError, AttributeError):
        os.chown(partial, found.st_uid, found.st_gid)
    with contextlib.suppress(OSError, AttributeError):
        for name in os.listxattr(target):
            os.setxattr(partial, name, os.getxattr(target, name))
    os.chmod(partial, stat.S_IMODE(found.st_mode))


def _settle(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def settle(path: Path) -> None:
    """Flush a written file to disk, so that its content survives a power failure."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def _settle_folder(folder: Path) -> None:
    """Flush the new names in a folder to disk, where the system can."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
