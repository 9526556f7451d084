"""The assignment of VFC: soft clusters that trade the points' costs against the clusters' divergence from a target.

Minimised over shares S (rows on the simplex) is

    E(S) = Σ_pk w_p S_pk a_pk + λ Σ_k KL(u ‖ P_k),   P_jk the share of group j in cluster k,

by the bound of Ziko et al.: S ← S exp(−(a + λ b)/L), rows normalised, where λ b_pk is the derivative of the second
term. It depends on a point through its group only. So after any steps S ∝ exp(−c a_pk − B_jk), with one number c and
a table B (M, K): nothing as large as the data is kept, shares never underflow to a zero from which they cannot return,
and B/c are prices by which new points are assigned.

References
----------
.. [1] I. M. Ziko, J. Yuan, E. Granger, I. Ben Ayed, "Variational fair clustering", AAAI 2021.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fairjax.baselines.leading import exponentials
from fairjax.errors import InputError

LEAST_BOUND = 2.0
"""The least L that the safeguarded scheme tries, the authors' constant."""

_SETTLING = 3  # the first step after which the authors' tests look at the energy


class Shares(NamedTuple):
    """Outcome of `assign`: the shares are proportional to ``exp(-sharpness * (costs + prices[group]))``."""

    labels: Array
    """(n,) int32, the cluster of the greatest share."""
    prices: Array
    """(M, K), what a point of a group pays to enter a cluster, in units of cost: labels are the cheapest clusters."""
    sharpness: Array
    """() inverse temperature."""
    energy: Array
    """() E of the shares, a sum over points; not finite after a fixed step that diverged: the rest is from before."""
    divergence: Array
    """() Σ_k KL(u ‖ P_k) of the shares."""
    start_energy: Array
    """() E of the shares at the start, the softmax of the negative costs."""
    n_steps: Array
    """() int32, passes over the points."""
    settled: Array
    """() bool, whether the energy had come to rest."""


class _State(NamedTuple):
    sharpness: Array  # c
    table: Array  # B, (K, M)
    slope: Array  # b, (K, M), at the shares
    energy: Array
    divergence: Array
    normalizers: Array
    tested: Array  # what the last test of a fixed step compares with
    bound: Array  # L
    n_accepted: Array
    n_steps: Array
    settled: Array


class _Pass(NamedTuple):
    """What one pass over the points finds."""

    slope: Array
    energy: Array
    divergence: Array
    cost: Array  # Σ w S a
    masses: Array  # Σ w S by cluster and group, (K, M)
    normalizers: Array  # Σ w log Σ_k exp(−c a − B)


@jax.jit
def assign(
    costs: ArrayLike,
    groups: ArrayLike,
    strength: ArrayLike,
    target: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    step: ArrayLike | None = None,
    max_steps: ArrayLike = 1000,
    tol: ArrayLike = 1e-5,
) -> Shares:
    """Minimise E, from the softmax of the negative costs.

    Parameters
    ----------
    costs : (n, K) a.
    groups : (n,) ids from 0 to M-1.
    strength : () λ ≥ 0; in units of a sum of costs over points.
    target : (M,) u, shares that sum to 1; its length says how many groups there are.
    weights : (n,) non-negative, all ones by default.
    step : L, fixed, as published (2.0; 1.0 for Ncut). By default L is doubled whenever the energy would rise, and the
        step is not taken; after each step that is, L falls by a third, to 2 at least.
    max_steps : most passes over the points, traced.
    tol : the steps end when E changes by less than this share, from the third one on. With a fixed `step` the test is
        the authors', on the bound of the energy.

    Returns
    -------
    Shares
        O(n K M) time a step, O(n K) memory. With a fixed step the energy may rise, or stop being finite.

    Raises
    ------
    InputError
        If the shapes do not agree.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> costs = jnp.array([[0.0, 1.0], [0.5, 0.2], [2.0, 0.0], [1.0, 1.0]])
    >>> found = assign(costs, jnp.array([0, 0, 1, 1]), 10.0, jnp.array([0.5, 0.5]))
    >>> found.labels.tolist(), round(float(found.energy), 3)
    ([0, 1, 1, 0], 1.2)
    """
    costs = jnp.asarray(costs)
    costs = costs if jnp.issubdtype(costs.dtype, jnp.floating) else costs.astype(jnp.result_type(float))
    groups, target = jnp.asarray(groups), jnp.asarray(target, costs.dtype)
    weights = jnp.ones_like(costs[:, 0]) if weights is None else jnp.asarray(weights, costs.dtype)
    if costs.ndim != 2 or groups.shape != costs.shape[:1] or weights.shape != groups.shape or target.ndim != 1:
        raise InputError(
            f"costs, groups, target and weights have shapes {costs.shape}, {groups.shape}, {target.shape} and "
            f"{weights.shape}; expected (n, K), (n,), (M,) and (n,)"
        )
    return settle(costs.T, groups, strength, target, weights, step, max_steps, tol)


def settle(
    costs: Array,
    groups: Array,
    strength: ArrayLike,
    target: Array,
    weights: Array,
    step: ArrayLike | None,
    max_steps: ArrayLike,
    tol: ArrayLike,
    least: ArrayLike = LEAST_BOUND,
) -> Shares:
    """`assign` for costs as (K, n), where nothing is checked; ``least`` is the least L of the safeguarded scheme."""
    dtype = costs.dtype
    strength, tol = jnp.asarray(strength, dtype), jnp.asarray(tol, dtype)
    members = jnp.where(groups == jnp.arange(len(target))[:, None], jnp.ones((), dtype), 0)
    look = partial(_look, costs, members, weights, target, strength)

    sharpness, table = jnp.ones((), dtype), jnp.zeros((len(costs), len(target)), dtype)
    bound = jnp.asarray(least if step is None else step, dtype)
    first = look(sharpness, table)
    zero = jnp.zeros((), jnp.int32)
    infinite = jnp.full((), jnp.inf, dtype)
    state = _State(
        sharpness, table, first.slope, first.energy, first.divergence, first.normalizers, infinite,
        bound, zero, zero, jnp.zeros((), bool),
    )  # fmt: skip
    move = (
        partial(_safe_step, look, strength, tol, jnp.asarray(least, dtype))
        if step is None
        else partial(_fixed_step, look, strength, tol)
    )

    def unfinished(state: _State) -> Array:
        return ~state.settled & (state.n_steps < max_steps) & jnp.isfinite(state.energy)

    state = lax.while_loop(unfinished, move, state)
    prices = state.table / state.sharpness
    labels = jnp.argmin(costs + jnp.matmul(prices, members, precision="highest"), axis=0).astype(jnp.int32)
    return Shares(
        labels, prices.T, state.sharpness, state.energy, state.divergence, first.energy, state.n_steps, state.settled
    )


def _safe_step(look: "partial[_Pass]", strength: Array, tol: Array, lowest: Array, state: _State) -> _State:
    """A step where the energy does not rise; otherwise a shorter one is tried in the next iteration."""
    sharpness, table = _moved(state, strength)
    found = look(sharpness, table)
    accepted = found.energy <= state.energy
    n_accepted = state.n_accepted + accepted
    noise = 8 * jnp.finfo(found.energy.dtype).eps
    # a short step gains less than a long one; a gain below rounding is none
    least = jnp.maximum(tol * lowest / state.bound, noise) * jnp.abs(state.energy)
    little = state.energy - found.energy <= least
    no_worse = found.energy - state.energy <= noise * jnp.abs(state.energy)
    rest = jnp.where(accepted, (n_accepted >= _SETTLING) & little, no_worse)
    bound = jnp.where(accepted, jnp.maximum(lowest, state.bound / 1.5), 2 * state.bound)
    taken = _State(
        sharpness, table, found.slope, found.energy, found.divergence, found.normalizers, state.tested,
        bound, n_accepted, state.n_steps + 1, rest,
    )  # fmt: skip
    stays = state._replace(bound=bound, n_steps=state.n_steps + 1, settled=rest)
    return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), taken, stays)


def _fixed_step(look: "partial[_Pass]", strength: Array, tol: Array, state: _State) -> _State:
    """A step of the published scheme, with its test: the bound at the new shares, around the old ones."""
    sharpness, table = _moved(state, strength)
    found = look(sharpness, table)
    # Σ w S (log S − log S_before), by what the logarithms are made of
    nearer = (sharpness - state.sharpness) * found.cost + jnp.sum(found.masses * (table - state.table))
    apart = state.normalizers - found.normalizers - nearer
    tested = found.cost + strength * jnp.sum(found.masses * state.slope) + apart
    n_steps = state.n_steps + 1
    rest = (n_steps >= _SETTLING) & (jnp.abs(tested - state.tested) <= tol * jnp.abs(state.tested))
    finite = jnp.isfinite(found.energy)  # otherwise the labels are those of the shares before
    return _State(
        jnp.where(finite, sharpness, state.sharpness), jnp.where(finite, table, state.table), found.slope,
        found.energy, found.divergence, found.normalizers, tested, state.bound, state.n_accepted, n_steps, rest,
    )  # fmt: skip


def _moved(state: _State, strength: Array) -> tuple[Array, Array]:
    return state.sharpness + 1 / state.bound, state.table + strength * state.slope / state.bound


def _look(
    costs: Array, members: Array, weights: Array, target: Array, strength: Array, sharpness: Array, table: Array
) -> _Pass:
    """One pass: the shares of (sharpness, table), their energy and its slope."""
    exponents = -sharpness * costs - jnp.matmul(table, members, precision="highest")
    raised, sums, highest = exponentials(exponents)
    shares = raised * lax.optimization_barrier(weights / sums)
    masses = jnp.matmul(shares, members.T, precision="highest")
    cost = jnp.sum(shares * costs)
    sizes = jnp.sum(masses, axis=1, keepdims=True)
    wanted = target > 0
    # a group that is not wanted anywhere costs nothing, also where it is absent
    ratios = jnp.where(wanted, sizes * target / masses, 1)
    divergence = jnp.sum(jnp.where(wanted, target * jnp.log(ratios), 0))
    slope = 1 / sizes - jnp.where(wanted, target / masses, 0)
    normalizers = jnp.sum(weights * (highest + jnp.log(sums)))
    return _Pass(slope, cost + strength * divergence, divergence, cost, masses, normalizers)
