"""How rows are assigned to clusters once a training is done."""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.deep.methods.losses import cosine_log_assignment, gaussian_log_assignment, student_log_assignment
from fairjax.deep.nets.blocks import unit_rows
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed

__all__ = ["Clusterer", "Soft", "assign", "log_assignment"]

Soft = Literal["student", "cosine", "gaussian", "logits"]  # the rule by which rows belong to clusters


class Clusterer(NamedTuple):
    """All that is needed to assign new rows.

    Attributes
    ----------
    params : dict
        Trained arrays of the network.
    rest : dict
        Its running averages.
    centers : Array (K, d)
        Centres in the latent space; for logits, which have none, the identity.
    tau : Array ()
        Temperature of the cosine and Gaussian assignments; without meaning for the other.
    prices : Array (T, K), or empty
        What a group pays to enter a cluster, in squared latent distance or, for logits, in nats, where the method has
        found it.
    """

    params: Any
    rest: Any
    centers: Array
    tau: Array
    prices: Any = ()


def log_assignment(
    soft: Soft, network: Network | OwnNetwork, clusterer: Clusterer, x: Array, groups: Array | None = None
) -> Array:
    """Log of the soft assignment (n, K) of rows, in evaluation mode.

    Parameters
    ----------
    soft : {"student", "cosine", "gaussian", "logits"}
        Static.
    network : Network or OwnNetwork
        Static.
    clusterer : Clusterer
        Of one seed.
    x : Array (n, ...)
    groups : Array (n,), optional
        What an encoder with parts of each group's own asks for.
    """
    z = embed(network, clusterer.params, clusterer.rest, x, groups)
    if soft == "cosine":
        return cosine_log_assignment(unit_rows(z), clusterer.centers, clusterer.tau)
    if soft == "gaussian":
        return gaussian_log_assignment(z, clusterer.centers, clusterer.tau)
    if soft == "logits":
        return jax.nn.log_softmax(z, axis=1)
    return student_log_assignment(z, clusterer.centers)


@partial(jax.jit, static_argnums=(0, 1))
def assign(
    soft: Soft, network: Network | OwnNetwork, clusterer: Clusterer, x: Array, groups: Array | None = None
) -> Array:
    """Most probable cluster (n,) int32 of rows."""
    return jnp.argmax(log_assignment(soft, network, clusterer, x, groups), axis=1).astype(jnp.int32)
