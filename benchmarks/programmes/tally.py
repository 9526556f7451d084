"""Counts of faults by kind, control and dtype, and the faulty programmes; all of it as JSON has it, piece by piece."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from benchmarks.programmes.checking import FAULTS, Checked, faults_of
from benchmarks.programmes.kinds import Programme, read_spec
from benchmarks.programmes.proofs import Bracket

KEPT = 40  # faulty programmes written out per fault, kind, control and dtype
Row = dict[str, Any]


def empty() -> Row:
    """Counts of one kind; of the steps, how many programmes took each number of them."""
    return {"count": 0, "highs": 0, "errors": [], "steps": {}, **dict.fromkeys(FAULTS, 0)}


class Tally:
    """Counts per kind of one piece, and its faulty programmes per fault."""

    def __init__(self) -> None:
        self.cells: dict[str, Row] = defaultdict(empty)
        self.faulty: dict[str, list[Row]] = {fault: [] for fault in FAULTS}

    def add(self, programme: Programme, checked: Checked, optimum: Bracket | None) -> None:
        spec = programme.spec
        cell, steps = self.cells[spec.kind], str(checked.n_iter)
        cell["count"] += 1
        cell["steps"][steps] = cell["steps"].get(steps, 0) + 1
        known = optimum is not None and bool(np.isfinite(optimum.high))
        cell["highs"] += known
        error = (checked.primal - optimum.high) / checked.scale if known else None
        if error is not None and checked.status == 1:
            cell["errors"].append(error)
        for fault in faults_of(programme, checked, optimum):
            cell[fault] += 1
            row = {"spec": str(spec), "status": checked.status, "n_iter": checked.n_iter, "error": error}
            row |= {"broken": checked.broken} if checked.broken else {}
            numbers = {
                "gap": checked.gap, "stated_gap": checked.stated_gap, "saving": checked.saving,
                "missed": checked.missed.whole, "missed_of_own": checked.missed.own, "lost": checked.lost,
            }  # fmt: skip
            row |= {name: value if np.isfinite(value) else None for name, value in numbers.items()}
            self.faulty[fault].append(row)


def kept(faulty: Iterable[Row]) -> list[Row]:
    """The worst of each kind, control and dtype, in their order."""
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in faulty:
        spec = read_spec(row["spec"])
        found[spec.kind, spec.control, spec.dtype].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: -max(row[name] or 0 for name in ("error", "gap", "saving", "missed_of_own")))
    return [row for _, rows in sorted(found.items()) for row in rows[:KEPT]]


def summed(pieces: list[Row]) -> list[Row]:
    """A row for each kind, control and dtype, over all pieces."""
    cells: dict[tuple[str, str, str], Row] = defaultdict(empty)
    for piece in pieces:
        for kind, own in piece["cells"].items():
            cell = cells[kind, piece["control"], piece["dtype"]]
            for name in ("count", "highs", "errors", *FAULTS):
                cell[name] += own.get(name, 0)  # a piece of before has fewer columns
            for steps, times in own["steps"].items():
                cell["steps"][steps] = cell["steps"].get(steps, 0) + times
    rows = []
    for (kind, control, dtype), cell in sorted(cells.items()):
        steps, errors = np.repeat([int(n) for n in cell["steps"]], list(cell["steps"].values())), cell["errors"]
        rows.append(
            {"kind": kind, "control": control, "dtype": dtype, "count": cell["count"], "highs": cell["highs"]}
            | {fault: cell[fault] for fault in FAULTS}
            | {"unsolved_error_median": float(np.median(errors)) if errors else None}
            | {"unsolved_error_greatest": float(max(errors)) if errors else None}
            | {"steps_median": float(np.median(steps)), "steps_99": float(np.quantile(steps, 0.99))}
            | {"steps_greatest": int(steps.max())}
        )
    return rows


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The kinds with faults, and a line for each control and dtype."""
    yield (
        f"{'kind':13}{'control':12}{'dtype':8}{'count':>7}"
        + "".join(f"{fault:>9}" for fault in FAULTS)
        + (f"{'error ~':>9}{'max':>9}{'steps ~':>8}{'99 %':>6}{'max':>6}{'HiGHS':>7}")
    )
    for row in rows:
        if any(row[fault] for fault in FAULTS):
            errors = [row["unsolved_error_median"], row["unsolved_error_greatest"]]
            yield (
                _counts(row)
                + "".join(f"{'' if error is None else format(error, '.0e'):>9}" for error in errors)
                + (f"{row['steps_median']:8.0f}{row['steps_99']:6.0f}{row['steps_greatest']:6}{row['highs']:7}")
            )
    for control, dtype in sorted({(row["control"], row["dtype"]) for row in rows}):
        some = [row for row in rows if (row["control"], row["dtype"]) == (control, dtype)]
        total = {name: sum(row[name] for row in some) for name in ("count", *FAULTS)}
        yield _counts({"kind": "all kinds", "control": control, "dtype": dtype} | total)


def _counts(row: dict[str, Any]) -> str:
    faults = "".join(f"{row[fault] or '.':>9}" for fault in FAULTS)
    return f"{row['kind']:13}{row['control']:12}{row['dtype']:8}{row['count']:7}" + faults
