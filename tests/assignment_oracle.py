"""Oracle for fair assignment: the linear programme itself, and random instances that are hard in known ways."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from compilation import AS_USERS, optimiser
from scipy.optimize import linprog

from fairjax import fair_assignment

BATCH = 66
FORMS = ("gap", "balance", "shares")
_EXACT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Instance(NamedTuple):
    """One problem: costs (n, K), groups (n,), weights (n,) and the keywords of the control."""

    costs: np.ndarray
    groups: np.ndarray
    weights: np.ndarray
    control: dict


def group_counts(instance, probabilities, n_groups):
    """Weight (M, K) of each group in each cluster; all weights together are 1."""
    share = instance.weights / instance.weights.sum()
    counts = np.zeros((n_groups, instance.costs.shape[1]))
    np.add.at(counts, instance.groups, share[:, None] * np.asarray(probabilities, float))
    return counts


# The linear programme


def _fairness_rows(control, counts, masses, n_clusters):
    """Rows (A, b) of A x <= b for the fairness of counts = ``counts`` @ x, (M K, variables)."""
    n_groups = len(masses)
    table = [[counts[s * n_clusters + k] for k in range(n_clusters)] for s in range(n_groups)]
    totals = [sum(table[s][k] for s in range(n_groups)) for k in range(n_clusters)]
    if "min_balance" in control:
        rows = [
            control["min_balance"] * table[t][k] - table[s][k]
            for k in range(n_clusters)
            for s in range(n_groups)
            for t in range(n_groups)
            if s != t
        ]
    else:
        rows = [
            row
            for s in range(n_groups)
            for k in range(n_clusters)
            for row in (
                control["lower"][s] * totals[k] - table[s][k],
                table[s][k] - control["upper"][s] * totals[k],
            )
        ]
    return (sp.vstack(rows), np.zeros(len(rows))) if rows else (None, None)


def best_cost(instance):
    """Least weighted mean cost of a fair fractional assignment, by HiGHS; NaN when there is none."""
    costs, groups, weights, control = instance
    kept = weights > 0
    costs, weights = np.asarray(costs, float)[kept], np.asarray(weights, float)[kept]
    n_points, n_clusters = costs.shape
    present, groups = np.unique(groups[kept], return_inverse=True)
    share = weights / weights.sum()
    lowest = costs.min(1, keepdims=True)
    # HiGHS has absolute tolerances: a typical coefficient shall be 1, whatever a far outlier costs
    extra = share[:, None] * (costs - lowest)
    scale = np.median(extra[extra > 0]) if np.any(extra > 0) else 1.0
    objective = (extra / scale).ravel()

    member = sp.csr_array((share, (groups, np.arange(n_points))), (len(present), n_points))
    masses = np.bincount(groups, share)
    counts = sp.csr_array(sp.kron(member, sp.eye_array(n_clusters)))
    rows_sum = sp.kron(sp.eye_array(n_points), np.ones((1, n_clusters)))
    if "epsilon" in control:
        # more unknowns: the common profile p and the bounds U_sk on |q_sk - p_k|
        size = len(present) * n_clusters
        profiles = sp.diags_array(1 / np.repeat(masses, n_clusters)) @ counts
        profile = sp.kron(np.ones((len(present), 1)), sp.eye_array(n_clusters))
        sums = sp.kron(sp.eye_array(len(present)), np.ones((1, n_clusters)))
        upper = sp.block_array(
            [
                [profiles, -profile, -sp.eye_array(size)],
                [-profiles, profile, -sp.eye_array(size)],
                [None, None, sums],
            ]
        )
        bound = np.r_[np.zeros(2 * size), np.full(len(present), control["epsilon"] / 2)]
        equal = sp.block_array([[rows_sum, None, None], [None, np.ones((1, n_clusters)), sp.csr_array((1, size))]])
        objective = np.r_[objective, np.zeros(n_clusters + size)]
        total = np.ones(n_points + 1)
    else:
        fairness = {
            name: value if name == "min_balance" else np.asarray(value)[present] for name, value in control.items()
        }
        upper, bound = _fairness_rows(fairness, counts, masses, n_clusters)
        equal, total = rows_sum, np.ones(n_points)
    found = linprog(objective, upper, bound, equal, total, method="highs-ds", options=_EXACT)
    return float(np.sum(share * lowest[:, 0]) + scale * found.fun) if found.status == 0 else np.nan


def profile_radius(counts):
    """Twice the least r such that all groups' proportions lie within r (in l1) of a common profile; counts (M, K)."""
    counts = counts[counts.sum(1) > 0]
    profiles = counts / counts.sum(1, keepdims=True)
    if len(profiles) <= 2:
        return np.abs(profiles[0] - profiles[-1]).sum()
    if np.ptp(profiles, 0).max() < 1e-12:
        return np.ptp(profiles, 0).sum()
    n_groups, n_clusters = profiles.shape
    size = n_groups * n_clusters
    copies = np.tile(np.eye(n_clusters), (n_groups, 1))
    sums = np.kron(np.eye(n_groups), np.ones((1, n_clusters)))
    column = np.zeros((size, 1))
    upper = np.block(
        [
            [-copies, -np.eye(size), column],
            [copies, -np.eye(size), column],
            [np.zeros((n_groups, n_clusters)), sums, -np.ones((n_groups, 1))],
        ]
    )
    bound = np.r_[-profiles.ravel(), profiles.ravel(), np.zeros(n_groups)]
    equal = np.r_[np.ones(n_clusters), np.zeros(size + 1)][None]
    objective = np.r_[np.zeros(n_clusters + size), 1]
    return 2 * linprog(objective, upper, bound, equal, [1.0], method="highs-ds", options=_EXACT).fun


def violation(instance, counts):
    """By how much counts (M, K) miss the control, in units of the whole weight (gap: of each group's)."""
    control = instance.control
    counts = counts[counts.sum(1) > 0]
    if "epsilon" in control:
        return max(0.0, profile_radius(counts) - control["epsilon"])
    if "min_balance" in control:
        return max(0.0, np.max(control["min_balance"] * counts[:, None] - counts[None]))
    totals = counts.sum(0)
    present = np.unique(instance.groups[instance.weights > 0])
    lower = np.asarray(control["lower"])[present, None]
    upper = np.asarray(control["upper"])[present, None]
    return max(0.0, np.max(lower * totals - counts), np.max(counts - upper * totals))


def proven_bound(instance, multipliers):
    """Value of the dual at ``multipliers`` (M, K), and by how much they miss its constraints (relative, 0 if not).

    A bound holds when no admissible column of counts N_s (s = group) can earn: sum_s multipliers_sk N_s <= 0.
    """
    control, groups = instance.control, instance.groups
    share = instance.weights.astype(float) / instance.weights.sum(dtype=float)
    masses = np.bincount(groups, share, len(multipliers))
    present = masses > 0
    prices = np.asarray(multipliers, float)
    value = np.sum(share * (instance.costs.astype(float) + prices[groups]).min(1))
    prices, masses = prices[present], masses[present]
    if "epsilon" in control:
        # a common profile may be anything that sums to 1, and each group may move epsilon/4 of itself
        earned = np.max(masses @ prices)
        value -= control["epsilon"] / 4 * np.sum(masses * np.ptp(prices, axis=1))
    elif "min_balance" in control:
        earned = np.max(np.maximum(control["min_balance"] * prices, prices).sum(0))
    else:
        lower = np.asarray(control["lower"], float)[present]
        room = np.asarray(control["upper"], float)[present] - lower
        best = -np.sort(-prices, axis=0)
        room = np.take_along_axis(np.broadcast_to(room[:, None], prices.shape), np.argsort(-prices, axis=0), 0)
        filled = np.clip((1 - lower.sum()) - (np.cumsum(room, 0) - room), 0, room)
        earned = np.max(lower @ prices + np.sum(filled * best, 0))
    # prices far below the costs are zero to rounding, and miss nothing
    size = max(np.abs(prices).max(), np.median(np.abs(instance.costs)), np.finfo(float).tiny)
    return value, max(0.0, earned) / size


# Instances


def _squares(X, centers):
    return ((X[:, None] - centers[None]) ** 2).sum(-1)


def _groups(rng, n, n_groups):
    return rng.permutation(np.r_[np.arange(n_groups), rng.integers(0, n_groups, n - n_groups)])


def generic(rng, n, k, m):
    X = rng.normal(size=(n, 2))
    return _squares(X, rng.normal(size=(k, 2))), _groups(rng, n, m), np.ones(n)


def grid(rng, n, k, m):
    X = rng.integers(0, 3, (n, 2)).astype(float)
    return _squares(X, X[rng.choice(n, k, replace=False)]), _groups(rng, n, m), np.ones(n)


def duplicates(rng, n, k, m):
    X = rng.normal(size=(4, 2))[rng.integers(0, 4, n)]
    return _squares(X, rng.normal(size=(k, 2))), _groups(rng, n, m), np.ones(n)


def far_outlier(rng, n, k, m):
    X = rng.normal(size=(n, 2))
    X[0] *= 1e4
    return _squares(X, X[rng.choice(n, k, replace=False)]), _groups(rng, n, m), np.ones(n)


def dominant(rng, n, k, m):
    X = 0.05 * rng.normal(size=(n, 2))
    X[: n // 8] += 5 * rng.normal(size=(n // 8, 2))
    centers = np.r_[np.zeros((1, 2)), 5 * rng.normal(size=(k - 1, 2))]
    return _squares(X, centers), _groups(rng, n, m), np.ones(n)


def left_empty(rng, n, k, m):
    X, centers = rng.normal(size=(n, 2)), rng.normal(size=(k, 2))
    centers[rng.integers(k)] += 30
    return _squares(X, centers), _groups(rng, n, m), np.ones(n)


def lonely(rng, n, k, m):
    X = rng.normal(size=(n, 2))
    groups = rng.permutation(np.r_[np.arange(m), np.zeros(n - m, int)])
    return _squares(X, rng.normal(size=(k, 2))), groups, np.ones(n)


def weighted(rng, n, k, m):
    costs, groups, _ = generic(rng, n, k, m)
    return costs, groups, rng.exponential(size=n) + 1e-3


def padded(rng, n, k, m):
    costs, groups, weights = generic(rng, n, k, m)
    groups[:m] = np.arange(m)
    weights[rng.choice(np.arange(m, n), n // 4, replace=False)] = 0
    return costs, groups, weights


def all_equal(rng, n, k, m):
    return np.full((n, k), rng.uniform(0.5, 2)), _groups(rng, n, m), np.ones(n)


def unordered(rng, n, k, m):
    return rng.exponential(size=(n, k)), _groups(rng, n, m), np.ones(n)


KINDS = {
    kind.__name__: kind
    for kind in (
        generic, grid, duplicates, far_outlier, dominant, left_empty, lonely, weighted, padded, all_equal, unordered
    )
}  # fmt: skip


def controls_for(form, groups, weights, n_groups, tightness):
    """Keywords of one control; ``tightness`` 1 is perfect fairness, less is looser."""
    masses = np.bincount(groups, weights, n_groups) / weights.sum()
    if form == "gap":
        return {"epsilon": 1 - tightness}
    if form == "balance":
        present = masses[masses > 0]
        return {"min_balance": tightness * present.min() / present.max()}
    return {"lower": tightness * masses, "upper": 1 - tightness * (1 - masses)}


def instances(form, count, n, k, m, seed, kinds=tuple(KINDS), dtype=np.float64):
    """``count`` problems of one shape, the kinds in turn; numbers are representable in ``dtype``."""
    rng = np.random.default_rng([seed, n, k, m, FORMS.index(form)])
    drawn = []
    for index in range(count):
        costs, groups, weights = KINDS[kinds[index % len(kinds)]](rng, n, k, m)
        costs, weights = costs.astype(dtype), weights.astype(dtype)
        tightness = (1.0, 0.9, 0.5)[index // len(kinds) % 3]
        control = controls_for(form, groups, weights.astype(float), m, tightness)
        control = {
            name: np.asarray(value, dtype).astype(float)[()] for name, value in control.items()
        }  # a floor that rounds up may be out of reach by one bit, which the solver allows for
        drawn.append(Instance(costs, groups.astype(np.int32), weights, control))
    return drawn


# Many at once


@functools.cache
def compiled(names, n_groups, dtype):
    """Jitted batch of fair assignments; one compilation per shape. The default control is compiled as users have it."""

    def solve_one(costs, groups, weights, *values):
        control = dict(zip(names, values, strict=True))
        return fair_assignment(costs, groups, weights=weights, n_groups=n_groups, **control)

    usual = names == ("epsilon",) and dtype == np.float32
    return jax.jit(jax.vmap(solve_one), compiler_options=AS_USERS if usual else {})


def solve(problems, n_groups, dtype=np.float64):
    """Solve problems of one shape and control in batches of one size; leaves are numpy arrays with a batch axis."""
    names = tuple(problems[0].control)
    parts = []
    for start in range(0, len(problems), BATCH):
        some = problems[start : start + BATCH]
        some = some + [some[-1]] * (BATCH - len(some))
        with jax.enable_x64(dtype == np.float64), optimiser(True):
            columns = [
                jnp.asarray(np.stack([p.costs for p in some]), dtype),
                jnp.asarray(np.stack([p.groups for p in some]), jnp.int32),
                jnp.asarray(np.stack([p.weights for p in some]), dtype),
                *(jnp.asarray(np.stack([p.control[name] for p in some]), dtype) for name in names),
            ]
            parts.append(jax.tree.map(np.asarray, compiled(names, n_groups, dtype)(*columns)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(problems)], *parts)


def pick(batch, index):
    """One member of a batch of results."""
    return jax.tree.map(lambda leaf: leaf[index], batch)
