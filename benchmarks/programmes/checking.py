"""One result of ``fair_assignment`` checked in long double, from what is returned alone, and the faults that it has."""

from typing import Any, NamedTuple

import numpy as np

from benchmarks.programmes.kinds import Programme
from benchmarks.programmes.proofs import Bracket, Missed, bound_of, cost_of, counts_of, missed_by

TOLERANCES = {"float64": 1e-6, "float32": 1e-5}
SLACK = 2.0  # so many tolerances make a fault
SCALE_SHARE, POWER = 1e-3, 1 / 8  # see scale_of
FAULTS = ("false", "weak", "open", "own", "unsolved", "digits", "refused", "untrue", "dearer")


def scale_of(programme: Programme, primal: float) -> float:
    """What a gap is relative to: the cost, or a thousandth of what the next cheapest cluster costs more, typically.

    Typical is a power mean, which hardly minds a few points that are far from everything.
    """
    dearer = programme.costs - programme.costs.min(1, keepdims=True)
    extra = np.min(np.where(dearer > 0, dearer, np.inf), 1)
    share = np.where(np.isfinite(extra), programme.share, 0)
    extra = np.where(np.isfinite(extra), extra, 0)
    # costs that are all zero have no scale of their own
    typical = float((share @ extra**POWER / share.sum()) ** (1 / POWER)) if share.sum() else 0.0
    return max(abs(float(primal)), SCALE_SHARE * typical) or 1.0


class Checked(NamedTuple):
    """What is true of one result; gap and error are relative to ``scale``."""

    status: int
    n_iter: int
    primal: float
    bound: float
    scale: float
    gap: float
    stated_gap: float
    dual: float
    missed: Missed
    broken: str  # what is not as promised: numbers not finite, rows off the simplex, labels, primal; or nothing
    saving: float  # what perfect fairness would save, relative to the scale; 0 if nothing
    lost: float = 0.0  # of the proof of a solution in double precision, by rounding it; see :func:`lost_in_rounding`


def check(programme: Programme, found: Any, perfect: Any) -> Checked:
    """Everything about a result that needs no other solver."""
    tolerance = TOLERANCES[programme.spec.dtype]
    finite = np.all(np.isfinite(found.probabilities)) and np.all(np.isfinite(found.multipliers))
    if not finite or found.status > 1:
        # a wrong refusal counts by its status, a result without finite numbers by being broken
        nothing = (np.nan,) * 2 + (1.0,) + (np.nan,) * 3
        return Checked(
            int(found.status), int(found.n_iter), *nothing, Missed(0, 0), "" if found.status > 1 else "numbers", 0.0
        )
    given = found.probabilities.astype(np.longdouble)
    rows = given.sum(1, keepdims=True)
    rounding = max(4 * given.shape[1] * np.finfo(found.probabilities.dtype).eps, 1e-10)
    broken = "rows" if np.max(np.abs(rows - 1)) > rounding or given.min() < -rounding else ""
    fractions = given / rows
    counts = counts_of(programme, fractions)
    heaviest = np.zeros(len(counts))
    np.maximum.at(heaviest, programme.groups, programme.share.astype(float))
    away = np.abs(counts_of(programme, np.eye(given.shape[1])[found.labels]) - counts)
    if np.any(away > heaviest[:, None] * (1 + tolerance)):
        broken = broken or "labels"
    primal, bound = cost_of(programme, fractions), bound_of(programme, found.multipliers)
    scale = scale_of(programme, float(primal))
    if abs(float(found.primal) - primal) > SLACK * tolerance * scale:
        broken = broken or "primal"
    saving = 0.0
    if perfect.status == 0 and programme.feasible():
        other = perfect.probabilities.astype(np.longdouble)
        other /= other.sum(1, keepdims=True)
        if missed_by(programme, counts_of(programme, other), tolerance).own <= tolerance:
            saving = max(0.0, float(primal - cost_of(programme, other)) / scale)
    return Checked(
        int(found.status), int(found.n_iter), float(primal), float(bound), scale, float(primal - bound) / scale,
        float(found.gap), float(found.dual), missed_by(programme, counts, tolerance), broken, saving,
    )  # fmt: skip


def lost_in_rounding(programme: Programme, checked: Checked, precise: Any) -> float:
    """What multipliers in double precision leave unproven once they are rounded to the dtype of the programme.

    ``precise`` is the same programme solved in float64. 0 if it does not prove the cost that was ``checked``.
    """
    tolerance = TOLERANCES[programme.spec.dtype]
    if precise.status > 1:
        return 0.0
    if not abs(checked.primal - float(bound_of(programme, precise.multipliers))) <= tolerance * checked.scale:
        return 0.0
    rounded = precise.multipliers.astype(programme.spec.dtype)
    return (checked.primal - float(bound_of(programme, rounded))) / checked.scale


def suspicious(checked: Checked, tolerance: float) -> bool:
    return checked.status == 1 or (checked.status == 0 and not checked.gap <= SLACK * tolerance)


def faults_of(programme: Programme, checked: Checked, optimum: Bracket | None) -> set[str]:
    """The faults of one result, by the names of the table's columns."""
    enough = SLACK * TOLERANCES[programme.spec.dtype]
    if checked.status > 1:
        return {"refused"} if programme.feasible() else set()
    faults = {"dearer"} if checked.saving > enough else set()
    # HiGHS may miss the control by FAIR: what is proven here is no less true for being above its answer
    if optimum is not None and checked.dual > max(optimum.high, checked.bound) + enough * checked.scale:
        faults.add("untrue")
    if checked.status == 1:
        met = not checked.broken and max(checked.missed.whole, checked.missed.own) <= enough / SLACK
        proven = abs(checked.gap) <= enough
        return faults | {"digits" if met and (proven or checked.lost > enough / SLACK) else "unsolved"}
    if checked.broken or checked.missed.whole > enough / SLACK:
        faults.add("false")
    if checked.missed.own > enough / SLACK:
        faults.add("own")
    if not checked.gap <= enough:
        low, high = (-np.inf, np.inf) if optimum is None else optimum
        right, wrong = checked.primal - low <= enough * checked.scale, checked.primal - high > enough * checked.scale
        faults.add("weak" if right else "false" if wrong else "open")
    return faults
