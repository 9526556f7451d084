"""Several trainings from starts of their own, of which one is kept, by a score that knows no labels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax.deep.methods.assigning import log_assignment
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.losses import clustering_information
from fairjax.deep.methods.running import Result
from fairjax.deep.methods.settings import setting
from fairjax.deep.training.streams import Data, steps_per_epoch

__all__ = ["RestartSettings", "Restarted", "kept", "keys_of_starts", "scores"]

_OF_MOVED_ROWS = {"smoothness": "vat_weight", "views": "view_weight"}  # terms, and the settings of their weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestartSettings:
    """Settings of methods that call their starts so."""

    restarts: int = setting(
        1,
        "Trainings from starts of their own, at once; kept is the one whose assignments tell most of the rows and, "
        "with `vat_weight` or `view_weight`, change least where rows are moved.",
    )


class Restarted:
    """What a configuration with these settings has besides."""

    restarts: int

    @property
    def starts(self) -> int:
        """As many as `restarts` says."""
        return self.restarts


def keys_of_starts(config: Config, key: Array) -> Array:
    """The key itself for one start, else one key (R,) for each of several."""
    return key if config.starts == 1 else jax.random.split(key, config.starts)


def scores(result: Result, config: Config, data: Data) -> npt.NDArray[np.float64]:
    """Score (R,) of each start: the information of cluster and row less what moved rows lose of it, in nats.

    The information is that of the soft assignment of all rows in evaluation mode. Smoothness and sameness in two views,
    where they are terms, count as in the last epoch with weight 1, whatever their weight in the loss.
    """

    def information(clusterer: object) -> Array:
        log_q = log_assignment(config.soft, config.network, clusterer, data.x, data.groups)  # type: ignore[arg-type]
        return -sum(clustering_information(jnp.exp(log_q)))  # type: ignore[return-value]

    found = np.asarray(jax.jit(jax.vmap(information))(result.clusterer), float)
    epoch = steps_per_epoch(len(data.x), getattr(config, "batch_size", len(data.x)))
    for term, weight in _OF_MOVED_ROWS.items():
        told = [values for name, values in result.history.items() if name.endswith(f": {term}")]
        if told:
            found -= told[-1][:, -epoch:].mean(axis=1) / np.asarray(getattr(config, weight), float)
    return np.where(np.asarray(result.failed) == -1, found, -np.inf)


def kept(result: Result, config: Config, data: Data) -> Result:
    """The start of the best score, the first of several; the result as it is where there was one start."""
    if config.starts == 1:
        return result
    best = int(np.argmax(scores(result, config, data)))
    one = result._replace(
        labels=result.labels[best],
        clusterer=jax.tree.map(lambda values: values[best], result.clusterer),
        failed=result.failed[best],
        done=result.done[best],
    )
    history = {name: values[best] for name, values in result.history.items()}
    return one._replace(history=history)
