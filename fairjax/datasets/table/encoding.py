"""From columns to a matrix: gaps, categories and dates as the user asked, by rules that serve new rows as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairjax._core.text import listed, shown
from fairjax.datasets.scaling import standardize_columns
from fairjax.datasets.table.columns import Column
from fairjax.errors import InputError

Missing = Literal["error", "drop", "mean", "median"]
Categorical = Literal["error", "one-hot", "ordinal"]
Dates = Literal["error", "number"]
MISSING_LEVEL = "(missing)"
MOST_LEVELS = 100  # categories of one column that one-hot makes columns of


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What to do with cells that are no numbers.

    Attributes
    ----------
    missing : {"error", "drop", "mean", "median"}
        Of a missing number; a missing category is a level of its own unless rows are dropped.
    indicator : bool
        Whether a column with gaps is followed by one that says where they were.
    categorical : {"error", "one-hot", "ordinal"}
        Of text: a column of 0 and 1 for every value, or the rank of the value among the sorted ones.
    dates : {"error", "number"}
        Days since 1970.
    """

    missing: Missing = "error"
    indicator: bool = False
    categorical: Categorical = "error"
    dates: Dates = "error"

    def __post_init__(self) -> None:
        choices = {
            "missing": ("error", "drop", "mean", "median"),
            "categorical": ("error", "one-hot", "ordinal"),
            "dates": ("error", "number"),
        }
        for name, known in choices.items():
            value = getattr(self, name)
            if value not in known:
                raise InputError(f"{name} is {shown(value)}; expected one of {', '.join(map(repr, known))}")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one column becomes one or several of the matrix.

    Attributes
    ----------
    name, type : str
        Of the column.
    how : {"number", "one-hot", "ordinal"}
    fill : float or None
        The number in the place of missing ones.
    levels : tuple of str
        Of categories, sorted.
    indicator : bool
        Whether a column of 0 and 1 follows that says where values were missing.
    """

    name: str
    type: str
    how: Literal["number", "one-hot", "ordinal"]
    fill: float | None = None
    levels: tuple[str, ...] = ()
    indicator: bool = False

    def __post_init__(self) -> None:
        texts = all(isinstance(text, str) for text in (self.name, self.type, *self.levels))
        number = self.fill is None or (isinstance(self.fill, (int, float)) and abs(self.fill) < np.inf)
        known = self.how in ("number", "one-hot", "ordinal")
        if not texts or not number or not known or not isinstance(self.indicator, bool):
            raise InputError(f"the rule of the column {shown(self.name)} is not as it should be")

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns of the matrix."""
        own = tuple(f"{self.name}={level}" for level in self.levels) if self.how == "one-hot" else (self.name,)
        return (*own, f"{self.name} is missing") if self.indicator else own

    def fill_in(self, out: npt.NDArray[np.float64], column: Column) -> None:
        """Write the columns of the matrix for a column of any rows into ``out``, shape (n, len(features))."""
        if self.how == "one-hot":
            out[:, : len(self.levels)] = 0.0
            out[np.arange(len(out)), self._codes(column)] = 1.0
        else:
            out[:, 0] = _filled(column, self) if self.how == "number" else self._codes(column)
        if self.indicator:
            out[:, -1] = column.missing

    def _codes(self, column: Column) -> npt.NDArray[np.int64]:
        levels = [*column.levels, MISSING_LEVEL]
        known = {level: i for i, level in enumerate(self.levels)}
        codes = np.append(_present(column), np.int32(-1))[:-1].astype(np.int64)
        codes[codes < 0] = len(levels) - 1
        used = np.unique(codes)
        unseen = [levels[i] for i in used if levels[i] not in known]
        if unseen:
            raise InputError(
                f"the column {column.title} holds {listed(unseen)}, not seen when fitting; the known values are "
                f"{listed(self.levels)}"
            )
        return np.array([known.get(level, -1) for level in levels])[codes]


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The rules of all columns, in the order of the matrix; plain values, so that they can be kept with a model."""

    rules: tuple[Rule, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns of the matrix."""
        return tuple(name for rule in self.rules for name in rule.features)

    def apply(self, columns: Sequence[Column]) -> npt.NDArray[np.float64]:
        """Return the matrix (n, d) of columns in the order of the rules, in the data's own units.

        Raises
        ------
        InputError
            For a value that was not seen when the rules were made, or a gap where there was none.
        """
        out = np.empty((columns[0].n_rows, len(self.features)))
        for rule, column, block in zip(self.rules, columns, self._blocks(), strict=True):
            rule.fill_in(out[:, block], column)
        return out

    def _blocks(self) -> Iterator[slice]:
        start = 0
        for rule in self.rules:
            width = len(rule.features)
            yield slice(start, start + width)
            start += width

    def select(self, keep: npt.NDArray[np.bool_]) -> Encoding:
        """Leave out columns of the matrix of rules that give one column each; blocks of categories stay whole."""
        kept = [rule for rule, block in zip(self.rules, self._blocks(), strict=True) if keep[block].any()]
        return replace(self, rules=tuple(kept))

    @property
    def categories(self) -> list[slice]:
        """Ranges of columns of the matrix that are the 0s and 1s of one category."""
        return [
            slice(block.start, block.start + len(rule.levels))
            for rule, block in zip(self.rules, self._blocks(), strict=True)
            if rule.how == "one-hot"
        ]

    def standardize(self, raw: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Give every column of the table variance 1: a number by itself, a category over all its columns of 0 and 1.

        A category then counts as much as a number does, whatever its number of levels; standardised one by one, the
        rarest levels would outweigh all else.
        """
        return standardize_columns(raw, self.categories)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON."""
        return {"rules": [asdict(rule) | {"levels": list(rule.levels)} for rule in self.rules]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Encoding:
        """Return the encoding that `to_dict` wrote."""
        return cls(rules=tuple(Rule(**(rule | {"levels": tuple(rule["levels"])})) for rule in values["rules"]))


def learn(columns: Sequence[Column], treatment: Treatment) -> Encoding:
    """Make the rules for columns whose types are known to be allowed: O(n) each.

    Raises
    ------
    InputError
        For a column of more categories than one-hot takes, and one without any value.
    """
    return Encoding(rules=tuple(_rule(column, treatment) for column in columns))


def _rule(column: Column, treatment: Treatment) -> Rule:
    gaps = column.n_missing > 0
    indicator = gaps and treatment.indicator
    if column.type == "text":
        levels = (*column.levels, MISSING_LEVEL) if gaps else column.levels
        if treatment.categorical == "one-hot" and len(levels) > MOST_LEVELS:
            raise InputError(
                f"the column {column.title} has {len(levels):,} different values, more than the {MOST_LEVELS} that "
                f"one-hot makes columns of; leave it out with --drop, or say --categorical ordinal"
            )
        how: Literal["one-hot", "ordinal"] = "one-hot" if treatment.categorical == "one-hot" else "ordinal"
        return Rule(name=column.name, type=column.type, how=how, levels=levels)
    fill = None
    if gaps:
        assert column.numbers is not None
        if column.n_missing == column.n_rows:
            raise InputError(f"the column {column.title} has no values at all; leave it out with --drop")
        present = column.numbers[~column.missing]
        fill = float(np.median(present) if treatment.missing == "median" else present.mean())
    return Rule(name=column.name, type=column.type, how="number", fill=fill, indicator=indicator)


def _filled(column: Column, rule: Rule) -> npt.NDArray[np.float64]:
    if column.numbers is None:
        raise InputError(
            f"the column {column.title} is not numeric, as it was when fitting; give the same kind of table"
        )
    if not column.n_missing:
        return column.numbers
    if rule.fill is None:
        raise InputError(f"the column {column.title} has {column.n_missing} missing values and had none when fitting")
    return np.where(column.missing, rule.fill, column.numbers)


def _present(column: Column) -> npt.NDArray[np.int32]:
    if column.codes is not None:
        return column.codes
    # numbers in a column that held text when fitting
    assert column.numbers is not None
    raise InputError(f"the column {column.title} is numeric and was not when fitting; give the same kind of table")
