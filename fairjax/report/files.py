"""Writing a text file completely or not at all."""

import os
from pathlib import Path

from fairjax._core.atomic import replacing


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write ``text`` (UTF-8) so that ``path`` holds the old or the new content, never a part.

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
    with replacing(path) as stream:
        stream.write(text.encode())
    return Path(path).resolve()
