"""What a method is to its callers: a configuration, its stages, and a result for one seed or many."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from fairjax.deep.losses import cosine_log_assignment, gaussian_log_assignment, student_log_assignment
from fairjax.deep.nets import Network, OwnNetwork
from fairjax.deep.pretrain import embed, recalibrated, unit
from fairjax.deep.streams import Data
from fairjax.deep.trainer import Position, Task, TrainState, run_tasks
from fairjax.errors import InputError

__all__ = ["Clusterer", "Config", "Result", "log_assignment", "run"]


class Clusterer(NamedTuple):
    """All that is needed to assign new rows.

    Attributes
    ----------
    params, rest : dict
        Variables of the network.
    centers : (K, d)
        Centres in the latent space.
    tau : scalar
        Temperature of the cosine and Gaussian assignments; without meaning for the other.
    prices : (T, K), or empty
        What a group pays to enter a cluster, in squared latent distance, where the method has found it.
    """

    params: Any
    rest: Any
    centers: Array
    tau: Array
    prices: Any = ()


class Result(NamedTuple):
    """End of a training run; with keys (S,) every array has the seeds in front.

    Attributes
    ----------
    labels : (N,) int32
        Cluster of each row.
    clusterer : Clusterer
        For `log_assignment` of other rows.
    history : dict of numpy arrays (steps,)
        Weighted loss terms by ``"stage: term"``; a stage with two seeds or more has the steps of the longest.
    failed : () int32
        Step of the last stage at which a loss was not finite (the result is what it was before), or -1.
    n_steps : int
        Steps of all stages.
    """

    labels: Array
    clusterer: Clusterer
    history: dict[str, np.ndarray]
    failed: Array
    n_steps: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(ABC):
    """Settings that all methods share; each module has its own ``Config`` with more.

    Attributes
    ----------
    network : Network or OwnNetwork
    n_clusters : int
        K.
    batch : int
        Rows per step (per group where the method draws from each group's own stream).
    n_init : int
        Restarts of k-means.
    recalibrate_bn : bool
        After the training, take the encoder's batch averages anew from the mixture of all rows
        (`fairjax.deep.pretrain.recalibrated`).
    """

    network: Network | OwnNetwork
    n_clusters: int
    batch: int = 256
    n_init: int = 20
    recalibrate_bn: bool = False

    soft = "student"

    @abstractmethod
    def tasks(self, data: Data) -> list[Task]:
        """Stages of the training on these data."""

    @abstractmethod
    def hyper(self) -> dict[str, Any]:
        """Numbers that are not compiled in: scalars, or (S,) arrays with one for each seed."""

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """What assigns rows, from the end of the last stage."""
        params = state.params
        return Clusterer(params["net"], state.rest, params["centroids"], jnp.ones((), params["centroids"].dtype))

    def finish(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """Labels (N,) of the rows trained on, and what assigns others."""
        clusterer = self.clusterer(state, data, key)
        return assign(self.soft, self.network, clusterer, data.x), clusterer


def log_assignment(soft: str, network: Network | OwnNetwork, clusterer: Clusterer, x: Array) -> Array:
    """Log of the soft assignment (n, K) of rows, in evaluation mode.

    Parameters
    ----------
    soft : {"student", "cosine", "gaussian"}, static
    network : static
    clusterer : Clusterer, of one seed
    x : (n, ...)
    """
    z = embed(network, clusterer.params, clusterer.rest, x)
    if soft == "cosine":
        return cosine_log_assignment(unit(z), clusterer.centers, clusterer.tau)
    if soft == "gaussian":
        return gaussian_log_assignment(z, clusterer.centers, clusterer.tau)
    return student_log_assignment(z, clusterer.centers)


@partial(jax.jit, static_argnums=(0, 1))
def assign(soft: str, network: Network | OwnNetwork, clusterer: Clusterer, x: Array) -> Array:
    """Most probable cluster (n,) int32 of rows."""
    return jnp.argmax(log_assignment(soft, network, clusterer, x), axis=1).astype(jnp.int32)


def run(
    keys: Array,
    data: Data,
    config: Config,
    *,
    chunk_steps: int = 100,
    position: Position | None = None,
    after_chunk: Callable[[Position], None] | None = None,
    mesh: Mesh | None = None,
) -> Result:
    """Train a method; with keys (S,), S seeds at once on one device.

    Parameters
    ----------
    keys : typed random key () or (S,), consumed
    data : Data, from `fairjax.deep.prepare`
    config : Config of one of the methods
    chunk_steps, position, after_chunk, mesh : see `fairjax.deep.trainer.run_tasks`

    Returns
    -------
    Result

    Raises
    ------
    InputError
        If the settings do not fit the data.
    DivergedError
        If a loss is no longer finite, for all seeds.
    """
    check_sizes(config, data)
    tasks = config.tasks(data)
    trained = run_tasks(
        tasks,
        keys,
        config.hyper(),
        data,
        chunk_steps=chunk_steps,
        position=position,
        after_chunk=after_chunk,
        mesh=mesh,
    )
    last = jnp.vectorize(lambda key: jax.random.fold_in(key, len(tasks)))(keys)

    def finish(state: TrainState, key: Array) -> tuple[Array, Clusterer]:
        if config.recalibrate_bn:
            key, own = jax.random.split(key)
            rest = recalibrated(own, config.network, state.params["net"], state.rest, data.x, config.batch)
            state = state._replace(rest=rest)
        return config.finish(state, data, key)

    labels, clusterer = jax.jit(finish if keys.ndim == 0 else jax.vmap(finish))(trained.state, last)
    history = _named(tasks, trained.histories)
    return Result(labels, clusterer, history, trained.state.failed, sum(task.steps for task in tasks))


def check_sizes(config: Config, data: Data) -> None:
    """Refuse what no training could make sense of."""
    n, smallest = len(data.x), int(np.min(np.asarray(data.sizes)))
    if config.n_clusters > n:
        raise InputError(f"n_samples={n} is less than n_clusters={config.n_clusters}; ask for at most as many clusters")
    if smallest == 0:
        raise InputError("a group has no rows; number the groups that occur from 0")


def _named(tasks: Sequence[Task], histories: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {
        f"{task.name}: {term}": values
        for task, history in zip(tasks, histories, strict=True)
        for term, values in history.items()
    }
