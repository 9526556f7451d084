"""Where a fit ends that rounding decides on: from starts that differ in their last digits, in either precision."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from benchmarks.baselines.rows import quietly

PART = 1e-7  # of each coordinate of a start, by which it is moved (a standard deviation)
PRECISIONS = ("single", "double")


def spread_over_rounding(fit_from: Callable[[np.ndarray], Any], centers: np.ndarray, n_starts: int) -> dict[str, Any]:
    """Least, median and greatest cost and balance of fits from centres (K, d) that are moved by `PART`."""
    found: dict[str, Any] = {"moved_by": PART, "starts": n_starts}
    for precision in PRECISIONS:
        rng, ends = np.random.default_rng(0), []
        with jax.enable_x64(precision == "double"):
            for _ in range(n_starts):
                start = centers * (1 + PART * rng.standard_normal(centers.shape))
                model = quietly(partial(fit_from, start))
                ends.append((model.cost_, model.balance_))
        found[precision] = dict(zip(("cost", "balance"), map(range_of, np.array(ends).T), strict=True))
    return found


def range_of(values: np.ndarray) -> dict[str, float]:
    """Least, median and greatest."""
    ends = {"least": values.min(), "median": np.median(values), "greatest": values.max()}
    return {name: round(float(value), 4) for name, value in ends.items()}


def within(spread: dict[str, Any], cost: float, balance: float) -> bool:
    """Whether a cost and a balance lie within what was found in either precision, or between the two."""
    for name, value in (("cost", cost), ("balance", balance)):
        ranges = [spread[precision][name] for precision in PRECISIONS]
        if not min(one["least"] for one in ranges) <= value <= max(one["greatest"] for one in ranges):
            return False
    return True
