"""The networks, and the one adapter between them and plain pytrees: nothing else in the package calls Flax.

An autoencoder is an NNX module with two methods:

- ``encode(x, *, train, key)`` returns the latent rows ``(n, d)``, or a `Code` if it also has a divergence to pay;
- ``decode(z, groups, *, train)`` returns the reconstruction in the shape of the input; ``groups`` are the rows' group
  ids, for decoders with a branch for each group.

``train`` selects batch statistics, ``key`` feeds sampling and dropout. Whoever brings a module of that kind can use it
in every method of the room.

References
----------
.. [1] P. Li, H. Zhao, H. Liu, "Deep fair clustering for visual learning", CVPR 2020, and its public code.
.. [2] P. Zeng et al., "Deep fair clustering via maximizing and minimizing mutual information", CVPR 2023, and its
   public code.
.. [3] J. Xie, R. Girshick, A. Farhadi, "Unsupervised deep embedding for clustering analysis", ICML 2016.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from fairjax.deep import layers
from fairjax.errors import InputError

__all__ = [
    "BatchNorm",
    "Code",
    "Conv",
    "ConvAutoencoder",
    "ConvVAE",
    "Critic",
    "Dense",
    "FCAutoencoder",
    "MLPAutoencoder",
    "Network",
    "OwnNetwork",
    "Variables",
]

_OUTPUTS: dict[str, Callable[[Array], Array]] = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "linear": lambda x: x}
_BN_EPS, _BN_MOMENTUM = 1e-5, 0.9

_scaling = jax.nn.initializers.variance_scaling
Init = Callable[..., Array]


def _torch_kernel(groups: bool = False) -> Init:
    """Uniform within 1 / sqrt(fan in), PyTorch's default; the first axis of grouped kernels is the group."""
    return _scaling(1 / 3, "fan_in", "uniform", batch_axis=(0,) if groups else ())


def _he_kernel(groups: bool = False) -> Init:
    return _scaling(2.0, "fan_in", "uniform", batch_axis=(0,) if groups else ())


def _xavier_kernel(groups: bool = False, *, gain: float = 1.0, shape: Any = "normal") -> Init:
    return _scaling(gain**2, "fan_avg", shape, batch_axis=(0,) if groups else ())


def _bias_init(value: float | None, fan_in: int) -> Init:
    """A constant, or PyTorch's default: uniform within 1 / sqrt(fan in)."""
    if value is not None:
        return lambda key, shape: jnp.full(shape, value, dtype=jnp.result_type(float))
    bound = 1 / math.sqrt(fan_in)
    return lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)


class Code(NamedTuple):
    """What an encoder says of its rows: latent ``z`` (n, d), and the divergence ``kl`` (n,) that a VAE pays."""

    z: Array
    kl: Array


class Dense(nnx.Module):
    """Affine layer, with one matrix and offset for each group if there are several.

    Parameters
    ----------
    n_in, n_out : int
    rngs : nnx.Rngs
    n_groups : int, optional
        Give it a kernel of shape (T, n_in, n_out); the call then needs the rows' groups.
    kernel_init : initialiser of the kernel, told whether it is grouped.
    bias : float, optional
        Constant start of the offsets; PyTorch's default if None.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        rngs: nnx.Rngs,
        n_groups: int | None = None,
        kernel_init: Callable[[bool], Init] = _torch_kernel,
        bias: float | None = None,
    ) -> None:
        lead = () if n_groups is None else (n_groups,)
        self.kernel = nnx.Param(kernel_init(n_groups is not None)(rngs.params(), (*lead, n_in, n_out)))
        self.bias = nnx.Param(_bias_init(bias, n_in)(rngs.params(), (*lead, n_out)))

    def __call__(self, x: Array, groups: Array | None = None) -> Array:
        """(n, n_in) to (n, n_out)."""
        if groups is None:
            return jnp.matmul(x, self.kernel[...]) + self.bias[...]
        return layers.grouped_dot(x, self.kernel[...], groups) + self.bias[...][groups]

    @property
    def n_groups(self) -> int:
        """Number of kernels of a grouped layer."""
        return len(self.kernel[...])


def _branch_ids(groups: Array, n_groups: int) -> Array:
    """Every group's rows go through the one branch if there is only one."""
    return groups if n_groups > 1 else jnp.zeros_like(groups)


class Conv(nnx.Module):
    """3 x 3 convolution, or its transpose, with a kernel for each group if there are several.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    stride : {1, 2}
    transpose : bool
        Enlarge by the stride in place of shrinking.
    bias : bool
        Add an offset to each channel, started as PyTorch does.
    n_groups, kernel_init, rngs
        As for `Dense`.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        rngs: nnx.Rngs,
        stride: int = 1,
        transpose: bool = False,
        bias: bool = True,
        n_groups: int | None = None,
        kernel_init: Callable[[bool], Init] = _torch_kernel,
    ) -> None:
        lead = () if n_groups is None else (n_groups,)
        channels = (n_out, n_in) if transpose else (n_in, n_out)
        self.kernel = nnx.Param(kernel_init(n_groups is not None)(rngs.params(), (*lead, 3, 3, *channels)))
        start = _bias_init(None, 9 * channels[0])
        self.bias = nnx.Param(start(rngs.params(), (*lead, n_out))) if bias else None
        self.stride, self.transpose = stride, transpose

    def __call__(self, x: Array, groups: Array | None = None) -> Array:
        """(n, h, w, n_in) to (n, h', w', n_out)."""
        kernel = self.kernel[...] if groups is None else self.kernel[...][groups]
        apply = layers.conv_transpose if self.transpose else layers.conv
        found = apply(x, kernel, self.stride)
        if self.bias is None:
            return found
        return found + (self.bias[...] if groups is None else self.bias[...][groups][:, None, None])


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last, within each group if there are several.

    Statistics are taken in the type of the running averages, which move as 0.9 old + 0.1 new; those of a group that
    the batch lacks stay.
    """

    def __init__(self, size: int, *, rngs: nnx.Rngs, n_groups: int | None = None, scale_deviation: float = 0.0) -> None:
        shape = (size,) if n_groups is None else (n_groups, size)
        noise = jax.random.normal(rngs.params(), shape)
        self.scale = nnx.Param(1 + scale_deviation * noise)
        self.offset = nnx.Param(jnp.zeros(shape))
        self.mean, self.var = nnx.BatchStat(jnp.zeros(shape)), nnx.BatchStat(jnp.ones(shape))

    def __call__(self, x: Array, groups: Array | None = None, *, train: bool) -> Array:
        """Same shape; updates the running averages in training."""
        wide = x.astype(self.mean[...].dtype)

        def spread(table: Array) -> Array:
            """Give each row what its group's row of the table says."""
            return table if groups is None else table[groups].reshape(len(x), *(1,) * (x.ndim - 2), -1)

        if train and groups is None:
            axes = tuple(range(x.ndim - 1))
            mean = jnp.mean(wide, axes)
            var = jnp.mean((wide - mean) ** 2, axes)
            self._remember(mean, var, jnp.ones(()))
        elif train:
            assert groups is not None
            n_groups = len(self.mean[...])
            mean, counts = layers.group_means(wide, groups, n_groups)
            var, _ = layers.group_means((wide - spread(mean)) ** 2, groups, n_groups)
            self._remember(mean, var, (counts > 0)[:, None])
        else:
            mean, var = self.mean[...], self.var[...]
        factor = self.scale[...] * jax.lax.rsqrt(var + _BN_EPS)
        return ((wide - spread(mean)) * spread(factor) + spread(self.offset[...])).astype(x.dtype)

    def _remember(self, mean: Array, var: Array, seen: Array) -> None:
        for average, new in ((self.mean, mean), (self.var, var)):
            old = average[...]
            average[...] = jnp.where(seen, _BN_MOMENTUM * old + (1 - _BN_MOMENTUM) * jax.lax.stop_gradient(new), old)


def _unit_rows(z: Array) -> Array:
    # the floor of PyTorch's normalize; inside the root it keeps the slope of a zero row finite
    return z * jax.lax.rsqrt(jnp.maximum(jnp.sum(z**2, -1, keepdims=True), 1e-24))


class MLPAutoencoder(nnx.Module):
    """Plain autoencoder of dense layers and ReLUs, D-h1-...-d and mirrored; the last decoder layer is the groups' own.

    With ``hidden=(500, 500, 2000)`` it is the stacked autoencoder of DEC [3]_, whose layers `layer_loss` trains one by
    one.

    Parameters
    ----------
    n_in, n_latent : int
        D and d.
    hidden : sequence of int
        Widths between.
    n_groups : int
        Number of decoder branches.
    unit_norm : bool
        Divide latent rows by their length.
    output : {"sigmoid", "tanh", "linear"}
        Last function of the decoder.
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
    ) -> None:
        widths = [n_in, *hidden, n_latent]
        back = widths[::-1]

        def dense(n_in: int, n_out: int, n_groups: int | None = None) -> Dense:
            return Dense(n_in, n_out, rngs=rngs, n_groups=n_groups, kernel_init=_sdae_kernel, bias=0.0)

        self.encoder = nnx.List([dense(a, b) for a, b in pairwise(widths)])
        self.head = nnx.List([dense(a, b) for a, b in pairwise(back[:-1])])
        self.branch = dense(back[-2], back[-1], n_groups)
        self.unit_norm, self.output = unit_norm, output

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Array:
        """(n, D) to (n, d)."""
        z = self._encode_to(x, len(self.encoder))
        return _unit_rows(z) if self.unit_norm else z

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        """(n, d) to (n, D)."""
        for layer in self.head:
            z = jax.nn.relu(layer(z))
        return _OUTPUTS[self.output](self.branch(z, _branch_ids(groups, self.branch.n_groups)))

    def layer_loss(self, x: Array, groups: Array, layer: int, key: Array, *, dropout: float = 0.2) -> Array:
        """Mean squared error of one hidden layer that reconstructs what the layers below it give (layer by layer).

        ``h = dropout(ReLU(W x + b))``, ``x' = W' h + b'``; the code layer has neither ReLU nor dropout.
        """
        target = jax.lax.stop_gradient(self._encode_to(x, layer))
        h = self.encoder[layer](target)
        if layer < len(self.encoder) - 1:
            h = _dropout(jax.nn.relu(h), dropout, key)
        if layer == 0:
            found = self.branch(h, _branch_ids(groups, self.branch.n_groups))
        else:
            found = self.head[len(self.head) - layer](h)
        return jnp.mean((found.astype(target.dtype) - target) ** 2)

    def _encode_to(self, x: Array, depth: int) -> Array:
        for i, layer in enumerate(self.encoder[:depth]):
            x = layer(x)
            if i < len(self.encoder) - 1:
                x = jax.nn.relu(x)
        return x


def _sdae_kernel(groups: bool) -> Init:
    return _xavier_kernel(groups, gain=math.sqrt(2), shape="uniform")


class FCAutoencoder(nnx.Module):
    """FCMI's fully connected autoencoder [2]_: wide layers with batch normalisation, a decoder branch for each group.

    Encoder D-1024-1024-512 (batch normalisation, ReLU)-256 (ReLU)-d, rows of length one; decoder head d-256-512 (ReLU);
    branches 512-1024-1024 (batch normalisation within the group's rows, ReLU)-D.

    Parameters
    ----------
    n_in, n_latent, n_groups, unit_norm, output, rngs
        As for `MLPAutoencoder`.
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
    ) -> None:
        trunk, branch = [n_in, 1024, 1024, 512], [512, 1024, 1024]
        self.trunk = nnx.List([Dense(a, b, rngs=rngs) for a, b in pairwise(trunk)])
        self.trunk_norms = nnx.List([BatchNorm(size, rngs=rngs) for size in trunk[1:]])
        self.code = nnx.List([Dense(512, 256, rngs=rngs), Dense(256, n_latent, rngs=rngs)])
        self.head = nnx.List([Dense(n_latent, 256, rngs=rngs), Dense(256, 512, rngs=rngs)])
        self.branch = nnx.List([Dense(a, b, rngs=rngs, n_groups=n_groups) for a, b in pairwise(branch)])
        self.branch_norms = nnx.List([BatchNorm(size, rngs=rngs, n_groups=n_groups) for size in branch[1:]])
        self.last = Dense(branch[-1], n_in, rngs=rngs, n_groups=n_groups)
        self.unit_norm, self.output = unit_norm, output

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Array:
        """(n, D) to (n, d)."""
        for layer, norm in zip(self.trunk, self.trunk_norms, strict=True):
            x = jax.nn.relu(norm(layer(x), train=train))
        z = self.code[1](jax.nn.relu(self.code[0](x)))
        return _unit_rows(z) if self.unit_norm else z

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        """(n, d) to (n, D)."""
        for layer in self.head:
            z = jax.nn.relu(layer(z))
        groups = _branch_ids(groups, self.last.n_groups)
        for layer, norm in zip(self.branch, self.branch_norms, strict=True):
            z = jax.nn.relu(norm(layer(z, groups), groups, train=train))
        return _OUTPUTS[self.output](self.last(z, groups))


class ConvAutoencoder(nnx.Module):
    """FCMI's convolutional autoencoder [2]_: four convolutions, two dense layers, a decoder branch for each group.

    Parameters
    ----------
    shape : (height, width, channels)
        Height and width divisible by four.
    n_latent, n_groups, unit_norm, output, rngs
        As for `MLPAutoencoder`.
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
    ) -> None:
        height, width, channels = shape
        self.small = (height // 4, width // 4, 16)
        plan = ((channels, 16, 1), (16, 32, 2), (32, 32, 1), (32, 16, 2))
        back = ((16, 32, 2), (32, 32, 1), (32, 16, 2), (16, channels, 1))
        self.convs = nnx.List([Conv(a, b, stride=s, rngs=rngs) for a, b, s in plan])
        size = math.prod(self.small)
        self.code = nnx.List([Dense(size, 256, rngs=rngs), Dense(256, n_latent, rngs=rngs)])
        self.head = nnx.List([Dense(n_latent, 256, rngs=rngs), Dense(256, size, rngs=rngs)])
        branches = n_groups if n_groups > 1 else None
        self.branch = nnx.List([Conv(a, b, stride=s, transpose=True, n_groups=branches, rngs=rngs) for a, b, s in back])
        self.one_branch, self.unit_norm, self.output = n_groups == 1, unit_norm, output

    def encode(self, x: Array, *, train: bool, key: Array | None = None) -> Array:
        """(n, h, w, c) to (n, d)."""
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
        z = self.code[1](jax.nn.relu(self.code[0](x.reshape(len(x), -1))))
        return _unit_rows(z) if self.unit_norm else z

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        """(n, d) to (n, h, w, c)."""
        for layer in self.head:
            z = jax.nn.relu(layer(z))
        x = z.reshape(-1, *self.small)
        for i, conv in enumerate(self.branch):
            x = conv(x, None if self.one_branch else groups)
            if i < len(self.branch) - 1:
                x = jax.nn.relu(x)
        return _OUTPUTS[self.output](x)


class ConvVAE(nnx.Module):
    """DFC's convolutional variational autoencoder [1]_; its decoder is the one of the reproducibility report.

    Encoding gives the mean and draws around it in training; the decoder is shared by all groups.

    Parameters
    ----------
    shape : (height, width, channels)
        Height and width divisible by four.
    n_latent : int
        d, 64 in the paper.
    output, rngs
        As for `MLPAutoencoder`.
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
            return Conv(n_in, n_out, stride=stride, transpose=transpose, bias=False, rngs=rngs, kernel_init=_he_kernel)

        def dense(n_in: int, n_out: int) -> Dense:
            return Dense(n_in, n_out, rngs=rngs, kernel_init=_xavier_kernel, bias=0.1)

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
        return _OUTPUTS[self.output](x)


class Critic(nnx.Module):
    """DFC's discriminator [1]_: which group does a row of soft assignments come from? K-32-32-outputs, dropout 0.5.

    Parameters
    ----------
    n_in : int
        K.
    n_out : int
        1 (logit of the first of two groups) or the number of groups.
    rngs : nnx.Rngs
    """

    def __init__(self, n_in: int, n_out: int, *, rngs: nnx.Rngs) -> None:
        widths = [n_in, 32, 32, n_out]
        self.layers = nnx.List([Dense(a, b, rngs=rngs, kernel_init=_xavier_kernel) for a, b in pairwise(widths)])

    def __call__(self, q: Array, key: Array) -> Array:
        """Logits (n, n_out); dropout is always on, as in the authors' code."""
        keys = jax.random.split(key, len(self.layers) - 1)
        for layer, layer_key in zip(self.layers[:-1], keys, strict=True):
            q = _dropout(jax.nn.relu(layer(q)), 0.5, layer_key)
        return self.layers[-1](q)


def _dropout(x: Array, rate: float, key: Array) -> Array:
    keep = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(keep, x / (1 - rate), 0)


class Variables(NamedTuple):
    """What a network holds: trained ``params`` and the ``rest`` (running averages), nested dicts of arrays."""

    params: Any
    rest: Any


def _split(module: Any) -> tuple[Any, Variables]:
    """Structure and arrays of a module."""
    graph, params, rest = nnx.split(module, nnx.Param, ...)  # type: ignore[misc]
    return graph, Variables(nnx.to_pure_dict(params), nnx.to_pure_dict(rest))


_KINDS: dict[str, Any] = {
    "mlp": MLPAutoencoder,
    "sdae": MLPAutoencoder,
    "fc": FCAutoencoder,
    "conv": ConvAutoencoder,
    "vae": ConvVAE,
    "critic": Critic,
}


class _Adapter:
    """Use of an NNX module as pure functions of its variables."""

    compute: str

    def graph(self) -> Any:
        raise NotImplementedError

    def call(self, params: Any, rest: Any, use: Callable[..., Any], *inputs: Array) -> tuple[Any, Any]:
        """Merge, run ``use(module, *inputs)``, split: what it returned, and the rest as it then is.

        In ``compute="bfloat16"`` parameters and floating inputs are rounded on the way in; whatever comes out is in the
        type of the parameters, running averages never leave it.
        """
        wide = jnp.result_type(*jax.tree.leaves(params))

        def to(kind: Any) -> Callable[[Array], Array]:
            return lambda leaf: leaf.astype(kind) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

        narrow = to(wide if self.compute == "float32" else self.compute)
        module = nnx.merge(self.graph(), jax.tree.map(narrow, params), rest)
        found = use(module, *(narrow(x) for x in inputs))
        return jax.tree.map(to(wide), found), _split(module)[1].rest

    def encode(self, params: Any, rest: Any, x: Array, *, train: bool = False, key: Array | None = None) -> Any:
        """`Code` of the rows, and the rest as it then is."""
        return self.call(params, rest, lambda module, x: _code(module.encode(x, train=train, key=key)), x)

    def autoencode(
        self, params: Any, rest: Any, x: Array, groups: Array, *, train: bool = False, key: Array | None = None
    ) -> tuple[tuple[Code, Array], Any]:
        """`Code` and reconstruction of the rows, and the rest as it then is."""

        def use(module: Any, x: Array, groups: Array) -> tuple[Code, Array]:
            code = _code(module.encode(x, train=train, key=key))
            return code, module.decode(code.z, groups, train=train)

        return self.call(params, rest, use, x, groups)


def _code(found: Code | Array) -> Code:
    return found if isinstance(found, Code) else Code(found, jnp.zeros_like(found[:, 0]))


@dataclass(frozen=True, kw_only=True)
class Network(_Adapter):
    """One of the networks of this module, by name: static, hashable, and easy to write down.

    Parameters
    ----------
    kind : {"mlp", "sdae", "fc", "conv", "vae", "critic"}
    shape : tuple of int
        (D,) of vectors or (h, w, c) of images; (K,) for the critic.
    n_latent : int
        Latent dimension d, or the outputs of the critic.
    options : tuple of (name, value)
        Further keywords of the module.
    compute : {"float32", "bfloat16"}
        Type in which the layers compute; "float32" means the type of the parameters.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> network = Network(kind="mlp", shape=(64,), n_latent=10)
    >>> params, rest = network.init(jax.random.key(0))
    >>> code, rest = network.encode(params, rest, jnp.ones((3, 64)))
    >>> code.z.shape
    (3, 10)
    """

    kind: str
    shape: tuple[int, ...]
    n_latent: int
    options: tuple[tuple[str, Hashable], ...] = ()
    compute: str = "float32"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise InputError(f"there is no network {self.kind!r}; expected one of {', '.join(map(repr, _KINDS))}")
        images = self.kind in ("conv", "vae")
        if images and (len(self.shape) != 3 or self.shape[0] % 4 or self.shape[1] % 4 or 0 in self.shape):
            raise InputError(
                f"the network {self.kind!r} takes images (n, height, width, channels) with height and width divisible "
                f"by 4; found rows of shape {self.shape}"
            )
        if not images and len(self.shape) != 1:
            raise InputError(
                f"the network {self.kind!r} takes vectors (n, D); found rows of shape {self.shape}: flatten them, or "
                "take network='conv'"
            )

    def init(self, key: Array) -> Variables:
        """Variables drawn from a key; pure, so `vmap` over keys gives many at once."""
        return _split(self._build(key))[1]

    def graph(self) -> Any:
        """Structure without arrays."""
        return _structure(self)

    def _build(self, key: Array) -> Any:
        shape = self.shape if self.kind in ("conv", "vae") else self.shape[0]
        return _KINDS[self.kind](shape, self.n_latent, rngs=nnx.Rngs(key), **dict(self.options))


@lru_cache(maxsize=256)
def _structure(network: Network) -> Any:
    return _split(nnx.eval_shape(lambda: network._build(jax.random.key(0))))[0]


class OwnNetwork(_Adapter):
    """An NNX module of the user's own, with the methods `encode` and `decode` that this module describes.

    Parameters
    ----------
    module : nnx.Module
        Training starts at the values that it holds, whatever the key.
    compute : {"float32", "bfloat16"}
        As for `Network`.

    Raises
    ------
    InputError
        If a method is missing, or the module holds nothing to train.
    """

    def __init__(self, module: Any, compute: str = "float32") -> None:
        missing = [name for name in ("encode", "decode") if not callable(getattr(module, name, None))]
        if not isinstance(module, nnx.Module) or missing:
            raise InputError(
                f"network is a {type(module).__name__}; expected a name or an NNX module with the methods encode(x, *, "
                "train, key) and decode(z, groups, *, train)"
            )
        self._graph, self._start = _split(module)
        self.compute = compute
        if not jax.tree.leaves(self._start.params):
            raise InputError("the network holds no parameters (nnx.Param) to train")

    def init(self, key: Array) -> Variables:
        """The values that the module was given with."""
        return jax.tree.map(jnp.asarray, self._start)

    def graph(self) -> Any:
        """Structure without arrays."""
        return self._graph
