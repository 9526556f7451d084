"""Counts of groups in clusters: the nearest ones that a control admits, and by how much others violate it."""

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.assignment.controls import Control, best_balance, without_room

_ROUNDS = 20  # of adjusting clusters and groups in turn
_MET = 1e-13  # of a group's fair share: a smaller miss is rounding


def targets(control: Control, shares: Array, level: Array, masses: Array) -> Array:
    """Counts (M, K) that satisfy the control exactly (to rounding), near the groups' shares (M, K), which nearly do.

    ``level`` (K,) is the level of each cluster, a multiple of the common profile.
    """
    present = masses[:, None] > 0
    shares = _normalised(jnp.where(present, jnp.maximum(shares, 0), 0))
    level = jnp.maximum(level, 0)
    if control.kind == "counts":
        return masses[:, None] * _clipped(shares, control.lower / control.whole, control.upper / control.whole)
    bounded = _within_bounds(control, masses[:, None] * _with_room(control, shares, level, masses), masses)
    if control.kind == "shares":
        return bounded
    return jnp.where(control.additive, masses[:, None] * _near_profile(control, shares, level), bounded)


def _near_profile(control: Control, shares: Array, level: Array) -> Array:
    """Shares (M, K) no farther from the profile of the levels (K,) than the gap allows."""
    profile = level / jnp.sum(level)
    apart = shares - profile
    size = jnp.sum(jnp.abs(apart), 1, keepdims=True)
    allowed = control.epsilon / 2
    return _normalised(profile + apart * jnp.where(size > allowed, allowed / jnp.where(size > 0, size, 1), 1))


def _normalised(table: Array) -> Array:
    """Rows divided by their sums."""
    total = jnp.sum(table, 1, keepdims=True)
    return table / jnp.where(total > 0, total, 1)


def _with_room(control: Control, shares: Array, level: Array, masses: Array) -> Array:
    """Shares (M, K) within the bounds that a given level sets; groups without room take a common profile."""
    pinned, present = without_room(control) & (masses > 0), masses > 0
    each = jnp.where(present, masses, 1)[:, None]
    lower, upper = control.lower[:, None] / each, control.upper[:, None] / each
    if control.kind == "profile":
        profile = level / jnp.sum(level)
        # scaled so that every group can fill it, and none has to exceed it
        least = jnp.max(jnp.where(present, 1 / jnp.where(present, upper[:, 0], 1), 0))
        most = jnp.min(jnp.where(lower[:, 0] > 0, 1 / jnp.where(lower[:, 0] > 0, lower[:, 0], 1), jnp.inf))
        level = profile * jnp.clip(jnp.sum(level), least, jnp.maximum(most, least))
        inside = _clipped(shares, lower * level, upper * level)
        return jnp.where(pinned[:, None], profile, inside)
    profile = jnp.sum(masses[:, None] * shares, 0)
    lower, upper = lower * profile, upper * profile
    roomy = (present & ~pinned)[:, None]

    def closer(_: Array, inside: Array) -> Array:
        """Groups with room make up what is missing from the profile, each as far as its room allows."""
        missing = profile - jnp.sum(masses[:, None] * inside, 0)
        room = jnp.where(missing > 0, upper - inside, inside - lower)
        room = jnp.where(roomy, masses[:, None] * jnp.maximum(room, 0), 0)
        part = missing / jnp.where(jnp.sum(room, 0) > 0, jnp.sum(room, 0), 1)
        inside += jnp.clip(part, -1, 1) * room / each
        return jnp.where(roomy, _clipped(inside, lower, upper), inside)

    inside = jnp.where(pinned[:, None], profile, _clipped(shares, lower, upper))
    return jax.lax.fori_loop(0, _ROUNDS, closer, inside)


def _clipped(shares: Array, lower: Array, upper: Array) -> Array:
    """Clip shares (M, K) to bounds (M, K); what a group gains or loses is moved to clusters where it has room."""
    inside = jnp.clip(shares, lower, jnp.maximum(upper, lower))
    lacking = 1 - jnp.sum(inside, 1, keepdims=True)
    room = jnp.maximum(jnp.where(lacking > 0, upper - inside, inside - lower), 0)
    whole = jnp.sum(room, 1, keepdims=True)
    return inside + jnp.clip(lacking / jnp.where(whole > 0, whole, 1), -1, 1) * room


def _within_bounds(control: Control, counts: Array, masses: Array) -> Array:
    """Counts (M, K) within the bounds of a balance or of shares.

    Where bounds are missed, counts are mixed with perfectly fair ones, which miss none, as little as possible: first
    cluster by cluster, so that a nearly empty cluster does not affect the others, then in all clusters at once.
    """

    def mixed(i: Array, counts: Array) -> Array:
        fair = masses[:, None] * jnp.sum(counts, 0) / jnp.sum(masses)
        part = excess(control, counts, fair)
        counts = counts + jnp.where(i == 0, part, jnp.max(part)) * (fair - counts)
        missing = masses - jnp.sum(counts, 1)
        return counts + missing[:, None] * jnp.sum(counts, 0) / jnp.sum(counts)

    return jax.lax.fori_loop(0, 2, mixed, counts)


def excess(control: Control, counts: Array, fair: Array, met: float = _MET) -> Array:
    """Smallest part (K,) of ``fair`` (M, K) to mix into ``counts`` (M, K) so that the bounds are satisfied.

    Groups without room are skipped: their counts are fair already. A bound that is missed by at most ``met``, as a
    share of a fair count, counts as satisfied.
    """
    roomy = ~without_room(control)

    def room(counts: Array) -> Array:
        if control.kind == "profile":
            pairs = counts[:, :, None] - control.floor * counts[:, None]
            present = control.upper > 0
            counted = (roomy[:, None] | roomy[None, :]) & present[:, None] & present[None, :]
            return jnp.where(counted[..., None], pairs, 0)
        whole = jnp.sum(counts, 1, keepdims=True)
        both = jnp.stack([counts - control.lower[:, None] * whole, control.upper[:, None] * whole - counts], 1)
        return jnp.where(roomy[:, None], both, 0)

    ours, theirs = room(jnp.stack([counts, fair]))
    theirs = jnp.maximum(theirs, 0)
    own = fair[:, None] if control.kind == "profile" else fair
    missed = jnp.where(-ours > met * own, -ours, 0)
    return jnp.max(jnp.where(missed > 0, missed / jnp.where(missed > 0, theirs + missed, 1), 0), (0, 1))


def violation(control: Control, counts: Array, masses: Array) -> Array:
    """Largest amount by which counts (M, K) violate the control, as a share of the group concerned; 0 if none do.

    A bound that perfect fairness misses by rounding asks for perfect fairness.
    """
    present = masses[:, None] > 0
    each = jnp.where(present, masses[:, None], 1)
    if control.kind == "profile":
        missed = jnp.minimum(control.floor, best_balance(masses)) * jnp.max(counts, 0) - counts
    elif control.kind == "counts":
        unit = jnp.sum(masses) / control.whole
        missed = jnp.maximum(control.lower * unit - counts, counts - control.upper * unit)
    else:
        total, own = jnp.sum(counts, 0), masses / jnp.sum(masses)
        lower, upper = jnp.minimum(control.lower, own), jnp.maximum(control.upper, own)
        missed = jnp.maximum(lower[:, None] * total - counts, counts - upper[:, None] * total)
    missed = jnp.max(jnp.where(present, jnp.maximum(missed, 0) / each, 0))
    if control.kind != "profile":
        return missed
    total = jnp.sum(counts, 1, keepdims=True)
    profiles = counts / jnp.where(total > 0, total, 1)
    apart = jnp.sum(jnp.abs(profiles[:, None] - profiles[None]), -1)
    beyond = jnp.maximum(jnp.max(jnp.where(present & present.T, apart, 0)) - control.epsilon, 0)
    return jnp.where(control.additive, beyond, missed)
