"""Tables of clusters by groups, and their scores, in numpy: in double precision, with nothing to compile.

For what is computed once at the end of a fit. For batches and gradients see :mod:`~fairjax.metrics.tables`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float64]


def contingency(
    labels: npt.NDArray[Any], groups: npt.NDArray[Any], weights: npt.NDArray[Any] | None, shape: tuple[int, int]
) -> Table:
    """Weight (K, M) of every group in every cluster; ``shape`` is (K, M).

    Examples
    --------
    >>> import numpy as np
    >>> contingency(np.array([0, 0, 1]), np.array([0, 1, 1]), None, (2, 2)).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    cells = labels.astype(np.int64) * shape[1] + groups
    return np.bincount(cells, weights, shape[0] * shape[1]).reshape(shape).astype(np.float64)


def balance(table: Table) -> float:
    """Smallest ratio of two groups' weights in a cluster of the table (K, M); clusters without weight are ignored."""
    filled = table[table.max(1) > 0]
    return float((filled.min(1) / filled.max(1)).min())


def group_violation(table: Table) -> float:
    """Σ_k |q_sk − q_tk| of the two groups of the table (K, M) that differ most."""
    profiles = (table / table.sum(0)).T
    return float(max((np.abs(profiles - one).sum(1).max() for one in profiles), default=0.0))
