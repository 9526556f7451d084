"""DCN: deep clustering network (B. Yang, X. Fu, N. Sidiropoulos, M. Hong, ICML 2017); it knows nothing of groups.

An autoencoder whose latent rows are drawn to the nearest of K centres, and centres that follow their rows as in k-means
on a stream: ``L = λ‖x − x'‖² + β‖z − m_a(z)‖²``.
"""

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import DeepClusterer, estimator
from fairjax.deep.methods.losses import reconstruction_loss
from fairjax.deep.methods.pretraining import (
    PretrainSettings,
    ReconstructionSettings,
    autoencoder_tasks,
    starting_centers,
)
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, Settings, setting, static
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, TrainState, direction

__all__ = ["DCN", "DCNConfig", "DCNSettings", "DCNTask", "Result", "followed", "run"]

_SEEN = 100.0  # rows that a centre counts as seen at the start


class _Rest(NamedTuple):
    """What moves with the batches and not by the gradient: the network's rest, centres (K, d), rows that they saw."""

    net: Any
    centers: Array
    counts: Array


def followed(centers: Array, counts: Array, z: Array, labels: Array) -> tuple[Array, Array]:
    """Centres after their rows, one after the other, have moved them: ``m ← (1 − 1/c) m + z/c``, then ``c ← c + 1``.

    Parameters
    ----------
    centers : Array (K, d)
    counts : Array (K,)
        Rows that each centre has seen, at least 1.
    z : Array (n, d)
    labels : Array (n,), int32
        The centre that each row moves.

    Returns
    -------
    centers : Array (K, d)
        In closed form, since the rows of a centre weigh the same whatever their order.
    counts : Array (K,)

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> centers, counts = followed(jnp.zeros((1, 1)), jnp.array([2.0]), jnp.array([[3.0], [6.0]]), jnp.array([0, 0]))
    >>> float(centers[0, 0]), float(counts[0])
    (3.0, 4.0)
    """
    chosen = (labels[:, None] == jnp.arange(len(centers), dtype=labels.dtype)).astype(z.dtype)
    new = jnp.sum(chosen, axis=0)
    sums = jnp.matmul(chosen.T, z, precision="highest")
    # 1 in place of 0 only where the centre has neither weight nor rows, so that the numerator is 0 as well
    weight = jnp.maximum(counts - 1 + new, 1)
    moved = ((counts - 1)[:, None] * centers + sums) / weight[:, None]
    return jnp.where((new > 0)[:, None], moved, centers), counts + new


@dataclasses.dataclass(frozen=True, kw_only=True)
class DCNSettings(ReconstructionSettings, PretrainSettings, Settings):
    """Settings of DCN."""

    epochs: int = setting(50, "Passes through the data after the autoencoder.")
    lr: Number = setting(
        1e-4,
        "Rate of `optimizer` after the autoencoder, where the authors take 1e-4 to 5e-3; the wider the rows, the "
        "smaller it has to be, since the error is summed over their elements (1e-3 diverges on 561 features).",
    )
    optimizer: Literal["sgd", "adam"] = setting("sgd", "Optimiser after the autoencoder; SGD has momentum 0.9.")
    lam: Number = setting(1.0, "Weight of the reconstruction error, λ in the paper, a sum over a row's elements.")
    distance_weight: Number = setting(1.0, "Weight of the squared distance to the nearest centre, β in the paper.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DCNTask(Task):
    """Reconstruction, and the squared distance to the nearest centre; means over the batch.

    Attributes
    ----------
    config : DCNConfig
        Its traced numbers are in ``hyper``.
    """

    config: "DCNConfig"

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centres by k-means on the latent rows of the autoencoder."""
        params, rest, _ = carry
        z = embed(self.config.network, params["net"], rest, data.x)
        centers = starting_centers(key, z, self.config.n_clusters, n_init=self.config.n_init)
        return params, _Rest(rest, centers, jnp.full(self.config.n_clusters, _SEEN, z.dtype)), {}

    def optimizer(self) -> optax.GradientTransformation:
        """SGD with momentum 0.9, or Adam."""
        return direction(self.config.optimizer)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Both terms; the centres, constant in them, follow the batch's rows afterwards."""
        (code, found), net = self.config.network.autoencode(
            params["net"], rest.net, batch.x, batch.groups, train=True, key=key
        )
        squared = jnp.sum((code.z[:, None, :] - rest.centers) ** 2, -1)
        centers, counts = followed(
            rest.centers, rest.counts, jax.lax.stop_gradient(code.z), jnp.argmin(squared, axis=1)
        )
        terms = {
            "reconstruction": hyper["lam"] * batch.x[0].size * jnp.mean(reconstruction_loss(batch.x, found)),
            "clustering": hyper["distance_weight"] * jnp.mean(jnp.min(squared, axis=1)),
        }
        return terms, _Rest(net, centers, counts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DCNConfig(DCNSettings, Config):
    """Settings with a network; see `DCN`."""

    def tasks(self, data: Data) -> list[Task]:
        """The autoencoder, then the joint stage."""
        pretraining = autoencoder_tasks(self.network, data, self, steps=self.pretrain_steps, recon=self.recon)
        steps = self.epochs * steps_per_epoch(len(data.x), self.batch_size)
        return [*pretraining, DCNTask(name="DCN", steps=steps, batch_size=self.batch_size, config=static(self))]

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """The centres as they are in the end."""
        rest = state.rest
        return Clusterer(state.params["net"], rest.net, rest.centers, jnp.ones((), rest.centers.dtype))


@estimator
class DCN(DeepClusterer, DCNSettings):
    """Deep clustering network (Yang, Fu, Sidiropoulos, Hong, ICML 2017), which knows nothing of groups.

    An autoencoder, k-means on its latent rows, then both together: reconstruction and the squared distance of a latent
    row to the nearest centre, while the centres follow their rows.

    Examples
    --------
    >>> from fairjax.deep import DCN
    >>> DCN(3, distance_weight=0.1).distance_weight
    0.1
    """

    config_type = DCNConfig
    command = "dcn"
    title = "deep clustering network (DCN)"
    short: ClassVar[dict[str, Any]] = {"batch_size": 128, "pretrain_steps": 1500, "epochs": 20}
