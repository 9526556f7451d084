"""What a report says about a fitted baseline: its control, plain k-means from the same seed, how it ended."""

import inspect
import warnings
from typing import TYPE_CHECKING, Any

from fairjax.estimators import inputs
from fairjax.metrics import host
from fairjax.report.data import ReportData, Unfair

if TYPE_CHECKING:
    from fairjax.baselines import Baseline
    from fairjax.report.models import Run


def report_data(model: "Baseline", run: "Run") -> ReportData:
    """Everything that the report of a fitted baseline shows."""
    shape = (int(model.n_clusters), len(model.groups_))
    table = host.contingency(model.labels_, run.groups, run.weights, shape)
    unfair = None
    separately = bool(getattr(model, "attribute_balances_", ()))
    if shape[1] > 1:
        cost, labels = _k_means(model, run)
        plain = host.contingency(labels, run.groups, run.weights, shape)
        balance = inputs.balance_of(plain, inputs.members_of(model.groups_) if separately else ())
        unfair = Unfair(cost=cost, balance=balance, labels=labels)
    return ReportData(
        **run.parts,
        weights=run.weights,
        cost=model.cost_,
        balance=model.balance_,
        max_balance=model.max_balance_,
        method=f"{type(model).__name__}: {_title(model)}",
        parameters=parameters(model),
        notes=(*run.notes, *([_sentence(model.message_)] if model.message_ and model.status_ != "stopped" else [])),
        status=model.status_,
        converged=model.status_ != "stopped",
        n_iter=model.n_iter_,
        group_violation=host.group_violation(table) if shape[1] > 1 else None,
        unfair=unfair,
        proof=_proof(model),
        separately=separately,
    )


def parameters(model: "Baseline") -> dict[str, Any]:
    """Settings in the order of the signature."""
    found = {name: getattr(model, name) for name in inspect.signature(type(model)).parameters}
    if not isinstance(model.init, str):
        found["init"] = "given centres"
    return found


def _title(model: "Baseline") -> str:
    """The first line of its documentation, without the full stop."""
    return (inspect.getdoc(type(model)) or "").partition("\n")[0].rstrip(".")


def _sentence(text: str) -> str:
    return f"Note: {text.rstrip('.')}."


def _k_means(model: "Baseline", run: "Run") -> tuple[float, Any]:
    from fairjax.baselines import KMeans

    plain = KMeans(model.n_clusters, init=model.init, random_state=model.random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain.fit(run.X, sample_weight=run.weights)
    return plain.cost_, plain.labels_


def _proof(model: "Baseline") -> tuple[str, ...]:
    name = type(model).__name__
    rest = (
        "Another seed may end at other centres and a lower cost, and so may another method: compare them with fairjax "
        "bench."
    )
    if model.status_ == "optimal" and model.gap_ is not None:
        return (
            f"For its centres {name} solved its assignment to a proven optimum, up to a share of "
            f"{max(model.gap_, 0):.1e} of the cost, before points on a boundary were rounded to labels.",
            rest,
        )
    return (f"{name} proves no bound on its cost.", rest)
