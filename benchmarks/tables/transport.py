"""The tables of ``benchmarks/README.md`` on transport, from ``results/transport-*.json``."""

from typing import Any

from benchmarks import records

# the best of ott-jax's settings on each batch is found here, not chosen by hand
_OTT = "ott-jax"


def rows_of(section: str) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = records.record(f"transport-{section}")["rows"]
    return found


def median(row: dict[str, dict], way: str) -> float:
    return row[way]["seconds"]["median"]


def exact() -> str:
    ways = ("exact", "exact, warm", "host", "host, warm", "POT emd, looped", "POT emd, threads")
    lines = ["| batch | " + " | ".join(f"{way}, s" for way in ways) + " | exact / POT looped | Hungarian / exact |"]
    lines.append("| --- |" + " --- |" * (len(ways) + 2))
    for name, row in rows_of("exact").items():
        seconds = " | ".join(f"{median(row, way):.2f}" for way in ways)
        some = [way for way in row if way.startswith(("optax hungarian", "exact, ")) and way.endswith("of them")]
        hungarian = f"{median(row, some[0]) / median(row, some[1]):.1f}" if some else ""
        lines.append(
            f"| {name} | {seconds} | {median(row, 'exact') / median(row, 'POT emd, looped'):.1f} | {hungarian} |"
        )
    return "\n".join(lines)


def sinkhorn() -> str:
    ways = ("sinkhorn", "best of ott-jax", "plain ott-jax", "POT ot.batch")
    heads = ["a quarter of the batch", *(f"{way}, s" for way in ways), "best of ott-jax is", "errors, in this order"]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for name, row in rows_of("sinkhorn").items():
        timed = [way for way in row if way.startswith(_OTT) and "seconds" in row[way]]
        best = min(timed, key=lambda way: median(row, way))
        which = best.removeprefix(f"{_OTT}, vmap").removeprefix(", ") or "as it is"
        taken = ("sinkhorn", best, "ott-jax, vmap", "POT ot.batch")
        seconds = " | ".join(f"{median(row, way):.2f}" for way in taken)
        errors = ", ".join(f"{row[way]['greatest_column_error']:.0e}".replace("e-0", "e-") for way in taken)
        lines.append(f"| {name} | {seconds} | {which} | {errors} |")
    return "\n".join(lines)


TABLES = {"transport exact": exact, "transport sinkhorn": sinkhorn}
