"""The options of ``fairjax bench`` beside those of reading: what is compared, how often, and where it is written."""

import argparse

from fairjax.cli import numbers


def add(bench: argparse.ArgumentParser) -> None:
    """Add the options to the command."""
    bench.add_argument(
        "--methods", default="kmeans,falg,fca", metavar="A,B",
        help="methods to compare (default: kmeans,falg,fca), of kmeans, falg, fcbc, frac, frac-oe, ms-flow, vfc, fmc, "
        "sfc, fairlets, spfc, mpfc, fca-alignment, fca-c, sec, dbscan, fca; at their fairest and published settings",
    )  # fmt: skip
    bench.add_argument(
        "--epsilon", type=float, metavar="E",
        help="one more row: fca with this gap between the groups' proportions, as for fit",
    )  # fmt: skip
    bench.add_argument(
        "--min-balance", type=float, metavar="B", help="one more row: fca with this least ratio of two groups' counts"
    )
    bench.add_argument(
        "--init", default="aligned", metavar="I",
        help="where runs begin: aligned (default), k-means++ or random, as for fit",
    )  # fmt: skip
    bench.add_argument("--seeds", type=numbers.count, default=3, metavar="N", help="number of starts (default: 3)")
    bench.add_argument("--seed", type=numbers.seed, default=0, metavar="S", help="seed of the first start (default: 0)")
    bench.add_argument(
        "--n-init", type=numbers.count_or_auto, default=1, metavar="N",
        help="restarts of each start; the best is kept, and seconds are those of all (default: 1); auto is "
        "10 for --init random and 1 otherwise",
    )  # fmt: skip
    bench.add_argument(
        "--search", type=numbers.budget, default=0, metavar="N", help="fits of fca after the restarts, as for fit"
    )
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
