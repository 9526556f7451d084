"""VFC, SFC, Fairlets, SpFC and FMC on Adult and Bank: cost, balance and seconds beside what the authors' codes take.

Rows of length 1, K = 10. VFC and FMC begin with the centres of scikit-learn's ``KMeans(10, n_init=1,
random_state=2025)``, SFC with the shifts that numpy's legacy generator of seed 0 draws, so that its fairlets are the
authors' code's. Seconds are of a whole fit in a compiled process, the least of the runs (the record has the median),
and in brackets those of the processor, since the machine may have other work; the first fit, which compiles, is apart.
Files are looked for where ``FAIRJAX_DATA`` says. ``--methods`` leaves the record's rows
of the others as they are. ``--quick`` takes every 20th row.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.baselines.rows import SEED, K, Row, fitted, plain_centers, tables_of_people, tell, timed
from benchmarks.running import Run
from fairjax.baselines import FMC, SFC, VFC, Fairlets, SpFC, quadtree_fairlets

# seconds of the public codes on the same kind of machine, as told in the specification; those of VFC are for one λ
PUBLIC = {"vfc": (9.0, 14.0), "sfc": (1.6, 9.0), "fmc": (11.0, 13.0)}
VFC_ROWS: dict[str, list[tuple[float, float | None, tuple[float, float] | None]]] = {
    "Adult": [
        (1000, 2.0, (0.2961, 0.248)),
        (3000, 2.0, (0.3009, 0.312)),
        (9000, 2.0, (0.3090, 0.393)),
        (20000, 2.0, None),
        (9000, None, (0.3090, 0.392)),
        (20000, None, (0.3136, 0.438)),
        (60000, None, (0.3171, 0.478)),
    ],
    "Bank": [
        (1000, 2.0, (0.2086, 0.320)),
        (6000, 2.0, (0.2145, 0.460)),
        (20000, 2.0, (0.2213, 0.539)),
        (60000, 2.0, None),
        (20000, None, None),
        (60000, None, None),
    ],
}
SFC_ROWS: dict[str, list[tuple[tuple[int, int], tuple[float, float]]]] = {
    "Adult": [((2, 5), (0.392, 0.400)), ((22, 45), (0.487, 0.489)), ((43, 87), (0.528, 0.4943))],
    "Bank": [((12, 19), (0.349, 0.632)), ((61, 94), (0.377, 0.649))],
}
FMC_ROWS: dict[str, list[tuple[float, tuple[float, float] | None]]] = {
    "Adult": [(1, (0.2955, 0.177)), (5, (0.347, 0.356)), (10, (0.384, 0.448)), (30, (0.399, 0.429)), (100, None)],
    "Bank": [(10, None)],
}


def cases(name: str, X: np.ndarray, groups: np.ndarray) -> Iterator[Row]:
    centers = plain_centers(X)
    for penalty, step, expected in VFC_ROWS[name]:
        yield Row(
            "vfc",
            f"λ={penalty:g}, " + ("safeguarded" if step is None else f"L={step:g}"),
            fitted(VFC(K, penalty=penalty, step=step, init=centers), X, groups),
            expected,
        )
    sizes = np.bincount(groups)
    for ratio, expected in SFC_ROWS[name]:
        if sizes.min() * ratio[1] < sizes.max() * ratio[0]:
            continue  # of the few rows of --quick
        yield Row("sfc", f"{ratio[0]}:{ratio[1]}", partial(published_sfc, X, groups, ratio), expected)
        yield Row(
            "sfc",
            f"{ratio[0]}:{ratio[1]}, weighted means",
            fitted(SFC(K, balance=ratio, centers="mean", weighted=True, random_state=0), X, groups),
            None,
        )
    sample = np.random.default_rng(0).choice(len(X), min(len(X), 2000), replace=False)
    drawn = np.bincount(groups[sample])
    t = -(-int(drawn.max()) // int(drawn.min()))
    for method in ("flow", "vanilla"):
        yield Row(
            "fairlets",
            f"t={t}, {method}, {len(sample)} points",
            fitted(Fairlets(K, t=t, method=method, random_state=0), X[sample], groups[sample]),
            None,
        )
    yield Row(
        "spfc",
        f"kernel, {len(sample)} points",
        fitted(SpFC(K, random_state=0), X[sample], groups[sample]),
        None,
    )
    yield Row("spfc", "20 neighbours", fitted(SpFC(K, affinity="nearest_neighbors", random_state=0), X, groups), None)
    for penalty, expected in FMC_ROWS[name]:
        anew = FMC(K, penalty=penalty, averages="anew", init=centers)
        yield Row("fmc", f"λ={penalty:g}, averages anew", fitted(anew, X, groups), expected)
        yield Row(
            "fmc", f"λ={penalty:g}, averages kept", fitted(FMC(K, penalty=penalty, init=centers), X, groups), None
        )
        unit = FMC(K, penalty=penalty, start="unit", init=centers)
        yield Row("fmc", f"λ={penalty:g}, equal weights and σ=1", fitted(unit, X, groups), expected)
    tenth = FMC(K, penalty=10.0, start="unit", batch_size=0.1, init=centers, random_state=0)
    yield Row("fmc", "λ=10, equal weights and σ=1, batches of a tenth", fitted(tenth, X, groups), None)


def published_sfc(X: np.ndarray, groups: np.ndarray, ratio: tuple[int, int]) -> Any:
    """Fairlets of the authors' shifts, and scikit-learn's k-means of their centres: what the numbers were taken of."""
    from sklearn.cluster import KMeans

    legacy = np.random.RandomState(0)
    shift = np.array([legacy.uniform(0, spread) for spread in np.ptp(X, axis=0)])
    fairlets = quadtree_fairlets(X, groups, *ratio, shift)
    labels = KMeans(min(K, len(fairlets.centers)), n_init=1, random_state=0).fit(X[fairlets.centers]).labels_
    return Labelled(*scores(X, groups, labels[fairlets.labels]))


class Labelled(NamedTuple):
    cost_: float
    balance_: float
    status_: str = "converged"
    n_iter_: int = 1


def scores(X: np.ndarray, groups: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    cost, counts = 0.0, np.zeros((labels.max() + 1, groups.max() + 1))
    np.add.at(counts, (labels, groups), 1)
    for k in range(len(counts)):
        own = X[labels == k]
        cost += float(((own - own.mean(0)) ** 2).sum())
    return cost / len(X), float((counts.min(1) / counts.max(1)).min())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--methods", default="vfc,sfc,fairlets,spfc,fmc")


def rivals(run: Run) -> dict[str, Any]:
    methods, rows = run.options.methods.split(","), []
    others = [row for row in run.record().get("rows", []) if row["method"] not in methods]
    for name, X, groups in tables_of_people(run.quick):
        rows += [row for row in others if row["data"] == name]
        for row in run.each([row for row in cases(name, X, groups) if row.method in methods]):
            rows.append({"data": name, "n": len(X), **timed(row, run.options.repeats)})
            tell(rows[-1], PUBLIC)
    return {"n_clusters": K, "seed": SEED, "public_seconds": PUBLIC, "rows": rows}


SECTIONS = {"rivals": rivals}
