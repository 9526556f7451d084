"""Every deep method on the bundled digits, several seeds in one vmap.

Real data are in the case ``deep-real``, single steps in ``deep-step``.
"""

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.deep import reduced
from benchmarks.running import Run
from fairjax import datasets
from fairjax.deep import aekmeans, dec, deepfca, dfc, fairoid, fcmi, log_assignment, prepare


def all_scores(labels: Any, data: datasets.Dataset) -> list[dict[str, float]]:
    """Figures of each seed's labels (S, N)."""
    return [reduced.scores(one, data) for one in np.asarray(labels)]


def summary(seeds: list[dict[str, float]]) -> dict[str, Any]:
    return {
        name: {
            "mean": round(float(np.mean([seed[name] for seed in seeds])), 4),
            "least": round(min(seed[name] for seed in seeds), 4),
            "greatest": round(max(seed[name] for seed in seeds), 4),
        }
        for name in seeds[0]
    }


def trained(module: Any, config: Any, data: datasets.Dataset, n_seeds: int) -> dict[str, Any]:
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
        **summary(all_scores(result.labels, data)),
        **nearest(config, result, rows, data),
    }


def nearest(config: Any, result: Any, rows: Any, data: datasets.Dataset) -> dict[str, Any]:
    """Where labels are those of an assignment with prices: the figures of the nearest centre alone."""
    if not isinstance(config, deepfca.DeepFCAConfig):
        return {}
    labels = jax.vmap(lambda one: jnp.argmax(log_assignment(config.soft, config.network, one, rows.x), 1))(
        result.clusterer
    )
    return {"of_nearest_center": summary(all_scores(labels, data))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", help="protocols whose name begins so; they get a record of their own")


def protocols(run: Run) -> dict[str, Any]:
    quick, only = run.quick, run.options.only
    if only:
        run.name = f"{run.name}-{only}"
    device = jax.devices()[0]
    seeds, settings = 2 if quick else 4, reduced.configs(quick)
    one = reduced.mlp(n_groups=1, output="tanh", unit_norm=True)
    alone = replace(settings["DeepFCA"], fair_targets=False, pretrain_epochs=1 if quick else 60)

    def fairoids(gamma: float) -> fairoid.FairoidConfig:
        ae = settings["AE + k-means"]
        return fairoid.FairoidConfig(
            network=ae.network, n_clusters=ae.n_clusters, batch_size=ae.batch_size, pretrain_steps=ae.steps,
            optimizer="adam", lr=1e-3, epochs=2 if quick else 60, gamma=gamma,
        )  # fmt: skip

    cases = {
        "ae, reversed": (aekmeans, settings["AE + k-means"], "reversed", False),
        "dec, reversed": (dec, settings["DEC"], "reversed", False),
        "fcmi, reversed": (fcmi, settings["FCMI"], "reversed", True),
        "fcmi, one branch, reversed": (fcmi, replace(settings["FCMI"], network=one), "reversed", True),
        "fcmi, half reversed": (fcmi, settings["FCMI"], "half_reversed", True),
        "deepfca, reversed": (deepfca, settings["DeepFCA"], "reversed", True),
        "deepfca, half reversed": (deepfca, settings["DeepFCA"], "half_reversed", True),
        "deepfca without fair targets, reversed": (deepfca, alone, "reversed", True),
        "deepfca without fair targets, half reversed": (deepfca, alone, "half_reversed", True),
        "dfc, reversed": (dfc, settings["DFC"], "reversed", False),
        "fairoids gamma 0, bright": (fairoid, fairoids(0.0), "bright", False),
        "fairoids gamma 10, bright": (fairoid, fairoids(10.0), "bright", False),
    }
    found = {}
    for name, (module, config, variant, in_signed) in run.each(cases.items()):
        if not name.startswith(only):
            continue
        data = datasets.load_reverse_digits(variant=variant, signed=in_signed, dtype=np.float32)
        found[name] = trained(module, config, data, seeds)
        print(name, json.dumps(found[name]), flush=True)
    return {"device": f"{device.platform} {device.device_kind}", "methods": found}


SECTIONS = {"protocols": protocols}
