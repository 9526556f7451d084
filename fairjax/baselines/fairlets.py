"""Fairlets (Chierichetti et al., NIPS 2017): points of two colours in small balanced sets, and clusters of these."""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from fairjax._core.settings import setting
from fairjax.baselines import stars
from fairjax.baselines.base import Baseline, estimator
from fairjax.baselines.decomposition import Fairlets as Decomposition
from fairjax.baselines.decomposition import gather, in_chunks
from fairjax.baselines.fairlet_clusters import Clustered, check_enough, cluster_centers, distances_to
from fairjax.baselines.problem import Found, Problem, Start, Table
from fairjax.errors import InputError

_BYTES = 32  # of an arc, in all arrays that are held at a time


@estimator
class Fairlets(Baseline):
    """Fair clustering through fairlets of one point of a group and up to t of the other; two groups only.

    Every cluster has a balance of at least 1/t. Attributes as told in :class:`~fairjax.baselines.Baseline`, and those
    below.

    Attributes
    ----------
    t_ : int
        The t that was used.
    fairlets_ : ndarray (n,), int64
        Fairlet of each point.
    fairlet_cost_ : float
        Sum of distances of the points to the centre of their fairlet, for k-center the greatest.

    Notes
    -----
    K is at most the number of fairlets. `objective_` is the cost of all points to the centre that their fairlet's
    centre is nearest to. Flow holds 32 bytes for each of (2 n_0 + 1)(2 n_1 + 1) arcs; beyond 20 million of them it is
    refused. SFC is near-linear.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import Fairlets
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> model = Fairlets(2, random_state=0).fit(X, sensitive_features=["f", "f", "m", "m", "m", "f"])
    >>> model.t_, model.balance_, model.fairlet_cost_
    (1, 1.0, 12.0)
    """

    control: ClassVar[str | None] = "t"
    _most_groups = 2

    t: int | None = setting(
        None,
        "Most points of a group to one of the other in a fairlet. By default the least that the data allow, the "
        "ratio of the groups rounded up.",
    )
    method: Literal["flow", "vanilla"] = setting(
        "flow",
        "Fairlets of least cost, by optimal transport between the groups, for some thousand points; or chunks of "
        "the points in random order, which look at no distances.",
    )
    objective: Literal["kmedian", "kcenter"] = setting(
        "kmedian",
        "What is kept low: the sum of distances to medoids, or the greatest distance to a centre (of flow, too).",
    )
    n_init: int = setting(1, "Number of starts; the one of least `objective_` is kept.")
    max_iter: int = setting(100, "Most iterations of k-medians over the fairlets' centres.")
    tol: float = setting(1e-4, "Without effect: k-medians ends when the cost no longer falls.")
    init: Any = setting(
        "k-means++",
        "Seeds among the fairlets' centres. k-center begins with one of them, or the one nearest to the first row.",
    )
    random_state: Any = setting(None, "Source of seeds and order; an int repeats the run.")

    def _check(self, problem: Problem) -> None:
        if self.method == "flow" and problem.n_groups == 2:
            first, second = np.bincount(problem.groups).tolist()
            arcs = stars.n_arcs(first, second)
            if arcs > stars.MOST_ARCS:
                raise InputError(
                    f"the flow between {first} and {second} points has {arcs:.2g} arcs and needs about "
                    f"{arcs * _BYTES / 2**30:.1f} GiB; expected at most {stars.MOST_ARCS:.0e} arcs: take SFC, or "
                    "method='vanilla', or a sample of the points"
                )

    def _find(self, problem: Problem, start: Start) -> Found:
        least = -(-int(problem.masses.max()) // int(problem.masses.min()))
        t = least if self.t is None else int(self.t)
        if t < least:
            sizes = " and ".join(f"{mass:.0f}" for mass in problem.masses)
            words = f"t={t} is too small for groups of {sizes} points; ask for at least {least}, or leave t out"
            return Found(np.empty(0, np.int32), "infeasible", np.inf, message=words)
        fairlets = self._fairlets(problem, t, start)
        check_enough(fairlets, problem.n_clusters, f"1/{t}")
        found = self._clusters(problem.X[fairlets.centers], problem.n_clusters, start)
        labels = found.labels[fairlets.labels]
        lengths = distances_to(problem.X, found.centers, labels)
        farthest = self.objective == "kcenter"
        return Found(
            labels,
            "converged" if found.settled else "stopped",
            float(lengths.max() if farthest else lengths.sum()),
            n_iter=found.n_iter,
            centers=found.centers,
            details={
                "fairlets": fairlets,
                "t": t,
                "fairlet_cost": float(fairlets.costs.max() if farthest else fairlets.costs.sum()),
            },
        )

    def _fairlets(self, problem: Problem, t: int, start: Start) -> Decomposition:
        rows = [np.flatnonzero(problem.groups == group) for group in (0, 1)]
        farthest = self.objective == "kcenter"
        found: Any
        if problem.n_groups == 1:
            found = [[row] for row in range(problem.n_points)]
        elif self.method == "vanilla":
            shuffled = [start.generator().permutation(some).tolist() for some in rows]
            found = list(in_chunks(1, t, *shuffled))
        else:
            distances = cdist(problem.X[rows[0]], problem.X[rows[1]])
            limit = stars.smallest_radius(distances, t) if farthest else np.inf
            both = np.concatenate(rows)
            found = [both[star].tolist() for star in stars.least_stars(distances, t, limit=limit)]
        return gather(problem.X, found, farthest=farthest)

    def _clusters(self, centers: Table, n_clusters: int, start: Start) -> Clustered:
        if self.objective == "kmedian":
            return cluster_centers(
                centers, None, n_clusters, start, objective="kmedian", max_iter=int(self.max_iter), tol=float(self.tol)
            )
        if start.centers is None:
            first = int(start.generator().integers(len(centers)))
        else:
            first = int(np.linalg.norm(centers - start.centers[0], axis=1).argmin())
        chosen, labels = farthest_first(centers, n_clusters, first)
        return Clustered(labels, centers[chosen].astype(np.float64), 1, True)

    def _keep(self, found: Found, problem: Problem) -> None:
        super()._keep(found, problem)
        self.t_ = found.details["t"]
        self.fairlets_ = found.details["fairlets"].labels
        self.fairlet_cost_ = found.details["fairlet_cost"]


def farthest_first(X: Table, n_clusters: int, first: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Rows (K,) of centres, each the point farthest from those before it, and the nearest one (n,) of every point.

    Within twice the least radius (Gonzalez, 1985). O(n d K).

    Examples
    --------
    >>> import numpy as np
    >>> chosen, labels = farthest_first(np.array([[0.0], [1.0], [9.0], [10.0]]), 2, 0)
    >>> chosen.tolist(), labels.tolist()
    ([0, 3], [0, 0, 1, 1])
    """
    chosen = np.full(n_clusters, first, np.int64)
    labels = np.zeros(len(X), np.int32)
    nearest = np.linalg.norm(X - X[first], axis=1)
    for k in range(1, n_clusters):
        chosen[k] = nearest.argmax()
        lengths = np.linalg.norm(X - X[chosen[k]], axis=1)
        closer = lengths < nearest
        labels[closer], nearest[closer] = k, lengths[closer]
    return chosen, labels
