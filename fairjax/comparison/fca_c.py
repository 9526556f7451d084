"""FCA-C, Algorithm 2 of Kim et al. (ICML 2025), for curves of cost against balance.

Its ε is the share of aligned pairs that need not be in one cluster. That is no bound on the gap between the groups'
proportions, which `FCA(epsilon=...)` has, and so it is in tables only.
"""

from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state

from fairjax._core.checks import check_choice, check_count
from fairjax.errors import InputError
from fairjax.estimators import inputs, settings


class FCAC(ClusterMixin, BaseEstimator):
    """FCA-C: alignment of two groups in which a share ε of the pairs is let go.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters K.
    epsilon : float in [0, 1], default=0.05
        Share of the pairs that are let go.
    rule : {"dearest", "cheapest"}, default="dearest"
        Which: those of the highest cost, as the paper writes it, or of the lowest, as the authors' code does.
    transport_weight : float, default=2.0
        The paper's.
    partition_size : int, default=1024
    max_iter : int, default=10
        Most iterations.
    tol : float, default=1e-4
    init : {"k-means++", "random", "aligned"} or array-like (K, d), default="k-means++"
        Where it begins.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    labels_ : ndarray (n,), int32

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> FCAC(2, epsilon=0.0, random_state=0).fit(X, sensitive_features=[0, 0, 1, 1, 1, 0]).labels_.shape
    (6,)
    """

    control: ClassVar[str] = "epsilon"

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        epsilon: float = 0.05,
        rule: Literal["dearest", "cheapest"] = "dearest",
        transport_weight: float = 2.0,
        partition_size: int = 1024,
        max_iter: int = 10,
        tol: float = 1e-4,
        init: Any = "k-means++",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.epsilon = epsilon
        self.rule = rule
        self.transport_weight = transport_weight
        self.partition_size = partition_size
        self.max_iter = max_iter
        self.tol = tol
        self.init = init
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, sensitive_features: Any = None) -> Self:
        """Cluster points X (n, d) of two groups; InputError for any other number of them."""
        import jax

        from fairjax.fca.alignment import fitting
        from fairjax.fca.restarts import starts
        from fairjax.fca.scaled_points import scale_points

        X = np.asarray(X, np.float64)
        for name in ("n_clusters", "max_iter", "partition_size"):
            check_count(name, getattr(self, name))
        check_choice("rule", self.rule, ("dearest", "cheapest"))
        settings.check_range("epsilon", self.epsilon, 1.0)
        groups, known = inputs.groups_of(sensitive_features, len(X))
        if len(known) != 2:
            raise InputError(f"sensitive_features has {len(known)} groups, and FCA-C takes two; for more take FCA")
        points = scale_points(X, groups, None, n_groups=2)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        init = settings.start(self.init, int(self.n_clusters), X.shape[1])
        (start,) = starts(points, init, int(self.n_clusters), 1, seed)
        route = fitting.Route("exact", "lloyd", int(self.partition_size), 0.01, float(self.transport_weight))
        found = fitting.released(
            points, route, start.centers, jax.random.key(seed), rule=self.rule, share=float(self.epsilon),
            max_iter=int(self.max_iter), tol=float(self.tol),
        )  # fmt: skip
        self.labels_: npt.NDArray[np.int32] = np.asarray(found.assignment.labels, np.int32)
        self.n_iter_ = int(found.n_iter)
        self.converged_ = bool(found.converged)
        return self
