"""``fairjax fit``: read, cluster, show."""

import argparse
import io
import json
import shlex
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax import __version__
from fairjax._core import progress
from fairjax._core.atomic import write_all
from fairjax._core.text import visible
from fairjax.cli import attributes, baselines, compilation, deep, distributed, inputs, outputs, stream, table_options
from fairjax.cli.bar import Bar
from fairjax.datasets import Dataset
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.estimators import FCA
    from fairjax.fca.restarts import Search
    from fairjax.report import Report, ReportData

_SETTINGS = (  # options named as FCA names them
    "epsilon", "min_balance", "method", "init", "n_init", "search", "max_iter", "tol", "center_update",
    "partition_size", "transport_weight", "reg", "attributes",
)  # fmt: skip


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Do what the options of ``fairjax fit`` say; files are written last, all or none of the work behind them."""
    if options.stream or options.distributed:
        stream.run(options, arguments)
        return
    distributed.check(options)
    for name in ("block_rows", "scratch_dir", "no_scratch"):
        if getattr(options, name):
            raise InputError(f"--{name.replace('_', '-')} belongs to --stream; say that too, or leave it out")
    compilation.keep_programs()  # before a method is looked at, which imports JAX
    other = options.method in baselines.methods()
    learned = not other and options.method not in deep.ROUTES
    (baselines if other else deep).check(options)
    outputs.check({"--out": options.out, "--report": options.report, "--model": options.model}, options.data)
    with Bar(not options.quiet, for_program=options.json) as bar, progress.watching(bar):
        data, sensitive = inputs.read(
            options.data,
            sensitive=options.sensitive,
            features=options.features,
            standardize=options.standardize,
            l2_normalize=options.l2_normalize,
            download=options.download,
            image_size=deep.method(options.method).image_side if learned else None,
            table=table_options.chosen(options),
            key=options.key,
            keep_table=options.out is not None,
        )
        outputs.check_columns(data, options)
        values = inputs.attribute(data, separately=options.attributes == "separately")
        fit = baselines.fit if other else deep.fit if learned else _fit
        compiled, began = compilation.seconds(), time.perf_counter()
        model = fit(data, values, options)
        seconds, compile_seconds = time.perf_counter() - began, compilation.seconds() - compiled
        report = _report(data, sensitive, values, model, options, arguments, seconds)
        files = _render(data, sensitive, model, report, options)
    write_all(files)
    if options.json:
        if other:
            own = baselines.ending(model, report.data.unfair, report.data.counts)
        else:
            own = deep.agreement(data, model) if learned else _certificate(model, report.data)
        spent = {"seconds": round(seconds, 4), "compile_seconds": round(compile_seconds, 4), "version": __version__}
        summary = _summary(data, sensitive, model, report.data) | own | spent
        print(json.dumps(summary, allow_nan=False))
    elif not options.quiet:
        from rich.console import Console

        from fairjax.report import print_summary

        print_summary(report.data, Console())
        for path, _ in files:
            print(f"Wrote {visible(path)}.")


def _fit(data: Dataset, values: npt.NDArray[Any] | None, options: argparse.Namespace) -> "FCA":
    from sklearn.exceptions import ConvergenceWarning

    from fairjax.estimators import FCA

    settings = {name: getattr(options, name) for name in _SETTINGS}
    model = FCA(options.clusters, random_state=options.seed, n_devices=options.devices, **settings)
    with warnings.catch_warnings():
        # the summary, the report and the JSON object say so in words of their own
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(data.matrix, sensitive_features=values)


def _report(
    data: Dataset,
    sensitive: str | None,
    values: npt.NDArray[Any] | None,
    model: Any,
    options: argparse.Namespace,
    arguments: Sequence[str],
    seconds: float,
) -> "Report":
    from fairjax.report import from_model

    return from_model(
        model,
        data.matrix if options.method in (*deep.ROUTES, *baselines.methods()) else data.X,
        sensitive_features=values,
        feature_names=data.feature_names or None,
        group_names=inputs.group_names(data, values, model.groups_),
        sensitive=sensitive,
        raw=data.raw,
        title=data.name,
        details=options.report is not None,
        command=shlex.join(["fairjax", *arguments]),
        seconds=seconds,
        notes=(*data.notes, *attributes.notes(data, model.labels_, model.n_clusters)),
    )


def _render(
    data: Dataset, sensitive: str | None, model: Any, report: "Report", options: argparse.Namespace
) -> list[tuple[str, bytes | str]]:
    """Path and content of every output file, all made before the first is written."""
    files: list[tuple[str, bytes | str]] = []
    if options.out is not None:
        files.append((options.out, outputs.clustered(data, model.labels_, options)))
    if options.report is not None:
        progress.report("drawing the report", 1.0)
        files.append((options.report, report.html))
    if options.model is not None:
        content = io.BytesIO()
        model.save(content, preparation=inputs.preparation(data, sensitive))
        files.append((options.model, content.getvalue()))
    return files


def _summary(data: Dataset, sensitive: str | None, model: Any, found: "ReportData") -> dict[str, Any]:
    """What the JSON object tells of any method."""
    return {
        "data": data.name,
        "n": data.n_samples,
        "n_features": int(data.matrix.shape[1]),
        "n_clusters": model.n_clusters,
        "n_nonempty": len(np.unique(model.labels_)),
        "sensitive": sensitive,
        "groups": {name: int(size) for name, size in zip(data.group_names, data.group_sizes.tolist(), strict=True)},
        "attributes": attributes.balances(data, model.labels_, model.n_clusters),
        "cost": found.cost,
        "balance": found.balance,
        "max_balance": found.max_balance,
        "group_violation": found.group_violation,
        "n_iter": model.n_iter_,
        "converged": found.converged,
        "parameters": dict(found.parameters),
        "notes": list(found.notes),
    }


def _certificate(model: "FCA", found: "ReportData") -> dict[str, Any]:
    """What it tells of FCA: the comparison with k-means, and what is proven."""
    return {
        "unfair_cost": None if found.unfair is None else found.unfair["cost"],
        "unfair_balance": None if found.unfair is None else found.unfair["balance"],
        "gap": model.gap_,
        "labels_gap": model.labels_gap_,
        "status": model.status_,
        "search": None if model.search_ is None else _searched(model.search_),
    }


def _searched(search: "Search") -> dict[str, Any]:
    return {
        "n_fits": search.n_fits,
        "n_improvements": search.n_improvements,
        "cost_before": float(search.costs[0]),
    }
