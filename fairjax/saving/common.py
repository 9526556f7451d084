"""What the words of all saved models share."""

from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator

from fairjax._core import group_codes
from fairjax.datasets.preparation import Preparation
from fairjax.errors import InputError
from fairjax.saving.archive import ForeignError
from fairjax.saving.words import Words, is_plain

FORMAT = 1  # of the file; later formats may hold what this version does not know

Model = TypeVar("Model", bound=BaseEstimator)


def check_format(words: Words) -> None:
    """Refuse a file with a later format than this version knows."""
    found = words.whole("format", 1, default=1)  # files of 0.1 have no format
    if found > FORMAT:
        raise ForeignError(f"has format {found}, and this version of fairjax reads up to {FORMAT}: take a newer one")


def plain_settings(model: BaseEstimator) -> dict[str, Any]:
    """Parameters by name, NumPy numbers as Python's; a random state only if it is a number."""
    settings = {name: group_codes.plain(value) for name, value in model.get_params(deep=False).items()}
    seed = settings["random_state"]
    settings["random_state"] = seed if isinstance(seed, int) else None
    return settings


def model_of(kind: type[Model], settings: dict[str, Any]) -> Model:
    """An estimator with these settings; their ranges are not yet checked.

    Raises
    ------
    InputError
        For a setting that the class does not have, or a random state that is not a number.
    """
    unknown = set(settings) - set(kind._get_param_names())
    if unknown:
        raise InputError(f"{kind.__name__} has no setting {min(unknown)!r}")
    seed = settings.get("random_state")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise InputError(f"random_state is {seed!r}; expected a whole number or none")
    return kind(**settings)


def group_words(model: Any) -> dict[str, Any]:
    """The groups' values and names."""
    values = [group_codes.plain(value) for value in model.groups_]
    odd = [value for value in values if not is_plain(value)]
    if odd:
        raise InputError(
            f"the model cannot be saved: the group {odd[0]!r} is neither text nor a number, nor several of them; "
            "fit with plain group values"
        )
    return {"groups": values, "group_names": list(model.group_names_)}


def preparation_of(words: Words, n_features: int) -> Preparation | None:
    """How a table's columns became the points of the fit, if the file says so."""
    if not words.has("preparation"):
        return None
    found = Preparation.from_json(words.object("preparation"))
    if len(found.columns) != n_features:
        raise InputError(f"its preparation has {len(found.columns)} columns for {n_features} features")
    return found


def feature_words(model: Any, preparation: Preparation | None) -> dict[str, Any]:
    """Number and names of the features, and how a table's columns became them."""
    return {
        "n_features": model.n_features_in_,
        "feature_names": getattr(model, "feature_names_in_", np.array([])).tolist(),
        "preparation": None if preparation is None else preparation.to_json(),
    }


def restore_features(model: Any, words: Words) -> None:
    """Restore the number and names of the features in the model."""
    model.n_features_in_ = words.whole("n_features", 1)
    names = words.texts("feature_names")
    if names:
        if len(names) != model.n_features_in_:
            raise InputError(f"there are {len(names)} feature_names for {model.n_features_in_} features")
        model.feature_names_in_ = np.array(names, dtype=object)
