"""``fair_assignment``: the cheapest fair assignment of points to clusters, with a proof of how good it is."""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fairjax import _forks
from fairjax._laziness import only_if
from fairjax._varying import varying_as
from fairjax.assignment import controls, screening
from fairjax.assignment.controls import Control, Kind
from fairjax.assignment.solution import (
    INFEASIBLE,
    INVALID,
    SOLVED,
    UNSOLVED,
    Tolerances,
    cold,
    default_tolerances,
    trials,
)
from fairjax.errors import InputError

Tree = TypeVar("Tree")

# Up to here one small problem holds all points; above, screening saves most of the work.
_ALL_OPEN = 16_384
_OPEN = 16_384
# Groups whose number cannot be read off, because ids are traced: absent ones cost time, not correctness.
_TRACED_GROUPS = 8


class FairAssignment(NamedTuple):
    """Result of :func:`fair_assignment`; every leaf has the batch axes of the call under ``vmap``.

    Attributes
    ----------
    labels : (n,) int32
        Hard clusters. Each group's counts differ from the fair ones by less than one point (for weights: than the
        heaviest point).
    probabilities : (n, K)
        Cheapest fair assignment; rows on the simplex, at most a handful of points per group split.
    multipliers : (M, K)
        Price in cost units that a group pays to enter a cluster; a new point of group s belongs to
        ``argmin(cost + multipliers[s])``.
    primal, dual : ()
        Weighted mean cost of ``probabilities`` and a proven lower bound for any fair assignment.
    gap : ()
        (primal − dual) / primal, worked out in double precision from the multipliers as they are returned. Where the
        cost is less than a thousandth of what another cluster typically costs more, relative to that.
    status : () int32
        0 solved (gap ≤ 1e-6 in float64, 1e-5 in float32), 1 not within tolerance (`gap` and the counts say how far),
        2 the control cannot be met, 3 invalid input; in these last two cases all but `labels` is NaN. Texts in
        ``fairjax.assignment.MESSAGES``.
    n_iter : () int32
        Steps of the solver, in all trials.
    """

    labels: Array
    probabilities: Array
    multipliers: Array
    primal: Array
    dual: Array
    gap: Array
    status: Array
    n_iter: Array


class _Multipliers(NamedTuple):
    """What the gradient needs: counts (M, K), how they press on their bounds, and the profile that gaps are taken from.

    ``pressure`` (M, K) is below zero where a count is held up by its lower bound, above zero where by its upper one.
    """

    counts: Array
    pressure: Array
    profile: Array


class _Found(NamedTuple):
    """What a solve finds; ``met`` () says whether the probabilities satisfy the control."""

    result: FairAssignment
    multipliers: _Multipliers
    met: Array


def _count_groups(groups: ArrayLike, n_groups: int | None) -> int:
    if isinstance(groups, jax.core.Tracer):
        return _TRACED_GROUPS if n_groups is None else n_groups
    ids = np.asarray(groups)
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(
            f"groups has dtype {ids.dtype}; expected integer ids 0..M-1: map your values to ids first, for example "
            "with numpy.unique(..., return_inverse=True)"
        )
    if ids.size and ids.min() < 0:
        raise InputError(f"groups has the id {ids.min()}; expected ids from 0 on")
    found = int(ids.max()) + 1 if ids.size else 1
    if n_groups is not None and found > n_groups:
        raise InputError(f"groups has the id {found - 1}; n_groups={n_groups} allows 0 to {n_groups - 1}")
    return found if n_groups is None else n_groups


def _check_shapes(costs: Array, groups: Array, weights: Array | None) -> None:
    if costs.ndim != 2 or 0 in costs.shape:
        raise InputError(f"costs has shape {costs.shape}; expected (n points, K clusters), both at least 1")
    if groups.shape != costs.shape[:1]:
        raise InputError(f"groups has shape {groups.shape}; expected ({costs.shape[0]},), one id per row of costs")
    if weights is not None and weights.shape != costs.shape[:1]:
        raise InputError(f"weights has shape {weights.shape}; expected ({costs.shape[0]},), one per row of costs")


def control(
    masses: Array,
    *,
    epsilon: ArrayLike = 0.0,
    min_balance: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> Control:
    """The fairness control that the keywords of :func:`fair_assignment` ask for; masses (M,) sum to 1."""
    bounded = lower is not None or upper is not None
    if min_balance is not None and bounded:
        raise InputError("both min_balance and bounds on shares are given; choose one fairness control")
    loose = isinstance(epsilon, jax.core.Tracer) or np.any(np.asarray(epsilon) != 0)
    if loose and (min_balance is not None or bounded):
        other = "min_balance" if min_balance is not None else "bounds on shares"
        raise InputError(f"both epsilon and {other} are given; choose one fairness control")
    if min_balance is not None:
        if not isinstance(min_balance, jax.core.Tracer) and np.all(np.asarray(min_balance) == 0):
            return controls.shares(jnp.zeros_like(masses), jnp.ones_like(masses), masses)
        return controls.balance(jnp.asarray(min_balance), masses)
    if bounded:
        low = jnp.zeros_like(masses) if lower is None else jnp.asarray(lower)
        high = jnp.ones_like(masses) if upper is None else jnp.asarray(upper)
        return controls.shares(low, high, masses)
    return controls.gap(jnp.asarray(epsilon), masses)


def fair_assignment(
    costs: ArrayLike,
    groups: ArrayLike,
    *,
    epsilon: ArrayLike = 0.0,
    min_balance: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    n_groups: int | None = None,
    tolerances: Tolerances | None = None,
    max_iter: int = 100,
) -> FairAssignment:
    """Assign points to clusters at least cost such that every group is spread over the clusters alike.

    Solves the linear programme min Σ_i w_i Σ_k A_ik C_ik / Σ_i w_i over rows A_i on the simplex under one of three
    controls (see :mod:`fairjax.assignment.controls`). Only its M·K prices are coupled: an interior-point method takes
    O(n K (M + K)) per step, some ten to twenty of them, in double precision whatever the dtype of the costs. With two
    groups and costs of squared distances it is the alignment problem of FCA (Kim et al., ICML 2025, eq. 4) with
    transport weight π0π1.

    Parameters
    ----------
    costs : (n, K) float
        Cost of each point in each cluster, any finite values.
    groups : (n,) int
        Group ids 0..M-1.
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
        Number of groups M, static. Read off concrete ``groups``; under ``jit`` over ``groups`` it is 8 unless given,
        and ids beyond it give status 3.
    tolerances : Tolerances, optional
        By default a relative gap of 1e-6 in float64 and 1e-5 in float32.
    max_iter : int
        Steps of one trial; after five of them the status is 1 (see :func:`fairjax.assignment.solution.trials`).

    Returns
    -------
    FairAssignment

    Raises
    ------
    InputError
        For shapes that do not fit, ids that are not integers, and more than one control. Values that only arrays know
        (NaN, an unreachable ``min_balance``) set ``status`` instead, so that a batch survives a bad member.

    Notes
    -----
    Works under ``jit``, ``vmap`` and ``grad``. ``primal`` and ``dual`` have the gradient of the optimal value, by the
    envelope theorem: with respect to ``costs`` it is w_i A_ik / Σw, with respect to ``epsilon`` minus half the price
    range for two groups, and with respect to ``min_balance``, ``lower``, ``upper`` and ``weights`` what their
    multipliers say, where those are unique. Labels, probabilities and multipliers are piecewise constant or not
    unique: no gradient.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax import fair_assignment
    >>> costs = jnp.array([[0.0, 1.0], [0.0, 3.0], [2.0, 0.0], [2.0, 0.0]])
    >>> result = fair_assignment(costs, jnp.array([0, 0, 1, 1]))
    >>> result.labels.tolist(), round(float(result.primal), 4), int(result.status)
    ([1, 0, 0, 1], 0.75, 0)
    """
    _forks.check()
    n_groups = _count_groups(groups, n_groups)
    costs = jnp.asarray(costs)
    if not jnp.issubdtype(costs.dtype, jnp.floating):
        costs = costs.astype(jnp.result_type(float))
    groups = jnp.asarray(groups)
    weights = None if weights is None else jnp.asarray(weights, costs.dtype)
    _check_shapes(costs, groups, weights)
    n_points = costs.shape[0]
    weights = jnp.ones((n_points,), costs.dtype) if weights is None else weights
    tolerances = default_tolerances(costs.dtype) if tolerances is None else tolerances

    fixed_costs, fixed_weights = jax.lax.stop_gradient((costs, weights))
    known = (groups >= 0) & (groups < n_groups)
    valid = jnp.all(jnp.isfinite(fixed_costs)) & jnp.all(known) & (jnp.sum(fixed_weights) > 0)
    valid &= jnp.all(jnp.isfinite(fixed_weights) & (fixed_weights >= 0))
    groups = jnp.where(known, groups, 0).astype(jnp.int32)
    # a power of two takes no digits from the weights; the solver divides by their sum in double precision
    share = jnp.ldexp(fixed_weights, -jnp.frexp(jnp.sum(fixed_weights))[1])
    masses = jnp.sum(jnp.where(groups == jnp.arange(n_groups)[:, None], share, 0), 1)
    fairness = jax.lax.stop_gradient(
        control(masses / jnp.sum(masses), epsilon=epsilon, min_balance=min_balance, lower=lower, upper=upper)
    )
    warm = cold(n_groups, costs.shape[1], costs.dtype)

    def solve(costs: Array, n_open: int, trial: Array | int = 0) -> _Found:
        source = screening.of_matrix(costs, groups, share, masses)
        found = screening.assign(
            source, fairness, warm, tolerances=tolerances, n_open=n_open, trial=trial, max_iter=max_iter
        )
        best = screening.conclude(found, fairness, tolerances=tolerances, trial=trial)
        hard = jax.nn.one_hot(best.labels, costs.shape[1], dtype=costs.dtype)
        probabilities = hard.at[best.rows].set(best.fractions, mode="drop")
        result = FairAssignment(
            best.labels, probabilities, best.prices, best.primal, best.dual, best.gap, best.status, best.n_iter
        )
        level = found.optimum.prices.level
        profile = level / jnp.sum(level)
        return _Found(result, _Multipliers(best.counts, best.pressing, profile), best.met)

    def whole(costs: Array) -> _Found:
        """All points open, by as many trials as it takes."""

        def again(carry: tuple[Array, _Found]) -> tuple[Array, _Found]:
            trial, best = carry
            return trial + 1, _better(best, solve(costs, n_points, trial), tolerances)

        begin = varying_as((jnp.int32(0), _nothing(costs, n_groups)), (costs, groups, share, fairness))
        n_trials = trials(costs.dtype).boundary.shape[0]
        return jax.lax.while_loop(
            lambda carry: (carry[1].result.status == UNSOLVED) & (carry[0] < n_trials), again, begin
        )[1]

    if n_points <= _ALL_OPEN:
        found = whole(fixed_costs)
    else:
        least = screening.LEAST_PLACES * n_groups * costs.shape[1]
        found = solve(fixed_costs, min(n_points, max(_OPEN, least)))
        # more points tied than screening may leave open, as with masses of duplicates: look at all
        found = only_if(found.result.status == UNSOLVED, whole, (fixed_costs,), found)
    result, multipliers, _ = found
    result = result._replace(status=jnp.where(valid, result.status, INVALID).astype(jnp.int32))
    value = _lagrangian(
        fairness.kind, result, multipliers, costs, groups, weights,
        epsilon=epsilon, min_balance=min_balance, lower=lower, upper=upper,
    )  # fmt: skip
    # no result is NaN, and so is its gradient, so that nobody goes on with it
    some = jnp.where(result.status < INFEASIBLE, 1, jnp.nan).astype(costs.dtype)
    still = some * (value - jax.lax.stop_gradient(value))
    fixed = jax.lax.stop_gradient(result)
    return fixed._replace(
        probabilities=some * fixed.probabilities, multipliers=some * fixed.multipliers,
        primal=some * fixed.primal + still, dual=some * fixed.dual + still, gap=some * fixed.gap,
    )  # fmt: skip


def _nothing(costs: Array, n_groups: int) -> _Found:
    """Before the first trial: all is zero, but for a cost and a bound that any other is better than."""
    rows, table = jnp.zeros_like(costs), jnp.zeros((n_groups, costs.shape[1]), costs.dtype)
    labels, infinite = jnp.zeros((costs.shape[0],), jnp.int32), jnp.asarray(jnp.inf, costs.dtype)
    result = FairAssignment(
        labels, rows, table, infinite, -infinite, infinite, jnp.int32(UNSOLVED), jnp.zeros((), jnp.int32)
    )
    return _Found(result, _Multipliers(table, table, table[0]), jnp.array(False))


def _better(one: _Found, other: _Found, tolerances: Tolerances) -> _Found:
    """What two trials at the same programme show together: the cheaper fair assignment and the higher bound."""
    cheaper = (other.met & ~one.met) | ((other.met == one.met) & (other.result.primal < one.result.primal))
    # what ended for good, with a solution or without, needs no other
    cheaper |= other.result.status != UNSOLVED
    higher = other.result.dual > one.result.dual

    def chosen(choice: Array, other: Tree, one: Tree) -> Tree:
        return jax.tree.map(lambda other, one: jnp.where(choice, other, one), other, one)

    best, bound = chosen(cheaper, other, one), chosen(higher, other, one)
    # what meets the control to its tolerance only may cost a little less than what meets it
    result, dual = best.result, jnp.minimum(bound.result.dual, best.result.primal)
    loss = result.primal - dual
    loss_alone = result.primal - result.dual
    gap = result.gap * jnp.where(loss_alone > 0, loss / jnp.where(loss_alone > 0, loss_alone, 1), 1)
    solved = best.met & (gap <= tolerances.gap)
    return _Found(
        result._replace(
            multipliers=bound.result.multipliers,
            dual=dual,
            gap=gap,
            status=jnp.where((result.status == UNSOLVED) & solved, SOLVED, result.status).astype(jnp.int32),
            n_iter=one.result.n_iter + other.result.n_iter,
        ),
        bound.multipliers._replace(counts=best.multipliers.counts),
        best.met,
    )


def _lagrangian(
    kind: Kind,
    result: FairAssignment,
    multipliers: _Multipliers,
    costs: Array,
    groups: Array,
    weights: Array,
    *,
    epsilon: ArrayLike,
    min_balance: ArrayLike | None,
    lower: ArrayLike | None,
    upper: ArrayLike | None,
) -> Array:
    """What the optimal value depends on directly; by the envelope theorem its gradient is that of the value."""
    result, (counts, pressing, profile) = jax.lax.stop_gradient((result, multipliers))
    prices = result.multipliers
    share = weights / jnp.sum(weights)
    value = jnp.sum(share[:, None] * result.probabilities * (costs + prices[groups]))
    if kind == "gap":
        ranges = jnp.max(prices, 1) - jnp.min(prices, 1)
        masses = jnp.sum(jnp.where(groups == jnp.arange(prices.shape[0])[:, None], share, 0), 1)
        return value - jnp.sum(masses * (pressing @ profile + epsilon * ranges / 4))
    if kind == "balance":
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
