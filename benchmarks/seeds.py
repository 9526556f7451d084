"""Why some seeds of FCMI end worse than others, at reduced size: which classes share a cluster, since when, and which
score without labels tells.

    python benchmarks/seeds.py            ten seeds, 1,000 images each of MNIST and USPS, plain networks, 60 epochs
    python benchmarks/seeds.py --quick    two seeds, few epochs, to the temporary folder, to see that it runs

All seeds are trained at once, and measured after every epoch. Of each score without labels the record has the rank
correlation with the accuracy at the end, at several times of the training. ``FAIRJAX_DATA`` names the folder of files.
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
import screening
from analyses import rounded, save
from scipy.stats import spearmanr

from fairjax import datasets, metrics
from fairjax.deep import analysis, fcmi, prepare
from fairjax.deep.analysis import figures
from fairjax.deep.methods.losses import cosine_log_assignment
from fairjax.deep.nets.blocks import unit_rows
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Data, steps_per_epoch
from fairjax.deep.training.tasks import TrainState
from fairjax.deep.training.trainer import Position

K = 10
SCORES = ("information", "group information", "hardness", "evenness", "spread within clusters", "reconstruction")


def measures(config: fcmi.FCMIConfig, data: Data) -> Any:
    """Labels and scores of a state, for all seeds at once."""
    information = analysis.informations(config, data)

    def one(state: TrainState) -> dict[str, Any]:
        z = unit_rows(embed(config.network, state.params["net"], state.rest, data.x))
        c = jnp.exp(cosine_log_assignment(z, state.extra["centers"], state.hyper["tau"]))
        shares, labels = jnp.mean(c, axis=0), jnp.argmax(c, axis=1)
        found, told = information(state), jnp.sum(jnp.var(z, axis=0))
        within = jnp.mean(jnp.sum((z - state.extra["centers"][labels]) ** 2, axis=1))
        return {
            "labels": labels,
            "information": found["points"],
            "group information": found["groups"],
            "hardness": jnp.mean(jnp.sum(c * jnp.log(c + 1e-8), axis=1)),
            "evenness": -jnp.sum(shares * jnp.log(shares + 1e-12)),
            "spread within clusters": within / told,
        }

    return jax.jit(jax.vmap(one))


def sharing(labels: Any, classes: Any) -> list[tuple[int, int]]:
    """Pairs of classes most of whose rows are in one and the same cluster."""
    table = np.zeros((K, K))
    np.add.at(table, (np.asarray(classes), np.asarray(labels)), 1)
    main = table.argmax(1)
    return [(a, b) for a in range(K) for b in range(a + 1, K) if main[a] == main[b]]


def story(labels: Any, classes: Any, epochs: list[int]) -> list[dict[str, Any]]:
    """Classes that share a cluster at the end, and the epoch since which they always have."""
    pairs = [set(sharing(one, classes)) for one in labels]
    found = []
    for pair in sorted(pairs[-1]):
        since = next(i for i in range(len(pairs)) if all(pair in later for later in pairs[i:]))
        found.append({"classes": list(pair), "since_epoch": epochs[since]})
    return found


def run(quick: bool) -> tuple[dict[str, Any], Any]:
    rows = screening.load("mnist-usps")
    config = screening.configured(screening.TRIALS["fcmi"], rows)[1]
    if quick:
        config = dataclasses.replace(config, epochs=4, warmup_epochs=2)
    data, n_seeds = prepare(rows.X, rows.groups), 2 if quick else 10
    epoch, look = steps_per_epoch(len(rows.X), config.batch_size), measures(config, data)
    keys = jax.vmap(jax.random.key)(jnp.arange(n_seeds))
    seen: list[dict[str, Any]] = []

    def after_chunk(position: Position) -> None:
        if position.step > config.warmup_epochs * epoch:
            terms = position.histories[-1]["reconstruction"][:, -epoch:].mean(1)
            seen.append(jax.tree.map(np.asarray, look(position.state)) | {"reconstruction": terms})

    fcmi.run(keys, data, config, chunk_steps=epoch, after_chunk=after_chunk)
    epochs = list(range(config.warmup_epochs + 1, config.epochs + 1))
    assert len(seen) == len(epochs)
    return told(rows, seen, epochs)


def told(rows: datasets.Dataset, seen: list[dict[str, Any]], epochs: list[int]) -> tuple[dict[str, Any], Any]:
    """The record and its picture."""
    accuracy = np.array([[float(metrics.accuracy(own, rows.target)) for own in one["labels"]] for one in seen])
    last = accuracy[-1]
    seeds = []
    for seed in np.argsort(-last):
        labels = [one["labels"][seed] for one in seen]
        scores = screening.scores(labels[-1], rows)
        seeds.append(
            {"seed": int(seed)}
            | {name: scores[name] for name in ("accuracy", "balance", "accuracy_of_groups", "worst_pair")}
            | {"sharing": story(labels, rows.target, epochs)}
            | {name: round(float(seen[-1][name][seed]), 4) for name in SCORES}
        )
        print(seeds[-1], flush=True)
    times = {f"epoch {epochs[i]}": i for i in (0, len(epochs) // 4, len(epochs) // 2, len(epochs) - 1)}
    correlations = {
        name: {when: round(float(spearmanr(seen[i][name], last).statistic), 3) for when, i in times.items()}
        for name in SCORES
    }
    correlations["accuracy"] = {
        when: round(float(spearmanr(accuracy[i], last).statistic), 3) for when, i in times.items()
    }
    print(correlations, flush=True)
    order = np.argsort(-last)
    groups = {"best three": order[:3], "worst three": order[-3:]}
    panels = {"accuracy": {name: accuracy[:, which] for name, which in groups.items()}}
    for name in ("information", "spread within clusters"):
        values = np.array([one[name] for one in seen])
        panels[name] = {label: values[:, which] for label, which in groups.items()}
    picture = figures.curves(panels, epochs, xlabel="epoch", title="FCMI's seeds: mean and range of three")
    about = {"rows": len(rows.X), "epochs": epochs[-1], "seeds": seeds, "rank_correlation_with_accuracy": correlations}
    return about | {"accuracy": {"epochs": epochs, "by_seed": rounded(accuracy.T)}}, picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    folder = Path(tempfile.gettempdir()) if quick else measure.RESULTS
    found, picture = run(quick)
    save(picture, folder, "seeds-mnist-usps.svg")
    command = f"python benchmarks/seeds.py{' --quick' if quick else ''}"
    print(measure.write("mnist-usps", command, found, folder, family="seeds"))


if __name__ == "__main__":
    main()
