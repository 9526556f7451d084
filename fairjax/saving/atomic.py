"""Files that are written wholly or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fairjax.errors import InputError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A stream whose content takes the place of ``path`` when the block ends, unless it ends in an exception.

    It goes to a temporary file in the same folder, so that ``path`` holds the old or the new content, never a part.

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
    try:
        # A link keeps pointing where it did; the file behind it is replaced.
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            raise InputError(f"{path} is not a file; give the name of a file to write")
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            with open(partial, "xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, target)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {path}: {reason}; give a file name in a folder you may write to") from error
