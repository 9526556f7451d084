"""The table of other methods beside their authors' codes, and its lines, which the benchmarks print as they go."""

from typing import Any

from benchmarks import records
from benchmarks.tables.markdown import markdown

HEAD = ["data, method, control", "cost / balance", "authors' code", "status", "seconds (of the processor)", "theirs"]


def cells(row: dict[str, Any], public: dict[str, Any]) -> list[str]:
    """A row, with the seconds of the public codes from and to."""
    expected = "" if row["expected"] is None else "{:.4f} / {:.3f}".format(*row["expected"])
    low, high = public.get(row["method"], (0.0, 0.0))
    return [
        f"{row['data']}, {row['method']} {row['control']}",
        f"{row['cost']:.4f} / {row['balance']:.3f}",
        expected,
        row["status"],
        f"{row['seconds']['least']:.2f} ({row['processor_seconds']['least']:.2f})",
        f"{low:g}–{high:g}" if high else "",
    ]


def rivals() -> str:
    record = records.record("baselines-rivals")
    return markdown(HEAD, [cells(row, record["public_seconds"]) for row in record["rows"]])


TABLES = {"rivals": rivals}
