"""Targets to start from: labels of all rows, given, or from each group clustered alone and the clusters matched."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from fairjax.deep.methods.matching import matched_by_kmeans
from fairjax.deep.methods.settings import setting
from fairjax.deep.training.streams import Data
from fairjax.errors import InputError

__all__ = ["StartSettings", "check_start"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartSettings:
    """The setting of the estimators alone, and what it gives to a training."""

    start: Literal["none", "match"] = setting(
        "none",
        "Targets in the beginning: none, or from k-means on each group's rows alone, whose clusters are matched by the "
        "distances between them.",
    )

    def _start(self, start_labels: Any) -> Any:
        """The labels given, or the function of rows and groups that finds them, or None."""
        return self._matched if start_labels is None and self.start == "match" else start_labels

    @property
    def _matched(self) -> Callable[[npt.NDArray[Any], npt.NDArray[np.int32]], npt.NDArray[np.int32]]:
        own: Any = self
        seed = own.random_state if isinstance(own.random_state, (int, np.integer)) else 0

        def labels(X: npt.NDArray[Any], groups: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
            return np.asarray(matched_by_kmeans(jax.random.key(int(seed)), X, groups, own.n_clusters).labels)

        return labels


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
