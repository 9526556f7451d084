"""Measurements of the deep methods; each section writes one JSON file to ``benchmarks/results``.

    python benchmarks/deep.py protocols    every method on the bundled digits, several seeds in one vmap
    python benchmarks/deep.py steps        seconds per step of the full-size networks, compilation apart
    python benchmarks/deep.py images       FCMI on real digits and their reversals, reduced (about 20 minutes of CPU)
    python benchmarks/deep.py full         full protocols on Reverse MNIST and MNIST-USPS: for a GPU
    python benchmarks/deep.py all          the first three, one after the other

Real images are looked for where ``FAIRJAX_DATA`` says. ``--quick`` takes few steps, to see that everything runs.
"""

import argparse
import datetime
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import measure
import numpy as np

from fairjax import datasets, metrics
from fairjax.deep import Network, aekmeans, dec, deepfca, dfc, fairoid, fcmi, prepare
from fairjax.deep.method import assign
from fairjax.deep.trainer import begin, train_chunk

K = 10


def write(section: str, found: dict[str, Any]) -> Path:
    """Write one section's measurements with everything needed to repeat them."""
    measure.RESULTS.mkdir(parents=True, exist_ok=True)
    path = measure.RESULTS / f"deep-{section}.json"
    device = jax.devices()[0]
    record = {
        "benchmark": f"deep {section}",
        "command": f"python benchmarks/deep.py {' '.join(sys.argv[1:])}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": measure.machine(),
        "device": f"{device.platform} {device.device_kind}",
        "versions": measure.versions(),
        **found,
    }
    path.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path


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


def run(module: Any, config: Any, data: datasets.Dataset, n_seeds: int, **options: Any) -> dict[str, Any]:
    """Train all seeds at once, twice: the second time without compiling."""
    keys, rows, seconds = jax.random.split(jax.random.key(0), n_seeds), prepare(data.X, data.groups), []
    for _ in range(options.pop("times", 2)):
        began = time.perf_counter()
        result = module.run(keys, rows, config, **options)
        jax.block_until_ready(result.labels)
        seconds.append(round(time.perf_counter() - began, 2))
    return {
        "seeds": n_seeds,
        "steps": result.n_steps,
        "seconds_with_compilation": seconds[0],
        "seconds": seconds[-1] if len(seconds) > 1 else None,
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


def steps(quick: bool) -> dict[str, Any]:
    """Seconds per step on random rows: shapes decide, not values."""
    rng, length = np.random.default_rng(0), 2 if quick else 5
    batch = 32 if quick else 512

    def images(side: int) -> Any:
        return prepare(rng.random((2048, side, side, 1), dtype=np.float32), np.arange(2048) % 2)

    vectors = prepare(rng.random((2048, 561), dtype=np.float32), np.arange(2048) % 30)
    unit = (("output", "tanh"), ("unit_norm", True))
    conv = Network(kind="conv", shape=(28, 28, 1), n_latent=K, options=(("n_groups", 2), *unit))
    vae = Network(kind="vae", shape=(32, 32, 1), n_latent=64)

    def wide(n_groups: int) -> Network:
        return Network(kind="fc", shape=(561,), n_latent=6, options=(("n_groups", n_groups), *unit))

    cases = {
        f"FCMI, convolutional, {batch} rows": (fcmi.FCMIConfig(network=conv, n_clusters=K, batch=batch), images(28)),
        f"DFC joint stage, {batch} + {batch} rows": (
            dfc.DFCConfig(network=vae, n_clusters=K, batch=batch, alpha_s=0, n_init=1),
            images(32),
        ),
        f"FCMI, fully connected, 30 groups, {batch} rows": (
            fcmi.FCMIConfig(network=wide(30), n_clusters=6, batch=batch),
            vectors,
        ),
        f"FCMI, fully connected, one branch, {batch} rows": (
            fcmi.FCMIConfig(network=wide(1), n_clusters=6, batch=batch),
            vectors,
        ),
    }
    found = {}
    for name, (config, data) in cases.items():
        hyper, carry = {key: jnp.float32(value) for key, value in config.hyper().items()}, None
        for task in config.tasks(data):
            state = begin(task, jax.random.key(0), carry, hyper, data)
            carry = (state.params, state.rest, state.extra)
        first = jnp.int32(0)  # where the rows are shuffled: before, all rows of a batch are the same one
        began = time.perf_counter()
        program = train_chunk.lower(task, state, data, first, length=length).compile()
        compiling = time.perf_counter() - began
        seconds = []
        for _ in range(2 if quick else 4):
            began = time.perf_counter()
            state, _ = jax.block_until_ready(program(state, data, first))
            seconds.append((time.perf_counter() - began) / length)
        found[name] = {"compile_seconds": round(compiling, 2), "seconds_per_step": measure.spread(seconds[1:])}
        print(name, json.dumps(found[name]), flush=True)
    return {"cases": found}


def images(quick: bool) -> dict[str, Any]:
    size, epochs, batch = (200, 3, 64) if quick else (3000, 60, 256)
    data = datasets.load_reverse_mnist(size=28, signed=True, max_per_group=size)
    found = {}
    for name, n_groups in (("fcmi", 2), ("fcmi, one branch", 1)):
        options = (("n_groups", n_groups), ("output", "tanh"), ("unit_norm", True))
        network = Network(kind="conv", shape=(28, 28, 1), n_latent=K, options=options)
        config = fcmi.FCMIConfig(
            network=network, n_clusters=K, batch=batch, epochs=epochs, warmup_epochs=epochs // 3, center_refresh="warm"
        )
        found[name] = run(fcmi, config, data, 1, times=1, chunk_steps=23)
        print(name, json.dumps(found[name]), flush=True)
    return {"rows": size, "epochs": epochs, "methods": found}


def full(quick: bool) -> dict[str, Any]:
    """Full protocols of FCMI and DFC, five seeds each."""
    size, seeds = (300, 1) if quick else (None, 5)
    found = {}
    for set_name, load in (("mnist-usps", datasets.load_mnist_usps), ("reverse-mnist", datasets.load_reverse_mnist)):
        signed = load(size=28, signed=True, max_per_group=size)
        options = (("n_groups", 2), ("output", "tanh"), ("unit_norm", True))
        conv = Network(kind="conv", shape=(28, 28, 1), n_latent=K, options=options)
        short: dict[str, Any] = {"epochs": 3, "warmup_epochs": 1, "batch": 64} if quick else {}
        found[f"fcmi, {set_name}"] = run(
            fcmi, fcmi.FCMIConfig(network=conv, n_clusters=K, **short), signed, seeds, times=1
        )
        unsigned = load(size=32, max_per_group=size)
        vae = Network(kind="vae", shape=(32, 32, 1), n_latent=64)
        short = {"pretrain_steps": 4, "group_pretrain_steps": 4, "group_steps": 4, "steps": 4} if quick else {}
        config = dfc.DFCConfig(network=vae, n_clusters=K, batch=64 if quick else 512, **short)
        found[f"dfc, {set_name}"] = run(dfc, config, unsigned, seeds, times=1)
        print(json.dumps(found, indent=2), flush=True)
    return {"methods": found}


def main() -> None:
    sections = {"protocols": protocols, "steps": steps, "images": images, "full": full}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=[*sections, "all"])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="protocols whose name begins so; they get a file of their own")
    options = parser.parse_args()
    for name in ("protocols", "steps", "images") if options.section == "all" else (options.section,):
        only = options.only if name == "protocols" else ""
        found = protocols(options.quick, only) if only else sections[name](options.quick)
        if not options.quick:
            print(f"Wrote {write(f'{name}-{only}' if only else name, found)}.")


if __name__ == "__main__":
    main()
