"""Plain k-means, which knows of no groups: what the others are measured against."""

from typing import Any

import numpy as np
from jax import Array

from fairjax import kmeans
from fairjax._compiling import stage
from fairjax.baselines import starts
from fairjax.baselines.base import PricedRule
from fairjax.baselines.problem import Found, Problem, Start


class KMeans(PricedRule):
    """k-means by Lloyd's iteration; the groups are measured only.

    Attributes as told in :class:`~fairjax.baselines.Baseline`.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters K.
    n_init : int, default=1
        Number of starts; the one of least cost is kept. 1 if `init` is an array.
    max_iter : int, default=300
        Most turns of one start.
    tol : float, default=1e-4
        The turns end when the squared movement of the centres falls below this share of the mean variance of the
        features, scikit-learn's rule.
    init : {"k-means++", "random"} or array-like (K, d), default="k-means++"
        Seeds.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds; an int repeats the run.

    Notes
    -----
    O(n K d) a turn.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import KMeans
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> model = KMeans(2, random_state=0).fit(X, sensitive_features=["f", "f", "m", "m", "m", "f"])
    >>> sorted(model.cluster_centers_.ravel().tolist()), round(model.cost_, 3), model.balance_, model.status_
    ([1.0, 11.0], 0.667, 0.5, 'converged')
    """

    _weighted = True

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        init: Any = "k-means++",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.init = init
        self.random_state = random_state

    def _find(self, problem: Problem, start: Start) -> Found:
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


@stage
def _lloyd(X: Array, centers: Array, weights: Array, *, max_iter: int, tol: float) -> kmeans.KMeansResult:
    return kmeans.run(X, centers, weights, max_iter=max_iter, tol=tol)
