"""Labels of each group clustered alone, and the term that keeps to them: rows of two groups are never compared."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax import kmeans
from fairjax.deep.methods.settings import Number, differs, setting
from fairjax.deep.training.streams import Data, present
from fairjax.errors import InputError

__all__ = ["ConsistencySettings", "check_consistency", "checked_labels", "cluster_alone"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConsistencySettings:
    """Settings of the term."""

    consistency: Number = setting(
        0.0,
        "Weight of a term that keeps together and apart the rows that a clustering of each group alone has put "
        "together and apart: the `group_labels` given to `fit`, else k-means on the latent rows at the end of the "
        "warm-up. An unpublished variant of FCMI's authors, who take about 0.05.",
    )
    consistency_tau: Number = setting(0.2, "Temperature of that term.", above=0.0)


def cluster_alone(key: Array, z: Array, data: Data, n_clusters: int, n_init: int) -> Array:
    """Labels (N,) by k-means on the latent rows of each group alone."""
    here = present(data)

    def fit(key: Array, rows: Array, here: Array) -> Array:
        return kmeans.fit(key, z[rows], n_clusters, here.astype(z.dtype), n_init=n_init).labels

    labels = jax.vmap(fit)(jax.random.split(key, data.n_groups), data.members, here)
    rows = jnp.where(here, data.members, len(z))
    return jnp.zeros(len(z), jnp.int32).at[rows].set(labels.astype(jnp.int32), mode="drop")


def check_consistency(config: Any, data: Data) -> bool:
    """Whether there is such a term.

    Raises
    ------
    InputError
        If it lacks what it needs, or labels are given and there is no such term.
    """
    if not differs(config.consistency, 0.0):
        if data.alone is not None:
            raise InputError("group_labels have no effect with consistency=0; set consistency, such as 0.05")
        return False
    smallest = int(np.min(np.asarray(data.sizes)))
    if data.alone is None and smallest < config.n_clusters:
        raise InputError(
            f"the smallest group has {smallest} rows, fewer than n_clusters={config.n_clusters}: consistency clusters "
            "each group alone first; ask for fewer clusters, or set consistency=0"
        )
    return True


def checked_labels(labels: Any, n_rows: int, name: str = "group_labels") -> npt.NDArray[np.int32]:
    """Labels of rows, of any clustering, as numbers from 0 on.

    Raises
    ------
    InputError
        If there is not one whole number of at least 0 for each row.
    """
    found = np.asarray(labels)
    if found.shape != (n_rows,):
        raise InputError(f"{name} has shape {found.shape}; expected one label for each of {n_rows} rows")
    if found.dtype.kind not in "iu":
        raise InputError(f"{name} holds {found.dtype}; expected whole numbers, a cluster's for each row")
    if found.min() < 0:
        raise InputError(f"{name} holds {found.min()}; expected whole numbers of at least 0")
    return np.unique(found, return_inverse=True)[1].astype(np.int32)
