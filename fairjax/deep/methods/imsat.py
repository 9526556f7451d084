"""IMSAT: a network trained for informative and smooth assignments (W. Hu et al., ICML 2017).

It has no decoder and no centres: its last layer gives a logit for each cluster. The information of cluster and row is
raised, and assignments stay the same in the direction in which they change most. It knows nothing of groups, but for
the neighbours that say how far a row is moved, which are of the row's own group.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import DeepClusterer, estimator
from fairjax.deep.methods.losses import clustering_information
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, Settings, setting, static
from fairjax.deep.methods.smoothing import Smooth, SmoothSettings, distances, smoothness
from fairjax.deep.nets.choice import Family
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.errors import InputError

__all__ = [
    "CLASSIFIERS", "IMSAT", "IMSATConfig", "IMSATSettings", "IMSATTask", "InformativeConfig", "Result", "check_logits",
    "informative_terms", "log_of_logits", "logit_clusterer", "run",
]  # fmt: skip

CLASSIFIERS = Family(images="classifier", vectors="classifier", names=("classifier", "conv-classifier"), signed=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InformationSettings(SmoothSettings):
    """Settings of IMSAT's loss."""

    vat_weight: Number = setting(1.0)
    information: Number = setting(0.1, "Weight of the information of cluster and row; the paper's λ.")
    evenness: Number = setting(
        4.0, "Weight of the clusters' evenness within it; the paper's μ, 1 for the plain information."
    )
    prior: tuple[float, ...] | None = setting(
        None,
        "Shares of the clusters (K,), where they are known to be unequal; None means equal ones.",
        words="tuple of float, optional",
    )
    prior_gap: Number = setting(
        0.01, "With `prior`: divergence of the clusters' shares from it that costs nothing, in nats."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class IMSATSettings(InformationSettings, Settings):
    """Settings of IMSAT."""

    n_init: int = setting(
        1, "Trainings from starts of their own, at once; kept is the one of most information and smoothness."
    )
    epochs: int = setting(50, "Passes through the data.")
    batch_size: int = setting(250, "Rows per step.")
    lr: Number = setting(2e-3, "Adam's rate.")


def log_of_logits(params: Any, z: Array) -> Array:
    """Logarithm (n, K) of the soft assignment from logits."""
    return jax.nn.log_softmax(z, axis=1)


def informative_terms(q: Array, hyper: Any, prior: tuple[float, ...] | None) -> dict[str, Array]:
    """λ (H(Y|X) − μ H(Y)), by its two parts; with a prior μ times what KL(shares ‖ prior) has above its allowance.

    Parameters
    ----------
    q : Array (n, K)
        Soft assignments.
    hyper : dict
        Has ``information``, ``evenness``, ``prior_gap``.
    prior : tuple of float, optional
        Static.
    """
    negative_entropy, onehot = clustering_information(q)
    even = negative_entropy
    if prior is not None:
        shares = jnp.mean(q, axis=0)
        gap = negative_entropy - jnp.sum(shares * jnp.log(jnp.asarray(prior, q.dtype)))
        even = jnp.maximum(gap - hyper["prior_gap"], 0)
    weight = hyper["information"]
    return {"balance": weight * hyper["evenness"] * even, "onehot": weight * onehot}


@dataclasses.dataclass(frozen=True, kw_only=True)
class IMSATTask(Task):
    """The one stage of IMSAT.

    Attributes
    ----------
    config : IMSATConfig
        Its traced numbers are in ``hyper``.
    smooth : bool
        Whether smoothness counts.
    """

    config: "IMSATConfig"
    smooth: bool = True

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """New network."""
        params, rest = self.config.network.init(key)
        return {"net": params}, rest, distances(data, self.smooth)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Smoothness, evenness and hardness, as means over the batch."""
        network = self.config.network
        pass_key, move_key = jax.random.split(key)
        code, renewed = network.encode(params["net"], rest, batch.x, train=True, key=pass_key)
        log_q = log_of_logits(params, code.z)
        terms = informative_terms(jnp.exp(log_q), hyper, self.config.prior)
        if self.smooth:
            terms["smoothness"], _ = smoothness(
                move_key, network, rest, params, log_of_logits, batch, log_q, extra["distance"], hyper, pass_key
            )
        return terms, renewed


@dataclasses.dataclass(frozen=True, kw_only=True)
class InformativeConfig(IMSATSettings, Smooth, Config):
    """Settings with a network whose outputs are logits: what `IMSAT` and `FairIMSAT` have in common."""

    soft = "logits"

    def __post_init__(self) -> None:
        """Refuse a prior that is none."""
        super().__post_init__()
        object.__setattr__(self, "prior", checked_prior(self.prior, self.n_clusters))

    @property
    def starts(self) -> int:
        """As many as `n_init` says."""
        return self.n_init


@dataclasses.dataclass(frozen=True, kw_only=True)
class IMSATConfig(InformativeConfig):
    """Settings with a network; see `IMSAT`."""

    def tasks(self, data: Data) -> list[Task]:
        """One, over all epochs."""
        check_logits(self.network, data, self.n_clusters)
        steps = self.epochs * steps_per_epoch(len(data.x), self.batch_size)
        return [
            IMSATTask(
                name="IMSAT", steps=steps, batch_size=self.batch_size, config=static(self), smooth=self.smooth
            )
        ]  # fmt: skip

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """The network alone."""
        return logit_clusterer(state, self.n_clusters)


def logit_clusterer(state: TrainState, n_clusters: int, prices: Any = ()) -> Clusterer:
    """What assigns rows by logits."""
    dtype = jax.tree.leaves(state.params["net"])[0].dtype
    return Clusterer(state.params["net"], state.rest, jnp.eye(n_clusters, dtype=dtype), jnp.ones((), dtype), prices)


def check_logits(network: Network | OwnNetwork, data: Data, n_clusters: int) -> None:
    """Refuse a network whose last layer has not one output for each cluster."""

    def logits(x: Array) -> Array:
        return network.encode(*network.init(jax.random.key(0)), x, key=jax.random.key(0))[0].z

    found = jax.eval_shape(logits, data.x[:1]).shape[1]
    if found != n_clusters:
        raise InputError(
            f"the network has {found} outputs; expected a logit for each of n_clusters={n_clusters}: leave n_latent "
            "out, or give the last layer of your own network as many"
        )


def checked_prior(prior: Any, n_clusters: int) -> tuple[float, ...] | None:
    """The clusters' shares as a tuple.

    Raises
    ------
    InputError
    """
    if prior is None:
        return None
    try:
        shares = np.asarray(prior, float)
    except (TypeError, ValueError):
        shares = np.zeros(0)
    if shares.shape != (n_clusters,) or not np.all(shares > 0) or abs(shares.sum() - 1) > 1e-3:
        raise InputError(
            f"prior is {prior!r}; expected {n_clusters} positive shares that sum to 1, one for each cluster, or None"
        )
    return tuple(float(share) for share in shares / shares.sum())


@estimator
class IMSAT(DeepClusterer, IMSATSettings):
    """Information maximising self-augmented training (Hu et al., ICML 2017), which knows nothing of groups.

    A network D-1200-1200-K without decoder; images are taken as vectors of their pixels, or by convolutions
    (``network="conv-classifier"``). The information of cluster and row is raised, while the assignment of a row stays
    the same when it is moved in the direction in which it changes most, by a quarter of the distance to its tenth
    neighbour. Groups count in that alone: neighbours are those of the row's own group.

    Notes
    -----
    The neighbours are found once per fit, by products of all rows of a group with all others. A step costs about three
    times as much as without smoothness. Data in [0, 1] are brought to [-1, 1], for which `vat_step` is meant.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.deep import IMSAT
    >>> X = np.repeat(np.eye(4), 12, axis=0) + 0.05 * np.random.default_rng(0).normal(size=(48, 4))
    >>> model = IMSAT(4, epochs=20, batch_size=16, random_state=0).fit(X)
    >>> model.labels_.shape, model.predict_proba(X).shape
    ((48,), (48, 4))
    """

    config_type = IMSATConfig
    command = "imsat"
    title = "information maximising self-augmented training (IMSAT)"
    networks = CLASSIFIERS

    def _check_parameters(self) -> None:
        super()._check_parameters()
        checked_prior(self.prior, self.n_clusters)
