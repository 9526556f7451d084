"""Smooth assignments as a term that methods share: virtual adversarial training with each row's own radius."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jax import Array

from fairjax.deep.methods.losses import adversarial_loss
from fairjax.deep.methods.settings import Number, differs, setting
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.training.neighbours import neighbours
from fairjax.deep.training.streams import Batch, Data

__all__ = ["Smooth", "SmoothSettings", "distances", "smoothness"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmoothSettings:
    """Settings of the term, which is off unless a method says otherwise."""

    vat_weight: Number = setting(
        0.0,
        "Weight of smoothness: assignments have to stay the same where a row is moved in the direction in which they "
        "change most (virtual adversarial training); 0 leaves it out, and two more passes through the encoder with it.",
    )
    vat_radius: Number = setting(
        0.25, "How far a row is moved, in distances to its neighbour of rank `vat_neighbour` in its group.", above=0.0
    )
    vat_neighbour: int = setting(10, "Rank of that neighbour, 1 for the nearest.")
    vat_step: Number = setting(10.0, "Length of the trial by which that direction is found.", above=0.0)


class Smooth:
    """What a configuration with these settings has besides."""

    vat_weight: Number
    vat_neighbour: int

    @property
    def smooth(self) -> bool:
        """Whether there is such a term; to be asked before the numbers are traced."""
        return differs(self.vat_weight, 0.0)

    def completed(self, data: Data, names: tuple[str, ...] = ()) -> Data:
        """The data with the distances to the neighbours, where the term asks for them."""
        rank = self.vat_neighbour
        if not self.smooth or (data.neighbours is not None and data.neighbours.rank == rank):
            return data
        return data._replace(neighbours=neighbours(data.x, data.members, data.sizes, rank, names))


def distances(data: Data, smooth: bool) -> dict[str, Array]:
    """What a stage keeps of the neighbours: nothing, unless there is such a term."""
    if not smooth:
        return {}
    assert data.neighbours is not None
    return {"distance": data.neighbours.distance}


def smoothness(
    key: Array,
    network: Network | OwnNetwork,
    rest: Any,
    params: Any,
    assign: Callable[[Any, Array], Array],
    batch: Batch,
    log_q: Array,
    distance: Array,
    hyper: Any,
    pass_key: Array,
) -> tuple[Array, Array]:
    """The weighted term, and the assignments (n, K) of the moved rows.

    Parameters
    ----------
    key : typed random key
        Consumed.
    network : Network or OwnNetwork
    rest : dict
        Its running averages: passes take the batch's own statistics and leave these as they are.
    params : dict
        All that is trained; ``params["net"]`` is the network's.
    assign : function of params and latent rows
        Logarithm of the soft assignment.
    batch : Batch
    log_q : Array (n, K)
        Assignment of its rows.
    distance : Array (N,)
        Of every row's neighbour.
    hyper : dict
        Has ``vat_weight``, ``vat_radius`` and ``vat_step``.
    pass_key : typed random key
        Of the encoder's own draws, the one that gave `log_q`: so that rows differ by the move alone.
    """

    def log_assignment(params: Any, x: Array) -> Array:
        code, _ = network.encode(params["net"], rest, x, batch.groups, train=True, key=pass_key)
        return assign(params, code.z)

    radius = hyper["vat_radius"] * jax.lax.stop_gradient(distance[batch.rows])
    loss, moved = adversarial_loss(key, log_assignment, params, batch.x, log_q, radius, step=hyper["vat_step"])
    return hyper["vat_weight"] * loss, moved
