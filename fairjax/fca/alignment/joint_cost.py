"""What it costs to align points of different groups: a min-plus product of two thin tables.

For a tuple of points, one x_s of each group s with share π_s, the cost of alignment with transport weight w is

    c(x_0, …, x_M−1) = min_k Σ_s π_s ‖x_s − μ_k‖² + (w − 1) Σ_{s<r} π_s π_r ‖x_s − x_r‖².

For two groups the variance identity π0‖x − μ‖² + π1‖y − μ‖² = ‖π0 x + π1 y − μ‖² + π0π1‖x − y‖² iterations this into
w·π0π1‖x − y‖² + min_k ‖π0 x + π1 y − μ_k‖², the cost of eq. (3) in Kim et al. (ICML 2025), whose weight 2π0π1 is
w = 2. At w = 1 it is the cost of the cheapest common cluster, and alignment is exact fair assignment.

Groups are added one after another. What a tuple of the groups so far costs with any further point follows from its mean
and from K numbers, Σ_s π_s ‖x_s − μ_k‖². So a new group takes n·m·(K + d) operations and n·m numbers, and the
n × m × d differences are never formed.
"""

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.distances import squared_distances
from fairjax.ot.factors import UNROLLED, min_plus, pairwise_distances

__all__ = ["joint_cost", "min_plus", "min_plus_argument", "squared_distances"]


def min_plus_argument(left: Array, right: Array) -> Array:
    """The k (n, m) int32 that attains :func:`min_plus`, the lowest if several do."""

    def lower(carry: tuple[Array, Array], column: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
        least, label = carry
        k, one, other = column
        value = one[:, None] + other
        return (jnp.minimum(least, value), jnp.where(value < least, k, label)), None

    start = left[:, 0, None] + right[:, 0]
    ks = jnp.arange(1, left.shape[1], dtype=jnp.int32)
    first = jnp.zeros(start.shape, jnp.int32)
    return jax.lax.scan(lower, (start, first), (ks, left.T[1:], right.T[1:]), unroll=UNROLLED)[0][1]


def joint_cost(left: Array, right: Array, left_points: Array, right_points: Array, pull: Array | float) -> Array:
    """Cost (n, m) of aligning every tuple of the groups so far with every point of a new group.

    Parameters
    ----------
    left : (n, K)
        Σ_s π_s ‖x_s − μ_k‖² over the groups so far.
    right : (m, K)
        π ‖y − μ_k‖² of the new group.
    left_points : (n, d)
        Mean of each tuple, weighted by the shares.
    right_points : (m, d)
    pull : ()
        (w − 1)·Π·π with Π the share of the groups so far and π that of the new one; 0 for weight 1.

    Returns
    -------
    (n, m), less the pairwise terms among the groups so far, which are the same for every new point. O(n m (K + d)).

    Examples
    --------
    The direct formula with the centre spelt out:

    >>> import jax.numpy as jnp
    >>> x, y, centers = jnp.array([[0.0, 0.0]]), jnp.array([[2.0, 0.0]]), jnp.array([[1.0, 1.0], [5.0, 0.0]])
    >>> half = jnp.float32(0.5)
    >>> joint_cost(half * squared_distances(x, centers), half * squared_distances(y, centers), x, y, 0.25).tolist()
    [[3.0]]
    """
    return min_plus(left, right) + pull * pairwise_distances(left_points, right_points)
