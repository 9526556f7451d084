"""Checks of what the deep estimators are given."""

import inspect
import os
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from fairjax._checks import check_choice, check_count
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.deep.methods.estimator import DeepClusterer


def check_parameters(model: "DeepClusterer") -> None:
    """Raise InputError for a parameter out of its range."""
    defaults = inspect.signature(type(model).__init__).parameters
    for name, value in model.get_params(deep=False).items():
        if name == "checkpoint_dir" and not isinstance(value, (str, os.PathLike, type(None))):
            raise InputError(f"checkpoint_dir is {value!r}; expected a path")
        if name in ("network", "checkpoint_dir", "random_state"):
            continue
        if value is None and defaults[name].default is None:
            continue
        if name in model._choices or name == "compute":
            allowed = ("float32", "bfloat16") if name == "compute" else model._choices[name]
            check_choice(name, value, allowed)
        elif isinstance(defaults[name].default, bool):
            if not isinstance(value, (bool, np.bool_)):
                raise InputError(f"{name} is {value!r}; expected True or False")
        elif name in ("n_latent", "batch_size") or isinstance(defaults[name].default, int):
            least = 0 if name.endswith("warmup_epochs") else 1
            check_count(name, value, least)
            if int(value) >= 2**31:
                raise InputError(f"{name} is {value}; expected a whole number below 2^31")
        elif isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < np.inf:
            raise InputError(f"{name} is {value!r}; expected a finite number of at least 0")
        elif name in model._positive and value == 0:
            raise InputError(f"{name} is 0; expected a positive number")
        elif name in ("corruption", "critic_dropout") and float(value) >= 1:
            raise InputError(f"{name} is {value!r}; expected a share below 1")


def check_pixels(low: float, high: float, wanted: str, least: float) -> None:
    """Raise InputError for images whose values go beyond what is wanted, as bytes do."""
    if not least <= low <= high <= 1:
        raise InputError(f"the images' values go from {low:g} to {high:g}; expected {wanted}: divide bytes by 255")
