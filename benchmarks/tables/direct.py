"""Tables of the direct route, of routes side by side, of search, and of random programmes."""

from collections.abc import Sequence

from benchmarks import records
from benchmarks.tables.markdown import markdown


def methods() -> str:
    """Adult and Bank from scikit-learn's centres, the best of the starts."""
    columns = [
        "data and control = data -> s",
        "cost = cheapest / cost -> .4f",
        "balance = cheapest / balance -> .4f",
        "best possible = cheapest / max_balance -> .4f",
        "gap = cheapest / gap -> tiny",
    ]
    titles, rows = records.table("direct-targets / rows", columns)
    return markdown([titles[0], "method", *titles[1:]], [[row[0], "FCA, direct", *row[1:]] for row in rows])


_STARTS = {  # rows of the main README: name there, data, clusters
    "Adult, L2, 10": ("Adult, L2", 10),
    "Bank, L2, 10": ("Bank, L2", 10),
    "Bank, L2, three marital groups, 10": ("Bank, L2, three marital groups", 10),
    "Adult, L2, epsilon=0.1, 10": ("Adult, L2, epsilon=0.1", 10),
    "Adult, L2, min_balance=0.3, 10": ("Adult, L2, min_balance=0.3", 10),
    "Adult, L2, 30": ("Adult, L2", 30),
    "two blobs, one a group, 6": ("two blobs, one a group", 6),
}


def starts() -> str:
    """Ten seeds from plain k-means and from the aligned space."""
    rows = []
    for name, (data, clusters) in _STARTS.items():
        ends = [name]
        for init in ("k-means++", "aligned"):
            where = f"direct-starts / rows / data={data};n_clusters={clusters};init={init}"
            form = ".3f" if data.startswith("two blobs") else ".4f"
            ends.append(", ".join(records.figure(f"{where} / {end} -> {form}") for end in ("best", "median", "worst")))
        rows.append(ends)
    return markdown(["data, K", *(f'`"{init}"`: best, median, worst' for init in ("k-means++", "aligned"))], rows)


_SEARCHED = (("Adult", 10), ("Adult", 20), ("Bank", 20), ("Bank, three marital groups", 20), ("Census sample", 20))


def search(first: str, chosen: Sequence[tuple[str, int]] | None = None) -> str:
    """What restarts and search both reached, and when the search was as low as all the restarts."""
    rows = []
    for row in records.record("search-restarts")["rows"]:
        if chosen is not None and (row["data"], row["n_clusters"]) not in chosen:
            continue
        ends = {way: row[way]["falls"][-1] for way in ("restarts", "search")}
        reached = ends["restarts"]["cost"] * (1 + 1e-5)
        soon = next((fall["seconds"] for fall in row["search"]["falls"] if fall["cost"] <= reached), None)
        rows.append(
            [
                f"{row['data']}, {row['n_clusters']}",
                *(f"{ends[way]['cost']:.5f} ({row[way]['fits']})" for way in ends),
                f"{ends['restarts']['seconds']:.1f} s",
                "not" if soon is None else f"{soon:.1f} s",
            ]
        )
    ways = ["restarts", "search"] if chosen is None else ["restarts (`n_init`)", "search"]
    return markdown([first, *ways, "time of the restarts' best", "time until the search was as low"], rows)


_ROUTES = {  # of one start: title, method in the record, transport weight
    "k-means": ("k-means", None),
    '`method="exact"`, `transport_weight=2.0`': ("exact", 2.0),
    '`method="exact"`, `transport_weight=1.0`': ("exact", 1.0),
    '`method="direct"`': ("direct", None),
}
_QUOTED = [  # beside them, from the paper and from a run of the authors' code that is not repeated
    ["*FCA as published (Kim et al., 2025)*", "0.328, 0.493", "0.264, 0.645"],
    ["*FCA, the authors' code of 2026*", "0.316, 0.493", "0.250, 0.648"],
]


def routes() -> str:
    """Cost and balance of every route from one and the same start."""
    rows = []
    for title, (method, weight) in _ROUTES.items():
        ends = []
        for data in ("Adult", "Bank"):
            condition = f"data={data};method={method};start=k-means++ 2025" + (f";weight={weight}" if weight else "")
            where = f"alignment-starts / rows / {condition}"
            ends.append(f"{records.figure(f'{where} / cost -> .4f')}, {records.figure(f'{where} / balance -> .4f')}")
        rows.append([title, *ends])
    return markdown(["method", "Adult, L2", "Bank, L2"], [rows[0], *_QUOTED, *rows[1:]])


_CONTROLS = {"epsilon": "epsilon", "min_balance": "min_balance", "shares": "bounds on shares"}


def programmes() -> str:
    """Faults of random programmes, by control and precision."""
    found = records.record("programmes")["table"]
    rows = []
    for control, title in _CONTROLS.items():
        for dtype in ("float64", "float32"):
            kinds = [row for row in found if (row["control"], row["dtype"]) == (control, dtype)]
            total = {key: sum(row.get(key, 0) for row in kinds) for key in (*_FAULTS, "count")}
            medians = sorted(row["steps_median"] for row in kinds)
            rows.append(
                [
                    title,
                    dtype,
                    f"{total['count']:,}",
                    f"{total['false'] + total['weak'] + total['open']}",
                    *(f"{total[key]}" for key in ("own", "unsolved", "digits", "dearer")),
                    f"{medians[len(medians) // 2]:.0f}",
                    f"{max(row['steps_greatest'] for row in kinds)}",
                ]
            )
    faults = ["false or unproven", "control missed", "unsolved", "no digits", "dearer than perfect fairness"]
    return markdown(["control", "precision", "programmes", *faults, "median steps", "most steps"], rows)


def cells() -> str:
    """A fair assignment with more and more groups and clusters, beside HiGHS."""
    rows = []
    for row in records.record("direct-cells")["rows"]:
        highs = [one["seconds"] for one in row["highs"].values() if one["solved"]]
        rows.append(
            [
                f"{row['groups']}",
                f"{row['clusters']}",
                f"{row['points']:,}",
                f"{row['seconds']['median']:.2f} s",
                f"{row['n_iter']}",
                f"{row['gap']:.0e}",
                f"{min(highs):.1f} s" if highs else "not in 300 s",
                f"{row['ratio']:.0f}" if highs else "",
                f"{row['cost_over_highs']:.0e}" if highs else "",
            ]
        )
    titles = ["groups", "clusters", "points", "fairjax", "steps", "gap", "HiGHS", "ratio", "cost over HiGHS'"]
    return markdown(titles, rows)


_FAULTS = ("false", "weak", "open", "own", "unsolved", "digits", "dearer")

TABLES = {
    "methods": methods,
    "starts": starts,
    "search": lambda: search("data, K"),
    "search, some": lambda: search("data, L2, K", _SEARCHED),
    "routes": routes,
    "programmes": programmes,
    "cells": cells,
}
