"""FCMI: deep fair clustering by mutual information (P. Zeng et al., CVPR 2023).

An autoencoder with a decoder branch for each group, soft assignments by the cosine to centres that k-means renews
before every epoch, and two informations: that of cluster and point is raised, that of cluster and group lowered. Where
the paper and its public code differ, the defaults are the code's.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fairjax import kmeans
from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.losses import (
    clustering_information,
    consistency_loss,
    cosine_log_assignment,
    group_information,
    reconstruction_loss,
)
from fairjax.deep.methods.running import Result, run
from fairjax.deep.nets.blocks import unit_rows
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data, present, steps_per_epoch
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.errors import InputError

__all__ = ["FCMIConfig", "FCMITask", "Result", "run"]

_ROWS_PER_CENTER = 1000  # k-means sees at most so many rows for each centre, drawn at random


@dataclasses.dataclass(frozen=True, kw_only=True)
class FCMITask(Task):
    """The one stage of FCMI: reconstruction alone for some epochs, then all terms.

    Attributes
    ----------
    network : Network or OwnNetwork
    n_clusters, n_groups, n_init : int
    epoch : int
        Steps of an epoch.
    warmup : int
        Steps with the reconstruction alone.
    center_refresh : {"kmeans", "warm"}
        Before every epoch, k-means anew with `n_init` restarts, or one run from the centres of the epoch before.
    consistent : bool
        Keep what a clustering of each group alone finds at the end of the warm-up
        (`fairjax.deep.methods.losses.consistency_loss`).
    sum_pixels : bool
        Sum the reconstruction error over a row's elements, as the paper prints it, in place of their mean.
    """

    network: Network | OwnNetwork
    n_clusters: int
    n_groups: int
    n_init: int
    epoch: int
    warmup: int
    center_refresh: str
    consistent: bool = False
    sum_pixels: bool = False

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """New network; the centres come with the end of the warm-up."""
        params, rest = self.network.init(key)
        z = jax.eval_shape(lambda x: self.network.encode(params, rest, x)[0].z, data.x[:1])
        extra = {"centers": jnp.zeros((self.n_clusters, z.shape[1]), z.dtype)}
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
            z = unit_rows(embed(self.network, state.params["net"], state.rest, data.x))
            if len(z) > _ROWS_PER_CENTER * self.n_clusters:
                z = jax.random.permutation(choice_key, z)[: _ROWS_PER_CENTER * self.n_clusters]

            def anew(_: Array) -> Array:
                return kmeans.fit(fit_key, z, self.n_clusters, n_init=self.n_init).centers

            if self.center_refresh == "warm":
                found = lax.cond(step <= self.warmup, anew, lambda old: kmeans.run(z, old).centers, centers)
            else:
                found = anew(centers)
            return unit_rows(found)

        due = (step % self.epoch == 0) & (step >= self.warmup)
        centers = lax.cond(due, renew, lambda old: old, state.extra["centers"])
        extra = {"centers": centers}
        if self.consistent:
            extra["alone"] = lax.cond(
                step == self.warmup,
                lambda old: self._cluster_groups(alone_key, state, data),
                lambda old: old,
                state.extra["alone"],
            )
        return state.params, extra, jnp.zeros((), bool)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Reconstruction, evenness and hardness of the clusters, information of cluster and group."""
        (code, found), rest = self.network.autoencode(params["net"], rest, batch.x, batch.groups, train=True, key=key)
        c = jnp.exp(cosine_log_assignment(unit_rows(code.z), extra["centers"], hyper["tau"]))
        balance, onehot = clustering_information(c)
        later = {
            "balance": hyper["a_balance"] * balance,
            "onehot": hyper["a_onehot"] * onehot,
            "group": hyper["b"] * group_information(c, batch.groups, self.n_groups),
        }
        if self.consistent:
            # the temperature of this term is its own
            soft = jnp.exp(cosine_log_assignment(unit_rows(code.z), extra["centers"], hyper["consistency_tau"]))
            kept = consistency_loss(soft, extra["alone"][batch.rows], batch.groups, self.n_groups)
            later["consistency"] = hyper["consistency"] * kept
        terms = {name: jnp.where(step >= self.warmup, term, 0) for name, term in later.items()}
        size = batch.x[0].size if self.sum_pixels else 1
        return {"reconstruction": size * jnp.mean(reconstruction_loss(batch.x, found)), **terms}, rest

    def _cluster_groups(self, key: Array, state: TrainState, data: Data) -> Array:
        """Labels (N,) by k-means on the latent rows of each group alone."""
        z = unit_rows(embed(self.network, state.params["net"], state.rest, data.x))
        here = present(data)

        def fit(key: Array, rows: Array, here: Array) -> Array:
            return kmeans.fit(key, z[rows], self.n_clusters, here.astype(z.dtype), n_init=self.n_init).labels

        labels = jax.vmap(fit)(jax.random.split(key, self.n_groups), data.members, here)
        rows = jnp.where(here, data.members, len(z))
        return jnp.zeros(len(z), jnp.int32).at[rows].set(labels.astype(jnp.int32), mode="drop")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FCMIConfig(Config):
    """Settings; see `fairjax.deep.FCMI`. The numbers may be (S,) arrays, one for each seed.

    Attributes
    ----------
    epochs, warmup_epochs : int
    lr : float
        Adam's rate.
    a_balance, a_onehot, b : float
        Weights of the evenness, the hardness, and the information of cluster and group.
    tau : float
        Temperature of the soft assignment.
    center_refresh : {"kmeans", "warm"}
    reduction : {"mean", "sum"}
        Of the reconstruction error over a row's elements.
    consistency, consistency_tau : float
        Weight and temperature of `fairjax.deep.methods.losses.consistency_loss`; with weight 0 there is no such term.
    labels : {"cosine", "kmeans"}
        Labels by the largest cosine to the centres of the last epoch, or by k-means on the final latent rows.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "center_refresh": ("kmeans", "warm"),
        "reduction": ("mean", "sum"),
        "labels": ("cosine", "kmeans"),
    }

    batch: int = 512
    n_init: int = 10
    epochs: int = 300
    warmup_epochs: int = 20
    lr: Any = 1e-3
    a_balance: Any = 0.04
    a_onehot: Any = 0.04
    b: Any = 0.20
    tau: Any = 0.1
    center_refresh: str = "kmeans"
    reduction: str = "mean"
    consistency: Any = 0.0
    consistency_tau: Any = 0.2
    labels: str = "cosine"

    soft = "cosine"

    def tasks(self, data: Data) -> list[Task]:
        """One, over all epochs."""
        if self.epochs <= self.warmup_epochs:
            raise InputError(
                f"epochs={self.epochs} leaves nothing after warmup_epochs={self.warmup_epochs}; take more epochs"
            )
        epoch = steps_per_epoch(len(data.x), self.batch)
        return [
            FCMITask(
                name="FCMI",
                steps=self.epochs * epoch,
                batch=self.batch,
                network=self.network,
                n_clusters=self.n_clusters,
                n_groups=data.n_groups,
                n_init=self.n_init,
                epoch=epoch,
                warmup=self.warmup_epochs * epoch,
                center_refresh=self.center_refresh,
                consistent=self._consistent(np.asarray(data.sizes)),
                sum_pixels=self.reduction == "sum",
            )
        ]

    def hyper(self) -> dict[str, Any]:
        """Rate, weights, temperature."""
        names = ("lr", "a_balance", "a_onehot", "b", "tau", "consistency", "consistency_tau")
        return {name: getattr(self, name) for name in names}

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

    def _consistent(self, sizes: np.ndarray) -> bool:
        if np.all(np.asarray(self.consistency) == 0):
            return False
        if sizes.min() < self.n_clusters:
            raise InputError(
                f"the smallest group has {sizes.min()} rows, fewer than n_clusters={self.n_clusters}: consistency "
                "clusters each group alone first; ask for fewer clusters, or set consistency=0"
            )
        return True
