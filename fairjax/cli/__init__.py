"""The command ``fairjax``: it parses, delegates, and turns every ending into an exit code and one sentence.

0 done, 2 bad input, 130 stopped by Ctrl-C. Nothing heavy is imported before the arguments are known to be good.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from fairjax import __version__
from fairjax.cli import interrupt
from fairjax.errors import InputError

__all__ = ["main"]


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
    except KeyboardInterrupt as stop:
        code = _fail(130, f"{stop}" or "stopped by Ctrl-C; output files are as they were")
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
    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise in place of argparse's two lines of usage: one sentence is enough."""
        raise InputError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fairjax",
        description="Fair clustering: every protected group is spread over the clusters as over the whole data set.",
        epilog="Start with: fairjax fit",
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
        epilog="What JAX compiles is kept in your cache, so the next run on data of the same size starts faster; "
        "JAX_ENABLE_COMPILATION_CACHE=0 turns that off.",
    )
    _add_input(fit, "?", 8)
    fit.add_argument(
        "--method", default="direct", metavar="M",
        help="direct (default); exact or sinkhorn transport between the groups; or a deep method, which learns a space "
        "to cluster in: ae, dec, dcn, fcmi, dfc, fairoid, deepfca",
    )  # fmt: skip
    fit.add_argument(
        "--checkpoint-dir", metavar="FOLDER",
        help="deep methods: save the state of the training here at intervals, and before an interruption",
    )  # fmt: skip
    fit.add_argument(
        "--resume", action="store_true", help="deep methods: go on from the newest checkpoint in --checkpoint-dir"
    )
    fit.add_argument(
        "--devices", type=int, default=1, metavar="N",
        help="deep methods: spread the rows of each batch over N devices (default: 1)",
    )  # fmt: skip
    fit.add_argument(
        "--epsilon", type=float, default=0.0, metavar="E",
        help="largest gap allowed between the groups' proportions, from 0 (perfect fairness, the default) to 2 (none)",
    )  # fmt: skip
    fit.add_argument(
        "--min-balance", type=float, metavar="B",
        help="in place of --epsilon: smallest ratio of two groups' counts allowed in a cluster",
    )  # fmt: skip
    fit.add_argument(
        "--standardize", action=argparse.BooleanOptionalAction, default=None,
        help="give every column mean 0 and standard deviation 1 (default, except for har and the image sets)",
    )  # fmt: skip
    fit.add_argument("--l2-normalize", action="store_true", help="then divide each row by its Euclidean length")
    fit.add_argument(
        "--init", default="aligned", metavar="I",
        help="where restarts begin: aligned (k-means on points matched between the groups, which as a rule ends at a "
        "lower cost; default), k-means++ (plain k-means) or random",
    )  # fmt: skip
    fit.add_argument("--n-init", type=int, default=1, metavar="N", help="restarts; the best is kept (default: 1)")
    fit.add_argument("--max-iter", type=int, default=100, metavar="N", help="most turns of one restart (default: 100)")
    fit.add_argument(
        "--tol", type=float, default=1e-4, metavar="T",
        help="stop when the centres move less than this share of the points' standard deviation (default: 0.0001)",
    )  # fmt: skip
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
    fit.add_argument("--out", metavar="CSV", help="write the row, cluster and group of every point to this file")
    fit.add_argument(
        "--report", metavar="HTML", help="write a report to this file: one page with figures that opens from disk"
    )
    fit.add_argument("--json", action="store_true", help="print one JSON object in place of the summary")
    fit.add_argument("--quiet", action="store_true", help="print no summary and no progress")
    fit.add_argument("--download", action="store_true", help="download the files of a known data set that are missing")


def _add_bench(commands: "argparse._SubParsersAction[_Parser]") -> None:
    bench = commands.add_parser(
        "bench",
        help="compare k-means with fair clustering at several levels of balance",
        description="Compare k-means with fair clustering at several levels of balance, from the same starts.",
    )
    _add_input(bench, "*", 10)
    bench.add_argument("--seeds", type=int, default=3, metavar="N", help="number of starts (default: 3)")
    bench.add_argument("--l2-normalize", action="store_true", help="divide each row by its Euclidean length")
    bench.add_argument("--json", action="store_true", help="print one JSON object in place of the table")


def _add_input(parser: _Parser, nargs: str, clusters: int) -> None:
    """Add what `fit` and `bench` have in common: the data, their columns, and the number of clusters."""
    parser.add_argument(
        "data", nargs=nargs, metavar="DATA",
        help="a CSV, TSV, Parquet or NPZ file, or the name of a known data set (see: fairjax datasets); "
        "the bundled cohort of 442 patients if left out",
    )  # fmt: skip
    parser.add_argument(
        "--sensitive",
        metavar="COLUMN",
        help="for files: column with the protected attribute (default: none, or the one in an NPZ file)",
    )
    parser.add_argument(
        "--features", metavar="A,B,C", help="for files: numeric columns to cluster on (default: all others)"
    )
    parser.add_argument(
        "--clusters", type=int, default=clusters, metavar="K", help=f"number of clusters (default: {clusters})"
    )


def _add_datasets(commands: "argparse._SubParsersAction[_Parser]") -> None:
    datasets = commands.add_parser(
        "datasets",
        help="known data sets, where they were found, and how to get the others",
        description="List the known data sets: where they were found, what is missing and how to get it.",
    )
    datasets.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
