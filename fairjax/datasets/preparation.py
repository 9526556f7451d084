"""How columns become points, written down so that new rows go the same way."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from fairjax.datasets.scaling import l2_normalize_rows
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.datasets.table.encoding import Encoding
    from fairjax.datasets.table.ranges import Ranges

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """The columns that were clustered, and how they were scaled.

    Parameters
    ----------
    columns : sequence of str, length d
        Names of the points' features, in their order.
    centers, spreads : ndarray (d,), optional
        What is taken off each column, and what it is then divided by; a column of spread 0 becomes 0. None leaves the
        columns as they are.
    l2_normalize : bool
        Whether each row is then divided by its Euclidean norm, floored at 1e-7.
    sensitive : sequence of str
        Names of the columns with the protected attributes.
    encoding : Encoding, optional
        How the columns of a table became those numbers, gaps and categories included; without it they are numbers.
    ranges : mapping of str to Ranges
        The ranges that sensitive columns were cut into, by the columns' names.

    Raises
    ------
    InputError
        If the parts do not fit together: repeated names, other lengths, values that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> how = Preparation(columns=("age", "income"), centers=np.array([40.0, 2.0]), spreads=np.array([10.0, 1.0]))
    >>> how.points(np.array([[50.0, 2.5]])).tolist()
    [[1.0, 0.5]]
    """

    columns: Sequence[str]
    centers: Matrix | None = None
    spreads: Matrix | None = None
    l2_normalize: bool = False
    sensitive: Sequence[str] = ()
    encoding: "Encoding | None" = None
    ranges: "Mapping[str, Ranges]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("columns", "sensitive"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.columns or not all(isinstance(name, str) for name in (*self.columns, *self.sensitive)):
            raise InputError("the names of the columns are no list of texts; expected at least one name")
        if self.encoding is None and len(set(self.columns)) < len(self.columns):
            raise InputError("a column is named twice; expected each name once")
        if self.encoding is not None and len(self.encoding.features) != len(self.columns):
            raise InputError(f"encoding gives {len(self.encoding.features)} columns; expected {len(self.columns)}")
        if (self.centers is None) != (self.spreads is None):
            raise InputError("of centers and spreads only one is given; expected both or none")
        for name in ("centers", "spreads"):
            if (given := getattr(self, name)) is None:
                continue
            values = np.asarray(given, np.float64)
            if values.shape != (len(self.columns),) or not np.isfinite(values).all():
                raise InputError(f"{name} has shape {values.shape}; expected {len(self.columns)} finite numbers")
            object.__setattr__(self, name, values)
        if self.spreads is not None and self.spreads.min() < 0:
            raise InputError(f"spreads holds {self.spreads.min():g}; expected numbers of at least 0")

    def points(self, raw: npt.NDArray[Any]) -> Matrix:
        """Points (n, d) from rows (n, d) of the columns, in their order; O(n d)."""
        X = np.asarray(raw, np.float64)
        if self.centers is not None and self.spreads is not None:
            varies = self.spreads > 0
            X = np.where(varies, (X - self.centers) / np.where(varies, self.spreads, 1.0), 0.0)
        return l2_normalize_rows(X) if self.l2_normalize else X

    def to_json(self) -> dict[str, Any]:
        """The same in plain values, which JSON holds to the last digit."""
        return {
            "columns": list(self.columns),
            "centers": None if self.centers is None else self.centers.tolist(),
            "spreads": None if self.spreads is None else self.spreads.tolist(),
            "l2_normalize": bool(self.l2_normalize),
            "sensitive": list(self.sensitive),
            "encoding": None if self.encoding is None else self.encoding.to_dict(),
            "ranges": {name: asdict(ranges) for name, ranges in self.ranges.items()},
        }

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """What `to_json` gave; InputError for anything else."""
        names = {"columns", "centers", "spreads", "l2_normalize", "sensitive", "encoding"}
        if not isinstance(values, dict) or set(values) - {"ranges"} != names:  # which files of 0.1 may lack
            raise InputError(f"the preparation is no object with the names {', '.join(sorted(names))}")
        lists = all(isinstance(values[name], list) for name in ("columns", "sensitive"))
        if not lists or not isinstance(values["l2_normalize"], bool):
            raise InputError("the preparation's names are no lists, or its l2_normalize is neither true nor false")
        encoding = values["encoding"]
        try:
            if encoding is not None:
                from fairjax.datasets.table.encoding import Encoding

                encoding = Encoding.from_dict(encoding)
            ranges = dict(values.get("ranges", {}))
            if ranges:
                from fairjax.datasets.table.ranges import Ranges

                ranges = {name: Ranges.from_json(value) for name, value in ranges.items()}
            return cls(**values | {"encoding": encoding, "ranges": ranges})
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"the preparation is not as it should be: {error}") from error
