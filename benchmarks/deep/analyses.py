"""The papers' in-depth analyses at reduced size, on the bundled digits and their reversals.

``training`` has t-SNE, probe, critic, label matching, decoders, information, FWD and clusters; the sweeps set weights
of fairness and structure against what comes out. ``python -m benchmarks figures`` draws the pictures of the records.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.deep import reduced
from benchmarks.deep.rounding import placed, rounded
from benchmarks.running import Run
from fairjax import datasets
from fairjax.deep import analysis, prepare

SOURCES = ["original", "reversed"]
EPOCH = 28  # steps
SHOWN = 1200  # rows of a t-SNE picture
NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20)


def digits(signed: bool) -> datasets.Dataset:
    return datasets.load_reverse_digits(signed=signed, dtype=np.float32)


class Trained(NamedTuple):
    """One seed of every method: data as in [0, 1] and in [-1, 1], what was watched, and what came out, by method."""

    plain: datasets.Dataset
    signed: datasets.Dataset
    settings: dict[str, Any]
    seen: dict[str, list[analysis.Snapshot]]
    results: dict[str, Any]

    @property
    def latent(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(snapshots[-1].values["z"]) for name, snapshots in self.seen.items()}

    @property
    def labels(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(result.labels) for name, result in self.results.items()}


def trained(quick: bool) -> Trained:
    found = Trained(digits(False), digits(True), reduced.configs(quick), {}, {})
    rows = {False: prepare(found.plain.X, found.plain.groups), True: prepare(found.signed.X, found.signed.groups)}
    for name, config in found.settings.items():
        data = rows[name in ("FCMI", "DeepFCA")]
        measures, every = {"z": analysis.latent_rows(config, data)}, EPOCH
        if name == "FCMI":
            measures["information"] = analysis.informations(config, data)
        if name == "DFC":
            measures |= {
                "critic": analysis.critic_accuracy(config, data), "frozen": lambda state: state.extra["frozen"],
            }  # fmt: skip
            every = 5 if quick else 50
        found.results[name], found.seen[name] = analysis.watch(jax.random.key(0), data, config, measures, every=every)
    return found


def training(run: Run) -> dict[str, Any]:
    found = trained(run.quick)
    plain, latent, labels = found.plain, found.latent, found.labels
    scores = {name: reduced.scores(own, plain) for name, own in labels.items()}
    probes = {
        name: analysis.group_probe(z, plain.groups).accuracy for name, z in (latent | {"pixels": plain.X}).items()
    }
    frozen = np.argmax(found.seen["DFC"][0].values["frozen"], axis=1)
    union = analysis.matched_union(frozen, plain.target, plain.groups, reduced.K)
    ways = {"best matching": union.best, "as numbered": union.chance, "worst matching": union.worst}
    told = [one.values["information"] for one in found.seen["FCMI"]]
    lines = {
        name: analysis.fwd_by_clusters(jax.random.key(1), jnp.asarray(z), jnp.asarray(plain.groups), NUMBERS)
        for name, z in latent.items()
    }
    worst = {name: analysis.unfairest_cluster(own, plain.groups) for name, own in labels.items()}
    return {
        "seed": 0,
        "scores": scores,
        "probe": {name: round(value, 4) for name, value in probes.items()},
        "critic": {
            "steps": [one.step for one in found.seen["DFC"]],
            "accuracy": rounded([one.values["critic"] for one in found.seen["DFC"]]),
        },
        "matching": {name: reduced.scores(value, plain) for name, value in ways.items()} | {"DFC": scores["DFC"]},
        "information": {
            "epochs": rounded([one.step / EPOCH for one in found.seen["FCMI"]]),
            "I(X; C), raised": rounded([one["points"] for one in told]),
            "I(G; C), lowered": rounded([one["groups"] for one in told]),
        },
        "fwd": {"clusters": list(NUMBERS)} | {name: rounded(values) for name, values in lines.items()},
        "unfairest": {
            name: {
                "cluster": one.cluster,
                "size": one.size,
                "shares": rounded(one.shares),
                "overall": rounded(one.overall),
                "distance": round(one.distance, 4),
            }
            for name, one in worst.items()
        },
        "tsne": tsne(found, run.quick),
        "decoders": decoders(found),
    }


def tsne(found: Trained, quick: bool) -> dict[str, Any]:
    """Latent rows of AE + k-means on a plane, and of FCMI at three times of its training."""
    chosen = np.random.default_rng(0).choice(len(found.plain.X), SHOWN, replace=False)
    snapshots = found.seen["FCMI"]
    times = {f"FCMI, epoch {one.step // EPOCH}": one for one in (snapshots[i] for i in pick(len(snapshots), quick))}
    places, start = {"AE + k-means": analysis.tsne(found.latent["AE + k-means"][chosen])}, None
    for name, one in times.items():
        places[name] = start = analysis.tsne(one.values["z"][chosen], start=start)
    return {
        "class": found.plain.target[chosen].tolist(),
        "group": found.plain.groups[chosen].tolist(),
        "places": {name: placed(points) for name, points in places.items()},
    }


def decoders(found: Trained) -> dict[str, Any]:
    """A digit of each class and group through FCMI's decoder of either group: rows of 64 values in [0, 1]."""
    plain, shown = found.plain, {}
    for group, source in enumerate(SOURCES):
        some = [np.flatnonzero((plain.target == digit) & (plain.groups == group))[0] for digit in range(10)]
        drawn = analysis.switched(
            found.settings["FCMI"].network, found.results["FCMI"].clusterer, found.signed.X[np.array(some)], 2
        )
        shown[f"{source}, input"] = plain.X[some]
        for branch, by in zip(SOURCES, (np.asarray(drawn) + 1) / 2, strict=True):
            shown[f"{source}, by branch “{branch}”"] = by
    return {name: rounded(np.reshape(rows, (-1, 64)), 2) for name, rows in shown.items()}


def pick(count: int, quick: bool) -> list[int]:
    """Snapshots to show: end of the warm-up, ten epochs later, the end."""
    return sorted({count // 2, count - 1}) if quick else [19, 29, count - 1]


def swept(name: str, setting: str, values: tuple[float, ...], n_seeds: int) -> Any:
    """Section that sweeps one weight of a method over values and seeds, all in one `vmap`."""

    def section(run: Run) -> dict[str, Any]:
        config, data = reduced.configs(run.quick)[name], digits(signed=name == "FCMI")
        if name == "DFC" and not run.quick:
            config = dataclasses.replace(
                config, pretrain_steps=1000, group_pretrain_steps=600, group_steps=300, steps=1500
            )
        keys = jax.random.split(jax.random.key(0), n_seeds)
        labels = analysis.sweep(keys, prepare(data.X, data.groups), config, setting, values)
        each = [[reduced.scores(one, data) for one in seeds] for seeds in labels]
        what = ("accuracy", "nmi", "balance", "fwd")
        table = {score: np.array([[one[score] for one in seeds] for seeds in each]) for score in what}
        print(name, setting, {score: rounded(table[score].mean(1)) for score in what}, flush=True)
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
