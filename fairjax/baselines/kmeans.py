"""Plain k-means, which knows of no groups: what the others are measured against. Clusters may be bounded in size."""

import numpy as np
from jax import Array

from fairjax import kmeans
from fairjax._core.compiling import stage
from fairjax._core.settings import setting
from fairjax.baselines import starts
from fairjax.baselines.base import PricedRule, estimator
from fairjax.baselines.problem import Found, Problem, Start
from fairjax.errors import InputError
from fairjax.fca.scaled_points import scale_points


@estimator
class KMeans(PricedRule):
    """k-means by Lloyd's iteration, with bounds on the size of clusters if wanted; the groups are measured only.

    With bounds every iteration assigns the points at least cost such that each cluster has from `size_min` to
    `size_max` of them (constrained k-means, Bradley, Bennett and Demiriz, 2000), and the last one with a proof of that.
    Labels keep the bounds exactly. Attributes as told in :class:`~fairjax.baselines.Baseline`; `multipliers_` are the
    prices of a place in a cluster, so that `predict` treats new points as the fitted ones, but fills no cluster to any
    size.

    Notes
    -----
    O(n K d) an iteration, with bounds a small multiple of that.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import KMeans
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> model = KMeans(2, random_state=0).fit(X, sensitive_features=["f", "f", "m", "m", "m", "f"])
    >>> sorted(model.cluster_centers_.ravel().tolist()), round(model.cost_, 3), model.balance_, model.status_
    ([1.0, 11.0], 0.667, 0.5, 'converged')

    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [8.0], [9.0]])
    >>> model = KMeans(3, size_min=2, size_max=2, random_state=0).fit(X)
    >>> sorted(model.cluster_centers_.ravel().tolist()), model.cost_
    ([0.5, 2.5, 8.5], 0.25)
    """

    _weighted = True

    size_min: int | None = setting(None, "Least number of points in a cluster.", least=0)
    size_max: int | None = setting(None, "Greatest number of points in a cluster.", least=0)
    n_init: int = setting(1, "Number of starts; the one of least cost is kept. 1 if `init` is an array.")
    tol: float = setting(
        1e-4,
        "The iterations end when the squared movement of the centres falls below this share of the mean variance "
        "of the features, scikit-learn's rule; with bounds, as for :class:`fairjax.FCA`.",
    )

    def _check(self, problem: Problem) -> None:
        n_points, n_clusters = problem.n_points, problem.n_clusters
        both = f"points in {n_clusters} clusters, and there are {n_points}"
        if self.size_min is not None and self.size_min * n_clusters > n_points:
            raise InputError(
                f"size_min={self.size_min} asks for {self.size_min * n_clusters} {both}; ask for at most "
                f"{n_points // n_clusters}"
            )
        if self.size_max is not None and self.size_max * n_clusters < n_points:
            raise InputError(
                f"size_max={self.size_max} leaves room for {self.size_max * n_clusters} {both}; allow at least "
                f"{-(-n_points // n_clusters)}"
            )
        if self.size_min is not None and self.size_max is not None and self.size_min > self.size_max:
            raise InputError(f"size_min={self.size_min} is above size_max={self.size_max}; give a range")
        if self._bounded and problem.weights is not None and problem.weights.min() < problem.weights.max():
            raise InputError("sizes count points, and sample_weight holds different weights; give one of the two")

    @property
    def _bounded(self) -> bool:
        return self.size_min is not None or self.size_max is not None

    def _find(self, problem: Problem, start: Start) -> Found:
        if self._bounded:
            return self._find_bounded(problem, start)
        points = problem.points
        centers = points.to_device(starts.seeds(problem, start))
        found = _lloyd(points.X, centers, points.weights, max_iter=int(self.max_iter), tol=float(self.tol))
        return Found(
            np.asarray(found.labels)[: problem.n_points],
            "converged" if found.converged else "stopped",
            float(points.cost_of(float(found.cost))),
            n_iter=int(found.n_iter),
            centers=points.centers_of(found.centers),
        )

    def _find_bounded(self, problem: Problem, start: Start) -> Found:
        from fairjax.fca.fitting import Sizes, fit_from

        n_points = problem.n_points
        points = scale_points(problem.X, np.zeros(n_points, np.int32), n_groups=1)
        sizes = Sizes((self.size_min or 0, min(self.size_max or n_points, n_points), n_points))
        centers = points.to_device(starts.seeds(problem, start))
        found = fit_from(points, centers, sizes, max_iter=int(self.max_iter), tol=float(self.tol))
        solved = int(found.assignment.status) == 0
        return Found(
            np.asarray(found.assignment.labels)[:n_points],
            "converged" if solved and found.converged else "stopped",
            float(points.cost_of(float(found.cost))),
            n_iter=int(found.n_iter),
            message="" if solved else "the last assignment stopped short of its tolerance; `gap_` says how far",
            centers=points.centers_of(found.centers),
            prices=np.repeat(points.cost_of(np.asarray(found.assignment.prices)), problem.n_groups, 0),
            gap=float(found.assignment.gap),
        )


@stage
def _lloyd(X: Array, centers: Array, weights: Array, *, max_iter: int, tol: float) -> kmeans.KMeansResult:
    return kmeans.run(X, centers, weights, max_iter=max_iter, tol=tol)
