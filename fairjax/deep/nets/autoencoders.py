"""The networks of the methods: four kinds of autoencoders, and the critic of DFC.

An autoencoder is an NNX module with two methods:

- ``encode(x, *, train, key)`` returns the latent rows ``(n, d)``, or a `Code` if it also has a divergence to pay; ours
  take the rows' group ids too, for parts of the encoder that are each group's own (`fairjax.deep.nets.entrance`);
- ``decode(z, groups, *, train)`` returns the reconstruction in the shape of the input; ``groups`` are the rows' group
  ids, for decoders with a branch for each group.

``train`` selects batch statistics, ``key`` feeds sampling and dropout.

References
----------
.. [1] P. Li, H. Zhao, H. Liu, "Deep fair clustering for visual learning", CVPR 2020, and its public code.
.. [2] P. Zeng et al., "Deep fair clustering via maximizing and minimizing mutual information", CVPR 2023, and its
   public code.
.. [3] J. Xie, R. Girshick, A. Farhadi, "Unsupervised deep embedding for clustering analysis", ICML 2016.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from fairjax.deep.nets.blocks import BatchNorm, Conv, Dense, branch_ids, drop, he_kernel, unit_rows, xavier_kernel
from fairjax.deep.nets.convolution import in_blocks, kept
from fairjax.deep.nets.entrance import own_norm

__all__ = ["OUTPUTS", "Code", "ConvAutoencoder", "ConvVAE", "Critic", "FCAutoencoder", "MLPAutoencoder"]

# last functions of the decoders, by name
OUTPUTS: dict[str, Callable[[Array], Array]] = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "linear": lambda x: x}


class Code(NamedTuple):
    """What an encoder says of its rows: latent ``z`` (n, d), and the divergence ``kl`` (n,) that a VAE pays."""

    z: Array
    kl: Array


class MLPAutoencoder(nnx.Module):
    """Plain autoencoder of dense layers and ReLUs, D-h1-...-d and mirrored; the last decoder layer is the groups' own.

    With ``hidden=(500, 500, 2000)`` it is the stacked autoencoder of DEC [3]_, whose layers `layer_pass` trains one by
    one.

    Parameters
    ----------
    n_in : int
        D.
    n_latent : int
        d.
    hidden : sequence of int
        Widths between.
    n_groups : int
        Number of decoder branches.
    unit_norm : bool
        Divide latent rows by their length.
    output : {"sigmoid", "tanh", "linear"}
        Last function of the decoder.
    layer_groups : int, optional
        Give the encoder's first layer weights of each of so many groups' own.
    norm_groups : int, optional
        Put batch normalisation of each of so many groups' own behind that layer.
    rngs : nnx.Rngs
    """

    def __init__(
        self,
        n_in: int,
        n_latent: int,
        *,
        rngs: nnx.Rngs,
        hidden: Sequence[int] = (128, 64),
        n_groups: int = 1,
        unit_norm: bool = False,
        output: str = "linear",
        layer_groups: int | None = None,
        norm_groups: int | None = None,
    ) -> None:
        widths = [n_in, *hidden, n_latent]
        back = widths[::-1]

        def dense(n_in: int, n_out: int, n_groups: int | None = None) -> Dense:
            return Dense(n_in, n_out, rngs=rngs, n_groups=n_groups, kernel_init=_sdae_kernel, bias=0.0)

        self.encoder = nnx.List([dense(a, b, None if i else layer_groups) for i, (a, b) in enumerate(pairwise(widths))])
        self.head = nnx.List([dense(a, b) for a, b in pairwise(back[:-1])])
        self.branch = dense(back[-2], back[-1], n_groups)
        self.first_norm = own_norm(widths[1], norm_groups, rngs)
        self.layer_groups = layer_groups
        self.unit_norm, self.output = unit_norm, output

    def encode(self, x: Array, groups: Array | None = None, *, train: bool, key: Array | None = None) -> Array:
        """(n, D) to (n, d)."""
        z = self._encode_to(x, len(self.encoder), groups, train)
        return unit_rows(z) if self.unit_norm else z

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        """(n, d) to (n, D)."""
        for layer in self.head:
            z = jax.nn.relu(layer(z))
        return OUTPUTS[self.output](self.branch(z, branch_ids(groups, self.branch.n_groups)))

    def layer_pass(
        self, x: Array, groups: Array, layer: int, key: Array, *, dropout: float = 0.2
    ) -> tuple[Array, Array]:
        """What the layers below one give, and what the layer makes of that and back (training layer by layer).

        ``h = dropout(ReLU(W x + b))``, ``x' = W' h + b'``; the code layer has neither ReLU nor dropout, and rows of the
        data come back through the output's own function.
        """
        target = jax.lax.stop_gradient(self._encode_to(x, layer, groups, False))
        h = self._layer(layer, target, groups, True)
        if layer < len(self.encoder) - 1:
            h = drop(jax.nn.relu(h), dropout, key)
        if layer == 0:
            return target, OUTPUTS[self.output](self.branch(h, branch_ids(groups, self.branch.n_groups)))
        return target, self.head[len(self.head) - layer](h)

    def _encode_to(self, x: Array, depth: int, groups: Array | None, train: bool) -> Array:
        for i in range(depth):
            x = self._layer(i, x, groups, train)
            if i < len(self.encoder) - 1:
                x = jax.nn.relu(x)
        return x

    def _layer(self, i: int, x: Array, groups: Array | None, train: bool) -> Array:
        if i:
            return self.encoder[i](x)
        x = self.encoder[0](x, groups if self.layer_groups else None)
        return x if self.first_norm is None else self.first_norm(x, groups, train=train)


def _sdae_kernel(groups: bool) -> Callable[..., Array]:
    return xavier_kernel(groups, gain=math.sqrt(2), shape="uniform")


class FCAutoencoder(nnx.Module):
    """FCMI's fully connected autoencoder [2]_: wide layers with batch normalisation, a decoder branch for each group.

    Encoder D-1024-1024-512 (batch normalisation, ReLU)-256 (ReLU)-d, rows of length one; decoder head d-256-512 (ReLU);
    branches 512-1024-1024 (batch normalisation within the group's rows, ReLU)-D.

    Parameters
    ----------
    n_in : int
    n_latent : int
    n_groups : int
    unit_norm : bool
    output : {"sigmoid", "tanh", "linear"}
    layer_groups : int, optional
        All as for `MLPAutoencoder`.
    norm_groups : int, optional
        Give all of the encoder's batch normalisation statistics, scale and offset of each of so many groups' own.
    rngs : nnx.Rngs
    """

    def __init__(
        self,
        n_in: int,
        n_latent: int,
        *,
        rngs: nnx.Rngs,
        n_groups: int = 1,
        unit_norm: bool = True,
        output: str = "tanh",
        layer_groups: int | None = None,
        norm_groups: int | None = None,
    ) -> None:
        trunk, branch = [n_in, 1024, 1024, 512], [512, 1024, 1024]
        own = (layer_groups, None, None)
        layers = zip(pairwise(trunk), own, strict=True)
        self.trunk = nnx.List([Dense(a, b, rngs=rngs, n_groups=n) for (a, b), n in layers])
        self.trunk_norms = nnx.List([BatchNorm(size, rngs=rngs, n_groups=norm_groups) for size in trunk[1:]])
        self.layer_groups, self.norm_groups = layer_groups, norm_groups
        self.code = nnx.List([Dense(512, 256, rngs=rngs), Dense(256, n_latent, rngs=rngs)])
        self.head = nnx.List([Dense(n_latent, 256, rngs=rngs), Dense(256, 512, rngs=rngs)])
        self.branch = nnx.List([Dense(a, b, rngs=rngs, n_groups=n_groups) for a, b in pairwise(branch)])
        self.branch_norms = nnx.List([BatchNorm(size, rngs=rngs, n_groups=n_groups) for size in branch[1:]])
        self.last = Dense(branch[-1], n_in, rngs=rngs, n_groups=n_groups)
        self.unit_norm, self.output = unit_norm, output

    def encode(self, x: Array, groups: Array | None = None, *, train: bool, key: Array | None = None) -> Array:
        """(n, D) to (n, d)."""
        normed = groups if self.norm_groups else None
        for i, (layer, norm) in enumerate(zip(self.trunk, self.trunk_norms, strict=True)):
            x = layer(x, groups if self.layer_groups and not i else None)
            x = jax.nn.relu(norm(x, normed, train=train))
        z = self.code[1](jax.nn.relu(self.code[0](x)))
        return unit_rows(z) if self.unit_norm else z

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        """(n, d) to (n, D)."""
        for layer in self.head:
            z = jax.nn.relu(layer(z))
        groups = branch_ids(groups, self.last.n_groups)
        for layer, norm in zip(self.branch, self.branch_norms, strict=True):
            z = jax.nn.relu(norm(layer(z, groups), groups, train=train))
        return OUTPUTS[self.output](self.last(z, groups))


class ConvAutoencoder(nnx.Module):
    """FCMI's convolutional autoencoder [2]_: four convolutions, two dense layers, a decoder branch for each group.

    Parameters
    ----------
    shape : (height, width, channels)
        Height and width divisible by four.
    n_latent : int
    n_groups : int
    unit_norm : bool
    output : {"sigmoid", "tanh", "linear"}
    layer_groups : int, optional
    norm_groups : int, optional
    convolve : {"auto", "native", "products"}
        As `way` of `fairjax.deep.nets.convolution.conv`; on accelerators "products" is for several networks at once.
    rngs : nnx.Rngs
        These but `convolve` as for `MLPAutoencoder`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        n_latent: int,
        *,
        rngs: nnx.Rngs,
        n_groups: int = 1,
        unit_norm: bool = True,
        output: str = "tanh",
        layer_groups: int | None = None,
        norm_groups: int | None = None,
        convolve: str = "auto",
    ) -> None:
        height, width, channels = shape
        self.small = (height // 4, width // 4, 16)
        plan = ((channels, 16, 1), (16, 32, 2), (32, 32, 1), (32, 16, 2))
        back = ((16, 32, 2), (32, 32, 1), (32, 16, 2), (16, channels, 1))
        own = (layer_groups, None, None, None)
        self.convs = nnx.List(
            [Conv(a, b, stride=s, rngs=rngs, n_groups=n, way=convolve) for (a, b, s), n in zip(plan, own, strict=True)]
        )
        size = math.prod(self.small)
        self.code = nnx.List([Dense(size, 256, rngs=rngs), Dense(256, n_latent, rngs=rngs)])
        self.head = nnx.List([Dense(n_latent, 256, rngs=rngs), Dense(256, size, rngs=rngs)])
        branches = n_groups if n_groups > 1 else None
        layers = [Conv(a, b, stride=s, transpose=True, n_groups=branches, rngs=rngs, way=convolve) for a, b, s in back]
        self.branch = nnx.List(layers)
        self.first_norm = own_norm(16, norm_groups, rngs)
        self.layer_groups = layer_groups
        self.n_groups, self.unit_norm, self.output = n_groups, unit_norm, output

    def encode(self, x: Array, groups: Array | None = None, *, train: bool, key: Array | None = None) -> Array:
        """(n, h, w, c) to (n, d)."""
        first = 0
        if self.layer_groups or self.first_norm is not None:
            x, first = self._own(x, groups, train), 1
        x = in_blocks(partial(self._convolve, first), self._largest(), x)
        z = self.code[1](jax.nn.relu(self.code[0](x.reshape(len(x), -1))))
        return unit_rows(z) if self.unit_norm else z

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        """(n, d) to (n, h, w, c)."""
        for layer in self.head:
            z = jax.nn.relu(layer(z))
        x = z.reshape(-1, *self.small)
        if self.n_groups == 1:
            return in_blocks(self._convolve_back, self._largest(), x)
        return in_blocks(self._convolve_back, self._largest(), x, groups, self.n_groups)

    def _own(self, x: Array, groups: Array | None, train: bool) -> Array:
        """The first layer by itself, where it or the normalisation behind it is each group's own."""
        assert groups is not None
        size = math.prod(x.shape[1:])
        if self.layer_groups:
            x = in_blocks(lambda x, group: kept(self.convs[0](x, group)), size, x, groups, self.layer_groups)
        else:
            x = in_blocks(lambda x: kept(self.convs[0](x)), size, x)
        return jax.nn.relu(x if self.first_norm is None else self.first_norm(x, groups, train=train))

    def _convolve(self, first: int, x: Array) -> Array:
        for conv in self.convs[first:]:
            x = jax.nn.relu(kept(conv(x)))
        return x

    def _convolve_back(self, x: Array, groups: Array | None = None) -> Array:
        for i, conv in enumerate(self.branch):
            x = kept(conv(x, groups))
            if i < len(self.branch) - 1:
                x = jax.nn.relu(x)
        return OUTPUTS[self.output](x)

    def _largest(self) -> int:
        """Positions times channels in of the largest convolution: the third forth, the second back."""
        return 4 * self.small[0] * self.small[1] * 32


class ConvVAE(nnx.Module):
    """DFC's convolutional variational autoencoder [1]_; its decoder is the one of the reproducibility report.

    Encoding gives the mean and draws around it in training; the decoder is shared by all groups.

    Parameters
    ----------
    shape : (height, width, channels)
        Height and width divisible by four.
    n_latent : int
        d, 64 in the paper.
    output : {"sigmoid", "tanh", "linear"}
    rngs : nnx.Rngs
        These as for `MLPAutoencoder`.
    """

    def __init__(
        self, shape: tuple[int, int, int], n_latent: int = 64, *, rngs: nnx.Rngs, output: str = "sigmoid"
    ) -> None:
        height, width, channels = shape
        self.small = (height // 4, width // 4, 16)
        size = math.prod(self.small)
        plan = ((channels, 16, 1), (16, 32, 2), (32, 32, 1), (32, 16, 2))
        back = ((16, 32, 2), (32, 32, 1), (32, 16, 2), (16, channels, 1))

        def conv(n_in: int, n_out: int, stride: int, transpose: bool = False) -> Conv:
            return Conv(n_in, n_out, stride=stride, transpose=transpose, bias=False, rngs=rngs, kernel_init=he_kernel)

        def dense(n_in: int, n_out: int) -> Dense:
            return Dense(n_in, n_out, rngs=rngs, kernel_init=xavier_kernel, bias=0.1)

        def norm(size: int) -> BatchNorm:
            return BatchNorm(size, rngs=rngs, scale_deviation=0.02)

        self.convs = nnx.List([conv(*layer) for layer in plan])
        self.conv_norms = nnx.List([norm(b) for _, b, _ in plan])
        self.trunk, self.trunk_norm = dense(size, 512), BatchNorm(512, rngs=rngs)
        self.mean, self.logvar = dense(512, n_latent), dense(512, n_latent)
        self.head = nnx.List([dense(n_latent, 512), dense(512, size)])
        self.head_norm = BatchNorm(size, rngs=rngs)
        self.branch = nnx.List([conv(*layer, transpose=True) for layer in back])
        self.branch_norms = nnx.List([norm(b) for _, b, _ in back])
        self.output = output

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Code:
        """(n, h, w, c) to z (n, d), and the divergence from the standard normal (n,)."""
        for layer, norm in zip(self.convs, self.conv_norms, strict=True):
            x = jax.nn.relu(norm(layer(x), train=train))
        h = jax.nn.relu(self.trunk_norm(self.trunk(x.reshape(len(x), -1)), train=train))
        mean, logvar = self.mean(h), self.logvar(h)
        kl = -0.5 * jnp.sum(1 + logvar - mean**2 - jnp.exp(logvar), -1)
        if train and key is not None:
            mean = mean + jnp.exp(logvar / 2) * jax.random.normal(key, mean.shape, mean.dtype)
        return Code(mean, kl)

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        """(n, d) to (n, h, w, c)."""
        h = jax.nn.relu(self.head[0](z))
        h = jax.nn.relu(self.head_norm(self.head[1](h), train=train))
        x = h.reshape(-1, *self.small)
        for i, (layer, norm) in enumerate(zip(self.branch, self.branch_norms, strict=True)):
            x = norm(layer(x), train=train)
            if i < len(self.branch) - 1:
                x = jax.nn.relu(x)
        return OUTPUTS[self.output](x)


class Critic(nnx.Module):
    """DFC's discriminator [1]_: which group does a row of soft assignments come from? Dense layers with dropout.

    Parameters
    ----------
    n_in : int
        K.
    n_out : int
        1 (logit of the first of two groups) or the number of groups.
    hidden : sequence of int
        Widths between.
    dropout : float
        Share of hidden numbers that are set to zero.
    rngs : nnx.Rngs
    """

    def __init__(
        self, n_in: int, n_out: int, *, rngs: nnx.Rngs, hidden: Sequence[int] = (32, 32), dropout: float = 0.5
    ) -> None:
        widths = [n_in, *hidden, n_out]
        self.dropout = dropout
        self.layers = nnx.List([Dense(a, b, rngs=rngs, kernel_init=xavier_kernel) for a, b in pairwise(widths)])

    def __call__(self, q: Array, key: Array) -> Array:
        """Logits (n, n_out); dropout is always on, as in the authors' code."""
        keys = jax.random.split(key, len(self.layers) - 1)
        for layer, layer_key in zip(self.layers[:-1], keys, strict=True):
            q = drop(jax.nn.relu(layer(q)), self.dropout, layer_key)
        return self.layers[-1](q)
