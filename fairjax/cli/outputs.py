"""Output files: refused before the work when they cannot be written, written whole after it, all of them or none."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairjax._core.atomic import beside, target_of
from fairjax._core.text import visible
from fairjax.datasets import Dataset
from fairjax.datasets.table.rawtable import RawTable
from fairjax.datasets.table.results import (
    ENDINGS,
    check_ending,
    check_key,
    columns_to_write,
    encode,
    with_clusters,
)
from fairjax.errors import InputError

_PAGE = (".html", ".htm")


def check(paths: dict[str, str | None], data: str | None, *, endings: Sequence[str] = ENDINGS) -> None:
    """Raise InputError if an output path cannot be written, names the input, or is named twice.

    Parameters
    ----------
    paths : dict
        Path or None of each option.
    data : str or None
        Path or name of the input.
    endings : sequence of str
        What ``--out`` may end in.
    """
    seen: dict[Path, str] = {}
    for option, path in paths.items():
        if path is None:
            continue
        shown = visible(path, 200)
        if option == "--out":
            check_ending(option, path, endings)
        elif option == "--report" and Path(path).suffix and not Path(path).is_dir():
            check_ending(option, path, _PAGE)
        try:
            target = Path(path).resolve()
            same = data is not None and Path(data).exists() and target == Path(data).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a null byte, too long a name, a loop of links
            raise InputError(f"cannot write {option} {shown}: {error}; give another file name") from error
        if same:
            raise InputError(f"{option} {shown} is the input itself; give another file name")
        if target in seen:
            raise InputError(f"{seen[target]} and {option} both name {shown}; give each its own file")
        seen[target] = option
        _probe(option, path, target)


def check_columns(data: Dataset, options: argparse.Namespace) -> None:
    """Refuse what only makes sense of a user's own table, columns that it has not, and a key that is none."""
    if options.columns is None and options.key is None:
        return
    if options.columns is not None and options.key is not None:
        raise InputError("--columns and --key both choose what --out writes; leave one out")
    option, names = ("--columns", options.columns) if options.key is None else ("--key", options.key)
    if options.out is None:
        raise InputError(f"{option} chooses what --out writes; say --out FILE too, or leave it out")
    if data.table is None:
        raise InputError(f"{option} chooses columns of a file; {data.name!r} has none of its own: leave it out")
    table = data.table.table
    positions = columns_to_write(table, names, option)
    if option == "--key":
        check_key(table, positions)


def clustered(data: Dataset, labels: npt.NDArray[np.integer], options: argparse.Namespace) -> bytes:
    """Return the content of ``--out``.

    A user's own table comes back as it was, with the cluster beside it; of a known data set, its row (from 1), cluster
    and group.
    """
    suffix = Path(options.out).suffix
    if data.table is None:
        return _listing(data, labels, suffix)
    table = data.table.table
    names = None
    if data.n_groups > 1 and options.key is None and not _is_in(table, data):
        names = [data.group_names[group] for group in data.groups.tolist()]
    found, _ = with_clusters(table, data.rows, labels, names, options.key or options.columns)
    return encode(found, suffix, dialect=table.dialect, plain_formulas=options.plain_formulas)


def _is_in(table: RawTable, data: Dataset) -> bool:
    """Whether the groups are just the values of one column of the table."""
    if len(data.attributes) != 1 or data.ranges:
        return False
    ((name, (ids, values)),) = data.attributes.items()
    pairs = np.unique(ids.astype(np.int64) * data.n_groups + data.groups)
    own, groups = (pairs // data.n_groups).tolist(), (pairs % data.n_groups).tolist()
    return name in table.names and all(
        values[i] == data.group_names[group] for i, group in zip(own, groups, strict=True)
    )


def _listing(data: Dataset, labels: npt.NDArray[np.integer], suffix: str) -> bytes:
    import pyarrow as pa

    groups = [data.group_names[group] for group in data.groups.tolist()]
    table = pa.table({"row": data.rows + 1, "cluster": np.asarray(labels, np.int64), "group": pa.array(groups)})
    return encode(table, suffix)


def _probe(option: str, path: str, target: Path) -> None:
    """Try what writing will do, with an empty file that is gone at once."""
    try:
        target_of(path)
        trial = beside(target)
        with open(trial, "x"):
            pass
        os.unlink(trial)
    except InputError as error:
        raise InputError(f"{option} {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot write {option} {visible(path, 200)}: {reason}; give a file name in a folder you may write to"
        ) from error
