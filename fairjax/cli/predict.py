"""``fairjax predict``: the clusters of new rows by a fitted model."""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fairjax import __version__
from fairjax._core import group_codes, progress
from fairjax._core.atomic import write_all
from fairjax._core.text import counted, visible
from fairjax.cli import attributes, compilation, inputs, outputs, table_options
from fairjax.cli.bar import Bar
from fairjax.datasets import Dataset, Preparation
from fairjax.errors import InputError

_MOST_GROUPS = 10


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Assign the rows of a table, write them with their clusters, and say how the groups are spread."""
    outputs.check({"--out": options.out}, options.data)
    compilation.keep_programs()
    began = time.perf_counter()
    with Bar(not options.quiet, for_program=options.json) as bar, progress.watching(bar):
        import fairjax

        model = fairjax.load(options.model)
        data = _read(model, options)
        outputs.check_columns(data, options)
        labels = _assign(model, data)
        files = [] if options.out is None else [(options.out, outputs.clustered(data, labels, options))]
    write_all(files)
    found = _summary(model, data, labels) | {"model": str(options.model), "version": __version__}
    if options.json:
        print(json.dumps(found | {"seconds": round(time.perf_counter() - began, 4)}, allow_nan=False))
    elif not options.quiet:
        _print(found, data)
        for path, _ in files:
            print(f"Wrote {visible(path)}.")


def _read(model: Any, options: argparse.Namespace) -> Dataset:
    how, group_names = model.preparation_, model.group_names_
    if how is None and hasattr(model, "feature_names_in_"):
        how = Preparation(columns=model.feature_names_in_.tolist())
    if _is_deep(model) and options.sensitive is None:
        # an encoder does not ask for the group
        group_names = ("all",)
        how = None if how is None else replace(how, sensitive=())
    if inputs.is_known(options.data):
        table_options.refuse(table_options.chosen(options), options.data)
        data = _known(model, how, options)
    else:
        from fairjax.datasets.table.applying import read_rows

        data = read_rows(
            options.data,
            how,
            group_names=group_names,
            group_values=model.groups_ if len(group_names) > 1 else (),
            sensitive=options.sensitive,
            download=options.download,
            keep_table=options.out is not None,
            **table_options.chosen(options),
        )
    if data.X.shape[1] != model.n_features_in_:
        raise InputError(
            f"{data.name} has {counted(data.X.shape[1], 'column')} to cluster on, and the model was fitted to "
            f"{model.n_features_in_}; give a table with the columns of the fit"
        )
    return data


def _known(model: Any, how: Preparation | None, options: argparse.Namespace) -> Dataset:
    """A data set known by name; its columns are taken by name, too."""
    from fairjax.datasets.table.applying import known_groups

    data, _ = inputs.read(options.data, sensitive=options.sensitive, download=options.download)
    X = data.X if _is_deep(model) else data.matrix
    if how is not None:
        place = {name: i for i, name in enumerate(data.feature_names)}
        absent = [name for name in how.columns if name not in place]
        if absent:
            raise InputError(f"{data.name} has no column {absent[0]!r}, which the model was fitted to")
        X = how.points(data.raw[:, [place[name] for name in how.columns]])
    groups = np.zeros(data.n_samples, np.int32)
    if len(model.groups_) > 1:
        values = inputs.attribute(data)
        assert values is not None
        names: npt.NDArray[Any] = np.array([group_codes.name_of(value) for value in values], dtype=object)
        groups, _ = known_groups(names, model.group_names_)
    return replace(data, X=X, groups=groups, group_names=tuple(model.group_names_), attributes={})


def _assign(model: Any, data: Dataset) -> npt.NDArray[np.int32]:
    if _is_deep(model):
        # an encoder that is the same for all groups assigns rows without them
        own = model.groups_[data.groups] if model._network.by_group and model.groups_[0] is not None else None
        return model.predict(data.X, sensitive_features=own)
    X: Any = data.X
    if hasattr(model, "feature_names_in_"):
        import pandas as pd

        X = pd.DataFrame(X, columns=model.feature_names_in_)
    return model.predict(X, sensitive_features=None if model.groups_[0] is None else model.groups_[data.groups])


def _is_deep(model: Any) -> bool:
    return hasattr(model, "embed")


def _summary(model: Any, data: Dataset, labels: npt.NDArray[np.int32]) -> dict[str, Any]:
    from fairjax.metrics import host

    table = host.contingency(labels, data.groups, None, (int(model.n_clusters), data.n_groups))
    present = table[:, table.sum(0) > 0]
    sizes = present.sum(0)
    return {
        "data": data.name,
        "n": data.n_samples,
        "n_clusters": int(model.n_clusters),
        "sizes": table.sum(1).astype(int).tolist(),
        "groups": dict(zip(data.group_names, table.sum(0).astype(int).tolist(), strict=True)),
        "balance": host.balance(present),
        "max_balance": float(sizes.min() / sizes.max()),
        "attributes": attributes.balances(data, labels, int(model.n_clusters)),
        "notes": [*data.notes, *attributes.notes(data, labels, int(model.n_clusters))],
    }


def _print(found: dict[str, Any], data: Dataset) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    sizes = ", ".join(f"{size:,}" for size in found["sizes"][:_MOST_GROUPS])
    more = ", ..." if len(found["sizes"]) > _MOST_GROUPS else ""
    rows, clusters = counted(found["n"], "row"), counted(found["n_clusters"], "cluster")
    console.print(Text(f"{rows} of {data.name} in {clusters} of {sizes}{more}."))
    if len(found["groups"]) > 1:
        console.print(
            Text(f"Balance {found['balance']:.4g}; the rows as a whole allow {found['max_balance']:.4g} at most.")
        )
    for note in found["notes"]:
        console.print(Text(note, style="yellow"))
