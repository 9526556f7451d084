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

so that every y gives a bound.

A bound that only the whole data's own share meets leaves a group no room: what it may have less in one cluster it
would have to have more in another. Such groups are *pinned*: both slopes are their own share, which keeps to the face
of the cone where all fair counts lie. Adding a constant to the prices of a pinned group then leaves the dual as it is,
and :func:`settled` uses that to give prices which are feasible for the control as it was asked for.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

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
    lower, upper : (M,) least and greatest admissible count per unit of cluster; equal for a pinned group.
    room_below, room_above : (M,) bool, whether the control itself would let a pinned group have less or more.
    epsilon : () additive gap; 0 unless ``kind`` is ``gap``. asked : () floor of the balance; 0 unless ``balance``.
    feasible : () bool, whether any assignment satisfies the control.
    kind : static.
    """

    lower: Array
    upper: Array
    room_below: Array
    room_above: Array
    epsilon: Array
    asked: Array
    feasible: Array
    kind: Kind = field(metadata={"static": True})


def gap(epsilon: Array, masses: Array) -> Control:
    """Additive gap of at most ``epsilon`` in [0, 2] between group profiles; masses (M,) sum to 1."""
    epsilon = jnp.asarray(epsilon, masses.dtype)
    none = jnp.zeros(masses.shape, bool)
    return Control(masses, masses, none, none, epsilon, jnp.zeros_like(epsilon), epsilon >= 0, "gap")


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
    floor = jnp.maximum(floor, 0)
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
        jnp.minimum(floor, best),
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
    best = jnp.min(jnp.where(masses > 0, masses, jnp.inf)) / jnp.max(masses)
    return replace(
        control,
        lower=jnp.where(pinned, own, control.lower),
        upper=jnp.where(pinned, own, control.upper),
        asked=jnp.minimum(control.asked, best),
    )


def _expectile(control: Control, y: Array) -> Array:
    """Expectile t (K,) of y (M, K), the root of Σ_s max(l_s (y_s − t), u_s (y_s − t)).

    It is the greatest root of the sum's linear pieces.
    """
    above = y[None] >= y[:, None]
    slopes = jnp.where(above, control.upper[None, :, None], control.lower[None, :, None])
    total = jnp.sum(slopes, 1)
    roots = jnp.sum(slopes * y[None], 1) / jnp.where(total > 0, total, 1)
    return jnp.max(jnp.where(total > 0, roots, -jnp.inf), 0)


def normalise(control: Control, y: Array) -> tuple[Array, Array]:
    """Prices ν = y − t(y) (M, K), and what presses on the bounds (M, K): the arguments of the kinks in t."""
    if control.kind == "gap":
        return y - jnp.sum(control.lower[:, None] * y, 0), y
    if control.kind == "shares":
        return y - jnp.sum(jnp.maximum(control.lower[:, None] * y, control.upper[:, None] * y), 0), y
    present = control.upper[:, None] > 0
    prices = y - _expectile(control, jnp.where(present, y, 0))
    return prices, prices


def settled(control: Control, y: Array) -> tuple[Array, Array]:
    """As :func:`normalise`, of y shifted without a change of the dual so as to respect pinned groups' room.

    Without that room a group's prices may have either sign; with room above only those at most zero are feasible.
    """
    if control.kind == "gap":
        return normalise(control, y)
    _, kinks = normalise(control, y)
    down = jnp.where(control.room_above, jnp.maximum(jnp.max(kinks, 1), 0), 0)
    up = jnp.where(control.room_below, jnp.maximum(-jnp.min(kinks, 1), 0), 0)
    if control.kind == "balance":
        sinking = jnp.sum(jnp.where(control.room_above, control.lower, 0))
        rising = jnp.sum(jnp.where(control.room_below, control.lower, 0))
        excess = jnp.sum(control.lower * (down - up))
        up += jnp.where(control.room_below, jnp.maximum(excess, 0) / jnp.where(rising > 0, rising, 1), 0)
        down += jnp.where(control.room_above, jnp.maximum(-excess, 0) / jnp.where(sinking > 0, sinking, 1), 0)
    return normalise(control, y + (up - down)[:, None])


def exact_spread(control: Control, masses: Array, prices: Array) -> Array:
    """(ε/4) Σ_s π_s (max_k ν_sk − min_k ν_sk) of prices (M, K), what the gap ε adds; 0 for other controls."""
    return jnp.sum((control.epsilon / 4) * masses * (jnp.max(prices, 1) - jnp.min(prices, 1)))


def targets(control: Control, shares: Array, level: Array, masses: Array, negligible: float) -> Array:
    """Counts (M, K) that satisfy the control exactly (to rounding), near shares (M, K) of the groups that nearly do.

    Where a bound is missed, the counts are mixed with those of perfect fairness, which miss none, by as little as will
    do. ``level`` (K,) is that of the clusters; shares of a group up to ``negligible`` become none.
    """
    profile = jnp.maximum(level, 0) / jnp.sum(jnp.maximum(level, 0))
    present = masses[:, None] > 0
    pinned = _pinned(control)[:, None]
    fair = jnp.broadcast_to(profile, shares.shape)
    if control.kind == "gap":
        apart = shares - fair
        size = jnp.sum(jnp.abs(apart), 1, keepdims=True)
        allowed = control.epsilon / 2
        shares = fair + apart * jnp.where(size > allowed, allowed / jnp.where(size > 0, size, 1), 1)
    else:
        whole = jnp.sum(masses[:, None] * shares, 0)
        # the profile has to be one that the groups with room have in common, too
        profile = jnp.where(jnp.any(pinned & present), profile, whole / jnp.sum(whole))
        fair = jnp.broadcast_to(profile, shares.shape)
        shares = jnp.where(pinned, fair, shares)
        if control.kind == "balance":
            own = jnp.max(
                jnp.where(pinned & present, control.lower[:, None] / jnp.where(present, masses[:, None], 1), 0)
            )
            scaled = profile / jnp.where(own > 0, own, 1)
            shares = jnp.where(pinned, shares, _within(control, shares, jnp.where(own > 0, scaled, level), masses))
    shares = jnp.maximum(shares, 0)
    part = _excess(control, shares, fair, masses)
    table = jnp.where(present, shares + part * (fair - shares), 0)
    # a share of a group that is only the solver's residual must not pay for a cluster that is far away
    table = jnp.where(table > negligible, table, 0)
    total = jnp.sum(table, 1, keepdims=True)
    return masses[:, None] * table / jnp.where(total > 0, total, 1)


def _within(control: Control, shares: Array, level: Array, masses: Array) -> Array:
    """Shares (M, K) within the bounds for a given level (K,); what that changes of a group goes where it has room."""
    present = jnp.where(masses > 0, masses, 1)[:, None]
    lower = control.lower[:, None] * level / present
    upper = jnp.maximum(control.upper[:, None] * level / present, lower)
    inside = jnp.clip(shares, lower, upper)
    lacking = 1 - jnp.sum(inside, 1, keepdims=True)
    room = jnp.where(lacking > 0, upper - inside, inside - lower)
    whole = jnp.sum(room, 1, keepdims=True)
    moved = inside + lacking * room / jnp.where(whole > 0, whole, 1)
    return jnp.where(whole >= jnp.abs(lacking), moved, shares)


_MET = 1e-13  # of a group: within rounding


def _excess(control: Control, shares: Array, fair: Array, masses: Array) -> Array:
    """Least part () of ``fair`` (M, K) in a mixture with ``shares`` (M, K) that satisfies the bounds."""
    if control.kind == "gap":
        return jnp.zeros((), shares.dtype)

    def room(table: Array) -> Array:
        counts = masses[:, None] * table
        if control.kind == "balance":
            present = (masses > 0)[:, None] & (masses > 0)[None, :]
            pairs = counts[:, None] - control.asked * counts[None]
            return jnp.where(present[..., None], pairs, 0)
        whole = jnp.sum(counts, 0)
        return jnp.stack([counts - control.lower[:, None] * whole, control.upper[:, None] * whole - counts])

    ours, theirs = room(shares), jnp.maximum(room(fair), 0)
    # a bound that the groups without room meet exactly is missed by rounding only
    own = masses[:, None, None] if control.kind == "balance" else masses[:, None]
    missed = jnp.where(-ours > _MET * own, -ours, 0)
    return jnp.max(jnp.where(missed > 0, missed / jnp.where(missed > 0, theirs + missed, 1), 0))


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
        least = jnp.where(masses > 0, control.asked, 0)[:, None] * most
        return jnp.max(jnp.maximum(least - counts, 0))
    total = jnp.sum(counts, 0)
    below = control.lower[:, None] * total - counts
    above = counts - control.upper[:, None] * total
    return jnp.max(jnp.maximum(jnp.maximum(below, above), 0))
