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

from fairjax._laziness import only_if
from fairjax.assignment import controls
from fairjax.assignment.controls import Control

_COOLING = 0.15  # factor from one temperature to the next
_SHORT = 0.02  # a step is short when it can win no more than this part of what smoothing costs
_STALLED = 10.0  # damping beyond which no step will ascend
_LOST = 12  # long steps at one temperature, none of them half the one before, that show the path to be lost
_FAR = 4.0  # temperatures: a Newton step longer than that starts too cold
_TIP = 1e-4  # temperature of the path's end, relative to where it was seen from
PRECISE = 0.1  # part of the tolerance for counts that they are brought to where that is one more step
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


class Position(NamedTuple):
    """A point of the dual in coordinates that stay exact near ties: differences of what is compared, not the values.

    Attributes
    ----------
    y, kinks : (M, K) free variables, and the arguments of the kinks of the normaliser. temperature : ().
    slack : (m, K) cost plus price of each open point, less its least over the clusters.
    below, above : (M, K) prices less their maximum and less their minimum in each group.
    bound : () exact dual value, a lower bound on the cost less ``Points.offset``.
    """

    y: Array
    kinks: Array
    temperature: Array
    slack: Array
    below: Array
    above: Array
    bound: Array


class Soft(NamedTuple):
    """The smoothed dual at a position: what a Newton step needs, and what it proves.

    Attributes
    ----------
    smoothing : () by how much the smoothed value lies below the exact bound. counts : (M, K) soft counts.
    loss : () what the soft assignment costs above the exact bound once its counts are put right at these prices; a sum
        of terms that are not negative, so that no digits cancel. repair : () what putting them right costs, at most.
    gradient : (M, K). hessian : (M, K, M, K), negative.
    residual : () total weight by which the soft counts miss the control.
    """

    smoothing: Array
    counts: Array
    loss: Array
    repair: Array
    gradient: Array
    hessian: Array
    residual: Array


class Ascent(NamedTuple):
    """Where the maximisation stopped.

    Attributes
    ----------
    y, temperature : (M, K) free variables and () temperature of the best prices, the end of the path where it was
        reached.
    counts : (M, K) soft counts where the smoothed dual is stationary. responsibilities : (m, K) soft assignment of the
        open points there. slopes, allowance : of the control there, for :func:`~fairjax.assignment.controls.targets`.
    warmest : () temperature at which Newton's model first held; a good start for a problem that is a little different.
    n_iter : () evaluations. solved : () bool, gap and residual within tolerance.
    """

    y: Array
    temperature: Array
    counts: Array
    responsibilities: Array
    slopes: controls.Slopes
    allowance: Array
    warmest: Array
    n_iter: Array
    solved: Array


def group_sums(values: Array, groups: Array, n_groups: int) -> Array:
    """Sums (M, K) of rows (m, K) by group, block by block: one long running sum would lose digits."""
    block = 512
    padding = -values.shape[0] % block
    member = (groups[:, None] == jnp.arange(n_groups)).astype(values.dtype)
    member = jnp.pad(member, ((0, padding), (0, 0))).reshape(-1, block, n_groups)
    values = jnp.pad(values, ((0, padding), (0, 0))).reshape(-1, block, values.shape[1])
    return jnp.sum(jnp.einsum("bis,bik->bsk", member, values, precision=_HIGHEST), 0)


def typical_spread(points: Points) -> Array:
    """Mean over points of the mean extra cost of another cluster."""
    mean = jnp.sum(points.weights[:, None] * points.costs) / points.costs.shape[1] / jnp.sum(points.weights)
    return jnp.where(mean > 0, mean, 1)


def hottest(points: Points) -> Array:
    """Temperature from which to cool when nothing is known: most points are soft, and no step is long."""
    return 0.3 * typical_spread(points)


def locate(points: Points, control: Control, y: Array, temperature: Array) -> Position:
    """The position of y (M, K)."""
    prices, kinks = controls.normalise(control, y, temperature)
    reduced = points.costs + prices[points.groups]
    lowest = jnp.min(reduced, -1, keepdims=True)
    high, low = jnp.max(prices, -1, keepdims=True), jnp.min(prices, -1, keepdims=True)
    bound = (
        jnp.sum(points.weights * lowest[:, 0])
        + jnp.sum(points.placed * prices)
        - controls.exact_spread(control, points.masses, high[:, 0], low[:, 0])
    )
    return Position(y, kinks, temperature, reduced - lowest, prices - high, prices - low, bound)


def move(points: Points, control: Control, at: Position, step: Array, temperature: Array) -> tuple[Position, Array]:
    """The position after y moved by ``step`` (M, K), and the change of the exact bound."""
    change, kinks = controls.move(control, at.kinks, step, at.temperature, temperature)
    slack = at.slack + change[points.groups]
    drop = jnp.min(slack, -1, keepdims=True)
    below, above = at.below + change, at.above + change
    high, low = jnp.max(below, -1, keepdims=True), jnp.min(above, -1, keepdims=True)
    gain = (
        jnp.sum(points.weights * drop[:, 0])
        + jnp.sum(points.placed * change)
        - controls.exact_spread(control, points.masses, high[:, 0], low[:, 0])
    )
    # a common shift of all groups in a cluster changes nothing, and would cost digits
    y = kinks if control.kind == "balance" else at.y + step
    return Position(y, kinks, temperature, slack - drop, below - high, above - low, at.bound + gain), gain


def responsibilities(at: Position) -> Array:
    """Soft assignment (m, K): softmin over clusters of cost plus price."""
    return jax.nn.softmax(-at.slack / at.temperature, axis=-1)


def evaluate(points: Points, control: Control, at: Position) -> Soft:
    """The smoothed dual at a position, with gradient and Hessian."""
    n_groups, n_clusters = points.placed.shape
    slopes = controls.slopes(control, at.kinks, at.temperature)
    spread = controls.spread(control, points.masses, at.below, at.above, at.temperature)

    unnormalised = jnp.exp(-at.slack / at.temperature)
    total = jnp.sum(unnormalised, -1, keepdims=True)
    soft = unnormalised / total
    weighted = soft * points.weights[:, None]

    member = (points.groups[:, None] == jnp.arange(n_groups)).astype(soft.dtype)
    if n_groups <= n_clusters:
        by_group = (member[:, :, None] * weighted[:, None, :]).reshape(-1, n_groups * n_clusters)
        grams = jnp.matmul(by_group.T, soft, precision=_HIGHEST).reshape(n_groups, n_clusters, n_clusters)
    else:
        outer = weighted[:, :, None] * soft[:, None, :]
        grams = jax.ops.segment_sum(outer, points.groups, n_groups)
    open_counts = jnp.sum(grams, -1)
    counts = points.placed + open_counts
    eye = jnp.eye(n_clusters, dtype=soft.dtype)
    blocks = (open_counts[:, :, None] * eye - grams) / at.temperature + spread.blocks

    smoothing = jnp.sum(points.weights * jnp.log(total[:, 0])) * at.temperature + spread.excess
    in_prices = counts - spread.gradient
    gradient = controls.without_drift(control, controls.pull_back(slopes, in_prices), counts)
    hessian = controls.pull_back_hessian(control, slopes, blocks, in_prices)
    loss = jnp.sum(weighted * at.slack) + spread.loss + controls.loss(control, at.kinks, counts, at.temperature)
    repair = jnp.abs(jnp.sum(at.y * gradient))
    return Soft(smoothing, counts, loss, repair, gradient, hessian, jnp.sum(jnp.abs(gradient)))


def _newton_step(soft: Soft, damping: Array) -> tuple[Array, Array]:
    """Damped Newton direction (M, K) and the ascent that the quadratic model predicts for it."""
    shape, size = soft.gradient.shape, soft.gradient.size
    gradient = soft.gradient.reshape(size)
    hessian = soft.hessian.reshape(size, size)
    # Directions without curvature (a common shift of a group's prices, a cluster that no point is near to leaving)
    # must not magnify the rounding of the gradient: curvature counts as at least a small part of its group's largest.
    eps = jnp.finfo(hessian.dtype).eps
    diagonal = jnp.diagonal(hessian).reshape(shape)
    largest = jnp.max(diagonal, 1, keepdims=True)
    largest = jnp.where(largest > 0, largest, 1)
    lift = jnp.maximum(8 * eps * largest - diagonal, 0) + damping * largest
    scale = jax.lax.rsqrt(diagonal + lift).reshape(size)
    scaled = (hessian + jnp.diag(lift.reshape(size))) * scale[:, None] * scale[None, :]
    ridge = eps**0.6 * jnp.eye(size, dtype=hessian.dtype)
    factor = jax.scipy.linalg.cho_factor(scaled + ridge, lower=True)
    direction = scale * jax.scipy.linalg.cho_solve(factor, scale * gradient)
    predicted = direction @ gradient - 0.5 * direction @ (hessian @ direction)
    return direction.reshape(shape), predicted


class _State(NamedTuple):
    at: Position
    soft: Soft
    previous_y: Array
    previous_temperature: Array
    damping: Array
    heating: Array
    pace: Array
    length: Array
    n_long: Array
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
    max_iter: int = 1000,
) -> Ascent:
    """Maximise the dual from y (M, K), starting at ``temperature`` and cooling until the gap is small.

    From a start too cold for prices that far off it first warms up. ``tolerance`` bounds the gap relative to the
    cost, ``residual_tolerance`` the total weight (of 1) by which soft counts may miss the control. Never diverges: a
    step that does not ascend is not taken, and running out of steps leaves ``solved`` False beside the best point.
    """
    dtype = points.costs.dtype
    eps = jnp.finfo(dtype).eps
    n_clusters = y.shape[1]

    def allowed(bound: Array) -> Array:
        return tolerance * jnp.abs(points.offset + bound) + jnp.finfo(dtype).tiny

    def coldest(bound: Array) -> Array:
        # smoothing costs at most τ log K, so there is nothing to win below this
        return jnp.maximum(0.1 * allowed(bound), eps * eps * points.offset) / jnp.log(n_clusters + 1.0)

    def met(at: Position, soft: Soft) -> Array:
        return (soft.loss + soft.repair <= allowed(at.bound)) & (soft.residual <= residual_tolerance)

    def step(state: _State) -> _State:
        at, soft, temperature = state.at, state.soft, state.at.temperature
        direction, predicted = _newton_step(soft, state.damping)
        length = jnp.max(jnp.abs(direction))
        finite = jnp.isfinite(length)
        direction = jnp.where(finite, direction, 0)
        settled_here = soft.residual <= residual_tolerance
        short = finite & (settled_here | ((length <= 2 * temperature) & (predicted <= _SHORT * soft.smoothing)))
        # a step many temperatures long leaves the region where the model holds: shorten it, more after each failure
        longest = 8 * temperature / (1 + 1e3 * state.damping)
        reach = jnp.minimum(1, longest / jnp.maximum(length, jnp.finfo(dtype).tiny))
        stalled = state.damping > _STALLED
        nearly_met = soft.residual <= 1e3 * residual_tolerance

        # The end of the path, where τ = 0: once τ is below the distances between margins the path is straight and
        # its end exact, while the soft counts at τ already are those of the optimum.
        settling = jnp.where(stalled, 0, reach * direction)
        drop = temperature - state.previous_temperature
        travelled = at.y + settling - state.previous_y
        slope = jnp.where(drop < 0, travelled / jnp.where(drop < 0, drop, 1), 0)
        to_tip = settling - temperature * slope

        def look(at: Position, step: Array) -> tuple[Array, Array]:
            there, gain = move(points, control, at, step, _TIP * temperature)
            return there.y, gain

        tip, tip_gain = only_if(short & (drop < 0), look, (at, to_tip), (at.y, jnp.asarray(-jnp.inf, dtype)))
        at_tip = jnp.isfinite(tip_gain) & (soft.loss - tip_gain <= allowed(at.bound))
        # counts so good that what is left is rounded off, or as good as rounding lets them become: a step has failed
        precise = (soft.repair <= allowed(at.bound)) & (soft.residual <= PRECISE * residual_tolerance)
        repaired = precise | (state.damping > 0)
        tip_reached = at_tip & repaired & (soft.residual <= residual_tolerance)

        # cool once a Newton step is short, from where the path leads
        floor = coldest(at.bound)
        cooler = jnp.maximum(temperature * state.pace, floor)
        at_floor = temperature <= floor
        enough = (at_tip | (soft.loss <= allowed(at.bound))) & nearly_met
        cools = (short | (stalled & nearly_met)) & ~at_floor & ~enough
        # warm prices that lie far off at a low temperature: warm up first, where the model reaches further
        lost = ~finite | (length > _FAR * temperature)
        # cooled too fast where the path bends: back to where it was seen, and then more slowly
        strayed = ~state.heating & ((stalled & ~nearly_met) | (lost & (state.n_long >= _LOST)))
        heats = ~cools & ((state.heating & lost) | strayed) & (temperature < ceiling)
        jumps = cools | heats
        next_temperature = jnp.where(cools, cooler, jnp.where(heats, temperature / _COOLING, temperature))

        newton = jnp.where(finite & ~heats, reach * direction, 0)
        path = settling + slope * (cooler - temperature)
        taken = jnp.where(cools, path, newton)
        trial, bound_gain = move(points, control, at, controls.centre(control, taken), next_temperature)
        trial_soft = evaluate(points, control, trial)

        gain = bound_gain - (trial_soft.smoothing - soft.smoothing)
        expected = predicted * reach * (2 - reach)
        # the smoothed part is a mean of τ log(1 + ...), each with the rounding of its 1
        blur = 4 * eps * (temperature + jnp.abs(bound_gain))
        # where rounding hides the ascent, a clearly smaller residual stands in for it
        ascends = (gain >= 0.1 * expected) | ((gain >= -blur) & (trial_soft.residual <= 0.7 * soft.residual))
        ascends &= finite & jnp.isfinite(gain)
        accepted = jnp.isfinite(gain) & (jumps | ascends) & ~tip_reached
        relaxed = jnp.where(state.damping > 1e-4, state.damping * 0.1, 0)
        raised = jnp.maximum(state.damping * 8, 1e-3)
        damping = jnp.where(jumps, 0, jnp.where(ascends, relaxed, raised)).astype(dtype)

        new_at, new_soft = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), (trial, trial_soft), (at, soft))
        good = met(new_at, new_soft) & ~heats
        stuck = stalled & ~jumps & ~ascends
        return _State(
            new_at,
            new_soft,
            jnp.where(cools & accepted, at.y + settling, state.previous_y),
            # where it warmed up there is no path to extrapolate
            jnp.where(accepted & cools, temperature, jnp.where(accepted & heats, 0, state.previous_temperature)),
            damping,
            heats,
            jnp.where(heats & strayed, jnp.sqrt(state.pace), state.pace),
            jnp.where(finite, length, state.length),
            jnp.where(jumps, 0, state.n_long + (length > 0.5 * state.length)),
            jnp.where(heats & accepted, next_temperature, state.warmest),
            state.n_iter + 1,
            good | stuck | tip_reached,
            good | tip_reached,
            jnp.where(tip_reached, tip, state.tip),
            tip_reached,
        )

    ceiling = hottest(points)
    temperature = jnp.asarray(temperature, dtype)
    at = locate(points, control, y, temperature)
    soft = evaluate(points, control, at)

    def ascent(y: Array, y_temperature: Array, at: Position, soft: Soft, *progress: Array) -> Ascent:
        slopes = controls.slopes(control, at.kinks, at.temperature)
        allowance = controls.spread(control, points.masses, at.below, at.above, at.temperature).gradient
        return Ascent(y, y_temperature, soft.counts, responsibilities(at), slopes, allowance, *progress)

    if y.shape[0] == 1:
        # one group has nothing to share out: as good as hard at once
        temperature = jnp.asarray(eps, dtype) * typical_spread(points)
        at = locate(points, control, y, temperature)
        return ascent(
            y,
            temperature,
            at,
            evaluate(points, control, at),
            temperature,
            jnp.ones((), jnp.int32),
            jnp.isfinite(at.bound),
        )
    started = met(at, soft)
    start = _State(
        at, soft, y, temperature,
        damping=jnp.zeros((), dtype), heating=jnp.array(True), pace=jnp.asarray(_COOLING, dtype),
        length=jnp.asarray(jnp.inf, dtype), n_long=jnp.zeros((), jnp.int32), warmest=temperature,
        n_iter=jnp.ones((), jnp.int32), done=started, solved=started, tip=y, tip_reached=jnp.array(False),
    )  # fmt: skip
    end = jax.lax.while_loop(lambda state: ~state.done & (state.n_iter < max_iter), step, start)
    best_y = jnp.where(end.tip_reached, end.tip, end.at.y)
    best_temperature = end.at.temperature * jnp.where(end.tip_reached, _TIP, 1)
    return ascent(best_y, best_temperature, end.at, end.soft, end.warmest, end.n_iter, end.solved)
