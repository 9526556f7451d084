"""Layers of the networks as NNX modules: dense, convolutional and normalising, with one set of weights per group."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from fairjax.deep.nets import convolution, grouped

__all__ = [
    "BatchNorm",
    "Conv",
    "Dense",
    "branch_ids",
    "drop",
    "he_kernel",
    "torch_kernel",
    "unit_rows",
    "xavier_kernel",
]

_BN_EPS, _BN_MOMENTUM = 1e-5, 0.9

_scaling = jax.nn.initializers.variance_scaling
Init = Callable[..., Array]


def torch_kernel(groups: bool = False) -> Init:
    """Uniform within 1 / sqrt(fan in), PyTorch's default; the first axis of grouped kernels is the group."""
    return _scaling(1 / 3, "fan_in", "uniform", batch_axis=(0,) if groups else ())


def he_kernel(groups: bool = False) -> Init:
    """He's uniform initialiser; the first axis of grouped kernels is the group."""
    return _scaling(2.0, "fan_in", "uniform", batch_axis=(0,) if groups else ())


def xavier_kernel(groups: bool = False, *, gain: float = 1.0, shape: Any = "normal") -> Init:
    """Glorot's initialiser times a gain; the first axis of grouped kernels is the group."""
    return _scaling(gain**2, "fan_avg", shape, batch_axis=(0,) if groups else ())


def _bias_init(value: float | None, fan_in: int) -> Init:
    """A constant, or PyTorch's default: uniform within 1 / sqrt(fan in)."""
    if value is not None:
        return lambda key, shape: jnp.full(shape, value, dtype=jnp.result_type(float))
    bound = 1 / math.sqrt(fan_in)
    return lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)


class Dense(nnx.Module):
    """Affine layer, with one matrix and offset for each group if there are several.

    Parameters
    ----------
    n_in : int
    n_out : int
    rngs : nnx.Rngs
    n_groups : int, optional
        Give it a kernel of shape (T, n_in, n_out); the call then needs the rows' groups.
    kernel_init : function of a bool
        Initialiser of the kernel, for a grouped one or another.
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
        kernel_init: Callable[[bool], Init] = torch_kernel,
        bias: float | None = None,
    ) -> None:
        lead = () if n_groups is None else (n_groups,)
        self.kernel = nnx.Param(kernel_init(n_groups is not None)(rngs.params(), (*lead, n_in, n_out)))
        self.bias = nnx.Param(_bias_init(bias, n_in)(rngs.params(), (*lead, n_out)))

    def __call__(self, x: Array, groups: Array | None = None) -> Array:
        """(n, n_in) to (n, n_out)."""
        if groups is None:
            return jnp.matmul(x, self.kernel[...]) + self.bias[...]
        return grouped.grouped_dot(x, self.kernel[...], groups) + self.bias[...][groups]

    @property
    def n_groups(self) -> int:
        """Number of kernels of a grouped layer."""
        return len(self.kernel[...])


class Conv(nnx.Module):
    """3 x 3 convolution, or its transpose, with a kernel for each group if there are several.

    Parameters
    ----------
    n_in : int
        Channels that come in.
    n_out : int
        Channels that go out.
    stride : {1, 2}
    transpose : bool
        Enlarge by the stride in place of shrinking.
    bias : bool
        Add an offset to each channel, started as PyTorch does.
    n_groups : int
    kernel_init : function of a bool
    rngs : nnx.Rngs
        These as for `Dense`.
    way : {"auto", "native", "products"}
        As for `fairjax.deep.nets.convolution.conv`.
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
        kernel_init: Callable[[bool], Init] = torch_kernel,
        way: str = "auto",
    ) -> None:
        lead = () if n_groups is None else (n_groups,)
        channels = (n_out, n_in) if transpose else (n_in, n_out)
        self.kernel = nnx.Param(kernel_init(n_groups is not None)(rngs.params(), (*lead, 3, 3, *channels)))
        start = _bias_init(None, 9 * channels[0])
        self.bias = nnx.Param(start(rngs.params(), (*lead, n_out))) if bias else None
        self.stride, self.transpose, self.way = stride, transpose, way

    def __call__(self, x: Array, groups: Array | None = None) -> Array:
        """(n, h, w, n_in) to (n, h', w', n_out); `groups` (n,), or () for images all of one group."""
        kernel = self.kernel[...] if groups is None else self.kernel[...][groups]
        apply = convolution.conv_transpose if self.transpose else convolution.conv
        found = apply(x, kernel, self.stride, self.way)
        if self.bias is None:
            return found
        return found + (self.bias[...] if groups is None else self.bias[...][groups][..., None, None, :])


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last, within each group if there are several.

    Statistics are taken in the type of the running averages, which move as 0.9 old + 0.1 new; those of a group that
    the batch lacks stay. Without `affine` there is no trained scale and offset.
    """

    def __init__(
        self,
        size: int,
        *,
        rngs: nnx.Rngs,
        n_groups: int | None = None,
        scale_deviation: float = 0.0,
        eps: float = _BN_EPS,
        affine: bool = True,
    ) -> None:
        shape = (size,) if n_groups is None else (n_groups, size)
        if affine:
            noise = jax.random.normal(rngs.params(), shape)
            self.scale = nnx.Param(1 + scale_deviation * noise)
            self.offset = nnx.Param(jnp.zeros(shape))
        self.affine = affine
        self.mean, self.var = nnx.BatchStat(jnp.zeros(shape)), nnx.BatchStat(jnp.ones(shape))
        self.eps = eps  # added to the variance

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
            mean, counts = grouped.group_means(wide, groups, n_groups)
            var, _ = grouped.group_means((wide - spread(mean)) ** 2, groups, n_groups)
            self._remember(mean, var, (counts > 0)[:, None])
        else:
            mean, var = self.mean[...], self.var[...]
        factor = jax.lax.rsqrt(var + self.eps)
        if not self.affine:
            return ((wide - spread(mean)) * spread(factor)).astype(x.dtype)
        return ((wide - spread(mean)) * spread(self.scale[...] * factor) + spread(self.offset[...])).astype(x.dtype)

    def _remember(self, mean: Array, var: Array, seen: Array) -> None:
        for average, new in ((self.mean, mean), (self.var, var)):
            old = average[...]
            average[...] = jnp.where(seen, _BN_MOMENTUM * old + (1 - _BN_MOMENTUM) * jax.lax.stop_gradient(new), old)


def branch_ids(groups: Array, n_groups: int) -> Array:
    """Every group's rows go through the one branch if there is only one."""
    return groups if n_groups > 1 else jnp.zeros_like(groups)


def unit_rows(z: Array) -> Array:
    """Rows divided by their length."""
    # the floor of PyTorch's normalize; inside the root it keeps the gradient of a zero row finite
    return z * jax.lax.rsqrt(jnp.maximum(jnp.sum(z**2, -1, keepdims=True), 1e-24))


def drop(x: Array, rate: float, key: Array) -> Array:
    """Dropout: zeros at the rate, and the rest enlarged to keep the mean."""
    keep = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(keep, x / (1 - rate), 0)
