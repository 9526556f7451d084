"""``fairjax bench``: k-means against fair clustering at several levels of balance, from the same starts."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairjax import __version__, _progress
from fairjax._checks import check_choice
from fairjax._text import counted
from fairjax.cli import compilation, inputs, table_options
from fairjax.cli.bar import Bar
from fairjax.datasets import Dataset
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.comparison import Comparison

_FROM = {
    "aligned": "from the aligned start on",
    "k-means++": "from the k-means centres on",
    "random": "from the random start on",
}


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Compare on every data set and print a table, or JSON."""
    check_choice("--init", options.init, tuple(_FROM))
    compilation.keep_programs()
    results = []
    with Bar(not (options.json or options.quiet)) as bar:
        for i, name in enumerate(options.data or [None]):
            bar("reading", i / max(len(options.data), 1))
            data, sensitive = inputs.read(
                name,
                sensitive=options.sensitive,
                features=options.features,
                standardize=options.standardize,
                l2_normalize=options.l2_normalize,
                download=options.download,
                table=table_options.chosen(options),
            )
            if data.n_groups < 2:
                raise InputError(
                    f"{data.name} has one group, so there is nothing to compare; name a group column with --sensitive"
                )
            if options.clusters > data.n_samples:
                raise InputError(
                    f"{data.name} has {counted(data.n_samples, 'row')} for {options.clusters} clusters; ask for fewer "
                    "clusters"
                )
            with _progress.watching(bar):
                results.append(_compare(data, sensitive, options))
    if options.json:
        print(json.dumps({"version": __version__, "device": _device(), "results": results}, allow_nan=False))
    else:
        _print(results)


def _compare(data: Dataset, sensitive: str | None, options: argparse.Namespace) -> dict[str, Any]:
    from fairjax.comparison import compare

    compiled = compilation.seconds()
    found = compare(
        data.matrix,
        data.groups,
        n_clusters=options.clusters,
        n_seeds=options.seeds,
        init=options.init,
        max_iter=options.max_iter,
        tol=options.tol,
        first_seed=options.seed,
    )
    return {
        "data": data.name,
        "n": data.n_samples,
        "n_features": int(data.matrix.shape[1]),
        "n_clusters": found.n_clusters,
        "sensitive": sensitive,
        "n_groups": data.n_groups,
        "max_balance": found.max_balance,
        "init": found.init,
        "seeds": found.n_seeds,
        "compile_seconds": round(compilation.seconds() - compiled, 4),
        "methods": _methods(found),
    }


def _methods(found: "Comparison") -> list[dict[str, Any]]:
    return [
        {
            "method": method,
            "cost": float(row["cost"]),
            "lowest_cost": float(row["lowest_cost"]),
            "balance": float(row["balance"]),
            "seconds": round(float(row["seconds"]), 6),
        }
        for method, row in found.frame.iterrows()
    ]


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
            f"({counted(result['n'], 'point')}, {counted(result['n_features'], 'feature')}, "
            f"{counted(result['n_groups'], 'group')}, {counted(result['n_clusters'], 'cluster')})"
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
                f"Medians over {counted(result['seeds'], 'start')}; the best possible balance is "
                f"{result['max_balance']:.4f}. "
                f"FCA ≥ b holds every ratio of two groups at b or more; its time is {_FROM[result['init']]}. "
                f"Compiling took {result['compile_seconds']:.1f} s apart."
            )
        )
