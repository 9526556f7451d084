"""Shares of a table in files, one for each of several processes, and sums that do not depend on how many there are.

Files are cut into pieces: runs of row groups of Parquet, whole files of other formats. Where the cuts are is the
files' alone. A share is some pieces that follow each other, so rows keep their order and their numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax.datasets.block_files import BlockFile
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax._core.processes import Crew

_PIECE = 2**18  # rows, at least, but for the last piece of a file

Doubles = npt.NDArray[np.float64]


def pieces(file: BlockFile) -> Iterator[BlockFile]:
    """A file in pieces that are read by themselves.

    Those of a share of a file are pieces of the file, since shares are made of them.
    """
    if not file.row_groups:
        yield file
        return
    begin, end = (0, len(file.row_groups)) if file.span is None else file.span
    n_rows = 0
    for group in range(begin, end):
        n_rows += file.row_groups[group]
        if n_rows >= _PIECE or group == end - 1:
            yield file.part(begin, group + 1)
            begin, n_rows = group + 1, 0


def share(files: Sequence[BlockFile], index: int, count: int) -> tuple[BlockFile, ...]:
    """The files, or parts of files, of share ``index`` (from 0) of ``count``, as even as the pieces allow.

    Raises
    ------
    InputError
        If there is no such share.
    """
    if not 0 <= index < count:
        raise InputError(f"share {index} of {count} is asked for; expected one from 0 to {count - 1}")
    every = [piece for file in files for piece in pieces(file)]
    known = all(piece.n_rows is not None for piece in every)
    sizes = [int(piece.n_rows or 0) if known else piece.seen.size for piece in every]
    begins = np.cumsum([0, *sizes])[:-1]
    owners = np.minimum(begins * count // max(sum(sizes), 1), count - 1)
    return tuple(_joined([piece for piece, owner in zip(every, owners, strict=True) if owner == index]))


def _joined(parts: Iterable[BlockFile]) -> Iterator[BlockFile]:
    """Pieces of one file that follow each other as one part of it."""
    held: BlockFile | None = None
    for part in parts:
        if held is not None and held.path == part.path and held.span and part.span and held.span[1] == part.span[0]:
            held = held.part(held.span[0], part.span[1])
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held


def means_and_spreads(blocks: Iterable[tuple[int, Any]], n_features: int, crew: Crew) -> tuple[Doubles, Doubles]:
    """Means (d,) and population standard deviations (d,) of the features of all processes.

    ``blocks`` are features (r, d), each with the number of its piece. Sums over a piece are taken by themselves and
    then added up without rounding, so that shares of another number of processes come to the same, digit by digit.
    """
    about: Doubles | None = None
    sums: list[Doubles] = []
    sizes: list[int] = []
    last = -1
    with crew.as_one():
        iterator = iter(blocks)
        first = next(iterator, None)
    # of the first rows of all: any point amid them will do, but the same for every process
    own = np.zeros((0, n_features)) if first is None else first[1].mean(0, dtype=np.float64)[None]
    for part in crew.gathered({"about": own}):
        if about is None and len(part["about"]):
            about = part["about"][0]
    about = np.zeros(n_features) if about is None else about
    with crew.as_one():
        while first is not None:
            piece, features = first
            if piece != last:
                sums.append(np.zeros((2, n_features)))
                sizes.append(0)
                last = piece
            apart = features.T - about[:, None]
            sums[-1] += apart.sum(1), np.einsum("ij,ij->i", apart, apart)
            sizes[-1] += apart.shape[1]
            first = next(iterator, None)
    every = crew.gathered({"sums": np.reshape(sums, (-1, 2, n_features)), "sizes": np.asarray(sizes, np.int64)})
    n_rows = max(sum(int(part["sizes"].sum()) for part in every), 1)
    whole = np.concatenate([part["sums"] for part in every])
    totals = np.array([[math.fsum(whole[:, i, j]) for j in range(n_features)] for i in range(2)])
    means = totals[0] / n_rows
    spreads = np.sqrt(np.maximum(totals[1] / n_rows - means**2, 0))
    spreads[spreads <= 1e-12 * np.abs(about)] = 0
    return about + means, spreads
