"""Writing a text file wholly or not at all."""

import contextlib
import os
import secrets
from pathlib import Path

from fairjax.errors import InputError


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write ``text`` (UTF-8) so that ``path`` holds the old or the new content, never a part.

    The text goes to a temporary file in the same folder, which then takes the place of ``path``.

    Raises
    ------
    InputError
        If ``path`` is a folder or a device, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(Path(folder) / "note.txt", "done").read_text()
    'done'
    """
    target = Path(path)
    try:
        # A link keeps pointing where it did; the file behind it is replaced.
        target = target.resolve()
        if target.exists() and not target.is_file():
            raise InputError(f"{path} is not a file; give the name of a file to write")
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            with open(partial, "x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
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
    return target
