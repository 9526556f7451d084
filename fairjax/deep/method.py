"""What a method is to its callers: a configuration, its stages, and a result for one seed or many."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from fairjax._checks import check_choice, check_count
from fairjax.deep.blocks import unit_rows
from fairjax.deep.losses import cosine_log_assignment, gaussian_log_assignment, student_log_assignment
from fairjax.deep.nets import Network, OwnNetwork
from fairjax.deep.pretrain import embed, recalibrated
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
        Step of the last stage at which a loss was not finite (the result is what it was before), or -1; -2 if that was
        in a stage before it.
    done : () int32
        Step of the last stage before which its own rule ended it, or -1.
    n_steps : int
        Steps taken in all stages.
    """

    labels: Array
    clusterer: Clusterer
    history: dict[str, np.ndarray]
    failed: Array
    done: Array
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
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        """Refuse a misspelt choice, which would else count as the other, and stages without a step."""
        for name, allowed in self.choices.items():
            check_choice(name, getattr(self, name), allowed)
        for field in dataclasses.fields(self):
            if field.type is int:
                check_count(field.name, getattr(self, field.name), least=0 if field.name == "warmup_epochs" else 1)

    @abstractmethod
    def tasks(self, data: Data) -> list[Task]:
        """Stages of the training on these data."""

    @abstractmethod
    def hyper(self) -> dict[str, Any]:
        """Numbers that are not compiled in: scalars, or (S,) arrays with one for each seed."""

    def is_static(self) -> bool:
        """Whether `finish` can be compiled once for all runs with these settings and this size of data.

        Not so with arrays of numbers, one for each seed, nor where it takes the groups' own sizes as static.
        """
        return not any(isinstance(value, (jax.Array, np.ndarray, list)) for value in vars(self).values())

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
        return cosine_log_assignment(unit_rows(z), clusterer.centers, clusterer.tau)
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
        Each stage is compiled once, whatever the number of seeds; a step costs about three times the passing of its
        rows through the networks.

    Raises
    ------
    InputError
        If the settings do not fit the data.
    DivergedError
        If a loss is no longer finite, for all seeds.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from fairjax.deep import Network, fcmi, log_assignment, prepare
    >>> data = prepare(np.repeat(np.eye(4, dtype=np.float32), 8, axis=0), np.tile([0, 1], 16))
    >>> network = Network(kind="mlp", shape=(4,), n_latent=3, options=(("n_groups", 2), ("unit_norm", True)))
    >>> config = fcmi.FCMIConfig(network=network, n_clusters=4, batch=8, epochs=30)
    >>> result = fcmi.run(jax.random.split(jax.random.key(0), 2), data, config)  # two seeds at once
    >>> result.labels.shape, result.failed.tolist(), result.n_steps
    ((2, 32), [-1, -1], 120)
    >>> first = jax.tree.map(lambda values: values[0], result.clusterer)
    >>> log_assignment("cosine", network, first, data.x[:5]).shape
    (5, 4)
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

    if config.is_static():
        labels, clusterer = _finish_once(config, trained.state, data, last)
    else:
        labels, clusterer = jax.jit(lambda state, key: _finish(config, state, data, key))(trained.state, last)
    n_steps = sum(max((values.shape[-1] for values in terms.values()), default=0) for terms in trained.histories)
    history = _named(tasks, trained.histories)
    return Result(labels, clusterer, history, trained.state.failed, trained.state.done, n_steps)


def _finish(config: Config, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
    def one(state: TrainState, key: Array) -> tuple[Array, Clusterer]:
        if config.recalibrate_bn:
            key, own = jax.random.split(key)
            rest = recalibrated(own, config.network, state.params["net"], state.rest, data.x, config.batch)
            state = state._replace(rest=rest)
        return config.finish(state, data, key)

    return one(state, key) if key.ndim == 0 else jax.vmap(one)(state, key)


_finish_once = jax.jit(_finish, static_argnums=0)  # compiled for each configuration once


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
