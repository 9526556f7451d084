"""Training of an autoencoder, with which most methods begin, and the centres that they start from."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array

from fairjax import kmeans
from fairjax.deep.methods.losses import reconstruction_loss
from fairjax.deep.methods.settings import Number, setting
from fairjax.deep.nets.network import Network, is_vae
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, direction
from fairjax.errors import InputError

__all__ = [
    "AutoencoderSettings",
    "AutoencoderTask",
    "LayerTask",
    "PretrainSettings",
    "ReconstructionSettings",
    "autoencoder_tasks",
    "starting_centers",
]

_DECAY_EPOCHS = 100  # of layer-wise training, after which its rate falls to a tenth
_WEIGHT_DECAY = 5e-4  # DFC's in its pretraining, which belongs to the batch normalisation of its variational network


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReconstructionSettings:
    """The loss of an autoencoder."""

    recon: Literal["mse", "bce"] = setting(
        "mse", 'Reconstruction error of the autoencoder; "bce" takes values in [0, 1].'
    )
    beta: Number = setting(1.0, "Weight of a variational autoencoder's divergence.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderSettings:
    """How an autoencoder is trained, as a whole or layer by layer."""

    batch_size: int = setting(256, "Rows per step.")
    pretrain: Literal["end2end", "layerwise"] = setting(
        "end2end",
        'Train the whole autoencoder by Adam, or first layer by layer and then the whole, all by SGD ("layerwise", for '
        'the networks "sdae" and "mlp").',
    )
    layer_steps: int = setting(5_000, 'Steps of each layer in "layerwise" training.')
    layer_lr: Number = setting(0.1, 'Rate of "layerwise" training; it falls to a tenth after every 100 epochs.')
    corruption: float = setting(0.0, "Share of the autoencoder's inputs that are set to zero (denoising).", below=1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainSettings(AutoencoderSettings):
    """The same where the autoencoder is a first stage of several."""

    pretrain_steps: int = setting(10_000, "Steps of the whole autoencoder.")
    pretrain_lr: Number = setting(1e-3, "Adam's rate in the training of the autoencoder.")


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
    corruption : float
        Share of the inputs that are set to zero (denoising).
    optimizer_name : {"adam", "sgd"}
    rate_name : {"pretrain_lr", "layer_lr"}
        Which entry of ``hyper`` is the rate; the weight of the divergence is ``hyper["beta"]``.
    decay_every : int
        Steps after which the rate falls to a tenth; 0 for never.
    """

    network: Network | OwnNetwork
    models: str = "one"
    start: str = "new"
    recon: str = "mse"
    corruption: float = 0.0
    optimizer_name: str = "adam"
    rate_name: str = "pretrain_lr"
    decay_every: int = 0

    @property
    def sum_pixels(self) -> bool:
        """Whether errors are summed over a row's elements, in place of their mean: the scale of a divergence."""
        return is_vae(self.network)

    @property
    def weight_decay(self) -> float:
        """L2 added to the gradient."""
        return _WEIGHT_DECAY if is_vae(self.network) else 0.0

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
    network: Network | OwnNetwork, data: Data, settings: AutoencoderSettings, *, steps: int, recon: str = "mse"
) -> list[Task]:
    """Stages of an autoencoder's training.

    Parameters
    ----------
    network : Network or OwnNetwork
    data : Data
    settings : AutoencoderSettings
        Its rates are entries of ``hyper``: ``"pretrain_lr"`` of the whole, ``"layer_lr"`` of layer-wise training.
    steps : int
        Steps of the whole.
    recon : {"mse", "bce"}
        Reconstruction error of the whole.

    Raises
    ------
    InputError
        If a network has no layers to train one by one.
    """
    whole = AutoencoderTask(
        name="autoencoder",
        steps=steps,
        batch_size=settings.batch_size,
        network=network,
        recon=recon,
        corruption=settings.corruption,
    )
    if settings.pretrain == "end2end":
        return [whole]
    if not isinstance(network, Network) or network.kind not in ("sdae", "mlp"):
        raise InputError("pretrain='layerwise' takes a network of dense layers: network='sdae' or 'mlp'")
    depth = len(dict(network.options).get("hidden", (128, 64))) + 1  # type: ignore[arg-type]
    decay_every = _DECAY_EPOCHS * steps_per_epoch(len(data.x), settings.batch_size)
    layers = [
        LayerTask(
            name=f"layer {layer + 1}",
            steps=settings.layer_steps,
            batch_size=settings.batch_size,
            network=network,
            layer=layer,
            decay_every=decay_every,
        )
        for layer in range(depth)
    ]
    slow: dict[str, Any] = {"optimizer_name": "sgd", "rate_name": "layer_lr", "decay_every": decay_every}
    return [*layers, dataclasses.replace(whole, start="carry", **slow)]
