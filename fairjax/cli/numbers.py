"""Whole numbers on the command line, within the range that the rest of the program can hold."""

import argparse
from collections.abc import Callable

MOST_ITERATIONS = 1_000_000  # a record of every iteration is kept


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text) if len(text) < 40 else None
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            shown = text if len(text) <= 40 else f"{text[:37]}..."
            raise argparse.ArgumentTypeError(f"{shown!r} is no whole number from {least:,} to {most:,}")
        return value

    return read


seed = _whole(0, 2**32 - 1)
iterations = _whole(1, MOST_ITERATIONS)
count = _whole(1, 2**31 - 1)
budget = _whole(0, 2**31 - 1)
index = _whole(0, 2**31 - 2)


def count_or_auto(text: str) -> int | str:
    """Return a count, or the word auto."""
    return text if text == "auto" else count(text)
