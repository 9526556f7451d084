"""FCMI: deep fair clustering by mutual information (P. Zeng et al., CVPR 2023).

An autoencoder with a decoder branch for each group, soft assignments by the cosine to centres that k-means renews
before every epoch, and two informations: that of cluster and point is raised, that of cluster and group lowered. Where
the paper and its public code differ, the defaults are the code's.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from fairjax import kmeans
from fairjax.deep.losses import (
    clustering_information,
    cosine_log_assignment,
    group_information,
    reconstruction_loss,
)
from fairjax.deep.method import Clusterer, Config, Result, run
from fairjax.deep.nets import Network, OwnNetwork
from fairjax.deep.pretrain import embed, unit
from fairjax.deep.streams import Batch, Data, steps_per_epoch
from fairjax.deep.trainer import Task, TrainState
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
    """

    network: Network | OwnNetwork
    n_clusters: int
    n_groups: int
    n_init: int
    epoch: int
    warmup: int
    center_refresh: str

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """New network; the centres come with the end of the warm-up."""
        params, rest = self.network.init(key)
        z = jax.eval_shape(lambda x: self.network.encode(params, rest, x)[0].z, data.x[:1])
        return {"net": params}, rest, {"centers": jnp.zeros((self.n_clusters, z.shape[1]), z.dtype)}

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Centres by k-means on the latent rows, of length one, before every epoch after the warm-up."""
        choice_key, fit_key = jax.random.split(key)

        def renew(centers: Array) -> Array:
            z = unit(embed(self.network, state.params["net"], state.rest, data.x))
            if len(z) > _ROWS_PER_CENTER * self.n_clusters:
                z = jax.random.permutation(choice_key, z)[: _ROWS_PER_CENTER * self.n_clusters]

            def anew(_: Array) -> Array:
                return kmeans.fit(fit_key, z, self.n_clusters, n_init=self.n_init).centers

            if self.center_refresh == "warm":
                found = lax.cond(step <= self.warmup, anew, lambda old: kmeans.run(z, old).centers, centers)
            else:
                found = anew(centers)
            return unit(found)

        due = (step % self.epoch == 0) & (step >= self.warmup)
        centers = lax.cond(due, renew, lambda old: old, state.extra["centers"])
        return state.params, {"centers": centers}, jnp.zeros((), bool)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Reconstruction, evenness and hardness of the clusters, information of cluster and group."""
        (code, found), rest = self.network.autoencode(params["net"], rest, batch.x, batch.groups, train=True, key=key)
        c = jnp.exp(cosine_log_assignment(unit(code.z), extra["centers"], hyper["tau"]))
        balance, onehot = clustering_information(c)
        later = {
            "balance": hyper["a_balance"] * balance,
            "onehot": hyper["a_onehot"] * onehot,
            "group": hyper["b"] * group_information(c, batch.groups, self.n_groups),
        }
        terms = {name: jnp.where(step >= self.warmup, term, 0) for name, term in later.items()}
        return {"reconstruction": jnp.mean(reconstruction_loss(batch.x, found)), **terms}, rest


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
    """

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
            )
        ]

    def hyper(self) -> dict[str, Any]:
        """Rate, weights, temperature."""
        return {name: getattr(self, name) for name in ("lr", "a_balance", "a_onehot", "b", "tau")}

    def clusterer(self, state: TrainState, data: Data, key: Array) -> Clusterer:
        """The centres of the last epoch."""
        return Clusterer(state.params["net"], state.rest, state.extra["centers"], state.hyper["tau"])
