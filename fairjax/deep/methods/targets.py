"""Targets of a training from a fair assignment: how fair, how hard, and for which rows.

An exactly fair assignment tells a network something false about some rows wherever classes have other shares in one
group than in another. Three settings take the edge off that, and leave the labels at the end as fair as asked: slack in
the fairness of the targets, targets that are soft by the prices of the assignment, and no target for rows that are
nearly as well placed elsewhere.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fairjax.deep.methods.settings import Number, differs, setting
from fairjax.errors import InputError

__all__ = ["Fair", "FairnessSettings", "TargetRule", "TargetSettings", "check_fairness", "rule_of", "with_fairness"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FairnessSettings:
    """How fair the labels are."""

    epsilon: Number = setting(
        0.0,
        "Largest gap between two groups' proportions over the clusters, summed over these; 0 is perfect fairness.",
        most=2.0,
    )
    min_balance: Number | None = setting(
        None, "In place of `epsilon`: in every cluster the ratio of any two groups' sizes is at least this."
    )


class Fair:
    """What a configuration with these settings has besides."""

    min_balance: Number | None

    @property
    def kind(self) -> str:
        """Control of the fairness, whose value is ``hyper["fairness"]``."""
        return "gap" if self.min_balance is None else "balance"


def with_fairness(hyper: dict[str, Any]) -> dict[str, Any]:
    """Traced numbers with ``"fairness"``, the value of the control, in the place of both settings."""
    found = dict(hyper)
    floor, gap = found.pop("min_balance"), found.pop("epsilon")
    return found | {"fairness": gap if floor is None else floor}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """How the targets of the training differ from the labels at its end."""

    target_slack: Number = setting(
        1.0,
        "Balance of the targets as a share of that of the labels (with perfect fairness: of the best one): below 1 "
        "they may be less fair; the labels at the end of the training are as fair as asked all the same.",
        above=0.0,
        most=1.0,
    )
    targets: Literal["hard", "soft"] = setting(
        "hard",
        "Targets are the labels of the fair assignment, or probabilities from the costs and prices by which it "
        "decides, at the temperature of the soft assignment.",
    )
    target_margin: Number = setting(
        0.0, "Share of the rows that have no target: those whose cluster is best by least.", below=1.0
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetRule:
    """Which of these settings are in force; static, so that none costs anything that is not.

    Attributes
    ----------
    kind : {"gap", "balance"}
        Control of the labels.
    slack : bool
    soft : bool
    weighed : bool
        Whether some rows have no target.
    """

    kind: str
    slack: bool
    soft: bool
    weighed: bool

    def fairness(self, hyper: Any, sizes: Array) -> tuple[str, Array]:
        """Control of the targets and its value, for groups of these sizes (T,)."""
        if not self.slack:
            return self.kind, hyper["fairness"]
        best = jnp.min(sizes) / jnp.max(sizes)
        wanted = best.astype(hyper["target_slack"].dtype) if self.kind == "gap" else hyper["fairness"]
        return "balance", hyper["target_slack"] * wanted

    def start(self, n_rows: int, n_clusters: int, dtype: Any, labels: Array | None = None) -> dict[str, Array]:
        """Place for the targets, or those from labels (N,) to start from, which count alike for all rows."""
        given = jnp.full(n_rows, -1, jnp.int32) if labels is None else labels
        found = {"labels": jnp.maximum(given, 0)}
        if self.soft:
            found["targets"] = jax.nn.one_hot(given, n_clusters, dtype=dtype)
        if self.weighed:
            found["weights"] = (given >= 0).astype(dtype)
        return found

    def targets(self, labels: Array, priced: Array, tau: Array, hyper: Any) -> dict[str, Array]:
        """Targets from a fair assignment.

        Parameters
        ----------
        labels : Array (N,), int32
        priced : Array (N, K)
            Cost of each cluster and what the row's group pays to enter it.
        tau : Array ()
            Temperature in the units of the costs.
        hyper : dict
            Has ``target_margin``.
        """
        found = {"labels": labels}
        if self.soft:
            found["targets"] = jax.nn.softmax(-priced / tau, axis=1)
        if self.weighed:
            two = -jax.lax.top_k(-priced, min(2, priced.shape[1]))[0]
            margins = two[:, -1] - two[:, 0]
            found["weights"] = (margins > jnp.quantile(margins, hyper["target_margin"])).astype(priced.dtype)
        return found

    def loss(self, log_q: Array, extra: Any, rows: Array) -> Array:
        """Mean cross-entropy of the batch's soft assignments (n, K) to the targets of its rows."""
        if self.soft:
            chosen = jnp.sum(extra["targets"][rows] * log_q, axis=1)
        else:
            chosen = jnp.take_along_axis(log_q, extra["labels"][rows][:, None], axis=1)
        if self.weighed:
            chosen = chosen.reshape(-1) * extra["weights"][rows]
        return -jnp.mean(chosen)


def rule_of(config: Any) -> TargetRule:
    """The rule of a configuration with both kinds of settings, before its numbers are traced."""
    return TargetRule(
        kind=config.kind,
        slack=differs(config.target_slack, 1.0),
        soft=config.targets == "soft",
        weighed=differs(config.target_margin, 0.0),
    )


def check_fairness(config: Any, sizes: np.ndarray) -> None:
    """Refuse a fairness that cannot be met, or is asked for twice.

    Raises
    ------
    InputError
    """
    if differs(config.target_slack, 1.0) and differs(config.epsilon, 0.0):
        raise InputError(
            "target_slack is a share of a balance, which epsilon does not set; give min_balance in its place, or leave "
            "target_slack at 1"
        )
    if config.min_balance is None:
        return
    if differs(config.epsilon, 0.0):
        raise InputError("both epsilon and min_balance are given; choose one fairness control")
    best = sizes.min() / sizes.max()
    if not np.all(np.asarray(config.min_balance) <= best * (1 + 1e-6)):
        raise InputError(
            f"min_balance is {config.min_balance!r}; these data allow at most {best:.4g}, the ratio of the smallest "
            "group to the largest"
        )
