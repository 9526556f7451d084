"""Measurements of the deep methods; each section writes one JSON file to ``benchmarks/results``.

    python benchmarks/deep.py protocols    every method on the bundled digits, several seeds in one vmap

``--quick`` takes few steps, to see that everything runs. Real data are in ``deep_real.py``, single steps in
``deep_step.py``.
"""

import argparse
import json
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import measure
import numpy as np

from fairjax import datasets, metrics
from fairjax.deep import Network, aekmeans, dec, deepfca, dfc, fairoid, fcmi, prepare
from fairjax.deep.method import assign

K = 10


def scores(labels: Any, data: datasets.Dataset) -> list[dict[str, float]]:
    """Agreement and fairness of each seed's labels (S, N)."""
    return [
        {
            "accuracy": float(metrics.accuracy(one, data.target)),
            "nmi": float(metrics.nmi(one, data.target)),
            "balance": float(metrics.balance(one, data.groups)),
            "mnce": float(metrics.mnce(one, data.groups)),
            "fwd": float(metrics.fwd(one, data.groups)),
            "entropy": float(jnp.mean(metrics.entropy(one, data.groups))),
        }
        for one in np.asarray(labels)
    ]


def summary(seeds: list[dict[str, float]]) -> dict[str, Any]:
    return {
        name: {
            "mean": round(float(np.mean([seed[name] for seed in seeds])), 4),
            "least": round(min(seed[name] for seed in seeds), 4),
            "greatest": round(max(seed[name] for seed in seeds), 4),
        }
        for name in seeds[0]
    }


def run(module: Any, config: Any, data: datasets.Dataset, n_seeds: int) -> dict[str, Any]:
    """Train all seeds at once, twice: the second time without compiling."""
    keys, rows, seconds = jax.random.split(jax.random.key(0), n_seeds), prepare(data.X, data.groups), []
    for _ in range(2):
        began = time.perf_counter()
        result = module.run(keys, rows, config)
        jax.block_until_ready(result.labels)
        seconds.append(round(time.perf_counter() - began, 2))
    return {
        "seeds": n_seeds,
        "steps": result.n_steps,
        "seconds_with_compilation": seconds[0],
        "seconds": seconds[-1],
        **summary(scores(result.labels, data)),
        **nearest(config, result, rows, data),
    }


def nearest(config: Any, result: Any, rows: Any, data: datasets.Dataset) -> dict[str, Any]:
    """Where labels are those of an assignment with prices: the figures of the nearest centre alone."""
    if not isinstance(config, deepfca.DeepFCAConfig):
        return {}
    labels = jax.vmap(lambda one: assign(config.soft, config.network, one, rows.x))(result.clusterer)
    return {"of_nearest_center": summary(scores(labels, data))}


def mlp(**options: Any) -> Network:
    return Network(kind="mlp", shape=(64,), n_latent=K, options=tuple(sorted(options.items())))


def protocols(quick: bool, only: str = "") -> dict[str, Any]:
    seeds, few = (2, 20) if quick else (4, None)
    plain: dict[str, Any] = {"network": mlp(output="sigmoid"), "n_clusters": K, "batch": 128}
    signed: dict[str, Any] = {"n_clusters": K, "batch": 128, "epochs": 60, "center_refresh": "warm"}
    if quick:
        signed |= {"epochs": 3, "warmup_epochs": 1}
    adam: dict[str, Any] = {"optimizer": "adam", "lr": 1e-3, "pretrain_steps": few or 1500}
    groups: dict[str, Any] = {
        "pretrain_steps": few or 1500, "group_pretrain_steps": few or 1000, "group_steps": few or 500,
        "group_lr": 1e-3, "steps": few or 4000, "sum_pixels": False, "pretrain_weight_decay": 0.0,
    }  # fmt: skip
    branches = mlp(n_groups=2, output="tanh", unit_norm=True)
    one = mlp(n_groups=1, output="tanh", unit_norm=True)
    epochs = 2 if quick else 60

    def fair(gamma: float) -> fairoid.FairoidConfig:
        return fairoid.FairoidConfig(**plain, **adam, epochs=epochs, gamma=gamma)

    targets: dict[str, Any] = {"network": branches, "n_clusters": K, "batch": 128, "epochs": 1 if quick else 40}
    alone: dict[str, Any] = targets | {"fair_targets": False, "pretrain_epochs": 1 if quick else 60}
    if quick:
        targets |= {"pretrain_epochs": 1}

    cases = {
        "ae, reversed": (aekmeans, aekmeans.AEKMeansConfig(**plain, steps=few or 1500), "reversed", False),
        "dec, reversed": (dec, dec.DECConfig(**plain, **adam, steps=few or 500, target="batch"), "reversed", False),
        "fcmi, reversed": (fcmi, fcmi.FCMIConfig(network=branches, **signed), "reversed", True),
        "fcmi, one branch, reversed": (fcmi, fcmi.FCMIConfig(network=one, **signed), "reversed", True),
        "fcmi, half reversed": (fcmi, fcmi.FCMIConfig(network=branches, **signed), "half_reversed", True),
        "deepfca, reversed": (deepfca, deepfca.DeepFCAConfig(**targets), "reversed", True),
        "deepfca, half reversed": (deepfca, deepfca.DeepFCAConfig(**targets), "half_reversed", True),
        "deepfca without fair targets, reversed": (deepfca, deepfca.DeepFCAConfig(**alone), "reversed", True),
        "deepfca without fair targets, half reversed": (deepfca, deepfca.DeepFCAConfig(**alone), "half_reversed", True),
        "dfc, reversed": (dfc, dfc.DFCConfig(**plain, **groups), "reversed", False),
        "fairoids gamma 0, bright": (fairoid, fair(0.0), "bright", False),
        "fairoids gamma 10, bright": (fairoid, fair(10.0), "bright", False),
    }
    found = {}
    for name, (module, config, variant, in_signed) in cases.items():
        if not name.startswith(only):
            continue
        data = datasets.load_reverse_digits(variant=variant, signed=in_signed, dtype=np.float32)
        found[name] = run(module, config, data, seeds)
        print(name, json.dumps(found[name]), flush=True)
    return {"methods": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=["protocols"])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="protocols whose name begins so; they get a file of their own")
    options = parser.parse_args()
    found = protocols(options.quick, options.only)
    if not options.quick:
        device = jax.devices()[0]
        section = f"protocols-{options.only}" if options.only else "protocols"
        about = {"device": f"{device.platform} {device.device_kind}", **found}
        measure.write(section, f"python benchmarks/deep.py {' '.join(sys.argv[1:])}", about, family="deep")


if __name__ == "__main__":
    main()
