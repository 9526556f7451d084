"""What the theory says of any fair clustering, for the tests of all routes."""

import numpy as np


def assert_proposition_4_2(first, second, sizes, gap):
    """Proposition 4.2: |Σ_i A_0k / Σ_j A_1k − n0/n1| ≤ c·ε in every cluster, with c = (n0/n1)·max_k 1/q_k.

    ``first`` and ``second`` are the groups' proportions (K,) over the clusters, ``gap`` the ε that was promised:
    with the one that was reached the proposition holds of any two.
    """
    filled = second > 0
    ratio = sizes[0] / sizes[1]
    off = np.abs(ratio * first[filled] / second[filled] - ratio)
    assert np.all(off <= ratio / second[filled].min() * gap + 1e-12)
