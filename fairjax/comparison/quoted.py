"""Figures that others have published for the same protocol, word for word: never mixed with runs of our own.

The protocol: Adult and Bank with their usual five and six columns, standardised, rows of unit length, K = 10.
"""

from typing import NamedTuple

__all__ = ["Quoted", "quoted"]

_TABLE = "table with L2 in the authors' talk on Fair Clustering via Alignment (Kim et al., ICML 2025)"
_PAPER = "Variational Fair Clustering (Ziko et al., AAAI 2021), cost divided by the number of points"


class Quoted(NamedTuple):
    """One printed row; `cost` is a mean over points."""

    method: str
    cost: float
    balance: float
    source: str


_ROWS = {
    "adult": (
        Quoted("k-means", 0.295, 0.223, _TABLE),
        Quoted("SFC", 0.534, 0.489, _TABLE),
        Quoted("FCBC", 0.314, 0.443, _TABLE),
        Quoted("FRAC", 0.340, 0.490, _TABLE),
        Quoted("FCA", 0.328, 0.493, _TABLE),
        Quoted("VFC λ=9000", 0.3066, 0.41, _PAPER),
    ),
    "bank": (
        Quoted("k-means", 0.208, 0.325, _TABLE),
        Quoted("SFC", 0.410, 0.632, _TABLE),
        Quoted("FCBC", 0.685, 0.615, _TABLE),
        Quoted("FRAC", 0.307, 0.642, _TABLE),
        Quoted("FCA", 0.264, 0.645, _TABLE),
    ),
}


def quoted(data: str, *, n_clusters: int, n_groups: int, l2_normalize: bool, standardize: bool) -> tuple[Quoted, ...]:
    """Published rows of a known data set under this protocol; none for any other.

    Examples
    --------
    >>> [row.method for row in quoted("bank", n_clusters=10, n_groups=2, l2_normalize=True, standardize=True)]
    ['k-means', 'SFC', 'FCBC', 'FRAC', 'FCA']
    """
    same = n_clusters == 10 and n_groups == 2 and l2_normalize and standardize
    return _ROWS.get(data, ()) if same else ()
