"""What a report says about a fitted FCA: the certificate, plain k-means from the same start, the price of fairness."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fairjax.estimators import inputs
from fairjax.metrics import host
from fairjax.report.chance import other_starts
from fairjax.report.data import ReportData, Unfair

if TYPE_CHECKING:
    from fairjax.estimators import FCA
    from fairjax.fca.fitting import Level
    from fairjax.report.models import Run

METHODS = {
    "direct": "fair k-means by exact assignment (FCA, direct route)",
    "exact": "fair clustering via exact optimal transport between the groups (FCA, alignment route)",
    "sinkhorn": "fair clustering via regularised optimal transport between the groups (FCA, alignment route)",
}
_ALIGNMENT = ("center_update", "partition_size", "transport_weight")
_CURVE_POINTS = 100_000  # up to this many points, the price curve uses all of them
_CURVE_SAMPLE = 20_000


def report_data(model: "FCA", run: "Run") -> ReportData:
    """Everything that the report of a fitted FCA shows."""
    solution = model.result_.assignment
    several = len(model.groups_) > 1
    shape = (int(model.n_clusters), len(model.groups_))
    table = host.contingency(model.labels_, run.groups, run.weights, shape)
    unfair, notes = None, notes_of(model, table)
    curve: list[Level] = []
    if several:
        cost, labels = model.unfair_ or k_means_of(model, run)
        unfair_table = host.contingency(labels, run.groups, run.weights, shape)
        balance = inputs.balance_of(unfair_table, model.fairness_.members)
        unfair = Unfair(cost=cost, balance=balance, labels=labels)
        if run.details and not model.fairness_.members:
            curve, sampled = curve_of(model, run, unfair_table)
            notes += sampled
    return ReportData(
        **run.parts,
        weights=run.weights,
        cost=model.cost_,
        balance=model.balance_,
        max_balance=model.max_balance_,
        method=METHODS[model.method],
        parameters=parameters(model),
        notes=(*run.notes, *notes),
        status=model.message_,
        converged=model.converged_,
        n_iter=model.n_iter_,
        primal=float(solution.primal),
        dual=float(solution.dual),
        gap=model.gap_,
        group_violation=host.group_violation(table) if several else None,
        unfair=unfair,
        curve=curve,
        control="epsilon" if model.fairness_.kind == "gap" else "min_balance",
        history=model.result_.history[: model.n_iter_].tolist(),
        chance=other_starts(model, run) if run.details else None,
        separately=bool(model.fairness_.members),
    )


def parameters(model: "FCA") -> dict[str, Any]:
    """Settings that affected the run, in the order in which people ask for them."""
    from fairjax.estimators import settings

    left_out = {"min_balance" if model.min_balance is None else "epsilon"}
    if model.method != "sinkhorn":
        left_out.add("reg")
    if model.method == "direct":
        left_out.update(_ALIGNMENT)
    if model.n_devices == 1:
        left_out.add("n_devices")
    found = {name: value for name, value in _in_order(model).items() if name not in left_out}
    found["n_init"] = settings.restarts(model)
    if not isinstance(model.init, str):
        found["init"] = "given centres"
    return found


def _in_order(model: "FCA") -> dict[str, Any]:
    """Parameters in the order of the signature; `get_params` sorts them by name."""
    import inspect

    return {name: getattr(model, name) for name in inspect.signature(type(model)).parameters}


def notes_of(model: "FCA", table: host.Table) -> list[str]:
    """Sentences that the reader of a report should see."""
    from fairjax.estimators import endings

    notes = []
    if model.status_ != 0:
        notes.append(f"The solver {model.message_}." if model.method == "direct" else f"Note: {model.message_}.")
    if remark := endings.remark(table, model.cluster_centers_):
        notes.append(f"Note: {remark}.")
    if model.search_ is not None:
        notes.append(endings.of_search(model.search_))
    floor = model.min_balance
    if floor is not None and model.balance_ < floor * (1 - 1e-9):
        notes.append(
            f"The floor of {floor:g} is met with fractions of points; whole points bring the least ratio to "
            f"{model.balance_:.4g}."
        )
    return notes


def k_means_of(model: "FCA", run: "Run") -> tuple[float, np.ndarray]:
    """Cost and labels of plain k-means from the same start, for a fit that did not begin with k-means."""
    from fairjax.fca.restarts import cost_and_labels, k_means
    from fairjax.fca.scaled_points import scale_points

    points = scale_points(run.X, run.groups, run.weights, n_groups=len(model.groups_))
    return cost_and_labels(points, k_means(points, model.start_centers_))


def curve_of(model: "FCA", run: "Run", unfair_table: host.Table) -> "tuple[list[Level], list[str]]":
    """Price of fairness from the same start for the control in use: from what k-means reaches to the best."""
    from fairjax.fca.fitting import price_of_fairness
    from fairjax.fca.scaled_points import scale_points

    X, groups, weights, notes = run.X, run.groups, run.weights, []
    if len(X) > _CURVE_POINTS:
        rows = np.sort(np.random.default_rng(0).choice(len(X), _CURVE_SAMPLE, replace=False))
        X, groups, weights = X[rows], groups[rows], None if weights is None else weights[rows]
        notes.append(f"The price of fairness is drawn from a random sample of {_CURVE_SAMPLE:,} points.")
    points = scale_points(X, groups, weights, n_groups=len(model.groups_))
    fairness = model.fairness_
    assert fairness.kind != "counts"  # a control of the baselines
    assert isinstance(fairness.value, float)
    if fairness.kind == "gap":
        loosest, tightest = host.group_violation(unfair_table), 0.0
    else:
        masses = np.bincount(groups, weights, len(model.groups_))
        # the very best balance needs another program (see floor); the value asked for is always on the curve
        loosest = host.balance(unfair_table)
        tightest = min(max(0.99 * model.max_balance_, fairness.value), float(masses.min() / masses.max()))
    curve = price_of_fairness(
        points,
        points.to_device(model.start_centers_),
        fairness.kind,
        loosest=loosest,
        tightest=tightest,
        weights=weights,
        max_iter=model.max_iter,
        tol=model.tol,
    )
    return curve, notes
