"""Why some seeds of FCMI end worse than others, at reduced size: which classes share a cluster, since when, and which
score without labels tells.

Ten seeds, 1,000 images each of MNIST and USPS, plain networks, 60 epochs. All seeds are trained at once, and measured
after every epoch. Of each score without labels the record has the rank correlation with the accuracy at the end, at
several times of the training. ``FAIRJAX_DATA`` names the folder of files.

And the same question for the score by which `DeepFCA(restarts=...)` chooses, on seeds of `DeepFCA` with smoothness.
"""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from benchmarks.deep import screening
from benchmarks.deep.rounding import rounded
from benchmarks.running import Run
from fairjax import datasets, metrics
from fairjax.deep import analysis, fcmi, prepare, restarts
from fairjax.deep.nets import embed
from fairjax.deep.training import Data, Position, TrainState, steps_per_epoch

K = 10
TRACED = ("information", "spread within clusters")  # over the epochs
SCORES = ("information", "group information", "hardness", "evenness", "spread within clusters", "reconstruction")


def measures(config: fcmi.FCMIConfig, data: Data) -> Any:
    """Labels and scores of a state, for all seeds at once."""
    information = analysis.informations(config, data)

    def one(state: TrainState) -> dict[str, Any]:
        z = embed(config.network, state.params["net"], state.rest, data.x)
        z /= jnp.maximum(jnp.linalg.norm(z, axis=1, keepdims=True), 1e-12)
        c = jax.nn.softmax(z @ state.extra["centers"].T / state.hyper["tau"], axis=1)
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


def watched(run: Run) -> dict[str, Any]:
    quick, rows = run.quick, screening.load("mnist-usps")
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


def told(rows: datasets.Dataset, seen: list[dict[str, Any]], epochs: list[int]) -> dict[str, Any]:
    """The record."""
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
    about = {"rows": len(rows.X), "epochs": epochs[-1], "seeds": seeds, "rank_correlation_with_accuracy": correlations}
    traced = {name: rounded(np.transpose([one[name] for one in seen])) for name in TRACED}
    return about | {"accuracy": {"epochs": epochs, "by_seed": rounded(accuracy.T)}, "by_seed": traced}


def chosen(run: Run) -> dict[str, Any]:
    """Score and accuracy of DeepFCA's seeds, and what the score's choice among every four of them gains."""
    trial = screening.TRIALS["vat on deepfca"]
    quick, rows = run.quick, screening.load(run.section.removeprefix("restarts-"))
    module, config = screening.configured(trial, rows, quick)
    n_seeds, of = (3, 2) if quick else (10, 4)
    ready = config.completed(prepare(rows.X, rows.groups))
    result = module.run(jax.random.split(jax.random.key(0), n_seeds), ready, config)
    score = restarts.scores(result, config, ready)
    smooth = result.history["fair targets: smoothness"]
    epoch = steps_per_epoch(len(rows.X), config.batch_size)
    rough = smooth[:, -epoch:].mean(axis=1) / float(np.asarray(config.vat_weight))
    told = [screening.scores(np.asarray(labels), rows) for labels in result.labels]
    accuracy = np.array([one["accuracy"] for one in told])
    parts = {"score": score, "information": score + rough, "smoothness": -rough}
    kept = [max(some, key=lambda seed: score[seed]) for some in itertools.combinations(range(n_seeds), of)]
    best = [max(accuracy[list(some)]) for some in itertools.combinations(range(n_seeds), of)]
    found = {
        "rows": len(rows.X),
        "changes": trial.changes,
        "seeds": [
            {name: one[name] for name in ("accuracy", "balance", "accuracy_of_groups")}
            | {name: round(float(values[seed]), 4) for name, values in parts.items()}
            for seed, one in enumerate(told)
        ],
        "rank_correlation_with_accuracy": {
            name: round(float(spearmanr(values, accuracy).statistic), 3) for name, values in parts.items()
        },
        "mean_accuracy": {
            "one seed": round(float(accuracy.mean()), 4),
            f"chosen of {of}": round(float(accuracy[kept].mean()), 4),
            f"best of {of}": round(float(np.mean(best)), 4),
        },
    }
    print(found["rank_correlation_with_accuracy"], found["mean_accuracy"], flush=True)
    return found


SECTIONS = {"mnist-usps": watched, **dict.fromkeys(("restarts-mnist-usps", "restarts-half-reversed-digits"), chosen)}
