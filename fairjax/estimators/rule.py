"""Points and fitted centres, in numpy and a block of rows at a time: no compilation for a new number of rows."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

_ROWS = 1 << 16  # rows taken at a time


def cheapest(X: Array, groups: npt.NDArray[np.int32], centers: Array, multipliers: Array) -> npt.NDArray[np.int32]:
    """Cluster (n,) of least ‖x − μ_k‖² + multipliers[s, k] for points X (n, d) of the groups s (n,); O(n K d).

    Examples
    --------
    >>> import numpy as np
    >>> X, groups, centers = np.array([[0.4], [0.4]]), np.array([0, 1], np.int32), np.array([[0.0], [1.0]])
    >>> cheapest(X, groups, centers, np.array([[0.0, 0.0], [0.5, -0.5]])).tolist()
    [0, 1]
    """
    # distances from the middle of the centres, so that a common offset costs no digits
    middle = centers.mean(0, dtype=np.float64)
    inside = centers - middle
    prices = multipliers + (inside**2).sum(1)
    labels = np.empty(len(X), np.int32)
    for rows in _blocks(len(X)):
        labels[rows] = np.argmin(prices[groups[rows]] - 2 * (X[rows] - middle) @ inside.T, 1)
    return labels


def distances(X: Array, centers: Array) -> Array:
    """Euclidean distances (n, K) of points X (n, d) to centres (K, d), in the dtype of X; O(n K d).

    Examples
    --------
    >>> import numpy as np
    >>> distances(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0], [3.0, 0.0]])).tolist()
    [[5.0, 4.0]]
    """
    from scipy.spatial.distance import cdist

    found = np.empty((len(X), len(centers)), X.dtype)
    for rows in _blocks(len(X)):
        found[rows] = cdist(X[rows], centers)
    return found


def spread(X: Array, labels: npt.NDArray[np.int32], centers: Array, weights: Array | None) -> float:
    """(Weighted) sum of squared distances of points to the centres (K, d) of their clusters (n,); O(n d)."""
    total = 0.0
    for rows in _blocks(len(X)):
        squares = np.square(np.asarray(X[rows], np.float64) - centers[labels[rows]]).sum(1)
        total += float(squares.sum() if weights is None else squares @ weights[rows])
    return total


def _blocks(n: int) -> Iterator[slice]:
    return (slice(first, first + _ROWS) for first in range(0, n, _ROWS))
