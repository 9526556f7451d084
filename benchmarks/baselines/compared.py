"""Every method side by side, on tables and on learned features: cost, balance, what it promised, seconds, compiling.

A piece is a data set in one form: Adult, Bank (two and three groups) and the Census sample with rows of length 1 (l2),
all but Bank in three groups with standardised columns and with columns from 0 to 1 too, and what an autoencoder learned
of MNIST-USPS, Reverse MNIST and HAR (30 groups). A piece that the record has with as many starts is not run
again.

All methods of a piece begin from the same k-means++ seeds, or from plain k-means from there; "FCA, aligned start"
begins as `fairjax.FCA` does by default. Each stands at its fairest and at its published setting: FRAC, whose authors
deal by turns, with exact capacities too, VFC with its safeguarded step beside the published one, FMC with averages of
Adam that are kept, or begun anew as published. The fairest values of VFC and FMC are searched for in some ten runs;
these two have one start, and FMC, the slowest, stands in the pieces of Adult and Census with rows of length 1 and of
learned features only.
A row of which a start took longer than ``--time-limit`` keeps what it has, and its status is ``stopped``.

Costs and balances are medians over the starts, seconds those of a compiled fit from the start on, the compiler's apart:
programs that an earlier row has compiled cost none. ``gain`` tells of ten starts, where the published FCA has a row,
what part of the difference between that and ours is there with the centres of plain k-means (exact FAlg), and what the
centres add. ``curve`` is cost against balance on Adult, twelve values of every control.
``--without-seconds`` is for a machine that has other work. ``--quick`` takes few rows.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import fairjax
from benchmarks import measure
from benchmarks.baselines import assigned, compared_data
from benchmarks.running import Run
from fairjax.comparison import Comparison, quoted

METHODS = ("kmeans", "falg", "fcbc", "frac", "frac-oe", "ms-flow", "sfc", "mpfc", "fca")
SEARCHED = ("vfc", "fmc")  # for their fairest values, in some ten runs
CURVES = ("falg", "fcbc", "frac", "ms-flow", "vfc", "fmc", "sfc", "fca")
CURVE, GAIN = "curve, adult", "gain"


class Piece(NamedTuple):
    """A data set in one form, and whether FMC takes part."""

    data: str
    form: str
    with_fmc: bool

    @property
    def name(self) -> str:
        return f"{self.data}, {self.form}"


def all_pieces() -> list[Piece]:
    """Those of the same data one after the other, so that programs are compiled once."""
    tables = [
        Piece(data, form, form == "l2" and data != "bank")
        for data in ("adult", "bank", "census")
        for form in ("l2", "standard", "min-max")
    ]
    tables.insert(6, Piece("bank-marital", "l2", with_fmc=False))
    return tables + [Piece(data, "learned", with_fmc=True) for data in ("mnist-usps", "reverse-mnist", "har")]


def merged(record: dict[str, Any], name: str, about: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """A record with what was found of a piece in the place of what it had of it, in the order of the pieces."""
    order = [*(piece.name for piece in all_pieces()), GAIN, CURVE]
    new = {
        part: [row for row in record.get(part, []) if row["piece"] != name]
        for part in ("rows", "notes", "gain", "curve")
    }
    for part, rows in found.items():
        new[part] = sorted(
            [*new[part], *({"piece": name, **row} for row in rows)], key=lambda r: order.index(r["piece"])
        )
    pieces = record.get("pieces", {}) | {name: about}
    return {"pieces": {name: pieces[name] for name in order if name in pieces}, **new}


def rows_of(piece: Piece, options: Any) -> dict[str, Any]:
    """Rows and notes of a piece."""
    points = compared_data.load(piece.data, piece.form, options.quick)
    print(f"{piece.name}: {points.X.shape[0]} rows, {points.X.shape[1]} features", flush=True)
    searched = [name for name in SEARCHED if name != "fmc" or piece.with_fmc]
    parts = (
        contest(points, piece, options, METHODS, options.seeds),
        contest(points, piece, options, searched, 1),
        contest(points, piece, options, {"FCA, aligned start": "fca"}, options.seeds, init="aligned"),
    )
    base = float(parts[0].frame["cost"].iloc[0])
    rows = []
    for part in parts:
        starts = part.runs.groupby("method", sort=False).size()
        for label, row in part.frame.iterrows():
            own = {str(key): plain(value) for key, value in row.items() if key not in ("floor", "price")}
            shown = str(label) if part.init != "aligned" else "FCA, aligned start"
            rows.append(
                {
                    "data": piece.data, "form": piece.form, "method": shown, "starts": int(starts[label]),
                    "price": plain(row["cost"] / base - 1), **own,
                }
            )  # fmt: skip
            if options.without_seconds:
                rows[-1] |= {"seconds": None, "compile_seconds": None}
            print(line(rows[-1]), flush=True)
    about = {
        "n": len(points.X),
        "n_features": points.X.shape[1],
        "n_groups": len(np.unique(points.groups)),
        "n_clusters": compared_data.K[piece.data],
        "max_balance": parts[0].max_balance,
        "start_seconds": None if options.without_seconds else parts[0].start_seconds,
    }
    return {"about": about, "rows": rows, "notes": [{"note": note} for part in parts for note in part.notes]}


def contest(
    points: compared_data.Points, piece: Piece, options: Any, methods: Any, seeds: int, init: str = "k-means++"
) -> Comparison:
    return fairjax.compare(
        points.X, points.groups, methods=methods, n_clusters=compared_data.K[piece.data], levels=(1.0,), n_seeds=seeds,
        init=init, target=points.classes, time_limit=options.time_limit,
    )  # fmt: skip


def plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def gains(quick: bool) -> dict[str, Any]:
    """What part of the difference to the published FCA is the exact assignment, and what part the centres."""
    return {"about": {"seeds": 10}, "gain": [gain(name, quick) for name in ("adult", "bank")]}


def gain(name: str, quick: bool) -> dict[str, Any]:
    printed = quoted(name, n_clusters=compared_data.K[name], n_groups=2, l2_normalize=True, standardize=True)
    published = next(row.cost for row in printed if row.method == "FCA")
    points = compared_data.scaled(name, "l2", quick)
    found = assigned.seeds(points.X, points.groups)
    exact, ours = found["mean"], min(found["fca_mean"], found["fca_aligned_mean"])
    whole = published - ours
    return {
        "data": name,
        "n_starts": len(found["costs"]),
        "published": published,
        "exact_falg": exact,
        "fca_from_k_means": found["fca_mean"],
        "fca_aligned": found["fca_aligned_mean"],
        "share_of_assignment": (published - exact) / whole,
        "share_of_centers": (exact - ours) / whole,
    }


def curve(options: Any, methods: Sequence[str] = CURVES) -> dict[str, Any]:
    """Cost against balance of every control on Adult, from one start."""
    points = compared_data.scaled("adult", "l2", options.quick)
    found = fairjax.compare(
        points.X, points.groups, methods=methods, n_clusters=compared_data.K["adult"], n_seeds=1, init="k-means++",
        curve=True,
    )  # fmt: skip
    kept = ("method", "name", "control", "value", "cost", "balance", "n_nonempty", "status")
    rows = [{key: plain(row[key]) for key in kept} for _, row in found.runs.iterrows()]
    return {"about": {"seeds": 1}, "curve": rows, "notes": [{"note": note} for note in found.notes]}


def line(row: dict[str, Any]) -> str:
    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return (
        f"| {row['data']}, {row['form']} | {row['method']} | {shown(row['cost'], '.4f')} | "
        f"{shown(row['price'], '+.1%')} | {shown(row['balance'], '.4f')} | {shown(row['share'], '.1%')} | "
        f"{shown(row['violation'], '.1f')} | {shown(row['seconds'], '.2f')} | {shown(row['compile_seconds'], '.1f')} | "
        f"{row['status']} |"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--time-limit", type=float, default=20.0, metavar="S", help="of one start of a row")
    parser.add_argument("--without-seconds", action="store_true", help="leave out seconds: the machine has other work")


def compared(run: Run) -> None:
    options = run.options
    todo: dict[str, Callable[[], dict[str, Any]]] = {
        piece.name: partial(rows_of, piece, options) for piece in all_pieces()
    } | {GAIN: partial(gains, run.quick), CURVE: partial(curve, options)}

    def known(name: str) -> bool:
        seeds = run.record().get("pieces", {}).get(name, {}).get("seeds")
        # shares of the gain are of ten starts, and a curve of one, whatever is asked for
        return seeds is not None and (seeds == options.seeds or name in (GAIN, CURVE))

    for name in run.pieces(todo, known):
        found, seconds, processor_seconds = measure.clocked(todo[name])
        about = {
            "seeds": options.seeds,
            "seconds": None if options.without_seconds else round(seconds, 1),
            "processor_seconds": round(processor_seconds, 1),
            "machine": measure.machine(),
            **found.pop("about", {}),
        }
        print(run.write(merged(run.record(), name, about, found)), about["processor_seconds"], flush=True)


SECTIONS = {"compared": compared}
