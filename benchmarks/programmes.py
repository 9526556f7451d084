"""Does ``fair_assignment`` solve every fair-assignment programme, and are its certificates true?

    python benchmarks/programmes.py                      # about 100,000 random instances, results/programmes.json
    python benchmarks/programmes.py --count 2000         # a quick look at the first shapes; to the temporary folder
    python benchmarks/programmes.py --only rare --control min_balance --dtype float64
    python benchmarks/programmes.py --show SPEC          # one instance again, as the faults are written

Instances come from ``programme_kinds.py``. Every result is checked here in long double, from what is returned alone:
the primal cost and the fairness of ``probabilities``, the counts of ``labels``, and the bound that ``multipliers``
prove once projected onto the exactly dual feasible prices. HiGHS solves a random sample and whatever looks wrong;
its answers are bracketed by the same code. Costs relate to :func:`scale_of`. Faults, by column of the table:

    false     status 0, and the cost is too high, the control is not met, or labels or primal are not what was promised
    weak      status 0 and the cost is right, but the multipliers do not prove it
    open      status 0, the multipliers do not prove it, and HiGHS could not decide
    own       status 0, and the control is missed by more than the tolerance times the weight of the group concerned
    unsolved  status 1
    refused   status 2 or 3 although the control can be met
    untrue    any status: the dual that was returned is above the optimum
    dearer    any status: dearer than perfect fairness, which satisfies the control
"""

import argparse
import functools
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import measure
import numpy as np
from programme_kinds import CONTROLS, DTYPES, KINDS, SHAPES, Programme, Spec, draw, read_spec
from programme_proofs import Bracket, Missed, bound_of, bracket, cost_of, counts_of, missed_by

from fairjax import fair_assignment

TOLERANCES = {"float64": 1e-6, "float32": 1e-5}
SLACK = 2.0  # so many tolerances make a fault
SCALE_SHARE, POWER = 1e-3, 1 / 8  # see scale_of
QUICK_SHAPES, QUICK_COUNT = 3, 10_000
BATCH, BATCH_ENTRIES = 64, 2**18
SAMPLE = 0.01  # of the instances go to HiGHS in any case
HIGHS_SECONDS, PIECE_SECONDS = 10.0, 60.0  # one programme; all of one shape, control and dtype
FAULTS = ("false", "weak", "open", "own", "unsolved", "refused", "untrue", "dearer")
KEPT = 40  # faulty instances written out per fault, kind, control and dtype


def scale_of(programme: Programme, primal: float) -> float:
    """What a gap is relative to: the cost, or a thousandth of what the next cheapest cluster costs more, typically.

    Typical is a power mean, which hardly minds a few points that are far from everything.
    """
    dearer = programme.costs - programme.costs.min(1, keepdims=True)
    extra = np.min(np.where(dearer > 0, dearer, np.inf), 1)
    share = np.where(np.isfinite(extra), programme.share, 0)
    extra = np.where(np.isfinite(extra), extra, 0)
    # costs that are all zero have no scale of their own
    typical = float((share @ extra**POWER / share.sum()) ** (1 / POWER)) if share.sum() else 0.0
    return max(abs(float(primal)), SCALE_SHARE * typical) or 1.0


# --- solving ----------------------------------------------------------------------------------------------------


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


# --- one result -------------------------------------------------------------------------------------------------


class Checked(NamedTuple):
    """What is true of one result; gap and error are relative to ``scale``."""

    status: int
    n_iter: int
    primal: float
    bound: float
    scale: float
    gap: float
    stated_gap: float
    dual: float
    missed: Missed
    broken: str  # what is not as promised: numbers not finite, rows off the simplex, labels, primal; or nothing
    saving: float  # what perfect fairness would save, relative to the scale; 0 if nothing


def check(programme: Programme, found: Any, perfect: Any) -> Checked:
    """Everything about a result that needs no other solver."""
    tolerance = TOLERANCES[programme.spec.dtype]
    finite = np.all(np.isfinite(found.probabilities)) and np.all(np.isfinite(found.multipliers))
    if not finite or found.status > 1:
        # a wrong refusal counts by its status, a result without finite numbers by being broken
        nothing = (np.nan,) * 2 + (1.0,) + (np.nan,) * 3
        return Checked(
            int(found.status), int(found.n_iter), *nothing, Missed(0, 0), "" if found.status > 1 else "numbers", 0.0
        )
    given = found.probabilities.astype(np.longdouble)
    rows = given.sum(1, keepdims=True)
    rounding = max(4 * given.shape[1] * np.finfo(found.probabilities.dtype).eps, 1e-10)
    broken = "rows" if np.max(np.abs(rows - 1)) > rounding or given.min() < -rounding else ""
    fractions = given / rows
    counts = counts_of(programme, fractions)
    heaviest = np.zeros(len(counts))
    np.maximum.at(heaviest, programme.groups, programme.share.astype(float))
    away = np.abs(counts_of(programme, np.eye(given.shape[1])[found.labels]) - counts)
    if np.any(away > heaviest[:, None] * (1 + tolerance)):
        broken = broken or "labels"
    primal, bound = cost_of(programme, fractions), bound_of(programme, found.multipliers)
    scale = scale_of(programme, float(primal))
    if abs(float(found.primal) - primal) > SLACK * tolerance * scale:
        broken = broken or "primal"
    saving = 0.0
    if perfect.status == 0 and programme.feasible():
        other = perfect.probabilities.astype(np.longdouble)
        other /= other.sum(1, keepdims=True)
        if missed_by(programme, counts_of(programme, other), tolerance).own <= tolerance:
            saving = max(0.0, float(primal - cost_of(programme, other)) / scale)
    return Checked(
        int(found.status), int(found.n_iter), float(primal), float(bound), scale, float(primal - bound) / scale,
        float(found.gap), float(found.dual), missed_by(programme, counts, tolerance), broken, saving,
    )  # fmt: skip


def suspicious(checked: Checked, tolerance: float) -> bool:
    return checked.status == 1 or (checked.status == 0 and not checked.gap <= SLACK * tolerance)


def faults_of(programme: Programme, checked: Checked, optimum: Bracket | None) -> set[str]:
    """The faults of one result, by the names of the table's columns."""
    enough = SLACK * TOLERANCES[programme.spec.dtype]
    if checked.status > 1:
        return {"refused"} if programme.feasible() else set()
    faults = {"dearer"} if checked.saving > enough else set()
    # HiGHS may miss the control by FAIR: what is proven here is no less true for being above its answer
    if optimum is not None and checked.dual > max(optimum.high, checked.bound) + enough * checked.scale:
        faults.add("untrue")
    if checked.status == 1:
        return faults | {"unsolved"}
    if checked.broken or checked.missed.whole > enough / SLACK:
        faults.add("false")
    if checked.missed.own > enough / SLACK:
        faults.add("own")
    if not checked.gap <= enough:
        low, high = (-np.inf, np.inf) if optimum is None else optimum
        right, wrong = checked.primal - low <= enough * checked.scale, checked.primal - high > enough * checked.scale
        faults.add("weak" if right else "false" if wrong else "open")
    return faults


# --- the study --------------------------------------------------------------------------------------------------


class Tally:
    """Counts per kind, control and dtype, and the faulty instances."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str, str], dict[str, Any]] = defaultdict(
            lambda: {"count": 0, "highs": 0, "errors": [], "steps": [], **dict.fromkeys(FAULTS, 0)}
        )
        self.faulty: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)

    def add(self, programme: Programme, checked: Checked, optimum: Bracket | None) -> None:
        spec = programme.spec
        cell = self.cells[spec.kind, spec.control, spec.dtype]
        cell["count"] += 1
        cell["steps"].append(checked.n_iter)
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
                "missed": checked.missed.whole, "missed_of_own": checked.missed.own,
            }  # fmt: skip
            row |= {name: value if np.isfinite(value) else None for name, value in numbers.items()}
            kept = self.faulty[fault, spec.kind, spec.control, spec.dtype]
            kept.append(row)
            # the worst ones
            kept.sort(key=lambda row: -max(row[name] or 0 for name in ("error", "gap", "saving", "missed_of_own")))
            del kept[KEPT:]

    def record(self) -> dict[str, Any]:
        rows = []
        for (kind, control, dtype), cell in sorted(self.cells.items()):
            steps, errors = np.array(cell["steps"]), cell["errors"]
            rows.append(
                {"kind": kind, "control": control, "dtype": dtype, "count": cell["count"], "highs": cell["highs"]}
                | {fault: cell[fault] for fault in FAULTS}
                | {"unsolved_error_median": float(np.median(errors)) if errors else None}
                | {"unsolved_error_greatest": float(max(errors)) if errors else None}
                | {"steps_median": float(np.median(steps)), "steps_99": float(np.quantile(steps, 0.99))}
                | {"steps_greatest": int(steps.max())}
            )
        faulty = {fault: [] for fault in FAULTS}
        for (fault, *_), kept in sorted(self.faulty.items()):
            faulty[fault] += kept
        return {"table": rows, "faulty": faulty}


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


def piece(specs: list[Spec], tally: Tally) -> dict[str, Any]:
    """Solve and check instances of one shape, control and dtype."""
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
        for programme, one, fairest in zip(programmes, found, perfect, strict=True):
            checked, optimum = check(programme, one, fairest), None
            chosen = np.random.default_rng([programme.spec.seed, programme.spec.index]).random() < SAMPLE
            if checked.status < 2 and budget > 0 and (suspicious(checked, tolerance) or chosen):
                asked = time.perf_counter()
                optimum = bracket(programme, min(HIGHS_SECONDS, budget), tolerance / 4 * checked.scale)
                budget -= time.perf_counter() - asked
            tally.add(programme, checked, optimum)
        checking += time.perf_counter() - began
    return {
        "shape": list(specs[0].shape), "control": specs[0].control, "dtype": specs[0].dtype, "count": len(specs),
        "first_batch_seconds": first, "other_batches_seconds": solving, "checking_seconds": checking,
    }  # fmt: skip


def _progress(row: dict[str, Any]) -> str:
    n, k, m = row["shape"]
    return f"n {n} K {k} M {m} {row['control']} {row['dtype']}: {row['count']} instances" + "".join(
        f", {what} {row[name]:.1f} s"
        for what, name in (
            ("first batch (compiles)", "first_batch_seconds"),
            ("others", "other_batches_seconds"),
            ("checks", "checking_seconds"),
        )
    )


def pieces(options: argparse.Namespace) -> Iterator[list[Spec]]:
    """The specifications of the study, one list for each shape, control and dtype; kinds in turn."""
    dtypes = DTYPES if options.dtype == "both" else (options.dtype,)
    controls = [options.control] if options.control else CONTROLS
    kinds = [options.only] if options.only else list(KINDS)
    quick = options.count < QUICK_COUNT
    shapes = list(SHAPES)[:QUICK_SHAPES] if quick else list(SHAPES)
    if options.shape:
        shapes = [tuple(int(part) for part in options.shape.split(","))]
    whole = sum(SHAPES.get(shape, 1.0) for shape in shapes)
    for shape in shapes:
        each = options.count * SHAPES.get(shape, 1.0) / whole / len(dtypes) / len(controls)
        for dtype in dtypes:
            for control in controls:
                yield [
                    Spec(kinds[at % len(kinds)], shape, control, dtype, options.seed, at // len(kinds))
                    for at in range(max(1, round(each)))
                ]


def show(text: str) -> None:
    """Solve one instance again and print what is stated and what is true."""
    programme = draw(read_spec(text))
    found, perfect = (
        solve([programme], [control], batch_size(programme.spec.shape))[0]
        for control in (programme.control, {"epsilon": np.asarray(0.0)})
    )
    checked = check(programme, found, perfect)
    optimum = bracket(programme, 60.0, TOLERANCES[programme.spec.dtype] / 4 * checked.scale)
    print(programme.spec, "control", {name: value.tolist() for name, value in programme.control.items()})
    print("masses", [float(mass) for mass in programme.masses], "feasible", programme.feasible())
    print(f"stated: status {found.status} primal {found.primal:.9g} dual {found.dual:.9g} gap {found.gap:.3g}")
    for name, value in checked._asdict().items():
        print(f"  {name:10} {value}")
    print("HiGHS:", optimum, "error", (checked.primal - optimum.high) / checked.scale)
    print("perfect fairness: status", perfect.status, "primal", perfect.primal)
    print("faults:", sorted(faults_of(programme, checked, optimum)) or "none")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="instances, each dtype counted by itself")
    parser.add_argument("--dtype", choices=[*DTYPES, "both"], default="both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS, metavar="KIND", help=f"one kind: {', '.join(KINDS)}")
    parser.add_argument("--control", choices=CONTROLS)
    parser.add_argument("--shape", metavar="n,K,M", help="one shape")
    parser.add_argument("--show", metavar="SPEC", help="one instance: kind:n,K,M:control:dtype:seed:index")
    options = parser.parse_args()
    if options.show:
        show(options.show)
        return
    given = {name: value for name, value in vars(options).items() if value not in (None, parser.get_default(name))}
    command = " ".join(["python benchmarks/programmes.py", *(f"--{name} {value}" for name, value in given.items())])
    whole = set(given) <= {"seed", "count"} and options.count >= QUICK_COUNT
    folder = measure.RESULTS if whole else Path(tempfile.gettempdir())
    tally, done = Tally(), []
    for specs in pieces(options):
        done.append(piece(specs, tally))
        found = {"tolerances": TOLERANCES, "slack": SLACK, "scale_share": SCALE_SHARE, "pieces": done}
        path = measure.write("study", command, found | tally.record(), folder, family="programmes")
        path = path.replace(folder / "programmes.json")
        print(_progress(done[-1]), flush=True)
        jax.clear_caches()  # every compiled program holds memory maps, of which there are not so many
    record = tally.record()
    print("\n".join(table(record["table"])))
    for fault in FAULTS:
        for row in sorted(record["faulty"][fault], key=lambda row: -(row["error"] or row["gap"] or 0))[:3]:
            print(fault, row)
    print("wrote", path.name)


if __name__ == "__main__":
    main()
