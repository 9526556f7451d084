"""Write the tables of ``README.md`` and ``benchmarks/README.md`` from the records in ``results``.

    python benchmarks/tables.py            # anew, wherever a table stands between <!-- table: NAME --> and <!-- end -->
    python benchmarks/tables.py --check    # only name what differs from its record: tables, and figures in sentences

Figures in sentences are listed in ``quotations.md``, since nobody wants to read a README with marks in its lines.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import alignment_table
import deep_table
import records
import rivals
import transport_table

HERE = Path(__file__).resolve().parent
FILES = (HERE.parent / "README.md", HERE / "README.md")
QUOTATIONS = HERE / "quotations.md"
_MARKED = re.compile(r"(<!-- table: (?P<name>[^>\n]+) -->\n)(?P<table>.*?)(<!-- end -->)", re.DOTALL)


def markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (titles, ["---"] * len(titles), *rows))


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
    return markdown([first, *ways, "when the restarts reached it", "when the search did"], rows)


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


_PROTOCOLS = {  # title, class, record, its name there
    "Autoencoder + k-means": ("AEKMeans", "deep-protocols", "ae, reversed"),
    "DEC (Xie et al., 2016)": ("DEC", "deep-protocols", "dec, reversed"),
    "DFC (Li et al., 2020)": ("DFC", "deep-protocols", "dfc, reversed"),
    "FCMI (Zeng et al., 2023)": ("FCMI", "deep-protocols", "fcmi, reversed"),
    "FCA on the latent rows": ("DeepFCA", "deep-protocols-deepfca", "deepfca without fair targets, reversed"),
    "the same, fair assignments as targets": ("DeepFCA", "deep-protocols-deepfca", "deepfca, reversed"),
}


def protocols() -> str:
    """Deep methods on the bundled digits and their reversals."""
    rows = [
        [title, f"`{name}`", *(records.figure(f"{record} / methods / {key} / {what} / mean -> .3f") for what in _BOTH)]
        for title, (name, record, key) in _PROTOCOLS.items()
    ]
    return markdown(["method", "class", *_BOTH], rows)


_BOTH = ("accuracy", "balance")
_REDUCED = {
    "Autoencoder + k-means": "ae",
    "DEC": "dec",
    "DFC": "dfc",
    "FCMI": "fcmi",
    "`DeepFCA`, fair assignments as targets": "deepfca",
}


def reduced() -> str:
    """Deep methods on real images, at a tenth of the training."""
    pieces = records.record("deep-reduced")["pieces"]

    def cell(data: str, method: str) -> str:
        summary = pieces.get(f"{data}, {method}", {}).get("summary")
        return "not run" if summary is None else ", ".join(f"{summary[what]['mean']:.3f}" for what in _BOTH)

    rows = [[title, *(cell(data, key) for data in ("reverse-mnist", "mnist-usps"))] for title, key in _REDUCED.items()]
    return markdown(["method", "Reverse MNIST", "MNIST and USPS"], rows)


_SCREENED = ("reverse-digits", "half-reversed-digits", "mnist-usps", "reverse-mnist")


def screening() -> str:
    """Every trial of a deep method, beside the trial that it changes."""
    rows = []
    for data in _SCREENED:
        for name, trial in records.record(f"screening-{data}")["trials"].items():
            means = [f"{trial[what]:.3f}" for what in ("accuracy", "nmi", "balance")]
            rows.append([data, name, *means, *_gained(trial.get("gain"))])
    titles = ["data", "trial", "accuracy", "NMI", "balance", "gain over", "accuracy gained ± standard error", "kept"]
    return markdown(titles, rows)


def _gained(gain: dict[str, Any] | None) -> list[str]:
    if gain is None:
        return ["", "", ""]
    return [gain["over"], f"{gain['mean']:+.3f} ± {gain['standard_error']:.3f}", "yes" if gain["kept"] else "no"]


def ablation() -> str:
    """FCMI without either of its losses, means over the seeds."""
    found, what = records.record("ablations-fcmi-losses")["variants"], ("accuracy", "nmi", "balance", "mnce")
    rows = [[name, *(f"{scores[each]:.3f}" for each in what)] for name, scores in found.items()]
    return markdown(["FCMI", "accuracy", "NMI", "balance", "MNCE"], rows)


_CONTROLS = {"epsilon": "epsilon", "min_balance": "min_balance", "shares": "bounds on shares"}


def programmes() -> str:
    """Faults of random programmes, by control and precision."""
    found = records.record("programmes")["table"]
    rows = []
    for control, title in _CONTROLS.items():
        for dtype in ("float64", "float32"):
            kinds = [row for row in found if (row["control"], row["dtype"]) == (control, dtype)]
            total = {key: sum(row[key] for row in kinds) for key in (*_FAULTS, "count")}
            medians = sorted(row["steps_median"] for row in kinds)
            rows.append(
                [
                    title,
                    dtype,
                    f"{total['count']:,}",
                    f"{total['false'] + total['weak'] + total['open']}",
                    *(f"{total[key]}" for key in ("own", "unsolved", "dearer")),
                    f"{medians[len(medians) // 2]:.0f}",
                    f"{max(row['steps_greatest'] for row in kinds)}",
                ]
            )
    faults = ["false or unproven", "control missed", "unsolved", "dearer than perfect fairness"]
    return markdown(["control", "precision", "programmes", *faults, "median steps", "most steps"], rows)


_FAULTS = ("false", "weak", "open", "own", "unsolved", "dearer")

TABLES: dict[str, Callable[[], str]] = {
    "methods": methods,
    "starts": starts,
    "search": lambda: search("data, K"),
    "search, some": lambda: search("data, L2, K", _SEARCHED),
    "routes": routes,
    "deep protocols": protocols,
    "deep reduced": reduced,
    "screening": screening,
    "ablation": ablation,
    "programmes": programmes,
    "rivals": rivals.table,
    **alignment_table.TABLES,
    **transport_table.TABLES,
    **deep_table.TABLES,
}


def rewritten(text: str) -> str:
    """A file with all of its tables as the records have them."""
    return _MARKED.sub(lambda found: f"{found[1]}{TABLES[found['name']]()}\n{found[4]}", text)


def differing(text: str) -> Iterator[str]:
    """Names of the tables of a file that differ from their records."""
    for found in _MARKED.finditer(text):
        if found["table"].strip() != TABLES[found["name"]]().strip():
            yield found["name"]


def quotations() -> Iterator[tuple[str, str]]:
    """Files, and the templates of what they say."""
    name = ""
    for block in QUOTATIONS.read_text(encoding="utf-8").split("\n\n"):
        if block.startswith("## "):
            name = block.removeprefix("## ").strip()
        elif block.startswith("> "):
            yield name, " ".join(line.removeprefix(">").strip() for line in block.strip().splitlines())


def misquoted() -> Iterator[str]:
    """What a file should say by its records, and does not."""
    for name, template in quotations():
        said = " ".join((HERE.parent / name).read_text(encoding="utf-8").split())
        if (sentence := records.sentence(template)) not in said:
            yield f"{name} should say: {sentence}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if anything differs")
    checked = parser.parse_args().check
    faults = [*misquoted()]
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for name in differing(text):
            print(f"{path.relative_to(HERE.parent)}: table {name!r}" + ("" if checked else " written anew"))
            faults += [name] if checked else []
        if not checked:
            path.write_text(rewritten(text), encoding="utf-8")
    print("\n".join(fault for fault in faults if " " in fault))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
