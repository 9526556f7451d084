"""The options of fits that take long: checkpoints to go on from, and tables that are read in blocks."""

import argparse

from fairjax.cli import numbers


def add(fit: argparse.ArgumentParser) -> None:
    """Add the options to `fit`."""
    fit.add_argument(
        "--checkpoint-dir", metavar="FOLDER",
        help="deep methods and --stream: save the state here at intervals (deep methods: before an interruption, too)",
    )  # fmt: skip
    fit.add_argument(
        "--checkpoint-every", type=numbers.count, metavar="N", help="deep methods: steps between two (default: 1000)"
    )
    fit.add_argument(
        "--resume",
        action="store_true",
        help="deep methods and --stream: go on from the newest checkpoint in --checkpoint-dir",
    )
    fit.add_argument(
        "--stream", action="store_true",
        help="read DATA block by block in every iteration, so that it need not fit into memory: a file, a folder, or a "
        "pattern in quotes such as 'people/*.parquet'; --out then names a folder for the labels",
    )  # fmt: skip
    fit.add_argument(
        "--scratch-dir", metavar="FOLDER",
        help="with --stream: folder on a quick disk where the rows are kept as they are computed with while the fit "
        "lasts, 4 bytes a number, so that later passes need not decode DATA again (default: the folder for temporary "
        "files, where disk and memory have room enough)",
    )  # fmt: skip
    fit.add_argument("--no-scratch", action="store_true", help="with --stream: keep no such copy")
    fit.add_argument(
        "--block-rows", type=numbers.count, metavar="N",
        help="with --stream: rows that are computed with at a time (default: 262144)",
    )  # fmt: skip
