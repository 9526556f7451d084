"""The stage of DeepFCA that learns from fair assignments, which are solved anew before every epoch."""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from fairjax import fca
from fairjax.assignment import controls
from fairjax.deep.methods.alone import cluster_alone
from fairjax.deep.methods.losses import (
    clustering_information,
    consistency_loss,
    gaussian_log_assignment,
    reconstruction_loss,
)
from fairjax.deep.methods.pretraining import starting_centers
from fairjax.deep.methods.smoothing import distances, smoothness
from fairjax.deep.methods.targets import TargetRule
from fairjax.deep.methods.views import same_in_views
from fairjax.deep.nets.network import is_vae
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data
from fairjax.deep.training.tasks import Task, TrainState

if TYPE_CHECKING:
    from fairjax.deep.methods.deepfca import DeepFCAConfig

__all__ = ["FairTargetTask", "cluster_fairly"]

_ITERATIONS = 10  # of FCA at most, from the centres of the epoch before


def cluster_fairly(
    z: Array, data: Data, centers: Array, kind: str, value: Array, iterations: int, full: bool = False
) -> fca.FairClustering:
    """FCA on latent rows from given centres; with `full`, centres that end without rows are put to use."""
    points = fca.prepare(z, data.groups, n_groups=data.n_groups)
    control = getattr(controls, kind)(value, points.masses)
    solve = fca.fill if full else fca.run
    found = solve(points, control, fca.init(points, centers, max_iter=iterations))
    return fca.finish(points, control, found)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairTargetTask(Task):
    """Reconstruction, cross-entropy of the soft assignment to exact fair labels, and FCMI's evenness and hardness.

    Attributes
    ----------
    config : DeepFCAConfig
        Its traced numbers are in ``hyper``.
    epoch : int
        Steps between two solutions.
    rule : TargetRule
        How the targets differ from the labels at the end.
    n_groups : int
    smooth : bool
        Whether smoothness counts.
    viewed : bool
        Whether images are turned and moved, and have to be assigned as before.
    consistent : bool
        Whether clusterings of each group alone are kept to.
    averaged : bool
        Whether rows are assigned by averaged weights.
    started : int
        Steps in which the targets are those to start from, ``data.start``.
    """

    config: "DeepFCAConfig"
    epoch: int
    rule: TargetRule
    n_groups: int
    smooth: bool = False
    viewed: bool = False
    consistent: bool = False
    averaged: bool = False
    started: int = 0

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centres by k-means on the latent rows of the autoencoder, unless there are labels to start from."""
        params, rest, _ = carry
        z = embed(self.config.network, params["net"], rest, data.x, data.groups)
        if self.started:
            centers = self._means(z, data)
        else:
            centers = starting_centers(key, z, self.config.n_clusters, n_init=self.config.n_init)
        extra = distances(data, self.smooth) | {"centers": centers, "spread": jnp.ones((), z.dtype)}
        extra |= self.rule.start(len(z), self.config.n_clusters, z.dtype, data.start)
        if self.averaged:
            extra["average"] = params["net"]
        if self.consistent:
            alone_key = jax.random.fold_in(key, 1)
            extra["alone"] = (
                cluster_alone(alone_key, z, data, self.config.n_clusters, self.config.n_init)
                if data.alone is None
                else data.alone
            )
        return params, rest, extra

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Centres and exact fair labels before every epoch, warm from those of the epoch before."""
        extra = state.extra
        if self.averaged:
            decay = state.hyper["average"]
            moved = jax.tree.map(
                lambda old, new: decay * old + (1 - decay) * new, extra["average"], state.params["net"]
            )  # fmt: skip
            extra = extra | {"average": moved}

        def latent(old: Any) -> tuple[Array, Array]:
            params = old["average"] if self.averaged else state.params["net"]
            z = embed(self.config.network, params, state.rest, data.x, data.groups)
            return z, jnp.sum(jnp.var(z, axis=0))

        def keep(old: Any) -> Any:
            z, spread = latent(old)
            return old | {"centers": self._means(z, data), "spread": spread}

        def renew(old: Any) -> Any:
            z, spread = latent(old)
            kind, value = self.rule.fairness(state.hyper, data.sizes)
            found = cluster_fairly(z, data, old["centers"], kind, value, _ITERATIONS)
            squared = jnp.sum((z[:, None, :] - found.centers) ** 2, axis=-1)
            priced = squared + found.assignment.prices[data.groups]
            labels = found.assignment.labels[: len(z)]
            targets = self.rule.targets(labels, priced, 2 * state.hyper["tau"] * spread, state.hyper)
            return old | {"centers": found.centers, "spread": spread} | targets

        if self.started:
            number = jnp.where(step % self.epoch != 0, 0, jnp.where(step < self.started, 1, 2))
            extra = lax.switch(number, (lambda old: old, keep, renew), extra)
        else:
            extra = lax.cond(step % self.epoch == 0, renew, lambda old: old, extra)
        return state.params, extra, jnp.zeros((), bool)

    def _means(self, z: Array, data: Data) -> Array:
        """Mean (K, d) of the latent rows of each cluster to start from; of one without rows that of all."""
        assert data.start is not None
        members = jax.nn.one_hot(data.start, self.config.n_clusters, dtype=z.dtype)
        sizes = jnp.sum(members, axis=0)[:, None]
        sums = jnp.matmul(members.T, z, precision="highest")
        return jnp.where(sizes > 0, sums / jnp.maximum(sizes, 1), jnp.mean(z, axis=0))

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Means over the batch."""
        network = self.config.network
        scale = hyper["tau"] * extra["spread"]

        def assign(params: Any, z: Array) -> Array:
            return gaussian_log_assignment(z, extra["centers"], scale)

        (code, found), renewed = network.autoencode(params["net"], rest, batch.x, batch.groups, train=True, key=key)
        log_q = assign(params, code.z)
        balance, onehot = clustering_information(jnp.exp(log_q))
        size = batch.x[0].size if is_vae(network) else 1
        terms = {
            "reconstruction": size * jnp.mean(reconstruction_loss(batch.x, found)),
            "divergence": hyper["beta"] * jnp.mean(code.kl),
            "balance": hyper["a_balance"] * balance,
            "onehot": hyper["a_onehot"] * onehot,
        }
        learning = log_q
        if self.viewed:
            view_key = jax.random.fold_in(key, 2)
            terms["views"], learning = same_in_views(
                view_key, network, rest, params, assign, batch, log_q, hyper, key
            )  # fmt: skip
        terms["targets"] = hyper["target_weight"] * self.rule.loss(learning, extra, batch.rows)
        if self.consistent:
            # the temperature of this term is its own
            other = hyper["consistency_tau"] * extra["spread"]
            soft = jnp.exp(gaussian_log_assignment(code.z, extra["centers"], other))
            kept = consistency_loss(soft, extra["alone"][batch.rows], batch.groups, self.n_groups)
            terms["consistency"] = hyper["consistency"] * kept
        if self.smooth:
            move_key = jax.random.fold_in(key, 1)
            terms["smoothness"], _ = smoothness(
                move_key, network, rest, params, assign, batch, log_q, extra["distance"], hyper, key
            )
        return terms, renewed
