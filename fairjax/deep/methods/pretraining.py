"""What the methods share: passing all rows through an encoder, autoencoder training, first centres."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from fairjax import kmeans
from fairjax.deep.methods.losses import reconstruction_loss
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, direction
from fairjax.errors import InputError

_DECAY_EPOCHS = 100  # of layer-wise training, after which its rate falls to a tenth


def starting_centers(key: Array, z: Array, n_clusters: int, *, n_init: int, weights: Array | None = None) -> Array:
    """Centres (K, d) by k-means on latent rows."""
    return kmeans.fit(key, z, n_clusters, weights, n_init=n_init).centers


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderTask(Task):
    """Train an autoencoder to give its input back; a variational one pays its divergence too.

    With ``models="group"`` there is one autoencoder for each group, all trained in the same step on their own rows:
    their losses add up, and no gradient passes between them.

    Attributes
    ----------
    network : Network or OwnNetwork
    models : {"one", "group"}
    start : {"new", "carry"}
        Draw the networks, or go on with those of the stage before.
    recon : {"mse", "bce"}
    sum_pixels : bool
        Sum over a row's elements in place of their mean: the scale that belongs to the divergence.
    corruption : float
        Share of the inputs that are set to zero (denoising).
    optimizer_name, weight_decay
        See `direction`.
    rate_name : {"pretrain_lr", "layer_lr"}
        Which entry of ``hyper`` is the rate; the weight of the divergence is ``hyper["beta"]``.
    decay_every : int
        Steps after which the rate falls to a tenth; 0 for never.
    """

    network: Network | OwnNetwork
    models: str = "one"
    start: str = "new"
    recon: str = "mse"
    sum_pixels: bool = False
    corruption: float = 0.0
    optimizer_name: str = "adam"
    weight_decay: float = 0.0
    rate_name: str = "pretrain_lr"
    decay_every: int = 0

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """New networks; what the stage before trained is kept aside."""
        if self.start == "carry":
            return carry
        if self.models == "one":
            params, rest = self.network.init(key)
            return {"net": params}, rest, {}
        params, rest = jax.vmap(self.network.init)(jax.random.split(key, data.n_groups))
        return {"net": params}, rest, {"joint": carry[:2]}

    def optimizer(self) -> optax.GradientTransformation:
        """Adam or SGD, as chosen."""
        return direction(self.optimizer_name, self.weight_decay)

    def rate(self, hyper: Any, step: Array) -> Any:
        """Constant, or a tenth every `decay_every` steps."""
        rate = hyper[self.rate_name]
        return rate * 0.1 ** (step // self.decay_every) if self.decay_every else rate

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Mean over the batch of reconstruction error and divergence."""
        if self.models == "one":
            return self._terms(params["net"], rest, hyper, batch.x, batch.groups, key)
        n_models = jax.tree.leaves(params)[0].shape[0]
        x = batch.x.reshape(n_models, -1, *batch.x.shape[1:])
        alone = jnp.zeros(x.shape[:2], jnp.int32)  # each network has one branch
        terms, rest = jax.vmap(self._terms, in_axes=(0, 0, None, 0, 0, 0))(
            params["net"], rest, hyper, x, alone, jax.random.split(key, n_models)
        )
        return jax.tree.map(jnp.sum, terms), rest

    def _terms(
        self, params: Any, rest: Any, hyper: Any, x: Array, groups: Array, key: Array
    ) -> tuple[dict[str, Array], Any]:
        encode_key, corrupt_key = jax.random.split(key)
        seen = x
        if self.corruption:
            seen = jnp.where(jax.random.bernoulli(corrupt_key, self.corruption, x.shape), 0, x / (1 - self.corruption))
        (code, found), rest = self.network.autoencode(params, rest, seen, groups, train=True, key=encode_key)
        factor = x[0].size if self.sum_pixels else 1
        terms = {
            "reconstruction": factor * jnp.mean(reconstruction_loss(x, found, self.recon)),
            "divergence": hyper["beta"] * jnp.mean(code.kl),
        }
        return terms, rest


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerTask(Task):
    """One layer of a stacked autoencoder learns to reconstruct what those below it give.

    Attributes
    ----------
    network : Network of kind "sdae" or "mlp"
    layer : int
    decay_every : int
        Steps after which the rate falls to a tenth.
    """

    network: Network
    layer: int
    decay_every: int
    optimizer_name: str = "sgd"

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """New network for the first layer, that of the layer below for the others."""
        if self.layer:
            return carry
        params, rest = self.network.init(key)
        return {"net": params}, rest, {}

    def optimizer(self) -> optax.GradientTransformation:
        """SGD with momentum, or Adam."""
        return direction(self.optimizer_name)

    def rate(self, hyper: Any, step: Array) -> Any:
        """Falls to a tenth every `decay_every` steps."""
        return hyper["layer_lr"] * 0.1 ** (step // self.decay_every)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Mean squared error of the layer."""

        def use(module: Any, x: Array, groups: Array) -> tuple[Array, Array]:
            return module.layer_pass(x, groups, self.layer, key)

        (target, found), rest = self.network.call(params["net"], rest, use, batch.x, batch.groups)
        return {"reconstruction": jnp.mean((found - target) ** 2)}, rest


def autoencoder_tasks(
    network: Network | OwnNetwork,
    data: Data,
    *,
    pretrain: str,
    steps: int,
    layer_steps: int,
    batch: int,
    recon: str = "mse",
    sum_pixels: bool = False,
    corruption: float = 0.0,
    weight_decay: float = 0.0,
) -> list[Task]:
    """Stages of an autoencoder's training.

    Parameters
    ----------
    network, data : Network or OwnNetwork, Data
    pretrain : {"end2end", "layerwise"}
        Adam on the whole at the rate ``hyper["pretrain_lr"]``; or one layer after the other and then the whole, all by
        SGD at ``hyper["layer_lr"]``, a tenth of it after every 100 epochs.
    steps, layer_steps : int
        Of the whole, and of each layer.
    batch, recon, sum_pixels, corruption, weight_decay
        See `AutoencoderTask`; the last four are of the whole.

    Raises
    ------
    InputError
        If a network has no layers to train one by one.
    """
    whole = AutoencoderTask(
        name="autoencoder",
        steps=steps,
        batch=batch,
        network=network,
        recon=recon,
        sum_pixels=sum_pixels,
        corruption=corruption,
        weight_decay=weight_decay,
    )
    if pretrain == "end2end":
        return [whole]
    if not isinstance(network, Network) or network.kind not in ("sdae", "mlp"):
        raise InputError("pretrain='layerwise' takes a network of dense layers: network='sdae' or 'mlp'")
    depth = len(dict(network.options).get("hidden", (128, 64))) + 1  # type: ignore[arg-type]
    decay_every = _DECAY_EPOCHS * steps_per_epoch(len(data.x), batch)
    layers = [
        LayerTask(
            name=f"layer {layer + 1}",
            steps=layer_steps,
            batch=batch,
            network=network,
            layer=layer,
            decay_every=decay_every,
        )
        for layer in range(depth)
    ]
    slow: dict[str, Any] = {"optimizer_name": "sgd", "rate_name": "layer_lr", "decay_every": decay_every}
    return [*layers, dataclasses.replace(whole, start="carry", **slow)]
