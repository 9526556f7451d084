"""``fairjax fit --stream``: a table in files that is read block by block, however large it is."""

import argparse
import json
import time
import warnings
from typing import TYPE_CHECKING, Any

from fairjax import __version__
from fairjax._core import progress
from fairjax._core.text import counted, listed, visible
from fairjax.cli import compilation, outputs, table_options
from fairjax.cli.bar import Bar
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.datasets import BlockTable
    from fairjax.estimators import FCA

_SETTINGS = ("epsilon", "min_balance", "init", "n_init", "search", "max_iter", "tol")  # named as FCA names them
_READ = ("drop", "separator")  # of the options for tables, those that have a meaning here
_MOST_SHOWN = 20  # clusters


def run(options: argparse.Namespace) -> None:
    """Fit, then write labels and model; each appears whole."""
    _check(options)
    compilation.keep_programs()
    with Bar(not options.quiet, for_program=options.json) as bar, progress.watching(bar):
        table = _table(options)
        compiled, began = compilation.seconds(), time.perf_counter()
        model = _fit(table, options)
        seconds, compile_seconds = time.perf_counter() - began, compilation.seconds() - compiled
        written = _write(model, table, options)
    if options.json:
        spent = {"seconds": round(seconds, 4), "compile_seconds": round(compile_seconds, 4), "version": __version__}
        print(json.dumps(_summary(model, table, options) | spent, allow_nan=False))
    elif not options.quiet:
        _print(_summary(model, table, options), seconds)
        for path in written:
            print(f"Wrote {visible(path)}.")


def _check(options: argparse.Namespace) -> None:
    """Refuse what only fits in memory offer."""
    foreign = {
        "--report": options.report, "--columns": options.columns, "--download": options.download or None,
        "--plain-formulas": options.plain_formulas or None, "--set": options.set or None,
        "--checkpoint-every": options.checkpoint_every, "--devices": None if options.devices == 1 else options.devices,
    }  # fmt: skip
    foreign |= {
        f"--{name.replace('_', '-')}": value
        for name, value in table_options.given(options).items()
        if name not in _READ
    }
    given = [name for name, value in foreign.items() if value is not None]
    if given:
        raise InputError(
            f"{given[0]} is for tables that fit into memory and has no meaning with --stream; leave it out"
        )
    if options.attributes != "jointly":
        raise InputError("--attributes separately needs the table in memory; leave it out, or --stream")
    if options.method != "direct":
        raise InputError(f"--stream is for --method direct; {visible(options.method, 60)} needs the table in memory")
    if options.data is None:
        raise InputError("--stream needs DATA: a file, a folder, or a pattern in quotes such as 'people/*.parquet'")
    if options.resume and options.checkpoint_dir is None:
        raise InputError("--resume needs --checkpoint-dir, the folder with the checkpoint to go on from")
    if options.key is not None and options.out is None:
        raise InputError("--key chooses what --out writes; say --out FOLDER too, or leave it out")
    outputs.check({"--model": options.model}, None)
    if options.out is not None:
        from fairjax.estimators import stream_labels

        stream_labels.check_target(options.out)


def _table(options: argparse.Namespace) -> "BlockTable":
    from fairjax import datasets
    from fairjax.datasets.table.dialect import Dialect

    separator = None if options.separator is None else Dialect(separator=options.separator).separator
    table = datasets.scan(
        options.data, options.sensitive, features=options.features, key=options.key, drop=options.drop,
        separator=separator,
    )  # fmt: skip
    if options.standardize is not False:
        progress.report("reading the table", 0.0)
        return table.standardized(l2_normalize=options.l2_normalize)
    if options.l2_normalize:
        return table.l2_normalized()
    return table


def _fit(table: "BlockTable", options: argparse.Namespace) -> "FCA":
    from sklearn.exceptions import ConvergenceWarning

    from fairjax.estimators import FCA

    model = FCA(options.clusters, random_state=options.seed, **{name: getattr(options, name) for name in _SETTINGS})
    with warnings.catch_warnings():
        # the summary and the JSON object say so in words of their own
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit_blocks(
            table, checkpoint_dir=options.checkpoint_dir, resume=options.resume, block_rows=options.block_rows
        )


def _write(model: "FCA", table: "BlockTable", options: argparse.Namespace) -> list[str]:
    written = []
    if options.model is not None:
        model.save(options.model)
        written.append(options.model)
    if options.out is not None:
        model.write_labels(table, options.out)
        written.append(options.out)
    return written


def _summary(model: "FCA", table: "BlockTable", options: argparse.Namespace) -> dict[str, Any]:
    from fairjax.estimators import endings
    from fairjax.metrics import host

    found = model.streamed_
    notes = []
    if table.sensitive and len(model.groups_) == 1:
        column = " and ".join(table.sensitive)
        notes.append(f"{column} has one value ({model.group_names_[0]}), so there was nothing to be fair to")
    if model.status_:
        notes.append(f"{model.message_} (gap {model.gap_:.1e})")
    elif not model.converged_:
        notes.append(
            f"the centres had not settled after {counted(model.n_iter_, 'iteration')}; the clusters are fair, but a "
            "larger --max-iter or --tol may end at a lower cost"
        )
    if remark := endings.remark(found.counts.T, model.cluster_centers_):
        notes.append(remark)
    return {
        "data": options.data,
        "n": found.rule.n_rows,
        "n_files": len(table.files),
        "n_features": model.n_features_in_,
        "n_clusters": model.n_clusters,
        "n_nonempty": int((found.counts.sum(0) > 0).sum()),
        "sensitive": " and ".join(table.sensitive) or None,
        "groups": dict(zip(model.group_names_, found.counts.sum(1).tolist(), strict=True)),
        "sizes": found.counts.sum(0).tolist(),
        "cost": model.cost_,
        "balance": model.balance_,
        "max_balance": model.max_balance_,
        "group_violation": host.group_violation(found.counts.T),
        "n_iter": model.n_iter_,
        "n_passes": found.n_passes,
        "converged": model.converged_,
        "gap": model.gap_,
        "labels_gap": model.labels_gap_,
        "status": model.status_,
        "parameters": {name: getattr(options, name) for name in (*_SETTINGS, "seed")},
        "notes": notes,
    }


def _print(found: dict[str, Any], seconds: float) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    of = f"{counted(found['n'], 'row')} of {counted(found['n_features'], 'feature')} in "
    of += f"{counted(found['n_files'], 'file')}, {counted(found['n_clusters'], 'cluster')}"
    console.print(Text(visible(found["data"], 120), style="bold"), Text(of, style="dim"))
    if len(found["groups"]) > 1:
        names = listed(list(found["groups"]))
        console.print(
            Text(
                f"In every cluster the rarest of the groups {names} is at least {found['balance']:.4g} times as common "
                f"as the most common one; the rows as a whole allow {found['max_balance']:.4g}."
            )
        )
    sizes = ", ".join(f"{size:,.0f}" for size in found["sizes"][:_MOST_SHOWN])
    console.print(Text(f"Sizes {sizes}{', ...' if len(found['sizes']) > _MOST_SHOWN else ''}."))
    console.print(
        Text(
            f"Cost {found['cost']:.6g} after {counted(found['n_iter'], 'iteration')} in "
            f"{counted(found['n_passes'], 'pass', 'passes')} over the table and {seconds:.1f} s; the assignment is "
            f"proven to cost at most {max(found['gap'], 0):.1e} of itself more than the best one."
        )
    )
    for note in found["notes"]:
        console.print(Text(note, style="yellow"))
