"""DAC: deep adaptive image clustering (J. Chang et al., ICCV 2017).

Rows are compared pair by pair. Those whose soft assignments are nearly the same are trained to be the same, those whose
assignments are far apart to be orthogonal; the thresholds move towards each other until all pairs count. It has no
decoder and no pretraining, and knows nothing of groups. Details are those of the public re-writing for MNIST.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import optax
from jax import Array

from fairjax.deep.methods.assigning import Clusterer, assign
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.estimator import DeepClusterer, estimator
from fairjax.deep.methods.imsat import check_logits, logit_clusterer
from fairjax.deep.methods.losses import pair_loss, pair_similarity
from fairjax.deep.methods.running import Result, run
from fairjax.deep.methods.settings import Number, Settings, setting, static
from fairjax.deep.nets.choice import Family
from fairjax.deep.nets.passing import recalibrated
from fairjax.deep.training.streams import Batch, Data
from fairjax.deep.training.tasks import Task, TrainState
from fairjax.errors import InputError

__all__ = ["DAC", "DACConfig", "DACSettings", "DACTask", "Result", "run", "thresholds"]

_RISE = 0.1  # of the lower threshold, for each step down of the upper one


@dataclasses.dataclass(frozen=True, kw_only=True)
class DACSettings(Settings):
    """Settings of DAC."""

    n_init: int = setting(
        1, "Trainings from starts of their own, at once; kept is the one whose assignments tell most of the rows."
    )
    epoch_steps: int = setting(1_000, "Steps between two moves of the thresholds.")
    batch_size: int = setting(128, "Rows per step, which are compared with each other.")
    lr: Number = setting(1e-3, "RMSprop's rate.")
    upper: float = setting(0.95, "Similarity above which a pair is one of similar rows, at the start.", most=1.0)
    lower: float = setting(0.455, "Similarity below which it is one of different rows, at the start.", most=1.0)
    pace: float = setting(
        0.0099,
        "What the upper threshold loses after `epoch_steps`; the lower one gains a tenth of it. The training ends with "
        "the first of these in which both have met.",
        above=0.0,
    )


def thresholds(upper: float, lower: float, pace: float, epoch: Any) -> tuple[Any, Any]:
    """Both thresholds in an epoch, counted from 0."""
    return upper - pace * epoch, lower + _RISE * pace * epoch


@dataclasses.dataclass(frozen=True, kw_only=True)
class DACTask(Task):
    """The one stage of DAC.

    Attributes
    ----------
    config : DACConfig
        Its traced numbers are in ``hyper``.
    """

    config: "DACConfig"

    def begin(self, key: Array, carry: Any, hyper: Any, data: Data) -> tuple[Any, Any, Any]:
        """New network."""
        params, rest = self.config.network.init(key)
        return {"net": params}, rest, {}

    def optimizer(self) -> optax.GradientTransformation:
        """RMSprop as TensorFlow has it."""
        return optax.scale_by_rms(decay=0.9, eps=1e-10, initial_scale=1.0)

    def loss(
        self, params: Any, rest: Any, extra: Any, hyper: Any, batch: Batch, key: Array, step: Array
    ) -> tuple[dict[str, Array], Any]:
        """Similar and different pairs of the batch, by the thresholds of the epoch."""
        config = self.config
        code, renewed = config.network.encode(params["net"], rest, batch.x, train=True, key=key)
        similarity = pair_similarity(jax.nn.softmax(code.z, axis=1))
        upper, lower = thresholds(config.upper, config.lower, config.pace, step // config.epoch_steps)
        similar, different = pair_loss(similarity, upper, lower)
        return {"similar": similar, "different": different}, renewed


@dataclasses.dataclass(frozen=True, kw_only=True)
class DACConfig(DACSettings, Config):
    """Settings with a network; see `DAC`."""

    soft = "logits"

    @property
    def starts(self) -> int:
        """As many as `n_init` says."""
        return self.n_init

    @property
    def epochs(self) -> int:
        """Moves of the thresholds until they have met, and one more; 47 by default."""
        moves = 0
        while True:
            upper, lower = thresholds(self.upper, self.lower, self.pace, moves)
            moves += 1
            if upper <= lower:
                return moves

    def tasks(self, data: Data) -> list[Task]:
        """One, until the thresholds have met."""
        check_logits(self.network, data, self.n_clusters)
        check_thresholds(self)
        steps = self.epochs * self.epoch_steps
        return [DACTask(name="DAC", steps=steps, batch_size=self.batch_size, config=static(self))]

    def finish(self, state: TrainState, data: Data, key: Array) -> tuple[Array, Clusterer]:
        """Labels by the largest number; batches are normalised as all rows are, where the authors take each batch's."""
        net = state.params["net"]
        rest = recalibrated(key, self.network, net, state.rest, data.x, self.batch_size)
        clusterer = logit_clusterer(state, self.n_clusters)._replace(rest=rest)
        return assign(self.soft, self.network, clusterer, data.x), clusterer


def check_thresholds(settings: Any) -> None:
    """Refuse thresholds that have met from the start.

    Raises
    ------
    InputError
    """
    if settings.upper <= settings.lower:
        raise InputError(
            f"upper={settings.upper:g} is not above lower={settings.lower:g}: every pair would be both similar and "
            "different; take a larger one"
        )


@estimator
class DAC(DeepClusterer, DACSettings):
    """Deep adaptive image clustering (Chang et al., ICCV 2017), which knows nothing of groups.

    A network gives each row a soft assignment. Of the pairs in a batch, those with nearly the same assignment are
    trained to have the same, those with quite different ones to be orthogonal, and those between do not count; the
    thresholds come nearer to each other until all do.

    Notes
    -----
    The setting of the public re-writing for MNIST, without augmentation. Labels are the largest of a row's numbers. The
    authors normalise a batch by its own statistics in evaluation too, so that a row's label depends on its company;
    here it goes by averages over all rows trained on. For vectors, of which the paper has none, the network is
    D-1024-512-K.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.deep import DAC
    >>> X = np.repeat(np.eye(4), 12, axis=0) + 0.05 * np.random.default_rng(0).normal(size=(48, 4))
    >>> model = DAC(4, epoch_steps=5, pace=0.1, batch_size=16, random_state=0).fit(X)
    >>> model.labels_.shape, model.n_iter_
    ((48,), 30)
    """

    config_type = DACConfig
    command = "dac"
    title = "deep adaptive clustering (DAC)"
    networks = Family(images="dac", vectors="dac", names=("dac",))
    short: ClassVar[dict[str, Any]] = {"epoch_steps": 50}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_thresholds(self)
