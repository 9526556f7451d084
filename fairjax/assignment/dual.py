"""The smoothed dual of fair assignment and its maximisation by safeguarded Newton steps along a falling temperature.

For costs C (n, K), weights w that sum to 1 with the fixed counts, and prices ν (M, K) of a
:class:`~fairjax.assignment.controls.Control`, the dual of the fair assignment problem is

    g(ν) = Σ_i w_i min_k (C_ik + ν_{s(i) k}) − spread(ν),

concave and piecewise linear. Replacing the minimum by −τ log Σ exp(−·/τ) makes it smooth; its gradient is the table
of soft counts less what the control admits, its Hessian one (K, K) Gram matrix per group: a few passes over (n, K)
and one dense system of at most M·K unknowns per step, O(n K² + (M K)³).

The smoothed maximum leaves a duality gap of at most τ log K and, for data with a density, of order τ². So τ starts
where Newton's model is trustworthy and falls by a constant factor whenever a step has become short, from a point
extrapolated along the path (ν is asymptotically linear in τ), until the measured gap is small enough.
Levenberg–Marquardt damping with a test of actual against predicted ascent keeps every accepted step an ascent.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.assignment import controls
from fairjax.assignment.controls import Control

_COOLING = 0.15
_SHORT = 0.02
_STALLED = 10.0
_FAR = 4.0
_TIP = 1e-4
_HIGHEST = jax.lax.Precision.HIGHEST


class Points(NamedTuple):
    """An assignment problem in which some points are already placed.

    Attributes
    ----------
    costs : (m, K) cost of each open point in each cluster, any offset per point.
    groups : (m,) int group of each open point.
    weights : (m,) share of the whole weight; 0 for padding.
    placed : (M, K) counts of the points that are not open.
    masses : (M,) share of each group in the whole, open and placed points together.
    offset : () cost that no price changes: the placed points' and what was taken off the open points' rows.
    """

    costs: Array
    groups: Array
    weights: Array
    placed: Array
    masses: Array
    offset: Array


class Soft(NamedTuple):
    """The smoothed dual at one point: everything that a Newton step needs, and the gap that it proves."""

    value: Array
    bound: Array
    gap: Array
    tolerance: Array
    residual: Array
    counts: Array
    gradient: Array
    hessian: Array


class Ascent(NamedTuple):
    """Where the maximisation stopped.

    Attributes
    ----------
    y, temperature : (M, K) free variables and () temperature of the prices, the end of the path where it was reached.
    soft_y, soft_temperature : where the smoothed dual is stationary; its soft counts satisfy the control.
    warmest : () temperature at which Newton's model first held; a good start for a problem that is a little different.
    soft : :class:`Soft` at ``soft_y``. n_iter : () evaluations. solved : () bool, gap and residual within tolerance.
    """

    y: Array
    temperature: Array
    soft_y: Array
    soft_temperature: Array
    warmest: Array
    soft: Soft
    n_iter: Array
    solved: Array


def responsibilities(points: Points, prices: Array, temperature: Array) -> Array:
    """Soft assignment (m, K): softmin over clusters of cost plus price."""
    return jax.nn.softmax(-(points.costs + prices[points.groups]) / temperature, axis=-1)


def evaluate(points: Points, control: Control, y: Array, temperature: Array, tolerance: Array) -> Soft:
    """Value, exact bound, gap, gradient and Hessian of the smoothed dual at y (M, K)."""
    n_groups, n_clusters = points.placed.shape
    at = controls.normalise(control, y, temperature)
    spread = controls.spread(control, at.prices, points.masses, temperature)

    reduced = points.costs + at.prices[points.groups]
    lowest = jnp.min(reduced, -1, keepdims=True)
    slack = reduced - lowest
    unnormalised = jnp.exp(-slack / temperature)
    total = jnp.sum(unnormalised, -1, keepdims=True)
    soft = unnormalised / total
    weighted = soft * points.weights[:, None]

    member = (points.groups[:, None] == jnp.arange(n_groups)).astype(soft.dtype)
    counts = points.placed + jnp.matmul(member.T, weighted, precision=_HIGHEST)
    if n_groups <= n_clusters:
        by_group = (member[:, :, None] * weighted[:, None, :]).reshape(-1, n_groups * n_clusters)
        grams = jnp.matmul(by_group.T, soft, precision=_HIGHEST).reshape(n_groups, n_clusters, n_clusters)
    else:
        outer = weighted[:, :, None] * soft[:, None, :]
        grams = jax.ops.segment_sum(outer, points.groups, n_groups)
    open_counts = jnp.sum(grams, -1)
    eye = jnp.eye(n_clusters, dtype=soft.dtype)
    blocks = (open_counts[:, :, None] * eye - grams) / temperature + spread.blocks

    fixed = jnp.sum(points.placed * at.prices)
    bound = jnp.sum(points.weights * lowest[:, 0]) + fixed - spread.exact
    value = (
        jnp.sum(points.weights * (lowest[:, 0] - temperature * jnp.log(total[:, 0]))) + fixed - spread.value
    )
    gradient_in_prices = counts - spread.gradient
    gradient = controls.centre(control, controls.pull_back(control, at, gradient_in_prices))
    hessian = controls.pull_back_hessian(control, at, blocks, gradient_in_prices)
    # complementary slackness, term by term so that nothing cancels: points off their cheapest cluster, and
    # what the exact control would still give for the same counts
    gap = jnp.sum(weighted * slack) + spread.exact - jnp.sum(at.prices * counts)
    allowed = tolerance * jnp.abs(points.offset + bound) + jnp.finfo(soft.dtype).tiny
    return Soft(value, bound, gap, allowed, jnp.sum(jnp.abs(gradient)), counts, gradient, hessian)


def bound(points: Points, control: Control, y: Array, temperature: Array) -> Array:
    """Exact dual value at the prices of y (M, K), smoothed as little as ``temperature`` says."""
    prices = controls.normalise(control, y, temperature).prices
    lowest = jnp.min(points.costs + prices[points.groups], -1)
    spread = controls.spread(control, prices, points.masses, temperature).exact
    return jnp.sum(points.weights * lowest) + jnp.sum(points.placed * prices) - spread


def _newton_step(control: Control, soft: Soft, damping: Array) -> tuple[Array, Array]:
    """Damped Newton direction (M, K) and the ascent that the quadratic model predicts for it."""
    n_groups, n_clusters = soft.gradient.shape
    free = controls.free_groups(control)
    size = free * n_clusters
    gradient = soft.gradient[:free].reshape(size)
    hessian = soft.hessian[:free, :, :free, :].reshape(size, size)
    # Directions without curvature (a common shift of a group's prices, a cluster that no point is near to leaving)
    # must not magnify the rounding of the gradient: curvature counts as at least a small part of its group's largest.
    eps = jnp.finfo(hessian.dtype).eps
    diagonal = jnp.diagonal(hessian).reshape(free, n_clusters)
    floor = 8 * eps * jnp.max(diagonal, 1, keepdims=True) + jnp.finfo(hessian.dtype).tiny
    lifted = jnp.maximum(diagonal, floor)
    scale = jax.lax.rsqrt(lifted).reshape(size)
    lift = ((lifted - diagonal) / lifted).reshape(size)
    scaled = hessian * scale[:, None] * scale[None, :]
    ridge = jnp.diag(lift + (eps**0.6 + damping))
    factor = jax.scipy.linalg.cho_factor(scaled + ridge, lower=True)
    direction = scale * jax.scipy.linalg.cho_solve(factor, scale * gradient)
    predicted = direction @ gradient - 0.5 * direction @ (hessian @ direction)
    return jnp.zeros_like(soft.gradient).at[:free].set(direction.reshape(free, n_clusters)), predicted


class _State(NamedTuple):
    y: Array
    temperature: Array
    soft: Soft
    previous_y: Array
    previous_temperature: Array
    damping: Array
    heating: Array
    warmest: Array
    n_iter: Array
    done: Array
    solved: Array
    tip: Array
    tip_reached: Array


def maximise(
    points: Points,
    control: Control,
    y: Array,
    temperature: Array,
    *,
    tolerance: Array,
    residual_tolerance: Array,
    max_iter: int = 300,
) -> Ascent:
    """Maximise the dual from y (M, K), starting at ``temperature`` and cooling until the gap is small.

    From a start too cold for prices that far off it first warms up. ``tolerance`` bounds the gap relative to the dual bound, ``residual_tolerance`` the total weight (of 1) by which
    soft counts may miss the control. Never diverges: a step that does not ascend is not taken, and running out of
    steps leaves ``solved`` False beside the best point.
    """
    dtype = points.costs.dtype
    eps = jnp.finfo(dtype).eps
    noise = 4 * eps

    n_clusters = y.shape[1]

    def solved(soft: Soft) -> Array:
        return (soft.gap <= soft.tolerance) & (soft.residual <= residual_tolerance)

    def coldest(soft: Soft) -> Array:
        # smoothing costs at most τ log K, so there is nothing to win below this
        return jnp.maximum(0.1 * soft.tolerance, eps * eps * points.offset) / jnp.log(n_clusters + 1.0)

    def step(state: _State) -> _State:
        soft, temperature = state.soft, state.temperature
        direction, predicted = _newton_step(control, soft, state.damping)
        length = jnp.max(jnp.abs(direction))
        finite = jnp.isfinite(length)
        short = finite & (length <= 2 * temperature) & (predicted <= _SHORT * (soft.bound - soft.value))

        floor = coldest(soft)
        cooler = jnp.maximum(temperature * _COOLING, floor)
        at_floor = temperature <= floor
        stalled = state.damping > _STALLED
        settled = state.y + jnp.where(stalled, 0, direction)
        drop = temperature - state.previous_temperature
        slope = jnp.where(drop < 0, (settled - state.previous_y) / jnp.where(drop < 0, drop, 1), 0)

        # The end of the path, where τ = 0: once τ is below the distances between margins the path is straight and
        # its end exact, while the soft counts at τ already are those of the optimum.
        tip = settled - temperature * slope
        tip_gap = soft.bound + soft.gap - jax.lax.cond(
            short & (drop < 0),
            lambda: bound(points, control, tip, _TIP * temperature),
            lambda: jnp.asarray(-jnp.inf, dtype),
        )
        at_tip = tip_gap <= soft.tolerance
        tip_reached = at_tip & (soft.residual <= residual_tolerance)

        nearly_met = soft.residual <= 1e3 * residual_tolerance
        enough = (at_tip | (soft.gap <= soft.tolerance)) & nearly_met
        cools = (short | (stalled & nearly_met)) & ~at_floor & ~enough
        path = settled + slope * (cooler - temperature)

        # a step many temperatures long leaves the region where the model holds: shorten it
        reach = jnp.where(finite, jnp.minimum(1, 8 * temperature / jnp.maximum(length, 1e-30)), 0)
        # warm prices that lie far off at a low temperature: warm up first, where the model reaches further
        lost = ~finite | (length > _FAR * temperature)
        heats = ~cools & ((state.heating & lost) | (stalled & ~nearly_met))

        moved = jnp.where(finite & ~heats, state.y + reach * direction, state.y)
        trial_y = jnp.where(cools, path, moved)
        trial_y = controls.centre(control, trial_y)
        trial_temperature = jnp.where(cools, cooler, jnp.where(heats, temperature / _COOLING, temperature))
        trial = evaluate(points, control, trial_y, trial_temperature, tolerance)

        gain = trial.value - soft.value
        expected = predicted * reach * (2 - reach)
        blur = noise * (jnp.abs(soft.value) + jnp.abs(soft.bound) + temperature)
        # where rounding hides the ascent, a clearly smaller residual stands in for it
        ascends = (gain >= 0.1 * expected) | ((gain >= -blur) & (trial.residual <= 0.7 * soft.residual))
        ascends &= finite & jnp.isfinite(gain)
        jumps = cools | heats
        accepted = jnp.isfinite(trial.value) & (jumps | ascends) & ~tip_reached
        relaxed = jnp.where(state.damping > 1e-4, state.damping * 0.1, 0)
        raised = jnp.maximum(state.damping * 8, 1e-3)
        damping = jnp.where(jumps, 0, jnp.where(ascends, relaxed, raised)).astype(dtype)

        def keep(new: Array, old: Array) -> Array:
            return jnp.where(accepted, new, old)

        new_soft = jax.tree.map(keep, trial, soft)
        good = solved(new_soft)
        stuck = ~jumps & (damping > _STALLED) & (at_floor | enough)
        return _State(
            keep(trial_y, state.y),
            keep(trial_temperature, temperature),
            new_soft,
            jnp.where(cools & accepted, settled, state.previous_y),
            jnp.where(cools & accepted, temperature, state.previous_temperature),
            damping,
            heats,
            jnp.where(heats & accepted, temperature / _COOLING, state.warmest),
            state.n_iter + 1,
            (good & ~heats) | stuck | tip_reached,
            good | tip_reached,
            jnp.where(tip_reached, tip, state.tip),
            tip_reached,
        )

    temperature = jnp.asarray(temperature, dtype)
    first = evaluate(points, control, y, temperature, tolerance)
    start = _State(
        y, temperature, first, y, temperature, jnp.zeros((), dtype), jnp.array(True), temperature,
        jnp.ones((), jnp.int32),
        solved(first), solved(first), y, jnp.array(False),
    )
    if controls.free_groups(control) == 0:
        return Ascent(y, temperature, y, temperature, temperature, first, start.n_iter, jnp.isfinite(first.value))
    end = jax.lax.while_loop(lambda state: ~state.done & (state.n_iter < max_iter), step, start)
    tip_temperature = jnp.where(end.tip_reached, _TIP * end.temperature, end.temperature)
    return Ascent(
        jnp.where(end.tip_reached, end.tip, end.y), tip_temperature, end.y, end.temperature, end.warmest, end.soft, end.n_iter, end.solved)
