"""The methods of `fairjax.baselines` behind ``fairjax fit --method``: options and ``--set`` become parameters."""

import argparse
import dataclasses
import inspect
import re
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax._core import documentation
from fairjax._core.settings import settings_of
from fairjax.datasets import Dataset
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.baselines import Baseline
    from fairjax.baselines.catalogue import Method

# parameters that have an option of their own; those of one that all methods have
_OPTIONS = {"n_clusters": "--clusters", "random_state": "--seed", "n_init": "--n-init", "max_iter": "--max-iter",
            "tol": "--tol", "init": "--init", "attributes": "--attributes"}  # fmt: skip
_SHARED = ("n_init", "max_iter", "tol", "init")
_OF_FCA = ("epsilon", "min_balance", "search", "center_update", "partition_size", "transport_weight", "reg")
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "none": None}


def methods() -> "dict[str, Method]":
    """The entries of the catalogue that are methods of their own, by name."""
    from fairjax.baselines.catalogue import METHODS

    return {name: entry for name, entry in METHODS.items() if entry.is_baseline and name != "frac-oe"}


def check(options: argparse.Namespace) -> None:
    """Refuse options that say nothing to this method, and settings that it does not have."""
    from fairjax.estimators import FCA

    entry, defaults = methods()[options.method], FCA().get_params()
    control = entry.estimator.control
    use = f"its control is {control}: --set {control}=..." if control else "leave it out"
    for name in _OF_FCA:
        if getattr(options, name) != defaults[name]:
            raise InputError(
                f"--{name.replace('_', '-')} belongs to other methods and has no meaning for {options.method}; {use}"
            )
    if options.attributes != "jointly" and "attributes" not in inspect.signature(entry.estimator).parameters:
        raise InputError(
            f"--attributes belongs to the methods direct and falg, and {options.method} takes one set of groups; leave "
            "it out, and each combination is a group"
        )
    if options.checkpoint_dir is not None or options.checkpoint_every is not None or options.resume:
        raise InputError(
            f"--checkpoint-dir, --checkpoint-every and --resume belong to the deep methods; {options.method} is done "
            "in one go: leave them out"
        )
    if options.devices != 1:
        raise InputError(
            f"--devices belongs to the direct route and the deep methods; {options.method} runs on one: leave it out"
        )
    chosen = settings(entry, options.set)
    if options.model is not None:
        from fairjax.baselines import files

        if reason := files.why_not(entry.estimator(**chosen)):
            raise InputError(f"--model: {reason}")


def settings(entry: "Method", given: Sequence[str]) -> dict[str, Any]:
    """Parameters from ``NAME=VALUE`` texts; their ranges are checked by `fit`.

    Raises
    ------
    InputError
        For a name that the method does not have, or that has an option.
    """
    known = [name for name in inspect.signature(entry.estimator).parameters if name not in _OPTIONS]
    choices = _choices(entry.estimator)
    found: dict[str, Any] = {}
    for text in given:
        typed, equals, value = text.partition("=")
        name = typed.strip().lstrip("-").replace("-", "_")
        if not equals:
            such = f", such as --set {known[0]}=..." if known else ""
            raise InputError(f"--set {text!r} has no value; expected NAME=VALUE{such}")
        if name in _OPTIONS:
            raise InputError(f"--set {name}: this setting has the option {_OPTIONS[name]}; use that")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"see fairjax methods {entry.name}"
            raise InputError(f"--set {typed}: {entry.name} has no setting of that name; {hint}")
        if name in found:
            raise InputError(f"--set {name} is given twice")
        word = value.strip()
        found[name] = word if word in choices.get(name, ()) else parsed(word)
    return found


def _choices(kind: type) -> dict[str, tuple[str, ...]]:
    """The words of each parameter that is a choice of words."""
    return {about.name: about.choices for about in settings_of(kind)} if dataclasses.is_dataclass(kind) else {}


def parsed(text: str) -> Any:
    """The value that a text stands for: a word of yes or no, a number, several, a ratio ``p:q``, or the text itself.

    Examples
    --------
    >>> parsed("0.1"), parsed("none"), parsed("2:5"), parsed("0.3,0.6"), parsed("exact")
    (0.1, None, (2, 5), [0.3, 0.6], 'exact')
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"\d{1,9}:\d{1,9}", text):
        first, second = text.split(":")
        return int(first), int(second)
    if "," in text:
        parts = [parsed(part.strip()) for part in text.split(",") if part.strip()]
        return parts if all(isinstance(part, (int, float)) for part in parts) else text
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def fit(data: Dataset, values: npt.NDArray[Any] | None, options: argparse.Namespace) -> "Baseline":
    """The fitted estimator; ``values`` is the protected attribute of every row, or None."""
    from sklearn.exceptions import ConvergenceWarning

    from fairjax.estimators import FCA

    entry, defaults = methods()[options.method], FCA().get_params()
    shared = {name: getattr(options, name) for name in _SHARED if getattr(options, name) != defaults[name]}
    if options.attributes != "jointly":
        shared["attributes"] = options.attributes
    chosen = shared | settings(entry, options.set)
    model: Baseline = entry.estimator(options.clusters, random_state=options.seed, **chosen)
    with warnings.catch_warnings():
        # the summary, the report and the JSON object say so
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(data.matrix, sensitive_features=values)


def ending(model: "Baseline", unfair: Any, counts: npt.NDArray[np.float64]) -> dict[str, Any]:
    """What the JSON object tells of a baseline: plain k-means from the same seed, and how it ended."""
    from fairjax.comparison.measures import violation

    missed = violation(model, counts)
    return {
        "unfair_cost": None if unfair is None else unfair["cost"],
        "unfair_balance": None if unfair is None else unfair["balance"],
        "objective": model.objective_ if np.isfinite(model.objective_) else None,
        "violation": None if np.isnan(missed) else missed,
        "gap": model.gap_,
        "status": model.status_,
        "converged": model.converged_,
    }


def described(kind: type) -> list[tuple[str, str, str]]:
    """Name, type and sentence of the parameters of an estimator that ``--set`` takes."""
    return [about for about in documentation.described(kind) if about[0] not in _OPTIONS]
