"""Compiled programs kept on disk, so that the next process need not compile them again.

JAX does that for every program that takes long enough to compile, fairjax's and others'. Each kind of processor has its
own folder, because native code for one may not run on another that shares the disk.
"""

import contextlib
import hashlib
import os
import platform
from pathlib import Path

from fairjax.datasets.files import user_cache
from fairjax.errors import InputError

__all__ = ["compiler_options", "keep_programs"]

MIN_SECONDS = 0.1  # of compiling: programs that take less are not kept
_MOST_BYTES = 200 * 2**20

_folder: Path | None = None


def compiler_options(size: int) -> dict[str, bool | int | str]:
    """Options with which the estimators compile, for programs of one's own that call `fairjax.fca`.

    Parameters
    ----------
    size : int
        Entries of the largest array that the program is given.

    Returns
    -------
    dict
        For ``compiler_options`` of `jax.jit`, or ``.lower(...).compile(...)``; by platform, and empty where the
        compiler's defaults serve.

    Examples
    --------
    >>> import jax
    >>> double = jax.jit(lambda x: 2 * x, compiler_options=compiler_options(3))
    >>> double(jax.numpy.ones(3)).tolist()
    [2.0, 2.0, 2.0]
    """
    from fairjax._core import compiling  # which keeps its programs where this module says

    return compiling.options(size)


def keep_programs(folder: str | os.PathLike[str] | None = None) -> Path:
    """Let JAX keep compiled programs on disk from now on, and use those of earlier processes.

    A fit of a few hundred rows takes some seconds to compile and hundredths of a second to cluster; with programs on
    disk a new process saves most of that. This switches on JAX's persistent compilation cache for the whole process,
    which importing fairjax never does. The command line always uses it.

    Parameters
    ----------
    folder : path, optional
        Where programs go, in a subfolder for the kind of processor; by default ``compiled`` in the user's cache for
        fairjax. The oldest are removed while they take more than 200 MiB in all.

    Returns
    -------
    Path
        The folder in use.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.

    Examples
    --------
    >>> import fairjax
    >>> folder = fairjax.keep_programs("programs")  # doctest: +SKIP
    >>> folder.parent.name  # doctest: +SKIP
    'programs'
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    inside = prepared(user_cache() / "compiled" if folder is None else Path(folder))
    jax.config.update("jax_compilation_cache_dir", str(inside))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_SECONDS)
    # JAX decides once, at the first compilation, whether there is a cache
    compilation_cache.reset_cache()
    keep_in(inside)
    return inside


def keep_in(folder: Path | None) -> None:
    """Keep the programs of fits in ``folder`` from now on, in a form that needs no tracing; None stops that."""
    global _folder
    _folder = folder


def kept_in() -> Path | None:
    """The folder where programs of fits are kept, or None."""
    return _folder


def prepared(folder: Path) -> Path:
    """The folder for this kind of processor: created, writable, and not too full."""
    inside = folder / _processor()
    try:
        inside.mkdir(parents=True, exist_ok=True)
        _prune(inside)
    except OSError as error:
        raise InputError(
            f"programs cannot be kept in {inside}: {error.strerror}; choose a folder that is writable"
        ) from error
    if not os.access(inside, os.W_OK):
        raise InputError(f"programs cannot be kept in {inside}: not writable; choose a folder that is")
    return inside


def _processor() -> str:
    text = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        text += "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _prune(folder: Path) -> None:
    """Remove the oldest programs while the folder is over its limit."""
    files = sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: file.stat().st_mtime)
    excess = sum(file.stat().st_size for file in files) - _MOST_BYTES
    for file in files:
        if excess <= 0:
            break
        excess -= file.stat().st_size
        file.unlink(missing_ok=True)
