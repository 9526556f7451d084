"""Passing all rows through an encoder."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork

_BLOCK = 1 << 22  # numbers of the input that pass through an encoder at a time
_RECALIBRATION = 100  # batches at least: of the averages from before, which lose a tenth with each, 3e-5 is left


def embed(network: Network | OwnNetwork, params: Any, rest: Any, x: Array, groups: Array | None = None) -> Array:
    """Latent rows (n, d) in evaluation mode, block by block, so that memory stays bounded.

    Groups (n,) count only for an encoder that has parts of each group's own.
    """
    n = len(x)
    block = max(_BLOCK // max(x[0].size, 1), 1)
    inputs = (x, groups) if network.by_group and groups is not None else (x,)
    if n <= block:
        return network.encode(params, rest, *inputs)[0].z
    count = -(-n // block)

    def blocks(rows: Array) -> Array:
        padded = jnp.pad(rows, ((0, count * block - n), *((0, 0),) * (rows.ndim - 1)))
        return padded.reshape(count, block, *rows.shape[1:])

    latent = lax.map(lambda rows: network.encode(params, rest, *rows)[0].z, tuple(blocks(each) for each in inputs))
    return latent.reshape(count * block, -1)[:n]


def recalibrated(key: Array, network: Network | OwnNetwork, params: Any, rest: Any, x: Array, batch_size: int) -> Any:
    """Running averages of the encoder's batch normalisation as they are on the mixture of all rows.

    Training on equal numbers from every group leaves those of another mixture. Shuffled batches of all rows pass
    through the encoder in training mode, without sampling; parameters stay.

    Parameters
    ----------
    key : typed random key
        Consumed.
    network : Network or OwnNetwork
    params : dict
    rest : dict
    x : Array (N, ...)
    batch_size : int
        Rows of a batch, static.

    Returns
    -------
    dict
        The rest renewed; O(N) passes of a row, and 100 batches at least.
    """
    n = len(x)
    batch_size = min(batch_size, n)
    per_pass = n // batch_size
    passes = -(-_RECALIBRATION // per_pass)
    orders = jax.vmap(lambda key: jax.random.permutation(key, n)[: per_pass * batch_size])(
        jax.random.split(key, passes)
    )

    def one(rest: Any, rows: Array) -> tuple[Any, None]:
        return network.encode(params, rest, x[rows], train=True)[1], None

    return lax.scan(one, rest, orders.reshape(passes * per_pass, batch_size))[0]
