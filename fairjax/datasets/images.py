"""Readers of the image benchmarks: MNIST-USPS, Reverse MNIST, and reversed forms of the bundled digits."""

import io
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairjax.datasets import sources
from fairjax.datasets.dataset import Dataset, choose, draw_rows, float_dtype
from fairjax.datasets.files import read
from fairjax.errors import InputError

Resize = Literal["pad", "bilinear"]
_RESIZE = ("pad", "bilinear")
_CHUNK = 4096  # images enlarged at a time, which bounds the temporary arrays
_DIGITS = tuple("0123456789")
_MNIST_SIDE, _USPS_SIDE = 28, 16


def load_mnist_usps(
    *,
    size: int = 32,
    mnist_resize: Resize = "pad",
    usps_resize: Resize = "bilinear",
    signed: bool = False,
    subset: Literal["train", "test"] = "train",
    max_per_group: int | None = None,
    random_state: int = 0,
    flatten: bool = False,
    dtype: npt.DTypeLike = np.float32,
    download: bool = False,
) -> Dataset:
    """Read MNIST and USPS digits together, grouped by source.

    The defaults are the DFC setting: 60,000 and 7,291 training images, 32 x 32, values in [0, 1], MNIST
    padded with zeros and USPS enlarged. Of the ways to reach 32 x 32, this is the one under which k-means on
    the authors' released encoder gives the figures of their paper. FCMI's setting is ``size=28,
    signed=True``.

    Parameters
    ----------
    size : int
        Side of the square images, at least 28.
    mnist_resize, usps_resize : {"pad", "bilinear"}
        Zero border, or bilinear interpolation with half-pixel centres.
    signed : bool
        Give values in [-1, 1] by (x - 0.5) / 0.5 in place of [0, 1].
    subset : {"train", "test"}
        Training parts (60,000 + 7,291) or test parts (10,000 + 2,007).
    max_per_group : int or None
        Draw at most this many images from each source; None takes all.
    random_state : int
        Seed of that draw.
    flatten : bool
        Return (n, size * size) rows in place of (n, size, size, 1) images.
    dtype : dtype
        Floating type of ``X``; float32 by default, since the whole set takes 4 KiB per image in it.
    download : bool
        Fetch files that are not found into the user's cache.

    Returns
    -------
    Dataset
        Groups MNIST 0, USPS 1, in that order; ``target`` is the digit; ``rows`` counts within each source.

    Raises
    ------
    InputError
        When a file is missing, damaged or not the original, or an option is not known.
    """
    choose("subset", subset, tuple(sources.MNIST))
    parts = [
        _draw(_read_mnist(subset, download), max_per_group, random_state),
        _draw(_read_usps(subset, download), max_per_group, random_state),
    ]
    X = _canvas(sum(len(part[0]) for part in parts), size, dtype)
    split = len(parts[0][0])
    _enlarge(parts[0][0], X[:split], mnist_resize, "mnist_resize")
    _enlarge(parts[1][0], X[split:], usps_resize, "usps_resize")
    groups = np.repeat(np.array([0, 1], dtype=np.int32), [split, len(X) - split])
    return _image_dataset(
        "mnist-usps",
        _finish(X, signed, flatten),
        groups,
        ("MNIST", "USPS"),
        target=np.concatenate([part[1] for part in parts]),
        rows=np.concatenate([part[2] for part in parts]),
        source=f"{sources.MNIST_SOURCE}; {sources.USPS_SOURCE}",
        licence=f"MNIST: {sources.MNIST_LICENCE}; USPS: {sources.USPS_LICENCE}",
    )


def load_reverse_mnist(
    *,
    size: int = 32,
    resize: Resize = "pad",
    reverse_border: Literal["white", "black"] = "white",
    signed: bool = False,
    subset: Literal["train", "test"] = "train",
    max_per_group: int | None = None,
    random_state: int = 0,
    flatten: bool = False,
    dtype: npt.DTypeLike = np.float32,
    download: bool = False,
) -> Dataset:
    """Read MNIST with a second group made of the same images reversed (255 - pixel).

    Parameters
    ----------
    size, signed, subset, random_state, flatten, dtype, download
        As for `load_mnist_usps`.
    resize : {"pad", "bilinear"}
        How 28 x 28 becomes ``size`` x ``size``.
    reverse_border : {"white", "black"}
        Border of the padded reversed images: "white" reverses after padding, "black" before it, which leaves
        a frame that marks the group and has nothing to do with the digit.
    max_per_group : int or None
        Draw at most this many images; the second group holds the same ones.

    Returns
    -------
    Dataset
        Groups original 0, reversed 1: 60,000 images each for the training part, all of the first group first.

    Raises
    ------
    InputError
        When a file is missing, damaged or not the original, or an option is not known.
    """
    choose("subset", subset, tuple(sources.MNIST))
    choose("reverse_border", reverse_border, ("white", "black"))
    images, digits, rows = _draw(_read_mnist(subset, download), max_per_group, random_state)
    n = len(images)
    X = _canvas(2 * n, size, dtype)
    _enlarge(images, X[:n], resize, "resize")
    if reverse_border == "white":
        np.subtract(1, X[:n], out=X[n:])
    else:
        _enlarge(255 - images, X[n:], resize, "resize")
    return _image_dataset(
        "reverse-mnist",
        _finish(X, signed, flatten),
        np.repeat(np.array([0, 1], dtype=np.int32), n),
        ("original", "reversed"),
        target=np.tile(digits, 2),
        rows=np.tile(rows, 2),
        source=sources.MNIST_SOURCE,
        licence=sources.MNIST_LICENCE,
    )


def load_reverse_digits(
    *,
    variant: Literal["reversed", "half_reversed", "bright"] = "reversed",
    signed: bool = False,
    random_state: int = 0,
    flatten: bool = True,
    dtype: npt.DTypeLike = np.float64,
) -> Dataset:
    """Return the 1,797 digits of 8 x 8 that scikit-learn bundles, with a second group of altered images.

    A small stand-in for Reverse MNIST: values are divided by 16, so that they lie in [0, 1].

    Parameters
    ----------
    variant : {"reversed", "half_reversed", "bright"}
        "reversed": every image, then every image as 1 - x (3,594 rows). "half_reversed": a random half stays,
        the other half is reversed, so that no digit occurs twice. "bright": each image joins the second group
        with probability 1/2 and becomes 0.3 + 0.7 x.
    signed : bool
        Give 2 x - 1, in [-1, 1], in place of x.
    random_state : int
        Seed of the two random variants.
    flatten : bool
        Return (n, 64) rows, or (n, 8, 8, 1) images when False.
    dtype : dtype
        Floating type of ``X``.

    Returns
    -------
    Dataset
        Groups original 0 and reversed (or bright) 1; ``target`` is the digit.

    Raises
    ------
    InputError
        When an option is not known.

    Examples
    --------
    >>> data = load_reverse_digits()
    >>> data.X.shape, data.group_sizes.tolist(), data.max_balance
    ((3594, 64), [1797, 1797], 1.0)
    """
    from sklearn.datasets import load_digits

    choose("variant", variant, ("reversed", "half_reversed", "bright"))
    bundled = load_digits()
    images = np.asarray(bundled.images, dtype=float_dtype(dtype))[..., None] / 16
    digits, n = np.asarray(bundled.target, dtype=np.int32), len(images)
    rng = np.random.default_rng(random_state)
    rows = np.arange(n)
    if variant == "reversed":
        X = np.concatenate([images, 1 - images])
        digits, rows = np.tile(digits, 2), np.tile(rows, 2)
        second = np.repeat([False, True], n)
    elif variant == "half_reversed":
        second = np.zeros(n, dtype=bool)
        second[rng.permutation(n)[: n // 2]] = True
        X = np.where(second[:, None, None, None], 1 - images, images)
    else:
        second = rng.random(n) < 0.5
        X = np.where(second[:, None, None, None], 0.3 + 0.7 * images, images)
    return _image_dataset(
        "reverse-digits",
        _finish(X.astype(images.dtype, copy=False), signed, flatten),
        second.astype(np.int32),
        ("original", "bright" if variant == "bright" else "reversed"),
        target=digits,
        rows=rows,
        source=sources.DIGITS_SOURCE,
        licence=sources.CC_BY,
    )


def bilinear_weights(size_in: int, size_out: int) -> npt.NDArray[np.float64]:
    """Return the (size_out, size_in) matrix that enlarges one axis bilinearly with half-pixel centres.

    Examples
    --------
    >>> bilinear_weights(2, 4)
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    position = (np.arange(size_out) + 0.5) * size_in / size_out - 0.5
    position = np.clip(position, 0, size_in - 1)
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(size_in)))


def _enlarge(images: npt.NDArray[np.uint8], out: npt.NDArray[Any], method: str, option: str) -> None:
    """Write uint8 images (n, s, s) into the zero canvas (n, size, size, 1), scaled to [0, 1]."""
    choose(option, method, _RESIZE)
    side, size = images.shape[1], out.shape[1]
    scale = out.dtype.type(1 / 255)
    if method == "pad" or side == size:
        low = (size - side) // 2
        np.multiply(images, scale, out=out[:, low : low + side, low : low + side, 0])
        return
    weights = bilinear_weights(side, size).astype(out.dtype)
    for start in range(0, len(images), _CHUNK):
        block = images[start : start + _CHUNK] * scale
        out[start : start + _CHUNK, :, :, 0] = weights @ block @ weights.T


def _canvas(n: int, size: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    if size < _MNIST_SIDE:
        raise InputError(f"size={size} is smaller than the images of MNIST; choose {_MNIST_SIDE} or more")
    return np.zeros((n, size, size, 1), dtype=float_dtype(dtype))


def _finish(X: npt.NDArray[Any], signed: bool, flatten: bool) -> npt.NDArray[Any]:
    if signed:
        X *= 2
        X -= 1
    return X.reshape(len(X), -1) if flatten else X


def _image_dataset(
    name: str,
    X: npt.NDArray[Any],
    groups: npt.NDArray[np.int32],
    group_names: tuple[str, str],
    *,
    target: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
    source: str,
    licence: str,
) -> Dataset:
    return Dataset(
        name=name,
        X=X,
        feature_names=tuple(f"pixel {i}" for i in range(X.shape[1])) if X.ndim == 2 else (),
        groups=groups,
        group_names=group_names,
        sensitive=np.array(group_names, dtype=object)[groups],
        target=target,
        target_names=_DIGITS,
        raw=X,
        rows=rows,
        source=source,
        licence=licence,
    )


_Images = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]


def _draw(
    part: _Images, max_per_group: int | None, random_state: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    images, digits = part
    if max_per_group is None or max_per_group >= len(images):
        return images, digits, np.arange(len(images))
    rows = draw_rows(len(images), max_per_group, random_state)
    return images[rows], digits[rows], rows


def _read_mnist(subset: str, download: bool) -> _Images:
    pixels, labels = (read(file, download=download) for file in sources.MNIST[subset])
    # idx: a header of 4 bytes and 4 more per axis, then unsigned bytes in C order; the digest vouches for it.
    images = np.frombuffer(pixels, dtype=np.uint8, offset=16).reshape(-1, _MNIST_SIDE, _MNIST_SIDE)
    return images, np.frombuffer(labels, dtype=np.uint8, offset=8).astype(np.int32)


def _read_usps(subset: str, download: bool) -> _Images:
    """Return USPS in 0..255: (v + 1) / 2 * 255 cut to whole numbers, as torchvision does."""
    text = read(sources.USPS[subset], download=download)
    # Dense LIBSVM rows, "label 1:v 2:v ... 256:v", are a plain table once the colons are spaces.
    table = np.loadtxt(io.BytesIO(text.replace(b":", b" ")), dtype=np.float64, ndmin=2)
    index, values = table[:, 1::2], table[:, 2::2]
    if index.shape != values.shape or not (index == np.arange(1, 1 + _USPS_SIDE**2)).all():
        raise InputError(f"{sources.USPS[subset].name} does not hold 256 values in every row; get the original file")
    # in single precision, whose rounding decides which level a value near a whole number falls to
    images = ((values.astype(np.float32) + 1) / 2 * 255).astype(np.uint8).reshape(-1, _USPS_SIDE, _USPS_SIDE)
    return images, table[:, 0].astype(np.int32) - 1
