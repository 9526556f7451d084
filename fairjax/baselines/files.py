"""Fitted baselines that predict as files: what is written, and what is checked before it is believed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fairjax import __version__
from fairjax.baselines.problem import STATUSES, Found
from fairjax.datasets.preparation import Preparation
from fairjax.errors import InputError
from fairjax.saving import archive
from fairjax.saving.archive import Arrays
from fairjax.saving.common import (
    FORMAT,
    feature_words,
    group_words,
    model_of,
    plain_settings,
    preparation_of,
    restore_features,
)
from fairjax.saving.words import Words, check_array

if TYPE_CHECKING:
    from fairjax.baselines.base import Baseline

# what some of them have besides: numbers, and arrays with their axes
_FIGURES = ("violation_", "target_", "divergence_", "budget_", "variance_", "share_gap_")
_TABLES = {"assigned_centers_": "Kd", "multipliers_": "MK", "means_": "Kd", "weights_": "K", "relaxation_": "M"}
_OF_PRICES, _OF_MIXTURE = ("assigned_centers_", "multipliers_"), ("means_", "weights_")


def kinds() -> "dict[str, type[Baseline]]":
    """The classes with a rule for new points, by name: those that can be saved."""
    from fairjax.baselines.catalogue import METHODS

    found = {entry.kind: entry.estimator for entry in METHODS.values() if entry.is_baseline}
    return {name: kind for name, kind in found.items() if hasattr(kind, "predict")}


def why_not(model: "Baseline") -> str:
    """Why a fitted estimator has no file, or nothing where it has one: without a rule for new points it needs none."""
    name = type(model).__name__
    if not hasattr(model, "predict") or getattr(model, "objective", "") == "ncut":
        return (
            f"this {name} has no rule for new points, which is what a model is kept for; keep its labels, or take FCA "
            f"or one of {', '.join(kinds())}"
        )
    return ""


def save(model: "Baseline", target: archive.Target, preparation: Preparation | None) -> None:
    """Write a fitted baseline; see :meth:`fairjax.baselines.Baseline.save`."""
    if reason := why_not(model):
        raise InputError(f"the model cannot be saved: {reason}")
    chosen, arrays = plain_settings(model), Arrays()
    if not isinstance(chosen["init"], str):
        arrays["init"] = np.asarray(chosen["init"], np.float64)
        chosen["init"] = None
    chosen = {name: _plain(name, value) for name, value in chosen.items()}
    arrays |= {"labels": model.labels_, "centers": model.cluster_centers_}
    arrays |= {name: np.asarray(getattr(model, name), np.float64) for name in _TABLES if hasattr(model, name)}
    words = {
        "format": FORMAT,
        "version": __version__,
        "class": type(model).__name__,
        "settings": chosen,
        **group_words(model),
        **feature_words(model, preparation),
        "balance": [model.balance_, model.max_balance_],
        "cost": model.cost_,
        "objective": model.objective_ if np.isfinite(model.objective_) else None,
        "n_iter": model.n_iter_,
        "status": model.status_,
        "message": model.message_,
        "gap": model.gap_,
        "figures": {name: float(getattr(model, name)) for name in _FIGURES if hasattr(model, name)},
        "attribute_balances": [value for pair in getattr(model, "attribute_balances_", ()) for value in pair],
    }
    archive.write(target, words, arrays)


def _plain(name: str, value: Any) -> Any:
    """A setting as JSON keeps it."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InputError(f"the model cannot be saved: {name} names groups that are no text; give it as a list")
        return {key: float(entry) for key, entry in value.items()}
    if name == "categories" and value is not None:
        return [[int(column) for column in block] for block in value]
    if isinstance(value, (list, tuple, np.ndarray)):
        return np.asarray(value, np.float64).tolist()
    return value


def restore(kind: "type[Baseline]", words: Words, arrays: Arrays) -> "Baseline":
    """The estimator that `save` wrote.

    Raises
    ------
    InputError
        For anything that a fit could not have left.
    """
    from fairjax.baselines.base import check_settings

    chosen = words.object("settings")
    if chosen.get("init") is None:
        chosen["init"] = _array(arrays, "init")
    model = model_of(kind, chosen)
    check_settings(model)
    if getattr(model, "objective", "kmeans") not in ("kmeans", "kmedian"):
        raise InputError(f"objective is {chosen['objective']!r}; expected 'kmeans' or 'kmedian'")
    model.groups_, model.group_names_ = words.groups()
    restore_features(model, words)
    sizes = {"K": int(model.n_clusters), "d": model.n_features_in_, "M": len(model.groups_)}
    _restore_arrays(model, arrays, sizes)
    model.balance_, model.max_balance_ = words.numbers("balance", 2, 0, 1)
    model.cost_ = words.number("cost", 0)
    model.objective_ = words.number("objective") if words.has("objective") else float("inf")
    model.n_iter_ = words.whole("n_iter")
    model.status_ = words.choice("status", {name: name for name in STATUSES if name != "infeasible"})
    model.converged_ = model.status_ in ("optimal", "converged")
    model.message_ = words.text("message")
    model.gap_ = words.number("gap") if words.has("gap") else None
    figures = Words(words.object("figures"))
    for name in _FIGURES:
        if figures.has(name):
            setattr(model, name, figures.number(name))
    if hasattr(model, "attributes"):
        count = len(model.groups_[0]) if model.attributes == "separately" and _are_tuples(model.groups_) else 0
        found = words.numbers("attribute_balances", 2 * count, 0, 1)
        model.attribute_balances_ = list(zip(found[::2], found[1::2], strict=True))
    model.result_ = Found(
        model.labels_, model.status_, model.objective_, n_iter=model.n_iter_, message=model.message_, gap=model.gap_
    )
    model.preparation_ = preparation_of(words, model.n_features_in_)
    return model


def _restore_arrays(model: "Baseline", arrays: Arrays, sizes: dict[str, int]) -> None:
    labels = _array(arrays, "labels")
    check_array("labels", labels, (len(labels) if labels.ndim else -1,), "i", 0, sizes["K"] - 1)
    centers = _array(arrays, "centers")
    # a cluster without points has none
    check_array("centers", np.nan_to_num(centers), (sizes["K"], sizes["d"]))
    model.labels_, model.cluster_centers_ = labels, centers
    needed = _OF_MIXTURE if type(model).__name__ == "FMC" else _OF_PRICES
    for name in (*needed, *(("relaxation_",) if type(model).__name__ == "FCBC" else ())):
        table = _array(arrays, name)
        check_array(name, table, tuple(sizes[axis] for axis in _TABLES[name]))
        setattr(model, name, table)
    if type(model).__name__ == "FMC" and not (np.all(model.weights_ >= 0) and model.weights_.sum() > 0):
        raise InputError("weights_ holds negative values")


def _are_tuples(values: Any) -> bool:
    return all(isinstance(value, tuple) for value in values)


def _array(arrays: Arrays, name: str) -> Any:
    if name not in arrays:
        raise InputError(f"it lacks the array {name!r}")
    return arrays[name]
