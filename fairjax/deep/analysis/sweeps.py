"""Weights of a method against what comes out: all their values and seeds in one batch."""

import dataclasses
from collections.abc import Mapping, Sequence
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

__all__ = ["sweep", "variants"]


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
    runs, many = variants(keys, config, {name: values})
    result = run(runs, data, many)
    return np.asarray(result.labels).reshape(len(values), len(keys), -1)


def variants(keys: Array, config: Config, settings: Mapping[str, Sequence[float]]) -> tuple[Array, Config]:
    """Keys and configuration of one batch in which several settings are changed together, such as an ablation.

    Parameters
    ----------
    keys : typed random keys (S,)
        The same for every variant.
    config : Config
    settings : dict of sequences of float
        By names of settings that are not compiled in; of each V values, of which the v-th belong together.

    Returns
    -------
    keys : typed random keys (V · S,)
    config : Config
        For `fairjax.deep.run`, whose results have the variants in front, each with all of its seeds in turn.

    Raises
    ------
    InputError
        If a setting is compiled in, or settings have different numbers of values.

    Examples
    --------
    >>> import jax
    >>> from fairjax.deep import Network, fcmi
    >>> config = fcmi.FCMIConfig(network=Network(kind="mlp", shape=(4,), n_latent=2))
    >>> keys, many = variants(jax.random.split(jax.random.key(0), 2), config, {"tau": [0.1, 0.2]})
    >>> keys.shape, many.tau.tolist()
    ((4,), [0.1, 0.1, 0.2, 0.2])
    """
    free = sorted(about.name for about in settings_of(type(config)) if about.traced)
    for name in settings:
        if name not in free:
            raise InputError(f"{name!r} cannot be swept in one batch; expected one of {', '.join(map(repr, free))}")
    counts = {name: len(values) for name, values in settings.items()}
    if len(set(counts.values())) != 1:
        raise InputError(f"the settings have {counts} values; expected as many of each, which belong together")
    n_seeds, n_variants = len(keys), next(iter(counts.values()))
    repeated: Any = {name: np.repeat(np.asarray(values, float), n_seeds) for name, values in settings.items()}
    return keys[jnp.tile(jnp.arange(n_seeds), n_variants)], dataclasses.replace(config, **repeated)
