"""Fairlets of least cost: stars of one point of a colour and up to t of the other, from optimal transport.

Every point has one unit that has to go to a point of the other colour, and t − 1 that may, or go nowhere at no cost. An
optimum over such flows is a forest of stars: an arc between two points that have others could be dropped.

References
----------
.. [1] F. Chierichetti, R. Kumar, S. Lattanzi, S. Vassilvitskii, "Fair clustering through fairlets", NIPS 2017. The
   authors' code makes t copies of each point for a general flow.
"""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse

from fairjax.errors import InputError

Table = npt.NDArray[np.floating]
Rows = npt.NDArray[np.int64]
Arcs = tuple[Rows, Rows]

MOST_ARCS = 20_000_000
"""Arcs of the largest transport that is tried."""


def n_arcs(n_first: int, n_second: int) -> int:
    """Arcs of the transport for so many points of either colour."""
    return (2 * n_first + 1) * (2 * n_second + 1)


def least_stars(distances: Table, t: int, *, limit: float = np.inf) -> list[list[int]]:
    """Stars of the least sum of distances, over arcs of length up to ``limit``.

    Parameters
    ----------
    distances : (m, n) between the points of either colour.
    t : most points of a colour to one of the other; at least max(m, n) / min(m, n).
    limit : as `smallest_radius` finds it; by default there is none.

    Returns
    -------
    list of lists of points, which are numbered 0..m-1 and m..m+n-1; m n entries four times over, and their network
    simplex.

    Raises
    ------
    InputError
        Where no such stars cover all points.

    Examples
    --------
    >>> import numpy as np
    >>> reds, blues = np.array([[0.0], [4.0], [7.0]]), np.array([[1.0, 2.0, 5.0, 6.0, 8.0]])
    >>> [sorted(star) for star in least_stars(abs(reds - blues), 2)]
    [[0, 3, 4], [1, 5], [2, 6, 7]]
    """
    m, n = distances.shape
    if not min(m, n) * t >= max(m, n):
        raise InputError(
            f"{m} and {n} points have no stars of up to t={t} of a colour; t has to be at least their ratio"
        )
    if t == 1:
        rows, columns = _matching(distances, limit)
    else:
        rows, columns = _transport(distances, t, limit)
    if not np.all(distances[rows, columns] <= limit):
        raise InputError(f"no stars of up to {t} of a colour and radius {limit:g} cover all points; allow a larger one")
    rows, columns = _forest(distances, rows, columns)
    return _components(rows, columns, m, n)


def smallest_radius(distances: Table, t: int) -> float:
    """The least length such that stars over no longer arcs cover all points; O(m n log(m n)) and some flows.

    Examples
    --------
    >>> import numpy as np
    >>> smallest_radius(np.array([[1.0, 2.0], [4.0, 9.0]]), 1)
    4.0
    """
    lengths = np.unique(distances)
    # below what any point has to reach there is nothing to look for
    low = int(np.searchsorted(lengths, max(distances.min(0).max(), distances.min(1).max())))
    high = len(lengths) - 1
    while low < high:
        middle = (low + high) // 2
        if _covered(distances <= lengths[middle], t):
            high = middle
        else:
            low = middle + 1
    return float(lengths[low])


def _covered(allowed: npt.NDArray[np.bool_], t: int) -> bool:
    """Whether stars over the allowed arcs cover all.

    They do if either colour can be covered with at most t on a point of the other (Mendelsohn and Dulmage, 1958).
    """
    return _covers(allowed, t) and _covers(allowed.T, t)


def _covers(allowed: npt.NDArray[np.bool_], t: int) -> bool:
    """Whether every row can have a column, and no column has more than t."""
    m, n = allowed.shape
    rows, columns = np.nonzero(allowed)
    source, sink = m + n, m + n + 1
    heads = np.concatenate([np.full(m, source), rows, m + np.arange(n)])
    tails = np.concatenate([np.arange(m), m + columns, np.full(n, sink)])
    room = np.concatenate([np.ones(m + len(rows)), np.full(n, t)]).astype(np.int32)
    graph = sparse.csr_array((room, (heads, tails)), shape=(m + n + 2, m + n + 2))
    return int(sparse.csgraph.maximum_flow(sparse.csr_matrix(graph), source, sink).flow_value) == m


def _matching(distances: Table, limit: float) -> Arcs:
    from scipy.optimize import linear_sum_assignment

    far = float(distances.max(initial=0.0))
    found: Arcs = linear_sum_assignment(np.where(distances <= limit, distances, (len(distances) + 1) * far))
    return found


def _transport(distances: Table, t: int, limit: float) -> Arcs:
    """Arcs that carry flow."""
    m, n = distances.shape
    far = float(distances.max(initial=0.0)) or 1.0
    usable = distances <= limit
    # what must not be used costs more than any detour, if it is dear enough; dearer means fewer digits for the rest
    for factor in (8.0, 64.0, float(4 * (m + n))):
        forbidden = factor * far
        costs = np.full((2 * m + 1, 2 * n + 1), forbidden)
        inner = np.where(usable, distances, forbidden)
        costs[:m, :n] = costs[:m, n:-1] = costs[m:-1, :n] = costs[m:-1, n:-1] = inner
        costs[m:, -1] = costs[-1, n:] = 0
        masses = np.r_[np.ones(m), np.full(m, t - 1.0), n * t], np.r_[np.ones(n), np.full(n, t - 1.0), m * t]
        plan = _solve(costs, *masses)
        rows, columns = np.nonzero(plan > 0.5)
        if (costs[rows, columns] < forbidden).all():
            break
    inside = (rows < 2 * m) & (columns < 2 * n)
    arcs = np.unique(np.stack([rows[inside] % m, columns[inside] % n]), axis=1)
    return arcs[0], arcs[1]


def _solve(costs: Table, a: Table, b: Table) -> Table:
    import jax

    from fairjax.ot.exact import exact
    from fairjax.ot.host import available, host

    with jax.enable_x64(True):
        solution = (host if available() else exact)(costs, a, b)
        return np.asarray(solution.plan)


def _forest(distances: Table, rows: Rows, columns: Rows) -> Arcs:
    """Drop arcs between two points that both have others, the longest first."""
    m, n = distances.shape
    degrees = np.bincount(rows, minlength=m), np.bincount(columns, minlength=n)
    kept = np.ones(len(rows), bool)
    for arc in np.argsort(-distances[rows, columns], kind="stable"):
        i, j = rows[arc], columns[arc]
        if degrees[0][i] > 1 and degrees[1][j] > 1:
            kept[arc] = False
            degrees[0][i] -= 1
            degrees[1][j] -= 1
    return rows[kept], columns[kept]


def _components(rows: Rows, columns: Rows, m: int, n: int) -> list[list[int]]:
    graph = sparse.coo_array((np.ones(len(rows)), (rows, m + columns)), shape=(m + n, m + n))
    count, labels = sparse.csgraph.connected_components(sparse.csr_matrix(graph), directed=False)
    order = np.argsort(labels, kind="stable")
    cuts = np.cumsum(np.bincount(labels, minlength=count))[:-1]
    return [part.tolist() for part in np.split(order, cuts)]
