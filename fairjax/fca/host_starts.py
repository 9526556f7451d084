"""Starting centres in the aligned space: k-means on pairs of points, each representing both groups.

Fair clustering is clustering of aligned points (Kim et al., ICML 2025, eq. 3), the weighted means π0 x + π1 y of points
that a transport between the groups has paired. Plain k-means does not know the groups; where these lie apart it puts
whole clusters into one of them, which no fair assignment can fill. So the starts are sought where the solution lies: a
sample of every group is matched to that of the largest group at least squared distance, and k-means runs on the matched
points' weighted means.

It runs on the host: an optimal matching of samples of equal size is a permutation, which SciPy finds in tenths of a
second; k-means on so few points takes scikit-learn hundredths of a second, and nothing has to be compiled.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

_SAMPLE, _MOST = 1000, 2000  # points per group; the matching takes the cube of their number in time
_EACH = 50  # points per cluster
_ALL = 2000  # points of all groups except the largest together, or more as far as
_WORK = 2e9  # the matchings, of one group each, take this number cubed in all
_RESTARTS = 10  # of k-means


def sample_size(sizes: npt.NDArray[np.intp], n_clusters: int) -> int:
    """Number of points to sample from each group, for groups of these sizes."""
    others = max(1, int(np.count_nonzero(sizes)) - 1)
    wanted = min(max(_SAMPLE, _EACH * n_clusters), _MOST)
    return min(int(sizes.max()), wanted, max(_ALL // others, int(np.cbrt(_WORK / others)), n_clusters))


def aligned_points(
    X: npt.NDArray[np.floating],
    groups: npt.NDArray[np.integer],
    weights: npt.NDArray[np.floating] | None,
    n_clusters: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.floating]:
    """Weighted means (m, d) of matched points, one of each group; each mean represents the same weight.

    O(M m³) for m samples of each of M groups; m is at most 2,000, less for few clusters or many groups. Smaller groups
    are sampled with repetition, so that a group of a single row contributes its share to every mean.

    Parameters
    ----------
    X : (n, d) points. groups : (n,) ids 0..M-1. weights : (n,) or None. n_clusters : number of clusters to start.
    rng : source of the samples.

    Examples
    --------
    Two groups apart: the aligned points lie between them.

    >>> import numpy as np
    >>> X, groups = np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1])
    >>> sorted(aligned_points(X, groups, None, 1, np.random.default_rng(0)).ravel().tolist())
    [5.0, 6.0]
    """
    weights = np.ones(len(X)) if weights is None else np.asarray(weights, np.float64)
    masses = np.bincount(groups, weights)
    size = sample_size(np.bincount(groups, weights > 0).astype(np.intp), n_clusters)
    largest = int(np.argmax(masses))
    base = X[_drawn(groups, weights, largest, size, rng)]
    means = masses[largest] * base
    for group in np.flatnonzero(masses):
        if group != largest:
            other = X[_drawn(groups, weights, int(group), size, rng)]
            means += masses[group] * other[linear_sum_assignment(_matching_costs(base, other))[1]]
    return means / masses.sum()


def centers(aligned: npt.NDArray[np.floating], n_clusters: int, rng: np.random.Generator) -> npt.NDArray[np.floating]:
    """Centres (K, d) of k-means on aligned points (m, d), of which at least K differ; the best of ten restarts."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    model = KMeans(n_clusters, n_init=_RESTARTS, random_state=int(rng.integers(2**31)))
    # on so few points threads wait for each other longer than they work
    with threadpool_limits(1):
        return model.fit(aligned).cluster_centers_


def _drawn(
    groups: npt.NDArray[np.integer], weights: npt.NDArray[np.floating], group: int, size: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Indices (size,) of points of a group, each as often as its weight implies, to within one draw."""
    members = np.flatnonzero((groups == group) & (weights > 0))
    members = rng.permutation(members)
    until = np.cumsum(weights[members])
    marks = (np.arange(size) + rng.random()) / size * until[-1]
    return members[np.minimum(np.searchsorted(until, marks, side="right"), len(members) - 1)]


def _matching_costs(A: npt.NDArray[np.floating], B: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Squared distances up to a constant for each row, which changes no matching."""
    return (B**2).sum(1) - 2 * A @ B.T
