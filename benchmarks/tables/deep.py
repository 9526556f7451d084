"""The tables of ``benchmarks/README.md`` on deep methods, from ``results/deep-*.json``."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks import records

NAMES = {
    "ae": "AE + k-means",
    "dec": "DEC",
    "dcn": "DCN",
    "fairoids": "fairoids",
    "dfc": "DFC",
    "fcmi": "FCMI",
    "deepfca": "DeepFCA",
    "deepfca-vat": "DeepFCA, smooth",
    "deepfca-slack": "DeepFCA, smooth, slack",
    "fcmi-views": "FCMI, two views",
    "deepfca-views": "DeepFCA, two views",
    "fcmi-restarts": "FCMI, two views, best of three starts",
    "deepfca-restarts": "DeepFCA, two views, best of three starts",
}
_FIGURES = ("accuracy", "nmi", "balance", "mnce", "fwd")


def cell(figure: dict[str, float]) -> str:
    return f"{figure['mean']:.3f} ± {figure['deviation']:.3f}"


def quality(pieces: dict[str, Any]) -> Iterator[str]:
    yield ("| data (rows) | method | seeds | accuracy | NMI | balance | MNCE | FWD | clusters |")
    yield ("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, piece in pieces.items():
        if "summary" in piece:
            data, method = name.split(", ")
            row = [cell(piece["summary"][figure]) for figure in _FIGURES]
            clusters = "–".join(map(str, sorted(set(_clusters(piece)))))
            count = len(piece["seeds"])
            yield (f"| {data} ({piece['rows']:,}) | {NAMES[method]} | {count} | {' | '.join(row)} | {clusters} |")


def _clusters(piece: dict[str, Any]) -> tuple[int, int]:
    counts = [int(seed["clusters"]) for seed in piece["seeds"]]
    return min(counts), max(counts)


def cost(pieces: dict[str, Any]) -> Iterator[str]:
    yield (
        "| data | method | steps of each stage | s per step (last) | processor s of a run | compiling, s | peak, GiB |"
    )
    yield ("| --- | --- | --- | --- | --- | --- | --- |")
    for name, piece in pieces.items():
        if "steps" not in piece:
            continue
        data, method = name.split(", ")
        steps = " + ".join(str(count) for count in piece["steps"].values())
        per_step = list(piece["seconds_per_step"].values())[-1:]
        step = f"{per_step[0]['median']:.3f}" if per_step else ""
        peak = piece.get("device_peak_gib", piece.get("process_peak_gib"))
        # what a pause or other work on the machine leaves alone; the least, which compiled least
        runs = piece["processor_seconds_of_each_run"]
        stages = pieces.get(f"compile, {name}", {}).get("compile_seconds_of_stages", {})
        # else what was counted during the training of all seeds, traces within traces twice
        compiling = " + ".join(f"{seconds:.0f}" for seconds in stages.values()) or f"≤ {piece['compile_seconds']:.0f}"
        yield (
            f"| {data} | {NAMES[method]} | {steps} | {step} | {min(runs, default=float('nan')):.0f} | {compiling} | "
            f"{peak:.1f} |"
        )


def gains(pieces: dict[str, Any]) -> Iterator[str]:
    yield ("| data, method | batch | s per step, one seed | s per step and seed, several in one vmap | gain |")
    yield ("| --- | --- | --- | --- | --- |")
    for name, piece in pieces.items():
        if "gain" in piece:
            runs = {key: value for key, value in piece.items() if key.endswith((" seed", " seeds"))}
            (_, one), (several, many) = runs.items()
            seconds = [run["seconds_per_step_and_seed"]["median"] for run in (one, many)]
            yield (
                f"| {name.removeprefix('gain, ')} ({several}) | {piece['batch']} | {seconds[0]:.3f} | {seconds[1]:.3f} "
                f"| {piece['gain']:.2f} |"
            )


_STEPS = {
    "dfc": "DFC",
    "fcmi": "FCMI, 28 x 28 images",
    "fcmi, 30 groups": "FCMI, HAR's network, 30 groups",
    "fcmi, one branch": "the same, one branch",
}


def steps() -> Iterator[str]:
    yield (
        "| step | fairjax, s | PyTorch, s | PyTorch, channels last, s | to PyTorch | to the faster | compilation, s |"
    )
    yield ("| --- | --- | --- | --- | --- | --- | --- |")
    for name, case in records.record("deep-step")["cases"].items():
        runs = case["seconds_per_step"]
        ours, theirs = runs["fairjax"]["median"], runs["torch"]["median"]
        last = f"{runs['torch, channels last']['median']:.3f}" if "torch, channels last" in runs else ""
        yield (
            f"| {_STEPS[name]} | {ours:.3f} | {theirs:.3f} | {last} | {ours / theirs:.2f} | "
            f"{runs['times the faster']:.2f} | {case['compile_seconds']:.0f} |"
        )


def ordered(pieces: dict[str, Any]) -> dict[str, Any]:
    """By data set, then by method as in the list of names."""

    def place(name: str) -> tuple[str, int]:
        data, method = name.split(", ")[-2:]
        return data, list(NAMES).index(method)

    return dict(sorted(pieces.items(), key=lambda item: place(item[0])))


def pieces_of(scale: str) -> dict[str, Any]:
    return ordered(records.record(f"deep-{scale}")["pieces"])


def reduced(lines: Callable[[dict[str, Any]], Iterator[str]]) -> str:
    return "\n".join(lines(pieces_of("reduced")))


TABLES = {
    "deep reduced, scores": partial(reduced, quality),
    "deep reduced, cost": partial(reduced, cost),
    "deep reduced, gain": partial(reduced, gains),
    "deep step": lambda: "\n".join(steps()),
}
