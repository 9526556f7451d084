"""What "fair" may mean: each control as a cone of admissible group counts, and its side of the dual.

Write N_sk for the weight of group s in cluster k as a share of the whole weight, and π_s for the share of group s.
There are four controls:

* a *gap*: the group's proportions q_sk = N_sk / π_s lie near a common profile p, ‖q_s − p‖₁ ≤ ε/2 for every group.
  For two groups this is exactly Σ_k |q_0k − q_1k| ≤ ε. For more groups it bounds the distance of the profiles from
  their centre, so that ‖q_s − q_t‖₁ ≤ ε for every pair. ε = 0 is perfect fairness.
* a *balance*: N_sk ≥ b N_tk in every cluster, for every pair of groups.
* *shares*: l_s N_k ≤ N_sk ≤ u_s N_k with N_k = Σ_s N_sk, the form of Bera et al. (2019).
* *counts*: l_k ≤ N_k ≤ u_k, bounds on the size of each cluster; for one group.

The first two are of one kind, ``profile``: groups follow a common profile, up to a gap or up to a ratio. Which of the
two is a traced value, so that changing from one to the other compiles nothing.

A table of prices ν (M, K), where group s pays ν_sk to enter cluster k, is dual feasible when Σ_s ν_sk N_s ≤ 0 for
every admissible column N of counts. Instead of constraining ν we take free variables y and put
ν_sk = y_sk − t(y_·k), where the *normaliser* t is the sublinear mean that belongs to the control:

* gap: Σ_s π_s y_s, and the ε-ball subtracts (ε/4) Σ_s π_s (max_k ν_sk − min_k ν_sk) from the dual;
* balance: the root of Σ_s max(b (y_s − t), y_s − t) = 0, an expectile of the y_s;
* shares: Σ_s max(l_s y_s, u_s y_s).

so that every y gives a bound. Counts need no normaliser: every ν is feasible, and the most that the bounds let
counts earn, Σ_k max(l_k ν_k, u_k ν_k), is subtracted from the dual. Where no group has room, as under a gap, the
normaliser of a balance is that of a gap.

A bound equal to the group's share of all the data leaves the group no room: less than its share in one cluster would
mean more in another. :func:`fitted` makes such groups *pinned*: both slopes become their own share, which stays on the
face of the cone that holds all fair counts. Adding a constant to the prices of a pinned group then leaves the dual
unchanged, and :func:`settled` uses that freedom to make the prices feasible for the control as it was asked for.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from fairjax._core.precision import first_least

Kind = Literal["profile", "shares", "counts"]

ROUNDING = 8 * float(jnp.finfo(jnp.float64).eps)  # of sums in double precision, relative to the given weights


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Control:
    """A fairness control for M groups; build it with :func:`gap`, :func:`balance`, :func:`shares` or
    :func:`counts`.

    Attributes
    ----------
    lower, upper : (M,)
        Least and greatest admissible count per unit of cluster; equal for a pinned group. (1, K) for ``counts``, in the
        units of ``whole``.
    room_below, room_above : (M,) bool
        Whether the control itself would let a pinned group have less or more.
    additive : () bool
        Whether a ``profile`` is followed up to a gap, and not up to a ratio.
    epsilon : ()
        The gap; 0 for other controls.
    floor : ()
        Floor of the balance; 0 for other controls.
    leeway : ()
        Relative rounding error of the masses: a bound that the data's own share misses by no more is satisfied.
    whole : ()
        Weight of all points in the units of the bounds; 1 except for ``counts``, whose bounds so stay exact.
    feasible : () bool
        Whether any assignment satisfies the control.
    kind : static
    """

    lower: Array
    upper: Array
    room_below: Array
    room_above: Array
    additive: Array
    epsilon: Array
    floor: Array
    leeway: Array
    whole: Array
    feasible: Array
    kind: Kind = field(metadata={"static": True})


def _asked(
    kind: Kind,
    lower: Array,
    upper: Array,
    feasible: Array,
    *,
    additive: ArrayLike = False,
    epsilon: ArrayLike = 0.0,
    floor: ArrayLike = 0.0,
    whole: ArrayLike = 1.0,
) -> Control:
    """A control as it was asked for: no group is pinned yet."""
    dtype, none = lower.dtype, jnp.zeros(lower.shape, bool)
    return Control(
        lower, upper, none, none, jnp.asarray(additive), jnp.asarray(epsilon, dtype), jnp.asarray(floor, dtype),
        jnp.asarray(_leeway(dtype), dtype), jnp.asarray(whole, dtype), feasible, kind,
    )  # fmt: skip


def _leeway(dtype: DTypeLike) -> float:
    return max(8 * float(jnp.finfo(dtype).eps), 1e-7)


def gap(epsilon: Array, masses: Array) -> Control:
    """Additive gap of at most ``epsilon`` in [0, 2] between group profiles; masses (M,) sum to 1."""
    epsilon = jnp.asarray(epsilon, masses.dtype)
    return _asked("profile", masses, masses, epsilon >= 0, additive=True, epsilon=epsilon)


def balance(floor: Array, masses: Array) -> Control:
    """Ratio of any two groups' counts at least ``floor`` in every cluster; feasible up to min π / max π."""
    floor = jnp.asarray(floor, masses.dtype)
    feasible = (floor >= 0) & (floor <= best_balance(masses) * (1 + _leeway(masses.dtype)))
    floor = jnp.maximum(floor, 0)
    return _asked("profile", jnp.broadcast_to(floor, masses.shape), jnp.ones_like(masses), feasible, floor=floor)


def either(additive: Array, value: Array, masses: Array) -> Control:
    """:func:`gap` of at most ``value`` () where ``additive`` () bool, else :func:`balance` of at least ``value``."""
    return jax.tree.map(
        lambda gap, balance: jnp.where(additive, gap, balance), gap(value, masses), balance(value, masses)
    )


def shares(lower: Array, upper: Array, masses: Array) -> Control:
    """Share of each group in every non-empty cluster within [lower, upper] (M,); feasible iff π is within."""
    lower = jnp.broadcast_to(jnp.asarray(lower, masses.dtype), masses.shape)
    upper = jnp.broadcast_to(jnp.asarray(upper, masses.dtype), masses.shape)
    leeway = _leeway(masses.dtype)
    within = (lower <= masses * (1 + leeway)) & (masses * (1 - leeway) <= upper)
    return _asked("shares", lower, upper, jnp.all(within | (masses == 0)))


def counts(lower: Array, upper: Array, whole: Array) -> Control:
    """Weight of each cluster within [lower, upper] (K,); ``whole`` () is the total in the same units. One group."""
    upper = jnp.minimum(upper, whole)
    leeway = _leeway(lower.dtype)
    within = jnp.all((lower >= 0) & (lower <= upper))
    feasible = within & (jnp.sum(lower) <= whole * (1 + leeway)) & (jnp.sum(upper) >= whole * (1 - leeway))
    return _asked("counts", lower[None], upper[None], feasible, whole=whole)


def best_balance(masses: Array) -> Array:
    """The best balance () that groups of these masses (M,) allow."""
    return jnp.min(jnp.where(masses > 0, masses, jnp.inf)) / jnp.max(masses)


def fitted(control: Control, masses: Array, leeway: Array | float) -> Control:
    """The control for counts with row sums ``masses`` (M,); groups that it leaves no room are pinned.

    A bound leaves no room if it is within ``leeway`` () of the group's own share, relative to that share. An infinite
    ``leeway`` turns every control into perfect fairness.
    """
    present = masses > 0
    if control.kind == "counts":
        # no room if all lower bounds together, or all upper bounds together, make up the whole
        least = jnp.sum(control.lower) >= control.whole * (1 - ROUNDING)
        most = jnp.sum(control.upper) <= control.whole * (1 + ROUNDING)
        lower, upper = jnp.where(most & ~least, control.upper, control.lower), control.upper
        even = jnp.asarray(lower.shape[1], lower.dtype)
        unit = even / control.whole
        return replace(control, lower=lower * unit, upper=jnp.where(least, lower, upper) * unit, whole=even)
    floor = control.floor
    if control.kind == "profile":
        own, best = masses / jnp.max(masses), best_balance(masses)
        floor = jnp.minimum(floor, best)
        at_limit = control.floor >= best * (1 - leeway)
        # a gap alone leaves no group room
        no_less = control.additive | (at_limit & (own <= best * (1 + leeway)))
        no_more = control.additive | (at_limit & (own >= 1 - leeway))
        own = jnp.where(control.additive, masses / jnp.sum(masses), own)
        # a group without points has count 0, whatever the bounds
        lower, upper = jnp.broadcast_to(floor, masses.shape), jnp.where(present, control.upper, 0)
        pinned = present & (no_less | no_more)
    else:
        own = masses / jnp.sum(masses)
        no_less, no_more = control.lower >= own * (1 - leeway), control.upper <= own * (1 + leeway)
        lower, upper = control.lower, control.upper
        pinned = no_less | no_more | ~present
        # a single group with room has none in fact: it gets what the others leave of every cluster
        pinned |= jnp.sum(~pinned) == 1
    return replace(
        control,
        lower=jnp.where(pinned, own, jnp.where(present, lower, 0)),
        upper=jnp.where(pinned, own, upper),
        room_below=pinned & ~no_less & present,
        room_above=pinned & ~no_more & present,
        floor=floor,
    )


def allows_all(control: Control, masses: Array) -> Array:
    """Whether (() bool) every assignment satisfies the control, to rounding."""
    if control.kind == "profile":
        # M disjoint profiles are this far from their centre, and no profiles are farther
        farthest = 4 * (1 - 1 / masses.shape[0])
        return jnp.where(control.additive, control.epsilon >= farthest, control.floor <= 1e-12 * best_balance(masses))
    if control.kind == "counts":
        return jnp.all((control.lower <= 0) & (control.upper >= control.whole))
    return jnp.all((masses == 0) | ((control.lower <= 0) & (control.upper >= 1)))


def without_room(control: Control) -> Array:
    """Which groups (M,) have no room under the control."""
    return control.lower == control.upper


def _expectile(control: Control, y: Array, margin: ArrayLike = 0.0) -> Array:
    """Expectile t (K,) of y (M, K), the root of Σ_s max(l_s (y_s − t), u_s (y_s − t)); a relative ``margin`` raises it.

    It is the greatest root of the sum's linear pieces.
    """
    above = y[None] >= y[:, None]
    slopes = jnp.where(above, control.upper[None, :, None], control.lower[None, :, None])
    total = jnp.sum(slopes, 1)
    roots = jnp.sum(slopes * (y + margin * jnp.abs(y))[None], 1) / jnp.where(total > 0, total, 1)
    return jnp.max(jnp.where(total > 0, roots, -jnp.inf), 0)


def normalise(control: Control, y: Array) -> tuple[Array, Array]:
    """Prices ν = y − t(y) (M, K), and what presses on the bounds (M, K): the arguments of the kinks in t."""
    if control.kind == "shares":
        return y - jnp.sum(jnp.maximum(control.lower[:, None] * y, control.upper[:, None] * y), 0), y
    if control.kind == "counts":
        return y, y
    present = control.upper[:, None] > 0
    prices = y - _expectile(control, jnp.where(present, y, 0))
    return prices, jnp.where(control.additive, y, prices)


def proven(control: Control, masses: Array, prices: Array) -> Array:
    """Prices (M, K) that prove a bound: less what counts that the control admits, as asked, could earn in each cluster.

    Those earnings include their rounding error. For feasible prices, which only lost their last digits, they are next
    to nothing.
    """
    present, own = masses > 0, masses / jnp.sum(masses)
    prices = jnp.where(present[:, None], prices, 0)
    margin = 8 * jnp.finfo(prices.dtype).eps
    if control.kind == "counts":
        return prices
    if control.kind == "profile":
        least, most = jnp.minimum(control.floor, best_balance(masses)), jnp.ones_like(own)
        least, most = (jnp.where(control.additive, own, jnp.where(present, bound, 0)) for bound in (least, most))
        every = replace(control, lower=least, upper=most)
        earned = _expectile(every, prices, margin)
    else:
        # the best shares within the bounds that sum to 1: by duality the least of M values, one per group
        lower = jnp.where(present, jnp.minimum(control.lower, own), 0)[None, :, None]
        upper = jnp.where(present, jnp.maximum(control.upper, own), 0)[None, :, None]
        apart = prices[None] - prices[:, None]
        terms = jnp.maximum(lower * apart, upper * apart)
        values = prices + jnp.sum(terms, 1) + margin * (jnp.abs(prices) + jnp.sum(jnp.abs(terms), 1))
        earned = jnp.min(jnp.where(present[:, None], values, jnp.inf), 0)
    return prices - earned


def _rebased(control: Control, y: Array) -> Array:
    """Free variables y (M, K) less, in each cluster, the constant c that makes the dual greatest.

    Then the prices are y − (c + t(y − c)), so c + t(y − c) is least there: convex and piecewise linear, it
    has its kinks at the y of groups with room. One of them therefore ends at 0. Where no group has much room, the
    constant hardly matters, and solvers may end with any.
    """
    roomy = ~without_room(control)
    # if no group has room, the constant has no effect; take it from one whose price must be 0, as it could have both
    # less and more by its own bounds
    based = roomy | (~jnp.any(roomy) & control.room_below & control.room_above)
    lower, upper = control.lower[None, :, None], control.upper[None, :, None]
    apart = y[None] - y[:, None]
    values = y + jnp.sum(jnp.maximum(lower * apart, upper * apart), 1)
    values = jnp.where(based[:, None], values, jnp.inf)
    base = jnp.arange(y.shape[0])[:, None] == first_least(values, 0)
    return y - jnp.sum(jnp.where(base & based[:, None], y, 0), 0)


def settled(control: Control, y: Array) -> Array:
    """Shift y (M, K), without lowering the dual, so that its prices respect the room of pinned groups.

    Prices of a pinned group may have either sign if it has no such room; with room above they must be at most zero.
    """
    if control.kind == "counts":
        return y + _earned(control, y)[1]
    if control.kind == "shares":
        y = _rebased(control, y)
    _, kinks = normalise(control, y)
    down = jnp.where(control.room_above, jnp.maximum(jnp.max(kinks, 1), 0), 0)
    up = jnp.where(control.room_below, jnp.maximum(-jnp.min(kinks, 1), 0), 0)
    if control.kind == "profile":
        sinking = jnp.sum(jnp.where(control.room_above, control.lower, 0))
        rising = jnp.sum(jnp.where(control.room_below, control.lower, 0))
        excess = jnp.sum(control.lower * (down - up))
        up += jnp.where(control.room_below, jnp.maximum(excess, 0) / jnp.where(rising > 0, rising, 1), 0)
        down += jnp.where(control.room_above, jnp.maximum(-excess, 0) / jnp.where(sinking > 0, sinking, 1), 0)
    return y + (up - down)[:, None]


def exact_spread(control: Control, masses: Array, prices: Array) -> Array:
    """What the control subtracts from the dual beyond the prices (M, K) themselves.

    For a gap (ε/4) Σ_s π_s (max_k ν_sk − min_k ν_sk); for ``counts`` the most that the bounds let them earn; else 0.
    """
    if control.kind == "counts":
        return jnp.sum(masses) * _earned(control, prices)[0]
    return jnp.sum((control.epsilon / 4) * masses * (jnp.max(prices, 1) - jnp.min(prices, 1)))


def _earned(control: Control, prices: Array) -> tuple[Array, Array]:
    """Minimum () over constants c of Σ_k max(l_k (ν_k + c), u_k (ν_k + c)) − c for prices ν (1, K), and that c ().

    A constant changes nothing between clusters, so prices prove the bound of the best constant, which makes one of them
    zero.
    """
    paid = prices[0] - prices[0][:, None]
    lower, upper = control.lower / control.whole, control.upper / control.whole
    earned = jnp.sum(jnp.maximum(lower * paid, upper * paid), 1) + prices[0]
    best = first_least(earned)
    return earned[best], -prices[0][best]
