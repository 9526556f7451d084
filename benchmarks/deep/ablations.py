"""More of the papers' figures at reduced size: ablations, grids of weights, centres among the rows.

    fcmi-losses          FCMI without either of its losses: Table 2, and Figure 6's curves
    fcmi-grid            FCMI over both weights: Figure 5
    fairoids             centres and fairoids among the rows: Figures 3 to 5
    fairoids-clusters    fairoids trained anew for each number of clusters: Figure 6
    fairoids-adult       fairness over its weight, 0.01 to 1000, on Adult: Figure 7
    dfc-structure        DFC with and without preserved structure: Figures 4 and 6

Data are the bundled digits: all beside their reversals (fcmi-losses, dfc-*), half of them reversed (fcmi-grid) or
brighter (fairoids). Adult is read from the folder that ``FAIRJAX_DATA`` names. ``python -m benchmarks figures`` draws
the pictures of the records.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.deep import reduced
from benchmarks.deep.rounding import placed, rounded
from benchmarks.running import Run
from fairjax import datasets
from fairjax.deep import Network, analysis, dec, fairoid, prepare

SHOWN = 900  # rows of a t-SNE picture
WHAT = ("accuracy", "nmi", "balance", "mnce")


def means(labels: Any, data: datasets.Dataset) -> dict[str, float]:
    """Scores over the seeds of one variant."""
    each = [reduced.scores(one, data) for one in labels]
    return {name: round(float(np.mean([one[name] for one in each])), 4) for name in (*WHAT, "fwd")}


def fcmi_losses(run: Run) -> dict[str, Any]:
    data = datasets.load_reverse_digits(variant="reversed", signed=True, dtype=np.float32)
    rows, config, n_seeds = prepare(data.X, data.groups), reduced.configs(run.quick)["FCMI"], 1 if run.quick else 3
    ways = {"full": (0.04, 0.2), "without L_fair": (0.04, 0.0), "without L_clu": (0.0, 0.2), "without both": (0.0, 0.0)}
    settings = {
        "a_balance": [a for a, _ in ways.values()],
        "a_onehot": [a for a, _ in ways.values()],
        "group_weight": [b for _, b in ways.values()],
    }
    keys, many = analysis.variants(jax.random.split(jax.random.key(0), n_seeds), config, settings)
    measures = {"information": analysis.informations(many, rows)}
    result, seen = analysis.watch(keys, rows, many, measures, every=28)
    labels = np.asarray(result.labels).reshape(len(ways), n_seeds, -1)
    found = {name: means(own, data) for name, own in zip(ways, labels, strict=True)}
    curves = {
        what: {
            name: np.array([one.values["information"][part] for one in seen]).reshape(-1, len(ways), n_seeds)[:, i]
            for i, name in enumerate(ways)
        }
        for what, part in (("I(X; C)", "points"), ("I(G; C)", "groups"))
    }
    epochs = [one.step / 28 for one in seen]
    return {
        "seeds": n_seeds, "variants": found, "epochs": rounded(epochs),
        "curves": {what: {name: rounded(y) for name, y in own.items()} for what, own in curves.items()},
    }  # fmt: skip


def fcmi_grid(run: Run) -> dict[str, Any]:
    data = datasets.load_reverse_digits(variant="half_reversed", signed=True, dtype=np.float32)
    rows, config = prepare(data.X, data.groups), reduced.configs(run.quick)["FCMI"]
    weights, fair = ((0.01, 0.04), (0.0, 0.2)) if run.quick else ((0.01, 0.02, 0.04, 0.08), (0.0, 0.1, 0.2, 0.4))
    pairs = [(a, b) for a in weights for b in fair]
    settings = {
        "a_balance": [a for a, _ in pairs], "a_onehot": [a for a, _ in pairs], "group_weight": [b for _, b in pairs],
    }  # fmt: skip
    n_seeds = 1 if run.quick else 2
    keys, many = analysis.variants(jax.random.split(jax.random.key(0), n_seeds), config, settings)
    labels = np.asarray(analysis.watch(keys, rows, many, {}, every=14)[0].labels).reshape(len(pairs), n_seeds, -1)
    found = [means(own, data) for own in labels]
    tables = {name: np.array([one[name] for one in found]).reshape(len(weights), -1) for name in WHAT}
    return {
        "seeds": n_seeds, "a_balance and a_onehot": list(weights), "group_weight": list(fair),
        **{name: rounded(table) for name, table in tables.items()},
    }  # fmt: skip


def bright(quick: bool, **changes: Any) -> tuple[datasets.Dataset, Any, fairoid.FairoidConfig]:
    """The protocol on which fairoids work: digits, half of them brighter."""
    data = datasets.load_reverse_digits(variant="bright", dtype=np.float32)
    settings: dict[str, Any] = {
        "network": reduced.mlp(output="sigmoid"), "n_clusters": reduced.K, "batch_size": 128, "optimizer": "adam",
        "lr": 1e-3, "gamma": 10.0, "pretrain_steps": 20 if quick else 1500, "epochs": 2 if quick else 60,
    }  # fmt: skip
    return data, prepare(data.X, data.groups), fairoid.FairoidConfig(**settings | changes)


def means_of_groups(z: Any, rows: Any) -> Any:
    """Mean latent row of each group."""
    own = jax.nn.one_hot(rows.groups, rows.n_groups, axis=0)
    return own @ z / own.sum(1, keepdims=True)


def fairoids(run: Run) -> dict[str, Any]:
    data, rows, config = bright(run.quick)
    measures = {
        "z": analysis.latent_rows(config, rows),
        "centers": lambda state: state.params["centers"],
        "fairoids": lambda state: means_of_groups(analysis.latent_rows(config, rows)(state), rows),
    }  # fmt: skip
    result, seen = analysis.watch(jax.random.key(0), rows, config, measures, every=14)
    chosen = np.random.default_rng(0).choice(len(data.X), SHOWN, replace=False)
    places: dict[str, Any] = {"rows": {}, "centers": {}, "fairoids": {}}
    start = None
    for i in sorted({0, min(9, len(seen) - 1), len(seen) - 1}):
        one, title = seen[i].values, f"epoch {seen[i].step // 14}"
        start = analysis.tsne(np.concatenate([one["z"][chosen], one["centers"], one["fairoids"]]), start=start)
        for name, part in zip(places, np.split(start, [SHOWN, SHOWN + reduced.K]), strict=True):
            places[name][title] = placed(part)
    distances = [
        np.linalg.norm(one.values["centers"][:, None] - one.values["fairoids"], axis=2) for one in seen
    ]  # fmt: skip
    uneven = [float(np.mean(np.abs(own[:, 0] - own[:, 1]) / own.sum(1))) for own in distances]
    return {
        "scores": reduced.scores(result.labels, data),
        "epochs": [one.step // 14 for one in seen],
        "unevenness_of_distances": rounded(uneven),
        "tsne": shown(data, chosen) | {"places": places},
    }


def shown(data: datasets.Dataset, chosen: Any) -> dict[str, Any]:
    """Class and group of the rows of a picture."""
    return {"class": data.target[chosen].tolist(), "group": data.groups[chosen].tolist()}


def fairoids_clusters(run: Run) -> dict[str, Any]:
    numbers, lines = (2, 4) if run.quick else (2, 5, 10, 15, 20), {"fairoids": [], "DEC": []}
    for number in numbers:
        # the latent dimension is the number of clusters, as in the paper
        network = Network(kind="mlp", shape=(64,), n_latent=number, options=(("output", "sigmoid"),))
        data, rows, config = bright(run.quick, n_clusters=number, network=network)
        shared = {name: getattr(config, name) for name in ("batch_size", "optimizer", "lr", "pretrain_steps")}
        other = dec.DECConfig(number, network=network, steps=2 if run.quick else 500, target="batch", **shared)
        keys = jax.random.split(jax.random.key(0), 1 if run.quick else 2)
        for name, module, settings in (("fairoids", fairoid, config), ("DEC", dec, other)):
            labels = module.run(keys, rows, settings).labels
            lines[name].append([reduced.scores(one, data)["fwd"] for one in labels])
        print(number, {name: values[-1] for name, values in lines.items()}, flush=True)
    return {"clusters": list(numbers), "fwd": {name: rounded(values) for name, values in lines.items()}}


def fairoids_adult(run: Run) -> dict[str, Any]:
    data = datasets.load_adult(dtype=np.float32)
    some = np.random.default_rng(0).choice(len(data.X), 500 if run.quick else 8000, replace=False)
    rows = prepare(data.X[some], data.groups[some])
    network = Network(kind="mlp", shape=data.X.shape[1:], n_latent=2, options=(("hidden", (32, 16)),))
    config = fairoid.FairoidConfig(
        2, network=network, batch_size=256, pretrain_steps=20 if run.quick else 1000, epochs=1 if run.quick else 20,
        optimizer="adam", lr=1e-3,
    )  # fmt: skip
    values = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
    keys = jax.random.split(jax.random.key(0), 1 if run.quick else 3)
    labels = analysis.sweep(keys, rows, config, "gamma", values)
    subset = dataclasses.replace(data, X=data.X[some], groups=data.groups[some], target=data.target[some])
    each = [[reduced.scores(one, subset) for one in seeds] for seeds in labels]
    tables = {
        name: np.array([[one[name] for one in seeds] for seeds in each]) for name in ("accuracy", "balance", "fwd")
    }
    return {"rows": len(some), "gamma": list(values)} | {name: rounded(table) for name, table in tables.items()}


def dfc_structure(run: Run) -> dict[str, Any]:
    data = datasets.load_reverse_digits(dtype=np.float32)
    rows, config = prepare(data.X, data.groups), reduced.configs(run.quick)["DFC"]
    if not run.quick:
        config = dataclasses.replace(config, pretrain_steps=1000, group_pretrain_steps=600, group_steps=300, steps=1500)
    ways = {"DFC": 1.0, "without structure": 0.0}
    keys, many = analysis.variants(jax.random.key(0)[None], config, {"alpha_s": list(ways.values())})
    measures = {"z": analysis.latent_rows(many, rows), "centers": lambda state: state.params["centers"]}
    result, seen = analysis.watch(keys, rows, many, measures, every=500)
    chosen = np.random.default_rng(0).choice(len(data.X), SHOWN, replace=False)
    places: dict[str, Any] = {"rows": {}, "centers": {}}
    for i, name in enumerate(ways):
        last = seen[-1].values
        plane = analysis.tsne(np.concatenate([last["z"][i][chosen], last["centers"][i]]))
        places["rows"][name], places["centers"][name] = placed(plane[:SHOWN]), placed(plane[SHOWN:])
    scores = {name: reduced.scores(one, data) for name, one in zip(ways, jnp.asarray(result.labels), strict=True)}
    return {"scores": scores, "tsne": shown(data, chosen) | {"places": places}}


SECTIONS = {
    "fcmi-losses": fcmi_losses,
    "fcmi-grid": fcmi_grid,
    "fairoids": fairoids,
    "fairoids-clusters": fairoids_clusters,
    "fairoids-adult": fairoids_adult,
    "dfc-structure": dfc_structure,
}
