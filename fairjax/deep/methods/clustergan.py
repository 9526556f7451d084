"""ClusterGAN: clustering in the latent space of a generator (S. Mukherjee et al., AAAI 2019).

A generator makes rows of noise and a cluster's number, a critic tells them from real ones, and an encoder learns to
find noise and number again. Real rows are then encoded and clustered by k-means. It knows nothing of groups.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from fairjax.deep.methods.assigning import Clusterer, assign
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import DeepClusterer, estimator
from fairjax.deep.methods.losses import gradient_penalty, inversion_loss
from fairjax.deep.methods.pretraining import starting_centers
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, Settings, setting, static
from fairjax.deep.nets.choice import Family
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.errors import InputError

__all__ = ["ClusterGAN", "ClusterGANConfig", "ClusterGANSettings", "ClusterGANTask", "Result", "draw_codes", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterGANSettings(Settings):
    """Settings of ClusterGAN."""

    n_noise: int = setting(30, "Numbers of noise beside the cluster, of which a row is generated.")
    noise: Number = setting(0.1, "Standard deviation of the noise, so small that clusters stay apart.", above=0.0)
    rounds: int = setting(500_000, "Rounds, of `critic_steps` steps of the critic and one of generator and encoder.")
    critic_steps: int = setting(5, "Steps of the critic in a round.")
    batch_size: int = setting(64, "Rows per step.")
    lr: Number = setting(1e-4, "Adam's rate.")
    penalty: Number = setting(10.0, "Weight of the penalty on the critic's slope.")
    noise_weight: Number = setting(10.0, "Weight of the error in the noise that the encoder finds; the paper's β_n.")
    code_weight: Number = setting(10.0, "Weight of the cross-entropy of the cluster that it finds; the paper's β_c.")


def draw_codes(key: Array, n_rows: int, n_noise: int, n_clusters: int, noise: Any) -> Array:
    """Noise and one-hot clusters (n, n_noise + K), each cluster as likely."""
    noise_key, cluster_key = jax.random.split(key)
    z = noise * jax.random.normal(noise_key, (n_rows, n_noise))
    clusters = jax.random.randint(cluster_key, (n_rows,), 0, n_clusters)
    return jnp.concatenate([z, jax.nn.one_hot(clusters, n_clusters, dtype=z.dtype)], axis=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterGANTask(Task):
    """The one stage of ClusterGAN, in which steps of the critic and of the networks take turns.

    Attributes
    ----------
    config : ClusterGANConfig
        Its traced numbers are in ``hyper``.
    critic : Network
    """

    config: "ClusterGANConfig"
    critic: Network

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """New networks."""
        net_key, critic_key = jax.random.split(key)
        params, rest = self.config.network.init(net_key)
        return {"net": params, "critic": self.critic.init(critic_key).params}, rest, {}

    def optimizer(self) -> optax.GradientTransformation:
        """Adam for the part whose turn it is; the other's moments do not move, as they would at a rate of 0."""

        def in_turn(critic: bool) -> optax.GradientTransformation:
            adam = optax.scale_by_adam(b1=0.5, b2=0.9)
            return optax.conditionally_mask(adam, lambda step: self._iteration_of_critic(step) == critic)

        return optax.partition({"net": in_turn(False), "critic": in_turn(True)}, {"net": "net", "critic": "critic"})

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """The critic's terms or those of generator and encoder, as means over the batch; the others are 0."""
        config, network = self.config, self.config.network
        code_key, mix_key = jax.random.split(key)
        drawn = draw_codes(code_key, len(batch.x), config.n_noise, config.n_clusters, hyper["noise"])
        drawn = drawn.astype(batch.x.dtype)

        def generate(net: Any) -> tuple[Array, Any]:
            return network.call(net, rest, lambda module, z, g: module.decode(z, g, train=True), drawn, batch.groups)

        def judge(critic: Any, x: Array) -> Array:
            return self.critic.call(critic, {}, lambda module, x: module(x), x)[0][:, 0]

        zero = jnp.zeros((), batch.x.dtype)
        none = dict.fromkeys(("real", "drawn", "slope", "generator", "noise", "code"), zero)

        def of_critic() -> tuple[dict[str, Array], Any]:
            made, renewed = lax.stop_gradient(generate(params["net"]))
            share = jax.random.uniform(mix_key)  # one for the whole batch, as in the authors' code
            mixed = share * batch.x + (1 - share) * made
            slope = gradient_penalty(lambda x: judge(params["critic"], x), mixed)
            terms = {
                "real": jnp.mean(judge(params["critic"], batch.x)),
                "drawn": -jnp.mean(judge(params["critic"], made)),
                "slope": hyper["penalty"] * slope,
            }
            return none | terms, renewed

        def of_networks() -> tuple[dict[str, Array], Any]:
            made, renewed = generate(params["net"])
            found, _ = network.call(params["net"], rest, lambda module, x: module.invert(x), made)
            noise, code = inversion_loss(found, drawn, config.n_noise)
            # the authors' sign: the critic is low on real rows, and the generator makes it low
            terms = {
                "generator": jnp.mean(judge(lax.stop_gradient(params["critic"]), made)),
                "noise": hyper["noise_weight"] * noise,
                "code": hyper["code_weight"] * code,
            }
            return none | terms, renewed

        return lax.cond(self._iteration_of_critic(step), of_critic, of_networks)

    def _iteration_of_critic(self, step: Array) -> Array:
        return step % (self.config.critic_steps + 1) < self.config.critic_steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterGANConfig(ClusterGANSettings, Config):
    """Settings with a network; see `ClusterGAN`."""

    def tasks(self, data: Data) -> list[Task]:
        """One, over all rounds."""
        network, wanted = self.network, self.n_noise + self.n_clusters
        if not isinstance(network, Network) or network.kind != "gan":
            raise InputError("ClusterGAN trains the network 'gan' alone, whose encoder inverts its generator")
        if network.n_latent != wanted or dict(network.options).get("n_noise", 30) != self.n_noise:
            raise InputError(
                f"the network's latent rows hold {network.n_latent} numbers; expected n_noise + n_clusters = {wanted}, "
                "and its option n_noise the same as the setting: leave n_latent out"
            )
        critic = Network(kind="gan-critic", shape=network.shape, n_latent=1, compute=network.compute)
        steps = self.rounds * (self.critic_steps + 1)
        return [
            ClusterGANTask(
                name="ClusterGAN", steps=steps, batch_size=self.batch_size, config=static(self), critic=critic
            )
        ]

    def finish(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """k-means on noise and clusters' probabilities as the encoder finds them."""
        net = state.params["net"]
        centers = starting_centers(
            key, embed(self.network, net, state.rest, data.x), self.n_clusters, n_init=self.n_init
        )
        clusterer = Clusterer(net, state.rest, centers, jnp.ones((), centers.dtype))
        return assign(self.soft, self.network, clusterer, data.x), clusterer


@estimator
class ClusterGAN(DeepClusterer, ClusterGANSettings):
    """Clustering in the latent space of a generator (Mukherjee et al., AAAI 2019), which knows nothing of groups.

    A generator makes rows of noise and a cluster's number, a critic compares them with real ones, an encoder learns to
    find noise and number again. Labels are k-means on what it finds for the real rows.

    Notes
    -----
    Among the deep methods this is the dearest to train: a round has six steps, and the authors take half a million.
    Images are 28 x 28 in the paper; vectors take the authors' network for pen strokes, with no batch normalisation in
    critic and encoder.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.deep import ClusterGAN
    >>> X = np.repeat(np.eye(4), 12, axis=0) + 0.05 * np.random.default_rng(0).normal(size=(48, 4))
    >>> model = ClusterGAN(4, n_noise=2, rounds=500, batch_size=16, random_state=0)
    >>> model.fit(X).embed(X).shape  # doctest: +SKIP
    (48, 6)
    """

    config_type = ClusterGANConfig
    command = "clustergan"
    title = "clustering in the latent space of a generator (ClusterGAN)"
    networks = Family(images="gan", vectors="gan", names=("gan",))
    short: ClassVar[dict[str, Any]] = {"rounds": 1_000}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(self.network, str):
            raise InputError("ClusterGAN takes no network of one's own: its encoder has to invert its generator")
        if self.n_latent is not None:
            raise InputError(f"n_latent={self.n_latent} has no place here: it is n_noise + n_clusters; leave it out")

    def _choose_network(self, shape: tuple[int, ...], n_groups: int) -> Network | OwnNetwork:
        network = super()._choose_network(shape, n_groups)
        assert isinstance(network, Network)
        options = (("n_noise", self.n_noise), *network.options)
        return dataclasses.replace(network, n_latent=self.n_noise + self.n_clusters, options=tuple(sorted(options)))
