"""Where a fit ends that rounding decides on: from starts that differ in their last digits, in either precision."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from benchmarks.baselines.rows import quietly

PART = 1e-7  # of each coordinate of a start, by which it is moved (a standard deviation)
PRECISIONS = {
    "single": 1,
    "double": 4,
}  # and of how many starts one is taken: a fit in double takes three times as long


def spread_over_rounding(fit_from: Callable[[np.ndarray], Any], centers: np.ndarray, n_starts: int) -> dict[str, Any]:
    """Least, median and greatest cost and balance of fits from centres (K, d) that are moved by `PART`."""
    found: dict[str, Any] = {"moved_by": PART}
    for precision, part in PRECISIONS.items():
        rng, ends = np.random.default_rng(0), []
        with jax.enable_x64(precision == "double"):
            for _ in range(max(n_starts // part, 1)):
                start = centers * (1 + PART * rng.standard_normal(centers.shape))
                model = quietly(partial(fit_from, start))
                ends.append((model.cost_, model.balance_))
        costs, balances = np.array(ends).T
        found[precision] = {"starts": len(ends), "cost": range_of(costs), "balance": range_of(balances)}
    return found


def range_of(values: np.ndarray) -> dict[str, float]:
    """Least, median and greatest."""
    ends = {"least": values.min(), "median": np.median(values), "greatest": values.max()}
    return {name: round(float(value), 4) for name, value in ends.items()}


def within(spread: dict[str, Any], own: tuple[float, float], stated: tuple[float, float]) -> bool:
    """Whether a stated cost and balance lie within what was found in either precision and from the start as it is."""
    for name, mine, value in zip(("cost", "balance"), own, stated, strict=True):
        ranges = [spread[precision][name] for precision in PRECISIONS]
        least, greatest = min(one["least"] for one in ranges), max(one["greatest"] for one in ranges)
        if not min(least, mine) <= value <= max(greatest, mine):
            return False
    return True
