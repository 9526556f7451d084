"""ClusterGAN's networks: a generator with an encoder that inverts it, and a critic.

References
----------
.. [1] S. Mukherjee et al., "ClusterGAN: latent space clustering in generative adversarial networks", AAAI 2019, and its
   public code.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax

from fairjax.deep.nets.autoencoders import OUTPUTS
from fairjax.deep.nets.blocks import BatchNorm, Dense

__all__ = ["GANCritic", "GANNetwork"]

_HIDDEN = 256  # width of both hidden layers for vectors, as the authors have it for pen strokes
_LAYOUT = ("NHWC", "HWIO", "NHWC")


def _small(groups: bool) -> Callable[..., Array]:
    return jax.nn.initializers.normal(0.02)


def _dense(n_in: int, n_out: int, rngs: nnx.Rngs) -> Dense:
    return Dense(n_in, n_out, rngs=rngs, kernel_init=_small, bias=0.0)


def _leaky(x: Array) -> Array:
    return jax.nn.leaky_relu(x, 0.2)


class _Conv(nnx.Module):
    """4 x 4 convolution at stride 2, or its transpose: the platform's own, which can be differentiated twice."""

    def __init__(self, n_in: int, n_out: int, *, rngs: nnx.Rngs, transpose: bool = False) -> None:
        self.kernel = nnx.Param(_small(False)(rngs.params(), (4, 4, n_in, n_out)))
        self.bias = nnx.Param(jnp.zeros(n_out))
        self.transpose = transpose

    def __call__(self, x: Array) -> Array:
        apply: Any = lax.conv_transpose if self.transpose else lax.conv_general_dilated
        return apply(x, self.kernel[...], (2, 2), "SAME", dimension_numbers=_LAYOUT) + self.bias[...]


class GANCritic(nnx.Module):
    """Rows to numbers: images by convolutions to 64 and 128 channels and a layer of 1024 [1]_, vectors by two of 256.

    No batch normalisation, which the penalty on the gradient of single rows does not go with.

    Parameters
    ----------
    shape : int or (height, width, channels)
        Height and width divisible by four.
    n_out : int
    rngs : nnx.Rngs
    """

    def __init__(self, shape: int | tuple[int, int, int], n_out: int = 1, *, rngs: nnx.Rngs) -> None:
        if isinstance(shape, int):
            widths, channels = [shape, _HIDDEN, _HIDDEN, n_out], []
        else:
            widths = [math.prod(shape[:2]) // 16 * 128, 1024, n_out]
            channels = [shape[2], 64, 128]
        self.convs = nnx.List([_Conv(a, b, rngs=rngs) for a, b in pairwise(channels)])
        self.layers = nnx.List([_dense(a, b, rngs) for a, b in pairwise(widths)])

    def __call__(self, x: Array) -> Array:
        """(n, ...) to (n, n_out)."""
        for conv in self.convs:
            x = _leaky(conv(x))
        x = x.reshape(len(x), -1)
        for layer in self.layers[:-1]:
            x = _leaky(layer(x))
        return self.layers[-1](x)


class GANNetwork(nnx.Module):
    """ClusterGAN's generator, of noise and a cluster, and an encoder of the critic's form that finds both again [1]_.

    Generator for images: dense layers to 1024 and to 128 channels of a fourth of the side, transposed convolutions to
    64 channels and to the image, batch normalisation and ReLU between; for vectors two layers of 256.

    Parameters
    ----------
    shape : int or (height, width, channels)
        Height and width divisible by four.
    n_latent : int
        Noise and clusters together.
    n_noise : int
        Numbers of noise.
    output : {"sigmoid", "tanh", "linear"}
        Last function of the generator.
    rngs : nnx.Rngs
    """

    def __init__(
        self,
        shape: int | tuple[int, int, int],
        n_latent: int,
        *,
        rngs: nnx.Rngs,
        n_noise: int = 30,
        output: str = "sigmoid",
    ) -> None:
        if isinstance(shape, int):
            self.small: tuple[int, ...] = ()
            widths, channels, normed = [n_latent, _HIDDEN, _HIDDEN, shape], [], [_HIDDEN, _HIDDEN]
        else:
            self.small = (shape[0] // 4, shape[1] // 4, 128)
            widths, channels = [n_latent, 1024, math.prod(self.small)], [128, 64, shape[2]]
            normed = [1024, 128, 64]
        self.head = nnx.List([_dense(a, b, rngs) for a, b in pairwise(widths)])
        self.branch = nnx.List([_Conv(a, b, transpose=True, rngs=rngs) for a, b in pairwise(channels)])
        self.norms = nnx.List([BatchNorm(size, rngs=rngs) for size in normed])
        self.inverse = GANCritic(shape, n_latent, rngs=rngs)
        self.n_noise, self.output = n_noise, output

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Array:
        """(n, ...) to the noise and the clusters' probabilities (n, n_latent)."""
        found = self.invert(x)
        return jnp.concatenate([found[:, : self.n_noise], jax.nn.softmax(found[:, self.n_noise :], axis=1)], axis=1)

    def invert(self, x: Array) -> Array:
        """The same with the clusters' logits."""
        return self.inverse(x)

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        """(n, n_latent) to rows (n, ...), the same for every group."""
        layers = [*self.head, *self.branch]
        for number, layer in enumerate(layers):
            z = layer(z)
            if number == len(self.head) - 1 and self.small:
                z = z.reshape(-1, *self.small)
            if number < len(layers) - 1:
                z = jax.nn.relu(self.norms[number](z, train=train))
        return OUTPUTS[self.output](z)
