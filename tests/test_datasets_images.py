"""Image benchmarks: sizes, groups, resizing and reversal."""

import numpy as np
import pytest
from data_files import need

from fairjax import datasets, metrics
from fairjax.datasets import sources
from fairjax.datasets.images import bilinear_weights
from fairjax.errors import InputError

USPS_TRAIN_COUNTS = [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]


@pytest.fixture(scope="module")
def mnist_usps():
    need(*sources.MNIST["train"], sources.USPS["train"])
    return datasets.load_mnist_usps()


def test_mnist_usps_is_the_dfc_set(mnist_usps):
    data = mnist_usps
    assert data.X.shape == (67_291, 32, 32, 1)
    assert data.X.dtype == np.float32
    assert (data.X.min(), data.X.max()) == (0, 1)
    assert data.group_sizes.tolist() == [60_000, 7_291]
    assert round(data.max_balance, 4) == 0.1215
    # the maximum that the paper prints belongs to the rows of whole batches of 512
    assert round(float(metrics.tables.max_balance(data.group_sizes // 512 * 512)), 4) == 0.1197
    mnist, usps = data.groups == 0, data.groups == 1
    assert np.bincount(data.target[mnist]).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert np.bincount(data.target[usps]).tolist() == USPS_TRAIN_COUNTS
    border = np.ones((32, 32, 1), dtype=bool)
    border[2:-2, 2:-2] = False
    assert data.X[mnist][:, border].max() == 0  # padded
    assert data.X[usps][:, border].max() > 0  # enlarged to the edge


def test_usps_pixels_are_whole_levels(mnist_usps):
    plain = datasets.load_mnist_usps(usps_resize="pad", max_per_group=5, random_state=1)
    inner = plain.X[5:, 8:24, 8:24, 0] * 255
    np.testing.assert_allclose(inner, np.round(inner), atol=1e-4)
    assert plain.rows[5:].max() < 7_291
    full = mnist_usps.X[60_000 + plain.rows[5], :, :, 0]
    weights = bilinear_weights(16, 32)
    np.testing.assert_allclose(full, weights @ (inner[0] / 255) @ weights.T, atol=1e-6)


def test_fcmi_setting_and_test_part():
    need(*sources.MNIST["test"], sources.USPS["test"])
    data = datasets.load_mnist_usps(size=28, signed=True, subset="test", flatten=True)
    assert data.X.shape == (12_007, 784)
    assert (data.X.min(), data.X.max()) == (-1, 1)
    assert data.group_sizes.tolist() == [10_000, 2_007]
    assert data.feature_names[-1] == "pixel 783"


def test_reverse_mnist_borders():
    need(*sources.MNIST["test"])
    white = datasets.load_reverse_mnist(subset="test", max_per_group=20)
    black = datasets.load_reverse_mnist(subset="test", max_per_group=20, reverse_border="black")
    assert white.X.shape == (40, 32, 32, 1)
    assert white.max_balance == 1
    np.testing.assert_array_equal(white.X[20:], 1 - white.X[:20])
    assert white.X[20:, 0].min() == 1
    assert black.X[20:, 0].max() == 0
    np.testing.assert_allclose(black.X[20:, 2:-2, 2:-2], white.X[20:, 2:-2, 2:-2], atol=1e-6)
    np.testing.assert_array_equal(white.target[:20], white.target[20:])
    whole = datasets.load_reverse_mnist(subset="test")
    assert whole.X.shape == (20_000, 32, 32, 1)


def test_image_options_are_checked():
    need(*sources.MNIST["test"], sources.USPS["test"])
    with pytest.raises(InputError, match="size=20 is smaller"):
        datasets.load_mnist_usps(size=20, subset="test", max_per_group=1)
    with pytest.raises(InputError, match="usps_resize='nearest' is not known"):
        datasets.load_mnist_usps(usps_resize="nearest", subset="test", max_per_group=1)
    with pytest.raises(InputError, match="subset='dev' is not known"):
        datasets.load_reverse_mnist(subset="dev")


@pytest.mark.parametrize(("small", "large"), [(16, 32), (16, 28), (28, 32)])
def test_bilinear_weights_agree_with_jax(small, large):
    import jax

    image = np.random.default_rng(0).random((small, small)).astype(np.float32)
    weights = bilinear_weights(small, large)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    expected = jax.image.resize(image, (large, large), "bilinear", precision="highest")
    np.testing.assert_allclose(weights @ image @ weights.T, expected, atol=2e-6)


def test_reversed_digits():
    data = datasets.load_reverse_digits()
    assert data.X.shape == (3_594, 64)
    assert data.max_balance == 1
    assert (data.X.min(), data.X.max()) == (0, 1)
    np.testing.assert_array_equal(data.X[1_797:], 1 - data.X[:1_797])
    assert data.sensitive[0] == "original"
    assert data.sensitive[-1] == "reversed"


def test_random_variants_of_the_digits():
    plain = datasets.load_reverse_digits().X[:1_797]
    half = datasets.load_reverse_digits(variant="half_reversed")
    assert half.group_sizes.tolist() == [899, 898]
    np.testing.assert_array_equal(half.X[half.groups == 1], 1 - plain[half.groups == 1])
    np.testing.assert_array_equal(half.X[half.groups == 0], plain[half.groups == 0])
    bright = datasets.load_reverse_digits(variant="bright", random_state=4)
    assert 800 < bright.group_sizes[1] < 1_000
    np.testing.assert_allclose(bright.X[bright.groups == 1], 0.3 + 0.7 * plain[bright.groups == 1])
    assert bright.group_names == ("original", "bright")
    again = datasets.load_reverse_digits(variant="bright", random_state=4, dtype=np.float32, flatten=False)
    assert again.X.shape == (1_797, 8, 8, 1)
    assert again.X.dtype == np.float32
    np.testing.assert_array_equal(again.groups, bright.groups)
    assert again.matrix.shape == (1_797, 64)
    signed = datasets.load_reverse_digits(signed=True)
    assert (signed.X.min(), signed.X.max()) == (-1, 1)
    with pytest.raises(InputError, match="variant='dark' is not known"):
        datasets.load_reverse_digits(variant="dark")
