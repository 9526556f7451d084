"""The one driver of every method: stages, then labels; for one seed or many."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.settings import static
from fairjax.deep.training.streams import Data
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.deep.training.trainer import Position, run_tasks
from fairjax.errors import InputError


class Result(NamedTuple):
    """End of a training run; with keys (S,) every array has the seeds in front.

    Attributes
    ----------
    labels : Array (N,), int32
        Cluster of each row.
    clusterer : Clusterer
        For `log_assignment` of other rows.
    history : dict of numpy arrays (steps,)
        Weighted loss terms by ``"stage: term"``; a stage with two seeds or more has the steps of the longest.
    failed : Array (), int32
        Step of the last stage at which a loss was not finite (the result is what it was before), or -1; -2 if that was
        in a stage before it.
    done : Array (), int32
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
    keys : typed random key () or (S,)
        Consumed.
    data : Data
        From `fairjax.deep.prepare`.
    config : Config
        Of one of the methods.
    chunk_steps : int
    position : Position, optional
    after_chunk : function of a Position, optional
    mesh : Mesh, optional
        These four as for `fairjax.deep.training.trainer.run_tasks`.

    Returns
    -------
    Result
        Each stage is compiled once, whatever the number of seeds; a step costs about three passes of its rows
        through the networks.

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
    >>> config = fcmi.FCMIConfig(network=network, n_clusters=4, batch_size=8, epochs=30)
    >>> result = fcmi.run(jax.random.split(jax.random.key(0), 2), data, config)  # two seeds at once
    >>> result.labels.shape, result.failed.tolist(), result.n_steps
    ((2, 32), [-1, -1], 120)
    >>> first = jax.tree.map(lambda values: values[0], result.clusterer)
    >>> log_assignment("cosine", network, first, data.x[:5]).shape
    (5, 4)
    """
    check_sizes(config, data)
    config = config.resolved(data)
    data = config.completed(data)
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
    labels, clusterer = _finished(config, False, trained.state, data, last)
    if config.fills and _lacks_cluster(labels, config.n_clusters):
        # a program of its own, as it is seldom needed and long to compile
        labels, clusterer = _finished(config, True, trained.state, data, last)
    n_steps = sum(max((values.shape[-1] for values in terms.values()), default=0) for terms in trained.histories)
    history = _named(tasks, trained.histories)
    return Result(labels, clusterer, history, trained.state.failed, trained.state.done, n_steps)


def _finished(config: Config, full: bool, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
    if config.compiles_finish():
        return _finish_once(static(config), full, state, data, key)
    return jax.jit(lambda state, key: _finish(config, full, state, data, key))(state, key)


def _finish(config: Config, full: bool, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
    finish = config.finish_full if full else config.finish
    if key.ndim == 0:
        return finish(state, data, key)
    return jax.vmap(lambda state, key: finish(state, data, key))(state, key)


_finish_once = jax.jit(_finish, static_argnums=(0, 1))  # compiled once for each set of static settings


def _lacks_cluster(labels: Array, n_clusters: int) -> bool:
    """Whether a cluster has no rows, for some seed."""
    return any(len(np.unique(own)) < n_clusters for own in np.atleast_2d(np.asarray(labels)))


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
