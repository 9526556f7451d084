"""Fairlets: small sets of points of two colours, each within a balance p:q, that a clustering keeps together."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Table = npt.NDArray[np.floating]

_PAIRS = 1 << 22  # distances taken at a time


class Fairlets(NamedTuple):
    """A partition of the points into F fairlets."""

    members: Rows
    """(n,) rows, fairlet after fairlet."""
    starts: Rows
    """(F + 1,) where each begins in `members`, and the end."""
    centers: Rows
    """(F,) the row of each that is the centre."""
    costs: Table
    """(F,) sum of distances to the centre, or the greatest: see `gather`."""

    @property
    def sizes(self) -> Rows:
        """Number of points (F,) of each."""
        return np.diff(self.starts)

    @property
    def labels(self) -> Rows:
        """The fairlet (n,) of each point."""
        labels = np.empty(len(self.members), np.int64)
        labels[self.members] = np.repeat(np.arange(len(self.centers)), self.sizes)
        return labels

    def means(self, X: Table) -> Table:
        """Mean (F, d) of each of the points X (n, d)."""
        sums = np.add.reduceat(X[self.members].astype(np.float64), self.starts[:-1])
        return sums / self.sizes[:, None]

    def sets(self) -> list[Rows]:
        """The rows of each."""
        return np.split(self.members, self.starts[1:-1])


def closest_ratio(wish: float | Fraction, largest: int = 100) -> Fraction:
    """The largest p/q ≤ ``wish`` with q ≤ ``largest``; 0 where the wish is below all. A float may be short by 1e-9.

    Examples
    --------
    >>> closest_ratio(0.4943)
    Fraction(43, 87)
    """
    slack = 0 if isinstance(wish, Fraction) else 1e-9
    return max(Fraction(int(wish * q + slack), q) for q in range(1, largest + 1))


def is_balanced(p: int, q: int, n_first: int, n_second: int) -> bool:
    """Whether the smaller of two counts is at least p/q of the larger."""
    return min(n_first, n_second) * q >= max(n_first, n_second) * p


def in_chunks(p: int, q: int, first: Sequence[int], second: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut two lists of rows, balanced within p:q, into fairlets without regard to distances; O(n).

    Chunks of q of the longer and p of the shorter list, as long as what remains stays balanced, then what is left if it
    is no more than p + q; otherwise one chunk that leaves equally many of both, and pairs.

    Parameters
    ----------
    p, q : coprime, 1 ≤ p ≤ q.
    first, second : rows of either colour, in the order in which they are taken.

    Yields
    ------
    Rows of a fairlet, the longer list's first.

    References
    ----------
    .. [1] F. Chierichetti, R. Kumar, S. Lattanzi, S. Vassilvitskii, "Fair clustering through fairlets", NIPS 2017,
       Lemma 3; the order is that of the code of Backurs et al., 2019.

    Examples
    --------
    >>> [list(rows) for rows in in_chunks(1, 2, [0, 1, 2, 3, 4, 5, 6], [7, 8, 9, 10])]
    [[0, 1, 7], [2, 3, 8], [4, 5, 9], [6, 10]]
    """
    long, short = (second, first) if len(first) < len(second) else (first, second)
    long, short = list(long), list(short)
    i = j = 0
    while (len(long) - i) - (len(short) - j) >= q - p and len(long) - i >= q and len(short) - j >= p:
        yield long[i : i + q] + short[j : j + p]
        i, j = i + q, j + p
    left, other = len(long) - i, len(short) - j
    if 1 <= left + other <= p + q:
        yield long[i:] + short[j:]
        return
    if left != other and other >= p:
        size = left - other + p
        yield long[i : i + size] + short[j : j + p]
        i, j = i + size, j + p
    for pair in zip(long[i:], short[j:], strict=True):
        yield list(pair)


def gather(X: Table, fairlets: Sequence[Sequence[int]], *, farthest: bool = False) -> Fairlets:
    """Fairlets from lists of rows; the centre is the member with the least sum of distances, the first of several.

    With ``farthest`` it is the one with the least distance to the farthest, which is the cost then. O(d Σ size²) time.

    Examples
    --------
    >>> import numpy as np
    >>> found = gather(np.array([[0.0], [1.0], [5.0], [6.0]]), [[0, 2, 1], [3]])
    >>> found.centers.tolist(), found.costs.tolist(), found.labels.tolist()
    ([1, 3], [5.0, 0.0], [0, 0, 0, 1])
    """
    sizes = np.array([len(rows) for rows in fairlets], np.int64)
    members = np.array([row for rows in fairlets for row in rows], np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    centers, costs = np.empty(len(sizes), np.int64), np.empty(len(sizes))
    for size in np.unique(sizes):
        of_size = np.flatnonzero(sizes == size)
        step = max(1, _PAIRS // int(size * size * X.shape[1]))
        for some in (of_size[i : i + step] for i in range(0, len(of_size), step)):
            rows = members[starts[some, None] + np.arange(size)]
            points = X[rows].astype(np.float64)
            apart = points[:, :, None] - points[:, None]
            lengths = np.sqrt(np.einsum("fijd,fijd->fij", apart, apart))
            found = lengths.max(2) if farthest else lengths.sum(2)
            best = found.argmin(1)
            each = np.arange(len(some))
            centers[some], costs[some] = rows[each, best], found[each, best]
    return Fairlets(members, starts, centers, costs)
