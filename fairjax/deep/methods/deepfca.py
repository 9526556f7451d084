"""DeepFCA: fair clustering via alignment (K. Kim et al., ICML 2025) on learned features, and fair targets for learning.

An autoencoder with a decoder branch for each group gives the latent rows, the direct route of `fairjax.fca` clusters
them: the labels are an exact fair assignment, whatever the encoder has learned. With ``fair_targets`` it goes on
learning from such assignments: before every epoch they are solved anew and become the classes that the soft
assignment is trained towards, so that in the end the nearest centre alone is all but fair.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fairjax import fca
from fairjax.assignment import controls
from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.losses import clustering_information, gaussian_log_assignment, reconstruction_loss
from fairjax.deep.methods.pretraining import AutoencoderTask, starting_centers
from fairjax.deep.methods.running import Result, run
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.errors import InputError
from fairjax.fca import alignment
from fairjax.fca.alignment.fitting import Route

__all__ = ["DeepFCAConfig", "FairTargetTask", "Result", "run"]

_TURNS = 10  # of FCA at most, from the centres of the epoch before
_LAST_TURNS = 100


def _cluster(z: Array, data: Data, centers: Array, kind: str, value: Array, turns: int) -> fca.FairClustering:
    """FCA on latent rows from given centres."""
    points = fca.prepare(z, data.groups, n_groups=data.n_groups)
    control = getattr(controls, kind)(value, points.masses)
    found = fca.run(points, control, fca.init(points, centers, max_iter=turns))
    return fca.finish(points, control, found)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairTargetTask(Task):
    """Reconstruction, cross-entropy of the soft assignment to exact fair labels, and FCMI's evenness and hardness.

    Attributes
    ----------
    network : Network or OwnNetwork
    n_clusters, n_init : int
        Centres, and the restarts of k-means that the first ones come from.
    epoch : int
        Steps between two solutions.
    kind : {"gap", "balance"}
        Control of the fairness, with the value ``hyper["fairness"]``.
    recon, sum_pixels
        See `fairjax.deep.methods.pretraining.AutoencoderTask`.
    """

    network: Network | OwnNetwork
    n_clusters: int
    n_init: int
    epoch: int
    kind: str
    recon: str = "mse"
    sum_pixels: bool = False

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """Centres by k-means on the latent rows of the autoencoder; labels come with the first step."""
        params, rest, _ = carry
        z = embed(self.network, params["net"], rest, data.x)
        centers = starting_centers(key, z, self.n_clusters, n_init=self.n_init)
        extra = {"centers": centers, "labels": jnp.zeros(len(z), jnp.int32), "spread": jnp.ones((), z.dtype)}
        return params, rest, extra

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Centres and exact fair labels before every epoch, warm from those of the epoch before."""

        def renew(old: Any) -> Any:
            z = embed(self.network, state.params["net"], state.rest, data.x)
            found = _cluster(z, data, old["centers"], self.kind, state.hyper["fairness"], _TURNS)
            spread = jnp.sum(jnp.var(z, axis=0))
            return {"centers": found.centers, "labels": found.assignment.labels[: len(z)], "spread": spread}

        extra = lax.cond(step % self.epoch == 0, renew, lambda old: old, state.extra)
        return state.params, extra, jnp.zeros((), bool)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Means over the batch."""
        (code, found), rest = self.network.autoencode(params["net"], rest, batch.x, batch.groups, train=True, key=key)
        log_q = gaussian_log_assignment(code.z, extra["centers"], hyper["tau"] * extra["spread"])
        chosen = jnp.take_along_axis(log_q, extra["labels"][batch.rows][:, None], axis=1)
        balance, onehot = clustering_information(jnp.exp(log_q))
        size = batch.x[0].size if self.sum_pixels else 1
        terms = {
            "reconstruction": size * jnp.mean(reconstruction_loss(batch.x, found, self.recon)),
            "divergence": hyper["beta"] * jnp.mean(code.kl),
            "balance": hyper["a_balance"] * balance,
            "onehot": hyper["a_onehot"] * onehot,
            "targets": -hyper["target_weight"] * jnp.mean(chosen),
        }
        return terms, rest


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepFCAConfig(Config):
    """Settings; see `fairjax.deep.DeepFCA`. The numbers may be (S,) arrays, one for each seed.

    Attributes
    ----------
    pretrain_epochs, epochs : int
        Passes through the data with the reconstruction alone, and with fair targets.
    fair_targets : bool
    lr, beta, recon, sum_pixels
        Of the reconstruction, as `fairjax.deep.methods.aekmeans.AEKMeansConfig`.
    pretrain_weight_decay : float
        L2 added to the gradient where the reconstruction is alone.
    target_weight, a_balance, a_onehot : float
        Weights of the targets, and of evenness and hardness of the clusters as in FCMI.
    tau : float
        Temperature of the soft assignment, in units of the latent rows' variance.
    epsilon : float
        Largest gap between the groups' cluster proportions, as in `fairjax.fair_assignment`.
    min_balance : float, optional
        A floor on the balance in its place.
    assignment : {"direct", "exact", "sinkhorn"}
        Route of FCA to the labels: direct, or the paper's alignment of the groups by optimal transport, which is
        exactly fair and takes no control. The targets of the training are the direct route's in any case.
    partition_size : int
        Rows of the smallest group in a block of the transport.
    transport_weight, reg : float
        Weight of the distance between aligned rows, as in `fairjax.FCA`; entropy of "sinkhorn", in units of the latent
        rows' variance.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "recon": ("mse", "bce"),
        "assignment": ("direct", "exact", "sinkhorn"),
    }

    batch: int = 512
    n_init: int = 10
    pretrain_epochs: int = 20
    epochs: int = 280
    fair_targets: bool = True
    lr: Any = 1e-3
    beta: Any = 1.0
    recon: str = "mse"
    sum_pixels: bool = False
    pretrain_weight_decay: float = 0.0
    target_weight: Any = 0.02
    a_balance: Any = 0.1
    a_onehot: Any = 0.04
    tau: Any = 0.1
    epsilon: Any = 0.0
    min_balance: Any = None
    assignment: str = "direct"
    partition_size: int = 1024
    transport_weight: Any = 1.0
    reg: Any = 0.01

    soft = "gaussian"

    @property
    def _kind(self) -> str:
        return "gap" if self.min_balance is None else "balance"

    def tasks(self, data: Data) -> list[Task]:
        """Autoencoder; then the fair targets, if wanted."""
        self._check(np.asarray(data.sizes))
        epoch = steps_per_epoch(len(data.x), self.batch)
        shared: dict[str, Any] = {
            "batch": self.batch,
            "network": self.network,
            "recon": self.recon,
            "sum_pixels": self.sum_pixels,
        }
        first = AutoencoderTask(
            name="autoencoder",
            steps=self.pretrain_epochs * epoch,
            weight_decay=self.pretrain_weight_decay,
            **shared,
        )
        if not self.fair_targets:
            return [first]
        second = FairTargetTask(
            name="fair targets",
            steps=self.epochs * epoch,
            n_clusters=self.n_clusters,
            n_init=self.n_init,
            epoch=epoch,
            kind=self._kind,
            **shared,
        )
        return [first, second]

    def hyper(self) -> dict[str, Any]:
        """Rates, weights, temperature, value of the control."""
        return {
            "pretrain_lr": self.lr,
            "lr": self.lr,
            "beta": self.beta,
            "target_weight": self.target_weight,
            "a_balance": self.a_balance,
            "a_onehot": self.a_onehot,
            "tau": self.tau,
            "fairness": self.epsilon if self.min_balance is None else self.min_balance,
            "transport_weight": self.transport_weight,
            "reg": self.reg,
        }

    def is_static(self) -> bool:
        """Alignment deals out the groups by their sizes."""
        return self.assignment == "direct" and super().is_static()

    def finish(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """FCA on the latent rows: its labels, and the prices for rows whose group is known."""
        params, hyper = state.params["net"], state.hyper
        z = embed(self.network, params, state.rest, data.x)
        if self.fair_targets:
            centers = state.extra["centers"]
        else:
            key, own = jax.random.split(key)
            centers = starting_centers(own, z, self.n_clusters, n_init=self.n_init)
        found: fca.FairClustering | fca.Alignment
        if self.assignment == "direct":
            found = _cluster(z, data, centers, self._kind, hyper["fairness"], _LAST_TURNS)
        else:
            found = self._align(key, z, data, centers, hyper)
        tau = hyper["tau"] * jnp.sum(jnp.var(z, axis=0))
        clusterer = Clusterer(params, state.rest, found.centers, tau, found.assignment.prices)
        return found.assignment.labels[: len(z)], clusterer

    def _align(self, key: Array, z: Array, data: Data, centers: Array, hyper: Any) -> fca.Alignment:
        """FCA's alignment route on latent rows from given centres."""
        problem = alignment.prepare(z, np.asarray(data.groups), data.n_groups)
        settings = self._route().settings([len(ids) for ids in problem.members])
        parameters = alignment.Parameters(
            transport_weight=hyper["transport_weight"], reg=hyper["reg"] * problem.variance
        )
        start_key, run_key = jax.random.split(key)
        state = alignment.init(problem, settings, start_key, centers, max_iter=_LAST_TURNS)
        return alignment.finish(problem, alignment.run(problem, settings, parameters, run_key, state))

    def _route(self) -> Route:
        assert self.assignment != "direct"
        return Route(self.assignment, "lloyd", self.partition_size, 0.0, 1.0)  # type: ignore[arg-type]

    def _check_alignment(self, n_groups: int) -> None:
        for name, value, none in (("epsilon", self.epsilon, 0), ("min_balance", self.min_balance, None)):
            if np.any(np.asarray(value) != none):
                raise InputError(
                    f"{name}={value!r} belongs to assignment='direct'; by assignment={self.assignment!r} the labels "
                    "are exactly fair: leave it out"
                )
        if self.assignment == "sinkhorn" and n_groups > 2:
            raise InputError(f"there are {n_groups} groups; assignment='sinkhorn' aligns two: take 'exact' or 'direct'")

    def _check(self, sizes: np.ndarray) -> None:
        if self.assignment != "direct":
            self._check_alignment(len(sizes))
        if self.min_balance is None:
            if not np.all((np.asarray(self.epsilon) >= 0) & (np.asarray(self.epsilon) <= 2)):
                raise InputError(f"epsilon is {self.epsilon!r}; expected a number from 0 to 2")
            return
        if np.any(np.asarray(self.epsilon) != 0):
            raise InputError("both epsilon and min_balance are given; choose one fairness control")
        best = sizes.min() / sizes.max()
        if not np.all((np.asarray(self.min_balance) >= 0) & (np.asarray(self.min_balance) <= best * (1 + 1e-6))):
            raise InputError(
                f"min_balance is {self.min_balance!r}; these data allow at most {best:.4g}, the ratio of the smallest "
                "group to the largest"
            )
