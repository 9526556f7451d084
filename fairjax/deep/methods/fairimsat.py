"""FairIMSAT: fair assignments as targets of a network without decoder, whose costs are its own log-probabilities.

An analogue of DFDC (H. Zhang, I. Davidson, 2021), of which the idea is published and the details are not: a
discriminative backbone, here IMSAT's, learns in turns with exact fair assignments. It is what `DeepFCA` does, with
−log p in the place of squared distances; the rest of the recipe is ours.
"""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array, lax

from fairjax.assignment import FairAssignment, fair_assignment
from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.estimator import estimator
from fairjax.deep.methods.imsat import (
    CLASSIFIERS,
    IMSATSettings,
    InformativeConfig,
    check_logits,
    checked_prior,
    informative_terms,
    log_of_logits,
    logit_clusterer,
)
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, setting, static
from fairjax.deep.methods.smoothing import distances, smoothness
from fairjax.deep.methods.starting import StartSettings, check_start
from fairjax.deep.methods.surfaces import PricedClusterer
from fairjax.deep.methods.targets import (
    Fair,
    FairnessSettings,
    TargetRule,
    TargetSettings,
    check_fairness,
    rule_of,
    with_fairness,
)
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.streams import Batch, Data, steps_per_epoch
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.errors import InputError

__all__ = ["FairIMSAT", "FairIMSATConfig", "FairIMSATSettings", "FairIMSATTask", "Result", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairIMSATSettings(TargetSettings, FairnessSettings, IMSATSettings):
    """Settings of FairIMSAT."""

    warmup_epochs: int = setting(20, "Passes in the beginning that know nothing of fairness.", least=0)
    target_weight: Number = setting(
        0.5, "Weight of the cross-entropy to the fair targets, of the rows as they are and of the rows moved."
    )


def assign_fairly(log_q: Array, groups: Array, n_groups: int, kind: str, value: Array) -> FairAssignment:
    """The fair assignment of least Σ −log q, for log-probabilities (n, K)."""
    control: dict[str, Any] = {"epsilon": value} if kind == "gap" else {"min_balance": value}
    return fair_assignment(-log_q, groups, n_groups=n_groups, **control)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairIMSATTask(Task):
    """The one stage of FairIMSAT: IMSAT's loss, after the warm-up with cross-entropy to exact fair labels.

    Attributes
    ----------
    config : FairIMSATConfig
        Its traced numbers are in ``hyper``.
    epoch : int
        Steps between two solutions.
    warmup : int
        Steps before the first.
    rule : TargetRule
        How the targets differ from the labels at the end.
    smooth : bool
        Whether smoothness counts.
    started : bool
        Whether there are targets from the beginning, ``data.start``.
    """

    config: "FairIMSATConfig"
    epoch: int
    warmup: int
    rule: TargetRule
    smooth: bool = True
    started: bool = False

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """New network; targets come with the end of the warm-up, unless there are some to start from."""
        params, rest = self.config.network.init(key)
        start = self.rule.start(len(data.x), self.config.n_clusters, data.x.dtype, data.start)
        return {"net": params}, rest, distances(data, self.smooth) | start

    def refresh(self, key: Array, step: Array, state: TrainState, data: Data) -> tuple[Any, Any, Array]:
        """Exact fair labels before every epoch after the warm-up."""

        def renew(old: Any) -> Any:
            log_q = log_of_logits(None, embed(self.config.network, state.params["net"], state.rest, data.x))
            kind, value = self.rule.fairness(state.hyper, data.sizes)
            found = assign_fairly(log_q, data.groups, data.n_groups, kind, value)
            priced = found.multipliers[data.groups].astype(log_q.dtype) - log_q
            return old | self.rule.targets(found.labels, priced, jnp.ones((), log_q.dtype), state.hyper)

        due = (step % self.epoch == 0) & (step >= self.warmup)
        return state.params, lax.cond(due, renew, lambda old: old, state.extra), jnp.zeros((), bool)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Means over the batch; a moved row has the target of the row that it was."""
        network = self.config.network
        pass_key, move_key = jax.random.split(key)
        code, renewed = network.encode(params["net"], rest, batch.x, train=True, key=pass_key)
        log_q = log_of_logits(params, code.z)
        terms = informative_terms(jnp.exp(log_q), hyper, self.config.prior)
        targets = self.rule.loss(log_q, extra, batch.rows)
        if self.smooth:
            terms["smoothness"], moved = smoothness(
                move_key, network, rest, params, log_of_logits, batch, log_q, extra["distance"], hyper, pass_key
            )
            targets = targets + self.rule.loss(moved, extra, batch.rows)
        active = self.started | (step >= self.warmup)
        terms["targets"] = jnp.where(active, hyper["target_weight"] * targets, 0)
        return terms, renewed


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairIMSATConfig(FairIMSATSettings, Fair, InformativeConfig):
    """Settings with a network; see `FairIMSAT`."""

    def tasks(self, data: Data) -> list[Task]:
        """One, over all epochs."""
        check_logits(self.network, data, self.n_clusters)
        check_fairness(self, np.asarray(data.sizes))
        if self.epochs <= self.warmup_epochs:
            raise InputError(
                f"epochs={self.epochs} leaves nothing after warmup_epochs={self.warmup_epochs}; take more epochs"
            )
        epoch = steps_per_epoch(len(data.x), self.batch_size)
        return [
            FairIMSATTask(
                name="FairIMSAT",
                steps=self.epochs * epoch,
                batch_size=self.batch_size,
                config=static(self),
                epoch=epoch,
                warmup=self.warmup_epochs * epoch,
                rule=rule_of(self),
                smooth=self.smooth,
                started=check_start(data, self.n_clusters),
            )
        ]

    def hyper(self) -> dict[str, Any]:
        """Rates and weights; ``"fairness"`` is the value of the control."""
        return with_fairness(super().hyper())

    def finish(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """The fair assignment of all rows, and its prices for rows whose group is known."""
        log_q = log_of_logits(None, embed(self.network, state.params["net"], state.rest, data.x))
        found = assign_fairly(log_q, data.groups, data.n_groups, self.kind, state.hyper["fairness"])
        prices = found.multipliers.astype(log_q.dtype)
        return found.labels, logit_clusterer(state, self.n_clusters, prices)


@estimator
class FairIMSAT(PricedClusterer, StartSettings, FairIMSATSettings):
    """IMSAT that learns from exact fair assignments: an analogue of DFDC (Zhang, Davidson, 2021), without decoder.

    A network D-1200-1200-K is trained as in `IMSAT`. After the warm-up the fair assignment of least −log p is solved
    before every epoch, and becomes the classes that the network is trained towards, on the rows as they are and as they
    are moved. ``labels_`` are the fair assignment of the rows at the end.

    Attributes
    ----------
    multipliers_ : ndarray (T, K)
        What a group pays to enter a cluster, in nats: the rule for new rows.

    Notes
    -----
    Of DFDC neither code nor losses are public; figures of this class are not its figures. The information of cluster
    and row lets the groups have clusters of their own until the targets come, so that these have to match the clusters
    of one group with those of another, which goes wrong where groups look quite different. ``start="match"`` is for
    that: targets from clusters of each group alone, matched by the distances between them and not by their places.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.deep import FairIMSAT
    >>> X = np.repeat(np.eye(4), 12, axis=0) + 0.05 * np.random.default_rng(0).normal(size=(48, 4))
    >>> model = FairIMSAT(4, epochs=12, warmup_epochs=10, batch_size=16, vat_neighbour=5, random_state=0)
    >>> model.fit(X, sensitive_features=np.tile(["a", "b"], 24)).balance_
    1.0
    """

    config_type = FairIMSATConfig
    command = "fair-imsat"
    title = "fair assignments as targets of a network without decoder (FairIMSAT)"
    networks = CLASSIFIERS

    def fit(self, X: Any, y: Any = None, *, sensitive_features: Any = None, start_labels: Any = None) -> Self:
        """Train and cluster.

        Parameters
        ----------
        X, y, sensitive_features
            As for the other deep methods.
        start_labels : array-like (N,) of whole numbers, optional
            Targets until the end of the warm-up in the place of what `start` says, with equal numbers for the same
            cluster in all groups, such as `fairjax.deep.match_groups` finds them.

        Returns
        -------
        self

        Raises
        ------
        InputError
            Also for labels of another length, below 0, or of more than K clusters.

        Warns
        -----
        ReplacementWarning
            As for the other deep methods.
        """
        return self._fit(X, y, sensitive_features, {"start_labels": self._start(start_labels)})

    def _costs(self, z: npt.NDArray[Any]) -> npt.NDArray[Any]:
        # logits differ from log p by a constant of the row
        return -z

    def _check_parameters(self) -> None:
        super()._check_parameters()
        checked_prior(self.prior, self.n_clusters)
