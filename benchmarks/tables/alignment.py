"""The tables of ``benchmarks/README.md`` on the alignment route, from ``alignment-*.json``."""

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import records

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], Any]]


def table(section: str, columns: list[Column]) -> str:
    rows = records.record(f"alignment-{section}")["rows"]
    heads = [name for name, _ in columns]
    cells = [heads, ["---"] * len(heads), *([cell(row, read) for _, read in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def cell(row: Row, read: Callable[[Row], Any]) -> str:
    try:
        value = read(row)
    except KeyError:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def named(*names: str) -> list[Column]:
    return [(name.replace("_", " "), lambda row, name=name: row[name]) for name in names]


SECONDS: list[Column] = [
    ("s per iteration", lambda row: f"{row['seconds_per_iteration']['median']:.2f}"),
    ("cpu s per iteration", lambda row: f"{row['cpu_seconds_per_iteration']['median']:.2f}"),
]
ARGMAX: list[Column] = [
    ("cost to aligned centres, argmax", lambda row: row["argmax"]["cost_to_aligned_centers"]),
    ("cost, argmax", lambda row: row["argmax"]["cost"]),
    ("balance, argmax", lambda row: row["argmax"]["balance"]),
]
MEMORY: list[Column] = [("peak MiB", lambda row: f"{row['peak_bytes'] / 2**20:.0f}")]
WEIGHT: list[Column] = [("weight", lambda row: f"{row['weight']:g}")]
# mean over the iterations; refined, blocks without room keep their coupling
SOLVED: list[Column] = [("blocks solved", lambda row: f"{row['blocks_solved']:.0%}")]


_REACHED = named("cost", "balance")
_ENDED = named("objective", "iterations") + SECONDS
_IN_BLOCKS = named("objective", "iterations") + SOLVED + SECONDS
_PARTITIONS = WEIGHT + named("partition_size", "scheme") + _REACHED + _IN_BLOCKS + MEMORY
_PART: list[Column] = [
    ("s", lambda row: f"{row.get('seconds_per_iteration', row.get('spread'))['median']:.3f}"),
    (
        "cpu s",
        lambda row: f"{row['cpu_seconds'] if 'spread' in row else row['cpu_seconds_per_iteration']['median']:.3f}",
    ),
]
_COLUMNS: dict[str, list[Column]] = {
    "starts": named("data", "method") + WEIGHT + named("start") + _REACHED + _ENDED,
    "sinkhorn": named("method") + WEIGHT + [("λ", lambda row: f"{row['reg']:g}")] + ARGMAX + _REACHED + SECONDS,
    "partition": _PARTITIONS,
    "full": _PARTITIONS,
    "control": [
        *named("variant"),
        *WEIGHT,
        ("ε", lambda row: f"{row['epsilon']:g}"),
        *_REACHED,
        *named("gap_between_groups"),
    ],
    "clusters": named("n_clusters", "method") + WEIGHT + _REACHED + _ENDED,
    "census": named("method") + WEIGHT + [("partition", lambda row: row["partition_size"])] + _REACHED + _IN_BLOCKS,
    "groups": named("method") + WEIGHT + _REACHED + named("objective", "gap_to_bound", "iterations") + SECONDS,
    "speed": named("part", "scheme") + WEIGHT + _PART + named("cost", "objective"),
}
TABLES = {f"alignment {section}": partial(table, section, columns) for section, columns in _COLUMNS.items()}
