"""The state of a fit over blocks on disk, after each iteration: some thousand bytes, completely or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fairjax._core.text import shown
from fairjax.errors import InputError
from fairjax.saving import archive

if TYPE_CHECKING:
    from fairjax.fca.streaming.iterations import StreamState

_FILE, _LOCK = "fit.npz", ".lock"
_FORMAT = 2
_NUMBERS = ("reach", "miss", "radius", "cost", "best_cost", "gap", "kept_cost")  # which may be infinite


class Keeper:
    """Keeps the newest state of one fit in a folder.

    Parameters
    ----------
    folder : path
        Created if missing.
    resume : bool
        Whether to continue from the state there, if any; otherwise there must be none.

    Raises
    ------
    InputError
        If the folder cannot be written, another fit writes to it, or it holds a state that is not to be resumed.
    """

    def __init__(self, folder: str | os.PathLike[str], resume: bool) -> None:
        self._folder, self._resume = Path(folder), resume
        self._path = self._folder / _FILE
        self._identity: dict[str, Any] = {}
        self.origin: dict[str, Any] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
            self._lock = open(self._folder / _LOCK, "a+")  # noqa: SIM115  # noqa: SIM115  # held as long as this object
        except OSError as error:
            raise InputError(
                f"checkpoints cannot be written to {str(folder)!r} ({error.strerror or error}); give a folder that is "
                "yours to write"
            ) from error
        try:
            self._hold()
            self._refuse_to_replace()
        except InputError:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the folder."""
        self._lock.close()

    def _refuse_to_replace(self) -> None:
        if self._path.exists() and not self._resume:
            raise InputError(
                f"{str(self._folder)!r} holds the checkpoint of a fit already; say resume to go on from it, or "
                "give another folder"
            )

    def claim(self, identity: dict[str, Any]) -> None:
        """Set what identifies the fit: every state kept from now on carries it, and an existing one must match it."""
        self._identity = identity

    def keep(self, state: "StreamState") -> None:
        """Write a state in place of the previous one."""
        arrays = {name: np.asarray(value) for name, value in state._asdict().items()}
        arrays |= {f"origin/{name}": np.asarray(value) for name, value in self.origin.items()}
        archive.write(self._path, {"format": _FORMAT, "identity": self._identity}, arrays)

    def restored(self) -> "tuple[StreamState, dict[str, Any]] | None":
        """The state in the folder, and where its fit began; None if there is none, or it is not to be resumed.

        Raises
        ------
        InputError
            If it belongs to other data or other settings; the message names the difference.
        """
        from fairjax.fca.streaming.iterations import StreamState

        if not self._resume or not self._path.exists():
            return None
        words, arrays = archive.read(self._path)
        with archive.believing(self._path):
            if words["format"] != _FORMAT:
                raise archive.ForeignError(f"has format {words['format']}, and this version of fairjax reads {_FORMAT}")
            kept = words["identity"]
        if kept != self._identity:
            raise InputError(f"the checkpoint in {str(self._folder)!r} is {_difference(kept, self._identity)}")
        with archive.believing(self._path):
            self.origin = {name: arrays[f"origin/{name}"] for name in ("start", "search", "shift", "scale")}
            values: dict[str, Any] = {name: arrays[name] for name in StreamState._fields}
        values |= {name: float(values[name]) for name in _NUMBERS}
        values |= {"n_passes": int(values["n_passes"]), "converged": bool(values["converged"])}
        values["history"] = tuple(values["history"].tolist())
        return StreamState(**values), self.origin

    def _hold(self) -> None:
        """Keep other fits from writing here while this process lives."""
        with contextlib.suppress(ImportError):
            import fcntl

            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"another fit is writing checkpoints to {str(self._folder)!r}; wait for its end, or give another "
                    "folder"
                ) from error
            except OSError:  # a file system without locks
                pass


def _difference(kept: Any, now: dict[str, Any]) -> str:
    """In words, how this fit differs from the one that was kept."""
    remedy = "give the same, or another folder for a new fit"
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        for name, value in kept["settings"].items():
            if now["settings"].get(name) != value:
                return f"of a fit with {name}={value}, and this one has {now['settings'].get(name)}; {remedy}"
        files = [{file["name"]: file for file in told["table"].get("files", [])} for told in (kept, now)]
        for name, file in files[0].items():
            other = files[1].get(name)
            if other != file:
                how = "is not there now" if other is None else "is another now"
                return f"of other data: the file {shown(name)} {how}; {remedy}"
        more = [name for name in files[1] if name not in files[0]]
        if more:
            return f"of other data: the file {shown(more[0])} was not there; {remedy}"
        if kept["table"] != now["table"]:
            return f"of other columns of these files, or of columns scaled in another way; {remedy}"
        if kept["rows"] != now["rows"]:
            return f"of other data, with {kept['rows']:,} rows where now are {now['rows']:,}; {remedy}"
    return f"of other data; {remedy}"
