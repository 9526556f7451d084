"""What a decoder branch makes of another group's rows."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork

__all__ = ["switched"]


def switched(network: Network | OwnNetwork, clusterer: Clusterer, x: ArrayLike, n_groups: int) -> Array:
    """Reconstructions of rows by the decoder branch of every group, in evaluation mode (FCMI's decoder switching).

    Where the latent space holds no group, the branch of group t draws the row as group t would have it.

    Parameters
    ----------
    network : Network or OwnNetwork
        Trained with `n_groups` decoder branches.
    clusterer : Clusterer
        Of one seed.
    x : (n, ...)
        Rows, scaled as in the training.
    n_groups : int
        T.

    Returns
    -------
    (T, n, ...)
    """
    x = jnp.asarray(x)

    def by(group: Array) -> Array:
        groups = jnp.full(len(x), group, jnp.int32)
        return network.autoencode(clusterer.params, clusterer.rest, x, groups)[0][1]

    return jax.lax.map(by, jnp.arange(n_groups, dtype=jnp.int32))
