"""Trials of the deep methods, many and small, before anything is run at full size: which changes gain?

Every trial has the same three seeds, so that it is compared with its baseline pair by pair: a change is worth keeping
if its mean gain is more than twice the standard error of the paired difference. Every trial is written into the record
as soon as it ends, those that lost or failed too. No training stops by labels, and no setting is chosen for one of the
data sets.
"""

import dataclasses
import json
from typing import Any

import jax
import numpy as np
from sklearn.cluster import KMeans

from benchmarks import measure
from benchmarks.deep import matched
from benchmarks.deep.reduced import detailed as scores
from benchmarks.running import Run
from fairjax import datasets, fair_assignment
from fairjax.deep import (
    Data,
    MatchedGroups,
    Network,
    deepfca,
    fairimsat,
    fcmi,
    imsat,
    log_assignment,
    match_groups,
    own_costs,
    prepare,
    restarts,
)
from fairjax.deep.methods.matching import misfits_of_halves
from fairjax.deep.nets import own_options

_SEEDS = (0, 1, 2)
_ROWS = 1000


@dataclasses.dataclass(frozen=True)
class Trial:
    """A method with changes to its settings, and the trial that it is compared with."""

    method: str
    baseline: str | None = None
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    started: bool = False  # from matched k-means of each group
    own: str = "shared"  # what of the encoder is each group's own
    auto: bool = False  # started only where groups differ no more than halves of one


_CLASSIFIERS = ("imsat", "fairimsat", "matched", "matched k-means")
_VAT = {"vat_weight": 0.1}

TRIALS = {
    "fcmi": Trial("fcmi"),
    "deepfca": Trial("deepfca", "fcmi"),
    "vat on deepfca": Trial("deepfca", "deepfca", _VAT),
    "vat on fcmi": Trial("fcmi", "fcmi", _VAT),
    "imsat": Trial("imsat", "fcmi"),
    "vat 1 on deepfca": Trial("deepfca", "deepfca", {"vat_weight": 1.0, "a_balance": 0.4, "a_onehot": 0.1}),
    "fair imsat": Trial("fairimsat", "deepfca"),
    "imsat in each group, matched": Trial("matched", "deepfca"),
    "k-means in each group, matched": Trial("matched k-means", "deepfca"),
    "fair imsat from matched k-means": Trial("fairimsat", "k-means in each group, matched", started=True),
    "the same with heavy targets": Trial(
        "fairimsat", "k-means in each group, matched", {"target_weight": 2.0}, started=True
    ),
    "slack": Trial("deepfca", "vat on deepfca", _VAT | {"target_slack": 0.75}),
    "soft targets": Trial("deepfca", "vat on deepfca", _VAT | {"targets": "soft"}),
    "margin": Trial("deepfca", "vat on deepfca", _VAT | {"target_margin": 0.1}),
    "slack, soft, margin": Trial(
        "deepfca", "vat on deepfca", _VAT | {"target_slack": 0.75, "targets": "soft", "target_margin": 0.1}
    ),
    "average": Trial("deepfca", "vat on deepfca", _VAT | {"average": 0.99}),
    "labels of imsat in each group": Trial("deepfca", "vat on deepfca", _VAT | {"consistency": 0.05}),
    "strong labels of imsat in each group": Trial("deepfca", "vat on deepfca", _VAT | {"consistency": 0.5}),
    "vat 0.03": Trial("deepfca", "vat on deepfca", {"vat_weight": 0.03}),
    "vat 0.3": Trial("deepfca", "vat on deepfca", {"vat_weight": 0.3}),
    "vat with heavy targets": Trial("deepfca", "vat on deepfca", _VAT | {"target_weight": 0.1}),
    "wide vat": Trial("deepfca", "vat on deepfca", _VAT | {"vat_radius": 0.5}),
    "best of four": Trial("deepfca", "vat on deepfca", _VAT | {"restarts": 4}),
    "matched start": Trial("deepfca", "vat on deepfca", _VAT, started=True),
    "matched start, targets 0.1": Trial("deepfca", "vat on deepfca", _VAT | {"target_weight": 0.1}, started=True),
    "matched start, slack": Trial("deepfca", "matched start", _VAT | {"target_slack": 0.75}, started=True),
    "matched start, targets 0.5": Trial("deepfca", "vat on deepfca", _VAT | {"target_weight": 0.5}, started=True),
    "auto start, slack": Trial("deepfca", "fcmi", _VAT | {"target_slack": 0.75}, started=True, auto=True),
    "own first layer": Trial("deepfca", "vat on deepfca", _VAT, own="layer"),
    "own normalisation": Trial("deepfca", "vat on deepfca", _VAT, own="norm"),
    "own first layer and normalisation": Trial("deepfca", "vat on deepfca", _VAT, own="both"),
    "matched start, own first layer": Trial("deepfca", "matched start", _VAT, started=True, own="layer"),
}


def load(data: str) -> datasets.Dataset:
    """Rows as vectors in [-1, 1]."""
    if data.endswith("digits"):
        variant: Any = "reversed" if data == "reverse-digits" else "half_reversed"
        return datasets.load_reverse_digits(variant=variant, signed=True, dtype=np.float32)
    read = datasets.load_mnist_usps if data == "mnist-usps" else datasets.load_reverse_mnist
    return read(size=28, signed=True, flatten=True, max_per_group=_ROWS)


def network(trial: Trial, size: int, n_groups: int) -> Network:
    """Plain networks, of a size that two cores carry."""
    small = size <= 64
    if trial.method in _CLASSIFIERS:
        hidden = (128, 128) if small else (200, 200)
        return Network(kind="classifier", shape=(size,), n_latent=10, options=(("hidden", hidden),))
    hidden = (128, 64) if small else (200, 64)
    options = {"hidden": hidden, "n_groups": n_groups, "output": "tanh", "unit_norm": True}
    options |= own_options(trial.own, n_groups)
    return Network(kind="mlp", shape=(size,), n_latent=10, options=tuple(options.items()))


def configured(trial: Trial, data: datasets.Dataset, quick: bool = False) -> tuple[Any, Any]:
    """Module and settings."""
    module, config = full_size(trial, data)
    if quick:
        few = {"epochs": 2, "pretrain_epochs": 1, "warmup_epochs": 1}
        config = dataclasses.replace(config, **{name: n for name, n in few.items() if hasattr(config, name)})
    return module, config


def full_size(trial: Trial, data: datasets.Dataset) -> tuple[Any, Any]:
    shared: dict[str, Any] = {"network": network(trial, data.X.shape[1], data.n_groups), "n_clusters": 10}
    if trial.method == "fairimsat":
        return fairimsat, fairimsat.FairIMSATConfig(**shared | {"epochs": 60} | trial.changes)
    if trial.method in _CLASSIFIERS:
        return imsat, imsat.IMSATConfig(**shared | {"epochs": 60} | trial.changes)
    if trial.method == "fcmi":
        settings: dict[str, Any] = {"batch_size": 128, "epochs": 60, "warmup_epochs": 20, "center_refresh": "warm"}
        return fcmi, fcmi.FCMIConfig(**shared | settings | trial.changes)
    settings = {"batch_size": 128, "pretrain_epochs": 20, "epochs": 40}
    return deepfca, deepfca.DeepFCAConfig(**shared | settings | trial.changes)


def by_kmeans(seed: int, data: datasets.Dataset) -> MatchedGroups:
    """k-means on each group's rows alone, matched by the distances between clusters."""
    labels = np.zeros(len(data.X), int)
    for group in range(data.n_groups):
        own = data.groups == group
        labels[own] = KMeans(10, n_init=10, random_state=10 * seed + group).fit_predict(data.X[own])
    return match_groups(data.X, labels, sensitive_features=data.groups, random_state=seed)


def without_training_together(
    seed: int, trial: Trial, data: datasets.Dataset, rows: Data, quick: bool
) -> dict[str, Any]:
    """Each group clustered alone; clusters matched by the distances between them; fair assignment."""
    if trial.method == "matched k-means":
        found = by_kmeans(seed, data)
        labels = fair_assignment(own_costs(data.X, found), data.groups).labels
        before, misfit = found.labels, found.misfits.max()
    else:
        result = matched.run(jax.random.key(seed), rows, configured(Trial("imsat"), data, quick)[1])
        labels, before, misfit = result.labels, result.before, result.misfits
    one = {"misfit": round(float(misfit), 4), "accuracy_before_fairness": scores(before, data)["accuracy"]}
    return scores(np.asarray(labels), data) | one


def run_seed(trial: Trial, seed: int, data: datasets.Dataset, rows: Data, quick: bool) -> dict[str, Any]:
    """Scores of one seed."""
    if trial.method in ("matched", "matched k-means"):
        return without_training_together(seed, trial, data, rows, quick)
    module, config = configured(trial, data, quick)
    if trial.changes.get("consistency"):
        q, _ = matched.soft_labels(jax.random.key(seed)[None], rows, configured(Trial("imsat"), data, quick)[1])
        rows = rows._replace(alone=jax.numpy.asarray(q[0].argmax(1), jax.numpy.int32))
    one: dict[str, Any] = {}
    started = trial.started
    if trial.auto:
        misfits = by_kmeans(seed, data).misfits.max(), misfits_of_halves(jax.random.key(seed), data.X, data.groups, 10)
        started = bool(misfits[0] <= misfits[1].mean())
        one = {
            "misfit": round(float(misfits[0]), 4),
            "misfits_of_halves": [round(float(each), 4) for each in misfits[1]],
        }
        one["started"] = started
    if started:
        rows = rows._replace(start=jax.numpy.asarray(by_kmeans(seed, data).labels))
    result = module.run(restarts.keys_of_starts(config, jax.random.key(seed)), rows, config)
    if config.starts > 1:
        one["accuracy_of_starts"] = [scores(np.asarray(labels), data)["accuracy"] for labels in result.labels]
        one["score_of_starts"] = [round(float(score), 4) for score in restarts.scores(result, config, rows)]
    result = restarts.kept(result, config, rows)
    nearest = np.argmax(log_assignment(config.soft, config.network, result.clusterer, rows.x, rows.groups), axis=1)
    one["without_group"] = {name: scores(nearest, data)[name] for name in ("accuracy", "balance")}
    one["last_terms"] = {name: round(float(np.mean(terms[-20:])), 4) for name, terms in result.history.items()}
    return scores(np.asarray(result.labels), data) | one


def run_trial(trial: Trial, data: datasets.Dataset, quick: bool) -> dict[str, Any]:
    """Scores of every seed."""
    _, config = configured(trial, data, quick)
    if trial.method.startswith("matched"):
        config = configured(TRIALS["fcmi"], data, quick)[1]  # which asks for nothing
    rows = config.completed(prepare(data.X, data.groups))
    seeds, seconds, processor_seconds = measure.clocked(
        lambda: [run_seed(trial, seed, data, rows, quick) for seed in _SEEDS]
    )
    return {
        "method": trial.method,
        "changes": trial.changes | ({} if trial.own == "shared" else {"group_encoder": trial.own}),
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor_seconds, 1),
        "seeds": seeds,
    }


def compared(found: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Mean gain of accuracy over the baseline, seed by seed, with its standard error."""
    gains = [own["accuracy"] - other["accuracy"] for own, other in zip(found["seeds"], before["seeds"], strict=True)]
    error = float(np.std(gains, ddof=1) / np.sqrt(len(gains)))
    mean = float(np.mean(gains))
    return {"mean": round(mean, 4), "standard_error": round(error, 4), "kept": mean > 2 * error}


def screened(run: Run) -> None:
    rows = load(run.section)
    trials = run.record().get("trials", {})
    for name in run.pieces(TRIALS, trials.__contains__):
        trial = TRIALS[name]
        try:
            found = run_trial(trial, rows, run.quick)
        except Exception as error:  # a trial that fails is a result too
            found = {"method": trial.method, "changes": trial.changes, "failed": f"{type(error).__name__}: {error}"}
        if "seeds" in found:
            for figure in ("accuracy", "nmi", "balance"):
                found[figure] = round(float(np.mean([seed[figure] for seed in found["seeds"]])), 4)
            baseline = trials.get(trial.baseline, {})
            if "seeds" in baseline:
                found["gain"] = {"over": trial.baseline, **compared(found, baseline)}
        print(name, json.dumps({key: value for key, value in found.items() if key != "seeds"}), flush=True)
        # read again, as another process may have written since
        trials |= run.record().get("trials", {})
        trials[name] = found
        run.write({"rows": len(rows.X), "groups": rows.n_groups, "seeds": list(_SEEDS), "trials": trials})


SECTIONS = dict.fromkeys(("reverse-digits", "half-reversed-digits", "mnist-usps", "reverse-mnist"), screened)
