"""The report's sentences: what was reached, what it cost, what is proven."""

import math
from collections.abc import Mapping

import numpy as np

from fairjax._core.text import shown
from fairjax.report.data import ReportData, row_balance
from fairjax.report.formats import number, percent, plural


def headline(data: ReportData) -> str:
    """Say in one sentence how evenly the groups are spread."""
    if data.n_groups < 2:
        return "There is only one group, so nothing had to be balanced: these are ordinary k-means clusters."
    best = f"the best possible here is {number(data.max_balance, 3)}"
    if data.separately:
        each = "each sensitive column" if data.sensitive is None else f"{data.sensitive}, each by itself,"
        return (
            f"For {each} the ratio of the rarest group to the most common one is at least {number(data.balance, 3)} "
            f"in every cluster; {best}."
        )
    if data.balance <= 0:
        cluster, group = (int(i) for i in np.argwhere(_occupied(data.counts) == 0)[0])
        return f"Cluster {cluster} holds nobody from {data.names[group]}, so the balance is 0; {best}."
    ratio = number(data.balance, 3)
    if data.n_groups == 2:
        first, second = data.names
        return f"Every cluster holds {first} and {second} in a ratio of at least {ratio}; {best}."
    return (
        f"In every cluster the ratio of the rarest of the {data.n_groups} groups to the most common one is at least "
        f"{ratio}; {best}."
    )


def comparison(data: ReportData) -> str:
    """Say what ordinary k-means does on the same points, and the price of not doing so."""
    if data.unfair is None:
        return ""
    blind = "the groups" if data.sensitive is None else data.sensitive
    ratio = number(data.unfair["balance"], 3)
    first = f"Ordinary k-means, which ignores {blind}, lets that ratio fall to {ratio}."
    if data.unfair["balance"] <= 0:
        first = f"Ordinary k-means, which ignores {blind}, leaves some group out of a cluster altogether."
    if data.n_groups < 2:
        first = f"A separate run of ordinary k-means has cost {number(data.unfair['cost'])}."
    elif data.unfair["balance"] >= data.balance:
        first = f"Ordinary k-means, which ignores {blind}, has a ratio of {ratio} here."
    return f"{first} {price(data)}"


def price(data: ReportData) -> str:
    """Say how much the cost rose over ordinary k-means."""
    change = data.price
    if data.unfair is not None and not data.unfair["cost"] > 0:
        return "Ordinary k-means costs nothing here, since the data have few distinct rows: the price is undefined."
    if change is None or not math.isfinite(change):
        return ""
    if change > 5e-5:
        return f"Fairness raises the cost by {percent(change)}."
    if change < -5e-5:
        return (
            f"The fair clusters cost {percent(-change)} less than the ordinary ones: both are local optima, "
            "and the ordinary run ended in a worse one."
        )
    return "The cost is the same, so fairness is free here."


def tightest(data: ReportData, counts: np.ndarray) -> str:
    """Name the cluster and the two groups that set the balance."""
    ratios = row_balance(counts)
    if data.n_groups < 2 or np.isnan(ratios).all():
        return ""
    k = int(np.nanargmin(ratios))
    low, high = int(np.argmin(counts[k])), int(np.argmax(counts[k]))
    if low == high:
        return f"In every cluster all {data.n_groups} groups are equally common."
    if ratios[k] == 0:
        return f"The least balanced is cluster {k}, with nobody from {data.names[low]}."
    part = number(100 * ratios[k], 2 if ratios[k] >= 0.01 else 3)
    pair = f"{data.names[low]} and {data.names[high]}"
    return f"The least balanced is cluster {k}, where {pair} are as {part} to 100."


def certificate(data: ReportData) -> list[str]:
    """Say what is proven about the cost, and what is not."""
    if data.proof:
        return list(data.proof)
    if data.latent is not None:
        return [
            "The clusters come from the training of a network, which proves no bound on their cost; another seed ends "
            "elsewhere. Repeat the run with several seeds before you rely on its figures."
        ]
    last = (
        "The centres themselves are a local optimum, as in all k-means: another start may lead to other "
        f"centres and a lower cost{_starts(data)}."
    )
    if data.primal is None or data.dual is None or not math.isfinite(data.primal + data.dual):
        return ["This run did not compute a proven bound on its cost.", last]
    gap = data.gap
    if gap is None:
        gap = (data.primal - data.dual) / max(abs(data.primal), np.finfo(float).tiny)
    digits = 4
    while digits < 9 and number(data.primal, digits) == number(data.dual, digits):
        digits += 1
    bound, reached = number(data.dual, digits), number(data.primal, digits)
    if gap <= 1e-7 or bound == reached:
        proof = (
            f"For these centres no assignment that is as fair can cost less than {reached}, and this one "
            "costs exactly that: it is optimal, up to rounding."
        )
    else:
        proof = (
            f"For these centres no assignment that is as fair can cost less than {bound}; this one costs "
            f"{reached}: {percent(gap)} above the proven bound."
        )
    return [
        proof,
        "The bound comes from the dual problem and can be checked without trusting the solver.",
        last,
    ]


def attributes(balances: Mapping[str, tuple[float, float]]) -> str:
    """Give the balance for each of several attributes, and the best possible, if combinations are the groups.

    Examples
    --------
    >>> attributes({"sex": (0.5, 0.9), "region": (0.25, 0.3)})
    "Balance by each sensitive column alone: 'sex' 0.5 of at most 0.9, 'region' 0.25 of at most 0.3."
    """
    parts = [f"{shown(name)} {balance:.4g} of at most {best:.4g}" for name, (balance, best) in balances.items()]
    return f"Balance by each sensitive column alone: {', '.join(parts)}."


def two_costs(data: ReportData) -> str:
    """Say why the cost of the labels differs from the cost in the proof and in the iterations."""
    if data.primal is None:
        return ""
    return (
        f"The proof and the iterations are about the assignment with cost {number(data.primal)}, in which a few "
        "points on the boundary of two clusters belong partly to both. As labels each belongs to one cluster, which "
        f"changes the cost to {number(data.cost)}, the figure at the top."
    )


def violation(data: ReportData) -> str:
    """Put the additive gap between groups into words."""
    value = data.group_violation
    if value is None or not math.isfinite(value) or data.n_groups < 2:
        return ""
    pair = f"{data.names[0]} and {data.names[1]}" if data.n_groups == 2 else "the two groups that differ most"
    if value < 1e-6:
        return f"Every cluster receives the same share of {pair}."
    return (
        f"Summed over the clusters, the shares of {pair} differ by {number(value, 3)}: moving "
        f"{percent(value / 2)} of one group to other clusters would make them equal."
    )


def ending(data: ReportData) -> str:
    """Say how the run ended."""
    steps = "" if data.n_iter is None else f" after {plural(data.n_iter, 'iteration')}"
    if data.latent is not None:
        return "" if data.n_iter is None else f"The training took {plural(data.n_iter, 'step')} in all its stages."
    if data.converged:
        return f"Converged{steps}."
    return (
        f"Stopped{steps} before the centres had settled. The groups are spread as shown, but the cost may "
        "still fall: allow more iterations (max_iter) or a larger tolerance (tol)."
    )


def traits(names: tuple[str, ...], deviations: np.ndarray, limit: int = 3) -> str:
    """Describe a cluster by the features in which its mean is farthest from the overall mean.

    Parameters
    ----------
    names : tuple of str
        The d feature names.
    deviations : ndarray (d,)
        Distance of the cluster's mean from the overall mean, in standard deviations.
    limit : int
        Most features to name.

    Examples
    --------
    >>> traits(("age", "bmi", "bp"), np.array([1.3, -0.1, -0.6]))
    'very high age, low bp'
    """
    if np.isnan(deviations).any():
        return "no points"
    order = np.argsort(-np.abs(deviations), kind="stable")[:limit]
    words = []
    for j in order:
        if abs(deviations[j]) >= 0.4:
            level = "very " if abs(deviations[j]) >= 1.0 else ""
            words.append(f"{level}{'high' if deviations[j] > 0 else 'low'} {names[j]}")
    return ", ".join(words) or "near the overall mean"


def _starts(data: ReportData) -> str:
    starts = data.parameters.get("n_init")
    if not isinstance(starts, int):
        return ""
    return " (one start was tried)" if starts == 1 else f" (the best of {starts} starts is shown)"


def _occupied(counts: np.ndarray) -> np.ndarray:
    """Return ``counts`` with empty clusters masked by ones: their zeros say nothing about fairness."""
    empty = counts.sum(axis=1, keepdims=True) == 0
    return np.where(empty, 1.0, counts)
