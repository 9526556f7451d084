"""DCN: deep clustering network (B. Yang, X. Fu, N. Sidiropoulos, M. Hong, ICML 2017); it knows nothing of groups.

An autoencoder whose latent rows are drawn to the nearest of K centres, and centres that follow their rows as in k-means
on a stream: ``L = λ‖x − x'‖² + β‖z − m_a(z)‖²``.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.losses import reconstruction_loss
from fairjax.deep.methods.pretraining import autoencoder_tasks, starting_centers
from fairjax.deep.methods.running import Result, run
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, TrainState, direction
from fairjax.errors import InputError

__all__ = ["DCNConfig", "DCNTask", "Result", "followed", "run"]

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
    centers : (K, d)
    counts : (K,) of at least 1
    z : (n, d)
    labels : (n,) the centre that each row moves.

    Returns
    -------
    centers, counts
        In closed form, since the rows of a centre weigh the same whatever their order.

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
class DCNTask(Task):
    """Reconstruction, and the squared distance to the nearest centre; means over the batch.

    Attributes
    ----------
    network : Network or OwnNetwork
    n_clusters, n_init : int
        Centres, and the restarts of k-means that they come from.
    optimizer_name : {"sgd", "adam"}
    """

    network: Network | OwnNetwork
    n_clusters: int
    n_init: int
    optimizer_name: str

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centres by k-means on the latent rows of the autoencoder."""
        params, rest, _ = carry
        z = embed(self.network, params["net"], rest, data.x)
        centers = starting_centers(key, z, self.n_clusters, n_init=self.n_init)
        return params, _Rest(rest, centers, jnp.full(self.n_clusters, _SEEN, z.dtype)), {}

    def optimizer(self) -> optax.GradientTransformation:
        """SGD with momentum 0.9, or Adam."""
        return direction(self.optimizer_name)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Both terms; the centres, constant in them, follow the batch's rows afterwards."""
        (code, found), net = self.network.autoencode(
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
class DCNConfig(Config):
    """Settings; see `fairjax.deep.DCN`. The numbers may be (S,) arrays, one for each seed.

    Attributes
    ----------
    pretrain, pretrain_steps, layer_steps, pretrain_lr, layer_lr, beta, recon, sum_pixels, corruption,
    pretrain_weight_decay
        Autoencoder training, as `fairjax.deep.methods.aekmeans.AEKMeansConfig`.
    epochs, lr, optimizer
        Of the joint stage. Its reconstruction error is a sum over a row's elements: the wider the rows, the smaller the
        rate has to be (1e-3 diverges on 561 features).
    lam, distance_weight : float
        Weights λ and β of its two terms.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "pretrain": ("end2end", "layerwise"),
        "recon": ("mse", "bce"),
        "optimizer": ("sgd", "adam"),
    }

    pretrain: str = "end2end"
    pretrain_steps: int = 10_000
    layer_steps: int = 5_000
    pretrain_lr: Any = 1e-3
    layer_lr: Any = 0.1
    beta: Any = 1.0
    recon: str = "mse"
    sum_pixels: bool = False
    corruption: float = 0.0
    pretrain_weight_decay: float = 0.0
    epochs: int = 50
    lr: Any = 1e-4
    optimizer: str = "sgd"
    lam: Any = 1.0
    distance_weight: Any = 1.0

    def tasks(self, data: Data) -> list[Task]:
        """The autoencoder, then the joint stage."""
        if self.recalibrate_bn:
            raise InputError("recalibrate_bn=True belongs to methods that draw from each group; leave it out of DCN")
        pretraining = autoencoder_tasks(
            self.network,
            data,
            pretrain=self.pretrain,
            steps=self.pretrain_steps,
            layer_steps=self.layer_steps,
            batch=self.batch,
            recon=self.recon,
            sum_pixels=self.sum_pixels,
            corruption=self.corruption,
            weight_decay=self.pretrain_weight_decay,
        )
        joint = DCNTask(
            name="DCN",
            steps=self.epochs * steps_per_epoch(len(data.x), self.batch),
            batch=self.batch,
            network=self.network,
            n_clusters=self.n_clusters,
            n_init=self.n_init,
            optimizer_name=self.optimizer,
        )
        return [*pretraining, joint]

    def hyper(self) -> dict[str, Any]:
        """Rates and weights."""
        names = ("pretrain_lr", "layer_lr", "beta", "lr", "lam", "distance_weight")
        return {name: getattr(self, name) for name in names}

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """The centres as they are in the end."""
        rest = state.rest
        return Clusterer(state.params["net"], rest.net, rest.centers, jnp.ones((), rest.centers.dtype))
