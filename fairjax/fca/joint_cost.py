"""What it costs to align points of different groups: a min-plus product of two thin tables.

For a tuple of points, one x_s of each group s with share π_s, the cost of alignment with transport weight w is

    c(x_0, …, x_M−1) = min_k Σ_s π_s ‖x_s − μ_k‖² + (w − 1) Σ_{s<r} π_s π_r ‖x_s − x_r‖².

For two groups the variance identity π0‖x − μ‖² + π1‖y − μ‖² = ‖π0 x + π1 y − μ‖² + π0π1‖x − y‖² turns this into
w·π0π1‖x − y‖² + min_k ‖π0 x + π1 y − μ_k‖², the cost of eq. (3) in Kim et al. (ICML 2025), whose weight 2π0π1 is
w = 2. At w = 1 it is the cost of the cheapest common cluster, and alignment is exact fair assignment.

Groups are folded in one after another. What a tuple of the groups so far adds to any further point is known from K
numbers, Σ_s π_s ‖x_s − μ_k‖², and its mean; so a new group costs n·m·(K + d) operations and n·m numbers, and the
n × m × d differences are never formed.
"""

import jax
import jax.numpy as jnp
from jax import Array

_HIGHEST = jax.lax.Precision.HIGHEST
_UNROLLED = 16  # steps of a reduction that are fused into one pass over the n·m numbers
_FEW_FEATURES = 8  # up to which summing differences is faster than a product of matrices


def squared_distances(X: Array, centers: Array) -> Array:
    """Squared distances (n, K) of points (n, d) to centres (K, d), clipped at zero; one product, O(n K d).

    Rounding is of the order eps·(‖x‖² + ‖μ‖²): let the points be centred.
    """
    cross = jnp.matmul(X, centers.T, precision=_HIGHEST)
    squares = jnp.sum(jnp.square(X), -1)[:, None] + jnp.sum(jnp.square(centers), -1)
    return jnp.maximum(squares - 2 * cross, 0)


def min_plus(left: Array, right: Array) -> Array:
    """Min-plus product ``min_k left[i, k] + right[j, k]`` (n, m) of tables (n, K) and (m, K).

    A running minimum over k, several at a time: O(n m K) time, n·m numbers of memory.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> min_plus(jnp.array([[0.0, 5.0], [4.0, 1.0]]), jnp.array([[2.0, 1.0]])).tolist()
    [[2.0], [2.0]]
    """

    def lower(least: Array, columns: tuple[Array, Array]) -> tuple[Array, None]:
        return jnp.minimum(least, columns[0][:, None] + columns[1]), None

    start = left[:, 0, None] + right[:, 0]
    return jax.lax.scan(lower, start, (left.T[1:], right.T[1:]), unroll=_UNROLLED)[0]


def min_plus_argument(left: Array, right: Array) -> Array:
    """The k (n, m) int32 at which :func:`min_plus` is attained, the lowest where several are."""

    def lower(carry: tuple[Array, Array], column: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
        least, label = carry
        k, one, other = column
        value = one[:, None] + other
        return (jnp.minimum(least, value), jnp.where(value < least, k, label)), None

    start = left[:, 0, None] + right[:, 0]
    ks = jnp.arange(1, left.shape[1], dtype=jnp.int32)
    first = jnp.zeros(start.shape, jnp.int32)
    return jax.lax.scan(lower, (start, first), (ks, left.T[1:], right.T[1:]), unroll=_UNROLLED)[0][1]


def joint_cost(left: Array, right: Array, left_points: Array, right_points: Array, pull: Array | float) -> Array:
    """Cost (n, m) of aligning every tuple of the groups so far with every point of a new group.

    Parameters
    ----------
    left : (n, K) Σ_s π_s ‖x_s − μ_k‖² over the groups so far. right : (m, K) π ‖y − μ_k‖² of the new group.
    left_points : (n, d) mean of each tuple, weighted by the shares. right_points : (m, d).
    pull : () (w − 1)·Π·π with Π the share of the groups so far and π that of the new one; 0 for weight 1.

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
    if left_points.shape[1] > _FEW_FEATURES:
        return min_plus(left, right) + pull * squared_distances(left_points, right_points)
    columns = zip(left_points.T, right_points.T, strict=True)
    apart = sum((jnp.square(one[:, None] - other) for one, other in columns), start=jnp.zeros((), left.dtype))
    return min_plus(left, right) + pull * apart
