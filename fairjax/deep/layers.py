"""The array functions under the networks: convolutions and products with one kernel per group.

Images are (n, height, width, channels), kernels (3, 3, channels in, channels out), the border is one row of zeros.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.ad_checkpoint import checkpoint_name

__all__ = ["conv", "conv_transpose", "group_means", "grouped_dot", "in_blocks", "kept", "own_kernels"]

_KEPT = "kept for the way back"
_SIDE = 3  # all kernels are 3 x 3
_CACHE = 1 << 20  # numbers that stay in a processor's cache between writing and reading them
_ALL_BRANCHES = 3  # up to so many groups every row goes through every branch, which beats sorting the rows


def conv(x: Array, kernel: Array, stride: int = 1) -> Array:
    """Convolve images with 3 x 3 kernels, one for all images or one for each.

    On CPU, and with a kernel for each image, this is one matrix product with the images' 3 x 3 patches: XLA's own
    convolution takes about twice as long there, forward and backward. Elsewhere the native convolution is used.

    Parameters
    ----------
    x : (n, h, w, c)
    kernel : (3, 3, c, c') or (n, 3, 3, c, c')
    stride : 1 or 2; h and w are then halved, rounded up.

    Returns
    -------
    (n, h / stride, w / stride, c')

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> conv(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), 2)[0, :, :, 0].tolist()
    [[4.0, 6.0], [6.0, 9.0]]
    """
    if kernel.ndim == 4 and jax.default_backend() != "cpu":
        border = ((1, 1), (1, 1))
        return lax.conv_general_dilated(x, kernel, (stride, stride), border, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    high, wide = math.ceil(x.shape[1] / stride), math.ceil(x.shape[2] / stride)
    return _blockwise(partial(_by_patches, stride=stride), high * wide * x.shape[3], x, kernel)


def _by_patches(x: Array, kernel: Array, *, stride: int) -> Array:
    n, height, width, channels = x.shape
    high, wide = math.ceil(height / stride), math.ceil(width / stride)
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [
        lax.slice(
            padded,
            (0, row, column, 0),
            (n, row + stride * (high - 1) + 1, column + stride * (wide - 1) + 1, channels),
            (1, stride, stride, 1),
        )
        for row in range(_SIDE)
        for column in range(_SIDE)
    ]
    patches = jnp.concatenate(shifted, axis=-1).reshape(n, high * wide, _SIDE**2 * channels)
    matrix = kernel.reshape(*kernel.shape[:-4], -1, kernel.shape[-1])
    return jnp.matmul(patches, matrix).reshape(n, high, wide, kernel.shape[-1])


def conv_transpose(x: Array, kernel: Array, stride: int = 1) -> Array:
    """Transposed convolution: the adjoint of `conv` with the same kernel, read from its output to its input.

    Sizes are those of the usual layer with padding 1 and, at stride 2, output padding 1.

    Parameters
    ----------
    x : (n, h, w, c)
    kernel : (3, 3, c', c) or (n, 3, 3, c', c), as `conv` would take it for the way back.
    stride : 1 or 2

    Returns
    -------
    (n, h * stride, w * stride, c')

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> conv_transpose(jnp.ones((1, 2, 2, 3)), jnp.ones((3, 3, 5, 3)), 2).shape
    (1, 4, 4, 5)
    """
    _, height, width, _ = x.shape
    if kernel.ndim == 4 and jax.default_backend() != "cpu":
        return _adjoint(partial(conv, stride=stride), x, kernel, stride)
    back = partial(_adjoint, partial(_by_patches, stride=stride), stride=stride)
    return _blockwise(back, height * width * kernel.shape[-2], x, kernel)


def _blockwise(apply: Callable[[Array, Array], Array], size: int, x: Array, kernel: Array) -> Array:
    if kernel.ndim == 5:
        return in_blocks(apply, size, x, kernel)
    return in_blocks(lambda block: apply(block, kernel), size, x)


def _adjoint(convolve: Callable[[Array, Array], Array], x: Array, kernel: Array, stride: int) -> Array:
    n, height, width, _ = x.shape
    shape = jax.ShapeDtypeStruct((n, height * stride, width * stride, kernel.shape[-2]), x.dtype)
    (found,) = jax.linear_transpose(lambda image: convolve(image, kernel), shape)(x)
    return found


def in_blocks(apply: Callable[..., Array], size: int, *arrays: Array) -> Array:
    """Apply convolutions to some images at a time, forward and backward; on CPU only, elsewhere to all at once.

    The patches of a batch are nine times as large as its images: written to memory and read again they take longer
    than the products. So a block has as many images as leave its patches in the cache, and the patches are made again
    on the way back, as is everything but what went through `kept`.

    Parameters
    ----------
    apply : function of blocks of the arrays, each row on its own; may hold on to kernels.
    size : positions times channels in, at the largest of the convolutions.
    arrays : (n, ...) each

    Returns
    -------
    (n, ...), as ``apply(*arrays)``

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> in_blocks(lambda x: 2 * x, 1 << 16, jnp.ones((5, 2))).shape
    (5, 2)
    """
    n = len(arrays[0])
    rows = 1 << max(_CACHE // (_SIDE**2 * size), 1).bit_length() - 1
    if n <= rows or jax.default_backend() != "cpu":
        return apply(*arrays)
    count = -(-n // rows)

    def blocks(array: Array) -> Array:
        padded = jnp.pad(array, ((0, count * rows - n), *((0, 0),) * (array.ndim - 1)))
        return padded.reshape(count, rows, *array.shape[1:])

    one = jax.checkpoint(apply, prevent_cse=False, policy=jax.checkpoint_policies.save_only_these_names(_KEPT))
    found = lax.map(lambda block: one(*block), tuple(blocks(array) for array in arrays))
    return found.reshape(count * rows, *found.shape[2:])[:n]


def kept(x: Array) -> Array:
    """Same array, which `in_blocks` is to remember for the way back in place of computing it again."""
    return checkpoint_name(x, _KEPT)


def own_kernels(kernels: Array, groups: Array) -> Array:
    """The kernel of each row's group, (T, ...) and (n,) to (n, ...); finite kernels."""
    if jax.default_backend() != "cpu":
        return kernels[groups]
    # the way back through an index is a scatter, one number after the other
    members = (groups[:, None] == jnp.arange(len(kernels), dtype=groups.dtype)).astype(kernels.dtype)
    return jnp.tensordot(members, kernels, 1, precision="highest")


def group_means(x: Array, groups: Array, n_groups: int) -> tuple[Array, Array]:
    """Mean over the rows of each group, zero for an absent one, and the numbers of rows.

    Parameters
    ----------
    x : (n, ..., c); the axes between are averaged over too.
    groups : (n,) ids below `n_groups`.

    Returns
    -------
    means (T, c), counts (T,), both of the dtype of `x`
        O(n T c): on CPU a product with the one-hot matrix is far faster than a scatter.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> means, counts = group_means(jnp.array([[1.0], [3.0], [5.0]]), jnp.array([0, 0, 2]), 3)
    >>> means[:, 0].tolist(), counts.tolist()
    ([2.0, 0.0, 5.0], [2.0, 0.0, 1.0])
    """
    rows = jnp.mean(x.reshape(x.shape[0], -1, x.shape[-1]), axis=1)
    members = (groups == jnp.arange(n_groups, dtype=groups.dtype)[:, None]).astype(x.dtype)
    counts = jnp.sum(members, axis=1)
    return jnp.matmul(members, rows, precision="highest") / jnp.maximum(counts, 1)[:, None], counts


def grouped_dot(x: Array, kernels: Array, groups: Array) -> Array:
    """Multiply each row by the matrix of its group.

    With many groups the rows are laid out as (T, C), C about twice the mean number of rows in a group, and one batched
    product serves all groups; rows beyond C of a crowded group take further rounds. So 30 groups cost about twice the
    product with one matrix, not 30 times, and the result is exact however the rows fall.

    Parameters
    ----------
    x : (n, d)
    kernels : (T, d, d')
    groups : (n,) ids below T

    Returns
    -------
    (n, d')
        Differentiable once in `x` and `kernels`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> kernels = jnp.arange(5.0)[:, None, None]
    >>> grouped_dot(jnp.ones((4, 1)), kernels, jnp.array([4, 0, 4, 2]))[:, 0].tolist()
    [4.0, 0.0, 4.0, 2.0]
    """
    if len(kernels) == 1:
        return jnp.matmul(x, kernels[0])
    if len(kernels) <= _ALL_BRANCHES:
        return jnp.take_along_axis(jnp.matmul(x, kernels), groups[None, :, None], axis=0)[0]
    return _sorted_dot(x, kernels, groups)


@jax.custom_vjp
def _sorted_dot(x: Array, kernels: Array, groups: Array) -> Array:
    rounds, rows_of = _rounds(groups, len(kernels))
    products = jnp.zeros((len(x) + 1, kernels.shape[2]), x.dtype)

    def one_round(turn: Array, products: Array) -> Array:
        rows = rows_of(turn)
        return products.at[rows].set(jnp.matmul(_take(x, rows), kernels))

    return lax.fori_loop(1, rounds, one_round, one_round(jnp.int32(0), products))[:-1]


def _sorted_dot_forward(x: Array, kernels: Array, groups: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return _sorted_dot(x, kernels, groups), (x, kernels, groups)


def _sorted_dot_backward(saved: tuple[Array, Array, Array], slopes: Array) -> tuple[Array, Array, Any]:
    x, kernels, groups = saved
    rounds, rows_of = _rounds(groups, len(kernels))

    def one_round(turn: Array, x_slopes: Array) -> tuple[Array, Array]:
        rows = rows_of(turn)
        taken = _take(slopes, rows)
        x_slopes = x_slopes.at[rows].set(jnp.matmul(taken, jnp.swapaxes(kernels, 1, 2)))
        return x_slopes, jnp.matmul(jnp.swapaxes(_take(x, rows), 1, 2), taken)

    def further(turn: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x_slopes, kernel_slopes = one_round(turn, carry[0])
        return x_slopes, carry[1] + kernel_slopes

    first = one_round(jnp.int32(0), jnp.zeros((len(x) + 1, x.shape[1]), x.dtype))
    x_slopes, kernel_slopes = lax.fori_loop(1, rounds, further, first)
    return x_slopes[:-1], kernel_slopes, np.zeros(groups.shape, jax.dtypes.float0)


_sorted_dot.defvjp(_sorted_dot_forward, _sorted_dot_backward)


def _rounds(groups: Array, n_groups: int) -> tuple[Array, Any]:
    """Number of rounds, and a function that gives the (T, C) rows of one; n stands for no row."""
    n = len(groups)
    capacity = min(n, 8 * math.ceil(n / (4 * n_groups)))
    order = jnp.append(jnp.argsort(groups, stable=True).astype(jnp.int32), jnp.int32(n))
    sizes = jnp.sum(groups == jnp.arange(n_groups, dtype=groups.dtype)[:, None], axis=1, dtype=jnp.int32)
    starts = jnp.cumsum(sizes, dtype=jnp.int32) - sizes

    def rows_of(turn: Array) -> Array:
        rank = jnp.asarray(turn, jnp.int32) * capacity + jnp.arange(capacity, dtype=jnp.int32)
        return order[jnp.where(rank < sizes[:, None], starts[:, None] + rank, n)]

    return -(-jnp.max(sizes) // capacity), rows_of


def _take(x: Array, rows: Array) -> Array:
    return jnp.take(x, rows, axis=0, mode="fill", fill_value=0)
