"""Scores of a clustering as a table: for every cluster, group or attribute, for all points, and for the worst."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax._core import frames, group_codes
from fairjax._core.checks import check_choice
from fairjax.errors import InputError
from fairjax.metrics import host
from fairjax.metrics._inputs import check_ids, check_weights

if TYPE_CHECKING:
    import pandas as pd

BY = ("cluster", "group", "attribute")
_COMBINATIONS = "combinations"


def frame(
    labels: Any,
    groups: Any,
    *,
    by: str = "cluster",
    X: Any = None,
    centers: Any = None,
    weights: Any = None,
) -> "pd.DataFrame":
    """Put the scores of a clustering into a table: where it is fair, where it is not, and for whom it costs most.

    Parameters
    ----------
    labels
        Cluster of each point, integers from 0 on, shape (n,).
    groups
        The protected attribute, any values, shape (n,). Or several attributes, whose combinations are the groups: a
        frame, a dict or a list of columns, or an array (n, m).
    by
        What the rows are. ``"cluster"``: clusters, then ``overall`` (all points as one cluster, whose balance is the
        best possible) and ``worst`` (of the clusters that hold points). ``"group"``: groups, then the same two.
        ``"attribute"``: each attribute, then their combinations.
    X
        Points (n, d), an array or a frame, for the column ``cost``.
    centers
        Centres (K, d); the clusters' means when left out.
    weights
        Weight of each point, shape (n,), not negative; 1 for all when left out.

    Returns
    -------
    DataFrame
        By cluster: ``size`` (number or weight of points), ``share`` of all, ``balance`` (least ratio of two groups),
        ``relative_balance`` (least ratio of a group's share here and overall), ``evenness`` (entropy of the groups,
        relative to the overall one; the least is MNCE), ``cost`` (mean squared distance), and every group's share of
        the cluster; ``worst`` is the value furthest from overall. NaN if a cluster is empty.

        By group: ``size``, ``share``, ``gap`` (Σ_k of how far the group's proportions are from those of all points),
        ``entropy`` of its spread over the clusters in nats, ``cost``.

        By attribute: ``n_groups``, ``balance``, ``max_balance`` (the best possible), ``gap`` between two groups
        (:func:`fairjax.metrics.group_violation`).

    Raises
    ------
    InputError
        For an unknown `by`, invalid labels, missing or too few groups, and points, centres or weights that do not
        match.

    Notes
    -----
    O(n·d) work, in double precision, on the host.

    Examples
    --------
    >>> from fairjax.metrics import frame
    >>> found = frame([0, 0, 0, 1, 1, 1], ["f", "f", "m", "f", "m", "m"])
    >>> found["balance"].to_dict()
    {0: 0.5, 1: 0.5, 'overall': 1.0, 'worst': 0.5}
    >>> frame([0, 0, 1], {"sex": ["f", "m", "f"], "region": [1, 1, 2]}, by="attribute")["balance"].to_dict()
    {'sex': 0.0, 'region': 0.0, 'combinations': 0.0}
    """
    check_choice("by", by, BY)
    groups = frames.held(groups)
    ids, n_clusters = check_ids(labels, "labels", None if centers is None else len(centers), "len(centers)")
    own = np.asarray(ids)
    mass = check_weights(weights, len(own))
    masses = np.ones(len(own)) if mass is None else np.asarray(mass, np.float64)
    if masses.sum() == 0:
        raise InputError("weights are zero for every point; expected at least one positive weight.")
    if by == "attribute":
        return _by_attribute(own, groups, masses, n_clusters)
    members, known = group_codes.encode(groups, len(own), "groups")
    table = host.contingency(own, members, masses, (n_clusters, len(known)))
    costs = None if X is None else _costs(X, own, centers, masses, n_clusters)
    names = [group_codes.name_of(value) for value in known]
    if by == "cluster":
        return _by_cluster(table, names, _means(costs, own, masses, n_clusters))
    return _by_group(table, names, _means(costs, members, masses, len(names)))


def _by_cluster(table: host.Table, names: list[str], costs: npt.NDArray[np.float64] | None) -> "pd.DataFrame":
    import pandas as pd

    rows = np.vstack([table, table.sum(0)])  # the last is all points as one cluster
    present = rows[:, rows[-1] > 0]
    sizes = rows.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = rows / sizes[:, None]
        ratios = present / sizes[:, None] / (present[-1] / sizes[-1])
        scores = {
            "size": sizes,
            "share": sizes / sizes[-1],
            "balance": present.min(1) / present.max(1),
            "relative_balance": np.minimum(ratios, 1 / ratios).min(1),
            "evenness": _relative(_entropy(present)),
        }
    worst = {name: np.nanmin(scores[name][:-1]) for name in ("balance", "relative_balance", "evenness")}
    if costs is not None:
        scores["cost"] = costs
        worst["cost"] = np.nanmax(costs[:-1])
    for name, share in zip(names, shares.T, strict=True):
        column = f"share of {name}"
        scores[column] = share
        worst[column] = share[np.nanargmax(np.abs(share[:-1] - share[-1]))]
    return _assembled(pd.DataFrame(scores, index=[*range(len(table)), "overall"]), worst)


def _by_group(table: host.Table, names: list[str], costs: npt.NDArray[np.float64] | None) -> "pd.DataFrame":
    import pandas as pd

    rows = np.vstack([table.T, table.sum(1)])  # the last is all points as one group
    sizes = rows.sum(1)
    with np.errstate(invalid="ignore"):
        profiles = rows / sizes[:, None]
    scores = {
        "size": sizes,
        "share": sizes / sizes[-1],
        "gap": np.abs(profiles - profiles[-1]).sum(1),
        "entropy": _entropy(rows),
    }
    worst = {"gap": np.nanmax(scores["gap"][:-1]), "entropy": np.nanmin(scores["entropy"][:-1])}
    if costs is not None:
        scores["cost"] = costs
        worst["cost"] = np.nanmax(costs[:-1])
    return _assembled(pd.DataFrame(scores, index=[*names, "overall"]), worst)


def _by_attribute(
    labels: npt.NDArray[np.int32], groups: Any, masses: npt.NDArray[np.float64], n_clusters: int
) -> "pd.DataFrame":
    import pandas as pd

    found: list[tuple[str, npt.NDArray[Any], int]] = [
        ("groups" if name is None else group_codes.name_of(name), ids, len(distinct))
        for name, (ids, distinct) in group_codes.attributes(groups, len(labels), "groups")
    ]
    if len(found) > 1:
        combined, known = group_codes.encode(groups, len(labels), "groups")
        found.append((_COMBINATIONS, combined, len(known)))
    rows = []
    for _, ids, n_groups in found:
        table = host.contingency(labels, ids, masses, (n_clusters, n_groups))
        table = table[:, table.sum(0) > 0]
        best = host.balance(table.sum(0)[None])
        rows.append((n_groups, host.balance(table), best, host.group_violation(table)))
    names = [name for name, _, _ in found]
    return pd.DataFrame(rows, index=names, columns=["n_groups", "balance", "max_balance", "gap"])


def _assembled(scores: "pd.DataFrame", worst: dict[str, Any]) -> "pd.DataFrame":
    scores.loc["worst"] = np.array([worst.get(name, np.nan) for name in scores.columns])
    return scores


def _entropy(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Entropy of each row of weights, in nats; NaN for a row without weight."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = rows / rows.sum(1, keepdims=True)
        return -np.where(shares > 0, shares * np.log(shares), shares).sum(1)


def _relative(entropies: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Entropies divided by the last one; 1 where that is 0, since one group leaves nothing to mix."""
    return np.where(np.isnan(entropies), np.nan, 1.0) if entropies[-1] == 0 else entropies / entropies[-1]


def _costs(
    X: Any, labels: npt.NDArray[np.int32], centers: Any, masses: npt.NDArray[np.float64], n_clusters: int
) -> npt.NDArray[np.float64]:
    """Squared distance (n,) of the points to the centres of their clusters."""
    with frames.reading():
        points = np.asarray(frames.points(X), np.float64)
    if points.ndim != 2 or len(points) != len(labels):
        raise InputError(f"X has shape {points.shape}; expected ({len(labels)}, d): a row for each label.")
    if centers is None:
        sizes = np.bincount(labels, masses, n_clusters)
        sums = np.array([np.bincount(labels, masses * column, n_clusters) for column in points.T]).T
        means = sums / np.where(sizes > 0, sizes, 1)[:, None]
    else:
        means = np.asarray(centers, np.float64)
        shape = (n_clusters, points.shape[1])
        if means.shape != shape:
            raise InputError(f"centers has shape {means.shape}; expected {shape}: a row for each cluster.")
    return np.square(points - means[labels]).sum(1)


def _means(
    costs: npt.NDArray[np.float64] | None, ids: npt.NDArray[Any], masses: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.float64] | None:
    """Mean cost of each id, then of all; NaN for an id without weight."""
    if costs is None:
        return None
    sums, sizes = np.bincount(ids, masses * costs, size), np.bincount(ids, masses, size)
    with np.errstate(invalid="ignore"):
        return np.append(sums / sizes, sums.sum() / sizes.sum())
