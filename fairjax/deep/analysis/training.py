"""What happens in the course of a training: numbers of the state, taken at intervals."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax.deep.methods.config import Config
from fairjax.deep.methods.dfc import DFCConfig, DFCTask
from fairjax.deep.methods.fcmi import FCMIConfig
from fairjax.deep.methods.losses import (
    clustering_information,
    cosine_log_assignment,
    group_information,
    student_log_assignment,
)
from fairjax.deep.methods.running import Result, run
from fairjax.deep.nets.blocks import unit_rows
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Data
from fairjax.deep.training.tasks import TrainState
from fairjax.deep.training.trainer import Position
from fairjax.errors import InputError

__all__ = ["Snapshot", "critic_accuracy", "informations", "latent_rows", "watch"]

Measure = Callable[[TrainState], Any]


class Snapshot(NamedTuple):
    """What was measured after a step of a stage.

    Attributes
    ----------
    step : int
        Steps of the stage that were behind.
    values : dict
        What each measure returned, as numpy arrays.
    """

    step: int
    values: dict[str, Any]


def watch(
    key: Array,
    data: Data,
    config: Config,
    measures: Mapping[str, Measure],
    *,
    every: int,
    stage: str | None = None,
) -> tuple[Result, list[Snapshot]]:
    """Train, and measure the state every so many steps of one stage; the result is that of `fairjax.deep.run`.

    Parameters
    ----------
    key : typed random key () or (S,)
        Of S seeds at once what is measured has an axis (S,) in front.
    data : Data
    config : Config
    measures : dict of functions of the `TrainState`
        For example `latent_rows`, `informations`, `critic_accuracy`; they are compiled here.
    every : int
        Steps between two snapshots; the last may come earlier.
    stage : str, optional
        Name of the stage to watch, as the history has it; the last by default.

    Raises
    ------
    InputError
        If there is no stage of that name.
    """
    names = [task.name for task in config.tasks(data)]
    wanted = names[-1] if stage is None else stage
    if wanted not in names:
        raise InputError(f"there is no stage {wanted!r}; expected one of {', '.join(map(repr, names))}")
    compiled = {name: jax.jit(jax.vmap(measure) if key.ndim else measure) for name, measure in measures.items()}
    snapshots: list[Snapshot] = []

    def after_chunk(position: Position) -> None:
        if names[position.stage] == wanted:
            # onto the host at once, since the state is donated to the next chunk
            values = {name: jax.tree.map(np.asarray, measure(position.state)) for name, measure in compiled.items()}
            snapshots.append(Snapshot(position.step, values))

    result = run(key, data, config, chunk_steps=every, after_chunk=after_chunk)
    return result, snapshots


def latent_rows(config: Config, data: Data) -> Measure:
    """Latent rows (N, d) of all data, in evaluation mode."""
    return lambda state: embed(config.network, state.params["net"], state.rest, data.x)


def informations(config: FCMIConfig, data: Data) -> Measure:
    """FCMI's informations over all rows: ``points`` I(X; C), which it raises, ``groups`` I(G; C), which it lowers.

    Both are in nats and without their weights; before the first centres both are 0.
    """

    def measure(state: TrainState) -> dict[str, Array]:
        z = unit_rows(embed(config.network, state.params["net"], state.rest, data.x))
        c = jnp.exp(cosine_log_assignment(z, state.extra["centers"], state.hyper["tau"]))
        balance, onehot = clustering_information(c)
        return {"points": -(balance + onehot), "groups": group_information(c, data.groups, data.n_groups)}

    return measure


def critic_accuracy(config: DFCConfig, data: Data) -> Measure:
    """Share of rows whose group DFC's critic tells, as a mean over the groups' shares: 1 / T is chance.

    All rows pass in evaluation mode; the critic's own dropout stays on, as it is in the training.
    """
    task = config.tasks(data)[-1]
    assert isinstance(task, DFCTask)

    def measure(state: TrainState) -> Array:
        z = embed(config.network, state.params["net"], state.rest, data.x)
        seen = jnp.exp(student_log_assignment(z, state.params["centers"])) if config.critic_on == "assignment" else z
        key = jax.random.key(0)
        logits, _ = task.critic.call(state.params["critic"], {}, lambda module, rows: module(rows, key), seen)
        # a single logit speaks for group 0
        found = jnp.where(logits[:, 0] > 0, 0, 1) if logits.shape[1] == 1 else jnp.argmax(logits, axis=1)
        right = (found == data.groups).astype(z.dtype)
        return jnp.mean(jax.ops.segment_sum(right, data.groups, data.n_groups) / data.sizes)

    return measure
