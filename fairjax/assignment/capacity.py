"""``capacity_assignment``: the cheapest assignment of points to clusters of bounded size, with a proof."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax._core.status import INVALID
from fairjax.assignment import controls, solving
from fairjax.assignment.controls import Control
from fairjax.assignment.terms import Tolerances, default_tolerances
from fairjax.errors import InputError


class CapacityAssignment(NamedTuple):
    """Result of :func:`capacity_assignment`; every leaf has the batch axes of the call under ``vmap``.

    Attributes
    ----------
    labels : (n,) int32
        Hard clusters. For points of weight 1 and integer bounds, their counts satisfy the bounds.
    probabilities : (n, K)
        Cheapest assignment; rows on the simplex, at most K − 1 of them split where the optimum is unique.
    multipliers : (K,)
        Price in cost units of a place in a cluster: above zero where the cluster is full, below zero where it must be
        filled. A new point belongs to ``argmin(cost + multipliers)``.
    primal, dual, gap, status, n_iter : ()
        As those of :class:`~fairjax.assignment.FairAssignment`.
    """

    labels: Array
    probabilities: Array
    multipliers: Array
    primal: Array
    dual: Array
    gap: Array
    status: Array
    n_iter: Array


def capacity_assignment(
    costs: ArrayLike,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    tolerances: Tolerances | None = None,
    max_iter: int = 100,
) -> CapacityAssignment:
    """Assign points to clusters at least cost, with between ``lower`` and ``upper`` points in each cluster.

    Solves the transportation problem min Σ_i w_i Σ_k A_ik C_ik / Σ_i w_i over rows A_i on the simplex with
    lower_k ≤ Σ_i w_i A_ik ≤ upper_k. Its dual has K prices λ,

        Σ_i w_i min_k (C_ik + λ_k) − Σ_k max(lower_k λ_k, upper_k λ_k),

    and is solved like that of :func:`~fairjax.assignment.fair_assignment`: O(n K) per step, some ten to twenty steps.

    Parameters
    ----------
    costs : (n, K) float
        Cost of each point in each cluster, any finite values.
    lower, upper : float or (K,), optional
        Bounds on the weight in each cluster; none by default. They may be traced. Whole numbers up to 2^24 are exact in
        float32.
    weights : (n,) float, optional
        Non-negative weights of the points, 1 by default; 0 for padding, which then changes nothing. Labels of weighted
        points may miss the bounds by less than the heaviest point.
    tolerances, max_iter
        As for :func:`~fairjax.assignment.fair_assignment`.

    Returns
    -------
    CapacityAssignment
        Status 2 where no assignment satisfies the bounds: lower above upper, lower bounds that ask for more weight than
        there is, or upper bounds that leave too little room.

    Raises
    ------
    InputError
        For shapes that do not fit.

    Notes
    -----
    Works under ``jit``, ``vmap`` and ``grad``; ``primal`` and ``dual`` have the gradient of the optimal value with
    respect to costs, weights and bounds.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax.assignment import capacity_assignment
    >>> x, centers = jnp.array([0.0, 1.0, 2.0, 3.0, 8.0, 9.0]), jnp.array([0.0, 1.5, 9.0])
    >>> result = capacity_assignment((x[:, None] - centers) ** 2, lower=2, upper=2)
    >>> result.labels.tolist(), round(6 * float(result.primal), 4), int(result.status)
    ([0, 0, 1, 1, 2, 2], 4.5, 0)
    """
    costs = jnp.asarray(costs)
    if not jnp.issubdtype(costs.dtype, jnp.floating):
        costs = costs.astype(jnp.result_type(float))
    if costs.ndim != 2 or 0 in costs.shape:
        raise InputError(f"costs has shape {costs.shape}; expected (n points, K clusters), both at least 1")
    n_points, n_clusters = costs.shape
    weights = jnp.ones((n_points,), costs.dtype) if weights is None else jnp.asarray(weights, costs.dtype)
    if weights.shape != (n_points,):
        raise InputError(f"weights has shape {weights.shape}; expected ({n_points},), one per row of costs")
    whole = jnp.sum(weights)
    low = _bound("lower", 0.0 if lower is None else lower, n_clusters, costs)
    high = _bound("upper", whole if upper is None else upper, n_clusters, costs)

    tolerances = default_tolerances(costs.dtype) if tolerances is None else tolerances
    # a cluster without places has no price of its own: give it one too high for any exchange
    closed = jnp.where(high > 0, 0, (n_clusters + 1) * (jnp.max(costs) - jnp.min(costs)))
    costs = costs + jax.lax.stop_gradient(closed)
    problem, valid = solving.problem(costs, jnp.zeros((n_points,), jnp.int32), weights, 1)
    control = jax.lax.stop_gradient(_control(low, high, whole))
    found = solving.solve(problem, control, tolerances, max_iter)
    valid &= jnp.all(~jnp.isnan(low) & ~jnp.isnan(high))
    result = found.result._replace(status=jnp.where(valid, found.result.status, INVALID).astype(jnp.int32))
    fixed = jax.lax.stop_gradient(result)
    prices = fixed.multipliers[0]
    reduced = jnp.sum(weights[:, None] * fixed.probabilities * (costs + prices))
    value = (reduced - jnp.sum(prices * jnp.where(prices > 0, jnp.minimum(high, whole), low))) / whole
    result = solving.with_gradient(result, value)
    return CapacityAssignment(**{**result._asdict(), "multipliers": result.multipliers[0] + closed})


def _control(lower: Array, upper: Array, whole: Array) -> Control:
    """The control, feasible as it was asked for, but with clusters without places kept open."""
    feasible = controls.counts(lower, upper, whole).feasible
    return replace(controls.counts(lower, jnp.where(upper > 0, upper, whole), whole), feasible=feasible)


def _bound(name: str, values: ArrayLike, n_clusters: int, costs: Array) -> Array:
    bound = jnp.asarray(values, costs.dtype)
    if bound.shape not in ((), (n_clusters,)):
        raise InputError(f"{name} has shape {bound.shape}; expected one number or ({n_clusters},), one per cluster")
    return jnp.broadcast_to(bound, (n_clusters,))
