"""The deep methods behind ``fairjax fit --method``: settings for the size of the data, training, the same output."""

import argparse
import signal
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax.cli import baselines, interrupt
from fairjax.datasets import Dataset
from fairjax.errors import InputError, ReplacementWarning

if TYPE_CHECKING:
    from fairjax.deep.methods.estimator import DeepClusterer
    from fairjax.deep.methods.settings import Setting

ROUTES = ("direct", "exact", "sinkhorn")  # methods of `FCA`

_CONTROLS = ("epsilon", "min_balance")
_ALIGNMENT = ("center_update", "partition_size", "transport_weight", "reg")
_FOREIGN = (*_CONTROLS, "max_iter", "tol", "init", "n_init", "search", "attributes", *_ALIGNMENT)
# settings that have an option of their own
OPTIONS = {"n_clusters": "--clusters", "random_state": "--seed", "n_devices": "--devices",
            "checkpoint_dir": "--checkpoint-dir", "checkpoint_every": "--checkpoint-every",
            "resume": "--resume", "epsilon": "--epsilon", "min_balance": "--min-balance"}  # fmt: skip
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def method(name: str) -> "type[DeepClusterer]":
    """The estimator of a deep method by its name on the command line.

    Raises
    ------
    InputError
        If there is no such method.
    """
    found = methods()
    if name not in found:
        known = (*ROUTES, *baselines.methods(), *found)
        raise InputError(f"--method is {name!r}; expected one of {', '.join(known)}")
    return found[name]


def methods() -> "dict[str, type[DeepClusterer]]":
    """All deep methods by their names; this imports them, which takes a while."""
    import fairjax.deep  # noqa: F401, the catalogue
    from fairjax.deep.methods.estimator import METHODS

    return dict(sorted(METHODS.items()))


def check(options: argparse.Namespace) -> None:
    """Refuse options that say something to the other kind of method only."""
    if options.method in ROUTES:
        kept = options.checkpoint_dir is not None or options.checkpoint_every is not None
        if kept or options.resume or options.set:
            if options.set and not (kept or options.resume):
                others = ", ".join((*baselines.methods(), *methods()))
                raise InputError(
                    f"--set belongs to other methods ({others}); settings of --method {options.method} have options of "
                    "their own: see fairjax fit --help"
                )
            raise InputError(
                "--checkpoint-dir, --checkpoint-every and --resume belong to the deep methods "
                f"({', '.join(methods())}); --method {options.method} is done in one go: leave them out"
            )
        return
    kind = method(options.method)
    from fairjax.estimators import FCA

    defaults = FCA().get_params()
    for name in _FOREIGN:
        if options.method == "deepfca" and name in _CONTROLS:
            continue
        if getattr(options, name) != defaults[name]:
            place = (
                "direct and deepfca" if name in _CONTROLS else "exact and sinkhorn" if name in _ALIGNMENT else "direct"
            )
            option = f"--{name.replace('_', '-')}"
            known = "give it by --set" if name in kind._get_param_names() else "leave it out"
            raise InputError(f"{option} belongs to --method {place} and has no meaning for {options.method}; {known}")
    if options.checkpoint_dir is None:
        if options.resume:
            raise InputError("--resume needs --checkpoint-dir, the folder with the checkpoint to go on from")
        if options.checkpoint_every is not None:
            raise InputError("--checkpoint-every needs --checkpoint-dir, the folder that checkpoints go to")
    settings(kind, options.set)


def settings(kind: "type[DeepClusterer]", given: Sequence[str]) -> dict[str, Any]:
    """Settings from ``NAME=VALUE`` texts, checked as the estimator checks them.

    Raises
    ------
    InputError
        For a name that the method does not have, or a value out of range.
    """
    from fairjax.deep.methods.settings import check, settings_of

    known = {about.name: about for about in settings_of(kind)}
    found: dict[str, Any] = {}
    for text in given:
        typed, equals, value = text.partition("=")
        name = typed.strip().lstrip("-").replace("-", "_")
        if not equals:
            raise InputError(f"--set {text!r} has no value; expected NAME=VALUE, such as --set lr=0.001")
        if name in OPTIONS and name in known:
            raise InputError(f"--set {name}: this setting has the option {OPTIONS[name]}; use that")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"see fairjax methods {kind.command}"
            raise InputError(f"--set {typed}: {kind.command} has no setting of that name; {hint}")
        if name in found:
            raise InputError(f"--set {name} is given twice")
        found[name] = _parsed(known[name], value.strip())
        try:
            check(known[name], found[name])
        except InputError as error:
            raise InputError(f"--set {name}: {error}") from None
    return found


def _parsed(about: "Setting", text: str) -> Any:
    """The value that a text stands for; what cannot be read stays text, which the check then refuses."""
    if about.optional and text.lower() == "none":
        return None
    if about.kind == "flag":
        return _WORDS.get(text.lower(), text)
    read = {"whole": int, "number": float}.get(about.kind)
    if read is None:
        return text
    try:
        return read(text)
    except ValueError:
        return text


def fit(data: Dataset, values: npt.NDArray[Any] | None, options: argparse.Namespace) -> "DeepClusterer":
    """The trained estimator; ``values`` is the protected attribute of every row, or None."""
    kind = method(options.method)
    chosen = kind.suggested(data.n_samples, data.n_groups)
    if options.method == "deepfca":
        chosen |= {name: getattr(options, name) for name in _CONTROLS}
    own = {
        "n_clusters": options.clusters,
        "n_devices": options.devices,
        "checkpoint_dir": options.checkpoint_dir,
        "checkpoint_every": options.checkpoint_every or 1000,
        "resume": options.resume,
        "random_state": options.seed,
    }
    model = kind(**(own | chosen | settings(kind, options.set)))
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
