"""What a decoder branch makes of another group's rows."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.errors import InputError

__all__ = ["switched"]


def switched(
    network: Network | OwnNetwork, clusterer: Clusterer, x: ArrayLike, n_groups: int, groups: ArrayLike | None = None
) -> Array:
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
    groups : (n,), optional
        The rows' own groups, which an encoder with parts of each group's own asks for.

    Returns
    -------
    (T, n, ...)
    """
    x = jnp.asarray(x)

    own = jnp.zeros(len(x), jnp.int32) if groups is None else jnp.asarray(groups, jnp.int32)
    if network.by_group and groups is None:
        raise InputError("parts of this encoder are each group's own: pass the groups of the rows, too")

    def by(group: Array) -> Array:
        branches = jnp.full(len(x), group, jnp.int32)
        return network.autoencode(clusterer.params, clusterer.rest, x, own, branches=branches)[0][1]

    return jax.lax.map(by, jnp.arange(n_groups, dtype=jnp.int32))
