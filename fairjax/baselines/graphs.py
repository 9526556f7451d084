"""Graphs between points on the host: neighbours, and kernels."""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse

Table = npt.NDArray[np.floating]


def neighbor_graph(X: Table, n_neighbors: int) -> sparse.csr_array:
    """Symmetrised graph of nearest neighbours: (N + Nᵀ)/2 with N_pq = 1 where q is one of the nearest to p, not p.

    Parameters
    ----------
    X : (n, d) points.
    n_neighbors : how many of each, at most n − 1.

    Returns
    -------
    (n, n) of at most 2 n n_neighbors entries, each 1 or 1/2. O(d n log n) time for few features, O(d n²) for many.

    Examples
    --------
    >>> import numpy as np
    >>> neighbor_graph(np.array([[0.0], [1.0], [3.0]]), 1).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.5, 0.0]]
    """
    from sklearn.neighbors import kneighbors_graph

    found = sparse.csr_array(kneighbors_graph(X, n_neighbors, include_self=False))
    return ((found + found.T) / 2).tocsr()


def gaussian_affinity(X: Table, width: float | None = None) -> Table:
    """Matrix (n, n) of exp(−‖x − y‖² / (2 width²)), by default with the median distance as width; O(d n²).

    Examples
    --------
    >>> import numpy as np
    >>> gaussian_affinity(np.array([[0.0], [1.0], [2.0]]), 1.0).round(3).tolist()
    [[1.0, 0.607, 0.135], [0.607, 1.0, 0.607], [0.135, 0.607, 1.0]]
    """
    from scipy.spatial.distance import pdist, squareform

    distances = pdist(X)
    if width is None:
        width = float(np.median(distances)) or float(distances.max(initial=0.0)) or 1.0
    affinity: Table = squareform(np.exp(-(distances**2) / (2 * width**2)))
    np.fill_diagonal(affinity, 1.0)
    return affinity
