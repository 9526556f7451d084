"""``fairjax fit --stream`` and ``--distributed``: a table in files, read in blocks, by one process or by several."""

import argparse
import contextlib
import hashlib
import io
import json
import shlex
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fairjax import __version__
from fairjax._core import progress
from fairjax._core.atomic import write_all
from fairjax._core.text import counted, listed, visible
from fairjax.cli import compilation, distributed, outputs, table_options
from fairjax.cli.bar import Bar
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax._core.processes import Crew
    from fairjax.datasets import BlockTable
    from fairjax.estimators import FCA

_SETTINGS = ("epsilon", "min_balance", "init", "n_init", "search", "max_iter", "tol")  # named as FCA names them
_READ = ("drop", "separator")  # of the options for tables, those that have a meaning here
_STREAMED = ("--block-rows", "--scratch-dir", "--no-scratch", "--checkpoint-dir", "--resume")
_MOST_SHOWN = 20  # clusters


class Ending(NamedTuple):
    """What is told of a fit beside the model: the table's rows, counts (M, K) of their labels, and passes over it."""

    n_rows: int
    counts: Any
    n_passes: int | None


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Fit, then write labels and model; each appears whole."""
    _check(options)
    compilation.keep_programs()
    with distributed.silence(options), _watched(options, crew := distributed.crew(options)):
        table = _table(options, crew)
        compiled, began = compilation.seconds(), time.perf_counter()
        model, ending = (_streamed if options.stream else _held)(table, options, crew)
        seconds, compile_seconds = time.perf_counter() - began, compilation.seconds() - compiled
        page = None if options.report is None else _report(model, ending, table, options, crew, arguments, seconds)
        written = _write(model, ending, table, options, crew, page)
    if not crew.leads:
        return
    if options.json:
        spent = {"seconds": round(seconds, 4), "compile_seconds": round(compile_seconds, 4), "version": __version__}
        print(json.dumps(_summary(model, ending, table, options, crew) | spent, allow_nan=False))
    elif not options.quiet:
        _print(_summary(model, ending, table, options, crew), seconds)
        for path in written:
            print(f"Wrote {visible(path)}.")


@contextlib.contextmanager
def _watched(options: argparse.Namespace, crew: "Crew") -> Iterator[None]:
    """Show how far it is; of several processes the first does."""
    with Bar(not options.quiet and crew.leads, for_program=options.json) as bar, progress.watching(bar):
        yield


def _check(options: argparse.Namespace) -> None:
    """Refuse what only fits in memory offer."""
    distributed.check(options)
    foreign = {
        "--columns": options.columns, "--download": options.download or None,
        "--plain-formulas": options.plain_formulas or None, "--set": options.set or None,
        "--checkpoint-every": options.checkpoint_every, "--devices": None if options.devices == 1 else options.devices,
    }  # fmt: skip
    foreign |= {
        f"--{name.replace('_', '-')}": value
        for name, value in table_options.given(options).items()
        if name not in _READ
    }
    way = "--stream" if options.stream else "--distributed"
    if not options.stream:
        foreign |= {
            "--block-rows": options.block_rows, "--scratch-dir": options.scratch_dir,
            "--no-scratch": options.no_scratch or None,
            "--checkpoint-dir": options.checkpoint_dir, "--resume": options.resume or None,
        }  # fmt: skip
    given = [name for name, value in foreign.items() if value is not None]
    if given:
        if given[0] in _STREAMED:
            raise InputError(f"{given[0]} belongs to --stream; say that too, or leave it out")
        raise InputError(f"{given[0]} is for tables that fit into memory and has no meaning with {way}; leave it out")
    if options.attributes != "jointly":
        raise InputError(f"--attributes separately needs the table in memory; leave it out, or {way}")
    if options.method != "direct":
        raise InputError(f"{way} is for --method direct; {visible(options.method, 60)} needs the table in memory")
    if options.data is None:
        raise InputError(f"{way} needs DATA: a file, a folder, or a pattern in quotes such as 'people/*.parquet'")
    if options.no_scratch and options.scratch_dir is not None:
        raise InputError("--scratch-dir names a folder for a copy, and --no-scratch wants none; leave one of them out")
    if options.resume and options.checkpoint_dir is None:
        raise InputError("--resume needs --checkpoint-dir, the folder with the checkpoint to go on from")
    if options.key is not None and options.out is None:
        raise InputError("--key chooses what --out writes; say --out FOLDER too, or leave it out")
    outputs.check({"--model": options.model, "--report": options.report}, None)
    if options.out is not None:
        from fairjax.estimators import stream_labels

        stream_labels.check_target(options.out)


def _table(options: argparse.Namespace, crew: "Crew") -> "BlockTable":
    """The table, or this process's share of it."""
    with crew.as_one():
        table = _scanned(options)
    if crew.size > 1:
        crew.check_same(_told(table), "files")
        table = table.share(crew.index, crew.size)
    if options.standardize is not False:
        progress.report("reading the table", 0.0)
        return table.standardized(l2_normalize=options.l2_normalize, together=crew.size > 1)
    return table.l2_normalized() if options.l2_normalize else table


def _told(table: "BlockTable") -> str:
    files = [(file.path.name, file.seen.size) for file in table.files]
    digest = hashlib.sha256(repr(files).encode()).hexdigest()[:8]
    return f"{counted(len(files), 'file')} of {sum(size for _, size in files):,} bytes ({digest})"


def _scanned(options: argparse.Namespace) -> "BlockTable":
    from fairjax import datasets
    from fairjax.datasets.table.dialect import Dialect

    separator = None if options.separator is None else Dialect(separator=options.separator).separator
    return datasets.scan(
        options.data, options.sensitive, features=options.features, key=options.key, drop=options.drop,
        separator=separator,
    )  # fmt: skip


def _model(options: argparse.Namespace, crew: "Crew") -> "FCA":
    from fairjax.estimators import FCA

    settings: dict[str, Any] = {name: getattr(options, name) for name in _SETTINGS}
    if crew.size > 1 or options.distributed:
        settings["n_devices"] = "all"
    return FCA(options.clusters, random_state=options.seed, **settings)


def _streamed(table: "BlockTable", options: argparse.Namespace, crew: "Crew") -> "tuple[FCA, Ending]":
    from sklearn.exceptions import ConvergenceWarning

    from fairjax.estimators.stream_copies import AUTOMATIC

    with warnings.catch_warnings():
        # the summary and the JSON object say so in words of their own
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = _model(options, crew).fit_blocks(
            table,
            checkpoint_dir=options.checkpoint_dir,
            resume=options.resume,
            block_rows=options.block_rows,
            scratch_dir=None if options.no_scratch else options.scratch_dir or AUTOMATIC,
        )
    found = model.streamed_
    return model, Ending(found.rule.n_rows, found.counts, found.n_passes)


def _held(table: "BlockTable", options: argparse.Namespace, crew: "Crew") -> "tuple[FCA, Ending]":
    """A fit of rows that are kept in memory, each process's by itself."""
    from sklearn.exceptions import ConvergenceWarning

    from fairjax._core import processes
    from fairjax.estimators import inputs
    from fairjax.metrics import host

    X, values = np.zeros((0, 0)), None
    with crew.as_one():
        X, values = distributed.held(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = _model(options, crew).fit(X, sensitive_features=values)
    ids = inputs.known_groups_of(values, len(X), model.groups_) if len(X) else np.zeros(0, np.int32)
    shape = (int(model.n_clusters), len(model.groups_))
    counts = processes.total(host.contingency(model.labels_, ids, None, shape)).T
    return model, Ending(round(counts.sum()), counts, None)


def _report(
    model: "FCA",
    ending: Ending,
    table: "BlockTable",
    options: argparse.Namespace,
    crew: "Crew",
    arguments: Sequence[str],
    seconds: float,
) -> str | None:
    """The page, in the first process; the others help to draw a sample."""
    from fairjax.report import streams

    sample = streams.sample_of(model, table, ending.n_rows, crew)
    if not crew.leads:
        return None
    progress.report("drawing the report", 1.0)
    notes = []
    if crew.size > 1:
        notes.append(f"{counted(crew.size, 'process', 'processes')} clustered a share of the rows each.")
    return streams.of_sample(
        model, sample, ending.counts, ending.n_rows, table=table, sensitive=None, title=options.data, details=True,
        command=shlex.join(["fairjax", *arguments]), seconds=seconds, notes=notes,
    ).html  # fmt: skip


def _write(
    model: "FCA", ending: Ending, table: "BlockTable", options: argparse.Namespace, crew: "Crew", page: str | None
) -> list[str]:
    from fairjax.estimators import stream_labels

    files: list[tuple[str, bytes | str]] = [] if page is None else [(options.report, page)]
    if options.model is not None:
        content = io.BytesIO()
        model.save(content, preparation=table.preparation)
        files.append((options.model, content.getvalue()))
    with crew.as_one():
        if crew.leads:
            write_all(files)
    written = [path for path, _ in files]
    if options.out is not None:
        if options.stream:
            model.write_labels(table, options.out)
        else:
            stream_labels.write_held(model, table, ending.counts, options.out, crew)
        written.append(options.out)
    return written


def _summary(
    model: "FCA", ending: Ending, table: "BlockTable", options: argparse.Namespace, crew: "Crew"
) -> dict[str, Any]:
    from fairjax.estimators import endings
    from fairjax.metrics import host

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
    if remark := endings.remark(ending.counts.T, model.cluster_centers_):
        notes.append(remark)
    return {
        "data": options.data,
        "n": ending.n_rows,
        "n_files": len(table.every_file),
        "n_features": model.n_features_in_,
        "n_clusters": model.n_clusters,
        "n_nonempty": int((ending.counts.sum(0) > 0).sum()),
        "sensitive": " and ".join(table.sensitive) or None,
        "groups": dict(zip(model.group_names_, ending.counts.sum(1).tolist(), strict=True)),
        "sizes": ending.counts.sum(0).tolist(),
        "cost": model.cost_,
        "balance": model.balance_,
        "max_balance": model.max_balance_,
        "group_violation": host.group_violation(ending.counts.T),
        "n_iter": model.n_iter_,
        "n_processes": crew.size,
        "n_passes": ending.n_passes,
        "scratch_bytes": model._copied_bytes,
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
    passes = ""
    if found["n_passes"] is not None:
        passes = f"{counted(found['n_passes'], 'pass', 'passes')} over the table and "
    sizes = ", ".join(f"{size:,.0f}" for size in found["sizes"][:_MOST_SHOWN])
    console.print(Text(f"Sizes {sizes}{', ...' if len(found['sizes']) > _MOST_SHOWN else ''}."))
    console.print(
        Text(
            f"Cost {found['cost']:.6g} after {counted(found['n_iter'], 'iteration')} in "
            f"{passes}{seconds:.1f} s; the assignment is "
            f"proven to cost at most {max(found['gap'], 0):.1e} of itself more than the best one."
        )
    )
    if found["scratch_bytes"]:
        size = f"{found['scratch_bytes'] / 1e9:.2g} GB"
        kept = f"A copy of the rows, {size}, was on disk meanwhile; --no-scratch keeps none."
        console.print(Text(kept, style="dim"))
    for note in found["notes"]:
        console.print(Text(note, style="yellow"))
