"""Where the costs of an assignment come from: a matrix, or points and centres whose costs are never held at once.

A :class:`Source` offers a pass over all rows under given prices, and the costs of a few rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax.assignment.programme import group_sums


class Pass(NamedTuple):
    """What one pass over all points under given prices finds.

    Attributes
    ----------
    labels, rivals : (n,)
        The cheapest and the second cheapest cluster; of :func:`label_type`.
    margins : (n,)
        Extra cost of the latter; infinite for points without weight, so that they are never looked at.
    counts : (M, K)
        Weight per group and cluster.
    cost : ()
        Weighted cost of the labels, without prices.
    extra : (K, ...)
        What else the pass has summed up by cluster, or None. These three cover all rows.
    """

    labels: Array
    rivals: Array
    margins: Array
    counts: Array
    cost: Array
    extra: Array | None


class Source(NamedTuple):
    """Where costs come from: a matrix, or points and centres.

    Attributes
    ----------
    scan
        Prices (M, K) -> :class:`Pass`.
    rows
        Indices (m,) of own rows -> costs (m, K), and what passes sum up of each row, (m, ...) or None; an index of n or
        more gives any finite row.
    groups, weights : (n,)
        Of the points; weights of all rows sum to 1.
    masses : (M,)
        Weight of each group.
    extra : (K, ...)
        Zeros shaped like what a pass sums up, or None.
    present : (K,) bool
        The clusters that exist; a pass skips the others. None if all exist.
    spread
        The devices over which rows are spread.
    """

    scan: Callable[[Array], Pass]
    rows: Callable[[Array], tuple[Array, Array | None]]
    groups: Array
    weights: Array
    masses: Array
    extra: Array | None
    present: Array | None = None
    spread: Rows = IN_ONE_PLACE

    @property
    def n_points(self) -> int:
        """Number of all rows, on all devices."""
        return self.groups.shape[0] * self.spread.n_devices

    def at(self, index: Array, look_up: Callable[[Array], Any]) -> Any:
        """What ``look_up`` returns for the rows with these numbers (m,); see :meth:`fairjax._core.rows.Rows.at`."""
        return self.spread.at(index, look_up, self.groups.shape[0])


def label_type(count: int) -> Any:
    """The smallest type for labels of so many clusters, or ids of so many groups.

    Next to the points, those of all rows are what memory is for.

    Examples
    --------
    >>> [label_type(count).__name__ for count in (10, 1000)]
    ['int8', 'int16']
    """
    return next(kind for kind in (jnp.int8, jnp.int16, jnp.int32) if count <= jnp.iinfo(kind).max)


def of_matrix(costs: Array, groups: Array, weights: Array, masses: Array, spread: Rows = IN_ONE_PLACE) -> Source:
    """The source for a cost matrix (n, K); ``masses`` cover all rows."""
    n_points, n_clusters = costs.shape

    def scan(prices: Array) -> Pass:
        reduced = costs + prices[groups]
        labels = jnp.argmin(reduced, -1).astype(label_type(n_clusters))
        chosen = jax.nn.one_hot(labels, n_clusters, dtype=costs.dtype)
        others = jnp.where(chosen > 0, jnp.inf, reduced)
        rivals = jnp.argmin(others, -1).astype(labels.dtype)
        margins = jnp.where(weights > 0, jnp.min(others, -1) - jnp.min(reduced, -1), jnp.inf)
        weighted = chosen * weights[:, None]
        counts, cost = spread.sum((group_sums(weighted, groups, masses.shape[0]), jnp.sum(weighted * costs)))
        return Pass(labels, rivals, margins, counts, cost, None)

    def rows(index: Array) -> tuple[Array, None]:
        return costs[jnp.minimum(index, n_points - 1)], None

    return Source(scan, rows, groups, weights, masses, None, spread=spread)
