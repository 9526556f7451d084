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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
_begun: set[Any] = set()  # what was compiled ahead


class Kept(NamedTuple):
    """A jitted ``program`` of a ``function``, run from the executable on disk if there is one."""

    program: Any
    function: Callable[..., Any]
    options: Mapping[str, Any]
    static_argnames: tuple[str, ...]

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``program(*args, **kwargs)``."""
        found = self._place(args, kwargs)
        if found is None:
            return self.program(*args, **kwargs)
        path, structure = found
        compiled = _loaded.get(path) or _read(path, structure)
        if compiled is None:
            compiled = _compiled(path, self.program.lower(*args, **kwargs))
        _loaded[path] = compiled
        return compiled(*args, **self._traced(kwargs))

    def ahead(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], None]:
        """Begin to compile in a thread, unless that was done before; returns what waits for it."""
        if _setting("jax_disable_jit"):
            return lambda: None
        found = self._place(args, kwargs)
        what = self._types(args, kwargs), _setting("jax_enable_x64")
        if what in _begun or (found is not None and (found[0] in _loaded or found[0].is_file())):
            return lambda: None
        _begun.add(what)
        # traced here: in another thread the settings of this one do not hold
        lowered = self.program.lower(*args, **kwargs)

        def compiled() -> None:
            # whatever is wrong, the call that follows says so
            with contextlib.suppress(Exception):
                if found is None:
                    lowered.compile()
                else:
                    _loaded[found[0]] = _compiled(found[0], lowered)

        thread = threading.Thread(target=compiled, daemon=True)
        thread.start()
        return thread.join

    def _traced(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in kwargs.items() if name not in self.static_argnames}

    def _types(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """What the program is for: the function, the options, static arguments, and types of the others."""
        static = sorted((name, repr(kwargs[name])) for name in self.static_argnames if name in kwargs)
        leaves, structure = jax.tree.flatten((args, self._traced(kwargs)))
        types = tuple((str(kind), kind.weak_type) for kind in map(jax.typeof, leaves))
        function = self.function.__module__, self.function.__qualname__
        return *function, tuple(static), tuple(sorted(self.options.items())), str(structure), types

    def _place(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Path, Any] | None:
        """The file, and the structure of the arguments; None where programs are not kept."""
        folder = programs.kept_in()
        # an executable belongs to the device that it was compiled for; accelerators have not been tried
        simple = jax.default_backend() == "cpu" and jax.device_count() == 1
        if folder is None or not simple or _setting("jax_disable_jit"):
            return None
        key = hashlib.sha256(repr((self._types(args, kwargs), _surroundings())).encode()).hexdigest()
        structure = jax.tree.structure((args, self._traced(kwargs)))
        return folder / f"{self.function.__name__}-{key[:32]}{_SUFFIX}", structure


def _compiled(path: Path, lowered: Any) -> Any:
    """The executable of a lowered program, which is kept in a file, too."""
    with _bypass:
        compiled = lowered.compile()
    _write(path, compiled)
    return compiled


class _Bypass:
    """JAX's own cache, left out while any thread compiles a program that is kept here.

    Programs loaded from that cache cannot be written again, as parts of their code are missing.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, True

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = bool(_setting("jax_enable_compilation_cache"))
                self._switch(False)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._switch(self._before)

    @staticmethod
    def _switch(on: bool) -> None:
        from jax.experimental.compilation_cache import compilation_cache

        jax.config.update("jax_enable_compilation_cache", on)
        # JAX decides only once whether there is a cache
        compilation_cache.reset_cache()


_bypass = _Bypass()


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
