"""A fitted FCA as a file: what is written, and what is checked before it is trusted."""

import copy
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax import __version__
from fairjax.datasets.preparation import Preparation
from fairjax.errors import InputError
from fairjax.estimators import inputs, settings, stream_files
from fairjax.estimators.fca import FCA
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

# axes of a result: clusters, features, groups, points, points that may be split, iterations; the others are scalars
_AXES = {
    "centers": "Kd",
    "labels": "n",
    "rows": "r",
    "fractions": "rK",
    "counts": "MK",
    "prices": "MK",
    "pressing": "MK",
    "history": "t",
    "objectives": "t",
}
_WHOLE = ("labels", "rows", "status", "n_iter", "n_passes")
_TRUTHS = ("met", "converged")
_MAY_BE_NAN = ("history", "objectives", "transport_gap")  # after the last iteration, or unknown to a route


def save(model: FCA, target: archive.Target, preparation: Preparation | None) -> None:
    """Write a fitted FCA; see :meth:`fairjax.FCA.save`."""
    n_processes = model._n_processes
    if n_processes > 1:
        model = _without_rows(model)
    chosen = plain_settings(model)
    arrays: Arrays = {"start_centers": model.start_centers_}
    if not isinstance(chosen["init"], str):
        arrays["init"] = np.asarray(chosen["init"], np.float64)
        chosen["init"] = None
    solution = model.result_.assignment
    arrays |= {f"result/{name}": np.asarray(v) for name, v in model.result_._asdict().items() if name != "assignment"}
    arrays |= {f"result/assignment/{name}": np.asarray(value) for name, value in solution._asdict().items()}
    words = {
        "format": FORMAT,
        "version": __version__,
        "class": type(model).__name__,
        "settings": chosen,
        **group_words(model),
        **feature_words(model, preparation),
        "dtype": str(model.cluster_centers_.dtype),
        "balance": [model.balance_, model.max_balance_],
        "attribute_balances": [value for pair in model.attribute_balances_ for value in pair],
        "inertia": model.inertia_,
        "transport": None if model.transport_ is None else dataclasses.asdict(model.transport_),
    }
    if n_processes > 1:
        words["n_processes"] = n_processes
    if model.search_ is not None:
        arrays["search_costs"] = model.search_.costs
    if model.unfair_ is not None:
        words["unfair_cost"], arrays["unfair_labels"] = model.unfair_
    if hasattr(model, "streamed_"):
        words["streamed"], more = stream_files.told(model.streamed_)
        arrays |= more
    archive.write(target, words, arrays)


def _without_rows(model: FCA) -> FCA:
    """A model to save, without its values for single rows: this process has only its own."""
    kept = copy.copy(model)
    solution, n_clusters = model.result_.assignment, int(model.n_clusters)
    none = np.zeros(0, np.int32)
    solution = solution._replace(labels=none, rows=none, fractions=np.zeros((0, n_clusters)))
    kept.result_, kept.unfair_ = model.result_._replace(assignment=solution), None
    return kept


def restore(words: Words, arrays: Arrays) -> FCA:
    """The FCA that `save` wrote.

    Raises
    ------
    InputError
        For anything that no fit could have produced.
    """
    chosen = words.object("settings")
    if chosen.get("init") is None:
        chosen["init"] = _array(arrays, "init")
    model = model_of(FCA, chosen)
    settings.check(model)
    model.groups_, model.group_names_ = words.groups()
    restore_features(model, words)
    model.balance_, model.max_balance_ = words.numbers("balance", 2, 0, 1)
    model.inertia_ = words.number("inertia", 0)
    members = inputs.members_of(model.groups_) if model.attributes == "separately" else []
    model.fairness_ = settings.fairness(model, model.max_balance_, members)
    found = words.numbers("attribute_balances", 2 * len(members), 0, 1) if members else ()
    model.attribute_balances_ = list(zip(found[::2], found[1::2], strict=True))
    settings.start(model.init, model.n_clusters, model.n_features_in_)
    sizes = {"K": int(model.n_clusters), "d": model.n_features_in_, "M": len(model.groups_)}
    model.transport_ = _transport(model, words)
    model._keep(
        _result(model.method, arrays, sizes), words.choice("dtype", {"float32": np.float32, "float64": np.float64})
    )
    if words.has("n_processes"):
        model._n_processes = words.whole("n_processes", 2)
        del model.labels_  # they are with the processes that had the rows
    model.start_centers_ = _checked(arrays, "start_centers", "Kd", sizes)
    model.unfair_ = None
    if words.has("unfair_cost"):
        labels = _checked(arrays, "unfair_labels", "n", sizes, "i", 0, sizes["K"] - 1)
        model.unfair_ = words.number("unfair_cost", 0), labels
    # a fit over blocks from given centres has nothing to search
    idle = words.has("streamed") and "search_costs" not in arrays
    model.search_ = None if idle else _search(model, arrays)
    if words.has("streamed"):
        model.streamed_ = stream_files.restored(Words(words.object("streamed")), arrays, model.result_, sizes)
        del model.labels_  # it has no rows
    model.preparation_ = preparation_of(words, model.n_features_in_)
    return model


def _search(model: FCA, arrays: Arrays) -> Any:
    from fairjax.fca.restarts import Search

    if model.search == 0:
        return None
    costs = _checked(arrays, "search_costs", "t", {"t": int(model.search) + 1}, low=0)
    return Search(int(model.search), int(np.count_nonzero(np.diff(costs))), costs)


def _transport(model: FCA, words: Words) -> Any:
    from fairjax.fca.alignment import Settings

    if model.method == "direct":
        return None
    try:
        return Settings(**words.object("transport"))
    except TypeError as error:
        raise InputError(f"transport is not as it should be: {error}") from error


def _result(method: str, arrays: Arrays, sizes: dict[str, int]) -> Any:
    from fairjax.assignment import Solution
    from fairjax.fca import Alignment, FairClustering

    solution = _fields(Solution, arrays, "result/assignment/", sizes)
    whole: Any = FairClustering if method == "direct" else Alignment
    result = _fields(whole, arrays, "result/", sizes, assignment=Solution(**solution))
    if int(solution["status"]) > 1:
        raise InputError(f"status is {solution['status']}; expected that of a fit, 0 or 1")
    return whole(**result)


def _fields(kind: type[NamedTuple], arrays: Arrays, prefix: str, sizes: dict[str, int], **known: Any) -> dict[str, Any]:
    """Values of the fields of a result, each checked."""
    found = dict(known)
    for name in kind._fields:
        if name in found:
            continue
        dtype = "i" if name in _WHOLE else "b" if name in _TRUTHS else "f"
        low, high = -np.inf, np.inf
        if dtype == "i":
            low, high = 0, sizes["K"] - 1 if name == "labels" else sizes["n"] - 1 if name == "rows" else np.inf
        found[name] = _checked(arrays, prefix + name, _AXES.get(name, ""), sizes, dtype, low, high)
    return found


def _checked(
    arrays: Arrays,
    name: str,
    axes: str,
    sizes: dict[str, int],
    kind: str = "f",
    low: float = -np.inf,
    high: float = np.inf,
) -> npt.NDArray[Any]:
    array = _array(arrays, name)
    if array.ndim == len(axes):
        for axis, length in zip(axes, array.shape, strict=True):
            # sizes that no setting gives are set by the first array
            sizes.setdefault(axis, length)
    shape = tuple(sizes.get(axis, -1) for axis in axes)
    if name.rpartition("/")[2] in _MAY_BE_NAN:
        check_array(name, np.nan_to_num(array), shape, kind)
    else:
        check_array(name, array, shape, kind, low, high)
    return array


def _array(arrays: Arrays, name: str) -> npt.NDArray[Any]:
    if name not in arrays:
        raise InputError(f"it lacks the array {name!r}")
    return arrays[name]
