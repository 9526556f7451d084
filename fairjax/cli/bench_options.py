"""The options that ``fairjax bench`` has besides those of ``fit``: what is compared, how often, what is written."""

from fairjax.baselines.catalogue import METHODS
from fairjax.cli import method_options, numbers, table_options
from fairjax.cli.parser import Parser

_IN_MEMORY = "methods are compared on a table in memory, in one process"
_AT_ONCE = "nothing is kept of a run but its row"
# options of `fit` that can mean nothing here, and why
WITHOUT = {
    **dict.fromkeys(("--checkpoint-dir", "--checkpoint-every", "--resume"), "what is compared is fitted in one go"),
    **dict.fromkeys(("--stream", "--block-rows", "--scratch-dir", "--no-scratch"), _IN_MEMORY),
    **dict.fromkeys(("--distributed", "--coordinator", "--processes", "--process", "--join-timeout"), _IN_MEMORY),
    "--model": _AT_ONCE,
    "--columns": "--out writes the table of the methods, not that of DATA",
}


def add(bench: Parser) -> None:
    """Add the options to the command."""
    bench.without = WITHOUT
    bench.add_argument(
        "--methods", default="kmeans,falg,fca", metavar="A,B",
        help=f"methods to compare (default: kmeans,falg,fca), of {', '.join(METHODS)}; at their fairest and published "
        "settings; or deep methods (see: fairjax methods)",
    )  # fmt: skip
    bench.add_argument("--seeds", type=numbers.count, default=3, metavar="N", help="number of starts (default: 3)")
    method_options.add(bench, bench=True)
    bench.add_argument(
        "--time-limit", type=float, metavar="SECONDS",
        help="a method of which one start takes longer has no further ones; a run that has begun is not broken off",
    )  # fmt: skip
    bench.add_argument(
        "--curve", metavar="FILE",
        help="also run twelve values of each control from one start, and draw them to this file: .svg, .png or .pdf",
    )  # fmt: skip
    bench.add_argument("--out", metavar="FILE", help="write the table: .csv, .tsv, .parquet, .xlsx, or all as .json")
    bench.add_argument("--report", metavar="HTML", help="write a page with the tables and the curves of --curve")
    table_options.add_plain_formulas(bench)
    table_options.add_key(bench, "column, or several, that tell the rows apart and are not clustered on")
