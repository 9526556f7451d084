"""Documentation of the deep methods, written from their settings."""

from typing import Any

from fairjax._core import documentation

__all__ = ["described", "documented"]

_ATTRIBUTES = """
labels_ : ndarray (N,), int32
    Cluster of each row.
cluster_centers_ : ndarray (K, d)
    In the latent space.
history_ : dict of ndarray (steps,)
    Weighted terms of the loss by ``"stage: term"``.
n_iter_ : int
    Steps of all stages.
ended_early_ : bool
    Whether the last stage was ended by its own rule.
balance_ : float
    Smallest ratio of two groups' sizes in a cluster.
max_balance_ : float
    The best balance that the data allow.
groups_ : ndarray (T,)
    Values of `sensitive_features`, sorted.
group_names_ : tuple of str
    The same as text.
notes_ : tuple of str
    Remarks about the data, such as groups with fewer rows than a batch needs.
"""


def described(kind: Any) -> list[tuple[str, str, str]]:
    """Name, type and sentence of every setting of an estimator."""
    return documentation.described(kind, {"network": kind.networks.sentence})


def documented(kind: Any) -> str:
    """The docstring of an estimator, completed by its parameters and the attributes that all deep methods have."""
    return documentation.documented(kind, _ATTRIBUTES, {"network": kind.networks.sentence})
