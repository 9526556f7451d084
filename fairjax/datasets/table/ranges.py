"""Ranges that a sensitive column of numbers or dates is cut into; a model keeps them, and new rows are cut alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.datasets.table.columns import Column


@dataclass(frozen=True)
class Ranges:
    """Ranges of numbers: below the first edge, from each edge to below the next, and from the last one on.

    Attributes
    ----------
    edges : tuple of float
        Rising and finite; dates are days since 1970.
    names : tuple of str
        One more than the edges.

    Raises
    ------
    InputError
        If they are not so.
    """

    edges: tuple[float, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        rising = bool(self.edges) and bool(np.isfinite(self.edges).all()) and bool((np.diff(self.edges) > 0).all())
        if not rising or len(self.names) != len(self.edges) + 1 or not all(isinstance(n, str) for n in self.names):
            raise InputError("the ranges of a sensitive column are no rising numbers with a name for every range")

    @classmethod
    def between(cls, edges: Sequence[float], *, dates: bool) -> Self:
        """Ranges named by their edges.

        Examples
        --------
        >>> Ranges.between([18.0, 65.0], dates=False).names
        ('below 18', '18 to below 65', '65 and above')
        """
        texts = [_date_name(edge) for edge in edges] if dates else _short_names(edges)
        middle = [f"{low} to below {high}" for low, high in pairwise(texts)]
        return cls(tuple(edges), (f"below {texts[0]}", *middle, f"{texts[-1]} and above"))

    def cut(self, column: Column) -> npt.NDArray[np.int32]:
        """Range of every row, -1 where it has no value.

        Raises
        ------
        InputError
            For a column of anything but numbers and dates.
        """
        if column.numbers is None:
            raise InputError(
                f"the sensitive column {column.title} holds {column.type} values; expected numbers, since the fit cut "
                "them into ranges"
            )
        ids = np.full(column.n_rows, -1, np.int32)
        present = ~column.missing
        ids[present] = np.searchsorted(self.edges, column.numbers[present], side="right")
        return ids

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """What ``{"edges": [...], "names": [...]}`` says; a ValueError, TypeError or LookupError for anything else."""
        return cls(tuple(map(float, values["edges"])), tuple(values["names"]))


def number_name(value: float) -> str:
    """Write a number as people do: whole ones without a point.

    Examples
    --------
    >>> number_name(3.0), number_name(0.25)
    ('3', '0.25')
    """
    return str(int(value)) if value == np.floor(value) and abs(value) < 1e15 else repr(float(value))


def _short_names(edges: Sequence[float]) -> list[str]:
    """Return numbers with four digits, or as many as tell them apart."""
    for digits in (4, 6, 9, 17):
        texts = [number_name(edge) if edge == np.floor(edge) else f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(texts):
            return texts
    return texts


def _date_name(days: float) -> str:
    return str(np.datetime64(int(np.floor(days)), "D"))
