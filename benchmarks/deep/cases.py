"""The pieces of ``real.py``: data sets, methods, and the settings of each at every scale."""

import dataclasses
import math
from typing import Any

import numpy as np

from benchmarks.deep import matched
from fairjax import datasets
from fairjax.deep import Network, aekmeans, clustergan, dac, dcn, dec, deepfca, dfc, fairimsat, fairoid, fcmi, imsat

_VAE, _CONV = 4.57e6, 3.25e6  # multiply-adds of one image through either half of the network
_DAC = 56.4e6  # through DAC's convolutions
_GAN = 13.1e6  # through ClusterGAN's critic; its encoder is the same, its generator as dear
_WIDE, _WIDE_BRANCH, _STACKED = 2.42e6, 2.15e6, 1.545e6


@dataclasses.dataclass(frozen=True)
class Scale:
    """What a scale means: rows of each group (None: all), seeds, batches, and a factor on the lengths of stages."""

    rows: int | None
    seeds: int
    batch: int
    group_batch: int
    together: bool  # seeds in one vmap
    epochs: tuple[int, int]  # FCMI and DeepFCA: all, and of these with the reconstruction alone
    har_epochs: tuple[int, int]
    steps: dict[str, int]  # of fairoids, DCN and IMSAT: epochs; of DAC: steps between two
    # moves of its thresholds; of ClusterGAN: rounds
    budget: float


SCALES = {
    "full": Scale(
        None, 5, 512, 512, True, (300, 20), (300, 20),
        {"ae": 10_000, "har_ae": 10_000, "dec": 10_000, "group_ae": 10_000, "group_dec": 20_000, "dfc": 20_000,
         "fairoids": 30, "dcn": 50, "dac": 1000, "clustergan": 500_000,
         "imsat": 50, "fairimsat_warmup": 20},
        1800,
    ),
    "reduced": Scale(
        3000, 3, 256, 128, False, (30, 20), (100, 20),
        {"ae": 300, "har_ae": 1000, "dec": 300, "group_ae": 200, "group_dec": 300, "dfc": 600, "fairoids": 30,
         "dcn": 20, "dac": 20, "clustergan": 500,
         "imsat": 50, "fairimsat_warmup": 20},
        3600,
    ),
    "quick": Scale(
        200, 2, 64, 32, True, (3, 1), (2, 1),
        {"ae": 4, "har_ae": 4, "dec": 4, "group_ae": 4, "group_dec": 4, "dfc": 4, "fairoids": 1,
         "dcn": 1, "dac": 1, "clustergan": 1, "imsat": 2, "fairimsat_warmup": 1},
        300,
    ),
}  # fmt: skip

METHODS = {
    "reverse-mnist": ("ae", "dec", "fcmi", "deepfca", "dfc", "imsat", "fairimsat", "deepfca-vat", "deepfca-slack",
                      "matched", "dac", "clustergan", "fcmi-views", "deepfca-views", "fcmi-restarts",
                      "deepfca-restarts"),
    "mnist-usps": ("ae", "dec", "dfc", "fcmi", "deepfca", "imsat", "fairimsat", "deepfca-vat", "deepfca-slack",
                   "matched", "dac", "clustergan", "fcmi-views", "deepfca-views", "fcmi-restarts",
                   "deepfca-restarts"),
    "har": ("ae", "dec", "dcn", "fairoids", "fcmi", "deepfca", "imsat", "fairimsat", "deepfca-vat",
            "deepfca-slack", "dac", "clustergan"),
}  # fmt: skip

# the same but for smoothness, less fair targets, two views of each image, and the best of three starts by its score
DEEPFCA: dict[str, dict[str, Any]] = {
    "deepfca": {"vat_weight": 0.0, "target_slack": 1.0},
    "deepfca-vat": {"vat_weight": 0.1, "target_slack": 1.0},
    "deepfca-slack": {"vat_weight": 0.1, "target_slack": 0.75},
    "deepfca-views": {"vat_weight": 0.0, "target_slack": 0.75, "view_weight": 1.0},
    "deepfca-restarts": {"vat_weight": 0.0, "target_slack": 0.75, "view_weight": 1.0, "restarts": 3},
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One method on one data set: what runs, and the arithmetic of a step of its last stage."""

    module: Any
    config: Any
    data: datasets.Dataset
    step_flops: float


def load(data: str, scale: Scale, signed: bool) -> datasets.Dataset:
    """FCMI's form of the images (28 x 28, [-1, 1]) or DFC's (32 x 32, [0, 1]); HAR is one for all."""
    if data == "har":
        return datasets.load_har(dtype=np.float32)
    read = datasets.load_mnist_usps if data == "mnist-usps" else datasets.load_reverse_mnist
    return read(size=28 if signed else 32, signed=signed, max_per_group=scale.rows)


def case(data: str, method: str, scale: Scale) -> Case:
    """The settings of a piece; everything that is not set here is the method's default."""
    har = data == "har"
    # the one-branch baselines take the networks of the method that their row stands beside
    variational = method == "dfc" or (data == "mnist-usps" and method in ("ae", "dec"))
    rows = load(data, scale, signed=not variational)
    k = 6 if har else 10
    n_groups = 30 if har else 2
    n, b, steps = len(rows.X), scale.batch, scale.steps
    shape: tuple[int, ...] = rows.X.shape[1:]

    def network(branches: int, unit_norm: bool = True) -> Network:
        if har and (method in ("ae", "dec", "dcn", "fairoids")):
            return Network(kind="sdae", shape=shape, n_latent=k, options=(("hidden", (500, 500, 2000)),))
        if variational:
            return Network(kind="vae", shape=shape, n_latent=64)
        options = (("n_groups", branches), ("output", "tanh"), ("unit_norm", unit_norm))
        return Network(kind="fc" if har else "conv", shape=shape, n_latent=k, options=options)

    half = _VAE if variational else _CONV
    both = 2 * _STACKED if har else 2 * half
    shared: dict[str, Any] = {"n_clusters": k}
    epochs, warmup = scale.har_epochs if har else scale.epochs
    pretraining = steps["har_ae" if har else "ae"]
    wide = (_WIDE + _WIDE_BRANCH) if har else 2 * _CONV
    if method == "ae":
        config: Any = aekmeans.AEKMeansConfig(network=network(1), batch_size=b, steps=pretraining, **shared)
        return Case(aekmeans, config, rows, 6 * both * b)
    if method == "dec":
        config = dec.DECConfig(
            network=network(1), batch_size=b, pretrain_steps=pretraining, steps=steps["dec"], optimizer="adam", lr=1e-4,
            **shared,
        )  # fmt: skip
        return Case(dec, config, rows, 3 * both * b)
    if method == "dcn":
        config = dcn.DCNConfig(
            network=network(1), batch_size=b, pretrain_steps=pretraining, epochs=steps["dcn"], **shared
        )
        return Case(dcn, config, rows, 6 * both * b)
    if method == "fairoids":
        config = fairoid.FairoidConfig(
            network=network(1), batch_size=b, pretrain_steps=pretraining, epochs=steps["fairoids"], **shared
        )
        return Case(fairoid, config, rows, 3 * both * b)
    if method == "dfc":
        config = dfc.DFCConfig(
            network=network(1), batch_size=scale.group_batch, pretrain_steps=pretraining,
            group_pretrain_steps=steps["group_ae"], group_steps=steps["group_dec"], steps=steps["dfc"],
            scale_to_batch=scale.group_batch != 512, **shared,
        )  # fmt: skip
        return Case(dfc, config, rows, 6 * _VAE * 2 * scale.group_batch)
    if method in ("dac", "clustergan"):
        return compared_alone(method, rows, scale, shared)
    if method in ("imsat", "fairimsat", "matched"):
        return without_decoder(method, rows, scale, shared)
    # 20 steps make an epoch of HAR at 512 rows, as in the paper
    b = min(512, n) if har else b
    if method in DEEPFCA:
        config = deepfca.DeepFCAConfig(
            network=network(n_groups), batch_size=b, pretrain_epochs=warmup, epochs=epochs - warmup,
            **DEEPFCA[method], **shared,
        )  # fmt: skip
        return Case(deepfca, config, rows, 6 * wide * b)
    if method in ("fcmi-views", "fcmi-restarts"):
        like = DEEPFCA[f"deepfca-{method.removeprefix('fcmi-')}"]
        shared |= {name: like[name] for name in ("view_weight", "restarts") if name in like}
    config = fcmi.FCMIConfig(
        network=network(n_groups), batch_size=b, epochs=epochs, warmup_epochs=warmup,
        center_refresh="kmeans" if scale.rows is None else "warm", **shared,
    )  # fmt: skip
    return Case(fcmi, config, rows, 6 * wide * b)


def without_decoder(method: str, rows: datasets.Dataset, scale: Scale, shared: dict[str, Any]) -> Case:
    """IMSAT, the same towards fair assignments, or on each group alone, matched: vectors or pixels in [-1, 1]."""
    shape = rows.X.shape[1:]
    weights = math.prod(shape) * 1200 + 1200 * (1200 + shared["n_clusters"])
    # forth and back; for the direction back to the rows alone; and once more for the rows moved
    flops = 2 * 8 * weights * 250
    network = Network(kind="classifier", shape=shape, n_latent=shared["n_clusters"])
    settings = shared | {"network": network, "epochs": scale.steps["imsat"]}
    if method in ("imsat", "matched"):
        return Case(imsat if method == "imsat" else matched, imsat.IMSATConfig(**settings), rows, flops)
    settings["warmup_epochs"] = scale.steps["fairimsat_warmup"]
    return Case(fairimsat, fairimsat.FairIMSATConfig(**settings), rows, flops)


def compared_alone(method: str, rows: datasets.Dataset, scale: Scale, shared: dict[str, Any]) -> Case:
    """DAC and ClusterGAN, which are there for the tables alone."""
    shape, k = rows.X.shape[1:], shared["n_clusters"]
    settings: dict[str, Any]
    if method == "dac":
        settings = {"network": Network(kind="dac", shape=shape, n_latent=k), "epoch_steps": scale.steps["dac"]}
        size = _DAC if len(shape) == 3 else shape[0] * 1024 + 1024 * 512
        return Case(dac, dac.DACConfig(**shared | settings), rows, 6 * size * 128)
    options = (("n_noise", 30), ("output", "tanh"))
    network = Network(kind="gan", shape=shape, n_latent=30 + k, options=options)
    settings = {"network": network, "rounds": scale.steps["clustergan"]}
    size = _GAN if len(shape) == 3 else shape[0] * 256 + 256**2
    # of the critic's steps: one generation, and two judgements and a gradient, forth and back
    return Case(clustergan, clustergan.ClusterGANConfig(**shared | settings), rows, 2 * 64 * size * 13)
