"""Several protected attributes in a comparison: balance by each of them, beside that by their combinations."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fairjax._core import group_codes
from fairjax.errors import InputError
from fairjax.metrics import host

Table = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Attributes:
    """Two attributes or more.

    Attributes
    ----------
    names : of the attributes. ids : (n,) value of each row, one array an attribute. sizes : (M_a,) weights of them.
    weights : (n,) of the rows, or None for equal ones.
    separately : whether each is to be fair by itself, and not their combinations.
    """

    names: tuple[str, ...]
    ids: tuple[npt.NDArray[np.int32], ...]
    sizes: tuple[Table, ...]
    weights: npt.NDArray[np.float64] | None
    separately: bool

    @property
    def best(self) -> tuple[float, ...]:
        """The best balance that the data allow, by each."""
        return tuple(float(sizes.min() / sizes.max()) for sizes in self.sizes)

    def tables(self, labels: npt.NDArray[Any], n_labels: int) -> list[Table]:
        """Weight (K, M_a) of the values of every attribute in the clusters 0..K-1; O(n) each."""
        shapes = [(n_labels, len(sizes)) for sizes in self.sizes]
        return [host.contingency(labels, ids, self.weights, shape) for ids, shape in zip(self.ids, shapes, strict=True)]


def attributes_of(
    sensitive_features: Any, n_points: int, weights: npt.NDArray[np.float64] | None, *, separately: bool
) -> Attributes | None:
    """The attributes, where there are several; InputError for a single one that is to be fair ``separately``.

    Examples
    --------
    >>> found = attributes_of({"sex": ["f", "m", "m"], "region": [1, 1, 2]}, 3, None, separately=False)
    >>> found.names, found.best
    (('sex', 'region'), (0.5, 0.5))
    """
    parts = group_codes.attributes(sensitive_features, n_points)
    if len(parts) < 2:
        if separately:
            raise InputError("attributes='separately' is for several sensitive columns, and there is one; leave it out")
        return None
    ids = tuple(np.asarray(own, np.int32) for _, (own, _) in parts)
    sizes = tuple(np.bincount(own, weights).astype(np.float64) for own in ids)
    return Attributes(tuple(str(name) for name, _ in parts), ids, sizes, weights, separately)
