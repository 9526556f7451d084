"""Output files: refused before the work when they cannot be written, written whole after it."""

import csv
import io
import os
import secrets
from pathlib import Path

from fairjax.datasets import Dataset
from fairjax.errors import InputError


def check(paths: dict[str, str | None], data: str | None) -> None:
    """Raise InputError if an output path cannot be written, names the input, or is named twice.

    Parameters
    ----------
    paths : dict
        Path or None of each option.
    data : str or None
        Path or name of the input.
    """
    seen: dict[Path, str] = {}
    for option, path in paths.items():
        if path is None:
            continue
        target = Path(path).resolve()
        if data is not None and Path(data).exists() and target == Path(data).resolve():
            raise InputError(f"{option} {path} is the input itself; give another file name")
        if target in seen:
            raise InputError(f"{seen[target]} and {option} both name {path}; give each its own file")
        seen[target] = option
        _probe(option, path, target)


def labels_csv(data: Dataset, labels: list[int]) -> str:
    """Row in the source (from 0), cluster and group of every point as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "cluster", "group"])
    names = data.group_names
    groups = (names[group] for group in data.groups.tolist())
    writer.writerows(zip(data.rows.tolist(), labels, groups, strict=True))
    return text.getvalue()


def _probe(option: str, path: str, target: Path) -> None:
    """Try what writing will do, with an empty file that is gone at once."""
    if target.exists() and not target.is_file():
        raise InputError(f"{option} {path} is not a file; give the name of a file to write")
    trial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with open(trial, "x"):
            pass
        os.unlink(trial)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot write {option} {path}: {reason}; give a file name in a folder you may write to"
        ) from error
