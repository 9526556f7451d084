"""A row of what methods are measured on: a fit from one start, what is known of it, and how it is timed."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks import measure
from benchmarks.tables import baselines as tables
from benchmarks.tables.markdown import markdown
from fairjax import datasets

K = 10
SEED = 2025


class Row(NamedTuple):
    method: str
    control: str
    fit: Callable[[], Any]
    expected: tuple[float, float] | None  # cost and balance of the authors' code, where it was run


def fitted(model: Any, X: np.ndarray, groups: np.ndarray) -> Callable[[], Any]:
    """The fit of a row."""
    return lambda: model.fit(X, sensitive_features=groups)


def plain_centers(X: np.ndarray, seed: int = SEED, n_clusters: int = K) -> np.ndarray:
    """The centres of scikit-learn's k-means from one start."""
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=1, random_state=seed).fit(X).cluster_centers_


def tables_of_people(quick: bool) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, points and groups of Adult and Bank, in rows of length 1; few of them where that is enough."""
    for name, read in (("Adult", datasets.load_adult), ("Bank", datasets.load_bank)):
        found = read(l2_normalize=True, dtype=np.float64)
        thinned = slice(None, None, 20 if quick else 1)
        yield name, found.X[thinned], found.groups[thinned]


def quietly(fit: Callable[[], Any]) -> Any:
    """The fitted model; endings are told by its status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit()


def timed(row: Row, repeats: int) -> dict[str, Any]:
    """What came of a row, with the seconds of its first fit, which compiles, and of the others."""
    runs = [measure.clocked(lambda: quietly(row.fit)) for _ in range(repeats + 1)]
    model = runs[-1].result
    return {
        "method": row.method,
        "control": row.control,
        "cost": float(model.cost_),
        "objective": float(getattr(model, "objective_", np.nan)) if row.method == "fmc" else None,
        "balance": float(model.balance_),
        "status": model.status_,
        "n_iter": int(model.n_iter_),
        "expected": row.expected,
        "first_seconds": runs[0].seconds,
        "seconds": measure.spread([one.seconds for one in runs[1:]]),
        "processor_seconds": measure.spread([one.processor_seconds for one in runs[1:]]),
    }


def tell(row: dict[str, Any], public: dict[str, Any]) -> None:
    """Print a row as it stands in the tables."""
    print(markdown([], [tables.cells(row, public)]).splitlines()[-1], flush=True)
