"""The scores as formulas on a table n_kt of clusters (rows) by groups or classes (columns).

A table holds counts or weights, integer or float, of shape (K, M); integers are converted to the default
float type, floats keep theirs. Rows without weight are *empty clusters*, columns without weight *absent
groups*: both are ignored in every minimum, maximum and mean, so padding a table with zeros does not change its
scores. A table of zeros scores NaN. All functions are pure and work under ``jit`` and ``vmap``; each is
compiled as a whole, once per shape and per choice of its named options.
"""

import functools

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jax.typing import ArrayLike

from fairjax._core.checks import check_choice
from fairjax.errors import InputError
from fairjax.metrics._inputs import floating
from fairjax.metrics.matching import best_matching

BALANCE_KINDS = ("ratio", "fraction", "relative")
VIOLATION_KINDS = ("pairwise", "tv", "bera")
ENTROPY_REDUCTIONS = ("none", "mean")
NMI_AVERAGES = ("arithmetic", "geometric")
FWD_MODES = ("l1", "tv", "w1_index")
REDUCTIONS = ("mean", "max", "weighted")


@functools.partial(jax.jit, static_argnames=("kind", "strict"))
def balance(table: ArrayLike, *, kind: str = "ratio", strict: bool = False) -> jax.Array:
    """Balance of the worst cluster; see :func:`fairjax.metrics.balance`.

    Examples
    --------
    >>> float(balance([[2, 1], [3, 3], [0, 0]]))
    0.5
    """
    check_choice("kind", kind, BALANCE_KINDS)
    counts = _table(table)
    present = _present(counts)
    if kind == "ratio":
        per_cluster = _divide(_min(counts, present, axis=1), counts.max(1))
    elif kind == "fraction":
        per_cluster = _min(_cluster_shares(counts), present, axis=1)
    else:
        overall = _divide(counts.sum(0), counts.sum())
        relative = _divide(_cluster_shares(counts), overall[None, :])
        per_cluster = _min(jnp.minimum(relative, _divide(1.0, relative)), present, axis=1)
    empty = counts.sum(1) <= 0
    worst = jnp.min(jnp.where(empty, 0.0 if strict else jnp.inf, per_cluster))
    return _unless_void(worst, counts)


@functools.partial(jax.jit, static_argnames=("kind",))
def max_balance(totals: ArrayLike, *, kind: str = "ratio") -> jax.Array:
    """Greatest balance under given group totals (M,); see :func:`fairjax.metrics.max_balance`.

    Examples
    --------
    >>> float(max_balance([10, 40]))
    0.25
    """
    # One cluster of all points attains it: sums over clusters keep every inequality n_kt ≥ B·n_ks.
    return balance(jnp.asarray(totals)[None, :], kind=kind)


@functools.partial(jax.jit, static_argnames=("kind",))
def group_violation(table: ArrayLike, *, kind: str = "pairwise", delta: ArrayLike = 0.0) -> jax.Array:
    """Gap between the groups' cluster proportions; see :func:`fairjax.metrics.group_violation`.

    Examples
    --------
    >>> float(group_violation([[3, 1], [1, 3]]))
    1.0
    """
    check_choice("kind", kind, VIOLATION_KINDS)
    counts = _table(table)
    present = _present(counts)
    if kind == "bera":
        share, overall = _cluster_shares(counts), _divide(counts.sum(0), counts.sum())[None, :]
        excess = jnp.maximum(share - (1 + delta) * overall, (1 - delta) * overall - share)
        counted = (counts.sum(1) > 0)[:, None] & present[None, :]
        return _unless_void(jnp.max(jnp.where(counted, excess, 0.0), initial=0.0), counts)
    proportions = _divide(counts, counts.sum(0)[None, :])
    gaps = jnp.abs(proportions[:, :, None] - proportions[:, None, :]).sum(0)
    worst = jnp.max(jnp.where(present[:, None] & present[None, :], gaps, 0.0))
    return _unless_void(worst / 2 if kind == "tv" else worst, counts)


@functools.partial(jax.jit, static_argnames=("reduce",))
def entropy(table: ArrayLike, *, smoothing: ArrayLike = 0.0, reduce: str = "none") -> jax.Array:
    """Entropy of each group's spread over the clusters; see :func:`fairjax.metrics.entropy`.

    Examples
    --------
    >>> [round(float(h), 4) for h in entropy([[2, 5], [2, 5]])]
    [0.6931, 0.6931]
    """
    check_choice("reduce", reduce, ENTROPY_REDUCTIONS)
    counts = _table(table)
    present = _present(counts)
    proportions = _divide(counts, counts.sum(0)[None, :])
    per_group = -xlogy(proportions, proportions + smoothing).sum(0)
    if reduce == "mean":
        return _unless_void(_divide(jnp.where(present, per_group, 0.0).sum(), present.sum()), counts)
    return jnp.where(present, per_group, jnp.nan)


@jax.jit
def mnce(table: ArrayLike) -> jax.Array:
    """Least normalised conditional entropy of the groups; see :func:`fairjax.metrics.mnce`.

    Examples
    --------
    >>> float(mnce([[2, 2], [3, 3]]))
    1.0
    """
    counts = _table(table)
    conditional = _entropy(_cluster_shares(counts), axis=1)
    overall = _entropy(_divide(counts.sum(0), counts.sum()), axis=0)
    least = jnp.min(jnp.where(counts.sum(1) > 0, conditional, jnp.inf))
    # With only one group present there is nothing to mix: every clustering is as mixed as the data.
    mixed = _present(counts).sum() > 1
    return _unless_void(jnp.where(mixed, _divide(least, overall), 1.0), counts)


@functools.partial(jax.jit, static_argnames=("mode", "reduce"))
def fwd(table: ArrayLike, *, mode: str = "l1", reduce: str = "mean") -> jax.Array:
    """Distance of the clusters' group shares from uniform; see :func:`fairjax.metrics.fwd`.

    Examples
    --------
    >>> float(fwd([[3, 1], [2, 2]]))
    0.25
    """
    check_choice("mode", mode, FWD_MODES)
    counts = _table(table)
    present = _present(counts)
    uniform = _divide(present.astype(counts.dtype), present.sum())
    difference = _cluster_shares(counts) - uniform[None, :]
    if mode == "w1_index":
        difference = jnp.cumsum(difference, axis=1)
    distance = jnp.abs(difference).sum(1)
    return _reduce(distance / 2 if mode == "tv" else distance, counts, reduce)


@functools.partial(jax.jit, static_argnames=("reduce",))
def calders_verwer(table: ArrayLike, *, reduce: str = "max") -> jax.Array:
    """Difference of two groups' shares in a cluster; see :func:`fairjax.metrics.calders_verwer`.

    Examples
    --------
    >>> float(calders_verwer([[3, 1], [2, 2]]))
    0.5
    """
    counts = _table(table)
    if counts.shape[1] != 2:
        raise InputError(
            f"the Calders-Verwer gap compares two groups, but there are {counts.shape[1]}: "
            "use fwd or group_violation for another number."
        )
    shares = _cluster_shares(counts)
    return _reduce(jnp.abs(shares[:, 0] - shares[:, 1]), counts, reduce)


@jax.jit
def accuracy(table: ArrayLike) -> jax.Array:
    """Share of points on the best matching of rows and columns; see :func:`fairjax.metrics.accuracy`.

    Examples
    --------
    >>> float(accuracy([[0, 3], [4, 1]]))
    0.875
    """
    counts = _table(table)
    # Pass the table unconverted: integer counts are matched exactly.
    column = best_matching(table)
    matched = jnp.take_along_axis(counts, jnp.maximum(column, 0)[:, None], axis=1)[:, 0]
    return _unless_void(_divide(jnp.where(column >= 0, matched, 0.0).sum(), counts.sum()), counts)


@functools.partial(jax.jit, static_argnames=("average",))
def nmi(table: ArrayLike, *, average: str = "arithmetic") -> jax.Array:
    """Normalised mutual information of rows and columns; see :func:`fairjax.metrics.nmi`.

    Examples
    --------
    >>> float(nmi([[2, 0], [0, 2]]))
    1.0
    """
    check_choice("average", average, NMI_AVERAGES)
    counts = _table(table)
    joint = _divide(counts, counts.sum())
    rows, columns = joint.sum(1), joint.sum(0)
    ratio = _divide(_divide(joint, rows[:, None]), columns[None, :])
    information = jnp.maximum(xlogy(joint, jnp.where(joint > 0, ratio, 1.0)).sum(), 0.0)
    h_rows, h_columns = _entropy(rows, axis=0), _entropy(columns, axis=0)
    norm = jnp.sqrt(h_rows * h_columns) if average == "geometric" else (h_rows + h_columns) / 2
    # Two partitions with one part each agree fully; one of them says nothing about a real partition.
    trivial = ((rows > 0).sum() == 1) & ((columns > 0).sum() == 1)
    return _unless_void(jnp.where(trivial, 1.0, _divide(information, norm)), counts)


@jax.jit
def f_beta(agreement: ArrayLike, evenness: ArrayLike, *, beta: ArrayLike = 1.0) -> jax.Array:
    """Weighted harmonic mean of an NMI and an MNCE, 0 when both are 0; see :func:`fairjax.metrics.f_beta`.

    Examples
    --------
    >>> round(float(f_beta(0.5, 1.0)), 4)
    0.6667
    """
    first, second = floating(agreement), floating(evenness)
    below = beta**2 * first + second
    return jnp.where(jnp.isnan(below), jnp.nan, _divide((1 + beta**2) * first * second, below))


def _table(table: ArrayLike) -> jax.Array:
    counts = floating(table)
    if counts.ndim != 2 or counts.size == 0:
        raise InputError(
            f"table has shape {counts.shape}; expected (clusters, groups), at least one of each: "
            "use jax.vmap for a stack of tables."
        )
    return counts


def _present(counts: jax.Array) -> jax.Array:
    return counts.sum(0) > 0


def _cluster_shares(counts: jax.Array) -> jax.Array:
    return _divide(counts, counts.sum(1)[:, None])


def _divide(a: ArrayLike, b: ArrayLike) -> jax.Array:
    """Divide with x/0 = 0, and without the NaN gradient that masking after the division would give."""
    nonzero = jnp.asarray(b) > 0
    return jnp.where(nonzero, a / jnp.where(nonzero, b, 1), 0.0)


def _min(values: jax.Array, present: jax.Array, axis: int) -> jax.Array:
    return jnp.min(jnp.where(present[None, :], values, jnp.inf), axis=axis)


def _entropy(shares: jax.Array, axis: int) -> jax.Array:
    return -xlogy(shares, jnp.where(shares > 0, shares, 1.0)).sum(axis)


def _reduce(per_cluster: jax.Array, counts: jax.Array, how: str) -> jax.Array:
    check_choice("reduce", how, REDUCTIONS)
    sizes = counts.sum(1)
    if how == "max":
        score = jnp.max(jnp.where(sizes > 0, per_cluster, -jnp.inf))
    else:
        mass = sizes if how == "weighted" else (sizes > 0).astype(counts.dtype)
        score = _divide((mass * per_cluster).sum(), mass.sum())
    return _unless_void(score, counts)


def _unless_void(score: jax.Array, counts: jax.Array) -> jax.Array:
    return jnp.where(counts.sum() > 0, score, jnp.nan)
