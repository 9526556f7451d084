"""Scores of a clustering: cost, fairness towards groups, agreement with known classes.

Every score is a pure function of cluster labels ``(n,)``, group or class ids ``(n,)`` and, for the cost,
the points ``(n, d)``; it returns a JAX array and may be used under ``jax.jit`` and ``jax.vmap``. All but
the cost depend on the points only through the table n_kt of counts: :mod:`fairjax.metrics.tables` has the
same scores as functions of that table, for callers that build it once, sum it over devices, or take it from
a publication.

Groups and classes may also be any values that :meth:`fairjax.FCA.fit` takes (text, dates, columns of a frame); they
are numbered in sorted order. :func:`frame` puts the scores of every cluster or group into a table.

Sizes (``n_clusters``, ``n_groups``, ``n_classes``) are static: inferred from concrete arrays if omitted,
required for traced ones. Points may carry ``weights``; weight 0 means absent, which is also how to mark
padding.
"""

from fairjax.metrics import tables
from fairjax.metrics.agreement import accuracy, matched_labels, nmi
from fairjax.metrics.cost import clustering_cost
from fairjax.metrics.counts import contingency, n_nonempty, soft_contingency
from fairjax.metrics.fairness import (
    balance,
    calders_verwer,
    entropy,
    f_beta,
    fwd,
    group_violation,
    max_balance,
    mnce,
)
from fairjax.metrics.frames import frame
from fairjax.metrics.matching import best_matching

__all__ = [
    "accuracy",
    "balance",
    "best_matching",
    "calders_verwer",
    "clustering_cost",
    "contingency",
    "entropy",
    "f_beta",
    "frame",
    "fwd",
    "group_violation",
    "matched_labels",
    "max_balance",
    "mnce",
    "n_nonempty",
    "nmi",
    "soft_contingency",
    "tables",
]
