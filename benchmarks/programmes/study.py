"""Does ``fair_assignment`` solve every fair-assignment programme, and are its certificates true?

    python -m benchmarks programmes                      # about 100,000 random programmes, results/programmes.json
    python -m benchmarks programmes --quick              # 30, of one shape
    python -m benchmarks programmes --only "20,4,3, min_balance"      # pieces whose name begins so
    python -m benchmarks programmes --show SPEC          # one programme again, as the faults are written

Programmes come from ``kinds.py``. Every result is checked here in long double, from what is returned alone:
the primal cost and the fairness of ``probabilities``, the counts of ``labels``, and the bound that ``multipliers``
prove once projected onto the exactly dual feasible prices. HiGHS solves a random sample and whatever looks wrong;
its answers are bracketed by the same code. Costs relate to :func:`checking.scale_of`. A piece is a shape, a control and
a dtype. Faults, by column of the table:

    false     status 0, and the cost is too high, the control is not met, or labels or primal are not what was promised
    weak      status 0 and the cost is right, but the multipliers do not prove it
    open      status 0, the multipliers do not prove it, and HiGHS could not decide
    own       status 0, and the control is missed by more than the tolerance times the weight of the group concerned
    unsolved  status 1
    digits    status 1 for want of digits in the dtype of the programme. The control is met, and the cost is proven: by
              the multipliers in long double, or by those of a solution in float64, which lose the proof once rounded
    refused   status 2 or 3 although the control can be met
    untrue    any status: the dual that was returned is above the optimum
    dearer    any status: dearer than perfect fairness, which satisfies the control
"""

import argparse
import functools
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.programmes.checking import (
    FAULTS,
    SCALE_SHARE,
    SLACK,
    TOLERANCES,
    Checked,
    check,
    faults_of,
    lost_in_rounding,
    suspicious,
)
from benchmarks.programmes.kinds import CONTROLS, DTYPES, KINDS, SHAPES, Programme, Spec, draw, read_spec
from benchmarks.programmes.proofs import bracket
from benchmarks.programmes.tally import Tally, kept, summed, table
from benchmarks.running import Run
from fairjax import fair_assignment

FEW = 10_000  # so few programmes are no record
Shape = tuple[int, int, int]
BATCH, BATCH_ENTRIES = 64, 2**18
SAMPLE = 0.01  # of the programmes go to HiGHS in any case
HIGHS_SECONDS, PIECE_SECONDS = 10.0, 60.0  # one programme; all of one shape, control and dtype


@functools.cache
def compiled(names: tuple[str, ...], n_groups: int) -> Any:
    """Jitted batch of fair assignments, compiled once for each shape and dtype."""

    def solve_one(costs: Any, groups: Any, weights: Any, *values: Any) -> Any:
        control = dict(zip(names, values, strict=True))
        return fair_assignment(costs, groups, weights=weights, n_groups=n_groups, **control)

    return jax.jit(jax.vmap(solve_one))


def batch_size(shape: tuple[int, int, int]) -> int:
    return max(4, min(BATCH, BATCH_ENTRIES // (shape[0] * shape[1])))


def solve(programmes: list[Programme], controls: list[dict[str, Any]], size: int) -> list[Any]:
    """Results of one batch under ``controls``, filled up to ``size`` so that one program serves all batches."""
    dtype, shape = programmes[0].spec.dtype, programmes[0].spec.shape
    names, filled = tuple(controls[0]), [*range(len(programmes)), *[0] * (size - len(programmes))]

    def column(leaves: list[Any], kind: str = dtype) -> Any:
        return jnp.asarray(np.stack([leaves[at] for at in filled]), kind)

    with jax.enable_x64(dtype == "float64"):
        found = compiled(names, shape[2])(
            column([p.costs for p in programmes]),
            column([p.groups for p in programmes], "int32"),
            column([p.weights for p in programmes]),
            *(column([control[name] for control in controls]) for name in names),
        )
        leaves = jax.tree.map(np.asarray, found)
    return [jax.tree.map(lambda leaf, at=at: leaf[at], leaves) for at in range(len(programmes))]


def with_losses(programmes: list[Programme], checked: list[Checked], size: int) -> list[Checked]:
    """``checked`` with what the unsolved programmes of float32 lose in rounding; these are solved again in float64."""
    at = [i for i, each in enumerate(checked) if each.status == 1 and programmes[i].spec.dtype == "float32"]
    if not at:
        return checked
    precise = [programmes[i]._replace(spec=programmes[i].spec._replace(dtype="float64")) for i in at]
    found = solve(precise, [{name: value.astype(float) for name, value in p.asked().items()} for p in precise], size)
    result = list(checked)
    for i, one in zip(at, found, strict=True):
        result[i] = checked[i]._replace(lost=lost_in_rounding(programmes[i], checked[i], one))
    return result


def piece(specs: list[Spec], tally: Tally) -> dict[str, Any]:
    """Solve and check programmes of one shape, control and dtype."""
    size, solving, checking, budget = batch_size(specs[0].shape), 0.0, 0.0, PIECE_SECONDS
    first = None
    tolerance = TOLERANCES[specs[0].dtype]
    for start in range(0, len(specs), size):
        programmes = [draw(spec) for spec in specs[start : start + size]]
        began = time.perf_counter()
        found = solve(programmes, [p.control for p in programmes], size)
        perfect = solve(programmes, [{"epsilon": 0.0}] * len(programmes), size)
        spent = time.perf_counter() - began
        first, solving = (spent, 0.0) if first is None else (first, solving + spent)
        began = time.perf_counter()
        everything = [check(*each) for each in zip(programmes, found, perfect, strict=True)]
        for programme, checked in zip(programmes, with_losses(programmes, everything, size), strict=True):
            optimum = None
            chosen = np.random.default_rng([programme.spec.seed, programme.spec.index]).random() < SAMPLE
            if checked.status < 2 and budget > 0 and (suspicious(checked, tolerance) or chosen):
                asked = time.perf_counter()
                optimum = bracket(programme, min(HIGHS_SECONDS, budget), tolerance / 4 * checked.scale)
                budget -= time.perf_counter() - asked
            tally.add(programme, checked, optimum)
        checking += time.perf_counter() - began
    return {
        "name": name_of(specs), "shape": list(specs[0].shape), "control": specs[0].control, "dtype": specs[0].dtype,
        "count": len(specs), "first_batch_seconds": first, "other_batches_seconds": solving,
        "checking_seconds": checking, "cells": dict(tally.cells),
    }  # fmt: skip


def _progress(row: dict[str, Any]) -> str:
    n, k, m = row["shape"]
    return f"n {n} K {k} M {m} {row['control']} {row['dtype']}: {row['count']} programmes" + "".join(
        f", {what} {row[name]:.1f} s"
        for what, name in (
            ("first batch (compiles)", "first_batch_seconds"),
            ("others", "other_batches_seconds"),
            ("checks", "checking_seconds"),
        )
    )


def pieces(
    count: int, seed: int, kinds: Sequence[str], shapes: Sequence[Shape], dtypes: Sequence[str]
) -> Iterator[list[Spec]]:
    """The specifications of the study, one list for each shape, dtype and control; kinds in turn."""
    whole = sum(SHAPES[shape] for shape in shapes)
    for shape, dtype, control in itertools.product(shapes, dtypes, CONTROLS):
        each = count * SHAPES[shape] / whole / len(dtypes) / len(CONTROLS)
        yield [
            Spec(kinds[at % len(kinds)], shape, control, dtype, seed, at // len(kinds))
            for at in range(max(1, round(each)))
        ]


def show(text: str) -> None:
    """Solve one instance again and print what is stated and what is true."""
    programme = draw(read_spec(text))
    found, perfect = (
        solve([programme], [control], batch_size(programme.spec.shape))[0]
        for control in (programme.control, {"epsilon": np.asarray(0.0)})
    )
    [checked] = with_losses([programme], [check(programme, found, perfect)], batch_size(programme.spec.shape))
    optimum = bracket(programme, 60.0, TOLERANCES[programme.spec.dtype] / 4 * checked.scale)
    print(programme.spec, "control", {name: value.tolist() for name, value in programme.control.items()})
    print("masses", [float(mass) for mass in programme.masses], "feasible", programme.feasible())
    print(f"stated: status {found.status} primal {found.primal:.9g} dual {found.dual:.9g} gap {found.gap:.3g}")
    for name, value in checked._asdict().items():
        print(f"  {name:10} {value}")
    print("HiGHS:", optimum, "error", (checked.primal - optimum.high) / checked.scale)
    print("perfect fairness: status", perfect.status, "primal", perfect.primal)
    print("faults:", sorted(faults_of(programme, checked, optimum)) or "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=100_000, help="programmes, each dtype counted by itself")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, help="one kind alone, to the temporary folder")
    parser.add_argument("--show", metavar="SPEC", help="one programme: kind:n,K,M:control:dtype:seed:index")


def study(run: Run) -> None:
    options = run.options
    if options.show:
        show(options.show)
        return
    if options.out is None and (options.kind or options.count < FEW):
        options.out = Path(tempfile.gettempdir())
    kinds = [options.kind] if options.kind else list(KINDS)
    shapes = list(SHAPES)[:1] if run.quick else list(SHAPES)
    dtypes, count = (DTYPES[:1], 30) if run.quick else (DTYPES, options.count)
    todo = {name_of(specs): specs for specs in pieces(count, options.seed, kinds, shapes, dtypes)}
    done = {piece["name"]: piece for piece in run.record().get("pieces", []) if "cells" in piece}
    for name in run.pieces(todo, lambda name: name in done and done[name]["count"] == len(todo[name])):
        tally = Tally()
        done[name] = piece(todo[name], tally)
        others = run.record().get("faulty", {})
        faulty = {
            fault: kept([*(row for row in others.get(fault, []) if of(row) in done and of(row) != name), *rows])
            for fault, rows in tally.faulty.items()
        }
        ordered = [done[each] for each in todo if each in done]
        found = {"tolerances": TOLERANCES, "slack": SLACK, "scale_share": SCALE_SHARE, "pieces": ordered}
        run.write(found | {"table": summed(ordered), "faulty": faulty})
        print(_progress(done[name]), flush=True)
        jax.clear_caches()  # every compiled program holds memory maps, of which there are not so many
    record = run.record()
    print("\n".join(table(record["table"])))
    for fault in FAULTS:
        for row in sorted(record["faulty"][fault], key=lambda row: -(row["error"] or row["gap"] or 0))[:3]:
            print(fault, row)


def name_of(specs: list[Spec]) -> str:
    """The name of a piece, from the specifications of its programmes."""
    spec = specs[0]
    return f"{','.join(map(str, spec.shape))}, {spec.control}, {spec.dtype}"


def of(row: dict[str, Any]) -> str:
    """The piece that a faulty programme comes from."""
    return name_of([read_spec(row["spec"])])


SECTIONS = {"study": study}
