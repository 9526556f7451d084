"""How a fit of FCA ended, in words: statuses, warnings, and remarks about its clusters."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.fca.restarts import Search


def message(method: str, status: int) -> str:
    """What the status of a result of this method means."""
    if method == "direct":
        from fairjax.assignment import MESSAGES
    else:
        from fairjax.fca.alignment import MESSAGES
    return MESSAGES[status]


def explain(method: str, status: int, *, gap: float, converged: bool, max_iter: int) -> None:
    """Raise InputError if there is no result, and warn if it stopped short."""
    words = message(method, status)
    if status > 1:
        raise InputError(words)
    if status == 1:
        warnings.warn(f"{words} (gap {gap:.1e})", ConvergenceWarning, stacklevel=3)
    elif not converged:
        warnings.warn(
            f"the {'centres' if method == 'direct' else 'cost'} had not settled after max_iter={max_iter} iterations; "
            "the clusters are fair, but more iterations or a larger tol may end at a lower cost",
            ConvergenceWarning,
            stacklevel=3,
        )


def remark(table: npt.NDArray[np.floating], centers: npt.NDArray[np.floating]) -> str:
    """A remark on clusters that are empty or share a centre, if there are any; ``table`` (K, M) of weights."""
    n_clusters = len(centers)
    n_filled, n_distinct = int(np.count_nonzero(table.sum(1))), len(np.unique(centers, axis=0))
    if n_filled < n_clusters:
        return (
            f"only {n_filled} of the {n_clusters} clusters have points, and none of these can be split in a way that "
            "is as fair and costs less, as where X has fewer distinct rows than clusters; ask for fewer"
        )
    if n_distinct < n_clusters:
        return (
            f"only {n_distinct} of the {n_clusters} centres differ: X has fewer distinct rows than clusters, "
            "or many duplicates; ask for fewer clusters"
        )
    return ""


def of_search(search: "Search") -> str:
    """The result of a search, in a sentence."""
    first, last = float(search.costs[0]), float(search.costs[-1])
    fell = f"the cost fell from {first:.6g} to {last:.6g}" if search.n_improvements else "the cost did not fall"
    return f"The search took {search.n_fits} {'fit' if search.n_fits == 1 else 'fits'}; {fell}."
