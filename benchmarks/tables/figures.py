"""Draw the pictures of the records, beside them or where ``--out`` says.

A record from before its picture was drawn from it may lack what the picture shows: then its file stays as it is.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import records
from benchmarks.running import Run
from benchmarks.tables import deep_figures
from fairjax.comparison import Comparison

Record = dict[str, Any]


def growth(record: Record) -> Any:
    """Seconds of an iteration over the number of points."""
    from matplotlib import pyplot as plt

    rows = [row for row in record["rows"] if "failed" not in row]
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    series = (
        ("iteration", "one iteration of FCA, to the required gap", "o"),
        ("lloyd", "one Lloyd iteration, KMeans", "s"),
    )
    for name, label, marker in series:
        some = [row for row in rows if name in row]
        axes.loglog([row["n"] for row in some], [row[name]["median"] for row in some], marker=marker, label=label)
    n = np.array([rows[0]["n"], rows[-1]["n"]], float)
    last = rows[-1]["iteration"]["median"]
    axes.loglog(n, last * n / n[-1], color="0.6", linestyle=":", label="proportional to n")
    axes.set(xlabel="points n", ylabel="seconds", title="Time over the number of points (d = 8, K = 10, float32)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def streamed_growth(record: Record) -> Any:
    """Seconds of a pass, and peak memory, over the number of rows that are read."""
    from matplotlib import pyplot as plt

    n, seconds, peaks = (np.array([row[name] for row in record["rows"]]) for name in ("n", "seconds_a_pass", "peak_mb"))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    left.loglog(n, seconds, marker="o", label="a pass")
    left.loglog(n, seconds[-1] * n / n[-1], color="0.6", linestyle=":", label="proportional to n")
    left.set(xlabel="rows n", ylabel="seconds", title="Time (d = 8, K = 16, two groups)")
    left.legend(frameon=False)
    right.semilogx(n, peaks / 1000, marker="o")
    right.set(xlabel="rows n", ylabel="GB", ylim=(0, None), title="Peak memory of the process")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return figure


def control(record: Record) -> Any:
    """What the ε of FCA-C does, beside a bound on the gap."""
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    names = {
        "gap-constrained": "gap ≤ ε (Theorem 4.1, direct route)",
        "dearest": "FCA-C as written: dearest pairs",
        "cheapest": "FCA-C as coded: cheapest pairs",
    }
    for (variant, name), marker in zip(names.items(), "o^s", strict=True):
        # at the paper's weight; the direct route has none
        rows = [row for row in record["rows"] if row["variant"] == variant and row.get("weight", 2.0) == 2.0]
        points = [(row["balance"], row["cost"]) for row in rows]
        left.plot(*zip(*points, strict=True), marker=marker, label=name, linewidth=1)
        right.plot(
            [row["epsilon"] for row in rows], [row["gap_between_groups"] for row in rows], marker=marker, linewidth=1
        )
    plain = next(row for row in record["rows"] if row["variant"] == "k-means")
    left.plot(plain["balance"], plain["cost"], "k*", label="k-means")
    left.set(xlabel="balance", ylabel="cost", title="Price of balance, Adult, K = 10")
    right.plot([0, 0.5], [0, 0.5], color="0.7", linestyle=":")
    right.axhline(plain["gap_between_groups"], color="0.7", linestyle="--")
    right.text(0.5, plain["gap_between_groups"], "k-means", ha="right", va="bottom", color="0.4")
    right.set(xlabel="ε", ylabel="gap reached  Σ|q₀ − q₁|", title="What ε controls")
    left.legend(frameon=False, fontsize=8)
    return figure


def partition(record: Record) -> Any:
    """The objective over the iterations, by size and scheme of the partition."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    rows = [row for row in record["rows"] if row.get("weight", 2.0) == 2.0]
    sizes = sorted({row["partition_size"] for row in rows})
    for row in rows:
        style = ("-" if row["scheme"] == "refine" else ":") + f"C{sizes.index(row['partition_size'])}"
        iterations = np.arange(1, len(row["objectives"]) + 1)
        axes.plot(iterations, row["objectives"], style, label=f"{row['scheme']}, {row['partition_size']}")
    axes.set(xlabel="iteration", ylabel="objective", title="Adult, weight 2: partitions drawn anew and refined")
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def compared(record: Record) -> Any:
    """Cost against balance on Adult, for every value of every control."""
    import pandas as pd

    about = record["pieces"]["adult, l2"]
    best = about["max_balance"]
    found = Comparison(pd.DataFrame(record["curve"]), about["n_clusters"], 1, init="k-means++", max_balance=best)
    figure: Any = found.plot().figure
    figure.set_size_inches(7.5, 4.5)
    return figure


# record, endings of the files, how it is drawn, by the name of the picture
FIGURES: dict[str, tuple[str, tuple[str, ...], Callable[[Record], Any]]] = {
    "direct-growth": ("direct-growth", (".svg", ".png"), growth),
    "streaming-growth": ("streaming-growth", (".svg",), streamed_growth),
    "alignment-control": ("alignment-control", (".svg",), control),
    "alignment-partition": ("alignment-partition", (".svg",), partition),
    "baselines-compared": ("baselines-compared", (".svg",), compared),
    **deep_figures.FIGURES,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="pictures whose name begins so")


def figures(run: Run) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "fairjax"

    run.folder.mkdir(parents=True, exist_ok=True)
    for name, (record, endings, draw) in run.each(FIGURES.items()):
        if not name.startswith(tuple(run.options.only)) or not records.exists(record):
            continue
        try:
            picture = draw(records.record(record))
        except records.MissingFigureError as lacking:
            print(f"{name} stays as it is: {lacking}", flush=True)
            continue
        for ending in endings:
            about = {"Date": None} if ending == ".svg" else {}
            picture.savefig(run.folder / f"{name}{ending}", dpi=150 if name == "direct-growth" else 110, metadata=about)
        picture.clear()
        print(f"wrote {name}", flush=True)


SECTIONS = {"figures": figures}
