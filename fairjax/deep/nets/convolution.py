"""Convolutions of images with 3 x 3 kernels, arranged as suits the platform, and of one kernel for each group.

Images are (n, height, width, channels), kernels (3, 3, channels in, channels out), the border is one row of zeros.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ad_checkpoint import checkpoint_name

from fairjax.deep.nets.grouped import moved_rows, row_blocks, row_slots

__all__ = ["conv", "conv_transpose", "in_blocks", "kept"]

_KEPT = "kept for the way back"
_SIDE = 3  # all kernels are 3 x 3
_CACHE = 1 << 20  # numbers that stay in a processor's cache between writing and reading them
_WINOGRAD = 8  # channels from which on its sums and differences cost less than the products that they save


def conv(x: Array, kernel: Array, stride: int = 1, way: str = "auto") -> Array:
    """Convolve images with 3 x 3 kernels, one for all images or one for each.

    On CPU this is one matrix product with the images' 3 x 3 patches, or, at stride 1 with enough channels, Winograd's
    algorithm [1]_: XLA's own convolution takes two to four times as long there, forward and backward. Elsewhere the
    native convolution is used, and with a kernel for each image the patches.

    Several networks at once (`vmap`) make of native convolutions one of as many feature groups, and of matrix products
    one batched product: `way` chooses.

    Parameters
    ----------
    x : Array (n, h, w, c)
    kernel : Array (3, 3, c, c') or (n, 3, 3, c, c')
    stride : {1, 2}
        With 2, h and w are halved and rounded up.
    way : {"auto", "native", "products"}
        XLA's convolution, or matrix products; "auto" takes products on CPU and the native one elsewhere.

    Returns
    -------
    Array (n, h / stride, w / stride, c')
        By products, and with one kernel, differentiable once.

    References
    ----------
    .. [1] A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> conv(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), 2)[0, :, :, 0].tolist()
    [[4.0, 6.0], [6.0, 9.0]]
    """
    if kernel.ndim == 5:
        return _by_patches(x, kernel, stride)
    if _native(way):
        border = ((1, 1), (1, 1))
        return lax.conv_general_dilated(x, kernel, (stride, stride), border, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    high, wide = math.ceil(x.shape[1] / stride), math.ceil(x.shape[2] / stride)
    return in_blocks(lambda block: _forth(block, kernel, stride), high * wide * x.shape[3], x)


def conv_transpose(x: Array, kernel: Array, stride: int = 1, way: str = "auto") -> Array:
    """Transposed convolution: the adjoint of `conv` with the same kernel, read from its output to its input.

    Sizes are those of the usual layer with padding 1 and, at stride 2, output padding 1.

    Parameters
    ----------
    x : Array (n, h, w, c)
    kernel : Array (3, 3, c', c) or (n, 3, 3, c', c)
        As `conv` would take it for the way back.
    stride : 1 or 2
    way : {"auto", "native", "products"}
        As for `conv`.

    Returns
    -------
    (n, h * stride, w * stride, c')
        By products, and with one kernel, differentiable once.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> conv_transpose(jnp.ones((1, 2, 2, 3)), jnp.ones((3, 3, 5, 3)), 2).shape
    (1, 4, 4, 5)
    """
    n, height, width, _ = x.shape
    size = (n, height * stride, width * stride)
    if kernel.ndim == 5 or _native(way):
        return _adjoint(partial(conv, stride=stride, way=way), x, kernel, size)
    return in_blocks(lambda block: _back(block, kernel, stride, size[1:]), height * width * kernel.shape[-2], x)


def _native(way: str) -> bool:
    return way == "native" or (way == "auto" and jax.default_backend() != "cpu")


# A convolution is linear in the images and in the kernel. So each of the two ways has the other as its gradient
# in the images, and both have the same gradient in the kernel; written out, neither becomes autodiff's scatter.


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _forth(x: Array, kernel: Array, stride: int) -> Array:
    if _winograd_pays(x.shape[1:3], kernel, stride):
        return _winograd(x, kernel)
    return _by_patches(x, kernel, stride)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _back(y: Array, kernel: Array, stride: int, size: tuple[int, int]) -> Array:
    if _winograd_pays(size, kernel, stride):
        return _winograd(y, jnp.swapaxes(kernel[::-1, ::-1], 2, 3))
    return _adjoint(partial(_by_patches, stride=stride), y, kernel, (len(y), *size))


def _kernel_gradient(x: Array, y_gradient: Array, stride: int) -> Array:
    patches, gradients = _patches(x, stride), y_gradient.reshape(-1, y_gradient.shape[-1])
    # this order of the factors is one and a half times as fast as the other, which the compiler would turn it into
    product = lax.optimization_barrier(jnp.matmul(gradients.T, patches.reshape(-1, patches.shape[-1])))
    return product.T.reshape(_SIDE, _SIDE, x.shape[-1], y_gradient.shape[-1])


_forth.defvjp(
    lambda x, kernel, stride: (_forth(x, kernel, stride), (x, kernel)),
    lambda stride, saved, gradient: (
        _back(gradient, saved[1], stride, saved[0].shape[1:3]),
        _kernel_gradient(saved[0], gradient, stride),
    ),
)
_back.defvjp(
    lambda y, kernel, stride, size: (_back(y, kernel, stride, size), (y, kernel)),
    lambda stride, size, saved, gradient: (
        _forth(gradient, saved[1], stride),
        _kernel_gradient(gradient, saved[0], stride),
    ),
)


def _adjoint(convolve: Callable[[Array, Array], Array], y: Array, kernel: Array, size: tuple[int, int, int]) -> Array:
    shape = jax.ShapeDtypeStruct((*size, kernel.shape[-2]), y.dtype)
    (found,) = jax.linear_transpose(lambda image: convolve(image, kernel), shape)(y)
    return found


def _by_patches(x: Array, kernel: Array, stride: int) -> Array:
    patches = _patches(x, stride)
    matrix = kernel.reshape(*kernel.shape[:-4], -1, kernel.shape[-1])
    if kernel.ndim == 5:
        found = jnp.matmul(patches.reshape(len(x), -1, patches.shape[-1]), matrix)
    else:
        found = jnp.matmul(patches.reshape(-1, patches.shape[-1]), matrix)
    return found.reshape(*patches.shape[:3], kernel.shape[-1])


def _patches(x: Array, stride: int) -> Array:
    """The 3 x 3 patches, (n, h / stride, w / stride, 9 c)."""
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
    return jnp.concatenate(shifted, axis=-1)


def _winograd_pays(size: tuple[int, ...], kernel: Array, stride: int) -> bool:
    # a bfloat16 has no digits to spare for the sums and differences
    exact = jnp.finfo(kernel.dtype).bits >= 32
    return stride == 1 and not size[0] % 2 and not size[1] % 2 and min(kernel.shape[2:]) >= _WINOGRAD and exact


def _winograd(x: Array, kernel: Array) -> Array:
    """Convolve at stride 1: Winograd's F(2 x 2, 3 x 3), 16 multiplications where the patches take 36.

    Each 2 x 2 tile of the result comes of a 4 x 4 tile of the images, which two to each side overlap. Sums and
    differences turn both tiles and kernels into 16 numbers, on each of which a product over the channels acts.
    """
    n, height, width, channels = x.shape
    high, wide = height // 2, width // 2

    def forth(array: Array, axis: int, tiles: int) -> list[Array]:
        a, b, c, d = (lax.slice_in_dim(array, i, i + 2 * tiles - 1, 2, axis) for i in range(4))
        return [a - c, b + c, c - b, b - d]

    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    tiles = jnp.stack([part for rows in forth(padded, 1, high) for part in forth(rows, 2, wide)])
    spread = jnp.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], x.dtype)
    factors = jnp.einsum("ai,bj,ijco->abco", spread, spread, kernel, precision="highest")
    products = jnp.matmul(tiles.reshape(16, -1, channels), factors.reshape(16, channels, -1))
    a, b, c, d = products.reshape(4, 4, n, high, wide, -1)
    found = [jnp.stack([e + f + g, f - g - h], 3) for e, f, g, h in (a + b + c, b - c - d)]
    return jnp.stack(found, 2).reshape(n, height, width, -1)


def in_blocks(
    apply: Callable[..., Array], size: int, x: Array, groups: Array | None = None, n_groups: int = 1
) -> Array:
    """Apply convolutions to some images at a time, forward and backward; on CPU only, elsewhere to all at once.

    The patches of a batch are nine times as large as its images: written to memory and read again they take longer
    than the products. So a block has as many images as leave its patches in the cache, and the patches are made again
    on the way back, as is everything but what went through `kept`.

    With groups, the images of a block are all of one group, and one kernel serves them: the images are sorted, and
    each group's filled up to whole blocks.

    Parameters
    ----------
    apply : function
        Of a block of images, each on its own, and with `groups` of their group, a scalar; where all images come at
        once, of the groups (n,). It may hold kernels.
    size : int
        Positions times channels that come in, at the largest of the convolutions.
    x : Array (n, ...)
    groups : Array (n,), int32, optional
        Ids below `n_groups`.

    Returns
    -------
    Array (n, ...)
        As ``apply(x)`` or ``apply(x, groups)``.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> in_blocks(lambda x: 2 * x, 1 << 16, jnp.ones((5, 2))).shape
    (5, 2)
    >>> in_blocks(lambda x, group: group * x, 1 << 16, jnp.ones((4, 1)), jnp.array([2, 0, 1, 2]), 3)[:, 0].tolist()
    [2.0, 0.0, 1.0, 2.0]
    """
    n = len(x)
    if jax.default_backend() != "cpu":
        return apply(x) if groups is None else apply(x, groups)
    rows = _power_of_two(_CACHE // (_SIDE**2 * size))
    one = jax.checkpoint(apply, prevent_cse=False, policy=jax.checkpoint_policies.save_only_these_names(_KEPT))
    if groups is None:
        if n <= rows:
            return apply(x)
        count = -(-n // rows)
        padded = jnp.pad(x, ((0, count * rows - n), *((0, 0),) * (x.ndim - 1)))
        found = lax.map(one, padded.reshape(count, rows, *x.shape[1:]))
        return found.reshape(count * rows, *found.shape[2:])[:n]
    rows = min(rows, _power_of_two(n // n_groups))
    most = (n + (rows - 1) * min(n, n_groups)) // rows  # blocks, however the rows fall
    group_of, rows_of = jax.vmap(row_blocks(groups, n_groups, rows)[1])(jnp.arange(most, dtype=jnp.int32))
    rows_of = rows_of.ravel()
    slots = row_slots(rows_of, n)
    blocks = moved_rows(x, rows_of, slots).reshape(most, rows, *x.shape[1:])
    found = lax.map(lambda block: one(*block), (blocks, group_of))
    return moved_rows(found.reshape(most * rows, *found.shape[2:]), slots, rows_of)


def _power_of_two(most: int) -> int:
    return 1 << max(most, 1).bit_length() - 1


def kept(x: Array) -> Array:
    """Same array, which `in_blocks` is to remember for the way back in place of computing it again."""
    return checkpoint_name(x, _KEPT)
