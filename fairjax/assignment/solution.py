"""From prices to the answer: a feasible sparse assignment, hard labels, the dual bound and the gap between them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from fairjax._core.precision import Double, first_least, in_double, rounded
from fairjax._core.status import INFEASIBLE, INVALID, SOLVED, UNSOLVED
from fairjax._core.varying import varying_as
from fairjax.assignment import (
    admissible,
    attributes,
    controls,
    coupled,
    descent,
    interior,
    iterates,
    overlapping,
    primal,
)
from fairjax.assignment.attributes import AnyControl, Attributes
from fairjax.assignment.controls import Control
from fairjax.assignment.programme import Anchor, Points, Programme, group_sums, only_present, programme, with_placed
from fairjax.assignment.terms import FLOOR, NEAR, Optimum, Prices, Tolerances, Trial, fitted

_PARTS = (*(8.0**-power for power in range(1, 14)), 0.0)  # of prices that prove too little, to be tried instead
_LIGHT = 1e-6  # a group of less weight is light

MESSAGES = {
    SOLVED: "solved: the gap to the proven bound is within tolerance",
    UNSOLVED: "stopped before gap and counts were within tolerance; the gap says how far the cost may be from the "
    "best, the counts how far the control is from met; where weights, costs or bounds differ by more orders of "
    "magnitude than float32 has digits, float64 helps",
    INFEASIBLE: "no assignment satisfies the fairness control: loosen it",
    INVALID: "costs, weights or groups are invalid (NaN, infinite, negative weights or group ids out of range)",
}


class Solution(NamedTuple):
    """A fair assignment of the points to given clusters.

    Attributes
    ----------
    labels : (n,) int32
    rows : (m,)
        Points that may be split, n as padding.
    fractions : (m, K)
        Fractions of these points.
    counts : (M, K)
        Weight per group and cluster of the fractional assignment; weights sum to 1.
    prices : (M, K)
        What a group pays to enter a cluster, in cost units; the rule for new points.
    pressing : (M, K)
        How counts press on their bounds: below zero where the lower one holds them up, above zero where the upper one
        holds them down.
    primal : ()
        Cost of the fractional assignment.
    dual : ()
        Proven lower bound on the cost of any fair assignment.
    gap : ()
        Their difference, relative to the cost or to a thousandth of the scale of the costs if that is more.
    status : () int32
        See ``MESSAGES``.
    met : () bool
        Whether the fractional assignment satisfies the control.
    n_iter : ()
        Steps of the last solve.
    n_passes : ()
        Passes over all points.
    """

    labels: Array
    rows: Array
    fractions: Array
    counts: Array
    prices: Array
    pressing: Array
    primal: Array
    dual: Array
    gap: Array
    status: Array
    met: Array
    n_iter: Array
    n_passes: Array


@in_double
def optimum(
    points: Points,
    control: AnyControl,
    warm: Prices,
    tolerances: Tolerances,
    anchor: Anchor | None = None,
    *,
    trial: Trial,
    max_iter: int = 100,
) -> Optimum:
    """Optimal prices from warm ones; ``anchor`` says what is known about placed points, if there are any.

    O(m K (M + K) + (M K)^3) per step of the interior-point method.
    """
    n_points = points.costs.shape[0]
    points, control = fitted(points, control, trial.leeway)
    if isinstance(control, Attributes):
        return _optimum_of_each(points, control, warm, tolerances, anchor, trial=trial, max_iter=max_iter)
    each = jnp.where(points.masses > 0, points.masses, 1)[:, None]
    placed = points.placed / each
    if anchor is not None:
        points = with_placed(points, anchor)
    points = only_present(points)
    if control.kind == "counts":
        # exactly even, which the caller's dtype may not represent
        warm = warm._replace(level=jnp.full_like(warm.level, 1 / warm.level.shape[0]))
    problem = programme(points, control)
    scale = iterates.scale_of_costs(problem)
    cheapest = jax.nn.one_hot(first_least(points.costs), placed.shape[1], dtype=points.costs.dtype)
    if placed.shape[0] == 1 and control.kind != "counts":
        # one group: nothing to equalise
        counts = points.placed + jnp.sum(points.weights[:, None] * cheapest, 0)
        prices = Prices(jnp.zeros_like(warm.y), counts[0], jnp.zeros((), scale.dtype))
        return Optimum(
            prices, prices.y, cheapest[:n_points], Double.of(counts), jnp.int32(1), jnp.array(True)
        )  # fmt: skip
    free = controls.allows_all(control, points.masses)
    known = jnp.isfinite(warm.reach)
    open_part = jnp.sum(points.weights[:n_points])
    least = tolerances.inner * FLOOR * scale / warm.level.shape[0]
    mu = jnp.clip(jnp.maximum(jnp.where(known, warm.reach, 1), NEAR * scale) * open_part, least, scale)
    weights = iterates.weigh(problem, control.kind, scale, trial.cap, trial.light)
    far = iterates.start(problem, control.kind, weights, scale)
    near = iterates.start_near(problem, control.kind, weights, warm.y, warm.level, mu)
    first = jax.tree.map(lambda near, far: jnp.where(known, near, far), near, far)
    tolerance = descent.Tolerance(tolerances.inner, FLOOR * scale, tolerances.residual)
    end = interior.run(
        problem, control.kind, weights, first, tolerance,
        boundary=trial.boundary, max_iter=jnp.where(free, 0, max_iter),
    )  # fmt: skip
    fractions, y = jnp.where(free, cheapest[:n_points], end.fractions[:, :n_points].T), jnp.where(free, 0, end.prices)
    level = end.level
    if points.present is not None:
        fractions, y, level = _present(points.present, fractions, y, level)
    # counts of the points alone: the other rows stand for the additive gap and for placed points, next to none of which
    # an interior assignment moves
    moved = points.weights[:n_points, None] * fractions
    counts = each * placed + group_sums(moved, points.groups[:n_points], placed.shape[0])
    targets = jnp.where(free, counts, admissible.targets(control, counts / each, level, points.masses))
    # points do not notice a constant added in all clusters
    change = y - warm.y
    change = jnp.max(jnp.max(change, 1) - jnp.min(change, 1))
    prices = Prices(y, end.level, jnp.where(known, change, scale))
    settled = controls.settled(control, y if anchor is not None else _deterring(problem, control, counts, y))
    return Optimum(prices, settled, fractions, Double.of(targets), end.n_iter, end.solved | free)


def _optimum_of_each(
    points: Points,
    control: Attributes,
    warm: Prices,
    tolerances: Tolerances,
    anchor: Anchor | None,
    *,
    trial: Trial,
    max_iter: int,
) -> Optimum:
    """The same for several attributes, by :mod:`~fairjax.assignment.overlapping`."""
    n_points, n_cells = points.costs.shape[0], points.placed.shape[0]
    placed, masses = points.placed, points.masses
    given = coupled.couple(only_present(points if anchor is None else with_placed(points, anchor)), control)
    scale = iterates.scale_of_costs(given.rows)
    free, known = attributes.allows_all(control, masses), jnp.isfinite(warm.reach)
    least = tolerances.inner * FLOOR * scale / warm.y.shape[1]
    open_part = jnp.sum(points.weights)
    mu = jnp.clip(jnp.maximum(jnp.where(known, warm.reach, 1), NEAR * scale) * open_part, least, scale)
    central = coupled.central_products(given)
    far = coupled.start(given, scale, central)
    near = coupled.near(given, mu, central, warm.y, warm.level)
    first = jax.tree.map(lambda near, far: jnp.where(known, near, far), near, far)
    tolerance = descent.Tolerance(tolerances.inner, FLOOR * scale, tolerances.residual)
    end = overlapping.run(
        given, first, tolerance, boundary=trial.boundary, max_iter=jnp.where(free, 0, max_iter)
    )  # fmt: skip
    cheapest = jax.nn.one_hot(first_least(points.costs), placed.shape[1], dtype=points.costs.dtype)
    fractions, y = jnp.where(free, cheapest, end.fractions[:, :n_points].T), jnp.where(free, 0, end.prices)
    level = end.level
    if points.present is not None:
        fractions, y, level = _present(points.present, fractions, y, level)
    counts = placed + group_sums(points.weights[:, None] * fractions, points.groups, n_cells)
    targets = jnp.where(free, counts, attributes.targets(control, counts, masses))
    change = attributes.paid(control, y - warm.y)
    change = jnp.max(jnp.max(change, 1) - jnp.min(change, 1))
    prices = Prices(y, end.level, jnp.where(known, change, scale))
    return Optimum(
        prices, attributes.settled(control, y), fractions, Double.of(targets), end.n_iter, end.solved | free
    )  # fmt: skip


def _present(present: Array, fractions: Array, y: Array, level: Array) -> tuple[Array, Array, Array]:
    """Fractions (m, K), free variables y (M, K) and level (K,), restricted to the clusters that exist.

    Clusters that do not exist get no fractions and no level, and the prices of one that does, which are feasible and
    keep the range of prices as it was.
    """
    fractions = jnp.where(present, fractions, 0)
    some = y[:, first_least(jnp.where(present, 0.0, 1.0))]
    return (
        fractions / jnp.sum(fractions, 1, keepdims=True),
        jnp.where(present, y, some[:, None]),
        jnp.where(present, level, 0),
    )


@in_double
def optimum_at(points: Points, control: AnyControl, y: Array, counts: Array, level: Array, *, leeway: Array) -> Optimum:
    """The optimum at another method's y (M, K), counts (M, K), level (K,); :func:`certify` trusts none of it."""
    points, control = fitted(points, control, leeway)
    assert isinstance(control, Control)
    each = jnp.where(points.masses > 0, points.masses, 1)[:, None]
    targets = admissible.targets(control, counts / jnp.sum(counts) / each, level / jnp.sum(level), points.masses)
    prices, nobody = Prices(y, level, jnp.zeros((), y.dtype)), jnp.zeros_like(points.costs)
    return Optimum(prices, controls.settled(control, y), nobody, Double.of(targets), jnp.int32(0), jnp.array(True))


def _busiest(counts: Array) -> Array:
    """(M, K) bool, each group's cluster with the largest of its ``counts`` (M, K)."""
    return jnp.arange(counts.shape[1]) == first_least(-counts)[:, None]


def _deterring(problem: Programme, control: Control, counts: Array, y: Array) -> Array:
    """Prices (M, K) from free variables y (M, K), no larger than they need to be.

    Removed are the constant of a group without room, and any price beyond what keeps all rows of the group out of a
    cluster. The result proves as much or more, and has its digits where they are needed: nothing resists the prices of
    the central path, which may be larger by ten orders of magnitude.
    """
    paid, _ = controls.normalise(control, y)
    if control.kind != "counts":
        pinned = control.lower == control.upper
        # under a non-linear normaliser a constant would change the prices
        steady = pinned if control.kind != "profile" else pinned & jnp.all(pinned)
        paid = jnp.where(steady[:, None], _apart(paid, _busiest(counts)), paid)
    dearest = jnp.max(jnp.where(problem.members > 0, jnp.max(problem.costs, 0), 0), 1, keepdims=True)
    return jnp.minimum(paid, jnp.min(paid, 1, keepdims=True) + dearest)


class _Proof(NamedTuple):
    """Prices (M, K) as reported, how they press on bounds (M, K), and how much of the cost they leave unproven ()."""

    reported: Array
    pressing: Array
    loss: Array


def _best_part(proof: Callable[[Array], _Proof], first: _Proof, y: Array, masses: Array, enough: Array) -> _Proof:
    """The best of the ``first`` proof and proofs by parts of the prices y (M, K); ends once at most ``enough`` is open.

    Where prices may grow without limit for no gain, those on the central path are so large that costs vanish beside
    them, and any part of them proves more. Parts are taken of all prices, and of those of light groups alone.
    """
    n_parts = len(_PARTS)
    parts = jnp.asarray(_PARTS, masses.dtype)
    light = masses[:, None] <= _LIGHT

    def another(carry: tuple[Array, _Proof]) -> tuple[Array, _Proof]:
        i, best = carry
        part = parts[jax.lax.rem(i, jnp.int32(n_parts))]
        tried = proof(y * jnp.where(light | (i < n_parts), part, 1))
        better = tried.loss < best.loss
        return i + 1, jax.tree.map(lambda tried, best: jnp.where(better, tried, best), tried, best)

    def going(carry: tuple[Array, _Proof]) -> Array:
        i, best = carry
        return (best.loss > enough) & (i < 2 * n_parts)

    return jax.lax.while_loop(going, another, varying_as((jnp.int32(0), first), first, y, masses, enough))[1]


def _apart(prices: Array, busiest: Array) -> Array:
    """Prices (M, K) of each group less the one in its ``busiest`` cluster (M, K) bool.

    A constant that a group pays everywhere decides nothing between clusters, and may be larger than all costs.
    """
    return prices - jnp.sum(jnp.where(busiest, prices, 0), 1, keepdims=True)


def _scale_of_costs(points: Points, control: AnyControl) -> Array:
    if isinstance(control, Attributes):
        return iterates.scale_of_costs(coupled.couple(points, control).rows)
    return iterates.scale_of_costs(programme(points, control))


@in_double
def certify(
    points: Points,
    asked: AnyControl,
    found: Optimum,
    tolerances: Tolerances,
    dtype: DTypeLike,
    leeway: Array,
    *,
    exact: bool,
) -> Solution:
    """The cheapest assignment of the open points with the counts of ``found``, and the gap that its prices prove.

    The proof uses the prices as reported, rounded to ``dtype``, and the control as it was ``asked`` for, so that anyone
    can check it from these alone. ``leeway`` is the trial's. ``exact``: all points are open.
    """
    points, control = fitted(points, asked, leeway)
    n_groups, n_clusters = points.placed.shape

    def priced(y: Array) -> tuple[Array, Array]:
        """Prices as reported, and how they press on bounds."""
        prices, pressing = attributes.normalise(control, y)
        return rounded(prices, dtype), pressing

    def paid(prices: Array) -> Array:
        """What points of each group pay in all."""
        return attributes.paid(control, prices)

    first = priced(found.settled)
    reported, _ = first
    if points.present is not None:
        # too dear for every group, whatever it pays
        far = jnp.max(jnp.where(points.present, jnp.abs(points.costs), 0), 1) + 2 * jnp.max(jnp.abs(paid(reported)))
        points = points._replace(costs=jnp.where(points.present, points.costs, 4 * far[:, None] + 1))
    targets = found.targets.whole()
    busiest = _busiest(targets)
    constrained = n_groups > 1 or control.kind == "counts"
    if not constrained:
        # one group: every point goes to its cheapest cluster
        labels = first_least(points.costs)
        fractions = jax.nn.one_hot(labels, n_clusters, dtype=points.costs.dtype)
        plan = primal.Plan(fractions, labels, jnp.zeros((), jnp.int32), jnp.array(True))
    else:
        # under screening, counts are rounded to the caller's dtype and may not add up exactly
        total = jnp.sum(targets, 1)
        targets = targets * (points.masses / jnp.where(total > 0, total, 1))[:, None]
        residual = 0.0 if exact else 2 * float(jnp.finfo(dtype).eps)
        plan = primal.finish(points, _apart(paid(reported), busiest), targets, residual)
    weighted = plan.fractions * points.weights[:, None]
    counts = points.placed + group_sums(weighted, points.groups, n_groups)
    cost = points.offset + jnp.sum(weighted * points.costs)
    unit = jnp.maximum(jnp.abs(cost), FLOOR * _scale_of_costs(points, control))

    def proof(reported: Array, pressing: Array) -> _Proof:
        own = attributes.proven(asked, points.masses, reported)
        prices = paid(own)
        reduced = points.costs + _apart(prices, busiest)[points.groups]
        slack = reduced - jnp.min(reduced, -1, keepdims=True)
        spread = attributes.exact_spread(asked, points.masses, own)
        loss = jnp.sum(weighted * slack) + spread - jnp.sum(prices * counts)
        # add the rounding of the sums, which may exceed the loss where prices are huge
        summed = jnp.sum(attributes.by_group(asked, counts) * jnp.abs(reported))
        return _Proof(reported, pressing, jnp.maximum(loss, 0) + 4 * jnp.finfo(prices.dtype).eps * summed)

    best = proof(*first)
    if exact and constrained:
        enough = tolerances.gap * unit
        masses = attributes.by_group(asked, points.masses)
        best = _best_part(lambda y: proof(*priced(y)), best, found.settled, masses, enough)
    reported, pressing, loss = best
    gap = loss / unit
    finite = jnp.isfinite(cost) & jnp.isfinite(gap) & jnp.isfinite(points.offset)
    # fractions, too, are rounded to the reported dtype
    reported_counts = rounded(plan.fractions, dtype) * points.weights[:, None]
    reported_counts = points.placed + group_sums(reported_counts, points.groups, n_groups)
    met = plan.met & (attributes.violation(asked, reported_counts, points.masses) <= tolerances.gap)
    status = jnp.where(met & (gap <= tolerances.gap), SOLVED, UNSOLVED)
    status = jnp.where(control.feasible, status, INFEASIBLE)
    status = jnp.where(finite, status, INVALID).astype(jnp.int32)
    rows = jnp.arange(points.costs.shape[0], dtype=jnp.int32)
    return Solution(
        plan.labels, rows, plan.fractions, counts, reported, pressing, cost, cost - loss, gap, status, met,
        found.n_iter, jnp.int32(0),
    )  # fmt: skip
