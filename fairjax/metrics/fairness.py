"""Fairness of a clustering towards groups: how evenly each group is spread over the clusters.

Symbols: n_kt weight of group t in cluster k, n_k of the cluster, n_t of the group, N of all points; K clusters,
M groups. Clusters and groups without weight are ignored unless stated otherwise.
"""

import jax
from jax.typing import ArrayLike

from fairjax.metrics import agreement, tables
from fairjax.metrics.counts import contingency, id_totals


def balance(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    kind: str = "ratio",
    strict: bool = False,
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_groups: int | None = None,
) -> jax.Array:
    """Balance: how evenly the groups share the least even cluster, 0 when some group is missing from one.

    Parameters
    ----------
    labels
        Cluster of each point, integers 0..n_clusters-1, shape (n,).
    groups
        Group of each point, integers 0..n_groups-1, shape (n,).
    kind
        ``"ratio"``: min_k min_{s,t} n_ks/n_kt, over clusters and pairs of groups (Chierichetti et al. 2017;
        the tables of DFC, FCMI and FCA). ``"fraction"``: min_k min_t n_kt/n_k (printed in the DFC paper,
        though its tables hold the ratio). ``"relative"``: min_k min_t min(r_t/r_kt, r_kt/r_t) with r_kt =
        n_kt/n_k and r_t = n_t/N (Bera et al. 2019), whose greatest value is 1 whatever the group sizes.
    strict
        Let an empty cluster score 0 instead of ignoring it; see also :func:`fairjax.metrics.n_nonempty`.
    weights
        Weight of each point, shape (n,), not negative; 1 for all when left out.
    n_clusters, n_groups
        Static sizes; one more than the greatest id when left out. Required for a traced array.

    Returns
    -------
    Float scalar in [0, 1]; compare with :func:`max_balance`. With one group it is 1. NaN if all weights are
    0.

    Raises
    ------
    InputError
        For bad ids or weights, an unknown `kind`, and a missing size of a traced array.

    Examples
    --------
    >>> from fairjax.metrics import balance
    >>> labels, groups = [0, 0, 0, 1, 1], [0, 0, 1, 0, 1]
    >>> float(balance(labels, groups))
    0.5
    >>> round(float(balance(labels, groups, kind="fraction")), 4)
    0.3333
    """
    table = contingency(labels, groups, weights=weights, n_clusters=n_clusters, n_groups=n_groups)
    return tables.balance(table, kind=kind, strict=strict)


def max_balance(
    groups: ArrayLike,
    *,
    kind: str = "ratio",
    weights: ArrayLike | None = None,
    n_groups: int | None = None,
) -> jax.Array:
    """Best balance that any clustering of these points can have; a single cluster of all points attains it.

    For the ratio it is min_t n_t / max_t n_t, for the fraction min_t n_t/N, for the relative kind 1.

    Parameters
    ----------
    groups
        Group of each point, integers 0..n_groups-1, shape (n,).
    kind
        Kind of balance, as in :func:`balance`.
    weights
        Weight of each point, shape (n,), not negative; 1 for all when left out.
    n_groups
        Static number of groups; one more than the greatest id when left out. Required when traced.

    Returns
    -------
    Float scalar in (0, 1]. NaN if all weights are 0.

    Raises
    ------
    InputError
        For bad ids or weights, an unknown `kind`, and a missing size of traced groups.

    Examples
    --------
    >>> from fairjax.metrics import max_balance
    >>> float(max_balance([0, 0, 0, 0, 1]))
    0.25
    """
    return tables.max_balance(id_totals(groups, "groups", weights, n_groups, "n_groups"), kind=kind)


def group_violation(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    kind: str = "pairwise",
    delta: ArrayLike = 0.0,
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_groups: int | None = None,
) -> jax.Array:
    """Additive violation of fairness: how far apart the groups' cluster proportions are, 0 when all agree.

    The proportion of group t in cluster k is q_tk = n_kt/n_t.

    Parameters
    ----------
    labels, groups, weights, n_clusters, n_groups
        As in :func:`balance`.
    kind
        ``"pairwise"``: max over pairs of groups of Σ_k |q_sk - q_tk|, in [0, 2]; for two groups this is the
        gap that FCA-C bounds by ε. ``"tv"``: half of it, the greatest total variation distance, in [0, 1].
        ``"bera"``: the greatest amount by which a share n_kt/n_k leaves [(1-δ) r_t, (1+δ) r_t], r_t =
        n_t/N, over non-empty clusters (the bounds of Bera et al. 2019, relative to the data).
    delta
        The slack δ ≥ 0 of ``"bera"``; may be traced. The other kinds do not use it.

    Returns
    -------
    Float scalar ≥ 0. With one group it is 0. NaN if all weights are 0.

    Raises
    ------
    InputError
        For bad ids or weights, an unknown `kind`, and a missing size of a traced array.

    Notes
    -----
    O(n + K·M²) work and O(K·M²) memory for the pairwise kinds.

    Examples
    --------
    >>> from fairjax.metrics import group_violation
    >>> float(group_violation([0, 0, 1, 1, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1]))
    0.5
    """
    table = contingency(labels, groups, weights=weights, n_clusters=n_clusters, n_groups=n_groups)
    return tables.group_violation(table, kind=kind, delta=delta)


def entropy(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    smoothing: ArrayLike = 0.0,
    reduce: str = "none",
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_groups: int | None = None,
) -> jax.Array:
    """Entropy of each group's spread over the clusters, in nats: H_t = -Σ_k q_tk log q_tk, q_tk = n_kt/n_t.

    The tables of DFC hold this entropy ("a / b", one number for each group); the formula printed in that
    paper divides by the cluster's size instead and cannot reach the maxima listed there.

    Parameters
    ----------
    labels, groups, weights, n_clusters, n_groups
        As in :func:`balance`.
    smoothing
        Added inside the logarithm, log(q_tk + smoothing). The code published with DFC uses 1e-5, which lowers
        the result by about K times that; the default is Shannon's entropy.
    reduce
        ``"none"`` for one number per group, ``"mean"`` for their mean (FCMI).

    Returns
    -------
    Float array of shape (n_groups,), NaN for a group without weight; with ``reduce="mean"`` a scalar. At most
    log K.

    Raises
    ------
    InputError
        For bad ids or weights, an unknown `reduce`, and a missing size of a traced array.

    Examples
    --------
    >>> from fairjax.metrics import entropy
    >>> [round(float(h), 4) for h in entropy([0, 1, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1])]
    [0.6931, 0.5623]
    """
    table = contingency(labels, groups, weights=weights, n_clusters=n_clusters, n_groups=n_groups)
    return tables.entropy(table, smoothing=smoothing, reduce=reduce)


def mnce(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_groups: int | None = None,
) -> jax.Array:
    """Minimal normalised conditional entropy of the groups in a cluster, min_k H(G | C = k) / H(G) (FCMI).

    Parameters
    ----------
    labels, groups, weights, n_clusters, n_groups
        As in :func:`balance`.

    Returns
    -------
    Float scalar ≥ 0: 0 when some cluster holds only one group. At most 1 for groups of equal size; for others it
    exceeds 1 if every cluster is more even than the data. With one group it is 1. NaN if all weights are 0.

    Raises
    ------
    InputError
        For bad ids or weights, and a missing size of a traced array.

    Examples
    --------
    >>> from fairjax.metrics import mnce
    >>> round(float(mnce([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 1])), 4)
    0.8835
    """
    return tables.mnce(contingency(labels, groups, weights=weights, n_clusters=n_clusters, n_groups=n_groups))


def f_beta(
    labels: ArrayLike,
    classes: ArrayLike,
    groups: ArrayLike,
    *,
    beta: ArrayLike = 1.0,
    average: str = "arithmetic",
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_classes: int | None = None,
    n_groups: int | None = None,
) -> jax.Array:
    """F measure of agreement and fairness: (1+β²) NMI·MNCE / (β² NMI + MNCE) (FCMI).

    Parameters
    ----------
    labels, groups, weights, n_clusters, n_groups
        As in :func:`balance`.
    classes
        Class of each point, integers 0..n_classes-1, shape (n,).
    beta
        Weight β of MNCE against NMI; may be traced.
    average
        Kind of NMI, as in :func:`fairjax.metrics.nmi`.
    n_classes
        Static number of classes; one more than the greatest id when left out. Required when traced.

    Returns
    -------
    Float scalar ≥ 0; 0 when NMI and MNCE are both 0.

    Raises
    ------
    InputError
        For bad ids or weights, an unknown `average`, and a missing size of a traced array.

    Examples
    --------
    >>> from fairjax.metrics import f_beta
    >>> float(f_beta([0, 0, 1, 1], classes=[1, 1, 0, 0], groups=[0, 1, 0, 1]))
    1.0
    """
    agreeing = agreement.nmi(
        labels, classes, average=average, weights=weights, n_clusters=n_clusters, n_classes=n_classes
    )
    even = mnce(labels, groups, weights=weights, n_clusters=n_clusters, n_groups=n_groups)
    return tables.f_beta(agreeing, even, beta=beta)


def fwd(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    mode: str = "l1",
    reduce: str = "mean",
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_groups: int | None = None,
) -> jax.Array:
    """Fairness distance of Wang and Davidson: how far the groups' shares in a cluster are from 1/M each.

    Parameters
    ----------
    labels, groups, weights, n_clusters, n_groups
        As in :func:`balance`.
    mode
        Distance between the shares n_kt/n_k and uniform: ``"l1"``, Σ_t |n_kt/n_k - 1/M|, which agrees with
        the published tables; ``"tv"``, half of it; ``"w1_index"``, Wasserstein-1 over the group ids as
        points on a line, Σ_t |difference of cumulated shares|, for ordered groups.
    reduce
        Over the non-empty clusters: ``"mean"`` (the published tables), ``"max"``, or ``"weighted"`` by the
        cluster's weight. The weighted mean is never below the distance of the data as a whole.

    Returns
    -------
    Float scalar ≥ 0, 0 for even shares in every cluster. NaN if all weights are 0.

    Raises
    ------
    InputError
        For bad ids or weights, an unknown `mode` or `reduce`, and a missing size of a traced array.

    Examples
    --------
    >>> from fairjax.metrics import fwd
    >>> float(fwd([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 1]))
    0.25
    """
    table = contingency(labels, groups, weights=weights, n_clusters=n_clusters, n_groups=n_groups)
    return tables.fwd(table, mode=mode, reduce=reduce)


def calders_verwer(
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    reduce: str = "max",
    weights: ArrayLike | None = None,
    n_clusters: int | None = None,
    n_groups: int | None = 2,
) -> jax.Array:
    """Calders-Verwer gap between two groups in a cluster: |n_k0/n_k - n_k1/n_k|, worst or mean over clusters.

    For two groups its mean is :func:`fwd` in the mode ``"l1"``.

    Parameters
    ----------
    labels, groups, weights, n_clusters
        As in :func:`balance`, the groups being 0 and 1.
    reduce
        ``"max"``, ``"mean"`` or ``"weighted"`` over the non-empty clusters, as in :func:`fwd`.
    n_groups
        Accepted as elsewhere; only 2 is meaningful here.

    Returns
    -------
    Float scalar in [0, 1]. NaN if all weights are 0.

    Raises
    ------
    InputError
        Unless there are exactly two groups, for bad ids or weights, an unknown `reduce`, and traced labels without
        `n_clusters`.

    Examples
    --------
    >>> from fairjax.metrics import calders_verwer
    >>> float(calders_verwer([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 1]))
    0.5
    """
    table = contingency(labels, groups, weights=weights, n_clusters=n_clusters, n_groups=n_groups)
    return tables.calders_verwer(table, reduce=reduce)
