"""Compiled programs kept on disk with what it takes to call them, so that a later process need not even trace them.

JAX's own cache spares a process compiling. But it finds a program by its text, which has to be traced and lowered
first: two thirds of a second for each of the larger programs of a fit. Here a program is found by its function, by the
types of its arguments, and by all else that its text depends on: settings, versions, and the source of this package.

Nothing is kept until :mod:`fairjax.programs` names a folder. Whoever may write there may run code in this process, as
in the folder of JAX's own cache.
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
import jaxlib

from fairjax import programs
from fairjax._core.atomic import replacing
from fairjax.errors import InputError

_SUFFIX = ".program"
# of what pickle and JAX raise for a file that is cut short, of another version, or none of ours
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
    """``program(*args, **kwargs)``, a jitted ``function``, by the executable on disk where there is one."""
    folder = programs.kept_in()
    # an executable belongs to the device that it was compiled for; those of accelerators have not been tried
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
    """What comes out of that cache cannot be written again: parts of its code are missing then."""
    from jax.experimental.compilation_cache import compilation_cache

    with _compiling:
        before = _setting("jax_enable_compilation_cache")
        jax.config.update("jax_enable_compilation_cache", False)
        # whether there is a cache is decided once
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            jax.config.update("jax_enable_compilation_cache", before)
            compilation_cache.reset_cache()


def _setting(name: str) -> Any:
    """A setting of JAX as it holds in this thread."""
    return getattr(jax.config, name, None)


def _surroundings() -> tuple[Any, ...]:
    """All but function and arguments that a program depends on."""
    settings = [(name, _setting(name)) for name in sorted(jax.config.values) if "cache" not in name]
    return settings, *_machine()


@functools.cache
def _machine() -> tuple[Any, ...]:
    device = jax.devices()[0]
    return (
        device.platform, device.device_kind, device.client.platform_version, jax.__version__, jaxlib.__version__,
        os.environ.get("XLA_FLAGS"), _source(),
    )  # fmt: skip


def _source() -> list[tuple[str, int, int]]:
    """Name, time and size of every file of this package's source."""
    root = Path(__file__).parent.parent
    files = ((path, path.stat()) for path in sorted(root.rglob("*.py")))
    return [(str(path.relative_to(root)), at.st_mtime_ns, at.st_size) for path, at in files]


def _read(path: Path, structure: Any) -> Any:
    """The executable in a file, or None where there is none that can be used."""
    from jax.experimental import serialize_executable

    with contextlib.suppress(*_UNREADABLE):
        content, result = pickle.loads(zlib.decompress(path.read_bytes()))
        compiled = serialize_executable.deserialize_and_load(content, structure, jax.tree.structure(result))
        path.touch()  # the oldest go first
        return compiled
    return None


def _write(path: Path, compiled: Any) -> None:
    """Keep the executable, unless it or the disk does not allow that."""
    from jax.experimental import serialize_executable

    with contextlib.suppress(InputError, *_UNREADABLE):
        content, _, result = serialize_executable.serialize(compiled)
        # a tree's structure cannot be pickled, but a tree can
        example = jax.tree.unflatten(result, range(result.num_leaves))
        packed = zlib.compress(pickle.dumps((content, example)), 1)
        with replacing(path) as stream:
            stream.write(packed)
