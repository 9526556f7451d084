"""Print the tables of ``benchmarks/README.md`` on deep methods, and draw the loss curves, from ``results/deep-*.json``.

python benchmarks/deep_table.py [reduced|full]
"""

import json
import sys
from typing import Any

from measure import RESULTS

_NAMES = {
    "ae": "AE + k-means",
    "dec": "DEC",
    "dcn": "DCN",
    "dfc": "DFC",
    "fcmi": "FCMI",
    "fairoids": "fairoids",
    "deepfca": "DeepFCA",
}
_FIGURES = ("accuracy", "nmi", "balance", "mnce", "fwd")


def cell(figure: dict[str, float]) -> str:
    return f"{figure['mean']:.3f} ± {figure['deviation']:.3f}"


def quality(pieces: dict[str, Any]) -> None:
    print("| data (rows) | method | seeds | accuracy | NMI | balance | MNCE | FWD | clusters |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, piece in pieces.items():
        if "summary" in piece:
            data, method = name.split(", ")
            row = [cell(piece["summary"][figure]) for figure in _FIGURES]
            clusters = "–".join(map(str, sorted(set(_clusters(piece)))))
            count = len(piece["seeds"])
            print(f"| {data} ({piece['rows']:,}) | {_NAMES[method]} | {count} | {' | '.join(row)} | {clusters} |")


def _clusters(piece: dict[str, Any]) -> tuple[int, int]:
    counts = [int(seed["clusters"]) for seed in piece["seeds"]]
    return min(counts), max(counts)


def cost(pieces: dict[str, Any]) -> None:
    print(
        "| data | method | steps of each stage | s per step (last) | processor s of a run | compiling, s | peak, GiB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
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
        print(
            f"| {data} | {_NAMES[method]} | {steps} | {step} | {min(runs, default=float('nan')):.0f} | "
            f"{piece['compile_seconds']:.0f} | {peak:.1f} |"
        )


def gains(pieces: dict[str, Any]) -> None:
    print("| data, method | batch | s per step, one seed | s per step and seed, several in one vmap | gain |")
    print("| --- | --- | --- | --- | --- |")
    for name, piece in pieces.items():
        if "gain" in piece:
            runs = {key: value for key, value in piece.items() if key.endswith((" seed", " seeds"))}
            (_, one), (several, many) = runs.items()
            seconds = [run["seconds_per_step_and_seed"]["median"] for run in (one, many)]
            print(
                f"| {name.removeprefix('gain, ')} ({several}) | {piece['batch']} | {seconds[0]:.3f} | {seconds[1]:.3f} "
                f"| {piece['gain']:.2f} |"
            )


_STEPS = {
    "dfc": "DFC",
    "fcmi": "FCMI, 28 x 28 images",
    "fcmi, 30 groups": "FCMI, HAR's network, 30 groups",
    "fcmi, one branch": "the same, one branch",
}


def steps() -> None:
    print(
        "| step | fairjax, s | PyTorch, s | PyTorch, channels last, s | to PyTorch | to the faster | compilation, s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, case in json.loads((RESULTS / "deep-step.json").read_text(encoding="utf-8"))["cases"].items():
        runs = case["seconds_per_step"]
        ours, theirs = runs["fairjax"]["median"], runs["torch"]["median"]
        last = f"{runs['torch, channels last']['median']:.3f}" if "torch, channels last" in runs else ""
        print(
            f"| {_STEPS[name]} | {ours:.3f} | {theirs:.3f} | {last} | {ours / theirs:.2f} | "
            f"{runs['times the faster']:.2f} | {case['compile_seconds']:.0f} |"
        )


def figure(scale: str, pieces: dict[str, Any]) -> None:
    """One panel for each piece: the loss terms over its whole training, stages marked by the terms' names."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    chosen = {name: piece for name, piece in pieces.items() if piece.get("curves")}
    columns = min(3, len(chosen))
    lines = -(-len(chosen) // columns)
    drawing, panels = pyplot.subplots(
        lines, columns, figsize=(4 * columns, 2.9 * lines), squeeze=False, layout="constrained"
    )
    for panel in panels.flat[len(chosen) :]:
        panel.set_axis_off()
    for panel, (name, piece) in zip(panels.flat, chosen.items(), strict=False):
        behind = 0
        for stage, length in piece["steps"].items():
            terms = {key: values for key, values in piece["curves"].items() if key.startswith(f"{stage}: ")}
            for key, values in terms.items():
                if any(values):
                    places = [behind + (i + 0.5) * length / len(values) for i in range(len(values))]
                    panel.plot(places, values, label=key, linewidth=1.2)
            behind += length
        data, method = name.split(", ")
        panel.set_title(f"{_NAMES[method]}, {data}", fontsize=10)
        panel.set_yscale("symlog", linthresh=1e-3)
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.legend(fontsize=6)
        panel.grid(alpha=0.3)
    drawing.supylabel("weighted loss term, first seed", fontsize=9)
    path = RESULTS / f"deep-curves-{scale}.png"
    drawing.savefig(path, dpi=110)
    print(f"Wrote {path}.")


def main() -> None:
    scale = sys.argv[1] if len(sys.argv) > 1 else "reduced"
    pieces = json.loads((RESULTS / f"deep-{scale}.json").read_text(encoding="utf-8"))["pieces"]
    for table in (quality, cost, gains):
        table(pieces)
        print()
    steps()
    figure(scale, pieces)


if __name__ == "__main__":
    main()
