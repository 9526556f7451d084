"""The papers' in-depth analyses at reduced size, on the bundled digits and their reversals.

    python benchmarks/analyses.py training    t-SNE, probe, critic, label matching, decoders, information, FWD, clusters
    python benchmarks/analyses.py sweeps      weights of fairness and structure against what comes out, one after
                                              the other; by itself each is a section, as sweep-fcmi-group-weight
    python benchmarks/analyses.py all         everything

Each writes ``results/analyses-SECTION.json`` and figures beside it. ``--quick`` takes few steps and writes to the
temporary folder, to see that everything runs.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import measure
import numpy as np
import reduced

from fairjax import datasets
from fairjax.deep import analysis, prepare
from fairjax.deep.analysis import figures

SHOWN = 1200  # rows of a t-SNE picture
NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20)


def digits(signed: bool) -> datasets.Dataset:
    return datasets.load_reverse_digits(signed=signed, dtype=np.float32)


def rounded(values: Any) -> list[Any]:
    return np.round(np.asarray(values, float), 4).tolist()


def save(figure: Any, folder: Path, name: str) -> None:
    import matplotlib as mpl

    mpl.rcParams["svg.hashsalt"] = "fairjax"
    if name.endswith(".svg"):
        figure.savefig(folder / name, metadata={"Date": None})
    else:
        figure.savefig(folder / name, dpi=100)


def training(folder: Path, quick: bool) -> dict[str, Any]:
    key, found, latent, labels = jax.random.key(0), {}, {}, {}
    plain, signed, settings = digits(False), digits(True), reduced.configs(quick)
    rows = {False: prepare(plain.X, plain.groups), True: prepare(signed.X, signed.groups)}
    seen: dict[str, list[analysis.Snapshot]] = {}
    results: dict[str, Any] = {}
    for name, config in settings.items():
        data = rows[name in ("FCMI", "DeepFCA")]
        measures = {"z": analysis.latent_rows(config, data)}
        every = 28
        if name == "FCMI":
            measures["information"] = analysis.informations(config, data)
        if name == "DFC":
            measures |= {
                "critic": analysis.critic_accuracy(config, data), "frozen": lambda state: state.extra["frozen"],
            }  # fmt: skip
            every = 5 if quick else 50
        results[name], seen[name] = analysis.watch(key, data, config, measures, every=every)
        latent[name] = np.asarray(seen[name][-1].values["z"])
        labels[name] = np.asarray(results[name].labels)
        found[name] = reduced.scores(labels[name], plain)
        print(name, found[name], flush=True)

    classes, sources = [str(digit) for digit in range(10)], ["original", "reversed"]
    report: dict[str, Any] = {"seed": 0, "scores": found}

    chosen = np.random.default_rng(0).choice(len(plain.X), SHOWN, replace=False)
    snapshots = seen["FCMI"]
    times = {f"FCMI, epoch {one.step // 28}": one for one in (snapshots[i] for i in pick(len(snapshots), quick))}
    places, start = {"AE + k-means": analysis.tsne(latent["AE + k-means"][chosen])}, None
    for name, one in times.items():
        places[name] = start = analysis.tsne(one.values["z"][chosen], start=start)
    colours = {"class": (plain.target[chosen], classes), "group": (plain.groups[chosen], sources)}
    save(figures.scatters(places, colours), folder, "analyses-tsne.png")

    probes = {}
    for name in settings:
        probes[name] = analysis.group_probe(latent[name], plain.groups).accuracy
    probes["pixels"] = analysis.group_probe(plain.X, plain.groups).accuracy
    report["probe"] = {name: round(value, 4) for name, value in probes.items()}
    save(
        figures.histogram(
            {"accuracy": list(probes.values())}, list(probes),
            ylabel="accuracy of a new classifier", title="How much of the group the rows tell (chance: 0.5)",
        ),
        folder, "analyses-probe.svg",
    )  # fmt: skip

    steps = [one.step for one in seen["DFC"]]
    critic = [float(one.values["critic"]) for one in seen["DFC"]]
    report["critic"] = {"steps": steps, "accuracy": rounded(critic)}
    save(
        figures.curves(
            {"DFC's critic on all rows": {"accuracy": critic}}, steps, xlabel="step", ylabels=["accuracy"],
            levels={"DFC's critic on all rows": {"chance": 0.5}},
        ),
        folder, "analyses-critic.svg",
    )  # fmt: skip

    frozen = np.argmax(seen["DFC"][0].values["frozen"], axis=1)
    union = analysis.matched_union(frozen, plain.target, plain.groups, reduced.K)
    ways = {"best matching": union.best, "as numbered": union.chance, "worst matching": union.worst}
    matching = {name: reduced.scores(value, plain) for name, value in ways.items()} | {"DFC": found["DFC"]}
    report["matching"] = matching
    names = ["accuracy", "nmi", "balance"]
    series = {name: [one[what] for what in names] for name, one in matching.items()}
    save(
        figures.histogram(series, names, ylabel="score", title="Groups clustered apart, then matched"),
        folder, "analyses-matching.svg",
    )  # fmt: skip

    first = [int(np.flatnonzero((plain.target == digit) & (plain.groups == 0))[0]) for digit in range(10)]
    other = [int(np.flatnonzero((plain.target == digit) & (plain.groups == 1))[0]) for digit in range(10)]
    shown = {}
    for source, some in (("original", first), ("reversed", other)):
        drawn = analysis.switched(settings["FCMI"].network, results["FCMI"].clusterer, signed.X[np.array(some)], 2)
        images = (np.asarray(drawn) + 1) / 2
        shown[f"{source}, input"] = plain.X[some].reshape(-1, 8, 8)
        for branch, by in zip(sources, images, strict=True):
            shown[f"{source}, by branch “{branch}”"] = by.reshape(-1, 8, 8)
    save(figures.images(shown, title="FCMI: rows through the decoder of either group"), folder, "analyses-decoders.png")

    epochs = [one.step / 28 for one in snapshots]
    information = {
        "I(X; C), raised": [float(one.values["information"]["points"]) for one in snapshots],
        "I(G; C), lowered": [float(one.values["information"]["groups"]) for one in snapshots],
    }
    report["information"] = {"epochs": rounded(epochs)} | {
        name: rounded(values) for name, values in information.items()
    }
    panels = {name: {"FCMI": values} for name, values in information.items()}
    levels = {"I(X; C), raised": {"log K, the most": float(np.log(reduced.K))}}
    save(
        figures.curves(panels, epochs, xlabel="epoch", ylabels=["nats", "nats"], levels=levels),
        folder, "analyses-information.svg",
    )  # fmt: skip

    lines = {
        name: analysis.fwd_by_clusters(jax.random.key(1), jnp.asarray(z), jnp.asarray(plain.groups), NUMBERS)
        for name, z in latent.items()
    }
    report["fwd"] = {"clusters": list(NUMBERS)} | {name: rounded(values) for name, values in lines.items()}
    save(
        figures.curves(
            {"k-means on each method's latent rows": lines}, NUMBERS, xlabel="clusters K", ylabels=["FWD (0 is fair)"],
        ),
        folder, "analyses-fwd.svg",
    )  # fmt: skip

    worst = {name: analysis.unfairest_cluster(own, plain.groups) for name, own in labels.items()}
    report["unfairest"] = {
        name: {"size": one.size, "shares": rounded(one.shares), "distance": round(one.distance, 4)}
        for name, one in worst.items()
    }
    save(figures.unfairest(worst, sources), folder, "analyses-unfairest.svg")
    return report


def pick(count: int, quick: bool) -> list[int]:
    """Snapshots to show: end of the warm-up, ten epochs later, the end."""
    return sorted({count // 2, count - 1}) if quick else [19, 29, count - 1]


def swept(name: str, setting: str, values: tuple[float, ...], n_seeds: int) -> Any:
    """Section that sweeps one weight of a method over values and seeds, all in one `vmap`."""

    def section(folder: Path, quick: bool) -> dict[str, Any]:
        config, data = reduced.configs(quick)[name], digits(signed=name == "FCMI")
        if name == "DFC" and not quick:
            config = dataclasses.replace(
                config, pretrain_steps=1000, group_pretrain_steps=600, group_steps=300, steps=1500
            )
        keys = jax.random.split(jax.random.key(0), n_seeds)
        labels = analysis.sweep(keys, prepare(data.X, data.groups), config, setting, values)
        each = [[reduced.scores(one, data) for one in seeds] for seeds in labels]
        what = ("accuracy", "nmi", "balance", "fwd")
        table = {score: np.array([[one[score] for one in seeds] for seeds in each]) for score in what}
        print(name, setting, {score: rounded(table[score].mean(1)) for score in what}, flush=True)
        panels = {
            "agreement with the classes": {score: table[score] for score in ("accuracy", "nmi")},
            "fairness": {score: table[score] for score in ("balance", "fwd")},
        }
        figure = figures.curves(panels, values, xlabel=setting, ylabels=["score", "score"], log=True, title=name)
        save(figure, folder, f"analyses-{sweep_name(name, setting)}.svg")
        return {"method": name, "setting": setting, "values": list(values), "seeds": n_seeds} | {
            score: rounded(table[score]) for score in what
        }

    return section


def sweep_name(name: str, setting: str) -> str:
    return f"sweep-{name.lower()}-{setting.replace('_', '-')}"


SWEEPS = (
    ("FCMI", "group_weight", (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), 3),
    ("FCMI", "consistency", (0.0, 0.01, 0.05, 0.2, 0.5), 3),
    ("DFC", "lr", (1e-4, 1e-3, 1e-2, 1e-1), 2),
    ("DFC", "alpha_f", (0.0, 0.1, 1.0, 10.0, 100.0), 2),
    ("DFC", "alpha_s", (0.0, 0.001, 0.01, 0.1, 1.0), 2),
)
SECTIONS = {"training": training} | {
    sweep_name(name, setting): swept(name, setting, *rest) for name, setting, *rest in SWEEPS
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=[*SECTIONS, "sweeps", "all"])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.gettempdir()) if options.quick else measure.RESULTS
    several = {"all": list(SECTIONS), "sweeps": [name for name in SECTIONS if name.startswith("sweep-")]}
    for name in several.get(options.section, [options.section]):
        found = SECTIONS[name](folder, options.quick)
        command = f"python benchmarks/analyses.py {name}{' --quick' if options.quick else ''}"
        print(measure.write(name, command, found, folder, family="analyses"))


if __name__ == "__main__":
    main()
