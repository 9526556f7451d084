"""SFC, scalable fair clustering (Backurs et al., ICML 2019): fairlets of a quadtree, then k-means of their centres."""

from fractions import Fraction
from math import gcd
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np

from fairjax._core.settings import setting
from fairjax.baselines.base import Baseline, estimator, recomputed
from fairjax.baselines.decomposition import Fairlets, closest_ratio, gather
from fairjax.baselines.fairlet_clusters import check_enough, cluster_centers, distances_to
from fairjax.baselines.problem import Found, Problem, Start
from fairjax.baselines.quadtree import quadtree_fairlets
from fairjax.errors import InputError

_LONGEST = 100  # q


@estimator
class SFC(Baseline):
    """Scalable fair clustering: fairlets by a randomly shifted quadtree, and clusters of them; two groups only.

    Every cluster has a balance of at least p/q. Attributes as told in :class:`~fairjax.baselines.Baseline`, and those
    below.

    Attributes
    ----------
    ratio_ : (int, int)
        p and q.
    fairlets_ : ndarray (n,), int64
        Fairlet of each point.

    Notes
    -----
    K is at most the number of fairlets. `objective_` is the mean squared distance of points to their cluster's mean,
    for k-median the sum of distances of points to the medoid that their fairlet's centre is nearest to. Cells smaller
    than 1e-4 are not cut: scale the features before. O(n d log(spread / 1e-4)) for the tree.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import SFC
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> model = SFC(2, random_state=0).fit(X, sensitive_features=["f", "f", "m", "m", "m", "f"])
    >>> model.ratio_, model.balance_, model.fairlets_.max() + 1
    ((1, 1), 1.0, np.int64(3))
    """

    control: ClassVar[str | None] = "balance"
    _most_groups = 2

    balance: Any = setting(
        None,
        "Balance of the fairlets: (p, q), coprime, or a number, for which the largest p/q with q ≤ 100 is taken "
        "that is not above it. By default the ratio of the groups in the data. A higher one, or a larger p + q, "
        "costs more.",
        words="float or (int, int), optional",
    )
    objective: Literal["kmeans", "kmedian"] = setting(
        "kmeans", "What the fairlets' centres are clustered by; the paper's is k-median."
    )
    centers: Literal["medoid", "mean"] = setting(
        "medoid", "What stands for a fairlet: the member of least sum of distances, as published, or the mean."
    )
    weighted: bool = setting(
        False, "Whether it weighs as many points as the fairlet has; it does not in the authors' code."
    )
    n_init: int = setting(1, "Number of trees, each with seeds of its own; the one of least `objective_` is kept.")
    max_iter: int = setting(300, "Most iterations over the fairlets.")
    tol: float = setting(1e-4, "As for :class:`~fairjax.baselines.KMeans`.")
    init: Any = setting("k-means++", "Seeds among the fairlets' centres.")
    random_state: Any = setting(None, "Source of shift and seeds; an int repeats the run.")

    def _check(self, problem: Problem) -> None:
        ratio_of(self.balance, problem)

    def _find(self, problem: Problem, start: Start) -> Found:
        ratio = ratio_of(self.balance, problem)
        most = data_ratio(problem)
        if ratio > most:
            words = (
                f"balance {ratio.numerator}:{ratio.denominator} is above that of the data, {float(most):.4g}; ask for "
                f"at most that, as {closest_ratio(most)} is, or leave it out"
            )
            return Found(np.empty(0, np.int32), "infeasible", np.inf, message=words)
        fairlets = self._fairlets(problem, start, ratio)
        check_enough(fairlets, problem.n_clusters, f"{ratio.numerator}:{ratio.denominator}")
        stand_ins = problem.X[fairlets.centers] if self.centers == "medoid" else fairlets.means(problem.X)
        found = cluster_centers(
            stand_ins,
            fairlets.sizes.astype(np.float64) if self.weighted else None,
            problem.n_clusters,
            start,
            objective=self.objective,
            max_iter=int(self.max_iter),
            tol=float(self.tol),
        )
        labels = found.labels[fairlets.labels]
        if self.objective == "kmeans":
            value = recomputed(problem, labels)[1]
        else:
            value = float(distances_to(problem.X, found.centers, labels).sum())
        details = {"fairlets": fairlets, "ratio": (ratio.numerator, ratio.denominator)}
        return Found(
            labels, "converged" if found.settled else "stopped", value, n_iter=found.n_iter, centers=found.centers,
            details=details,
        )  # fmt: skip

    def _fairlets(self, problem: Problem, start: Start, ratio: Fraction) -> Fairlets:
        if problem.n_groups == 1:
            return gather(problem.X, [[row] for row in range(problem.n_points)])
        spread = np.ptp(problem.X, axis=0).astype(np.float64)
        shift = spread * start.generator().random(len(spread))
        return quadtree_fairlets(problem.X, problem.groups, ratio.numerator, ratio.denominator, shift)

    def _keep(self, found: Found, problem: Problem) -> None:
        super()._keep(found, problem)
        self.ratio_ = found.details["ratio"]
        self.fairlets_ = found.details["fairlets"].labels


def data_ratio(problem: Problem) -> Fraction:
    """Smaller over larger group, exactly."""
    return Fraction(int(problem.masses.min()), int(problem.masses.max()))


def ratio_of(balance: Any, problem: Problem) -> Fraction:
    """The p/q of the parameter `balance`; InputError for one that is none."""
    if problem.n_groups == 1:
        return Fraction(1)
    if balance is None:
        ratio = closest_ratio(data_ratio(problem), _LONGEST)
        if ratio == 0:
            raise InputError(
                f"the smaller group has one point for each {1 / problem.max_balance:.0f} of the larger, and fairlets "
                f"have up to {_LONGEST} points of a group; give balance as (p, q), or take FAlg or FCA"
            )
        return ratio
    if isinstance(balance, Real) and not isinstance(balance, bool):
        found = closest_ratio(float(balance), _LONGEST) if 0 < float(balance) <= 1 else Fraction(0)
        if found == 0:
            raise InputError(f"balance is {balance!r}; expected a number from {1 / _LONGEST:g} to 1, or (p, q)")
        return found
    pair = tuple(balance) if isinstance(balance, (tuple, list)) else ()
    if len(pair) != 2 or not all(isinstance(x, Integral) and not isinstance(x, bool) and int(x) >= 1 for x in pair):
        raise InputError(
            f"balance is {balance!r}; expected a number up to 1, or (p, q), two whole numbers of at least 1"
        )
    p, q = sorted(int(x) for x in pair)
    if gcd(p, q) > 1:
        raise InputError(
            f"balance is {balance!r}, whose numbers share the factor {gcd(p, q)}; say ({p // gcd(p, q)}, "
            f"{q // gcd(p, q)})"
        )
    return Fraction(p, q)
