"""From a matrix of costs to an assignment under a control, in as many trials as it takes; and its gradient."""

from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.laziness import only_if
from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax._core.status import INFEASIBLE, SOLVED, UNSOLVED
from fairjax._core.varying import varying_as
from fairjax.assignment import screening, sources
from fairjax.assignment.attributes import AnyControl
from fairjax.assignment.terms import N_TRIALS, Prices, Tolerances, cold_for

Tree = TypeVar("Tree")

# Up to here one small problem holds all points; above, screening saves most of the work.
_ALL_OPEN = 16_384
_OPEN, _OPEN_EACH = 2_048, 32  # in all, and for every group in every cluster
_MOST_TOGETHER = 2**17  # points in a small problem that every device solves where rows are spread


class FairAssignment(NamedTuple):
    """Result of :func:`fair_assignment`; every leaf has the batch axes of the call under ``vmap``.

    Attributes
    ----------
    labels : (n,) int32
        Hard clusters. Each group's counts differ from the fair ones by less than one point (if weighted, by less than
        the heaviest point).
    probabilities : (n, K)
        Cheapest fair assignment; rows on the simplex, at most a handful of points per group split.
    multipliers : (M, K)
        Price in cost units that a group pays to enter a cluster; a new point of group s belongs to
        ``argmin(cost + multipliers[s])``. For several attributes a tuple of such tables, whose prices are added.
    primal, dual : ()
        Weighted mean cost of ``probabilities`` and a proven lower bound for any fair assignment.
    gap : ()
        (primal − dual) / primal, computed in double precision from the multipliers as returned. If the cost is less
        than a thousandth of the typical extra cost of another cluster, the gap is relative to that thousandth.
    status : () int32
        0 solved (gap ≤ 1e-6 in float64, 1e-5 in float32), 1 not within tolerance (`gap` and the counts say how far),
        2 the control cannot be met, 3 invalid input; for 2 and 3 everything but `labels` is NaN. Texts in
        ``fairjax.assignment.MESSAGES``.
    n_iter : () int32
        Steps of the solver, in all trials.
    """

    labels: Array
    probabilities: Array
    multipliers: Any
    primal: Array
    dual: Array
    gap: Array
    status: Array
    n_iter: Array


class Multipliers(NamedTuple):
    """What the gradient needs: counts (M, K), how they press on their bounds, and the profile that gaps refer to.

    ``pressure`` (M, K) is below zero where the lower bound holds a count up, above zero where the upper holds it down.
    """

    counts: Array
    pressure: Array
    profile: Array


class Found(NamedTuple):
    """What a solve finds; ``met`` () says whether the probabilities satisfy the control."""

    result: FairAssignment
    multipliers: Multipliers
    met: Array


class AssignmentProblem(NamedTuple):
    """The problem that a control is applied to.

    Attributes
    ----------
    costs : (n, K)
    groups : (n,) int32
        In range.
    share : (n,)
        Weights, scaled by a power of two.
    masses : (M,)
        Sums of the shares in each group, over all rows.
    rows
        The devices over which the rows are spread.
    """

    costs: Array
    groups: Array
    share: Array
    masses: Array
    rows: Rows = IN_ONE_PLACE


def problem(
    costs: Array, groups: Array, weights: Array, n_groups: int, rows: Rows = IN_ONE_PLACE
) -> tuple[AssignmentProblem, Array]:
    """The problem of costs (n, K), ids (n,) and weights (n,), without gradients, and whether it is valid ()."""
    costs, weights = jax.lax.stop_gradient((costs, weights))
    known = (groups >= 0) & (groups < n_groups)
    total = rows.sum(jnp.sum(weights))
    valid = jnp.all(jnp.isfinite(costs)) & jnp.all(known) & (total > 0)
    valid &= jnp.all(jnp.isfinite(weights) & (weights >= 0))
    valid = rows.all(valid)
    groups = jnp.where(known, groups, 0).astype(jnp.int32)
    # scaling by a power of two loses no digits; the solver divides by the sum in double precision
    share = jnp.ldexp(weights, -jnp.frexp(total)[1])
    masses = rows.sum(jnp.sum(jnp.where(groups == jnp.arange(n_groups)[:, None], share, 0), 1))
    return AssignmentProblem(costs, groups, share, masses, rows), valid


def solve(given: AssignmentProblem, fairness: AnyControl, tolerances: Tolerances, max_iter: int) -> Found:
    """The cheapest assignment under a control, screened where there are many points; see :mod:`.screening`."""
    costs, groups, share, masses, rows = given
    n_clusters = costs.shape[1]
    n_points = costs.shape[0] * rows.n_devices
    n_groups = masses.shape[0]
    warm = cold_for(fairness, n_groups, n_clusters, costs.dtype)

    def once(costs: Array, n_open: int, trial: Array | int = 0) -> Found:
        source = sources.of_matrix(costs, groups, share, masses, rows)
        found = screening.assign(
            source, fairness, warm, tolerances=tolerances, n_open=n_open, trial=trial, max_iter=max_iter
        )
        best = screening.conclude(found, fairness, tolerances=tolerances, trial=trial, spread=rows)
        hard = jax.nn.one_hot(best.labels, costs.shape[1], dtype=costs.dtype)
        probabilities = hard.at[rows.own(best.rows, costs.shape[0])].set(best.fractions, mode="drop")
        result = FairAssignment(
            best.labels, probabilities, best.prices, best.primal, best.dual, best.gap, best.status, best.n_iter
        )
        level = found.optimum.prices.level
        profile = level / jnp.sum(level, -1, keepdims=True)
        return Found(result, Multipliers(best.counts, best.pressing, profile), best.met)

    def whole(costs: Array) -> Found:
        """All points open, by as many trials as it takes."""

        def again(carry: tuple[Array, Found]) -> tuple[Array, Found]:
            trial, best = carry
            return trial + 1, _better(best, once(costs, n_points, trial), tolerances)

        nothing = _nothing(costs, n_groups, warm)
        if rows.axis is not None:
            labels, fractions = varying_as((nothing.result.labels, nothing.result.probabilities), costs, groups, share)
            nothing = nothing._replace(result=nothing.result._replace(labels=labels, probabilities=fractions))
        begin = varying_as((jnp.int32(0), nothing), (costs, groups, share, fairness), but=rows.axes)
        return jax.lax.while_loop(
            lambda carry: (carry[1].result.status == UNSOLVED) & (carry[0] < N_TRIALS), again, begin
        )[1]

    if n_points <= _ALL_OPEN:
        return whole(costs)
    found = once(costs, min(n_points, max(_OPEN, _OPEN_EACH * n_groups * n_clusters)))
    # more points are tied than screening may leave open, as with many duplicates: open them all
    if rows.axis is not None and n_points > _MOST_TOGETHER:

        def closer(costs: Array) -> Found:
            return once(costs, _MOST_TOGETHER)

        return only_if(found.result.status == UNSOLVED, closer, (costs,), found, but=rows.axes)
    return only_if(found.result.status == UNSOLVED, whole, (costs,), found, but=rows.axes)


def with_gradient(result: FairAssignment, value: Array) -> FairAssignment:
    """The result, its bounds with the gradient of ``value`` (). An invalid result is NaN with a NaN gradient.

    So nobody uses it by mistake.
    """
    some = jnp.where(result.status < INFEASIBLE, 1, jnp.nan).astype(value.dtype)
    still = some * (value - jax.lax.stop_gradient(value))
    fixed = jax.lax.stop_gradient(result)
    return fixed._replace(
        probabilities=some * fixed.probabilities, multipliers=some * fixed.multipliers,
        primal=some * fixed.primal + still, dual=some * fixed.dual + still, gap=some * fixed.gap,
    )  # fmt: skip


def _nothing(costs: Array, n_groups: int, warm: Prices) -> Found:
    """The state before the first trial: all zeros, with a cost and a bound that any others improve on."""
    rows, table = jnp.zeros_like(costs), jnp.zeros_like(warm.y)
    labels, infinite = jnp.zeros((costs.shape[0],), jnp.int32), jnp.asarray(jnp.inf, costs.dtype)
    result = FairAssignment(
        labels, rows, table, infinite, -infinite, infinite, jnp.int32(UNSOLVED), jnp.zeros((), jnp.int32)
    )
    counts = jnp.zeros((n_groups, costs.shape[1]), costs.dtype)
    return Found(result, Multipliers(counts, table, jnp.zeros_like(warm.level)), jnp.array(False))


def _better(one: Found, other: Found, tolerances: Tolerances) -> Found:
    """What two trials at the same programme prove together: the cheaper fair assignment and the higher bound."""
    cheaper = (other.met & ~one.met) | ((other.met == one.met) & (other.result.primal < one.result.primal))
    # a trial that ended for good, solved or not, is final
    cheaper |= other.result.status != UNSOLVED
    higher = other.result.dual > one.result.dual

    def chosen(choice: Array, other: Tree, one: Tree) -> Tree:
        return jax.tree.map(lambda other, one: jnp.where(choice, other, one), other, one)

    best, bound = chosen(cheaper, other, one), chosen(higher, other, one)
    # an assignment that meets the control only to its tolerance may cost slightly less than the bound
    result, dual = best.result, jnp.minimum(bound.result.dual, best.result.primal)
    loss = result.primal - dual
    loss_alone = result.primal - result.dual
    gap = result.gap * jnp.where(loss_alone > 0, loss / jnp.where(loss_alone > 0, loss_alone, 1), 1)
    solved = best.met & (gap <= tolerances.gap)
    return Found(
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
