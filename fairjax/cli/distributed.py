"""``fairjax fit --distributed``: one of several processes that cluster the files of one table together.

Each of them is started with the same command, on hosts that see the same files, reads its share of the rows and keeps
or streams it. The first one says what came out, and writes reports and models; labels are written by those that have
them.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fairjax.cli import numbers
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax._core.processes import Crew
    from fairjax.datasets import BlockTable

_NAMED = ("coordinator", "processes", "process")


def add(fit: argparse.ArgumentParser) -> None:
    """Add the options to `fit`."""
    fit.add_argument(
        "--distributed", action="store_true",
        help="be one of several processes that cluster the files DATA together, each a share of their rows: under "
        "SLURM, Open MPI, Kubernetes and on TPUs they find each other, elsewhere by the next three options; --out "
        "then names a folder for the labels",
    )  # fmt: skip
    fit.add_argument(
        "--coordinator", metavar="HOST:PORT", help="with --distributed: where all can reach process 0, by a free port"
    )
    fit.add_argument("--processes", type=numbers.count, metavar="N", help="with --coordinator: how many there are")
    fit.add_argument(
        "--process", type=numbers.index, metavar="I", help="with --coordinator: which one this is, from 0 on"
    )
    fit.add_argument(
        "--join-timeout", type=float, metavar="S",
        help="with --distributed: seconds to wait for the other processes (default: 60)",
    )  # fmt: skip


def check(options: argparse.Namespace) -> None:
    """Refuse what has no meaning without the rest."""
    given = [name for name in _NAMED if getattr(options, name) is not None]
    if not options.distributed:
        if given or options.join_timeout is not None:
            name = (given or ["join_timeout"])[0].replace("_", "-")
            raise InputError(f"--{name} belongs to --distributed; say that too, or leave it out")
        return
    if given and len(given) < len(_NAMED):
        lacking = next(name for name in _NAMED if name not in given)
        raise InputError(
            f"--{given[0]} is given without --{lacking}; give --coordinator, --processes and --process, or none of them"
        )
    if options.join_timeout is not None and not 0 < options.join_timeout < 1e6:
        raise InputError(f"--join-timeout is {options.join_timeout:g}; expected a number of seconds above 0")


def crew(options: argparse.Namespace) -> "Crew":
    """The processes that the options name, once they have met; or this one alone."""
    from fairjax._core.processes import Crew

    if not options.distributed:
        return Crew(False)
    from fairjax import parallel

    timeout = {} if options.join_timeout is None else {"timeout": options.join_timeout}
    try:
        parallel.start(options.coordinator, n_processes=options.processes, process=options.process, **timeout)
    except InputError as error:
        named = str(error).replace("a coordinator, n_processes and process", "--coordinator, --processes and --process")
        raise InputError(named) from error
    return Crew(True)


@contextlib.contextmanager
def silence(options: argparse.Namespace) -> Iterator[None]:
    """Keep what the libraries that connect processes print from standard output, which is for the result."""
    if not options.distributed:
        yield
        return
    sys.stdout.flush()
    with open(os.devnull, "wb") as nowhere:
        kept = os.dup(1)
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def held(table: "BlockTable") -> tuple[Any, Any]:
    """Points (n, d) and groups of all rows of a share, which fits into memory."""
    import pyarrow as pa

    blocks = list(table)
    X = np.concatenate([np.zeros((0, len(table.features)), table.dtype), *(block.features for block in blocks)])

    def column(parts: list[Any]) -> Any:
        return pa.chunked_array(parts).unify_dictionaries() if parts else []

    if not table.sensitive:
        return X, None
    if len(table.sensitive) == 1:
        return X, column([block.groups for block in blocks])
    return X, {name: column([block.groups[name] for block in blocks]) for name in table.sensitive}
