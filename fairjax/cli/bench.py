"""``fairjax bench``: methods of clustering side by side, from the same starts."""

import argparse
import io
import json
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairjax import __version__
from fairjax._core import progress
from fairjax._core.atomic import write_all
from fairjax._core.checks import check_choice
from fairjax._core.text import counted, visible
from fairjax.cli import bench_methods, bench_tables, compilation, inputs, outputs, table_options
from fairjax.cli.bar import Bar
from fairjax.cli.wording import as_options
from fairjax.datasets import Dataset
from fairjax.datasets.table.results import ENDINGS
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.comparison import Comparison

_PICTURES, _JSON = (".svg", ".png", ".pdf"), ".json"


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Compare on every data set and print a table, or JSON."""
    check_choice("--init", options.init, tuple(bench_tables.FROM))
    check_choice("--attributes", options.attributes, ("jointly", "separately"))
    bench_methods.check(options)
    _check_files(options)
    compilation.keep_programs()
    methods, asked = bench_methods.chosen(options), bench_methods.controls(options)
    results, curves = [], []
    with Bar(not (options.json or options.quiet)) as bar:
        for i, name in enumerate(options.data or [None]):
            bar("reading", i / max(len(options.data), 1))
            data, sensitive = _read(name, options)
            with progress.watching(bar):
                results.append(_compare(name, data, sensitive, [*methods, *asked], options))
                if options.curve is not None or options.report is not None:
                    curves.append((data.name, _held(data, methods, options, n_seeds=1, curve=True)))
                    results[-1]["curve"] = _records(curves[-1][1])
    about = {"version": __version__, "versions": _versions(), "device": _device(), "results": results}
    files = _files(options, about, curves, shlex.join(["fairjax", *arguments]))
    write_all(files)
    if options.json:
        print(json.dumps(about, allow_nan=False))
        return
    bench_tables.show(results)
    for path, _ in files:
        print(f"Wrote {visible(path)}.")


def _files(
    options: argparse.Namespace, about: dict[str, Any], curves: "Sequence[tuple[str, Comparison]]", command: str
) -> list[tuple[str, bytes | str]]:
    """Path and content of every output file."""
    files: list[tuple[str, bytes | str]] = []
    if options.curve is not None:
        files.append((options.curve, _picture(curves, options.curve)))
    if options.out is not None:
        files.append((options.out, _table(about, options.out, plain_formulas=options.plain_formulas)))
    if options.report is not None:
        from fairjax.report.comparison import render

        files.append((options.report, render(about["results"], version=__version__, command=command)))
    return files


def _table(about: dict[str, Any], path: str, *, plain_formulas: bool) -> bytes | str:
    """The rows of all tables, one for each data set and method; as JSON everything that was found."""
    suffix = Path(path).suffix.lower()
    if suffix == _JSON:
        return json.dumps(about, allow_nan=False) + "\n"
    import pyarrow as pa

    from fairjax.datasets.table.results import encode

    rows = [
        {"data": found["data"], "n_clusters": found["n_clusters"], "max_balance": found["max_balance"], **row}
        for found in about["results"]
        for row in found["methods"]
    ]
    return encode(pa.Table.from_pylist(rows), suffix, plain_formulas=plain_formulas)


def _check_files(options: argparse.Namespace) -> None:
    """Refuse what cannot be written, before the work."""
    if options.curve is not None:
        _check_picture(options.curve)
    paths = {"--out": options.out, "--report": options.report, "--curve": options.curve}
    for data in options.data or [None]:
        outputs.check(paths, data, endings=(*ENDINGS, _JSON))


def _check_picture(path: str) -> None:
    if Path(path).suffix.lower() not in _PICTURES:
        raise InputError(f"--curve is {visible(path, 200)!r}; expected a file ending in {', '.join(_PICTURES)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError("--curve needs matplotlib: pip install 'fairjax[bench]'") from error


def _read(name: str | None, options: argparse.Namespace) -> tuple[Dataset, str | None]:
    data, sensitive = inputs.read(
        name,
        sensitive=options.sensitive,
        features=options.features,
        standardize=options.standardize,
        l2_normalize=options.l2_normalize,
        download=options.download,
        table=table_options.chosen(options),
        key=options.key,
    )
    if data.n_groups < 2:
        raise InputError(
            f"{data.name} has one group, so there is nothing to compare; name a group column with --sensitive"
        )
    if options.clusters > data.n_samples:
        raise InputError(
            f"{data.name} has {counted(data.n_samples, 'row')} for {options.clusters} clusters; ask for fewer clusters"
        )
    return data, sensitive


def _held(
    data: Dataset, methods: bench_methods.Chosen, options: argparse.Namespace, *, n_seeds: int, curve: bool = False
) -> "Comparison":
    from fairjax.comparison import compare

    return compare(
        data.matrix,
        inputs.attributes(data, separately=options.attributes == "separately"),
        methods=methods,
        n_clusters=options.clusters,
        n_seeds=n_seeds,
        init=options.init,
        max_iter=options.max_iter,
        tol=options.tol,
        first_seed=options.seed,
        n_init=1 if curve else options.n_init,
        search=0 if curve else options.search,
        time_limit=options.time_limit,
        curve=curve,
        attributes=options.attributes,
        n_devices=options.devices,
    )


def _compare(
    name: str | None,
    data: Dataset,
    sensitive: str | None,
    methods: bench_methods.Chosen,
    options: argparse.Namespace,
) -> dict[str, Any]:
    from fairjax.comparison.quoted import quoted

    compiled = compilation.seconds()
    found = _held(data, methods, options, n_seeds=options.seeds)
    printed = quoted(
        name or "",
        n_clusters=options.clusters,
        n_groups=data.n_groups,
        l2_normalize=data.l2_normalized,
        standardize=data.standardized,
    )
    return {
        "data": data.name,
        "n": data.n_samples,
        "n_features": int(data.matrix.shape[1]),
        "n_clusters": found.n_clusters,
        "sensitive": sensitive,
        "n_groups": data.n_groups,
        "max_balance": found.max_balance,
        "attributes": dict(found.attributes),
        "separately": found.separately,
        "init": found.init,
        "seeds": found.n_seeds,
        "n_init": found.n_init,
        "start_seconds": round(found.start_seconds, 6),
        "compile_seconds": round(compilation.seconds() - compiled, 4),
        "methods": [{"method": method, **_plain(row)} for method, row in found.frame.iterrows()],
        "runs": _records(found),
        "notes": [*data.notes, *(as_options(note, options) for note in found.notes)],
        "quoted": [row._asdict() for row in printed],
    }


def _records(found: "Comparison") -> list[dict[str, Any]]:
    return [_plain(row) for _, row in found.runs.iterrows()]


def _plain(row: Any) -> dict[str, Any]:
    """A row of a frame as JSON takes it: None for NaN."""
    return {str(name): _number(value) for name, value in row.items()}


def _number(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _picture(curves: "Sequence[tuple[str, Comparison]]", path: str) -> bytes:
    """One panel for each data set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0 * len(curves), 4.0), layout="constrained")
    for panel, (name, found) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves, strict=True):
        found.plot(panel).set_title(visible(name, 60))
    content = io.BytesIO()
    figure.savefig(content, format=Path(path).suffix[1:].lower())
    return content.getvalue()


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("jax", "numpy", "scipy", "scikit-learn")}


def _device() -> str:
    import jax

    return str(jax.devices()[0].device_kind)
