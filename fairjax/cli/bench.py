"""``fairjax bench``: k-means against fair clustering at several levels of balance, from the same starts."""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairjax import __version__, _progress
from fairjax._checks import check_count
from fairjax.cli import compilation, inputs, table_options
from fairjax.cli.bar import Bar
from fairjax.datasets import Dataset
from fairjax.errors import InputError

_LEVELS = (0.5, 0.8, 0.9, 1.0)  # floors on the balance, as shares of the best possible


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Compare on every data set and print a table, or JSON."""
    for name in ("clusters", "seeds"):
        check_count(f"--{name}", getattr(options, name))
    compilation.keep_programs()
    results = []
    with Bar(not options.json) as bar:
        for i, name in enumerate(options.data or [None]):
            bar("reading", i / max(len(options.data), 1))
            data, sensitive = inputs.read(
                name,
                sensitive=options.sensitive,
                features=options.features,
                l2_normalize=options.l2_normalize,
                table=table_options.chosen(options),
            )
            if data.n_groups < 2:
                raise InputError(
                    f"{data.name} has one group, so there is nothing to compare; name a group column with --sensitive"
                )
            if options.clusters > data.n_samples:
                raise InputError(
                    f"{data.name} has {data.n_samples} rows for {options.clusters} clusters; ask for fewer clusters"
                )
            with _progress.watching(bar):
                results.append(_compare(data, sensitive, options))
    if options.json:
        print(json.dumps({"version": __version__, "device": _device(), "results": results}, allow_nan=False))
    else:
        _print(results)


def _compare(data: Dataset, sensitive: str | None, options: argparse.Namespace) -> dict[str, Any]:
    from fairjax.fca.fitting import Fairness, fit_from
    from fairjax.fca.restarts import cost_and_labels, starts
    from fairjax.fca.scaled_points import scale_points
    from fairjax.metrics import host

    K = options.clusters
    points = scale_points(data.matrix, data.groups, n_groups=data.n_groups)
    shape = (K, data.n_groups)
    # the first run of each program compiles it and is not timed
    compiled = compilation.seconds()
    start = next(starts(points, "k-means++", K, 1, 0))
    for level in (_LEVELS[0], _LEVELS[-1]):
        fit_from(points, start.centers, Fairness("balance", level * data.max_balance))
    compile_seconds = compilation.seconds() - compiled

    rows: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(options.seeds):
        began = time.perf_counter()
        start = next(starts(points, "k-means++", K, 1, seed))
        assert start.unfair is not None
        cost, labels = cost_and_labels(points, start.unfair)
        elapsed = time.perf_counter() - began
        table = host.contingency(labels, data.groups, None, shape)
        rows.setdefault("k-means", []).append((cost, host.balance(table), elapsed))
        for level in _LEVELS:
            fairness = Fairness("balance", level * data.max_balance)
            began = time.perf_counter()
            result = fit_from(points, start.centers, fairness)
            elapsed = time.perf_counter() - began
            labels = np.asarray(result.assignment.labels)[: points.n_points]
            table = host.contingency(labels, data.groups, None, shape)
            cost = float(points.cost_of(float(result.cost)))
            rows.setdefault(f"FCA ≥ {level * data.max_balance:.4f}", []).append((cost, host.balance(table), elapsed))
    return {
        "data": data.name,
        "n": data.n_samples,
        "n_features": points.n_features,
        "n_clusters": K,
        "sensitive": sensitive,
        "n_groups": data.n_groups,
        "max_balance": data.max_balance,
        "seeds": options.seeds,
        "compile_seconds": round(compile_seconds, 4),
        "methods": [
            {
                "method": method,
                "cost": statistics.median(run[0] for run in runs),
                "lowest_cost": min(run[0] for run in runs),
                "balance": statistics.median(run[1] for run in runs),
                "seconds": round(statistics.median(run[2] for run in runs), 6),
            }
            for method, runs in rows.items()
        ],
    }


def _device() -> str:
    import jax

    return str(jax.devices()[0].device_kind)


def _print(results: Sequence[dict[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for result in results:
        size = (
            f"({result['n']:,} points, {result['n_features']} features, {result['n_groups']} groups, "
            f"{result['n_clusters']} clusters)"
        )
        console.print(Text(result["data"], style="bold"), Text(size, style="dim"))
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("method", no_wrap=True)
        for heading in ("cost", "over k-means", "lowest cost", "balance", "seconds"):
            table.add_column(heading, justify="right")
        base = result["methods"][0]["cost"]
        for row in result["methods"]:
            price = f"{100 * (row['cost'] / base - 1):+.1f}%" if base > 0 else "-"
            cells = [f"{row['cost']:.4f}", price, f"{row['lowest_cost']:.4f}", f"{row['balance']:.4f}"]
            table.add_row(row["method"], *cells, f"{row['seconds']:.3f}")
        console.print(table)
        console.print(
            Text(
                f"Medians over {result['seeds']} starts; the best possible balance is {result['max_balance']:.4f}. "
                "FCA ≥ b holds every ratio of two groups at b or more; its time is from the k-means centres on. "
                f"Compiling took {result['compile_seconds']:.1f} s apart."
            )
        )
