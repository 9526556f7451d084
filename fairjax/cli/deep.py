"""The deep methods behind ``fairjax fit --method``: settings for the size of the data, training, the same output."""

import argparse
import signal
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax.cli import interrupt
from fairjax.datasets import Dataset
from fairjax.errors import InputError, ReplacementWarning

if TYPE_CHECKING:
    from fairjax.deep.methods.estimator import DeepClusterer

# classes of fairjax.deep by the name that the command line gives them
METHODS = {
    "ae": "AEKMeans",
    "dec": "DEC",
    "dcn": "DCN",
    "fcmi": "FCMI",
    "dfc": "DFC",
    "fairoid": "FairoidDEC",
    "deepfca": "DeepFCA",
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
_FOREIGN = (*_CONTROLS, "max_iter", "tol", "init", "n_init", "search", *_ALIGNMENT)


def check(options: argparse.Namespace) -> None:
    """Refuse options that say something to the other kind of method only."""
    if options.method not in METHODS:
        kept = options.checkpoint_dir is not None or options.checkpoint_every is not None
        if kept or options.resume or options.devices != 1:
            raise InputError(
                "--checkpoint-dir, --checkpoint-every, --resume and --devices belong to the deep methods "
                f"({', '.join(METHODS)}); --method {options.method} is done in one go: leave them out"
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
    if options.checkpoint_dir is None:
        if options.resume:
            raise InputError("--resume needs --checkpoint-dir, the folder with the checkpoint to go on from")
        if options.checkpoint_every is not None:
            raise InputError("--checkpoint-every needs --checkpoint-dir, the folder that checkpoints go to")


def fit(data: Dataset, values: npt.NDArray[Any] | None, options: argparse.Namespace) -> "DeepClusterer":
    """The trained estimator; ``values`` is the protected attribute of every row, or None."""
    from fairjax import deep

    settings = dict(_SHORT[options.method]) if data.n_samples <= _SMALL else {}
    if options.method == "dfc" and settings:
        settings["batch_size"] = max(16, 256 // data.n_groups)  # of each group
    if options.method == "fcmi" and data.n_samples > _SMALL:
        settings = {"center_refresh": "warm"}  # ends like anew in every epoch, in a third of the time
    if options.method == "deepfca":
        settings |= {name: getattr(options, name) for name in _CONTROLS}
    model: DeepClusterer = getattr(deep, METHODS[options.method])(
        n_clusters=options.clusters,
        n_devices=options.devices,
        checkpoint_dir=options.checkpoint_dir,
        checkpoint_every=options.checkpoint_every or 1000,
        resume=options.resume,
        random_state=options.seed,
        **settings,
    )
    try:
        with warnings.catch_warnings():
            # the summary and the report say so
            warnings.simplefilter("ignore", ReplacementWarning)
            return model.fit(data.X, sensitive_features=values)
    except (KeyboardInterrupt, SystemExit) as stop:
        if options.checkpoint_dir is None or not any(Path(options.checkpoint_dir).glob("[0-9]*")):
            raise
        rest = f"the training is kept in {options.checkpoint_dir}: go on with --resume"
        number = getattr(stop, "number", None)
        if number is None:
            number = signal.SIGINT if isinstance(stop, KeyboardInterrupt) else int(stop.code or 128) - 128
        ended = interrupt.Stopped(number)
        ended.args = (f"stopped by {interrupt.name_of(number)}; {rest}",)
        raise ended from None


def agreement(data: Dataset, model: "DeepClusterer") -> dict[str, float | None]:
    """How well the clusters agree with the classes of the data, where these are known."""
    from fairjax import metrics

    if data.target is None or not np.issubdtype(data.target.dtype, np.integer):
        return {"accuracy": None, "nmi": None}
    return {
        "accuracy": float(metrics.accuracy(model.labels_, data.target)),
        "nmi": float(metrics.nmi(model.labels_, data.target)),
    }
