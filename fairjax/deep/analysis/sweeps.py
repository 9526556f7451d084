"""A weight of a method against what comes out: all its values and seeds in one batch."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax.deep.methods.config import Config
from fairjax.deep.methods.running import run
from fairjax.deep.methods.settings import settings_of
from fairjax.deep.training.streams import Data
from fairjax.errors import InputError

__all__ = ["sweep"]


def sweep(keys: Array, data: Data, config: Config, name: str, values: Sequence[float]) -> npt.NDArray[np.int32]:
    """Train every seed with every value of a setting, at once.

    Parameters
    ----------
    keys : typed random keys (S,)
        The same for every value.
    data : Data
    config : Config
    name : str
        A setting that is not compiled in (a `Number` among the method's settings), as DFC's ``alpha_f`` and
        ``alpha_s``, FCMI's ``group_weight``, the fairoids' ``gamma``.
    values : sequence of float
        V of them.

    Returns
    -------
    (V, S, N) int32
        Labels; where a run's loss was no longer finite, those of its last good state. Memory grows with V · S.

    Raises
    ------
    InputError
        If the setting is compiled in.
    """
    free = sorted(about.name for about in settings_of(type(config)) if about.traced)
    if name not in free:
        raise InputError(f"{name!r} cannot be swept in one batch; expected one of {', '.join(map(repr, free))}")
    n_seeds = len(keys)
    runs = keys[jnp.tile(jnp.arange(n_seeds), len(values))]
    setting: Any = {name: np.repeat(np.asarray(values, float), n_seeds)}
    result = run(runs, data, dataclasses.replace(config, **setting))
    return np.asarray(result.labels).reshape(len(values), n_seeds, -1)
