"""Print the tables of ``benchmarks/README.md`` from ``benchmarks/results/alignment-*.json``."""

import json
from collections.abc import Callable
from typing import Any

from measure import RESULTS

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], Any]]


def table(section: str, columns: list[Column]) -> None:
    path = RESULTS / f"alignment-{section}.json"
    if not path.is_file():
        return
    print(f"\n<!-- {section} -->\n")
    print("| " + " | ".join(name for name, _ in columns) + " |")
    print("| " + " | ".join("---" for _ in columns) + " |")
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        print("| " + " | ".join(cell(row, read) for _, read in columns) + " |")


def cell(row: Row, read: Callable[[Row], Any]) -> str:
    try:
        value = read(row)
    except KeyError:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def named(*names: str) -> list[Column]:
    return [(name.replace("_", " "), lambda row, name=name: row[name]) for name in names]


SECONDS: list[Column] = [
    ("s per turn", lambda row: f"{row['seconds_per_turn']['median']:.2f}"),
    ("cpu s per turn", lambda row: f"{row['cpu_seconds_per_turn']['median']:.2f}"),
]
ARGMAX: list[Column] = [
    ("cost to aligned centres, argmax", lambda row: row["argmax"]["cost_to_aligned_centers"]),
    ("cost, argmax", lambda row: row["argmax"]["cost"]),
    ("balance, argmax", lambda row: row["argmax"]["balance"]),
]
MEMORY: list[Column] = [("peak MiB", lambda row: f"{row['peak_bytes'] / 2**20:.0f}")]
WEIGHT: list[Column] = [("weight", lambda row: f"{row['weight']:g}")]
# mean over the turns; refined, blocks without room keep their coupling
SOLVED: list[Column] = [("blocks solved", lambda row: f"{row['blocks_solved']:.0%}")]


def main() -> None:
    reached = named("cost", "balance")
    ended = named("objective", "turns") + SECONDS
    in_blocks = named("objective", "turns") + SOLVED + SECONDS
    table("starts", named("data", "method") + WEIGHT + named("start") + reached + ended)
    table("sinkhorn", named("method") + WEIGHT + [("λ", lambda row: f"{row['reg']:g}")] + ARGMAX + reached + SECONDS)
    partitions = WEIGHT + named("partition_size", "scheme") + reached + in_blocks + MEMORY
    table("partition", partitions)
    table("full", partitions)
    table(
        "control",
        [*named("variant"), *WEIGHT, ("ε", lambda row: f"{row['epsilon']:g}"), *reached, *named("gap_between_groups")],
    )
    table("clusters", named("n_clusters", "method") + WEIGHT + reached + ended)
    blocks = [("partition", lambda row: row["partition_size"])]
    table("census", named("method") + WEIGHT + blocks + reached + in_blocks)
    table("groups", named("method") + WEIGHT + reached + named("objective", "gap_to_bound", "turns") + SECONDS)
    part: list[Column] = [
        ("s", lambda row: f"{row.get('seconds_per_turn', row.get('spread'))['median']:.3f}"),
        (
            "cpu s",
            lambda row: f"{row['cpu_seconds'] if 'spread' in row else row['cpu_seconds_per_turn']['median']:.3f}",
        ),
    ]
    table("speed", named("part", "scheme") + WEIGHT + part + named("cost", "objective"))


if __name__ == "__main__":
    main()
