"""What a method is given, and what it gives back; all on the host and in the units of the data."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import jax

    from fairjax.fca.scaled_points import ScaledPoints

Status = Literal["optimal", "converged", "stopped", "infeasible", "collapsed", "diverged"]
Labels = npt.NDArray[np.int32]
Table = npt.NDArray[np.floating]

# from what may be relied on to what may not: the order in which results of several starts are preferred
STATUSES: tuple[Status, ...] = ("optimal", "converged", "stopped", "collapsed", "diverged", "infeasible")


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked input of a fit.

    Attributes
    ----------
    X : (n, d) float32 or float64, finite. groups : (n,) int32 ids 0..M-1. known : (M,) values behind them.
    weights : (n,) float64, or None for equal ones. masses : (M,) weight of each group, all positive.
    n_clusters : K, from 1 to n. max_balance : the best balance that the data allow.
    """

    X: Table
    groups: Labels
    known: npt.NDArray[Any]
    weights: npt.NDArray[np.float64] | None
    masses: npt.NDArray[np.float64]
    n_clusters: int
    max_balance: float

    @property
    def n_points(self) -> int:
        """Number of rows n."""
        return len(self.X)

    @property
    def n_groups(self) -> int:
        """Number of groups M."""
        return len(self.known)

    @cached_property
    def points(self) -> "ScaledPoints":
        """The points on the device, centred, scaled and padded to one of a few sizes."""
        from fairjax.fca.scaled_points import scale_points

        return scale_points(self.X, self.groups, self.weights, n_groups=self.n_groups)

    @property
    def each(self) -> npt.NDArray[np.float64]:
        """Weights (n,), ones where none were given."""
        return np.ones(self.n_points) if self.weights is None else self.weights


class Start(NamedTuple):
    """Where one of several fits begins.

    Attributes
    ----------
    number : 0, 1, ... key : typed random key of this start alone. centers : (K, d) that were given, or None.
    init : "k-means++" or "random", how to find centres where none were given.
    """

    number: int
    key: "jax.Array"
    centers: Table | None
    init: str

    def generator(self) -> np.random.Generator:
        """Random numbers for what runs on the host."""
        import jax

        return np.random.default_rng(np.asarray(jax.random.key_data(self.key)))


@dataclass(frozen=True, eq=False)
class Found:
    """What a method found from one start.

    Attributes
    ----------
    labels : (n,) int32.
    status : how it ended; ``collapsed`` is found out from the labels and need not be said.
    objective : what the method minimises, in its own terms; of several starts the least is kept.
    n_iter : iterations. message : what there is to say where it ended badly.
    centers : (K, d) that the labels were assigned to, and prices : (M, K) in units of the cost, for the rule for new
        points; None where there is none.
    gap : proven relative distance from the optimum of the stated problem; None where nothing is proven.
    details : what else is worth keeping.
    """

    labels: Labels
    status: Status
    objective: float
    n_iter: int = 1
    message: str = ""
    centers: Table | None = None
    prices: Table | None = None
    gap: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
