"""Measurements of the deep methods; each section writes one JSON file to ``benchmarks/results``.

    python benchmarks/deep.py protocols    every method on the bundled digits, several seeds in one vmap

``--quick`` takes few steps, to see that everything runs. Real data are in ``deep_real.py``, single steps in
``deep_step.py``.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from typing import Any

import jax
import measure
import numpy as np
import reduced

from fairjax import datasets
from fairjax.deep import aekmeans, dec, deepfca, dfc, fairoid, fcmi, prepare
from fairjax.deep.methods.assigning import assign


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
        **summary(all_scores(result.labels, data)),
        **nearest(config, result, rows, data),
    }


def nearest(config: Any, result: Any, rows: Any, data: datasets.Dataset) -> dict[str, Any]:
    """Where labels are those of an assignment with prices: the figures of the nearest centre alone."""
    if not isinstance(config, deepfca.DeepFCAConfig):
        return {}
    labels = jax.vmap(lambda one: assign(config.soft, config.network, one, rows.x))(result.clusterer)
    return {"of_nearest_center": summary(all_scores(labels, data))}


def protocols(quick: bool, only: str = "") -> dict[str, Any]:
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
