"""Labels of a fit over blocks, as Parquet files in a folder that appears only when complete."""

import contextlib
import json
import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax import __version__
from fairjax._core import group_codes, progress, signals
from fairjax._core.atomic import beside, settle
from fairjax._core.text import visible
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax._core.processes import Crew
    from fairjax.estimators.fca import FCA
    from fairjax.estimators.fitted import FittedFCA

MANIFEST = "manifest.json"
_PART_ROWS = 2**22  # for a table that has no files
_KIND = "fairjax labels"


def write(model: "FittedFCA", table: Iterable[Any], folder: str | os.PathLike[str]) -> None:
    """See :meth:`fairjax.FCA.write_labels`."""
    from fairjax._core.processes import Crew, explained

    crew = Crew(model.n_devices == "all")
    with explained(), crew.as_one():
        if crew.leads:
            check_target(folder)
    with explained(), in_folder(folder, crew) as partial:
        manifest = _write_parts(model, table, partial, crew)
        seal(partial, manifest, crew)


@contextlib.contextmanager
def in_folder(folder: str | os.PathLike[str], crew: "Crew") -> Iterator[Path]:
    """A temporary folder, seen by all processes, which is renamed to ``folder`` at the end of the block."""
    target = Path(folder).resolve()
    with signals.guard(_never):
        partial = target.with_name(crew.told(beside(target).name)[0])
        try:
            with crew.as_one(), _told(folder):
                if crew.leads:
                    partial.mkdir()
            with crew.as_one():
                if not partial.is_dir():
                    raise InputError(
                        f"there is no folder {visible(target.parent, 200)} that is process 0's; write labels to one "
                        "that all processes share"
                    )
            yield partial
            with crew.as_one(), _told(folder):
                if crew.leads:
                    _take_place(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def seal(partial: Path, manifest: dict[str, Any], crew: "Crew") -> None:
    """Add the manifest to the parts of all processes."""
    with crew.as_one(), _told(partial):
        if crew.leads:
            (partial / MANIFEST).write_text(json.dumps(manifest, allow_nan=False, indent=1) + "\n")
            settle(partial / MANIFEST)


def write_held(
    model: "FCA", table: Any, counts: npt.NDArray[np.float64], folder: str | os.PathLike[str], crew: "Crew"
) -> None:
    """Write ``labels_`` of the rows of ``table`` that each process had in memory; ``counts`` (M, K) cover all rows."""
    with crew.as_one():
        if crew.leads:
            check_target(folder)
    first = sum(crew.told(len(model.labels_))[: crew.index])
    with in_folder(folder, crew) as partial:
        parts, recorder, done = Parts(partial, crew), _Recorder(table), 0
        with crew.as_one(), _told(folder), contextlib.closing(parts):
            for _ in recorder:
                part = recorder.parts.popleft()
                parts.add(part, first + done, model.labels_[done : done + part.n_rows])
                done += part.n_rows
        written = [part for own in crew.told(parts.written) for part in own]
        seal(partial, manifest_of(model, sum(crew.told(done)), counts, written), crew)


def check_target(folder: str | os.PathLike[str]) -> None:
    """InputError unless labels may be written there: nothing, an empty folder, or an older folder of labels."""
    target = Path(folder).resolve()
    label = visible(folder, 200)
    if target.exists() and not target.is_dir():
        raise InputError(f"{label} is a file; give the name of a folder for the labels")
    if target.is_dir() and any(target.iterdir()) and not _is_ours(target):
        raise InputError(f"{label} is a folder with other files in it; give the name of a new folder for the labels")
    if not target.parent.is_dir():
        raise InputError(f"{label} cannot be made, since {visible(target.parent, 200)} does not exist; make that first")


def _is_ours(folder: Path) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return bool(json.loads((folder / MANIFEST).read_text()).get("kind") == _KIND)
    return False


def _never() -> bool:
    """False: no signal may end the process while folders are being swapped."""
    return False


@contextlib.contextmanager
def _told(folder: str | os.PathLike[str]) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except InputError:
        raise
    except (OSError, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot write {visible(folder, 200)}: {why}; nothing is left there: make room, or give another folder"
        ) from error


def _take_place(partial: Path, target: Path) -> None:
    """Rename the folder; one with older labels is moved away, and moved back if that fails."""
    if not target.exists() or not any(target.iterdir()):
        os.replace(partial, target)
        return
    old = beside(target, "old")
    os.replace(target, old)
    try:
        os.replace(partial, target)
    except BaseException:
        os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


class Part(NamedTuple):
    """A block of rows: how many, the number of their part and the name of its source, and the keys of the rows."""

    n_rows: int
    number: int
    source: str | None
    keys: Any


class _Recorder:
    """A table that records, while it is iterated, which part of the labels each block belongs to."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.feature_names = getattr(table, "feature_names", None)
        self.n_rows = getattr(table, "n_rows", None)
        self.parts: deque[Part] = deque()  # of blocks that were read and are still to be written

    def __iter__(self) -> Iterator[Any]:
        self.parts.clear()
        by_file = getattr(self._table, "by_file", None)
        number, rows, last = -1, 0, None
        for file, block in ((None, block) for block in self._table) if by_file is None else by_file():
            n_rows = len(block[0])
            if n_rows == 0:
                continue
            if number < 0 or (rows >= _PART_ROWS if file is None else file != last):
                number, rows, last = number + 1, 0, file
            source = None if file is None else self._table.files[file].path.name
            self.parts.append(Part(n_rows, number, source, block.keys if hasattr(block, "keys") else None))
            rows += n_rows
            yield block

    def place(self, row: int) -> str:
        named = getattr(self._table, "place", None)
        return f"row {row:,} (from 0)" if named is None else str(named(row))


def _write_parts(model: "FittedFCA", table: Any, folder: Path, crew: "Crew") -> dict[str, Any]:
    """Write the parts with this process's rows, and return the manifest for all rows."""
    from fairjax.fca.streaming import labels, together
    from fairjax.fca.streaming.intake import GroupIds

    found, recorder = model.streamed_, _Recorder(table)
    groups = GroupIds([group_codes.plain(value) for value in model.groups_])
    intake = together.intake_of(crew, recorder, groups, found.rule.n_rows)
    intake.n_features = len(found.rule.shift)
    dealt = None
    if crew.size > 1 and len(found.rule.keys):
        own = np.zeros(0, np.int64)
        with crew.as_one():
            own = labels.copies(intake, found.rule)
        dealt = np.sum([np.zeros_like(own), *(part["own"] for part in crew.gathered({"own": own})[: crew.index])], 0)
    counts, waiting, done = np.zeros_like(found.counts), np.zeros(0, np.int32), 0
    parts, source = Parts(folder, crew), labels.labelled(intake, found.rule, dealt)
    with crew.as_one(), _told(folder), contextlib.closing(parts), contextlib.closing(source):
        for block in source:
            np.add.at(counts, (block.ids, block.labels), block.weights.astype(np.float64))
            waiting = np.concatenate([waiting, block.labels])
            while recorder.parts and recorder.parts[0].n_rows <= len(waiting):
                part = recorder.parts.popleft()
                parts.add(part, intake.first + done, waiting[: part.n_rows])
                waiting, done = waiting[part.n_rows :], done + part.n_rows
            progress.report("writing labels", done / (intake.n_rows or 1))
    counts = np.sum([part["counts"] for part in crew.gathered({"counts": counts})], 0)
    if not np.allclose(counts * found.rule.heaviest, found.counts, rtol=1e-6, atol=0):
        raise InputError(
            "the labels' counts are not those of the fit, so the table is not the one that the model was fitted to; "
            "give that one, or assign new rows by predict"
        )
    return manifest_of(
        model, found.rule.n_rows, found.counts, [own for part in crew.told(parts.written) for own in part]
    )


class Parts:
    """Parquet files, written one after the other, with names that are unique to this process."""

    def __init__(self, folder: Path, crew: "Crew") -> None:
        self._folder, self._writer, self._number = folder, None, -1
        self._prefix = "part" if crew.size == 1 else f"part-{crew.index:04d}"
        self.written: list[dict[str, Any]] = []

    def add(self, part: Part, first: int, labels: npt.NDArray[np.int32]) -> None:
        """Write the labels of consecutive rows; ``first`` is the number of the first one in the table."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {"row": pa.array(np.arange(first, first + len(labels), dtype=np.int64))}
        if part.keys is not None:
            columns |= dict(zip(part.keys.schema.names, part.keys.columns, strict=True))
        columns["cluster"] = pa.array(labels)
        batch = pa.RecordBatch.from_pydict(columns)
        if part.number != self._number:
            self.close()
            name = f"{self._prefix}-{part.number:05d}.parquet"
            self._writer, self._number = pq.ParquetWriter(self._folder / name, batch.schema), part.number
            self.written.append({"name": name, "source": part.source, "first_row": first, "rows": 0})
        self._writer.write_batch(batch)  # type: ignore[attr-defined]
        self.written[-1]["rows"] += len(labels)

    def close(self) -> None:
        """Finish the current file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            settle(self._folder / self.written[-1]["name"])


def manifest_of(
    model: "FittedFCA", n_rows: int, counts: npt.NDArray[np.float64], parts: list[dict[str, Any]]
) -> dict[str, Any]:
    """The description of the folder; ``counts`` (M, K) are those of the labels."""
    best = model.result_.assignment
    return {
        "kind": _KIND,
        "version": __version__,
        "rows": n_rows,
        "groups": list(model.group_names_),
        "counts": counts.tolist(),
        "cost": model.cost_,
        "bound": float(best.dual),
        "gap": model.gap_,
        "status": model.status_,
        "centers": model.cluster_centers_.astype(float).tolist(),
        "prices": model.multipliers_.tolist(),
        "parts": parts,
    }
