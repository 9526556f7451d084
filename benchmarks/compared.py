"""Every method side by side on Adult, Bank and the Census sample: cost, balance, what it promised, seconds, compiling.

    python benchmarks/compared.py [--seeds N] [--sets adult,bank,bank-marital,census] [--scales l2,standard,min-max]
                                  [--methods A,B] [--add] [--quick]
    python benchmarks/compared.py --table    the tables of README.md in this folder, from the results

K = 10 (Census: 20). All methods of a row begin from the same k-means++ seeds, or from plain k-means from there; "FCA,
aligned start" begins as `fairjax.FCA` does by default. Each stands at its fairest and at its published setting: FRAC,
whose authors deal by turns, with exact capacities too, and VFC with its safeguarded step beside the published one.
Costs and balances are medians over the seeds, seconds those of a compiled fit from the start on, the compiler's apart:
programs that an earlier row has compiled cost none. ``gain`` tells of ten starts, where the published FCA has a row,
what part of the difference between that and ours is there with the centres of plain k-means (exact FAlg), and what the
centres add.
``--add`` puts what is run in the place of the same data in the record there is. ``--quick`` takes every 20th row and
writes to the temporary folder.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import assigned
import measure
import numpy as np

import fairjax
from fairjax import datasets
from fairjax.comparison.quoted import quoted

METHODS = "kmeans,falg,fcbc,frac,frac-oe,ms-flow,vfc,fmc,sfc,mpfc,fca"
SETS = {"adult": 10, "bank": 10, "bank-marital": 10, "census": 20}
SCALES = ("l2", "standard", "min-max")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows; results go to the temporary folder")
    parser.add_argument("--add", action="store_true", help="keep what the record has of other data")
    parser.add_argument("--table", action="store_true", help="print the tables from the results")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--scales", default=",".join(SCALES))
    parser.add_argument("--methods", default=METHODS)
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    folder = Path(tempfile.gettempdir()) if options.quick else measure.RESULTS
    command = f"python benchmarks/compared.py --seeds {options.seeds}"
    for name, default in (("sets", ",".join(SETS)), ("scales", ",".join(SCALES)), ("methods", METHODS)):
        command += "" if getattr(options, name) == default else f" --{name} {getattr(options, name)}"
    rows: list[dict[str, Any]] = []
    notes: list[dict[str, str]] = []
    gains: list[dict[str, Any]] = []
    there = folder / "baselines-compared.json"
    if options.add and there.exists():
        before = json.loads(there.read_text(encoding="utf-8"))
        rows, notes, gains = ([row for row in before[part] if kept(row, options)] for part in ("rows", "notes", "gain"))
    for name in options.sets.split(","):
        for scale in options.scales.split(","):
            rows += rows_of(name, scale, options, notes)
            gains += gain(name, scale, options.quick)
            record = {"seeds": options.seeds, "rows": rows, "gain": gains, "notes": notes}
            # written as they come: a long run that is broken off has what it found
            print(measure.write("compared", command + (" --quick" if options.quick else ""), record, folder,
                                family="baselines"), flush=True)  # fmt: skip


def kept(row: dict[str, Any], options: Any) -> bool:
    """Whether a row of the record is of other data than what is run."""
    return row["data"] not in options.sets.split(",") or row["scale"] not in options.scales.split(",")


def points(name: str, scale: str, quick: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows of length 1, standardised columns, or columns from 0 to 1; and groups."""
    data = datasets.load(name, l2_normalize=scale == "l2")
    X = data.X
    if scale == "min-max":
        raw = np.asarray(data.raw, np.float64)
        width = np.ptp(raw, axis=0)
        X = (raw - raw.min(0)) / np.where(width > 0, width, 1)
    thinned = slice(None, None, 20 if quick else 1)
    return np.asarray(X, np.float64)[thinned], data.groups[thinned]


def rows_of(name: str, scale: str, options: Any, notes: list[dict[str, str]]) -> list[dict[str, Any]]:
    X, groups = points(name, scale, options.quick)
    shared = {"n_clusters": SETS[name], "levels": (1.0,), "n_seeds": options.seeds}
    found = fairjax.compare(X, groups, methods=options.methods.split(","), init="k-means++", **shared)
    default = fairjax.compare(X, groups, methods={"FCA, aligned start": "fca"}, init="aligned", **shared)
    base = float(found.frame["cost"].iloc[0])
    rows = []
    for own_start, frame in ((False, found.frame), (True, default.frame)):
        for label, row in frame.iterrows():
            own = {key: plain(value) for key, value in row.items() if key not in ("floor", "price")}
            price = plain(row["cost"] / base - 1)
            shown = "FCA, aligned start" if own_start else str(label)
            rows.append({"data": name, "scale": scale, "n": len(X), "method": shown, "price": price, **own})
            told(rows[-1])
    notes += [{"data": name, "scale": scale, "note": note} for note in found.notes]
    return rows


def plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def told(row: dict[str, Any]) -> None:
    print(line(row), flush=True)


def gain(name: str, scale: str, quick: bool) -> list[dict[str, Any]]:
    """What part of the difference to the published FCA is the exact assignment, and what part the centres."""
    printed = {
        row.method: row.cost
        for row in quoted(name, n_clusters=SETS[name], n_groups=2, l2_normalize=scale == "l2", standardize=True)
    }
    if "FCA" not in printed:
        return []
    found = assigned.seeds(*points(name, scale, quick))
    exact, ours = found["mean"], min(found["fca_mean"], found["fca_aligned_mean"])
    whole = printed["FCA"] - ours
    return [
        {
            "data": name,
            "scale": scale,
            "n_starts": len(found["costs"]),
            "published": printed["FCA"],
            "exact_falg": exact,
            "fca_from_k_means": found["fca_mean"],
            "fca_aligned": found["fca_aligned_mean"],
            "share_of_assignment": (printed["FCA"] - exact) / whole,
            "share_of_centers": (exact - ours) / whole,
        }
    ]


def line(row: dict[str, Any]) -> str:
    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return (
        f"| {row['data']}, {row['scale']} | {row['method']} | {shown(row['cost'], '.4f')} | "
        f"{shown(row['price'], '+.1%')} | {shown(row['balance'], '.4f')} | {shown(row['share'], '.1%')} | "
        f"{shown(row['violation'], '.1f')} | {shown(row['seconds'], '.2f')} | {shown(row['compile_seconds'], '.1f')} | "
        f"{row['status']} |"
    )


def table() -> str:
    record = json.loads((measure.RESULTS / "baselines-compared.json").read_text(encoding="utf-8"))
    head = (
        "| data | method | cost | over k-means | balance | of best | missed | seconds | compiling | status |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    return head + "\n".join(map(line, record["rows"]))


if __name__ == "__main__":
    main()
