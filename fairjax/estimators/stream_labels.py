"""Labels of a fit over blocks, as Parquet files in a folder that appears whole."""

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
    from fairjax.estimators.fitted import FittedFCA

MANIFEST = "manifest.json"
_PART_ROWS = 2**22  # of a table that has no files
_KIND = "fairjax labels"


def write(model: "FittedFCA", table: Iterable[Any], folder: str | os.PathLike[str]) -> None:
    """See :meth:`fairjax.FCA.write_labels`."""
    check_target(folder)
    target = Path(folder).resolve()
    with _told(folder), signals.guard(_never):
        partial = beside(target)
        try:
            partial.mkdir()
            manifest = _write_parts(model, table, partial)
            (partial / MANIFEST).write_text(json.dumps(manifest, allow_nan=False, indent=1) + "\n")
            settle(partial / MANIFEST)
            _take_place(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def check_target(folder: str | os.PathLike[str]) -> None:
    """InputError unless labels may be written there: nothing, an empty folder, or one that they were written to."""
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
    """No signal ends the process early while a folder changes places."""
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
    """Rename the folder; one of older labels makes way, and comes back where that fails."""
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


class _Part(NamedTuple):
    """A block of rows: how many, the number of their part and the name of its source, and the keys of the rows."""

    n_rows: int
    number: int
    source: str | None
    keys: Any


class _Recorder:
    """A table that, while it is iterated, notes which part of the labels each block belongs to."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.feature_names = getattr(table, "feature_names", None)
        self.parts: deque[_Part] = deque()  # of blocks that were read and are still to be written

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
            self.parts.append(_Part(n_rows, number, source, block.keys if hasattr(block, "keys") else None))
            rows += n_rows
            yield block

    def place(self, row: int) -> str:
        named = getattr(self._table, "place", None)
        return f"row {row:,} (from 0)" if named is None else str(named(row))


def _write_parts(model: "FittedFCA", table: Any, folder: Path) -> dict[str, Any]:
    """Write all parts, and return the manifest."""
    from fairjax.fca.streaming.intake import GroupIds, Intake
    from fairjax.fca.streaming.labels import labelled

    found, recorder = model.streamed_, _Recorder(table)
    intake = Intake(recorder, GroupIds([group_codes.plain(value) for value in model.groups_]))
    intake.n_rows, intake.n_features = found.rule.n_rows, len(found.rule.shift)
    counts, done, waiting = np.zeros_like(found.counts), 0, np.zeros(0, np.int32)
    parts = _Parts(folder)
    source = labelled(intake, found.rule)
    try:
        for block in source:
            np.add.at(counts, (block.ids, block.labels), block.weights.astype(np.float64))
            waiting = np.concatenate([waiting, block.labels])
            while recorder.parts and recorder.parts[0].n_rows <= len(waiting):
                part = recorder.parts.popleft()
                parts.add(part, done, waiting[: part.n_rows])
                waiting, done = waiting[part.n_rows :], done + part.n_rows
            progress.report("writing labels", done / found.rule.n_rows)
    finally:
        source.close()
        parts.close()
    if not np.allclose(counts * found.rule.heaviest, found.counts, rtol=1e-6, atol=0):
        raise InputError(
            "the labels' counts are not those of the fit, so the table is not the one that the model was fitted to; "
            "give that one, or assign new rows by predict"
        )
    return _manifest(model, parts.written)


class _Parts:
    """Parquet files, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._writer, self._number = folder, None, -1
        self.written: list[dict[str, Any]] = []

    def add(self, part: _Part, first: int, labels: npt.NDArray[np.int32]) -> None:
        """Write the labels of some rows, the first of which has this number in the table."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {"row": pa.array(np.arange(first, first + len(labels), dtype=np.int64))}
        if part.keys is not None:
            columns |= dict(zip(part.keys.schema.names, part.keys.columns, strict=True))
        columns["cluster"] = pa.array(labels)
        batch = pa.RecordBatch.from_pydict(columns)
        if part.number != self._number:
            self.close()
            name = f"part-{part.number:05d}.parquet"
            self._writer, self._number = pq.ParquetWriter(self._folder / name, batch.schema), part.number
            self.written.append({"name": name, "source": part.source, "first_row": first, "rows": 0})
        self._writer.write_batch(batch)  # type: ignore[attr-defined]
        self.written[-1]["rows"] += len(labels)

    def close(self) -> None:
        """End the present file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            settle(self._folder / self.written[-1]["name"])


def _manifest(model: "FittedFCA", parts: list[dict[str, Any]]) -> dict[str, Any]:
    found = model.streamed_
    return {
        "kind": _KIND,
        "version": __version__,
        "rows": found.rule.n_rows,
        "groups": list(model.group_names_),
        "counts": found.counts.tolist(),
        "cost": found.cost,
        "bound": found.dual,
        "gap": found.gap,
        "status": found.status,
        "centers": found.centers.tolist(),
        "prices": found.prices.tolist(),
        "parts": parts,
    }
