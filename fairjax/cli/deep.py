"""The deep methods behind ``fairjax fit --method``: settings for the size of the data, training, the same output."""

import argparse
import math
import shlex
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairjax import __version__
from fairjax.cli import compilation
from fairjax.datasets import Dataset
from fairjax.errors import InputError, ReplacementWarning

if TYPE_CHECKING:
    from fairjax.deep.base import DeepClusterer
    from fairjax.report import ReportData

METHODS = {
    "ae": "k-means on the latent space of an autoencoder",
    "dec": "deep embedded clustering (DEC)",
    "dcn": "deep clustering network (DCN)",
    "fcmi": "deep fair clustering by mutual information (FCMI)",
    "dfc": "deep fair clustering with a critic and preserved structure (DFC)",
    "fairoid": "deep clustering with fairoids",
    "deepfca": "fair clustering via alignment on learned features (DeepFCA)",
}
# FCMI's protocol; the methods beside it take its network
IMAGE_SIZES = {"ae": 28, "dec": 28, "dcn": 28, "fcmi": 28, "fairoid": 28, "deepfca": 28}
_SMALL = 10_000  # rows up to which the short settings below serve; above, those of the papers
_SHORT: dict[str, dict[str, Any]] = {
    "ae": {"batch_size": 128, "steps": 1500},
    "dec": {"batch_size": 128, "pretrain_steps": 1500, "steps": 500, "optimizer": "adam", "lr": 1e-3},
    "dcn": {"batch_size": 128, "pretrain_steps": 1500, "epochs": 20},
    "fcmi": {"batch_size": 128, "epochs": 60, "center_refresh": "warm"},
    "dfc": {
        "pretrain_steps": 1500, "group_pretrain_steps": 1000, "group_steps": 500, "group_lr": 1e-3, "steps": 4000,
    },
    "fairoid": {"batch_size": 128, "pretrain_steps": 1500, "epochs": 60, "optimizer": "adam", "lr": 1e-3},
    "deepfca": {"batch_size": 128, "epochs": 40},
}  # fmt: skip
_CONTROLS = ("epsilon", "min_balance")
_ALIGNMENT = ("center_update", "partition_size", "transport_weight", "reg")
_FOREIGN = (*_CONTROLS, "max_iter", "tol", "init", "n_init", *_ALIGNMENT)


def check(options: argparse.Namespace) -> None:
    """Refuse options that say something to the other kind of method only."""
    if options.method not in METHODS:
        if options.checkpoint_dir is not None or options.resume or options.devices != 1:
            raise InputError(
                f"--checkpoint-dir, --resume and --devices belong to the deep methods ({', '.join(METHODS)}); "
                f"--method {options.method} is done in one go: leave them out"
            )
        return
    from fairjax.estimators import FCA

    defaults = FCA().get_params()
    for name in _FOREIGN:
        if options.method == "deepfca" and name in _CONTROLS:
            continue
        if getattr(options, name) != defaults[name]:
            place = (
                "direct and deepfca" if name in _CONTROLS else "exact and sinkhorn" if name in _ALIGNMENT else "direct"
            )
            raise InputError(
                f"--{name.replace('_', '-')} belongs to --method {place} and has no meaning for {options.method}; "
                "leave it out"
            )
    if options.resume and options.checkpoint_dir is None:
        raise InputError("--resume needs --checkpoint-dir, the folder with the checkpoint to go on from")


def fit(data: Dataset, options: argparse.Namespace) -> tuple["DeepClusterer", float, float]:
    """Trained estimator, seconds, and those of them that compiling took."""
    from fairjax import deep

    classes: dict[str, type[DeepClusterer]] = {
        "ae": deep.AEKMeans,
        "dec": deep.DEC,
        "dcn": deep.DCN,
        "fcmi": deep.FCMI,
        "dfc": deep.DFC,
        "fairoid": deep.FairoidDEC,
        "deepfca": deep.DeepFCA,
    }
    settings = dict(_SHORT[options.method]) if data.n_samples <= _SMALL else {}
    if options.method == "dfc" and settings:
        settings["batch_size"] = max(16, 256 // data.n_groups)  # of each group
    if options.method == "fcmi" and data.n_samples > _SMALL:
        settings = {"center_refresh": "warm"}  # ends like anew in every epoch, in a third of the time
    if options.method == "deepfca":
        settings |= {name: getattr(options, name) for name in _CONTROLS}
    compiled, began = compilation.seconds(), time.perf_counter()
    model = classes[options.method](
        n_clusters=options.clusters,
        n_devices=options.devices,
        checkpoint_dir=options.checkpoint_dir,
        resume=options.resume,
        random_state=options.seed,
        **settings,
    )
    try:
        with warnings.catch_warnings():
            # the summary and the report say so
            warnings.simplefilter("ignore", ReplacementWarning)
            model.fit(data.X, sensitive_features=data.sensitive if data.n_groups > 1 else None)
    except (KeyboardInterrupt, SystemExit) as stop:
        if options.checkpoint_dir is None or not any(Path(options.checkpoint_dir).glob("[0-9]*")):
            raise
        rest = f"the training is kept in {options.checkpoint_dir}: go on with --resume"
        if isinstance(stop, KeyboardInterrupt):
            raise KeyboardInterrupt(f"stopped by Ctrl-C; {rest}") from None
        print(f"fairjax: stopped by a signal; {rest}", file=sys.stderr)
        raise
    return model, time.perf_counter() - began, compilation.seconds() - compiled


def report_data(
    data: Dataset,
    sensitive: str | None,
    model: "DeepClusterer",
    options: argparse.Namespace,
    arguments: Sequence[str],
    seconds: float,
) -> "ReportData":
    """What summary and report show."""
    from fairjax import metrics
    from fairjax.report import ReportData

    X = data.matrix
    notes = list(data.notes)
    notes.append("The clusters were found in a learned space; the cost is measured in the space of the data.")
    notes += model.notes_
    empty = model.n_clusters - len(np.unique(model.labels_))
    if empty:
        notes.append(f"{empty} of {model.n_clusters} clusters have no rows; balance and violation leave them out.")
    latent = None if options.report is None else model.embed(data.X)
    violation = None
    if data.n_groups > 1:
        violation = float(metrics.group_violation(model.labels_, data.groups, n_clusters=model.n_clusters))
    return ReportData(
        title=data.name,
        X=X,
        labels=model.labels_,
        groups=data.groups,
        group_names=data.group_names,
        n_clusters=model.n_clusters,
        cost=_cost(X, model.labels_, model.n_clusters),
        balance=model.balance_,
        max_balance=model.max_balance_,
        sensitive=sensitive,
        feature_names=data.feature_names or None,
        raw=data.raw.reshape(X.shape),
        method=METHODS[options.method],
        parameters=_parameters(model),
        command=shlex.join(["fairjax", *arguments]),
        version=f"fairjax {__version__}",
        seconds=seconds,
        notes=tuple(notes),
        status="ended early: few labels still changed" if model.ended_early_ else "went through all its steps",
        n_iter=model.n_iter_,
        group_violation=violation,
        latent=latent,
        image_shape=_image_shape(data),
    )


def summary(
    data: Dataset,
    sensitive: str | None,
    model: "DeepClusterer",
    found: "ReportData",
    seconds: float,
    compile_seconds: float,
) -> dict[str, Any]:
    """The JSON object."""
    from fairjax import metrics

    agreement: dict[str, float | None] = {"accuracy": None, "nmi": None}
    if data.target is not None and np.issubdtype(data.target.dtype, np.integer):
        agreement = {
            "accuracy": float(metrics.accuracy(model.labels_, data.target)),
            "nmi": float(metrics.nmi(model.labels_, data.target)),
        }
    return {
        "data": data.name,
        "n": data.n_samples,
        "n_features": int(data.matrix.shape[1]),
        "n_clusters": model.n_clusters,
        "n_nonempty": len(np.unique(model.labels_)),
        "sensitive": sensitive,
        "groups": {name: int(size) for name, size in zip(data.group_names, data.group_sizes.tolist(), strict=True)},
        "cost": found.cost,
        "balance": model.balance_,
        "max_balance": model.max_balance_,
        "group_violation": found.group_violation,
        **agreement,
        "n_iter": model.n_iter_,
        "converged": True,
        "seconds": round(seconds, 4),
        "compile_seconds": round(compile_seconds, 4),
        "parameters": _parameters(model),
        "notes": list(found.notes),
        "version": __version__,
    }


def _image_shape(data: Dataset) -> tuple[int, int, int] | None:
    """Height, width and channels where rows are images, or were before they were laid out as vectors."""
    if data.X.ndim == 4:
        return data.X.shape[1:]
    side = math.isqrt(data.X.shape[1])
    pixels = [f"pixel {i}" for i in range(data.X.shape[1])]
    return (side, side, 1) if side**2 == len(pixels) and list(data.feature_names) == pixels else None


def _parameters(model: "DeepClusterer") -> dict[str, Any]:
    left_out = ("checkpoint_dir", "resume", "checkpoint_every", "n_devices")
    return {name: value for name, value in model.get_params(deep=False).items() if name not in left_out}


def _cost(X: np.ndarray, labels: np.ndarray, n_clusters: int) -> float:
    """Mean squared distance of the points to their clusters' means."""
    total = 0.0
    for cluster in range(n_clusters):
        points = np.asarray(X[labels == cluster], dtype=np.float64)
        if len(points):
            total += float(((points - points.mean(0)) ** 2).sum())
    return total / len(X)
