"""What "fair" may mean: each control as a cone of admissible group counts, and its dual side.

Write N_sk for the weight of group s in cluster k as a share of the whole weight, and π_s for the share of group s.
There are three kinds of control:

* ``gap``: the group's proportions q_sk = N_sk / π_s lie near a common profile p, ‖q_s − p‖₁ ≤ ε/2 for every group.
  For two groups this is exactly Σ_k |q_0k − q_1k| ≤ ε. For more it bounds the radius of the profiles around their
  centre, and so ‖q_s − q_t‖₁ ≤ ε for every pair. ε = 0 is perfect fairness.
* ``balance``: N_sk ≥ b N_tk in every cluster, for every pair of groups.
* ``shares``: l_s N_k ≤ N_sk ≤ u_s N_k with N_k = Σ_s N_sk, the form of Bera et al. (2019).

A table of prices ν (M, K), where group s pays ν_sk to enter cluster k, is dual feasible when Σ_s ν_sk N_s ≤ 0 for
every admissible column N of counts. Instead of constraining ν we take free variables y and put
ν_sk = y_sk − t(y_·k), where the *normaliser* t is the sublinear mean that belongs to the control:

* ``gap``: Σ_s π_s y_s, and the ε-ball subtracts (ε/4) Σ_s π_s (max_k ν_sk − min_k ν_sk) from the dual;
* ``balance``: the root of Σ_s max(b (y_s − t), y_s − t) = 0, an expectile of the y_s;
* ``shares``: Σ_s max(l_s y_s, u_s y_s).

Then the dual is an unconstrained concave maximisation. Kinks are smoothed from above with temperature τ,
max(l x, u x) ≤ l x + (u − l) τ softplus(x/τ), so each smoothed point is feasible for the exact dual and its value there
is a valid lower bound.

A bound that only the whole data's own share meets leaves a group no room: what it may have less in one cluster it
would have to have more in another. The smoothed dual would have its optimum at infinity. Such groups are *pinned*: both
slopes are their own share, which keeps to the face of the cone where all fair counts lie. Adding a constant to the
prices of a pinned group then leaves the dual as it is, and :func:`settled` uses that to give prices which are feasible
for the control as it was asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

Kind = Literal["gap", "balance", "shares"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Control:
    """A fairness control for M groups; build it with :func:`gap`, :func:`balance` or :func:`shares`.

    Attributes
    ----------
    lower, upper : (M,) slopes of the normaliser, the least and greatest admissible count per unit of cluster; equal for
        a pinned group.
    room_below, room_above : (M,) bool, whether the control itself would let a pinned group have less or more.
    epsilon : () additive gap; 0 unless ``kind`` is ``gap``.
    feasible : () bool, whether any assignment satisfies the control.
    kind : static.
    """

    lower: Array
    upper: Array
    room_below: Array
    room_above: Array
    epsilon: Array
    feasible: Array
    kind: Kind = field(metadata={"static": True})


class Slopes(NamedTuple):
    """First two derivatives of the normaliser t(y): slopes ρ = ∇t and curvature along each y (both (M, K))."""

    first: Array
    second: Array


def gap(epsilon: Array, masses: Array) -> Control:
    """Additive gap of at most ``epsilon`` in [0, 2] between group profiles; masses (M,) sum to 1."""
    epsilon = jnp.asarray(epsilon, masses.dtype)
    none = jnp.zeros(masses.shape, bool)
    return Control(masses, masses, none, none, epsilon, epsilon >= 0, "gap")


def _leeway(masses: Array) -> float:
    """Relative leeway within which a bound counts as the whole data's own share."""
    return max(8 * float(jnp.finfo(masses.dtype).eps), 1e-7)


def balance(floor: Array, masses: Array) -> Control:
    """Ratio of any two groups' counts at least ``floor`` in every cluster; feasible up to min π / max π."""
    floor = jnp.asarray(floor, masses.dtype)
    present = masses > 0
    relative = masses / jnp.max(masses)
    best = jnp.min(jnp.where(present, relative, jnp.inf))
    leeway = _leeway(masses)
    feasible = (floor >= 0) & (floor <= best * (1 + leeway))
    # no floor at all would leave prices without a bound
    floor = jnp.maximum(floor, leeway * best)
    at_limit = floor >= best * (1 - leeway)
    smallest, largest = present & (relative <= best * (1 + leeway)), relative >= 1 - leeway
    pinned = at_limit & (smallest | largest)
    zero = jnp.zeros((), masses.dtype)
    return Control(
        jnp.where(pinned, relative, jnp.where(present, floor, zero)),
        jnp.where(pinned, relative, present.astype(masses.dtype)),
        pinned & ~smallest,
        pinned & ~largest,
        zero,
        feasible,
        "balance",
    )


def shares(lower: Array, upper: Array, masses: Array) -> Control:
    """Share of each group in every non-empty cluster within [lower, upper] (M,); feasible iff π is within."""
    lower = jnp.broadcast_to(jnp.asarray(lower, masses.dtype), masses.shape)
    upper = jnp.broadcast_to(jnp.asarray(upper, masses.dtype), masses.shape)
    leeway = _leeway(masses)
    within = (lower <= masses * (1 + leeway)) & (masses * (1 - leeway) <= upper)
    feasible = jnp.all(within | (masses == 0))
    no_less, no_more = lower >= masses * (1 - leeway), upper <= masses * (1 + leeway)
    # a group without points has no share, whatever is asked of it
    pinned = no_less | no_more | (masses == 0)
    return Control(
        jnp.where(pinned, masses, lower),
        jnp.where(pinned, masses, upper),
        pinned & ~no_less & (masses > 0),
        pinned & ~no_more & (masses > 0),
        jnp.zeros((), masses.dtype),
        feasible,
        "shares",
    )


def _pinned(control: Control) -> Array:
    """Groups (M,) without room."""
    return control.lower == control.upper


def adapt(control: Control, masses: Array) -> Control:
    """The control for counts whose row sums are ``masses`` (M,), where rounding makes them differ from the data's."""
    pinned, whole = _pinned(control), jnp.max(masses) if control.kind == "balance" else jnp.sum(masses)
    own = masses / whole
    return replace(control, lower=jnp.where(pinned, own, control.lower), upper=jnp.where(pinned, own, control.upper))


def _kink(control: Control, x: Array, temperature: Array) -> Array:
    """Smoothed max(l x, u x) for x (M, K)."""
    low, width = control.lower[:, None], (control.upper - control.lower)[:, None]
    return low * x + width * temperature * jax.nn.softplus(x / temperature)


def _kink_slope(control: Control, x: Array, temperature: Array) -> Array:
    low, width = control.lower[:, None], (control.upper - control.lower)[:, None]
    return low + width * jax.nn.sigmoid(x / temperature)


def _kink_change(control: Control, x: Array, step: Array, before: Array, after: Array) -> Array:
    """Smoothed kink at x + step and temperature ``after``, less that at x and ``before``, without cancellation."""
    low, width = control.lower[:, None], (control.upper - control.lower)[:, None]
    end = x + step
    same_side = jnp.where(x > 0, step, 0)
    rise = jnp.where((x > 0) == (end > 0), same_side, jax.nn.relu(end) - jax.nn.relu(x))
    rounding = after * jnp.log1p(jnp.exp(-jnp.abs(end) / after)) - before * jnp.log1p(jnp.exp(-jnp.abs(x) / before))
    return low * step + width * (rise + rounding)


def normalise(control: Control, y: Array, temperature: Array) -> tuple[Array, Array]:
    """Prices ν = y − t(y) (M, K), and the arguments (M, K) of the kinks in t."""
    if control.kind == "gap":
        return y - jnp.sum(control.lower[:, None] * y, 0), y
    if control.kind == "shares":
        return y - jnp.sum(_kink(control, y, temperature), 0), y
    still = jnp.zeros_like(y)
    shift = _root(control, y, lambda shift: jnp.sum(_kink(control, y - shift, temperature), 0), still, temperature)
    return y - shift, y - shift


def move(control: Control, kinks: Array, step: Array, before: Array, after: Array) -> tuple[Array, Array]:
    """Change of the prices (M, K) and the new kinks when y moves by ``step`` (M, K) and the temperature changes.

    Worked out from the changes alone: near a kink and between nearly equal prices no digits are lost, however large
    the prices are. That is what lets float32 follow the path to low temperatures.
    """
    if control.kind == "gap":
        return step - jnp.sum(control.lower[:, None] * step, 0), kinks
    if control.kind == "shares":
        return step - jnp.sum(_kink_change(control, kinks, step, before, after), 0), kinks + step

    def excess(shift: Array) -> Array:
        return jnp.sum(_kink_change(control, kinks, step - shift, before, after), 0)

    shift = _root(control, kinks, excess, step, after)
    return step - shift, kinks + (step - shift)


def _root(control: Control, x: Array, excess: Callable[[Array], Array], step: Array, temperature: Array) -> Array:
    """Shift (K,) at which ``excess``, convex and falling with slope that of the kinks at x + step − shift, is zero."""
    eps = jnp.finfo(x.dtype).eps

    def newton(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        shift, _, n_steps = carry
        advance = excess(shift) / jnp.sum(_kink_slope(control, x + (step - shift), temperature), 0)
        moving = jnp.any(jnp.abs(advance) > eps * (temperature + jnp.abs(shift)))
        return shift + advance, moving, n_steps + 1

    # Newton from the left climbs to the root without overshoot, passes each of the M kinks at most once and the tail
    # of a low floor at a temperature a step.
    present = control.upper[:, None] > 0
    start = jnp.min(jnp.where(present, x + step, jnp.inf), 0)
    carry = (start, jnp.array(True), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(lambda carry: carry[1] & (carry[2] < x.shape[0] + 40), newton, carry)[0]


def loss(control: Control, kinks: Array, counts: Array, temperature: Array) -> Array:
    """What counts (M, K) on the smoothed kinks miss of the kinks themselves, in cost (); never negative."""
    width = (control.upper - control.lower)[:, None]
    distance = jnp.abs(kinks) / temperature
    entropy = distance * jax.nn.sigmoid(-distance) + jnp.log1p(jnp.exp(-distance))
    missed = jnp.sum(width * temperature * entropy, 0)
    if control.kind == "balance":
        missed /= jnp.sum(_kink_slope(control, kinks, temperature), 0)
    return jnp.sum(missed * jnp.sum(counts, 0))


def slopes(control: Control, kinks: Array, temperature: Array) -> Slopes:
    """Derivatives of the normaliser where its kinks have the arguments ``kinks`` (M, K)."""
    if control.kind == "gap":
        return Slopes(jnp.broadcast_to(control.lower[:, None], kinks.shape), jnp.zeros_like(kinks))
    first = _kink_slope(control, kinks, temperature)
    above = jax.nn.sigmoid(kinks / temperature)
    second = (control.upper - control.lower)[:, None] * above * (1 - above) / temperature
    if control.kind == "shares":
        return Slopes(first, second)
    total = jnp.sum(first, 0)
    return Slopes(first / total, second / total)


def centre(control: Control, y: Array) -> Array:
    """Y (M, K) with the shifts of whole groups that leave the dual unchanged taken out, so that they cost no digits."""
    return y - _idle(control, jnp.mean(y, 1))[:, None]


def without_drift(control: Control, gradient: Array, counts: Array) -> Array:
    """Gradient (M, K) without what rounding left of it along such shifts; a cluster without counts gets none of it."""
    total = jnp.sum(counts, 1)
    drift = _idle(control, jnp.sum(gradient, 1)) / jnp.where(total > 0, total, 1)
    return gradient - drift[:, None] * counts


def _idle(control: Control, shifts: Array) -> Array:
    """The part of shifts (M, ...), one for all prices of a group, that leaves the dual unchanged."""
    pinned = _pinned(control).reshape(-1, *[1] * (shifts.ndim - 1))
    shifts = jnp.where(pinned, shifts, 0)
    if control.kind != "balance":
        return shifts
    # pinned groups share one scale: only what leaves the normaliser in place
    slopes = jnp.where(pinned, control.lower.reshape(pinned.shape), 0)
    size = jnp.sum(slopes**2, 0)
    return shifts - slopes * (jnp.sum(slopes * shifts, 0) / jnp.where(size > 0, size, 1))


def settled(control: Control, y: Array, temperature: Array) -> tuple[Array, Array]:
    """Prices (M, K) and kinks (M, K) of y, shifted without a change of the dual so as to respect pinned groups' room.

    Without that room a group's prices may have either sign; with room above only those at most zero are feasible.
    """
    if control.kind == "gap":
        return normalise(control, y, temperature)
    _, kinks = normalise(control, y, temperature)
    down = jnp.where(control.room_above, jnp.maximum(jnp.max(kinks, 1), 0), 0)
    up = jnp.where(control.room_below, jnp.maximum(-jnp.min(kinks, 1), 0), 0)
    if control.kind == "balance":
        sinking = jnp.sum(jnp.where(control.room_above, control.lower, 0))
        rising = jnp.sum(jnp.where(control.room_below, control.lower, 0))
        excess = jnp.sum(control.lower * (down - up))
        up += jnp.where(control.room_below, jnp.maximum(excess, 0) / jnp.where(rising > 0, rising, 1), 0)
        down += jnp.where(control.room_above, jnp.maximum(-excess, 0) / jnp.where(sinking > 0, sinking, 1), 0)
    return normalise(control, y + (up - down)[:, None], temperature)


def pull_back(at: Slopes, gradient: Array) -> Array:
    """Gradient with respect to y from the gradient with respect to ν (both (M, K))."""
    return gradient - at.first * jnp.sum(gradient, 0)


def pull_back_hessian(control: Control, at: Slopes, blocks: Array, gradient: Array) -> Array:
    """Negative Hessian in y, (M, K, M, K), from the blocks (M, K, K) of the negative Hessian in ν.

    Along shifts of y that leave the dual unchanged it gets a curvature of its own, so that a Newton step has none of
    them: a common shift of all groups in a cluster, and for ``gap`` of one group in all clusters.
    """
    n_groups, n_clusters = at.first.shape
    slopes = at.first
    total = jnp.sum(blocks, 0)
    same = jnp.eye(n_groups, dtype=slopes.dtype)
    hessian = (
        same[:, None, :, None] * blocks[:, :, None, :]
        - slopes[:, :, None, None] * blocks.transpose(1, 0, 2)[None]
        - blocks[:, :, None, :] * slopes[None, None]
        + slopes[:, :, None, None] * total[None, :, None, :] * slopes[None, None]
    )
    diagonal = jnp.eye(n_clusters, dtype=slopes.dtype)
    stiffness = jnp.max(jnp.diagonal(blocks, axis1=1, axis2=2), 1)
    common = jnp.max(stiffness) * slopes[:, None] * slopes[None]
    if control.kind == "shares":
        common = jnp.where(jnp.all(_pinned(control)), common, 0)
    hessian = hessian + common.transpose(0, 2, 1)[..., None] * diagonal[:, None, :]
    constant = _idle(control, _idle(control, jnp.diag(stiffness / n_clusters)).T)
    hessian = hessian + constant[:, None, :, None]
    if control.kind == "gap":
        return hessian
    # curvature of t: diag(a) for ``shares``; for ``balance`` in the directions that leave t in place
    weight = jnp.maximum(jnp.sum(gradient, 0), 0)
    bend = at.second * weight
    curved = same[:, :, None] * bend[:, None, :]
    if control.kind == "balance":
        curved = (
            curved
            - bend[:, None] * slopes[None]
            - slopes[:, None] * bend[None]
            + slopes[:, None] * slopes[None] * jnp.sum(bend, 0)
        )
    return hessian + curved.transpose(0, 2, 1)[..., None] * diagonal[:, None, :]


class Spread(NamedTuple):
    """The ε-term of ``gap``: how much smoothing adds to it (), gradient (M, K), Hessian blocks (M, K, K).

    ``loss`` () is the exact term less what prices times gradient make of it, never negative.
    """

    excess: Array
    loss: Array
    gradient: Array
    blocks: Array


def exact_spread(control: Control, masses: Array, highest: Array, lowest: Array) -> Array:
    """(ε/4) Σ_s π_s (max_k ν_sk − min_k ν_sk) from the extremes (M,) of each group's prices; 0 for other controls."""
    return jnp.sum((control.epsilon / 4) * masses * (highest - lowest))


def spread(control: Control, masses: Array, below: Array, above: Array, temperature: Array) -> Spread:
    """The ε-term smoothed from above by log-sum-exp.

    ``below`` and ``above`` (M, K) are the prices less each group's highest and less its lowest: near zero where it
    matters.
    """
    scale = (control.epsilon / 4) * masses
    high = jax.nn.softmax(below / temperature, -1)
    low = jax.nn.softmax(-above / temperature, -1)
    excess = jax.nn.logsumexp(below / temperature, -1) + jax.nn.logsumexp(-above / temperature, -1)
    eye = jnp.eye(below.shape[-1], dtype=below.dtype)

    def covariance(p: Array) -> Array:
        return p[:, :, None] * eye - p[:, :, None] * p[:, None, :]

    blocks = (scale / temperature)[:, None, None] * (covariance(high) + covariance(low))
    loss = jnp.sum(low * above - high * below, -1)
    return Spread(jnp.sum(scale * excess) * temperature, jnp.sum(scale * loss), scale[:, None] * (high - low), blocks)


def targets(control: Control, at: Slopes, allowance: Array, counts: Array, masses: Array, negligible: Array) -> Array:
    """Counts (M, K) that satisfy the control exactly (to rounding), near the soft ``counts`` (M, K).

    ``allowance`` is the gradient of the ε-term: what each group's counts may differ from the common profile. Shares
    of a group up to ``negligible`` become none.
    """
    if control.kind == "gap":
        profile = jnp.sum(counts - allowance, 0)
        table = masses[:, None] * profile + allowance
    else:
        table = at.first * jnp.sum(counts, 0) / jnp.sum(at.first, 0)
    # a share of a group that is only the solver's residual must not pay for a cluster that is far away
    table = jnp.where(table > negligible * masses[:, None], table, 0)
    # row sums agree up to the solver's residual; the last rounding goes into proportion
    total = jnp.sum(table, 1, keepdims=True)
    return jnp.where(total > 0, table * (masses[:, None] / jnp.where(total > 0, total, 1)), 0)


def violation(control: Control, counts: Array, masses: Array) -> Array:
    """Weight (of 1) by which counts (M, K) leave the control, at most; 0 when they satisfy it."""
    if control.kind == "gap":
        total = jnp.sum(counts, 1, keepdims=True)
        profiles = counts / jnp.where(total > 0, total, 1)
        apart = jnp.sum(jnp.abs(profiles[:, None] - profiles[None]), -1)
        both = (masses[:, None] > 0) & (masses[None] > 0)
        return jnp.maximum(jnp.max(jnp.where(both, apart, 0)) - control.epsilon, 0)
    if control.kind == "balance":
        most = jnp.max(counts, 0)
        least = control.lower[:, None] * most
        return jnp.max(jnp.maximum(least - counts, 0))
    total = jnp.sum(counts, 0)
    below = control.lower[:, None] * total - counts
    above = counts - control.upper[:, None] * total
    return jnp.max(jnp.maximum(jnp.maximum(below, above), 0))
