"""Two methods that know no groups, for tables that have them: spectral embedded clustering, and DBSCAN.

They are here and not among `fairjax.baselines` because they promise nothing of fairness.

References
----------
.. [1] F. Nie, D. Xu, I. W. Tsang, C. Zhang, "Spectral embedded clustering", IJCAI 2009.
.. [2] M. Ester, H.-P. Kriegel, J. Sander, X. Xu, "A density-based algorithm for discovering clusters", KDD 1996.
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state

from fairjax._core.checks import check_count
from fairjax.errors import InputError

Table = npt.NDArray[np.floating]

_QUANTILES = np.linspace(0.5, 0.98, 9)  # of the distances that a radius is looked for among


class SEC(ClusterMixin, BaseEstimator):
    """Spectral embedded clustering (Nie et al., 2009): least eigenvectors of a Laplacian that a linear map should meet.

    Of L + μ γ (C − C X (XᵀCX + I/γ)⁻¹ XᵀC), L the normalised Laplacian of nearest neighbours and C the centring matrix;
    then k-means of their rows. As in the comparisons of Wang and Davidson, of many points a sample is clustered and the
    others go to the nearest mean; γ, μ and the graph, which they do not state, are settings.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters K.
    gamma, mu : float, default=1.0
        Weights of the linear map's penalty and of its misfit.
    n_neighbors : int, default=20
    max_points : int, default=2000
        Size of the sample.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    labels_ : ndarray (n,), int32

    Notes
    -----
    O(m³) for a sample of m points.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.r_[np.zeros((5, 2)), np.ones((5, 2))] + 0.01 * np.arange(10)[:, None]
    >>> labels = SEC(2, n_neighbors=3, random_state=0).fit(X).labels_
    >>> len(set(labels[:5])), len(set(labels[5:])), len(set(labels))
    (1, 1, 2)
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        gamma: float = 1.0,
        mu: float = 1.0,
        n_neighbors: int = 20,
        max_points: int = 2000,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.gamma = gamma
        self.mu = mu
        self.n_neighbors = n_neighbors
        self.max_points = max_points
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Cluster the points X (n, d); InputError for more clusters than points in the sample."""
        from scipy.linalg import eigh
        from sklearn.cluster import KMeans

        from fairjax.baselines.graphs import neighbor_graph

        X = np.asarray(X, np.float64)
        for name in ("n_clusters", "n_neighbors", "max_points"):
            check_count(name, getattr(self, name))
        generator = check_random_state(self.random_state)
        rows = np.sort(generator.permutation(len(X))[: self.max_points])
        if self.n_clusters > len(rows):
            raise InputError(f"n_clusters={self.n_clusters} for {len(rows)} points; ask for fewer clusters")
        sample = X[rows] - X[rows].mean(0)
        graph = neighbor_graph(sample, min(int(self.n_neighbors), len(rows) - 1)).toarray()
        scale = 1 / np.sqrt(graph.sum(1))
        laplacian = np.eye(len(rows)) - scale[:, None] * graph * scale
        # centred already: C X is the sample
        fitted = sample @ np.linalg.solve(sample.T @ sample + np.eye(sample.shape[1]) / self.gamma, sample.T)
        matrix = laplacian + self.mu * self.gamma * (np.eye(len(rows)) - 1 / len(rows) - fitted)
        vectors = eigh(matrix, subset_by_index=(0, self.n_clusters - 1))[1]
        seed = generator.randint(np.iinfo(np.int32).max)
        own = KMeans(self.n_clusters, n_init=10, random_state=seed).fit(vectors).labels_
        means = np.stack([X[rows][own == k].mean(0) for k in range(self.n_clusters)])
        labels = np.square(X[:, None] - means).sum(2).argmin(1) if len(rows) < len(X) else own
        self.labels_: npt.NDArray[np.int32] = np.asarray(labels, np.int32)
        self.status_ = "converged"
        return self


class DBSCAN(ClusterMixin, BaseEstimator):
    """Clusters by density (Ester et al., 1996), by scikit-learn; its radius is the one that finds about K clusters.

    Comparisons that print it state no radius. Here it is, among quantiles of the distances to the `min_samples`-th
    neighbour, the one at which the number of clusters is nearest to K. Noise counts as one more cluster.

    Parameters
    ----------
    n_clusters : int, default=8
        The number that the radius is chosen for; others may be found.
    min_samples : int, optional
        Points within the radius that make a point a core of a cluster; by default twice the number of features.
    max_points : int, default=20000
        Of more points a sample is clustered, and the others go to the cluster of the nearest one.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    labels_ : ndarray (n,), int32
        −1 for noise.
    eps_ : float
        The radius.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.r_[np.zeros((9, 1)), np.ones((9, 1))] + 0.01 * np.arange(18)[:, None]
    >>> int(DBSCAN(2, min_samples=3).fit(X).labels_.max())
    1
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        min_samples: int | None = None,
        max_points: int = 20_000,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.min_samples = min_samples
        self.max_points = max_points
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Cluster the points X (n, d)."""
        from sklearn import cluster
        from sklearn.neighbors import NearestNeighbors

        X = np.asarray(X, np.float64)
        check_count("n_clusters", self.n_clusters)
        check_count("max_points", self.max_points)
        least = 2 * X.shape[1] if self.min_samples is None else int(self.min_samples)
        rows = np.sort(check_random_state(self.random_state).permutation(len(X))[: self.max_points])
        sample = X[rows]
        near = NearestNeighbors(n_neighbors=min(least, len(sample))).fit(sample)
        reach = near.kneighbors(sample)[0][:, -1]
        best: tuple[int, float, npt.NDArray[np.integer]] | None = None
        for eps in np.unique(np.quantile(reach, _QUANTILES)):
            if eps > 0:
                labels = cluster.DBSCAN(eps=eps, min_samples=least).fit(sample).labels_
                missed = abs(int(labels.max()) + 1 - self.n_clusters)
                if best is None or missed <= best[0]:
                    best = missed, float(eps), labels
        if best is None:
            raise InputError("all points have as many equal ones as make a cluster, so there is no radius to choose")
        _, self.eps_, labels = best
        if len(rows) < len(X):
            nearest = NearestNeighbors(n_neighbors=1).fit(sample).kneighbors(X, return_distance=False)[:, 0]
            labels = labels[nearest]
        self.labels_: npt.NDArray[np.int32] = np.asarray(labels, np.int32)
        self.status_ = "converged"
        return self
