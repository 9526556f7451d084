"""Blocks as they come in: checked, and brought into one form.

A table is anything that can be iterated again and again and yields blocks ``(features, groups)`` or
``(features, groups, weights)``; what follows these in a block is left alone.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax._core import group_codes
from fairjax._core.text import counted, shown
from fairjax.errors import InputError

Floats = npt.NDArray[np.floating]

_MOST_GROUPS = 4096


class Rows(NamedTuple):
    """Some rows of a table.

    Attributes
    ----------
    columns : (d, r) features, one row for each. ids : (r,) int32 groups. weights : (r,) float64, or None.
    first : number of the first of them in the table, from 0.
    """

    columns: Floats
    ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float64] | None
    first: int


class GroupIds:
    """Ids of group values: learnt as they are met, until the values are ``closed``."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self.values: list[Any] = list(values)
        self._ids = {value: i for i, value in enumerate(self.values)}
        self.closed = bool(self.values)

    def of(self, values: Any, n_rows: int, first: int) -> npt.NDArray[np.int32]:
        """Ids (r,) of the values (r,) of rows from number ``first`` on; None for all is one group."""
        if values is None:
            codes, distinct = np.zeros(n_rows, np.int32), [None]
        else:
            codes, distinct = _encoded(values, n_rows, first)
        places = [self._ids.get(value, -1) for value in distinct]
        if -1 not in places:  # as in all blocks but the first ones
            ordered = places == list(range(len(places)))
            return codes.astype(np.int32) if ordered else np.array(places, np.int32).take(codes)
        # an encoding may list values that no row has
        there = np.bincount(codes, minlength=len(distinct)) > 0
        own = np.zeros(len(distinct), np.int32)
        for place in np.flatnonzero(there):
            own[place] = self._id(distinct[place], codes, int(place), first)
        return own[codes]

    def _id(self, value: Any, codes: npt.NDArray[Any], place: int, first: int) -> int:
        found = self._ids.get(value)
        if found is not None:
            return found
        row = first + int(np.argmax(codes == place))
        if self.closed:
            raise InputError(
                f"row {row:,} (from 0) has the group {group_codes.listed([value])}, and the known groups are "
                f"{group_codes.listed(self.values)}: the table is not the one that was first read; begin again, with "
                "data that stay as they are"
            )
        if (value is None) != (self.values == [None]) and self.values:
            raise InputError(f"row {row:,} (from 0) is in a block with groups, others in one without; give all or none")
        if len(self.values) == _MOST_GROUPS:
            raise InputError(
                f"there are more than {_MOST_GROUPS:,} groups by row {row:,}; is the sensitive column a number or a "
                "name? cut it into ranges, or name another"
            )
        self._ids[value] = len(self.values)
        self.values.append(value)
        return len(self.values) - 1


def _encoded(values: Any, n_rows: int, first: int) -> tuple[npt.NDArray[Any], list[Any]]:
    """Codes (r,) and the distinct plain values behind them."""
    where = f"sensitive_features of the block at row {first:,}"
    if hasattr(values, "dictionary_encode"):  # a column of Arrow's, which need not become objects
        encoded = values.dictionary_encode()
        encoded = encoded.combine_chunks() if hasattr(encoded, "combine_chunks") else encoded
        if len(encoded) == n_rows and not encoded.null_count:
            return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()
    codes, distinct = group_codes.factorize(values, n_rows, where)
    return codes, [group_codes.plain(value) for value in distinct]


class Intake:
    """A table, read again and again, and checked each time.

    Parameters
    ----------
    table : re-iterable of blocks
    groups : the values to expect, if they are known.
    first : number of its first row, where it is a share of a table whose other rows are other processes'.
    """

    def __init__(self, table: Iterable[Any], groups: GroupIds | None = None, first: int = 0) -> None:
        if isinstance(table, Iterator):
            raise InputError(
                "the table can be read only once; give an object that begins anew each time it is iterated, such as "
                "fairjax.datasets.scan(...) or a list of blocks"
            )
        if not hasattr(table, "__iter__") or hasattr(table, "shape"):
            raise InputError(
                f"the table is a {type(table).__name__}; expected blocks (features, groups), as those of "
                "fairjax.datasets.scan(...): fit takes whole arrays"
            )
        self.table = table
        self.groups = GroupIds() if groups is None else groups
        self.first = first
        self.n_features: int | None = None
        self.n_rows: int | None = None  # once they are counted
        self.weighted: bool | None = None

    def __iter__(self) -> Iterator[Rows]:
        """All rows, those of empty blocks left out; each part may take the memory of the one before."""
        n_rows = 0
        lent = getattr(self.table, "lent", None)
        for block in self.table if lent is None else lent():
            found = self._rows(block, self.first + n_rows)
            n_rows += found.columns.shape[1]
            if self.n_rows is not None and n_rows > self.n_rows:
                raise _changed(self.n_rows, f"now has {n_rows:,} or more")
            if found.columns.shape[1]:
                yield found
        if self.n_rows is not None and n_rows < self.n_rows:
            raise _changed(self.n_rows, f"now has {n_rows:,}")

    def place(self, row: int) -> str:
        """Name a row, as precisely as the table can."""
        named = getattr(self.table, "place", None)
        return f"row {row:,} (from 0)" if named is None else str(named(row - self.first))

    def _named(self, feature: int) -> str:
        names = getattr(self.table, "feature_names", None)
        return f"feature {feature} (from 0)" if names is None else f"the column {shown(names[feature])}"

    def _rows(self, block: Any, first: int) -> Rows:
        if not isinstance(block, tuple | list) or len(block) < 2:
            raise InputError(
                f"the block at row {first:,} is a {type(block).__name__}; expected (features, groups) or "
                "(features, groups, weights)"
            )
        columns = self._columns(block[0], first)
        n_rows = columns.shape[1]
        ids = self.groups.of(block[1], n_rows, first) if n_rows else np.zeros(0, np.int32)
        weights = self._weights(block[2] if len(block) > 2 else None, n_rows, first)
        return Rows(columns, ids, weights, first)

    def _columns(self, features: Any, first: int) -> Floats:
        try:
            X = np.asarray(features)
            if X.dtype.kind in "bui" or X.dtype.itemsize < 4:
                X = X.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"the features at row {first:,} are no numbers ({error})") from error
        if X.dtype.kind != "f" or X.ndim != 2 or X.shape[1] == 0:
            raise InputError(
                f"the features at row {first:,} have the type {X.dtype} and the shape {X.shape}; expected numbers "
                "(rows, d)"
            )
        if self.n_features is None:
            self.n_features = X.shape[1]
        if X.shape[1] != self.n_features:
            raise InputError(
                f"the block at row {first:,} has {counted(X.shape[1], 'feature')}, those before "
                f"{self.n_features}; expected the same columns in all"
            )
        columns = X.T
        if self.n_rows is not None:
            return columns  # they were looked at once, and sums would show what has changed
        # a sum is NaN or infinite where one of its terms is; otherwise only if it overflows
        with np.errstate(over="ignore", invalid="ignore"):
            suspect = np.flatnonzero(~np.isfinite(columns.sum(1)))
        for feature in suspect:
            bad = ~np.isfinite(columns[feature])
            if bad.any():
                row = int(np.argmax(bad))
                raise InputError(
                    f"{self.place(first + row)} holds {columns[feature, row]} in {self._named(int(feature))}; expected "
                    "finite numbers: fill it in, or leave the row out"
                )
        return columns

    def _weights(self, given: Any, n_rows: int, first: int) -> npt.NDArray[np.float64] | None:
        if n_rows and self.weighted is None:
            self.weighted = given is not None
        if n_rows and (given is not None) != self.weighted:
            raise InputError(f"only some blocks have weights (the one at row {first:,} differs); give all or none")
        if given is None:
            return None
        weights = np.asarray(given, np.float64)
        if weights.shape != (n_rows,):
            raise InputError(f"the weights at row {first:,} have shape {weights.shape}; expected ({n_rows},)")
        bad = ~(np.isfinite(weights) & (weights >= 0))
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(f"{self.place(first + row)} has the weight {weights[row]:g}; expected finite weights ≥ 0")
        return weights


def _changed(n_rows: int, now: str) -> InputError:
    return InputError(
        f"the table had {counted(n_rows, 'row')} when it was first read and {now}: it changed while it was in use; "
        "begin again"
    )
