"""``fair_assignment``: the cheapest fair assignment of points to clusters, with a proof of how good it is."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, PartitionSpec
from jax.typing import ArrayLike

from fairjax._core import forks, sharding
from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax._core.status import INVALID
from fairjax.assignment import several, solving
from fairjax.assignment.asking import check_shapes, control, count_groups
from fairjax.assignment.controls import Kind
from fairjax.assignment.solving import FairAssignment, Multipliers
from fairjax.assignment.terms import Tolerances, default_tolerances
from fairjax.errors import InputError


def fair_assignment(
    costs: ArrayLike,
    groups: ArrayLike | tuple[ArrayLike, ...],
    *,
    epsilon: ArrayLike = 0.0,
    min_balance: Any = None,
    lower: Any = None,
    upper: Any = None,
    weights: ArrayLike | None = None,
    n_groups: Any = None,
    tolerances: Tolerances | None = None,
    max_iter: int = 100,
    rows: Rows = IN_ONE_PLACE,
) -> FairAssignment:
    """Assign points to clusters at least cost such that every group is spread over the clusters alike.

    Solves the linear programme min Σ_i w_i Σ_k A_ik C_ik / Σ_i w_i over rows A_i on the simplex under one of three
    controls (see :mod:`fairjax.assignment.controls`). Only its M·K prices are coupled: an interior-point method takes
    some ten to twenty steps of O(n K (M + K)) each, in double precision whatever the dtype of the costs. With two
    groups and squared distances as costs it is the alignment problem of FCA (Kim et al., ICML 2025, eq. 4) with
    transport weight π0π1.

    Parameters
    ----------
    costs : (n, K) float
        Cost of each point in each cluster, any finite values.
    groups : (n,) int, or tuple of them
        Group ids 0..M-1. For several attributes, each to be fair by itself, a tuple with the ids of each. Then
        ``min_balance``, ``lower`` and ``upper`` may be tuples too, and the multipliers are a tuple of tables; a point
        pays the sum of its prices in them (see :func:`fairjax.assignment.several.fair_assignment`).
    epsilon : float or 0-d array in [0, 2]
        Additive gap: each group's cluster proportions lie within ε/2 (in ℓ1) of a common profile; for two groups
        Σ_k |q_0k − q_1k| ≤ ε. 0 is perfect fairness. May be traced.
    min_balance : float or 0-d array, optional
        In every cluster the ratio of any two groups' weights is at least this. May be traced.
    lower, upper : float or (M,), optional
        Bounds on each group's share of every non-empty cluster (Bera et al., 2019).
    weights : (n,) float, optional
        Non-negative weights of the points; 0 for padding, which then changes nothing.
    n_groups : int, optional
        Number of groups M, static. Read from concrete ``groups``; for traced ``groups`` it is 8 unless given, and ids
        beyond it give status 3.
    tolerances : Tolerances, optional
        By default a relative gap of 1e-6 in float64 and 1e-5 in float32.
    max_iter : int
        Steps of each trial; after seven unsolved trials the status is 1 (see :func:`fairjax.assignment.terms.trials`).
    rows : fairjax.parallel.Rows
        Inside ``jax.shard_map``: the axis over which the points are spread. Costs, groups, weights, labels and
        probabilities are then a device's own rows; all other results cover all rows and are the same everywhere.
        Costs that are sharded along their first axis, and not traced, need no ``rows``: they stay where they are. One
        attribute only.

    Returns
    -------
    FairAssignment

    Raises
    ------
    InputError
        For shapes that do not match, ids that are not integers, and more than one control. Invalid values (NaN, an
        unreachable ``min_balance``) set ``status`` instead, so that a batch survives a bad member.

    Notes
    -----
    Works under ``jit``, ``vmap`` and ``grad``. ``primal`` and ``dual`` have the gradient of the optimal value, by the
    envelope theorem: with respect to ``costs`` it is w_i A_ik / Σw; with respect to ``epsilon``, for two groups, minus
    half the price range; with respect to ``min_balance``, ``lower``, ``upper`` and ``weights`` it follows from their
    multipliers, where those are unique. Labels, probabilities and multipliers are piecewise constant or not unique,
    and have no gradient.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax import fair_assignment
    >>> costs = jnp.array([[0.0, 1.0], [0.0, 3.0], [2.0, 0.0], [2.0, 0.0]])
    >>> result = fair_assignment(costs, jnp.array([0, 0, 1, 1]))
    >>> result.labels.tolist(), round(float(result.primal), 4), int(result.status)
    ([1, 0, 0, 1], 0.75, 0)
    """
    forks.check()
    if isinstance(groups, tuple):
        if rows.axis is not None:
            raise InputError("rows are spread for one attribute; give ids of the combinations, or rows in one place")
        return several.fair_assignment(
            costs, groups, epsilon=epsilon, min_balance=min_balance, lower=lower, upper=upper, weights=weights,
            n_groups=n_groups, tolerances=tolerances, max_iter=max_iter,
        )  # fmt: skip
    n_groups = count_groups(groups, n_groups)
    costs = jnp.asarray(costs)
    if not jnp.issubdtype(costs.dtype, jnp.floating):
        costs = costs.astype(jnp.result_type(float))
    groups = jnp.asarray(groups)
    weights = None if weights is None else jnp.asarray(weights, costs.dtype)
    check_shapes(costs, groups, weights)
    n_points = costs.shape[0]
    weights = jnp.ones((n_points,), costs.dtype) if weights is None else weights
    tolerances = default_tolerances(costs.dtype) if tolerances is None else tolerances

    if rows.axis is None and (split := sharding.of_rows(costs)) is not None:
        values = {"min_balance": min_balance, "lower": lower, "upper": upper}
        given = {name: jnp.asarray(value) for name, value in values.items() if value is not None}
        if isinstance(epsilon, jax.core.Tracer) or np.any(np.asarray(epsilon) != 0):
            given["epsilon"] = jnp.asarray(epsilon)
        solve = _over_devices(*split, n_groups, max_iter)
        return solve(costs, groups, weights, given, tolerances)

    problem, valid = solving.problem(costs, groups, weights, n_groups, rows)
    fairness = jax.lax.stop_gradient(
        control(
            problem.masses / jnp.sum(problem.masses),
            epsilon=epsilon, min_balance=min_balance, lower=lower, upper=upper,
        )
    )  # fmt: skip
    found = solving.solve(problem, fairness, tolerances, max_iter)
    result = found.result._replace(status=jnp.where(valid, found.result.status, INVALID).astype(jnp.int32))
    value = _lagrangian(
        fairness.kind, result, found.multipliers, costs, problem.groups, weights, rows,
        epsilon=epsilon, min_balance=min_balance, lower=lower, upper=upper,
    )  # fmt: skip
    return solving.with_gradient(result, value)


@functools.cache
def _over_devices(mesh: Mesh, axis: str | tuple[str, ...], n_groups: int, max_iter: int) -> Any:
    """The program for rows spread over an axis of a mesh, called from outside ``shard_map``."""
    own, whole = PartitionSpec(axis), PartitionSpec()

    def solve(
        costs: Array, groups: Array, weights: Array, given: dict[str, Array], tolerances: Tolerances
    ) -> FairAssignment:
        return fair_assignment(
            costs, groups, weights=weights, n_groups=n_groups, tolerances=tolerances, max_iter=max_iter,
            rows=Rows(axis), **given,
        )  # fmt: skip

    result: Any = FairAssignment._make((own, own, *(whole,) * (len(FairAssignment._fields) - 2)))
    return jax.jit(jax.shard_map(solve, mesh=mesh, in_specs=(own, own, own, whole, whole), out_specs=result))


def _lagrangian(
    kind: Kind,
    result: FairAssignment,
    multipliers: Multipliers,
    costs: Array,
    groups: Array,
    weights: Array,
    rows: Rows,
    *,
    epsilon: ArrayLike,
    min_balance: ArrayLike | None,
    lower: ArrayLike | None,
    upper: ArrayLike | None,
) -> Array:
    """The direct dependence of the optimal value on its inputs; by the envelope theorem both have the same gradient."""
    result, (counts, pressing, profile) = jax.lax.stop_gradient((result, multipliers))
    prices = result.multipliers
    share = weights / rows.sum(jnp.sum(weights))
    value = rows.sum(jnp.sum(share[:, None] * result.probabilities * (costs + prices[groups])))
    if kind == "profile" and min_balance is None:
        ranges = jnp.max(prices, 1) - jnp.min(prices, 1)
        masses = rows.sum(jnp.sum(jnp.where(groups == jnp.arange(prices.shape[0])[:, None], share, 0), 1))
        return value - jnp.sum(masses * (pressing @ profile + epsilon * ranges / 4))
    if kind == "profile":
        assert min_balance is not None
        return value - min_balance * jnp.sum(jnp.max(counts, 0) * jnp.minimum(pressing, 0))
    in_clusters = jnp.sum(counts, 0)
    at_lower = jnp.minimum(pressing, 0) @ in_clusters
    at_upper = jnp.maximum(pressing, 0) @ in_clusters
    return (
        value
        - jnp.sum((0 if lower is None else lower) * at_lower)
        - jnp.sum((1 if upper is None else upper) * at_upper)
    )
