"""Tables of many files, or of one that does not fit into memory, as blocks of rows that can be read again and again."""

from __future__ import annotations

import difflib
import glob
import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax._core.text import listed, reason, shown, visible
from fairjax.datasets import block_columns, shares
from fairjax.datasets.block_files import FORMATS, BlockFile, is_known, look
from fairjax.datasets.preparation import Preparation
from fairjax.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Block", "BlockTable", "scan"]

_BATCH = 2**16  # rows

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Block(NamedTuple):
    """Some rows of a table.

    Attributes
    ----------
    features : (r, d) numbers, the columns contiguous. groups : (r,) values of the sensitive column, or a dict of
    several, or None. weights : (r,) or None. keys : columns that tell the rows apart, as an Arrow batch, or None.
    """

    features: npt.NDArray[np.floating]
    groups: Any
    weights: npt.NDArray[np.float64] | None
    keys: pa.RecordBatch | None


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockTable:
    """A table in files, read as :class:`Block` after block each time it is iterated; made by :func:`scan`.

    Attributes
    ----------
    files : as they are read, one after the other. features, sensitive, keys : names of columns. weights : name or None.
    preparation : how columns become points; without centres, as they are.
    """

    files: tuple[BlockFile, ...]
    features: tuple[str, ...]
    sensitive: tuple[str, ...]
    weights: str | None
    keys: tuple[str, ...]
    preparation: Preparation
    _starts: list[int] = field(default_factory=list)  # number of each file's first row, as far as files were read
    _whole_files: tuple[BlockFile, ...] = ()  # of the table that this is a share of

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features in their order."""
        return self.features

    @property
    def every_file(self) -> tuple[BlockFile, ...]:
        """The files of the whole table, of which this may be a share."""
        return self._whole_files or self.files

    @property
    def n_rows(self) -> int | None:
        """Number of rows, where the files tell it without being read."""
        known = [file.n_rows for file in self.files]
        return None if None in known else sum(n for n in known if n is not None)

    def __iter__(self) -> Iterator[Block]:
        """The blocks of all files, in order; those without rows are left out."""
        for _, block in self.by_file():
            yield block

    def lent(self) -> Iterator[Block]:
        """As iterating, but the features of a block are in the memory of the one before.

        That is quicker for those who need one block at a time: memory that is asked for anew has to be cleared first.
        """
        for _, block in self.by_file(np.empty(len(self.features) * _BATCH, self.dtype)):
            yield block

    def by_file(self, room: npt.NDArray[np.floating] | None = None) -> Iterator[tuple[int, Block]]:
        """The blocks of all files, each with the number of its file; in ``room``, one after the other, if there is."""
        first = 0
        del self._starts[:]
        names = list(dict.fromkeys([*self.features, *self.sensitive, *filter(None, [self.weights]), *self.keys]))
        numbers = [name for name in (*self.features, self.weights) if name is not None and name not in self.sensitive]
        for number, file in enumerate(self.files):
            self._starts.append(first)
            file.check_unchanged()
            for batch in file.batches(names, numbers, _BATCH):
                if batch.num_rows:
                    yield number, self._block(batch, first, room)
                    first += batch.num_rows

    def place(self, row: int) -> str:
        """Name the file and the row in it, counted from 1 as people do, of a row numbered from 0 in the whole table."""
        number = max(bisect_right(self._starts, row) - 1, 0)
        file = self.files[number]
        return f"{file.label}, row {row - self._starts[number] + file.first_row + 1:,}"

    def fingerprint(self) -> dict[str, Any]:
        """What tells this table from another one, for JSON: files, columns and preparation."""
        told = json.dumps(self.preparation.to_json(), sort_keys=True)
        return {
            "files": [file.fingerprint() for file in self.every_file],
            "columns": [list(self.features), list(self.sensitive), self.weights],
            "preparation": hashlib.sha256(told.encode()).hexdigest()[:32],
        }

    def share(self, index: int, count: int) -> BlockTable:
        """Share ``index``, from 0, of ``count`` shares of the rows, for as many processes; it may be empty.

        Parquet is divided by row groups, other formats by files; rows stay in their order.

        Raises
        ------
        InputError
            If there is no such share.
        """
        return replace(self, files=shares.share(self.files, index, count), _starts=[], _whole_files=self.files)

    def standardized(self, *, l2_normalize: bool = False, together: bool = False) -> BlockTable:
        """The same table with columns of mean 0 and population standard deviation 1; reads it once, O(n d).

        A column that does not vary becomes 0. With ``l2_normalize`` each row is then divided by its Euclidean norm.
        With ``together`` the table is a share, and its columns are scaled as those of all processes are: see
        :func:`fairjax.parallel.start`.
        """
        from fairjax._core.processes import Crew

        means, spreads = shares.means_and_spreads(self._checked(), len(self.features), Crew(together))
        how = replace(self.preparation, centers=means, spreads=spreads, l2_normalize=l2_normalize)
        return replace(self, preparation=how, _starts=[])

    def _checked(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Features of the blocks, each with the number of its piece; InputError for NaN."""
        every = [piece for file in self.files for piece in shares.pieces(file)]
        table, first = replace(self, files=tuple(every), _starts=[]), 0
        for piece, block in table.by_file():
            _refuse_unknown(table, block.features.T, first)
            first += len(block.features)
            yield piece, block.features

    def l2_normalized(self) -> BlockTable:
        """The same table with each row divided by its Euclidean norm."""
        return replace(self, preparation=replace(self.preparation, l2_normalize=True), _starts=[])

    def _block(self, batch: pa.RecordBatch, first: int, room: npt.NDArray[np.floating] | None) -> Block:
        features = self._features(batch, first, room)
        groups: Any = None
        if self.sensitive:
            columns = {name: self._whole(batch, name, first) for name in self.sensitive}
            groups = columns[self.sensitive[0]] if len(columns) == 1 else columns
        weights = None
        if self.weights is not None:
            weights = np.asarray(self._whole(batch, self.weights, first), np.float64)
        return Block(features, groups, weights, batch.select(list(self.keys)) if self.keys else None)

    def _features(
        self, batch: pa.RecordBatch, first: int, room: npt.NDArray[np.floating] | None
    ) -> npt.NDArray[np.floating]:
        how, shape = self.preparation, (len(self.features), batch.num_rows)
        columns = np.empty(shape, self.dtype) if room is None else room[: shape[0] * shape[1]].reshape(shape)
        for j, name in enumerate(self.features):
            column = self._whole(batch, name, first).to_numpy(zero_copy_only=False)
            if how.centers is not None and how.spreads is not None:
                part = 1 / how.spreads[j] if how.spreads[j] > 0 else 0.0
                columns[j] = (column - how.centers[j]) * part
            else:
                columns[j] = column
        if how.l2_normalize:
            columns /= np.maximum(np.sqrt(np.einsum("ij,ij->j", columns, columns)), columns.dtype.type(1e-7))
        return columns.T

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Type of the features: float32 where they are scaled, or where that holds them to the last digit."""
        narrow = all(block_columns.is_narrow(file.types[name]) for file in self.every_file for name in self.features)
        return np.dtype(np.float32 if narrow or self.preparation.centers is not None else np.float64)

    def _whole(self, batch: pa.RecordBatch, name: str, first: int) -> Any:
        """A column without gaps."""
        column = batch.column(name)
        if column.null_count:
            row = first + int(np.argmax(np.asarray(column.is_null())))
            raise InputError(
                f"{self.place(row)} has no value in the column {shown(name)}; fill it in, or leave the row out"
            )
        return column


def scan(
    paths: Paths,
    sensitive: str | Sequence[str] | None = None,
    *,
    features: str | Sequence[str] | None = None,
    weights: str | None = None,
    key: str | Sequence[str] | None = None,
    drop: str | Sequence[str] | None = None,
    separator: str | None = None,
) -> BlockTable:
    r"""A table in files as blocks of rows that are read again and again, only the columns in use, never all at once.

    Parameters
    ----------
    paths : path, or several
        A file, a folder (with the folders in it; names that begin with a dot or an underscore are left out), or a
        pattern such as ``"people/*.parquet"``. Files are read in the order of their names. Parquet, CSV and TSV
        (plain or .gz), Arrow, or NPZ with an array X; all of one kind.
    sensitive : str or sequence of str, optional
        Columns with the protected attributes; each combination of several is a group. None means one group.
    features, drop : str or sequence of str, optional
        Columns to cluster on, in that order; None takes all but those of the other parameters and those to `drop`.
        One text may hold several names with commas between.
    weights : str, optional
        Column of weights ≥ 0.
    key : str or sequence of str, optional
        Columns that tell the rows apart; ``FCA.write_labels`` writes them beside the labels.
    separator : str, optional
        Between cells of text; a comma by default, and a tab in .tsv files.

    Returns
    -------
    BlockTable
        Nothing but the files' ends has been read. It may be given to :meth:`fairjax.FCA.fit_blocks`.

    Raises
    ------
    InputError
        If there are no files, they are not of one kind, or their columns differ; for names that are not there, and
        columns that hold no numbers. What is wrong in single rows is told when these are read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in range(2):
    ...         _ = pathlib.Path(folder, f"part-{part}.csv").write_text("age,sex\n20,F\n30,M\n")
    ...     table = scan(folder, "sex")
    ...     [block.features.ravel().tolist() for block in table], table.features
    ([[20.0, 30.0], [20.0, 30.0]], ('age',))
    """
    files = tuple(look(path, separator) for path in _found(paths))
    kinds = {file.kind: file for file in reversed(files)}
    if len(kinds) > 1:
        one, other = list(kinds.values())[:2]
        raise InputError(
            f"{one.label} and {other.label} are files of two formats; give those of one, such as {_pattern(one)}"
        )
    first = files[0]
    protected, keys, left_out = (_names(given, first) for given in (sensitive, key, drop))
    taken = {*protected, *keys, *left_out, *filter(None, [weights]), *first.aside}
    chosen = [name for name in first.types if name not in taken] if features is None else _names(features, first)
    for name in (*protected, *keys, *left_out, *chosen, *filter(None, [weights])):
        if name not in first.types:
            close = difflib.get_close_matches(name, list(first.types), n=1)
            hint = f"did you mean {shown(close[0])}?" if close else f"the columns are {listed(list(first.types))}"
            raise InputError(f"there is no column {shown(name)} in {first.label}; {hint}")
    both = [name for name in chosen if name in protected or name == weights]
    if both:
        raise InputError(f"the column {shown(both[0])} is sensitive or a weight, and a feature too; leave one out")
    if not chosen:
        raise InputError(f"{first.label} has no columns left to cluster on; name some by features")
    block_columns.check(files, chosen, [*protected, *filter(None, [weights]), *keys], weights, features is None)
    how = Preparation(columns=tuple(chosen), sensitive=tuple(protected))
    return BlockTable(
        files=files, features=tuple(chosen), sensitive=tuple(protected), weights=weights, keys=tuple(keys),
        preparation=how,
    )  # fmt: skip


def _names(given: str | Sequence[str] | None, file: BlockFile) -> list[str]:
    """A list of names; a text is one name if a column has it, else several with commas between."""
    if given is None:
        return []
    if not isinstance(given, str):
        return [str(name) for name in given]
    return [given] if given in file.types else [name.strip() for name in given.split(",")]


def _found(paths: Paths) -> list[Path]:
    """The files behind paths, folders and patterns, in order."""
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: list[Path] = []
    for path in several:
        text = os.path.expanduser(os.fspath(path))
        label = visible(text, 200)
        try:
            if os.path.isdir(text):
                inside = [Path(at, name) for at, names, some in os.walk(text) if _prune(names) for name in some]
                files = sorted(file for file in inside if file.name[0] not in "._" and is_known(file))
                if not files:
                    raise InputError(f"the folder {label} has no files with tables; expected {FORMATS}")
            elif os.path.exists(text) or not glob.has_magic(text):
                if not os.path.exists(text):
                    raise InputError(f"{label} does not exist; check the path")
                files = [Path(text)]
            else:
                files = sorted(Path(file) for file in glob.glob(text, recursive=True) if os.path.isfile(file))
                if not files:
                    raise InputError(f"no file is called {label}; check the pattern")
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{label} cannot be opened ({reason(error)}); check the path") from error
        found += files
    if not found:
        raise InputError("there are no files to scan; name at least one")
    return found


def _prune(names: list[str]) -> bool:
    """Let a walk pass over hidden folders, and go on in the order of their names."""
    names[:] = sorted(name for name in names if name[0] not in "._")
    return True


def _pattern(file: BlockFile) -> str:
    return visible(file.path.parent / f"*{file.path.suffix}", 200)


def _refuse_unknown(table: BlockTable, columns: npt.NDArray[Any], first: int) -> None:
    """InputError for the first value (d, r) that is NaN or infinite."""
    for feature in np.flatnonzero(~np.isfinite(columns.sum(1, dtype=np.float64))):
        bad = ~np.isfinite(columns[feature])
        if bad.any():
            raise InputError(
                f"{table.place(first + int(np.argmax(bad)))} holds NaN or an infinite value in the column "
                f"{shown(table.features[feature])}; expected finite numbers: fill it in, or leave the row out"
            )
