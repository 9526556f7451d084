"""Spreads over rounding: what stands in a record, and when a figure lies within one."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.baselines.rounding import spread_over_rounding, within


def test_starts_are_moved_in_their_last_digits():
    """A fit whose cost is the first coordinate of its start, in units of 1e-7, and knows its precision."""
    centers = np.full((2, 2), 3.0)
    seen = []

    def fit_from(start):
        seen.append((start, jnp.asarray(start).dtype.name))
        return SimpleNamespace(cost_=1e7 * (start[0, 0] / 3 - 1), balance_=0.5)

    spread = spread_over_rounding(fit_from, centers, 8)
    assert [kind for _, kind in seen] == ["float32"] * 8 + ["float64"] * 2
    moved = np.array([start for start, _ in seen[:8]])
    assert 0 < np.abs(moved / centers - 1).max() < 1e-6
    assert len(np.unique(moved)) == moved.size
    assert spread["single"]["starts"] == 8
    costs = spread["single"]["cost"]
    assert costs["least"] < costs["median"] < costs["greatest"]
    assert costs["greatest"] == pytest.approx(1e7 * (moved[:, 0, 0].max() / 3 - 1), abs=1e-4)


def test_within_takes_cost_and_balance_over_both_precisions():
    def ends(low, high):
        return {"least": low, "median": low, "greatest": high}

    spread = {
        "single": {"cost": ends(0.30, 0.32), "balance": ends(0.4, 0.5)},
        "double": {"cost": ends(0.33, 0.34), "balance": ends(0.45, 0.46)},
    }
    own = 0.31, 0.45
    assert within(spread, own, (0.30, 0.5))
    assert within(spread, own, (0.325, 0.41))  # between the two
    assert not within(spread, own, (0.345, 0.45))
    assert not within(spread, own, (0.31, 0.39))
    assert within(spread, (0.35, 0.45), (0.345, 0.45))  # up to that of the start as it is
