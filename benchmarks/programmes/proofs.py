"""What is true of a programme: costs, fairness and proven bounds in long double, and the optimum by HiGHS."""

import time
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from benchmarks.programmes.kinds import Programme

FAIR = 1e-7  # share of a group's weight by which assignments of HiGHS may miss the control


def counts_of(programme: Programme, probabilities: np.ndarray) -> np.ndarray:
    counts = np.zeros((len(programme.masses), probabilities.shape[1]), np.longdouble)
    np.add.at(counts, programme.groups, programme.share[:, None] * probabilities)
    return counts


def cost_of(programme: Programme, probabilities: np.ndarray) -> np.longdouble:
    return np.sum(programme.share[:, None] * probabilities * programme.costs)


def bound_of(programme: Programme, multipliers: np.ndarray) -> np.longdouble:
    """Lower bound on the cost of any fair assignment, by prices made exactly dual feasible one column after the other.

    What is subtracted from a column is the most that an admissible column of counts could earn at its prices (see
    ``fairjax/assignment/controls.py``).
    """
    control, present = programme.asked(), programme.masses > 0
    prices = np.where(present[:, None], np.asarray(multipliers, np.longdouble), 0)
    masses, some = programme.masses[present], prices[present]

    def value(shift: np.ndarray) -> np.longdouble:
        return np.sum(programme.share * (programme.costs + (prices - shift)[programme.groups]).min(1))

    if "epsilon" in control:
        # each group may move epsilon / 4 of itself; one shift for all columns leaves the ranges as they are
        earned = masses @ some
        ranges = [np.sum(masses * np.ptp(some - shift, axis=1)) for shift in (earned, np.zeros_like(earned))]
        each, one = (control["epsilon"] / 4 * moved for moved in ranges)
        return max(value(earned) - each, value(earned.max()) - one)
    if "min_balance" in control:
        # the root of a maximum of falling lines is the greatest of their roots; a line for each set of dearest groups
        floor, sizes = control["min_balance"], np.arange(1, len(some) + 1)[:, None]
        above = np.cumsum(-np.sort(-some, axis=0), 0)
        earned = np.max((above + floor * (above[-1] - above)) / (sizes + floor * (len(some) - sizes)), 0)
    else:
        lower, room = control["lower"][present], (control["upper"] - control["lower"])[present]
        order = np.argsort(-some, axis=0)
        filled = np.clip(1 - lower.sum() - (np.cumsum(room[order], 0) - room[order]), 0, room[order])
        earned = lower @ some + np.sum(filled * np.take_along_axis(some, order, 0), 0)
    return value(earned)


class Missed(NamedTuple):
    """By how much counts miss the control, as a share of the whole weight and of the weight of the group concerned."""

    whole: float
    own: float


def missed_by(programme: Programme, counts: np.ndarray, tolerance: float) -> Missed:
    """Greatest violation of the control by counts (M, K)."""
    control, present = programme.asked(), programme.masses > 0
    masses, counts = programme.masses[present, None], counts[present]
    if "epsilon" in control:
        profiles = (counts / masses).astype(float)
        middles = [profiles.mean(0), (profiles.max(0) + profiles.min(0)) / 2, counts.sum(0).astype(float)]
        beyond = min((_beyond(profiles, middle, control) for middle in middles), key=np.max)
        if np.max(beyond) > tolerance / 2:
            beyond = _beyond(profiles, _middle(profiles), control)
        beyond = beyond[:, None]
        return Missed(float(max(0, np.max(beyond * masses))), float(max(0, np.max(beyond))))
    if "min_balance" in control:
        beyond = control["min_balance"] * counts.max(0) - counts
    else:
        lower, upper = control["lower"][present, None], control["upper"][present, None]
        beyond = np.maximum(lower * counts.sum(0) - counts, counts - upper * counts.sum(0))
    return Missed(float(max(0, np.max(beyond))), float(max(0, np.max(beyond / masses))))


def _beyond(profiles: np.ndarray, middle: np.ndarray, control: dict[str, Any]) -> np.ndarray:
    return 2 * np.abs(profiles - middle / middle.sum()).sum(1) - float(control["epsilon"])


def _middle(profiles: np.ndarray) -> np.ndarray:
    """The profile (K,) from which the farthest group's is the least away, in l1."""
    m, k = profiles.shape
    copies, sums = np.tile(np.eye(k), (m, 1)), np.kron(np.eye(m), np.ones((1, k)))
    far = np.zeros((m * k, 1))
    upper = np.block(
        [[-copies, -np.eye(m * k), far], [copies, -np.eye(m * k), far], [np.zeros((m, k)), sums, -np.ones((m, 1))]]
    )
    bound = np.r_[-profiles.ravel(), profiles.ravel(), np.zeros(m)]
    equal, objective = np.r_[np.ones(k), np.zeros(m * k + 1)][None], np.r_[np.zeros(k + m * k), 1]
    found = linprog(objective, upper, bound, equal, [1.0], method="highs-ds", options=_tolerances(1e-10))
    return found.x[:k] if found.status == 0 else profiles.mean(0)


def _tolerances(primal: float) -> dict[str, float]:
    return {"primal_feasibility_tolerance": primal, "dual_feasibility_tolerance": 1e-10}


# --- what HiGHS says --------------------------------------------------------------------------------------------


class Optimum(NamedTuple):
    """What HiGHS found: probabilities (n, K) and prices (M, K) of groups in clusters, to be checked like any other."""

    probabilities: np.ndarray
    prices: np.ndarray


def _fair_rows(control: dict[str, np.ndarray], masses: np.ndarray, k: int) -> sp.csr_array:
    """Rows F with F @ counts <= 0, counts (M K,), each scaled to the weight of the group that it is about."""
    m = len(masses)
    if "min_balance" in control:
        floor, one = control["min_balance"], np.eye(m)
        sums = [(floor * one[t] - one[s]) / masses[s] for s in range(m) for t in range(m) if s != t]
    else:
        lower, upper, rest = control["lower"], control["upper"], masses.sum() - masses
        sums = [(lower[s] - np.eye(m)[s]) / (masses[s] * (1 - lower[s])) for s in range(m) if 0 < lower[s] < 1]
        sums += [(np.eye(m)[s] - upper[s]) / (upper[s] * rest[s]) for s in range(m) if upper[s] < 1]
    return sp.csr_array(sp.kron(np.array(sums, float).reshape(-1, m), sp.eye_array(k)))


def highs(programme: Programme, unit: float, fair: float, seconds: float) -> Optimum | None:
    """Solve by HiGHS with costs in ``unit``, for its absolute tolerances, and ``fair`` as that of the control.

    None where it gives up.
    """
    # HiGHS drops coefficients below 1e-9: points that weigh no more than that in their group go where they like
    kept = programme.share > 2e-9 * programme.masses[programme.groups]
    programme = programme.of(kept)
    present, groups = np.unique(programme.groups[kept], return_inverse=True)
    costs, share = programme.costs[kept], programme.share[kept].astype(float)
    masses, (n, k), m = programme.masses[present], costs.shape, len(present)
    control = {name: value[present] if value.ndim else value for name, value in programme.asked().items()}
    objective = (share[:, None] * (costs - costs.min(1, keepdims=True)) / unit).ravel()
    counts = sp.kron(sp.csr_array((share, (groups, np.arange(n))), (m, n)), sp.eye_array(k))
    one_each = sp.kron(sp.eye_array(n), np.ones((1, k)))
    if "epsilon" in control:
        # more unknowns: the common profile p and the bounds U_sk on |q_sk - p_k|
        whole = np.diag((1 / masses).astype(float))
        rows = sp.kron(np.r_[whole, -whole], sp.eye_array(k))
        profile = sp.kron(np.r_[-np.ones((m, 1)), np.ones((m, 1))], sp.eye_array(k))
        apart = sp.kron(-np.ones((2, 1)), sp.eye_array(m * k))
        upper = sp.block_array(
            [[rows @ counts, profile, apart], [None, None, sp.kron(sp.eye_array(m), np.ones((1, k)))]]
        )
        bound = np.r_[np.zeros(2 * m * k), np.full(m, float(control["epsilon"]) / 2)]
        equal = sp.block_array([[one_each, None, None], [None, np.ones((1, k)), sp.csr_array((1, m * k))]])
        objective, total = np.r_[objective, np.zeros(k + m * k)], np.ones(n + 1)
    else:
        rows = _fair_rows(control, masses, k)
        if not np.all(np.isfinite(rows.data)):
            # a group that is all of the weight, to the digits of float64
            return None
        upper, bound, equal, total = rows @ counts, np.zeros(rows.shape[0]), one_each, np.ones(n)
    options = _tolerances(fair) | {"time_limit": seconds}
    found = linprog(objective, upper, bound, equal, total, method="highs-ds", options=options)
    if found.status != 0:
        return None
    probabilities = np.zeros(programme.costs.shape)
    rows_found = np.maximum(found.x[: n * k].reshape(n, k), 0)
    probabilities[kept] = rows_found / rows_found.sum(1, keepdims=True)
    probabilities[~kept, programme.costs[~kept].argmin(1)] = 1
    prices = np.zeros((len(programme.masses), k))
    # HiGHS lets a price have the wrong sign by its tolerance, which is much for a group of little weight
    pressed = np.maximum(-found.ineqlin.marginals[: rows.shape[0]], 0)
    prices[present] = unit * (rows.T @ pressed).reshape(m, k)
    return Optimum(probabilities, prices)


class Bracket(NamedTuple):
    """The optimum lies from ``low`` (proven) to ``high`` (the cost of an assignment that is fair to FAIR)."""

    low: float
    high: float


def bracket(programme: Programme, seconds: float, width: float) -> Bracket:
    """The optimum by HiGHS; an end is infinite where no unit of cost brought both within ``width`` in time."""
    extra = programme.share[:, None] * (programme.costs - programme.costs.min(1, keepdims=True))
    extra = np.asarray(extra[extra > 0], float)
    if not extra.size:
        return Bracket(*[float(np.sum(programme.share * programme.costs.min(1)))] * 2)
    low, high, deadline = -np.inf, np.inf, time.perf_counter() + seconds
    typical, mean = float(np.median(extra)), float(extra.mean())
    for unit, fair in ((typical, 1e-10), (mean, 1e-10), (np.sqrt(typical * extra.max()), 1e-10), (mean, FAIR / 2)):
        left = deadline - time.perf_counter()
        found = highs(programme, float(unit), fair, left) if left > 0 else None
        if found is not None:
            low = max(low, float(bound_of(programme, found.prices)))
            if missed_by(programme, counts_of(programme, found.probabilities), FAIR).own <= FAIR:
                high = min(high, float(cost_of(programme, found.probabilities)))
        if high - low <= width:
            return Bracket(low, high)
    # a cost without a proof is not taken for the optimum
    return Bracket(low, np.inf)
