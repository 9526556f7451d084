"""One pass over a table: what every block adds to it, and the rows nearest to a boundary.

Sums of a block are in the device's type, sums over blocks in double precision on the host. Rows of weight 1 are whole
numbers there, so that counts are exact. The rows of least margin are kept as the pass goes: however margins are spread,
they are the nearest of all rows in the end.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax._core.compiling import stage
from fairjax.errors import InputError
from fairjax.fca.points import GroupedPoints, squared_distances
from fairjax.fca.streaming.feed import Block, Layout, Workshop, blocks
from fairjax.fca.streaming.intake import Floats, Intake
from fairjax.fca.streaming.nearest import Nearest, Open

Doubles = npt.NDArray[np.float64]
Watch = Callable[[int, float], None]  # is told rows and seconds so far


class Found(NamedTuple):
    """What a pass finds.

    Attributes
    ----------
    counts : (M, K) weight of each group in each cluster. sums : (K, d) of the features. cost : () of the labels, but
    for the rows' own squares. All are sums over the rows, of weights relative to the heaviest.
    open : the rows of least margin. radius : least margin of all others.
    """

    counts: Doubles
    sums: Doubles
    cost: float
    open: Open
    radius: float


def one_pass(
    intake: Intake,
    layout: Layout,
    centers: Floats,
    prices: Floats,
    *,
    n_open: int,
    near: float = np.inf,
    workshop: Workshop | None = None,
    watch: Watch | None = None,
) -> Found:
    """Assign all rows at ``prices`` (M, K) to ``centers`` (K, d); O(n K d).

    Up to ``n_open`` rows are open, of those whose margin is below ``near``.
    """
    counts, sums, cost = np.zeros(prices.shape), np.zeros(centers.shape), 0.0
    nearest, workshop = Nearest(n_open, near), Workshop() if workshop is None else workshop
    on_device = jnp.asarray(centers, layout.dtype), jnp.asarray(prices, layout.dtype)
    began, before = time.perf_counter(), None
    n_rows = 0

    def settle(block: Block, found: Any) -> None:
        nonlocal counts, sums, cost, n_rows
        labels, margins, *totals = (np.asarray(part) for part in found)
        nearest.add(block, labels, margins)
        counts = counts + totals[0]
        sums = sums + totals[2]
        cost += float(totals[1])
        n_rows += block.n_rows
        workshop.spare.put(block)
        if watch is not None:
            watch(n_rows, time.perf_counter() - began)

    source = blocks(intake, layout, workshop)
    try:
        for block in source:
            # the device works on one block while the host looks at the one before
            found = assigned(block.features, block.ids, block.weights, *on_device)
            if before is not None:
                settle(*before)
            before = block, found
        if before is not None:
            settle(*before)
    finally:
        source.close()
    if not np.isfinite(cost):
        raise InputError("the table holds NaN where it had none when it was first read; begin again")
    opened, radius = nearest.result()
    return Found(counts, sums, cost, opened, radius)


@stage
def assigned(features: Any, ids: Any, weights: Any, centers: Array, prices: Array) -> tuple[Array, ...]:
    """Labels and margins (r,) of a block's rows, counts (M, K), cost but for the rows' squares, and sums (K, d)."""
    none = jnp.zeros((), features.dtype)
    points = GroupedPoints(features, ids, weights, jnp.zeros_like(prices[:, 0]), jnp.zeros_like(centers[0]), none)
    found = squared_distances(points, centers).scan(prices)
    assert found.extra is not None
    return found.labels, found.margins, found.counts, found.cost, found.extra
