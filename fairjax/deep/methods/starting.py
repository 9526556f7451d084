"""Targets to start from: labels of all rows, given, or from each group clustered alone and the clusters matched."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax.deep.methods.matching import MatchedGroups, matched_by_kmeans, misfits_of_halves
from fairjax.deep.methods.settings import setting
from fairjax.deep.training.streams import Data
from fairjax.errors import InputError

__all__ = ["StartSettings", "check_start"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartSettings:
    """The setting of the estimators alone, and what it gives to a training."""

    start: Literal["none", "match", "auto"] = setting(
        "none",
        "Targets in the beginning: none, or from k-means on each group's rows alone, whose clusters are matched by the "
        'distances between them. "auto" takes these where the distances differ between the groups by no more than '
        "between halves of one group, and none otherwise.",
    )

    def _start(self, start_labels: Any) -> Any:
        """The labels given, or the function of rows and groups that finds them, or None."""
        return self._matched if start_labels is None and self.start != "none" else start_labels

    @property
    def _matched(self) -> Callable[[npt.NDArray[Any], npt.NDArray[np.int32]], npt.NDArray[np.int32] | None]:
        own: Any = self
        seed = own.random_state if isinstance(own.random_state, (int, np.integer)) else 0
        key = jax.random.key(int(seed))

        def labels(X: npt.NDArray[Any], groups: npt.NDArray[np.int32]) -> npt.NDArray[np.int32] | None:
            if self.start == "auto" and np.bincount(groups).min() < own.n_clusters:
                return None
            found = matched_by_kmeans(key, X, groups, own.n_clusters)
            if self.start == "auto" and not _alike(jax.random.fold_in(key, 1), X, groups, found, own.n_clusters):
                return None
            return np.asarray(found.labels)

        return labels


def _alike(key: Array, X: Any, groups: npt.NDArray[np.int32], found: MatchedGroups, n_clusters: int) -> bool:
    """Whether groups differ in the distances between their clusters no more than halves of one group do."""
    others = np.delete(found.misfits, np.argmax(np.bincount(groups)))
    halves = misfits_of_halves(key, X, groups, n_clusters)
    known = halves[~np.isnan(halves)]
    return len(others) > 0 and len(known) > 0 and float(np.mean(others)) <= float(np.mean(known))


def check_start(data: Data, n_clusters: int) -> bool:
    """Whether there are labels to start from.

    Raises
    ------
    InputError
        If they name more clusters than there are.
    """
    if data.start is None:
        return False
    if (found := int(jnp.max(data.start)) + 1) > n_clusters:
        raise InputError(f"start_labels names {found} clusters; expected at most n_clusters={n_clusters}")
    return True
