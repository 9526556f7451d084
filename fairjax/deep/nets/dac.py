"""DAC's network: convolutions or dense layers to one number for each cluster, whose softmax is the row's label feature.

References
----------
.. [1] J. Chang et al., "Deep adaptive image clustering", ICCV 2017, in the public re-writing DAC-tensorflow.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax

from fairjax.deep.nets.blocks import BatchNorm, Conv, Dense

__all__ = ["LEAST_SIDE", "DACFeatureNetwork", "DACNetwork"]

LEAST_SIDE = 26  # of an image, from which something is left after all convolutions and poolings
_MAPS = 10  # of the last convolution, and outputs of the dense layer after it


def _he_normal(groups: bool) -> Callable[..., Array]:
    return jax.nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")


def _identity(groups: bool) -> Callable[..., Array]:
    return lambda key, shape: jnp.eye(shape[0], shape[1], dtype=jnp.result_type(float))


class _Layer(nnx.Module):
    """A layer, normalisation of the batch without a scale or offset to train, and ReLU."""

    def __init__(self, layer: Any, size: int, rngs: nnx.Rngs) -> None:
        self.layer, self.norm = layer, BatchNorm(size, rngs=rngs, affine=False)

    def __call__(self, x: Array, *, train: bool) -> Array:
        found = self.layer(x)
        if isinstance(self.layer, Conv):
            found = found[:, 1:-1, 1:-1]  # without the border: a convolution that is nowhere padded
        return jax.nn.relu(self.norm(found, train=train))


class DACNetwork(nnx.Module):
    """DAC's network for images of 28 x 28 [1]_.

    Three convolutions 3 x 3 to 64 channels and the largest of 2 x 2, three to 128 and the same, one 1 x 1 to 10 and the
    mean of 2 x 2; then dense layers to 10 and to K that start as the identity. None is padded. Batches are normalised
    after every layer and every pooling, with nothing to train.

    Parameters
    ----------
    shape : (height, width, channels)
        Of 26 pixels or more to a side.
    n_latent : int
        K.
    rngs : nnx.Rngs
    """

    def __init__(self, shape: tuple[int, int, int], n_latent: int, *, rngs: nnx.Rngs) -> None:
        height, width, channels = shape

        def conv(n_in: int, n_out: int) -> _Layer:
            return _Layer(Conv(n_in, n_out, kernel_init=_he_normal, rngs=rngs), n_out, rngs)

        def dense(n_in: int, n_out: int, kernel: Callable[[bool], Callable[..., Array]]) -> _Layer:
            return _Layer(Dense(n_in, n_out, rngs=rngs, kernel_init=kernel, bias=0.0), n_out, rngs)

        self.first = nnx.List([conv(a, b) for a, b in ((channels, 64), (64, 64), (64, 64))])
        self.second = nnx.List([conv(a, b) for a, b in ((64, 128), (128, 128), (128, 128))])
        self.maps = dense(128, _MAPS, _he_normal)  # a 1 x 1 convolution
        self.pooled = nnx.List([BatchNorm(size, rngs=rngs, affine=False) for size in (64, 128, _MAPS)])
        size = _MAPS
        for side in (height, width):
            size *= ((side - 6) // 2 - 6) // 4
        self.dense = nnx.List([dense(size, _MAPS, _identity), dense(_MAPS, n_latent, _identity)])

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Array:
        """(n, h, w, c) to (n, K); `fairjax.deep.DAC` takes their softmax."""
        for layers, norm in zip((self.first, self.second), self.pooled[:2], strict=True):
            for layer in layers:
                x = layer(x, train=train)
            x = norm(_largest(x), train=train)
        x = self.pooled[2](_mean(self.maps(x, train=train)), train=train).reshape(len(x), -1)
        for layer in self.dense:
            x = layer(x, train=train)
        return x


def _largest(x: Array) -> Array:
    """Of 2 x 2 pixels, without a last odd one."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _mean(x: Array) -> Array:
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


class DACFeatureNetwork(nnx.Module):
    """The same for vectors, which the paper does not have: D-1024-512-K, all normalised in the same way.

    Parameters
    ----------
    n_in : int
        D.
    n_latent : int
        K.
    hidden : sequence of int
        Widths between.
    rngs : nnx.Rngs
    """

    def __init__(self, n_in: int, n_latent: int, *, rngs: nnx.Rngs, hidden: Sequence[int] = (1024, 512)) -> None:
        def layer(n_in: int, n_out: int) -> _Layer:
            return _Layer(Dense(n_in, n_out, rngs=rngs, kernel_init=_he_normal, bias=0.0), n_out, rngs)

        self.layers = nnx.List([layer(a, b) for a, b in pairwise((n_in, *hidden, n_latent))])

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Array:
        """(n, D) to (n, K)."""
        for layer in self.layers:
            x = layer(x, train=train)
        return x
