"""The options that say how rows are clustered; `fit` and `bench` have them in common, and so they are declared once.

What `fit` has besides says something to one fit only: `bench_options.WITHOUT` names these options and why.
"""

import argparse

from fairjax.cli import numbers

ALIGNMENT = ("transport_weight", "partition_size", "reg", "center_update")
_UNSAID = ("epsilon", "min_balance", *ALIGNMENT)  # of `bench`: methods keep settings of their own where nothing is said


def add(parser: argparse.ArgumentParser, *, bench: bool = False) -> None:
    """Add the options to a command; of `bench` controls have no default, and are one more row each."""
    _add_methods(parser, bench)
    _add_controls(parser, bench)
    _add_scaling(parser)
    _add_starts(parser, bench)
    _add_iterations(parser, bench)
    _add_alignment(parser)
    parser.add_argument(
        "--quiet", action="store_true", help=f"print no {'progress' if bench else 'summary and no progress'}"
    )
    parser.add_argument(
        "--json", action="store_true", help=f"print one JSON object in place of the {'table' if bench else 'summary'}"
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="download what is missing of a known data set, or DATA that is an address",
    )
    if bench:
        parser.set_defaults(**dict.fromkeys(_UNSAID))


def _add_methods(parser: argparse.ArgumentParser, bench: bool) -> None:
    """Add what says over which devices, by which groups and with which settings a method works."""
    parser.add_argument(
        "--devices", type=numbers.count, default=1, metavar="N",
        help="fca and deep methods: spread rows, or those of each batch, over N devices (default: 1)" if bench else
        "direct route and deep methods: spread rows, or those of each batch, over N devices (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="a setting of the methods that have it, or METHOD.NAME=VALUE of one: such a method has one row, with its "
        "settings; may be repeated (see: fairjax methods NAME)" if bench else
        "other and deep methods: a setting, such as delta=0.1 or lr=0.001; may be repeated (see: fairjax methods NAME)",
    )  # fmt: skip
    parser.add_argument(
        "--attributes", default="jointly", metavar="HOW",
        help="of several sensitive columns: jointly (default: each combination of their values is a group) or "
        f"separately (each column is fair by itself, of methods {'fca, mpfc' if bench else 'direct'} and falg)",
    )  # fmt: skip


def _add_controls(parser: argparse.ArgumentParser, bench: bool) -> None:
    parser.add_argument(
        "--epsilon", type=float, default=0.0, metavar="E",
        help="one more row: fca with this largest gap between the groups' proportions, from 0 to 2" if bench else
        "largest gap allowed between the groups' proportions, from 0 (perfect fairness, the default) to 2 (none)",
    )  # fmt: skip
    parser.add_argument(
        "--min-balance", type=float, metavar="B",
        help="one more row: fca with this smallest ratio of two groups' counts in a cluster" if bench else
        "in place of --epsilon: smallest ratio of two groups' counts allowed in a cluster",
    )  # fmt: skip


def _add_scaling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--standardize", action=argparse.BooleanOptionalAction, default=None,
        help="give every column mean 0 and standard deviation 1 (default, except for har and the image sets)",
    )  # fmt: skip
    parser.add_argument("--l2-normalize", action="store_true", help="then divide each row by its Euclidean length")


def _add_starts(parser: argparse.ArgumentParser, bench: bool) -> None:
    parser.add_argument(
        "--init", default="aligned", metavar="I",
        help=f"where {'runs' if bench else 'restarts'} begin: aligned (k-means on points matched between the groups, "
        "which as a rule ends at a lower cost; default), k-means++ (plain k-means) or random",
    )  # fmt: skip
    parser.add_argument(
        "--n-init", type=numbers.count_or_auto, default=1, metavar="N",
        help=("restarts of each start; the best is kept, and seconds are those of all" if bench else
              "restarts; the best is kept") + " (default: 1); auto is 10 for --init random and 1 otherwise",
    )  # fmt: skip
    parser.add_argument(
        "--search", type=numbers.budget, default=0, metavar="N",
        help=f"fits {'of fca ' if bench else ''}after the restarts, most with a centre of the best solution moved "
        "elsewhere (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=numbers.seed, default=0, metavar="S",
        help=f"seed of the {'first start' if bench else 'random starts'} (default: 0)",
    )  # fmt: skip


def _add_iterations(parser: argparse.ArgumentParser, bench: bool) -> None:
    parser.add_argument(
        "--max-iter", type=numbers.iterations, default=100, metavar="N",
        help="most iterations of one fit of FCA; others have their own (default: 100)" if bench else
        "most iterations of one fit (default: 100)",
    )  # fmt: skip
    parser.add_argument(
        "--tol", type=float, default=1e-4, metavar="T",
        help="stop when the centres move less than this share of the points' standard deviation (default: 0.0001)",
    )  # fmt: skip


def _add_alignment(parser: argparse.ArgumentParser) -> None:
    """Add what only the alignment routes have."""
    parser.add_argument(
        "--transport-weight", type=float, default=1.0, metavar="W",
        help="of methods exact and sinkhorn: weight of the distance between aligned points (default: 1, the paper: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--partition-size", type=numbers.count, default=1024, metavar="N",
        help="of methods exact and sinkhorn: points of the smallest group in a block (default: 1024)",
    )  # fmt: skip
    parser.add_argument(
        "--reg", type=float, default=0.01, metavar="R", help="entropy of method sinkhorn (default: 0.01)"
    )
    parser.add_argument(
        "--center-update", default="lloyd", metavar="U",
        help="of methods exact and sinkhorn: lloyd (default) or gradient",
    )  # fmt: skip
