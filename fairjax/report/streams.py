"""The report of a fit over blocks: counts and proof for all rows, and a sample where single rows are needed."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax._core import group_codes
from fairjax.errors import InputError
from fairjax.metrics import host
from fairjax.report import fca
from fairjax.report.data import ReportData, Unfair
from fairjax.report.models import Report, Run

if TYPE_CHECKING:
    from fairjax._core.processes import Crew
    from fairjax.estimators import FCA
    from fairjax.fca.streaming.sampling import Sample


def from_blocks(
    model: "FCA",
    blocks: Iterable[Any],
    *,
    sensitive: str | None = None,
    title: str = "Fair clusters",
    details: bool = True,
    command: str | None = None,
    seconds: float | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Report on an `FCA` that was fitted by ``fit_blocks``; reads the table once more.

    Counts, balance, cost and proof cover all rows. Averages, the plane, ordinary k-means and the price of fairness come
    from a sample of some 10^5 rows, and the report says so.

    Parameters
    ----------
    model : FCA
        Fitted by ``fit_blocks``, or loaded from such a model's file.
    blocks : re-iterable of blocks
        The table of the fit.
    sensitive : str, optional
        Name of the protected attribute; by default its name in the table.
    title, details, command, seconds, notes
        As in :func:`fairjax.report.from_model`.

    Returns
    -------
    Report
        ``save(path)`` writes it.

    Raises
    ------
    InputError
        If the model was not fitted by ``fit_blocks``, or the table is a different one.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax import FCA, report
    >>> X, sex = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]), np.array(list("ffmmmf"))
    >>> model = FCA(2, random_state=0).fit_blocks([(X, sex)])
    >>> report.from_blocks(model, [(X, sex)], details=False).data.counts.sum(0).tolist()
    [3.0, 3.0]
    """
    from sklearn.utils.validation import check_is_fitted

    from fairjax._core.processes import Crew

    check_is_fitted(model)
    if not hasattr(model, "streamed_"):
        raise InputError("the model was fitted to rows in memory; give these to fairjax.report.from_model")
    found = model.streamed_
    sample = sample_of(model, blocks, found.rule.n_rows, Crew(model.n_devices == "all"))
    return of_sample(
        model, sample, found.counts, found.rule.n_rows, table=blocks, sensitive=sensitive, title=title,
        details=details, command=command, seconds=seconds, notes=notes,
    )  # fmt: skip


def sample_of(model: "FCA", table: Iterable[Any], n_rows: int, crew: "Crew") -> "Sample":
    """Rows that represent the whole table; every process of the crew must call this."""
    from fairjax.fca.streaming import together
    from fairjax.fca.streaming.intake import GroupIds
    from fairjax.fca.streaming.survey import survey

    groups = GroupIds([group_codes.plain(value) for value in model.groups_])
    intake = together.intake_of(crew, table, groups, n_rows)
    return survey(intake, crew=crew).sample


def of_sample(
    model: "FCA",
    sample: "Sample",
    counts: npt.NDArray[np.float64],
    n_rows: int,
    *,
    table: Any,
    sensitive: str | None,
    title: str,
    details: bool,
    command: str | None,
    seconds: float | None,
    notes: Sequence[str],
) -> Report:
    """The report, from a sample of the rows and the counts (M, K) of all of them."""
    from fairjax import __version__
    from fairjax.estimators import rule

    X, groups, weights = np.asarray(sample.X), sample.ids, sample.weights
    labels = rule.cheapest(X, groups, model.cluster_centers_.astype(np.float64), model.multipliers_)
    names = getattr(model, "feature_names_in_", None)
    parts: dict[str, Any] = {
        "title": title,
        "X": X,
        "labels": labels,
        "groups": groups,
        "group_names": model.group_names_,
        "n_clusters": int(model.n_clusters),
        "sensitive": _sensitive(table) if sensitive is None else sensitive,
        "feature_names": None if names is None else tuple(map(str, names)),
        "raw": _raw(X, getattr(table, "preparation", None)),
        "command": command,
        "version": f"fairjax {__version__}",
        "seconds": seconds,
    }
    told = [*notes, *fca.notes_of(model, counts.T)]
    if len(X) < n_rows:
        told.append(
            f"Averages, the plane and the price of fairness come from a sample of {len(X):,} of the {n_rows:,} points; "
            "counts, cost and proof are those of all."
        )
    run = Run(X=X, rows=X, groups=groups, weights=weights, notes=(), details=details, parts=parts)
    several = len(model.groups_) > 1
    unfair: Unfair | None = None
    curve: list[Any] = []
    if several:
        unfair, unfair_table = _unfair(model, run, labels)
        if details:
            curve, sampled = fca.curve_of(model, run, unfair_table)
            told += sampled
    solution = model.result_.assignment
    data = ReportData(
        **parts,
        weights=weights,
        whole=counts.T,
        n_whole=n_rows,
        cost=model.cost_,
        balance=model.balance_,
        max_balance=model.max_balance_,
        method=fca.METHODS[model.method],
        parameters=fca.parameters(model),
        notes=tuple(told),
        status=model.message_,
        converged=model.converged_,
        n_iter=model.n_iter_,
        primal=float(solution.primal),
        dual=float(solution.dual),
        gap=model.gap_,
        group_violation=host.group_violation(counts.T) if several else None,
        unfair=unfair,
        curve=curve,
        control="epsilon" if model.fairness_.kind == "gap" else "min_balance",
        history=model.result_.history[: model.n_iter_].tolist(),
    )
    return Report(data)


def _unfair(model: "FCA", run: Run, labels: npt.NDArray[np.int32]) -> tuple[Unfair, host.Table]:
    """Plain k-means in the sample; its cost is the model's, times the ratio of the two in the sample."""
    from fairjax.estimators import rule

    cost, own = fca.k_means_of(model, run)
    fair = rule.spread(run.X, labels, model.cluster_centers_.astype(np.float64), run.weights)
    weights = np.ones(len(labels)) if run.weights is None else run.weights
    fair /= float(weights.sum())
    table = host.contingency(own, run.groups, run.weights, (int(model.n_clusters), len(model.groups_)))
    ratio = cost / fair if fair > 0 else 1.0
    return Unfair(cost=model.cost_ * ratio, balance=host.balance(table), labels=own), table


def _sensitive(table: Any) -> str | None:
    return " and ".join(getattr(table, "sensitive", ())) or None


def _raw(X: npt.NDArray[Any], preparation: Any) -> npt.NDArray[np.float64] | None:
    """The points in the table's units, if scaling can be undone."""
    if preparation is None or preparation.centers is None or preparation.l2_normalize:
        return None
    return np.asarray(X * preparation.spreads + preparation.centers, np.float64)
