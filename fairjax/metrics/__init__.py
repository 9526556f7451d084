"""Scores of a clustering: cost, fairness towards groups, agreement with known classes.

Every score is a pure function of cluster labels ``(n,)``, group or class ids ``(n,)`` and, for the cost,
the points ``(n, d)``; it returns a JAX array and may be used under ``jax.jit`` and ``jax.vmap``. All but
the cost depend on the points only through the table n_kt of counts: :mod:`fairjax.metrics.tables` holds the
same scores as functions of that table, for whoever builds it once, sums it over devices, or has it from a
publication.

Groups and classes may also be any values that :meth:`fairjax.FCA.fit` takes (text, dates, columns of a frame), which
are numbered in sorted order; :func:`frame` puts the scores of every cluster or group into a table.

Sizes (``n_clusters``, ``n_groups``, ``n_classes``) are static: read off concrete arrays when left out,
required when the array is traced. Points may carry ``weights``; weight 0 means absent, which is how padding
is written.
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
