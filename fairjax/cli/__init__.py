"""The command ``fairjax``: it parses, delegates, and turns every ending into an exit code and one sentence.

0 done, 1 another process of the same fit was lost, 2 bad input, 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
Nothing heavy is imported before the arguments are known to be good.
"""

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence

from fairjax import __version__
from fairjax._core import memory
from fairjax.cli import (
    bench_options,
    deferred,
    distributed,
    interrupt,
    long_fits,
    method_options,
    numbers,
    table_options,
    terminal,
)
from fairjax.cli.parser import Parser
from fairjax.cli.wording import as_options
from fairjax.errors import InputError, LostProcessError

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
        terminal.prepare()
    options = argparse.Namespace()
    try:
        options = _parser().parse_args(arguments)
        if sys.stdout is None and not getattr(options, "quiet", False):
            raise InputError("standard output is closed; say --quiet, or send it to a file")
        if argv is None:
            deferred.put_off()
        command = importlib.import_module(f"fairjax.cli.{options.command}")
        command.run(options, arguments)
        terminal.flush()
    except InputError as error:
        return _fail(2, as_options(f"{error}", options))
    except LostProcessError as error:
        return _fail(1, f"{error}")
    except MemoryError as error:
        return _fail(2, _too_large(error))
    except KeyboardInterrupt as stop:
        code = 128 + getattr(stop, "number", signal.SIGINT)
        sentence = f"{stop}" or f"stopped by Ctrl-C; {interrupt.AS_THEY_WERE}"
        if argv is None:
            interrupt.end(code, sentence)
        return _fail(code, sentence)
    except BrokenPipeError:
        # whoever read the output has had enough; keep Python from complaining when it closes the stream
        terminal.abandon(sys.stdout)
        return 1
    except OSError as error:
        if error.filename is None:
            terminal.abandon(sys.stdout)
        what = "standard output" if error.filename is None else str(error.filename)
        return _fail(2, f"{what} cannot be used ({error.strerror or error}); files are whole or as they were")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except RuntimeError as error:
        if not memory.is_exhausted(error):
            raise
        return _fail(2, _too_large(error))
    return 0


def _too_large(error: BaseException) -> str:
    """Memory that ran out where the numbers of rows and clusters were not at hand, as in reading."""
    wanted, left = memory.asked_for(error), memory.free()
    asked = "" if wanted is None else f": one block of {wanted / 1e9:.2g} GB was asked for"
    known = "" if left is None else f"{':' if wanted is None else ' and'} {left / 1e9:.2g} GB are free"
    return f"the data do not fit into memory{asked}{known}; use fewer rows, columns or clusters"


def _fail(code: int, sentence: str) -> int:
    terminal.say(sentence)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fairjax",
        description="Fair clustering: every protected group is spread over the clusters as over the whole data set.",
        epilog="Start with: fairjax fit",
    )
    parser.add_argument("--version", action="version", version=f"fairjax {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_fit(commands)
    _add_predict(commands)
    _add_bench(commands)
    _add_inspect(commands)
    _add_datasets(commands)
    _add_methods(commands)
    return parser


def _add_fit(commands: "argparse._SubParsersAction[Parser]") -> None:
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
        help="direct (default); exact or sinkhorn transport between the groups; another fair method, such as falg; "
        "or a deep method, which learns a space to cluster in (see: fairjax methods)",
    )  # fmt: skip
    long_fits.add(fit)
    distributed.add(fit)
    method_options.add(fit)
    _add_outputs(fit)


def _add_outputs(fit: Parser) -> None:
    _add_out(fit)
    fit.add_argument(
        "--report", metavar="HTML", help="write a report to this file: one page with figures that opens from disk"
    )
    fit.add_argument(
        "--model", metavar="NPZ", help="write the fitted model to this file, for fairjax predict and fairjax.load"
    )


def _add_predict(commands: "argparse._SubParsersAction[Parser]") -> None:
    predict = commands.add_parser(
        "predict",
        help="assign the rows of another table by a fitted model",
        description="Assign the rows of another table by a model that fairjax fit --model, or save in Python, wrote. "
        "Columns are found by their names and scaled as in the fit.",
    )
    predict.add_argument("model", metavar="MODEL", help="the file of the model")
    predict.add_argument(
        "data", metavar="DATA", help="a file with a table, - for standard input, or the name of a known data set"
    )
    predict.add_argument(
        "--sensitive", metavar="A,B", help="columns with the protected attributes (default: those of the fit)"
    )
    _add_out(predict)
    predict.add_argument("--json", action="store_true", help="print one JSON object in place of the summary")
    predict.add_argument("--quiet", action="store_true", help="print no summary and no progress")
    predict.add_argument("--download", action="store_true", help="download what is missing")
    table_options.add_reading(predict)


def _add_out(parser: Parser) -> None:
    """Add what `fit` and `predict` have in common: the table back with its clusters."""
    parser.add_argument(
        "--out", metavar="FILE",
        help="write the table back with a column `cluster`: .csv, .tsv, .parquet or .xlsx (of a known data set its "
        "row, cluster and group)",
    )  # fmt: skip
    parser.add_argument("--columns", metavar="A,B", help="columns of the table that --out writes (default: all)")
    table_options.add_key(
        parser,
        "column, or several, that tell the rows apart: --out writes them and the cluster alone; fit does not cluster "
        "on them",
    )
    table_options.add_plain_formulas(parser)


def _add_bench(commands: "argparse._SubParsersAction[Parser]") -> None:
    bench = commands.add_parser(
        "bench",
        help="compare k-means, fair clustering and other methods",
        description="Compare k-means, fair clustering at several levels of balance and other methods of fair "
        "clustering, from the same starts, each at its fairest and its published setting.",
    )
    _add_input(bench, "*", 10)
    bench_options.add(bench)


def _add_input(parser: Parser, nargs: str, clusters: int) -> None:
    """Add what `fit` and `bench` have in common: the data, their columns, and the number of clusters."""
    parser.add_argument(
        "data", nargs=nargs, metavar="DATA",
        help="a file with a table (text such as CSV, Parquet, Excel, NPZ), - for standard input, or the name of a "
        "known data set (see: fairjax datasets); the bundled cohort of 442 patients if left out",
    )  # fmt: skip
    parser.add_argument(
        "--sensitive",
        metavar="A,B",
        help="for files: columns with the protected attributes; each combination of values is a group (default: none, "
        "or the one in an NPZ file)",
    )
    parser.add_argument("--features", metavar="A,B,C", help="for files: columns to cluster on (default: all others)")
    table_options.add(parser)
    parser.add_argument(
        "--clusters",
        type=numbers.count,
        default=clusters,
        metavar="K",
        help=f"number of clusters (default: {clusters})",
    )


def _add_inspect(commands: "argparse._SubParsersAction[Parser]") -> None:
    inspect = commands.add_parser(
        "inspect",
        help="what would be read of a table, as what, and what is wrong",
        description="Show what would be read of a table, as what, and what is wrong with it; nothing is clustered.",
    )
    inspect.add_argument("data", metavar="DATA", help="a file with a table, or - for standard input")
    inspect.add_argument(
        "--sensitive", metavar="A,B", help="columns with the protected attributes; shows what gives them away"
    )
    table_options.add(inspect)
    inspect.add_argument("--download", action="store_true", help="download DATA that is an address")
    inspect.add_argument("--json", action="store_true", help="print one JSON object in place of the tables")


def _add_datasets(commands: "argparse._SubParsersAction[Parser]") -> None:
    datasets = commands.add_parser(
        "datasets",
        help="known data sets, where they were found, and how to get the others",
        description="List the known data sets: where they were found, what is missing and how to get it.",
    )
    datasets.add_argument("--json", action="store_true", help="print one JSON object in place of the table")


def _add_methods(commands: "argparse._SubParsersAction[Parser]") -> None:
    methods = commands.add_parser(
        "methods",
        help="the other and the deep methods, and the settings of each",
        description="List the methods beside those of FCA, or the settings of one, which fairjax fit --set takes.",
    )
    methods.add_argument("method", nargs="?", metavar="NAME", help="the method whose settings are listed")
    methods.add_argument("--json", action="store_true", help="print JSON in place of the list")
