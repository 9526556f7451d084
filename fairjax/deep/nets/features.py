"""DFC's network on precomputed features: where images have convolutions, one dense layer."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from fairjax.deep.nets.autoencoders import OUTPUTS, Code
from fairjax.deep.nets.blocks import BatchNorm, Dense, xavier_kernel

__all__ = ["FeatureVAE"]


class FeatureVAE(nnx.Module):
    """`ConvVAE` for vectors: D-512 (batch normalisation, ReLU) in place of its convolutions, then mean and variance.

    The decoder goes back the same way: d-512 (ReLU)-D.

    Parameters
    ----------
    n_in : int
        D, 2048 for the features of a ResNet50.
    n_latent : int
        d.
    output : {"sigmoid", "tanh", "linear"}
        Last function of the decoder.
    rngs : nnx.Rngs
    """

    def __init__(self, n_in: int, n_latent: int = 64, *, rngs: nnx.Rngs, output: str = "linear") -> None:
        def dense(n_in: int, n_out: int) -> Dense:
            return Dense(n_in, n_out, rngs=rngs, kernel_init=xavier_kernel, bias=0.1)

        self.trunk, self.trunk_norm = dense(n_in, 512), BatchNorm(512, rngs=rngs)
        self.mean, self.logvar = dense(512, n_latent), dense(512, n_latent)
        self.head, self.last = dense(n_latent, 512), dense(512, n_in)
        self.output = output

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Code:
        """(n, D) to z (n, d), and the divergence from the standard normal (n,)."""
        h = jax.nn.relu(self.trunk_norm(self.trunk(x), train=train))
        mean, logvar = self.mean(h), self.logvar(h)
        kl = -0.5 * jnp.sum(1 + logvar - mean**2 - jnp.exp(logvar), -1)
        if train and key is not None:
            mean = mean + jnp.exp(logvar / 2) * jax.random.normal(key, mean.shape, mean.dtype)
        return Code(mean, kl)

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        """(n, d) to (n, D)."""
        return OUTPUTS[self.output](self.last(jax.nn.relu(self.head(z))))
