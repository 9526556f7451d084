"""What the tests of exact transport share: solvers, and the oracle."""

import numpy as np
import ot as pot
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from fairjax import ot

SOLVERS = {"exact": ot.exact, "host": ot.host}
SHAPE = (6, 9)


def simplex(rng, size):
    return rng.dirichlet(np.ones(size))


def best_cost(costs, a, b):
    """By POT, whose tolerances are absolute."""
    low, scale = costs.min(), np.ptp(costs) or 1.0
    return a.sum() * (low + scale * pot.emd2(a / a.sum(), b / b.sum(), (costs - low) / scale, numItermax=10**7))


def is_forest(plan):
    rows, cols = np.nonzero(plan)
    n, m = plan.shape
    graph = coo_matrix((np.ones(len(rows)), (rows, n + cols)), (n + m, n + m))
    n_parts, _ = connected_components(graph, directed=False)
    return len(rows) == n + m - n_parts
