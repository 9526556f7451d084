"""From prices to the answer: a feasible sparse assignment, hard labels, the dual bound and the gap between them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from fairjax._laziness import only_if
from fairjax.assignment import controls, dual, primal, screening
from fairjax.assignment.controls import Control
from fairjax.assignment.dual import Points
from fairjax.assignment.screening import Assignment, Source

SOLVED, UNSOLVED, INFEASIBLE, INVALID = 0, 1, 2, 3
_NEAREST = 4096

MESSAGES = {
    SOLVED: "solved: the gap to the proven bound is within tolerance",
    UNSOLVED: "stopped before gap and counts were within tolerance; the gap says how far the cost may be from the "
    "best, the counts how far the control is from met",
    INFEASIBLE: "no assignment satisfies the fairness control: loosen it",
    INVALID: "costs, weights or groups are invalid (NaN, infinite, negative weights or group ids out of range)",
}


class Tolerances(NamedTuple):
    """When a solve is good enough.

    Attributes
    ----------
    gap : () relative duality gap to report as solved.
    inner : () gap that the dual ascent aims at, smaller so that the feasible assignment stays within ``gap``.
    residual : () share of the weight by which soft counts may miss the control.
    """

    gap: Array
    inner: Array
    residual: Array


def default_tolerances(dtype: DTypeLike) -> Tolerances:
    """1e-6 in float64 and 1e-5 in float32, what the README promises."""
    if jnp.finfo(dtype).bits >= 64:
        return Tolerances(jnp.asarray(1e-6, dtype), jnp.asarray(2e-7, dtype), jnp.asarray(1e-10, dtype))
    return Tolerances(jnp.asarray(1e-5, dtype), jnp.asarray(2e-6, dtype), jnp.asarray(2e-6, dtype))


class Solution(NamedTuple):
    """A fair assignment of the points to given clusters.

    Attributes
    ----------
    labels : (n,) int32. rows : (m,) points that may be split, n as padding. fractions : (m, K) where they go.
    counts : (M, K) weight per group and cluster of the fractional assignment; weights sum to 1.
    prices : (M, K) what a group pays to enter a cluster, in cost units; the rule for new points.
    primal : () cost of the fractional assignment. dual : () proven lower bound on the cost of any fair assignment.
    gap : () relative difference, computed without cancellation. status : () int32, see ``MESSAGES``.
    n_iter : () Newton steps of the last ascent. n_passes : () passes over all points.
    """

    labels: Array
    rows: Array
    fractions: Array
    counts: Array
    prices: Array
    primal: Array
    dual: Array
    gap: Array
    status: Array
    n_iter: Array
    n_passes: Array


def solution(source: Source, control: Control, found: Assignment, tolerances: Tolerances) -> Solution:
    """Finish an assignment: cheapest feasible fractions at its prices, labels rounded from them, certificate."""
    points, ascent = found.points, found.ascent
    control = controls.adapt(control, points.masses)
    dtype = points.costs.dtype
    n_groups, n_clusters = points.placed.shape
    prices, _ = controls.normalise(control, ascent.y, ascent.temperature)
    spread = controls.exact_spread(control, points.masses, jnp.max(prices, 1), jnp.min(prices, 1))
    if n_groups == 1:
        # nothing to be fair to: every point in its cheapest cluster
        reduced = points.costs + prices[points.groups]
        labels = jnp.argmin(reduced, -1).astype(jnp.int32)
        plan = primal.Plan(jax.nn.one_hot(labels, n_clusters, dtype=dtype), labels, jnp.int32(0), jnp.array(True))
    else:
        wanted = controls.targets(
            control, ascent.slopes, ascent.allowance, ascent.counts, points.masses, tolerances.residual
        )
        plan = _finish(points, prices, wanted, tolerances)

    weighted = plan.fractions * points.weights[:, None]
    counts = points.placed + dual.group_sums(weighted, points.groups, n_groups)
    reduced = points.costs + prices[points.groups]
    slack = reduced - jnp.min(reduced, -1, keepdims=True)
    loss = jnp.sum(weighted * slack) + spread - jnp.sum(prices * counts)
    cost = points.offset + jnp.sum(weighted * points.costs)
    # a cost of zero to rounding has no relative gap
    magnitude = jnp.sum(weighted * (points.costs + jnp.abs(prices[points.groups]))) + jnp.abs(points.offset)
    negligible = 2 * jnp.finfo(dtype).eps * magnitude
    free = (jnp.abs(cost) <= 100 * negligible) & (loss <= negligible)
    gap = jnp.where(free, 0, jnp.maximum(loss, 0) / jnp.maximum(jnp.abs(cost), jnp.finfo(dtype).tiny))

    finite = jnp.isfinite(cost) & jnp.isfinite(gap) & jnp.isfinite(points.offset)
    fair = controls.violation(control, counts, points.masses) <= tolerances.gap
    solved = plan.met & found.valid & fair & (gap <= tolerances.gap)
    status = jnp.where(solved, SOLVED, UNSOLVED)
    status = jnp.where(control.feasible, status, INFEASIBLE)
    status = jnp.where(finite, status, INVALID).astype(jnp.int32)

    reported, _ = controls.settled(control, ascent.y, ascent.temperature)
    n_points = source.groups.shape[0]
    labels = found.found.labels.at[found.rows].set(plan.labels, mode="drop")
    rows = jnp.where(points.weights > 0, found.rows, n_points)
    return Solution(
        labels, rows, plan.fractions, counts, reported, cost, cost - loss, gap, status,
        ascent.n_iter, found.n_passes,
    )  # fmt: skip


def _finish(points: Points, prices: Array, wanted: Array, tolerances: Tolerances) -> primal.Plan:
    """:func:`fairjax.assignment.primal.finish`, of many open points only those nearest to a boundary if they do."""
    n_points, n_clusters = points.costs.shape
    residual = dual.PRECISE * tolerances.residual
    if n_points <= 2 * _NEAREST:
        return primal.finish(points, prices, wanted, residual)
    reduced = points.costs + prices[points.groups]
    labels = jnp.argmin(reduced, -1).astype(jnp.int32)
    chosen = jax.nn.one_hot(labels, n_clusters, dtype=reduced.dtype)
    margins = jnp.min(jnp.where(chosen > 0, jnp.inf, reduced), -1) - jnp.min(reduced, -1)
    rows, _ = screening.nearest(margins, points.weights, _NEAREST)
    inside = jnp.minimum(rows, n_points - 1)
    weights = jnp.where(rows < n_points, points.weights[inside], 0)
    far = points.weights.at[rows].set(0, mode="drop")
    placed = points.placed + dual.group_sums(chosen * far[:, None], points.groups, wanted.shape[0])
    few = Points(points.costs[inside], points.groups[inside], weights, placed, points.masses, points.offset)
    near = primal.finish(few, prices, wanted, residual)
    plan = primal.Plan(
        chosen.at[rows].set(near.fractions, mode="drop"),
        labels.at[rows].set(near.labels, mode="drop"),
        near.n_moves,
        near.met,
    )
    # counts that only far moves could meet, though nearer ones are among the points left out
    extra = jnp.sum(plan.fractions * points.weights[:, None] * (reduced - jnp.min(reduced, -1, keepdims=True)))
    cost = points.offset + jnp.sum(plan.fractions * points.weights[:, None] * points.costs)
    dear = extra > tolerances.gap * jnp.abs(cost)
    return only_if(~plan.met | dear, primal.finish, (points, prices, wanted, residual), plan)
