"""What is measured of a fitted estimator, for all methods alike: from its labels, in double precision."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax.baselines.problem import Problem
from fairjax.comparison.attributes import Attributes, Table


class Measured(NamedTuple):
    """What a table shows of one run.

    Attributes
    ----------
    cost : mean squared distance to the means of the labels. objective : what the method minimised, in its own terms.
    balance : least ratio of two groups in a cluster. violation : points by which the labels miss what the method's
    control promises, NaN where that is nothing. n_nonempty : clusters with points. status, gap : as the estimator says.
    accuracy, nmi : agreement with known classes, NaN where none are known.
    balances : by each of several attributes; `balance` is the least of them where each is to be fair by itself.
    """

    cost: float
    objective: float
    balance: float
    violation: float
    n_nonempty: int
    status: str
    gap: float
    accuracy: float = float("nan")
    nmi: float = float("nan")
    balances: tuple[float, ...] = ()


def measure(
    model: Any, problem: Problem, classes: npt.NDArray[np.int32] | None = None, attributes: Attributes | None = None
) -> Measured:
    """Look at a fitted estimator, and beside known classes (n,) 0..C-1 if there are any; O(n d).

    A label of its own that stands for noise counts as a cluster.
    """
    from fairjax.metrics import host

    distinct, labels = np.unique(np.asarray(model.labels_), return_inverse=True)
    by_attribute = [] if attributes is None else attributes.tables(labels, len(distinct))
    if attributes is not None and attributes.separately:
        tables = by_attribute
    else:
        tables = [host.contingency(labels, problem.groups, problem.weights, (len(distinct), problem.n_groups))]
    cost = cost_of(problem, labels)
    gap = getattr(model, "gap_", None)
    return Measured(
        cost,
        float(getattr(model, "objective_", cost)),
        min(map(host.balance, tables)),
        max(violation(model, table) for table in tables),
        len(distinct),
        _status(model, len(distinct), problem.n_clusters),
        float("nan") if gap is None else float(gap),
        *_agreement(labels, classes, problem),
        tuple(map(host.balance, by_attribute)),
    )


def _agreement(
    labels: npt.NDArray[Any], classes: npt.NDArray[np.int32] | None, problem: Problem
) -> tuple[float, float]:
    """Accuracy and normalised mutual information."""
    if classes is None:
        return float("nan"), float("nan")
    from fairjax import metrics

    found = [measure(labels, classes, weights=problem.weights) for measure in (metrics.accuracy, metrics.nmi)]
    return float(found[0]), float(found[1])


def cost_of(problem: Problem, labels: npt.NDArray[Any]) -> float:
    """Mean squared distance of the points to the means of their labels 0..K-1, in double precision."""
    X, each = np.asarray(problem.X, np.float64), problem.each
    X = X - X.mean(0)
    mass = np.maximum(np.bincount(labels, each), np.finfo(float).tiny)
    means = np.stack([np.bincount(labels, each * column) / mass for column in X.T], 1)
    return float(np.square(X - means[labels]).sum(1) @ each / each.sum())


def violation(model: Any, table: Table) -> float:
    """Points (weight) by which a table (K, M) misses what the control of its method promises; NaN if that is nothing.

    Bounds on shares: what a group is beyond them in the worst cluster. A floor on the balance: what the rarer of two
    groups lacks in a cluster. Equal proportions: the distance of a count from its group's part.
    """
    own = getattr(model, "violation_", None)
    details = getattr(getattr(model, "result_", None), "details", {})
    if own is None:
        own = details.get("violation")
    if own is not None:
        return float(own)
    if (floor := _floor(model)) is not None:
        return float(np.maximum(floor * table.max(1) - table.min(1), 0).max())
    if getattr(model, "epsilon", None) == 0:
        even = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
        return float(np.abs(table - even).max())
    return float("nan")


def _floor(model: Any) -> float | None:
    """The balance that a fitted estimator promises."""
    if hasattr(model, "target_"):
        return float(model.target_)
    if hasattr(model, "ratio_"):
        return model.ratio_[0] / model.ratio_[1]
    if hasattr(model, "t_"):
        return 1 / model.t_
    return getattr(model, "min_balance", None)


def _status(model: Any, n_nonempty: int, n_clusters: int) -> str:
    status = getattr(model, "status_", None)
    if isinstance(status, str):
        return status
    if n_nonempty < n_clusters:
        return "collapsed"
    return "converged" if getattr(model, "converged_", True) and status in (None, 0) else "stopped"
