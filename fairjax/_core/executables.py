"""Compiled programs kept on disk with all that is needed to call them, so that later processes need not trace them.

JAX's own cache saves a process compiling. But it finds a program by its text, which must first be traced and lowered:
two thirds of a second for each of the larger programs of a fit. Here a program is found by its function, the types of
its arguments, and all else that its text depends on: settings, versions, and the source of this package.

Nothing is kept until :mod:`fairjax.programs` names a folder. Anyone who can write there can run code in this process,
as with the folder of JAX's own cache.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jaxlib.version

from fairjax import programs
from fairjax._core.atomic import replacing
from fairjax.errors import InputError

_SUFFIX = ".program"
# what pickle and JAX raise for a file that is truncated, from another version, or not ours
_UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, ImportError,
    NotImplementedError, pickle.PickleError, zlib.error, jax.errors.JaxRuntimeError,
)  # fmt: skip

_loaded: dict[Path, Any] = {}
_compiling = threading.Lock()


def call(
    program: Any, function: Callable[..., Any], options: Mapping[str, Any], static_argnames: tuple[str, ...],
    args: tuple[Any, ...], kwargs: dict[str, Any],
) -> Any:  # fmt: skip
    """``program(*args, **kwargs)``, a jitted ``function``, run from the executable on disk if there is one."""
    folder = programs.kept_in()
    # an executable belongs to the device that it was compiled for; accelerators have not been tried
    simple = jax.default_backend() == "cpu" and jax.device_count() == 1
    if folder is None or not simple or _setting("jax_disable_jit"):
        return program(*args, **kwargs)
    traced = {name: value for name, value in kwargs.items() if name not in static_argnames}
    static = sorted((name, repr(kwargs[name])) for name in static_argnames if name in kwargs)
    leaves, structure = jax.tree.flatten((args, traced))
    types = [(str(kind), kind.weak_type) for kind in map(jax.typeof, leaves)]
    what = (function.__module__, function.__qualname__, static, sorted(options.items()), str(structure), types)
    key = hashlib.sha256(repr((what, _surroundings())).encode()).hexdigest()
    path = folder / f"{function.__name__}-{key[:32]}{_SUFFIX}"
    compiled = _loaded.get(path)
    if compiled is None:
        compiled = _read(path, structure)
        if compiled is None:
            lowered = program.lower(*args, **kwargs)
            with _without_the_cache_of_jax():
                compiled = lowered.compile()
            _write(path, compiled)
        _loaded[path] = compiled
    return compiled(*args, **traced)


@contextlib.contextmanager
def _without_the_cache_of_jax() -> Iterator[None]:
    """Bypass that cache: programs loaded from it cannot be written again, as parts of their code are missing."""
    from jax.experimental.compilation_cache import compilation_cache

    with _compiling:
        before = _setting("jax_enable_compilation_cache")
        jax.config.update("jax_enable_compilation_cache", False)
        # JAX decides only once whether there is a cache
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            jax.config.update("jax_enable_compilation_cache", before)
            compilation_cache.reset_cache()


def _setting(name: str) -> Any:
    """A setting of JAX as it applies in this thread."""
    return getattr(jax.config, name, None)


def _surroundings() -> tuple[Any, ...]:
    """Everything a program depends on besides its function and arguments."""
    settings = [(name, _setting(name)) for name in sorted(jax.config.values) if "cache" not in name]
    return settings, *_machine()


@functools.cache
def _machine() -> tuple[Any, ...]:
    device = jax.devices()[0]
    return (
        device.platform, device.device_kind, device.client.platform_version, jax.__version__,
        jaxlib.version.__version__, os.environ.get("XLA_FLAGS"), _source(),
    )  # fmt: skip


def _source() -> list[tuple[str, int, int]]:
    """Name, modification time and size of every source file of this package."""
    root = Path(__file__).parent.parent
    files = ((path, path.stat()) for path in sorted(root.rglob("*.py")))
    return [(str(path.relative_to(root)), at.st_mtime_ns, at.st_size) for path, at in files]


def _read(path: Path, structure: Any) -> Any:
    """The executable in a file, or None if there is no usable one."""
    from jax.experimental import serialize_executable

    with contextlib.suppress(*_UNREADABLE):
        content, result = pickle.loads(zlib.decompress(path.read_bytes()))
        compiled = serialize_executable.deserialize_and_load(content, structure, jax.tree.structure(result))
        path.touch()  # the oldest are removed first
        return compiled
    return None


def _write(path: Path, compiled: Any) -> None:
    """Keep the executable, if it and the disk allow that."""
    from jax.experimental import serialize_executable

    with contextlib.suppress(InputError, *_UNREADABLE):
        content, _, result = serialize_executable.serialize(compiled)
        # the structure of a tree cannot be pickled, but a tree can
        example = jax.tree.unflatten(result, range(result.num_leaves))
        packed = zlib.compress(pickle.dumps((content, example)), 1)
        with replacing(path) as stream:
            stream.write(packed)
