"""Balance by each of several sensitive columns, beside that by their combinations."""

import numpy as np
import numpy.typing as npt

from fairjax.datasets import Dataset


def balances(data: Dataset, labels: npt.NDArray[np.integer], n_clusters: int) -> dict[str, dict[str, float]]:
    """Balance of the labels, and the best that the data allow, for every sensitive column of several; else nothing."""
    from fairjax.metrics import host

    if len(data.attributes) < 2:
        return {}
    found = {}
    for name, (ids, names) in data.attributes.items():
        table = host.contingency(labels, ids, None, (n_clusters, len(names)))
        table = table[:, table.sum(0) > 0]
        sizes = table.sum(0)
        found[name] = {"balance": float(host.balance(table)), "max_balance": float(sizes.min() / sizes.max())}
    return found


def notes(data: Dataset, labels: npt.NDArray[np.integer], n_clusters: int) -> list[str]:
    """Say the same in a sentence."""
    found = balances(data, labels, n_clusters)
    if not found:
        return []
    from fairjax.report import words

    return [words.attributes({name: (each["balance"], each["max_balance"]) for name, each in found.items()})]
