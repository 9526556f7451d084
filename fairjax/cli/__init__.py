"""The command ``fairjax``: it parses, delegates, and turns every ending into an exit code and one sentence.

0 done, 2 bad input, 130 stopped by Ctrl-C. Nothing heavy is imported before the arguments are known to be good.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from fairjax import __version__
from fairjax.cli import interrupt
from fairjax.errors import InputError

__all__ = ["main"]

_DATA = "a CSV, TSV, Parquet or NPZ file, or the name of a known data set (see: fairjax datasets)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Examples
    --------
    >>> main(["--version"])  # doctest: +ELLIPSIS
    fairjax ...
    0
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        interrupt.listen()
    try:
        options = _parser().parse_args(arguments)
        command = importlib.import_module(f"fairjax.cli.{options.command}")
        command.run(options, arguments)
        sys.stdout.flush()
    except InputError as error:
        return _fail(2, f"{error}".replace("\n", " "))
    except MemoryError:
        return _fail(2, "the data do not fit into memory; use fewer rows, columns or clusters")
    except KeyboardInterrupt:
        code = _fail(130, "stopped by Ctrl-C; output files are as they were")
        if argv is None:
            # threads of JAX may be at work still, and taking the interpreter down under them may crash
            sys.stderr.flush()
            os._exit(code)
        return code
    except BrokenPipeError:
        # whoever read the output has had enough; keep Python from complaining when it closes the stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _fail(code: int, sentence: str) -> int:
    print(f"fairjax: {sentence}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise in place of argparse's two lines of usage: one sentence is enough."""
        raise InputError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fairjax",
        description="Fair clustering: every protected group spread over the clusters as over the whole.",
        epilog="Start with: fairjax fit",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fairjax {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_fit(commands)
    _add_bench(commands)
    _add_datasets(commands)
    return parser


def _add_fit(commands: "argparse._SubParsersAction[_Parser]") -> None:
    fit = commands.add_parser(
        "fit",
        help="cluster a table fairly",
        description="Cluster a table fairly and say what it cost.",
        epilog="Programs compiled for one size of data are kept in the user's cache for the next run; "
        "JAX_ENABLE_COMPILATION_CACHE=0 turns that off.",
        allow_abbrev=False,
    )
    fit.add_argument("data", nargs="?", metavar="DATA", help=f"{_DATA}; a cohort of 442 patients if left out")
    fit.add_argument("--sensitive", metavar="COLUMN", help="column with the protected attribute")
    fit.add_argument("--features", metavar="A,B,C", help="numeric columns to cluster on (default: all)")
    fit.add_argument("--clusters", type=int, default=8, metavar="K", help="number of clusters (default: 8)")
    fit.add_argument(
        "--method", default="direct", metavar="M",
        help="route: direct (default), or exact or sinkhorn transport between the groups",
    )  # fmt: skip
    fit.add_argument(
        "--epsilon", type=float, default=0.0, metavar="E",
        help="admitted gap between the groups' proportions, from 0 (default) to 2",
    )  # fmt: skip
    fit.add_argument(
        "--min-balance", type=float, metavar="B",
        help="in place of --epsilon: least ratio of two groups' counts in a cluster",
    )  # fmt: skip
    fit.add_argument(
        "--standardize", action=argparse.BooleanOptionalAction, default=None,
        help="bring columns to mean 0 and deviation 1 (default for tables)",
    )  # fmt: skip
    fit.add_argument("--l2-normalize", action="store_true", help="then divide each row by its length")
    fit.add_argument("--n-init", type=int, default=1, metavar="N", help="restarts; the best is kept (default: 1)")
    fit.add_argument("--max-iter", type=int, default=100, metavar="N", help="most turns (default: 100)")
    fit.add_argument("--tol", type=float, default=1e-4, metavar="T", help="when centres count as settled")
    fit.add_argument(
        "--transport-weight", type=float, default=1.0, metavar="W",
        help="of methods exact and sinkhorn: weight of the distance between aligned points (default: 1, the paper: 2)",
    )  # fmt: skip
    fit.add_argument(
        "--partition-size", type=int, default=1024, metavar="N",
        help="of methods exact and sinkhorn: points of the smallest group in a block (default: 1024)",
    )  # fmt: skip
    fit.add_argument("--reg", type=float, default=0.01, metavar="R", help="entropy of method sinkhorn (default: 0.01)")
    fit.add_argument(
        "--center-update",
        default="lloyd",
        metavar="U",
        help="of methods exact and sinkhorn: lloyd (default) or gradient",
    )
    fit.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the random starts (default: 0)")
    fit.add_argument("--out", metavar="CSV", help="write row, cluster and group of every point")
    fit.add_argument("--report", metavar="HTML", help="write a page with figures that opens from disk")
    fit.add_argument("--json", action="store_true", help="print one JSON object in place of the summary")
    fit.add_argument("--quiet", action="store_true", help="print no summary and no progress")
    fit.add_argument("--download", action="store_true", help="fetch the files of a known data set if missing")


def _add_bench(commands: "argparse._SubParsersAction[_Parser]") -> None:
    bench = commands.add_parser(
        "bench",
        help="compare k-means with fair clustering at several levels of balance",
        description="Compare k-means with fair clustering at several levels of balance, from the same starts.",
        allow_abbrev=False,
    )
    bench.add_argument("data", nargs="*", metavar="DATA", help=f"{_DATA}; the bundled cohort if left out")
    bench.add_argument("--sensitive", metavar="COLUMN", help="column with the protected attribute, for files")
    bench.add_argument("--features", metavar="A,B,C", help="numeric columns to cluster on, for files")
    bench.add_argument("--clusters", type=int, default=10, metavar="K", help="number of clusters (default: 10)")
    bench.add_argument("--seeds", type=int, default=3, metavar="N", help="number of starts (default: 3)")
    bench.add_argument("--l2-normalize", action="store_true", help="divide each row by its length")
    bench.add_argument("--json", action="store_true", help="print one JSON object in place of the table")


def _add_datasets(commands: "argparse._SubParsersAction[_Parser]") -> None:
    datasets = commands.add_parser(
        "datasets",
        help="known data sets, where they were found, and how to get the others",
        description="List the known data sets: where they were found, what is missing and how to get it.",
        allow_abbrev=False,
    )
    datasets.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
