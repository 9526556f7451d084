"""FCMI: deep fair clustering by mutual information (P. Zeng et al., CVPR 2023).

An autoencoder with a decoder branch for each group, soft assignments by the cosine to centres that k-means renews
before every epoch, and two informations: that of cluster and point is raised, that of cluster and group lowered. Where
the paper and its public code differ, the defaults are the code's.
"""

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

from fairjax import kmeans
from fairjax.deep.methods.alone import ConsistencySettings, check_consistency, cluster_alone
from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import estimator
from fairjax.deep.methods.losses import (
    clustering_information,
    consistency_loss,
    cosine_log_assignment,
    group_information,
    reconstruction_loss,
)
from fairjax.deep.methods.restarts import Restarted, RestartSettings
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, Settings, setting, static
from fairjax.deep.methods.smoothing import Smooth, SmoothSettings, distances, smoothness
from fairjax.deep.methods.surfaces import GroupDecoders, LabelledGroups
from fairjax.deep.methods.views import ViewSettings, check_views, same_in_views
from fairjax.deep.nets.blocks import unit_rows
from fairjax.deep.nets.choice import Family
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.errors import InputError

__all__ = ["FCMI", "FCMIConfig", "FCMISettings", "FCMITask", "Result", "run"]

_ROWS_PER_CENTER = 1000  # k-means sees at most so many rows for each centre, drawn at random


@dataclasses.dataclass(frozen=True, kw_only=True)
class FCMISettings(ConsistencySettings, SmoothSettings, ViewSettings, RestartSettings, Settings):
    """Settings of FCMI."""

    n_init: int = setting(10)
    epochs: int = setting(300, "Passes through the data.")
    warmup_epochs: int = setting(20, "Passes in the beginning in which only the reconstruction counts.", least=0)
    batch_size: int = setting(512, "Rows per step.")
    lr: Number = setting(1e-3, "Adam's rate; that of the authors' code, where the paper prints 1e-4.")
    a_balance: Number = setting(
        0.04, "Weight of the clusters' evenness; 0 where classes are very unequal. The paper's α, as `a_onehot`."
    )
    a_onehot: Number = setting(0.04, "Weight of hard assignments.")
    group_weight: Number = setting(
        0.2, "Weight of the information of cluster and group, α(1 + γ) in the paper.", formerly="b"
    )
    tau: Number = setting(0.1, "Temperature of the soft assignment.", above=0.0)
    center_refresh: Literal["kmeans", "warm"] = setting(
        "kmeans",
        "Centres before every epoch: by k-means anew with `n_init` restarts, or by one run from the centres of the "
        "epoch before, which takes a third of the time on small data and gives similar results.",
    )
    reduction: Literal["mean", "sum"] = setting(
        "mean",
        "Reconstruction error as the mean over a row's elements, as in the authors' code, or as their sum, as the "
        "paper prints it; the other weights belong to the mean.",
    )
    labels: Literal["cosine", "kmeans"] = setting(
        "cosine",
        "Labels by the largest cosine to the centres of the last epoch, or by k-means on the final latent rows.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FCMITask(Task):
    """The one stage of FCMI: reconstruction alone for some epochs, then all terms.

    Attributes
    ----------
    config : FCMIConfig
        Its traced numbers are in ``hyper``.
    n_groups : int
    epoch : int
        Steps of an epoch.
    warmup : int
        Steps with the reconstruction alone.
    consistent : bool
        Whether there is a term of consistency (`fairjax.deep.methods.losses.consistency_loss`).
    smooth : bool
        Whether smoothness counts.
    viewed : bool
        Whether images are turned and moved, and have to be assigned as before.
    """

    config: "FCMIConfig"
    n_groups: int
    epoch: int
    warmup: int
    consistent: bool = False
    smooth: bool = False
    viewed: bool = False

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """New network; the centres come with the end of the warm-up."""
        params, rest = self.config.network.init(key)
        z = jax.eval_shape(lambda x: self.config.network.encode(params, rest, x)[0].z, data.x[:1])
        extra = distances(data, self.smooth) | {"centers": jnp.zeros((self.config.n_clusters, z.shape[1]), z.dtype)}
        if self.consistent:
            extra["alone"] = jnp.zeros(len(data.x), jnp.int32)
        return {"net": params}, rest, extra

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Centres by k-means on the latent rows, of length one, before every epoch after the warm-up."""
        alone_key = key
        if self.consistent:
            key, alone_key = jax.random.split(key)
        choice_key, fit_key = jax.random.split(key)

        def renew(centers: Array) -> Array:
            z = unit_rows(embed(self.config.network, state.params["net"], state.rest, data.x))
            if len(z) > _ROWS_PER_CENTER * self.config.n_clusters:
                z = jax.random.permutation(choice_key, z)[: _ROWS_PER_CENTER * self.config.n_clusters]

            def anew(_: Array) -> Array:
                return kmeans.fit(fit_key, z, self.config.n_clusters, n_init=self.config.n_init).centers

            if self.config.center_refresh == "warm":
                found = lax.cond(step <= self.warmup, anew, lambda old: kmeans.run(z, old).centers, centers)
            else:
                found = anew(centers)
            return unit_rows(found)

        due = (step % self.epoch == 0) & (step >= self.warmup)
        centers = lax.cond(due, renew, lambda old: old, state.extra["centers"])
        extra = state.extra | {"centers": centers}
        if self.consistent:
            extra["alone"] = lax.cond(
                step == self.warmup,
                lambda old: self._labels_alone(alone_key, state, data),
                lambda old: old,
                state.extra["alone"],
            )
        return state.params, extra, jnp.zeros((), bool)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Reconstruction, evenness and hardness of the clusters, information of cluster and group."""
        network = self.config.network

        def assign(params: Any, z: Array) -> Array:
            return cosine_log_assignment(unit_rows(z), extra["centers"], hyper["tau"])

        (code, found), renewed = network.autoencode(params["net"], rest, batch.x, batch.groups, train=True, key=key)
        log_c = assign(params, code.z)
        c = jnp.exp(log_c)
        balance, onehot = clustering_information(c)
        later = {
            "balance": hyper["a_balance"] * balance,
            "onehot": hyper["a_onehot"] * onehot,
            "group": hyper["group_weight"] * group_information(c, batch.groups, self.n_groups),
        }
        if self.consistent:
            # the temperature of this term is its own
            soft = jnp.exp(cosine_log_assignment(unit_rows(code.z), extra["centers"], hyper["consistency_tau"]))
            kept = consistency_loss(soft, extra["alone"][batch.rows], batch.groups, self.n_groups)
            later["consistency"] = hyper["consistency"] * kept
        if self.smooth:
            move_key = jax.random.fold_in(key, 1)
            later["smoothness"], _ = smoothness(
                move_key, network, rest, params, assign, batch, log_c, extra["distance"], hyper, key
            )
        if self.viewed:
            view_key = jax.random.fold_in(key, 2)
            later["views"], _ = same_in_views(view_key, network, rest, params, assign, batch, log_c, hyper, key)
        terms = {name: jnp.where(step >= self.warmup, term, 0) for name, term in later.items()}
        size = batch.x[0].size if self.config.reduction == "sum" else 1
        return {"reconstruction": size * jnp.mean(reconstruction_loss(batch.x, found)), **terms}, renewed

    def _labels_alone(self, key: Array, state: TrainState, data: Data) -> Array:
        """Labels (N,) of each group alone: those given, or by k-means on the latent rows."""
        if data.alone is not None:
            return data.alone
        z = unit_rows(embed(self.config.network, state.params["net"], state.rest, data.x))
        return cluster_alone(key, z, data, self.config.n_clusters, self.config.n_init)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FCMIConfig(FCMISettings, Smooth, Restarted, Config):
    """Settings with a network; see `FCMI`."""

    soft = "cosine"

    def tasks(self, data: Data) -> list[Task]:
        """One, over all epochs."""
        if self.epochs <= self.warmup_epochs:
            raise InputError(
                f"epochs={self.epochs} leaves nothing after warmup_epochs={self.warmup_epochs}; take more epochs"
            )
        epoch = steps_per_epoch(len(data.x), self.batch_size)
        return [
            FCMITask(
                name="FCMI",
                steps=self.epochs * epoch,
                batch_size=self.batch_size,
                config=static(self),
                n_groups=data.n_groups,
                epoch=epoch,
                warmup=self.warmup_epochs * epoch,
                consistent=check_consistency(self, data),
                smooth=self.smooth,
                viewed=check_views(self, data),
            )
        ]

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """The centres of the last epoch."""
        return Clusterer(state.params["net"], state.rest, state.extra["centers"], state.hyper["tau"])

    def finish(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """Labels as chosen; with those of k-means, its centres assign new rows."""
        if self.labels == "cosine":
            return super().finish(state, data, key)
        z = unit_rows(embed(self.network, state.params["net"], state.rest, data.x))
        found = kmeans.fit(key, z, self.n_clusters, n_init=self.n_init)
        clusterer = Clusterer(state.params["net"], state.rest, unit_rows(found.centers), state.hyper["tau"])
        return found.labels.astype(jnp.int32), clusterer


@estimator
class FCMI(LabelledGroups, GroupDecoders, FCMISettings):
    """Deep fair clustering by mutual information (Zeng et al., CVPR 2023).

    An autoencoder with a decoder branch for each group; soft assignments by the cosine to centres that k-means renews
    before every epoch; the information of cluster and point is raised, that of cluster and group lowered.

    Notes
    -----
    Data in [0, 1] are brought to [-1, 1], where the weights belong. Many groups are served by one grouped product: rows
    pay for their own branch only, though every branch's weights are read and updated in each step.

    Examples
    --------
    >>> from fairjax import datasets
    >>> from fairjax.deep import FCMI
    >>> data = datasets.load_reverse_digits()
    >>> model = FCMI(10, epochs=40, warmup_epochs=15, batch_size=128, random_state=0)
    >>> model = model.fit(data.X, sensitive_features=data.sensitive)  # doctest: +SKIP
    """

    config_type = FCMIConfig
    command = "fcmi"
    title = "deep fair clustering by mutual information (FCMI)"
    # the loss has no divergence, which "vae" would ask for; "fc" is the authors' wide network
    networks = Family(vectors="fc", unit_norm=True, names=("mlp", "sdae", "fc", "conv"))
    short: ClassVar[dict[str, Any]] = {"batch_size": 128, "epochs": 60, "center_refresh": "warm"}

    @classmethod
    def suggested(cls, n_rows: int, n_groups: int) -> dict[str, Any]:
        """Warm centres in any case: the same result in a third of the time."""
        return {"center_refresh": "warm"} | super().suggested(n_rows, n_groups)
