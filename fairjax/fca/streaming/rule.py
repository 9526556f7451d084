"""The rule that gives the rows of a table their labels again: the cheapest cluster, but for some rows near a boundary.

Of a row with copies the rule says how many of them go to which cluster, in the order of the table.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax.fca.streaming.intake import Floats
from fairjax.fca.streaming.nearest import Keys, Open, row_keys

Labels = npt.NDArray[np.int32]
Copies = npt.NDArray[np.int64]


class Rule(NamedTuple):
    """How labels are found again.

    Attributes
    ----------
    centers : (K, d), prices : (M, K) on the device's scale. shift : (d,), scale : () of it. heaviest : () weight.
    rows : (p,) int64 numbers of rows without copies that are elsewhere, or nearly so, sorted; labels : (p,) int32.
    keys : (q,) uint64 of rows with copies, sorted; copies : (q, K) int64 how many go where. reach : () their greatest
    margin. block_rows : () rows that are taken together. n_rows : () of the whole table.
    """

    centers: Floats
    prices: Floats
    shift: npt.NDArray[np.float64]
    scale: float
    heaviest: float
    rows: npt.NDArray[np.int64]
    labels: Labels
    keys: Keys
    copies: Copies
    reach: float
    block_rows: int
    n_rows: int


def whole_copies(opened: Open, fractions: npt.NDArray[np.float64]) -> Copies:
    """Copies (m, K) of each row in each cluster, near ``fractions`` (m, K) of them and with the groups' counts kept.

    What is left of a split row goes where its group lacks most, so that counts are off by about a row.
    """
    alone = fractions * opened.copies[:, None]
    copies = np.floor(alone + 1e-6).astype(np.int64)
    left = opened.copies - copies.sum(1)
    lacking = np.zeros((int(opened.ids.max(initial=0)) + 1, fractions.shape[1]))
    np.add.at(lacking, opened.ids, (alone - copies) * opened.weights[:, None])
    for row in np.flatnonzero(left > 0):
        group, possible = opened.ids[row], fractions[row] > 0
        for _ in range(int(left[row])):
            label = int(np.argmax(np.where(possible, lacking[group], -np.inf)))
            copies[row, label] += 1
            lacking[group, label] -= opened.weights[row]
    return copies


def listed(opened: Open, copies: Copies, blur: float) -> tuple[npt.NDArray[np.int64], Labels, Keys, Copies, float]:
    """What the rule says of the open rows: ``rows``, ``labels``, ``keys``, ``copies`` and ``reach``.

    Rows within ``blur`` of a boundary are listed in any case: another program may break ties another way.
    """
    own = copies[np.arange(len(copies)), opened.labels] == opened.copies
    told = ~own | (opened.margins <= blur)
    single = np.flatnonzero(told & (opened.copies == 1))
    single = single[np.argsort(opened.rows[single])]
    several = np.flatnonzero(told & (opened.copies > 1))
    keys = row_keys(opened.features, opened.ids, opened.weights)
    distinct = np.unique(keys[several])
    # with all copies that a program may have labelled differently
    several = np.flatnonzero(np.isin(keys, distinct)) if len(distinct) else several
    shares = np.zeros((len(distinct), copies.shape[1]), np.int64)
    np.add.at(shares, np.searchsorted(distinct, keys[several]), copies[several])
    single = single[~np.isin(keys[single], distinct)]
    reach = float(opened.margins[several].max(initial=0))
    return opened.rows[single], np.argmax(copies[single], 1).astype(np.int32), distinct, shares, reach


class Dealer:
    """Deals the copies of rows to clusters, block after block; ``dealt`` (q,) of them are elsewhere, before these."""

    def __init__(self, rule: Rule, dealt: Copies | None = None) -> None:
        self._rule = rule
        self._until = np.cumsum(rule.copies, 1)
        self.dealt: Copies = np.zeros(len(rule.keys), np.int64) if dealt is None else dealt.copy()

    def deal(self, keys: Keys) -> tuple[npt.NDArray[np.intp], Labels]:
        """Which of the rows with these keys (r,) the rule names, and their labels."""
        place = np.searchsorted(self._rule.keys, keys)
        named = np.flatnonzero(self._rule.keys[np.minimum(place, len(self._rule.keys) - 1)] == keys)
        named = named[np.argsort(place[named], kind="stable")]
        place = place[named]
        distinct, first, counts = np.unique(place, return_index=True, return_counts=True)
        number = self.dealt[place] + np.arange(len(place)) - np.repeat(first, counts)
        self.dealt[distinct] += counts
        labels = (self._until[place] <= number[:, None]).sum(1)
        return named, np.minimum(labels, self._until.shape[1] - 1).astype(np.int32)
