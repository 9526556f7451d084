"""Costs given by thin factors: a problem with n × m pairs described by n + m rows."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax._core.distances import squared_distances
from fairjax.errors import InputError
from fairjax.ot.arguments import real_array

UNROLLED = 16  # steps of a reduction fused into one pass over the n·m numbers
_FEW_FEATURES = 8  # up to this many, summing differences is faster than a matrix product


class Factors(NamedTuple):
    """The costs min_k (left_ik + right_jk) + weight · ‖x_i − y_j‖²; either part may be omitted.

    The first part is the route through the cheapest of K hubs, the second the squared distance. Solvers accept it in
    place of ``costs``; the n × m × K sums and n × m × d differences are never formed. O(n m (K + d)) time, n·m numbers.

    Attributes
    ----------
    left, right : (..., n, K), (..., m, K), or None
        Cost of reaching the hubs from either side.
    x, y : (..., n, d), (..., m, d), or None
        Rounding is of the order eps·(‖x‖² + ‖y‖²): centre the points.
    weight : () or (...)
        Weight of the squared distance, 1 by default.

    Examples
    --------
    >>> from fairjax import ot
    >>> solution = ot.exact(ot.Factors(x=[[0.0], [1.0], [3.0]], y=[[0.0], [3.0]]))
    >>> round(float(solution.primal), 4)
    0.8333
    """

    left: ArrayLike | None = None
    right: ArrayLike | None = None
    x: ArrayLike | None = None
    y: ArrayLike | None = None
    weight: ArrayLike | None = None


Costs = ArrayLike | Factors


def cost_array(costs: Costs) -> Array:
    """Costs (..., n, m) as an array of floats, from an array or from factors; O(n m (K + d)).

    Raises
    ------
    InputError
        For values that are not real numbers, and for factors that do not match each other.
    """
    if not isinstance(costs, Factors):
        return real_array("costs", costs)
    hubs, points = _pair(costs, "left", "right"), _pair(costs, "x", "y")
    weight = jnp.ones(()) if costs.weight is None else real_array("costs.weight", costs.weight)
    parts = []
    try:
        if hubs is not None:
            parts.append(min_plus(*hubs))
        if points is not None:
            parts.append(weight.astype(points[0].dtype)[..., None, None] * pairwise_distances(*points))
        if parts:
            return sum(parts[1:], start=parts[0])
    except (TypeError, ValueError):
        shapes = {name: jnp.shape(factor) for name, factor in costs._asdict().items() if factor is not None}
        raise InputError(
            f"the factors of costs have the shapes {shapes}; expected left (..., n, K), right (..., m, K), "
            "x (..., n, d), y (..., m, d), all with the same batch axes, n and m, and weight () or (...)"
        ) from None
    raise InputError("costs has no factors; expected left and right, x and y, or all four")


def _pair(factors: Factors, first: str, second: str) -> tuple[Array, Array] | None:
    """Both sides of a part, or None if it is omitted."""
    given = [getattr(factors, name) for name in (first, second)]
    n_given = sum(side is not None for side in given)
    if n_given == 0:
        return None
    if n_given == 1:
        raise InputError(f"costs has only one of {first} and {second}; expected both or neither")
    one, other = (real_array(f"costs.{name}", side) for name, side in zip((first, second), given, strict=True))
    if min(one.ndim, other.ndim) < 2 or one.shape[-1] != other.shape[-1] or one.shape[-1] == 0:
        raise InputError(
            f"costs has {first} of shape {one.shape} and {second} of shape {other.shape}; expected (..., n, k) and "
            "(..., m, k), k at least 1"
        )
    return one, other


def min_plus(left: Array, right: Array) -> Array:
    """Min-plus product ``min_k left[..., i, k] + right[..., j, k]`` (..., n, m) of tables (..., n, K) and (..., m, K).

    A running minimum over k, several at a time: O(n m K) time, n·m numbers of memory.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> min_plus(jnp.array([[0.0, 5.0], [4.0, 1.0]]), jnp.array([[2.0, 1.0]])).tolist()
    [[2.0], [2.0]]
    """

    def lower(least: Array, columns: tuple[Array, Array]) -> tuple[Array, None]:
        return jnp.minimum(least, columns[0][..., :, None] + columns[1][..., None, :]), None

    start = left[..., :, None, 0] + right[..., None, :, 0]
    rest = jnp.moveaxis(left, -1, 0)[1:], jnp.moveaxis(right, -1, 0)[1:]
    return jax.lax.scan(lower, start, rest, unroll=UNROLLED)[0]


def pairwise_distances(x: Array, y: Array) -> Array:
    """Squared distances of many points on both sides: with few features, by differences in one fused pass."""
    if x.shape[-1] > _FEW_FEATURES:
        return squared_distances(x, y)
    columns = zip(jnp.moveaxis(x, -1, 0), jnp.moveaxis(y, -1, 0), strict=True)
    return sum(
        (jnp.square(one[..., :, None] - other[..., None, :]) for one, other in columns), start=jnp.zeros((), x.dtype)
    )
