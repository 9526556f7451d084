"""Agreement of a clustering with known classes: accuracy under the best renaming, and mutual information."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from fairjax.metrics import tables
from fairjax.metrics._inputs import check_ids
from fairjax.metrics.counts import count_pairs
from fairjax.metrics.matching import best_matching


def accuracy(
    labels: ArrayLike,
    classes: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_classes: int | None = None,
) -> jax.Array:
    """Clustering accuracy: the share of points whose cluster, renamed as well as possible, is their class.

    ACC = max over one-to-one maps m of (1/N) Σ_i 1[class_i = m(label_i)]. With more clusters than classes, the
    points of unmatched clusters count as wrong; with fewer, the points of unmatched classes do.

    Parameters
    ----------
    labels
        Cluster of each point, integers 0..n_clusters-1, shape (n,).
    classes
        Class of each point, integers 0..n_classes-1, shape (n,).
    weights
        Weight of each point, shape (n,), not negative; 1 for all when left out.
    n_clusters, n_classes
        Static sizes; one more than the greatest id when left out. Required for a traced array.

    Returns
    -------
    Float scalar in [0, 1].

    Raises
    ------
    InputError
        For bad ids or weights, and for a missing size of a traced array.

    Notes
    -----
    O(n) for the table and O(K³) for the matching, which is exact for counts.

    Examples
    --------
    >>> from fairjax.metrics import accuracy
    >>> float(accuracy([1, 1, 0, 0], [0, 0, 1, 0]))
    0.75
    """
    return tables.accuracy(count_pairs(labels, classes, "classes", weights, n_clusters, n_classes))


def matched_labels(
    labels: ArrayLike,
    classes: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_classes: int | None = None,
) -> jax.Array:
    """Rename the clusters by the one-to-one map that :func:`accuracy` counts with.

    Parameters
    ----------
    labels, classes, weights, n_clusters, n_classes
        As in :func:`accuracy`.

    Returns
    -------
    int32 array of shape (n,): the class that each point's cluster is matched to, -1 if the cluster has none.

    Raises
    ------
    InputError
        As in :func:`accuracy`.

    Examples
    --------
    >>> from fairjax.metrics import matched_labels
    >>> print(matched_labels([1, 1, 0, 2], [0, 0, 1, 0]))
    [ 0  0  1 -1]
    """
    class_of = best_matching(count_pairs(labels, classes, "classes", weights, n_clusters, n_classes))
    label_ids, k = check_ids(labels, "labels", n_clusters, "n_clusters")
    inside = (label_ids >= 0) & (label_ids < k)
    return jnp.where(inside, class_of[jnp.where(inside, label_ids, 0)], -1)


def nmi(
    labels: ArrayLike,
    classes: ArrayLike,
    *,
    average: str = "arithmetic",
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_classes: int | None = None,
) -> jax.Array:
    """Normalised mutual information of clusters and classes, symmetric in the two.

    NMI = I(Y; C) / norm with norm = (H(Y) + H(C))/2 or √(H(Y) H(C)).

    Parameters
    ----------
    labels, classes, weights, n_clusters, n_classes
        As in :func:`accuracy`.
    average
        ``"arithmetic"``, as in the code of DFC and FCMI and in scikit-learn, or ``"geometric"``, as in
        Strehl and Ghosh (2002) and the text of the DFC paper.

    Returns
    -------
    Float scalar in [0, 1]; 1 if both have a single part, 0 if just one of them does.

    Raises
    ------
    InputError
        For bad ids or weights, an unknown `average`, and a missing size of a traced array.

    Examples
    --------
    >>> from fairjax.metrics import nmi
    >>> float(nmi([1, 1, 0, 0], [0, 0, 1, 1]))
    1.0
    """
    return tables.nmi(count_pairs(labels, classes, "classes", weights, n_clusters, n_classes), average=average)
