"""Networks without a way back: rows to one logit for each cluster.

References
----------
.. [1] W. Hu et al., "Learning discrete representations via information maximizing self-augmented training", ICML 2017,
   and its public code.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import jax
from flax import nnx
from jax import Array

from fairjax.deep.nets.blocks import BatchNorm, Conv, Dense
from fairjax.deep.nets.convolution import in_blocks, kept

__all__ = ["Classifier", "ConvClassifier"]

_EPS = 2e-5  # of the batch normalisation, in the authors' code
_HIDDEN_SCALE, _LAST_SCALE = 0.1, 1e-4  # the last one makes all clusters as likely for every row at the start


def _scaled_he(scale: float) -> Callable[[bool], Callable[..., Array]]:
    """Normal kernels of standard deviation ``scale * sqrt(2 / fan in)``."""
    return lambda _: jax.nn.initializers.variance_scaling(2 * scale**2, "fan_in", "normal")


def _dense(n_in: int, n_out: int, scale: float, rngs: nnx.Rngs) -> Dense:
    return Dense(n_in, n_out, rngs=rngs, kernel_init=_scaled_he(scale), bias=0.0)


class Classifier(nnx.Module):
    """IMSAT's network [1]_: D-1200-1200 (batch normalisation, ReLU)-K; images are taken as vectors of their pixels.

    Kernels start as normal numbers of standard deviation s·sqrt(2/fan in), with s = 0.1, and 0.0001 in the last layer,
    so that all clusters are as likely at the start.

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

    def __init__(self, n_in: int, n_latent: int, *, rngs: nnx.Rngs, hidden: Sequence[int] = (1200, 1200)) -> None:
        self.trunk = nnx.List([_dense(a, b, _HIDDEN_SCALE, rngs) for a, b in pairwise((n_in, *hidden))])
        self.trunk_norms = nnx.List([BatchNorm(size, eps=_EPS, rngs=rngs) for size in hidden])
        self.code = _dense(hidden[-1], n_latent, _LAST_SCALE, rngs)

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Array:
        """(n, ...) to logits (n, K)."""
        x = x.reshape(len(x), -1)
        for layer, norm in zip(self.trunk, self.trunk_norms, strict=True):
            x = jax.nn.relu(norm(layer(x), train=train))
        return self.code(x)


class ConvClassifier(nnx.Module):
    """The convolutions of `ConvAutoencoder`, then 256 (batch normalisation, ReLU) and K logits.

    Parameters
    ----------
    shape : (height, width, channels)
        Height and width divisible by four.
    n_latent : int
        K.
    rngs : nnx.Rngs
    """

    def __init__(self, shape: tuple[int, int, int], n_latent: int, *, rngs: nnx.Rngs) -> None:
        height, width, channels = shape
        small = (height // 4, width // 4, 16)
        plan = ((channels, 16, 1), (16, 32, 2), (32, 32, 1), (32, 16, 2))
        self.convs = nnx.List([Conv(a, b, stride=s, rngs=rngs) for a, b, s in plan])
        self.trunk = _dense(math.prod(small), 256, 1.0, rngs)
        self.trunk_norm = BatchNorm(256, eps=_EPS, rngs=rngs)
        self.code = _dense(256, n_latent, _LAST_SCALE, rngs)
        self.largest = 4 * small[0] * small[1] * 32  # positions times channels that come into the third convolution

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Array:
        """(n, h, w, c) to logits (n, K)."""
        x = in_blocks(self._convolve, self.largest, x)
        return self.code(jax.nn.relu(self.trunk_norm(self.trunk(x.reshape(len(x), -1)), train=train)))

    def _convolve(self, x: Array) -> Array:
        for conv in self.convs:
            x = jax.nn.relu(kept(conv(x)))
        return x
