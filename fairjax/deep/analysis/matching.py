"""What it costs to match the clusters of groups that were clustered apart (DFC's question of label matching)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from fairjax import metrics
from fairjax.errors import InputError

__all__ = ["MatchedUnion", "matched_union"]


class MatchedUnion(NamedTuple):
    """Labels of all rows after the groups' clusters were named alike, by three rules.

    Attributes
    ----------
    best : ndarray (N,), int32
        Each group's clusters, renamed by the one-to-one map to classes of the most agreement.
    worst : ndarray (N,), int32
        The first group's clusters renamed so, the others' by the map of the least agreement.
    chance : ndarray (N,), int32
        The clusters as the groups' own models happen to number them.
    """

    best: npt.NDArray[np.int32]
    worst: npt.NDArray[np.int32]
    chance: npt.NDArray[np.int32]


def matched_union(labels: npt.ArrayLike, target: npt.ArrayLike, groups: npt.ArrayLike, k: int) -> MatchedUnion:
    """Join clusterings of the groups alone into one of all rows, by the best and by the worst matching.

    A fair clustering could be had by clustering every group alone and matching the clusters, if only the matching were
    known: what lies between best and worst is what DFC's structural preservation, which needs no matching, avoids.
    Classes are used, so this is an analysis and no method.

    Parameters
    ----------
    labels : (N,) integers below k
        Cluster of each row in the clustering of its own group, as DFC's frozen models have it.
    target : (N,) integers below k
        Classes.
    groups : (N,) integers
    k : int
        Number of clusters, and the most classes.

    Raises
    ------
    InputError
        If there are more classes than clusters.

    Examples
    --------
    >>> found = matched_union([0, 1, 1, 0], [0, 1, 0, 1], [0, 0, 1, 1], 2)
    >>> found.best.tolist(), found.worst.tolist(), found.chance.tolist()
    ([0, 1, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0])
    """
    own, classes, ids = (np.asarray(each) for each in (labels, target, groups))
    if classes.max() >= k or own.max() >= k:
        raise InputError(f"classes go to {classes.max()} and labels to {own.max()}; expected integers below k={k}")
    found = {"best": np.empty(len(own), np.int32), "worst": np.empty(len(own), np.int32)}
    for number, group in enumerate(np.unique(ids)):
        rows = ids == group
        table = metrics.contingency(jnp.asarray(own[rows]), jnp.asarray(classes[rows]), n_clusters=k, n_groups=k)
        for name, sign in (("best", 1), ("worst", -1 if number else 1)):
            found[name][rows] = np.asarray(metrics.best_matching(sign * table))[own[rows]]
    return MatchedUnion(found["best"], found["worst"], own.astype(np.int32))
