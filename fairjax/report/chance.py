"""How far results depend on chance: further fits from other random starts, beside the one shown."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fairjax.estimators import inputs
from fairjax.metrics import host
from fairjax.report.formats import decimals, fixed, number, share, signed
from fairjax.report.markup import paragraph, section, table

if TYPE_CHECKING:
    from fairjax.estimators import FCA
    from fairjax.report.data import ReportData
    from fairjax.report.models import Run

MOST_POINTS = 100_000  # beyond this, further fits would take too long
_STARTS = 5
_ALIKE, _RELATED = 0.9, 0.6  # least agreement at which clusters are called alike, or related


class Chance(NamedTuple):
    """Fits from other random starts.

    Attributes
    ----------
    costs : (m,)
        Costs of the fits.
    balances : (m,)
        Balances of the fits.
    agreement : (m,)
        Adjusted Rand index of their labels and those shown: 1 for the same clusters, about 0 for unrelated clusters.
    """

    costs: np.ndarray
    balances: np.ndarray
    agreement: np.ndarray


def other_starts(model: "FCA", run: "Run") -> Chance | None:
    """Fit the model from some other starts; None if the result does not depend on chance, or the fits would take long.

    O(n K d) for each iteration of each fit; most programs are already compiled.
    """
    from sklearn.metrics import adjusted_rand_score

    from fairjax.fca import fitting
    from fairjax.fca.scaled_points import scale_points

    n_clusters = int(model.n_clusters)
    if model.method != "direct" or not isinstance(model.init, str) or n_clusters == 1 or len(run.X) > MOST_POINTS:
        return None
    points = scale_points(run.X, run.groups, run.weights, n_groups=len(model.groups_))
    found: list[tuple[float, float, float]] = []
    for i in range(_STARTS):
        # seeds that no fit uses, since fits draw theirs below 2^31
        options: dict[str, Any] = {"n_init": 1, "max_iter": int(model.max_iter), "tol": float(model.tol)}
        outcome = fitting.fit(
            points, model.fairness_, init=model.init, n_clusters=n_clusters, seed=2**31 + i, n_search=0, **options
        )
        labels = np.asarray(outcome.result.assignment.labels)
        counts = host.contingency(labels, run.groups, run.weights, (n_clusters, len(model.groups_)))
        agreed = float(adjusted_rand_score(model.labels_, labels))
        balance = inputs.balance_of(counts, model.fairness_.members)
        found.append((float(outcome.result.cost), balance, agreed))
    return Chance(*np.array(found).T)


def build(data: "ReportData") -> str:
    """Return the section, or nothing if no other starts were tried."""
    chance = data.chance
    if chance is None:
        return ""
    several = data.n_groups > 1
    head = ["Start", "cost", "change", *(["balance"] if several else []), "agrees"]
    rows = [_row("shown", data.cost, data, data.balance, 1.0, several)]
    for i, (cost, balance, agreed) in enumerate(zip(*chance, strict=True)):
        rows.append(_row(str(i + 1), cost, data, balance, agreed, several))
    caption = "Fits from other random starts; how far their clusters agree with those shown, by the adjusted Rand index"
    return section("chance", "How much is chance?", paragraph(words(data.cost, chance)), table(head, rows, caption))


def words(cost: float, chance: Chance) -> str:
    """Say how far costs and clusters depend on the start.

    Examples
    --------
    >>> words(4.0, Chance(np.array([4.0, 4.2]), np.ones(2), np.array([1.0, 0.95])))[-58:]
    ' Which points share a cluster hardly depends on the start.'
    """
    low, high = float(chance.costs.min()), float(chance.costs.max())
    most, least = float(chance.agreement.max()), float(chance.agreement.min())
    text = (
        f"Fits begin at random. From {len(chance.costs)} other starts they ended at costs from {number(low)} to "
        f"{number(high)}, where this run has {number(cost)}; their clusters agree with those shown by "
        f"{fixed(least, 2)} to {fixed(most, 2)} (1: the same clusters, 0: as much as by chance). "
    )
    middle = float(np.median(chance.agreement))
    if middle >= _ALIKE:
        text += "Which points share a cluster hardly depends on the start."
    elif middle >= _RELATED:
        text += "Some points change clusters when the start changes."
    else:
        text += "Which points share a cluster depends much on the start: other clusters are equally possible."
    if low < cost * (1 - 1e-3):
        text += " A lower cost is possible: take more restarts (n_init), or search on (search)."
    return text


def _row(name: str, cost: float, data: "ReportData", balance: float, agreed: float, several: bool) -> list[str]:
    change = cost / data.cost - 1 if data.cost > 0 else 0.0
    beside = signed(round(change, 5), share(change, 2))
    told = fixed(cost, decimals(abs(data.cost) / 100))
    return [name, told, beside, *([fixed(balance, 3)] if several else []), fixed(agreed, 2)]
