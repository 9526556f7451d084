"""Checkpoints of a training run: two functions around Orbax, and a keeper that calls them at the right times.

A checkpoint appears whole or not at all (Orbax writes beside it and renames), the last few are kept, and each holds the
whole state, random key included, so that a resumed run repeats the uninterrupted one bit for bit on the same machine.
"""

import hashlib
import json
import logging
import os
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import jax
import numpy as np
from jax import Array

from fairjax._core import signals
from fairjax.deep.training.streams import Data
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.deep.training.trainer import Position, spread, state_template
from fairjax.errors import InputError

__all__ = ["Keeper", "check_folder", "claimed", "fingerprint", "identity", "kept_in", "restore", "save"]

_LOCK = ".lock"
_CENTERS, _FORMERLY = "/centers", "/centroids"  # what the trained centres are called, and what they were
_HANG_UP = getattr(signal, "SIGHUP", None)


def check_folder(folder: str | Path) -> None:
    """Make the folder, so that hours of training do not end with one that cannot be written to.

    Raises
    ------
    InputError
        If it is not a folder, or nothing can be written to it.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"checkpoints cannot be written to {str(folder)!r} "
            f"({'there is a file' if isinstance(error, FileExistsError) else error.strerror or error}); give a folder "
            "that is yours to write"
        ) from error


def save(
    folder: str | Path, position: Position, tasks: Sequence[Task], identity: dict[str, Any], keep: int = 3
) -> None:
    """Write a checkpoint and drop the oldest beyond `keep`.

    Parameters
    ----------
    folder : path
        Made if absent.
    position : Position
        Of the run.
    tasks : sequence of Task
        Its stages.
    identity : dict
        For JSON, with at least ``method``: what `restore` compares.
    keep : int
        Number of checkpoints that stay.

    Raises
    ------
    InputError
        If it cannot be written; checkpoints from before stay as they were.
    """
    import orbax.checkpoint as ocp

    arrays = _flat(position)
    words = {"identity": identity, "stage": position.stage, "step": position.step}
    number = sum(task.steps for task in tasks[: position.stage]) + position.step
    try:
        with _quiet(), _manager(folder, keep) as manager:
            manager.save(
                number, args=ocp.args.Composite(arrays=ocp.args.StandardSave(arrays), words=ocp.args.JsonSave(words))
            )
    except (OSError, ValueError) as error:
        raise InputError(
            f"the checkpoint of step {number} could not be written to {str(folder)!r} ({_reason(error)}); checkpoints "
            "from before are whole: make room and resume"
        ) from error


def restore(
    folder: str | Path,
    tasks: Sequence[Task],
    keys: Array,
    hyper: Any,
    data: Data,
    identity: dict[str, Any],
    *,
    translate: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Position | None:
    """Position of the newest checkpoint, or None if there is none.

    Parameters
    ----------
    folder : path
    tasks : sequence of Task
    keys : typed random key () or (S,)
    hyper : dict
        Of this run; those of the checkpoint are not read.
    data : Data
        These four as for `fairjax.deep.training.trainer.run_tasks`.
    identity : dict
        What was given to `save`.
    translate : function, optional
        What makes of an identity of an earlier version one of today.

    Raises
    ------
    InputError
        If the checkpoint is of another method, other settings or other data; the message names both.
    """
    import orbax.checkpoint as ocp

    if not Path(folder).is_dir():
        return None
    with _quiet(), _manager(folder, None) as manager:
        number = manager.latest_step()
        if number is None:
            return None
        words = _words(manager, folder, number)
        found = words["identity"]
        _compare(folder, found if translate is None else translate(found), identity)
        with _readable(folder, number):
            shapes = manager.item_metadata(number)["arrays"]
            blank = {name: np.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
            arrays = manager.restore(number, args=ocp.args.Composite(arrays=ocp.args.StandardRestore(blank)))["arrays"]
    template = state_template(tasks, keys, hyper, data, words["stage"])
    # the same numbers as in the checkpoint, whatever they were called there
    state = _filled(template._replace(hyper={}), arrays, folder, keys)._replace(hyper=spread(hyper, keys, data.x.dtype))
    histories: list[dict[str, np.ndarray]] = [{} for _ in range(words["stage"] + 1)]
    for name, values in arrays.items():
        kind, _, rest = name.partition("/")
        if kind == "history":
            stage, _, term = rest.partition("/")
            histories[int(stage)][term] = np.asarray(values)
    return Position(words["stage"], words["step"], state, tuple(histories))


def _filled(template: TrainState, arrays: dict[str, Any], folder: str | Path, keys: Array) -> TrainState:
    """The template with the arrays of a checkpoint."""
    leaves = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(template)[0]:
        name = _name(path)
        found = arrays.get(name, arrays.get(name.replace(_CENTERS, _FORMERLY)))
        if found is None:
            raise InputError(f"the checkpoint in {str(folder)!r} lacks {name}; it is of another version")
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaves.append(jax.random.wrap_key_data(found, impl=jax.random.key_impl(keys)))
            continue
        if found.shape != leaf.shape:
            raise InputError(
                f"the checkpoint in {str(folder)!r} holds {name} of shape {found.shape}, this run has "
                f"{leaf.shape}; resume with the same network, or choose another folder"
            )
        leaves.append(jax.numpy.asarray(found))
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def identity(folder: str | Path) -> dict[str, Any] | None:
    """The identity that the newest checkpoint was saved with, or None if there is no checkpoint.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if not Path(folder).is_dir():
        return None
    with _quiet(), _manager(folder, None) as manager:
        number = manager.latest_step()
        return None if number is None else _words(manager, folder, number)["identity"]


def fingerprint(*arrays: Any) -> str:
    """Digest of arrays, by which a checkpoint knows its data."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


class Keeper:
    """Saves at an interval, at the end of a stage, and when the process is asked to stop; pass it as ``after_chunk``.

    Within ``with keeper.listening():`` Ctrl-C, SIGTERM and SIGHUP wait for the end of the chunk (after the last chunk:
    of the block), save, and then end the run as they usually would; a second Ctrl-C does not wait. While a stage is
    compiled there is nothing to save, and SIGTERM and SIGHUP end the process after a second.

    Parameters
    ----------
    folder : path
    tasks : sequence of Task
        Stages of the run.
    identity : dict
        As for `save`.
    every : int
        Steps between two checkpoints, rounded up to whole chunks.
    keep : int
    """

    def __init__(
        self, folder: str | Path, tasks: Sequence[Task], identity: dict[str, Any], *, every: int, keep: int
    ) -> None:
        self.folder = folder
        self._save: Callable[[Position], None] = lambda position: save(folder, position, tasks, identity, keep)
        self._lengths = [task.steps for task in tasks]
        self._every, self._last = every, 0
        self._asked: int | None = None
        self._busy = False  # whether the last chunk is to be looked at, or is being saved

    def __call__(self, position: Position) -> None:
        """Save if it is time."""
        behind = sum(self._lengths[: position.stage]) + position.step
        whole = position.step == self._lengths[position.stage]
        self._busy = True
        if self._asked is not None or whole or behind - self._last >= self._every:
            self._save(position)
            self._last = behind
        if self._asked is not None:
            self._end(self._asked)
        self._busy = behind > self._last

    def may_end(self) -> bool:
        """Whether all but the chunk at work is saved, so that the process may end without waiting for it."""
        return not self._busy

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle these signals while the block runs; in another thread than the main one they are left alone."""
        global _at_work
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [signal.SIGINT, *signals.ENDING]
        if _HANG_UP is not None and signal.getsignal(_HANG_UP) == signal.SIG_IGN:
            numbers.remove(_HANG_UP)  # nohup wants it so
        ours = [n for n in numbers if n in signals.ENDING and signal.getsignal(n) == signal.SIG_DFL]
        before = {number: signal.signal(number, self._ask) for number in numbers}
        _at_work = self
        try:
            with signals.guard(self.may_end), signals.watching(ours, lambda _: None):
                yield
        finally:
            _at_work = None
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._asked is not None:
            # asked after the last chunk, which was saved
            self._end(self._asked)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = number

    def _end(self, number: int) -> NoReturn:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


_at_work: Keeper | None = None


def kept_in() -> str | Path | None:
    """Folder of the training at work in this process, if it holds a checkpoint."""
    keeper = _at_work
    return keeper.folder if keeper is not None and any(Path(keeper.folder).glob("[0-9]*")) else None


@contextmanager
def claimed(folder: str | Path) -> Iterator[None]:
    """Within the block no other training writes to the folder, of this process or another one on this machine.

    Raises
    ------
    InputError
        If one does already; the lock goes with the process that holds it, however that ends.
    """
    try:
        import fcntl
    except ImportError:  # not a system with such locks
        yield
        return
    with open(Path(folder) / _LOCK, "a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read(20).strip()
            raise InputError(
                f"another training (process {holder or 'unknown'}) is writing checkpoints to {str(folder)!r}; wait for "
                "its end, or choose another folder"
            ) from error
        except OSError:  # a file system without locks
            yield
            return
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


def _manager(folder: str | Path, keep: int | None) -> Any:
    import orbax.checkpoint as ocp

    options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=keep is not None, enable_async_checkpointing=False)
    return ocp.CheckpointManager(
        Path(folder).absolute(),
        options=options,
        item_handlers={"arrays": ocp.StandardCheckpointHandler(), "words": ocp.JsonCheckpointHandler()},
    )


def _words(manager: Any, folder: str | Path, number: int) -> dict[str, Any]:
    import orbax.checkpoint as ocp

    with _readable(folder, number):
        found: dict[str, Any] = manager.restore(number, args=ocp.args.Composite(words=ocp.args.JsonRestore()))["words"]
        if "identity" not in found:
            raise KeyError("identity")
    return found


@contextmanager
def _readable(folder: str | Path, number: int) -> Iterator[None]:
    """Say in one sentence that a checkpoint is damaged, whatever the library finds wrong with it."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"the checkpoint {str(Path(folder) / str(number))!r} cannot be read ({type(error).__name__}); it was "
            "changed since it was written, or is not a checkpoint: remove it to go on from the one before, if any"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Orbax logs the traceback of each of its threads; what goes wrong is said once, by the error that is raised."""
    log = logging.getLogger("absl")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _reason(error: Exception) -> str:
    """What the operating system said, where the error's text has it at the end of a chain of file names."""
    said = re.search(r"([^:]+) \[os_error_code", str(error))
    return said[1].strip() if said else str(error)


def _flat(position: Position) -> dict[str, np.ndarray]:
    """All arrays by name: flat, so that reading needs no knowledge of the trees."""
    arrays = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(position.state)[0]:
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        arrays[_name(path)] = np.asarray(leaf)
    for stage, history in enumerate(position.histories):
        for term, values in history.items():
            arrays[f"history/{stage}/{term}"] = values
    return arrays


def _name(path: Any) -> str:
    return "state/" + jax.tree_util.keystr(path, simple=True, separator="/")


def _compare(folder: str | Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    wanted = json.loads(json.dumps(wanted))  # tuples as the lists that they were written as
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        if found.get(name) != wanted.get(name):
            raise InputError(
                f"the checkpoint in {str(folder)!r} was made with {name}={found.get(name)!r}, this run has "
                f"{name}={wanted.get(name)!r}; resume with the same, or choose another folder"
            )
