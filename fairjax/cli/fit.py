"""``fairjax fit``: read, cluster, show."""

import argparse
import json
import shlex
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairjax import __version__, _progress
from fairjax._text import visible
from fairjax.cli import attributes, compilation, deep, inputs, outputs, table_options
from fairjax.cli.bar import Bar
from fairjax.datasets import Dataset
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.estimators import FCA
    from fairjax.report import ReportData

_SETTINGS = ("epsilon", "min_balance", "method", "init", "n_init", "max_iter", "tol")  # options named as FCA names them
_ALIGNMENT_SETTINGS = ("center_update", "partition_size", "transport_weight", "reg")
_CURVE_POINTS = 100_000  # points up to which the price curve takes all of them
_CURVE_SAMPLE = 20_000
_ROUTES = {
    "direct": "fair k-means by exact assignment (FCA, direct route)",
    "exact": "fair clustering via exact optimal transport between the groups (FCA, alignment route)",
    "sinkhorn": "fair clustering via regularised optimal transport between the groups (FCA, alignment route)",
}


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Do what the options of ``fairjax fit`` say; files are written last, all or none of the work behind them."""
    known = [*_ROUTES, *deep.METHODS]
    if options.method not in known:
        raise InputError(f"--method is {options.method!r}; expected one of {', '.join(known)}")
    deep.check(options)
    outputs.check({"--out": options.out, "--report": options.report}, options.data)
    compilation.keep_programs()
    with Bar(not options.quiet) as bar, _progress.watching(bar):
        data, sensitive = inputs.read(
            options.data,
            sensitive=options.sensitive,
            features=options.features,
            standardize=options.standardize,
            l2_normalize=options.l2_normalize,
            download=options.download,
            image_size=deep.IMAGE_SIZES.get(options.method),
            table=table_options.chosen(options),
            keep_table=options.out is not None,
        )
        outputs.check_columns(data, options)
        learned = options.method in deep.METHODS
        fit, tell, summarise = (deep.fit, deep.report_data, deep.summary) if learned else (_fit, _report_data, _summary)
        model, seconds, compile_seconds = fit(data, options)
        found = tell(data, sensitive, model, options, arguments, seconds)
        files = _render(data, model.labels_, found, options)
    outputs.write_all(files)
    if options.json:
        print(json.dumps(summarise(data, sensitive, model, found, seconds, compile_seconds), allow_nan=False))
    elif not options.quiet:
        from rich.console import Console

        from fairjax.report import print_summary

        print_summary(found, Console())
        for path, _ in files:
            print(f"Wrote {visible(path)}.")


def _fit(data: Dataset, options: argparse.Namespace) -> tuple["FCA", float, float]:
    from sklearn.exceptions import ConvergenceWarning

    from fairjax.estimators import FCA

    compiled = compilation.seconds()
    began = time.perf_counter()
    names = (*_SETTINGS, *_ALIGNMENT_SETTINGS)
    model = FCA(options.clusters, random_state=options.seed, **{name: getattr(options, name) for name in names})
    sensitive = data.groups if data.n_groups > 1 else None
    with warnings.catch_warnings():
        # the summary, the report and the JSON object say so in words of their own
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data.matrix, sensitive_features=sensitive)
    return model, time.perf_counter() - began, compilation.seconds() - compiled


def _report_data(
    data: Dataset,
    sensitive: str | None,
    model: "FCA",
    options: argparse.Namespace,
    arguments: Sequence[str],
    seconds: float,
) -> "ReportData":
    from fairjax.estimators import endings
    from fairjax.metrics import host
    from fairjax.report import ReportData, Unfair

    X, solution = data.matrix, model.result_.assignment
    shape = (model.n_clusters, data.n_groups)
    table = host.contingency(model.labels_, data.groups, None, shape)
    notes = list(data.notes)
    if int(solution.status) != 0:
        notes.append(f"The solver {model.message_}." if model.method == "direct" else f"Note: {model.message_}.")
    if remark := endings.remark(table, model.cluster_centers_):
        notes.append(f"Note: {remark}.")
    notes += attributes.notes(data, model.labels_, model.n_clusters)
    floor = model.min_balance
    if floor is not None and model.balance_ < floor * (1 - 1e-9):
        notes.append(
            f"The floor of {floor:g} is met with fractions of points; whole points bring the least ratio to "
            f"{model.balance_:.4g}."
        )
    cost, labels = model.unfair_ or _k_means(data, model)
    unfair_table = host.contingency(labels, data.groups, None, shape)
    unfair = Unfair(cost=cost, balance=host.balance(unfair_table), labels=labels)
    curve: list[tuple[float, float, float]] = []
    if options.report is not None and data.n_groups > 1:
        curve, note = _curve(data, model, unfair_table)
        notes += note
    return ReportData(
        title=data.name,
        X=X,
        labels=model.labels_,
        groups=data.groups,
        group_names=data.group_names,
        n_clusters=model.n_clusters,
        cost=model.cost_,
        balance=model.balance_,
        max_balance=model.max_balance_,
        sensitive=sensitive,
        feature_names=data.feature_names or None,
        raw=data.raw.reshape(X.shape),
        method=_ROUTES[model.method],
        parameters=_parameters(model),
        command=shlex.join(["fairjax", *arguments]),
        version=f"fairjax {__version__}",
        seconds=seconds,
        notes=tuple(notes),
        status=model.message_,
        converged=model.converged_,
        n_iter=model.n_iter_,
        primal=float(solution.primal),
        dual=float(solution.dual),
        gap=model.gap_,
        group_violation=host.group_violation(table) if data.n_groups > 1 else None,
        unfair=unfair if data.n_groups > 1 else None,
        curve=curve,
        control="epsilon" if model.fairness_.kind == "gap" else "min_balance",
        history=model.result_.history[: model.n_iter_].tolist(),
    )


def _k_means(data: Dataset, model: "FCA") -> tuple[float, np.ndarray]:
    """Cost and labels of plain k-means from where the fit began, unless it began with just that."""
    from fairjax.fca.restarts import cost_and_labels, k_means
    from fairjax.fca.scaled_points import scale_points

    points = scale_points(data.matrix, data.groups, n_groups=data.n_groups)
    return cost_and_labels(points, k_means(points, model.start_centers_))


def _parameters(model: "FCA") -> dict[str, Any]:
    names = [*_SETTINGS]
    if model.method != "direct":
        names += [name for name in _ALIGNMENT_SETTINGS if name != "reg" or model.method == "sinkhorn"]
    chosen = {name: getattr(model, name) for name in ("n_clusters", *names, "random_state")}
    chosen.pop("min_balance" if model.min_balance is None else "epsilon")
    return chosen


def _curve(data: Dataset, model: "FCA", unfair_table: np.ndarray) -> tuple[list[tuple[float, float, float]], list[str]]:
    """Price of fairness from the same start by the control in use: from what k-means reaches to the best."""
    from fairjax.fca.fitting import price_of_fairness
    from fairjax.fca.scaled_points import scale_points
    from fairjax.metrics import host

    X, groups, notes = data.matrix, data.groups, []
    if len(X) > _CURVE_POINTS:
        rows = np.sort(np.random.default_rng(0).choice(len(X), _CURVE_SAMPLE, replace=False))
        X, groups = X[rows], groups[rows]
        notes.append(f"The price of fairness is drawn from a random sample of {_CURVE_SAMPLE:,} points.")
    points = scale_points(X, groups, n_groups=data.n_groups)
    if model.fairness_.kind == "gap":
        loosest, tightest = host.group_violation(unfair_table), 0.0
    else:
        sizes = np.bincount(groups, minlength=data.n_groups)
        # the very best balance is another program (see floor); what was asked for is always on the curve
        loosest = host.balance(unfair_table)
        tightest = min(max(0.99 * model.max_balance_, model.fairness_.value), float(sizes.min() / sizes.max()))
    curve = price_of_fairness(
        points,
        points.to_device(model.start_centers_),
        model.fairness_.kind,
        loosest=loosest,
        tightest=tightest,
        max_iter=model.max_iter,
        tol=model.tol,
    )
    return curve, notes


def _render(
    data: Dataset, labels: np.ndarray, found: "ReportData", options: argparse.Namespace
) -> list[tuple[str, bytes | str]]:
    """Path and content of every output file, all made before the first is written."""
    files: list[tuple[str, bytes | str]] = []
    if options.out is not None:
        files.append((options.out, outputs.clustered(data, labels, options)))
    if options.report is not None:
        from fairjax.report import render

        _progress.report("drawing the report", 1.0)
        files.append((options.report, render(found)))
    return files


def _summary(
    data: Dataset,
    sensitive: str | None,
    model: "FCA",
    found: "ReportData",
    seconds: float,
    compile_seconds: float,
) -> dict[str, Any]:
    return {
        "data": data.name,
        "n": data.n_samples,
        "n_features": int(data.matrix.shape[1]),
        "n_clusters": model.n_clusters,
        "sensitive": sensitive,
        "groups": {name: int(size) for name, size in zip(data.group_names, data.group_sizes.tolist(), strict=True)},
        "attributes": attributes.balances(data, model.labels_, model.n_clusters),
        "cost": model.cost_,
        "balance": model.balance_,
        "max_balance": model.max_balance_,
        "group_violation": found.group_violation,
        "unfair_cost": None if found.unfair is None else found.unfair["cost"],
        "unfair_balance": None if found.unfair is None else found.unfair["balance"],
        "gap": model.gap_,
        "labels_gap": model.labels_gap_,
        "status": int(model.result_.assignment.status),
        "n_iter": model.n_iter_,
        "converged": model.converged_,
        "seconds": round(seconds, 4),
        "compile_seconds": round(compile_seconds, 4),
        "parameters": _parameters(model),
        "notes": list(found.notes),
        "version": __version__,
    }
