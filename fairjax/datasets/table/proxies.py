"""What gives the sensitive column away: copies of it under other names, and columns from which it can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairjax._core.text import shown, visible
from fairjax.datasets.table.columns import Column
from fairjax.datasets.table.grouping import Attribute

_BINS = 20
_SAMPLE = 100_000  # rows that are looked at
_LEAST_ROWS = 20  # in fewer, every column tells every other
COPY = 0.98
STRONG = 0.5
_PARTS = 12  # groups up to which each is looked at by itself


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A column that tells a sensitive one.

    Attributes
    ----------
    column, sensitive : str
    told : float
        Share of the sensitive column's information that the column holds, 0 (nothing) to 1 (all of it).
    kind : {"copy", "part", "strong", "weak"}
    part : str
        The one value that is told exactly, for a part such as ``race_black``.
    """

    column: str
    sensitive: str
    told: float
    kind: Literal["copy", "part", "strong", "weak"]
    part: str = ""

    def sentence(self) -> str:
        """Say it to the user, with the remedy."""
        column, sensitive = shown(self.column), shown(self.sensitive)
        plain = self.column == visible(self.column, 60) and self.column and "," not in self.column
        remedy = f"leave it out with --drop {self.column}" if plain else "leave it out"
        if self.kind == "copy":
            return f"{column} tells {sensitive} exactly, as a copy under another name does; {remedy} unless it is meant"
        if self.kind == "part":
            return f"{column} tells exactly whether {sensitive} is {shown(self.part)}; {remedy} unless it is meant"
        return (
            f"{column} gives {sensitive} away ({100 * self.told:.0f}% of its information); {remedy} unless it is meant"
        )


def find_proxies(columns: Sequence[Column], attributes: Mapping[str, Attribute]) -> list[Proxy]:
    """Return how well each column tells each sensitive one, the strongest first; O(n log n) on a sample of rows."""
    found = []
    for name, attribute in attributes.items():
        n = len(attribute.ids)
        if n < _LEAST_ROWS:
            continue
        rows = np.arange(n) if n <= _SAMPLE else np.sort(np.random.default_rng(0).choice(n, _SAMPLE, replace=False))
        ids = attribute.ids[rows]
        for column in columns:
            if column.name != name and column.type != "other" and not column.is_identifier and column.n_distinct > 1:
                found.append(_proxy(column, name, attribute, cells(column, rows), ids))
    return sorted(found, key=lambda proxy: -proxy.told)


def _proxy(
    column: Column, sensitive: str, attribute: Attribute, values: npt.NDArray[np.int64], ids: npt.NDArray[np.int32]
) -> Proxy:
    told = information(values, ids)
    names = attribute.names
    if told >= COPY:
        return Proxy(column=column.name, sensitive=sensitive, told=told, kind="copy")
    if 2 < len(names) <= _PARTS and column.n_distinct == 2:
        for group, name in enumerate(names):
            if information(values, (ids == group).astype(np.int64)) >= COPY:
                return Proxy(column=column.name, sensitive=sensitive, told=told, kind="part", part=name)
    return Proxy(column=column.name, sensitive=sensitive, told=told, kind="strong" if told >= STRONG else "weak")


def cells(column: Column, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Whole numbers from 0 for the values of some rows: numbers of many values by twentieths, a gap by itself."""
    if column.codes is not None:
        return column.codes[rows].astype(np.int64) + 1
    assert column.numbers is not None
    values = column.numbers[rows]
    known = np.isfinite(values)
    present = values if known.all() else values[known]
    out = np.zeros(len(rows), np.int64)
    if not len(present):
        return out
    ordered = np.sort(present)
    if column.n_distinct > 2 * _BINS:
        edges = ordered[(len(ordered) * np.arange(1, _BINS)) // _BINS]
    else:
        edges = ordered[1:][ordered[1:] != ordered[:-1]]
    out[known] = np.searchsorted(edges, present, side="right") + 1
    return out


def information(values: npt.NDArray[np.int64], ids: npt.NDArray[np.integer]) -> float:
    """Return the share of the ids' entropy that the values hold, less what chance alone would show (Miller and Madow).

    Both are whole numbers from 0.

    Examples
    --------
    >>> information(np.array([0, 0, 1, 1] * 50), np.array([0, 0, 1, 1] * 50)) > 0.98
    True
    >>> information(np.array([0, 1, 0, 1] * 50), np.array([0, 0, 1, 1] * 50))
    0.0
    """
    n, groups = len(values), int(ids.max()) + 1
    by_both = np.bincount(values * groups + ids)
    by_value, by_group = np.bincount(values), np.bincount(ids)
    entropy = _entropy(by_group, n)
    cells, kinds = int((by_both > 0).sum()), int((by_value > 0).sum())
    if entropy == 0 or kinds >= n / 2:  # nearly a value for each row, which tells everything
        return 0.0
    shared = _entropy(by_value, n) + entropy - _entropy(by_both, n)
    # cells that chance would fill beyond the fewest that there can be
    chance = max(cells - max(kinds, int((by_group > 0).sum())), 0) / (2 * n)
    return float(np.clip((shared - chance) / entropy, 0.0, 1.0))


def _entropy(counts: npt.NDArray[np.int64], n: int) -> float:
    p = counts[counts > 0] / n
    return float(-(p * np.log(p)).sum())
