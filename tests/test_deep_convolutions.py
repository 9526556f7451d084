"""Convolutions of the deep methods, and products with one kernel per group."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax.deep.nets import convolution, grouped
from fairjax.deep.nets.network import Network

KEY = jax.random.key(0)


# Convolutions


def native(x, kernel, stride):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 8])
def test_convolution_equals_the_native_one(stride, side):
    x, kernel = jax.random.normal(KEY, (3, side, side, 4)), jax.random.normal(KEY, (3, 3, 4, 5))
    expected = native(x, kernel, stride)
    found = jax.jit(convolution.conv, static_argnums=2)
    np.testing.assert_allclose(found(x, kernel, stride), expected, atol=2e-5)
    np.testing.assert_allclose(found(x, jnp.stack([kernel] * 3), stride), expected, atol=2e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_transposed_convolution_is_the_adjoint(stride):
    x, kernel = jax.random.normal(KEY, (2, 8, 8, 4)), jax.random.normal(KEY, (3, 3, 4, 5))
    y = jax.random.normal(jax.random.key(1), (2, 8 // stride, 8 // stride, 5))
    there = jnp.vdot(native(x, kernel, stride), y)
    found = jax.jit(convolution.conv_transpose, static_argnums=2)(y, kernel, stride)
    np.testing.assert_allclose(jnp.vdot(x, found), there, rtol=1e-4)


@pytest.mark.parametrize(("apply", "stride"), [(convolution.conv, 1), (convolution.conv_transpose, 2)])
def test_networks_at_once_by_products_are_those_one_by_one(apply, stride):
    """One batched product for several networks, forward and backward, and each network by the native convolution."""
    channels = (9, 8) if apply is convolution.conv else (8, 9)
    x, kernels = jax.random.normal(KEY, (2, 3, 4, 4, 9)), jax.random.normal(KEY, (2, 3, 3, *channels))

    def slopes(way, x, kernel):
        return jax.value_and_grad(lambda x, kernel: jnp.sum(jnp.sin(apply(x, kernel, stride, way))), (0, 1))(x, kernel)

    together = jax.jit(jax.vmap(lambda x, kernel: slopes("products", x, kernel)))(x, kernels)
    alone = jax.jit(lambda x, kernels: jax.lax.map(lambda one: slopes("native", *one), (x, kernels)))(x, kernels)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), together, alone)


def test_winograd_equals_the_native_convolution():
    rng = np.random.default_rng(0)
    x, kernel, slope = (rng.normal(size=size) for size in ((3, 6, 10, 9), (3, 3, 9, 8), (3, 6, 10, 8)))
    assert convolution._winograd_pays((6, 10), kernel, 1)

    def slopes(convolve, x, kernel, slope):
        found, pull = jax.vjp(lambda *a: convolve(*a, 1), x, kernel)
        return found, pull(slope), convolution.conv_transpose(slope, kernel)

    with jax.enable_x64(True):
        expected = jax.jit(lambda *a: slopes(native, *a))(x, kernel, slope)
        wide = jax.jit(lambda *a: slopes(convolution.conv, *a))(x, kernel, slope)
        # what is transposed is the slope in the images
        np.testing.assert_allclose(wide[2], expected[1][0], rtol=1e-12, atol=1e-12)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), wide[:2], expected[:2])
    narrow = jax.jit(lambda *a: slopes(convolution.conv, *a))(*(each.astype(np.float32) for each in (x, kernel, slope)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max()), narrow, wide)


def test_blocks_of_images_change_neither_values_nor_gradients(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4, 4, 3)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 3, 2)).astype(np.float32)

    def there_and_back(x, kernel):
        return convolution.conv_transpose(jnp.tanh(convolution.conv(x, kernel, 2)), kernel, 2)

    def value_and_slopes(x, kernel):
        found, pull = jax.vjp(there_and_back, x, kernel)
        return found, pull(jnp.cos(found))

    whole = jax.jit(value_and_slopes)(x, kernel)
    monkeypatch.setattr(convolution, "_CACHE", 2 * 9 * 12)  # two images, so that the fifth is filled up
    in_blocks = jax.make_jaxpr(there_and_back)(x, kernel)
    assert str(in_blocks).count("scan[") == 2
    # a function of its own: the program compiled before is not to be taken
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        jax.jit(lambda *a: value_and_slopes(*a))(x, kernel),
        whole,
    )


@pytest.mark.parametrize("n_groups", [2, 3, 7])
@pytest.mark.parametrize("side", [5, 6])
def test_blocks_of_one_group_equal_a_loop_over_groups(n_groups, side, monkeypatch):
    rng = np.random.default_rng(0)
    groups = np.array([0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0])  # unequal, and from the third on they are absent
    x = rng.normal(size=(11, side, side, 8)).astype(np.float32)
    kernels = rng.normal(size=(n_groups, 3, 3, 8, 8)).astype(np.float32)
    monkeypatch.setattr(convolution, "_CACHE", 4 * 9 * side * side * 8)

    def expected(x, kernels):
        each = jnp.stack([native(x, kernel, 1) for kernel in kernels])
        return jnp.sum(jnp.sin(each[groups, np.arange(11)]))

    def found(x, kernels):
        convolve = lambda block, group: convolution.conv(block, kernels[group])  # noqa: E731
        return jnp.sum(jnp.sin(convolution.in_blocks(convolve, side * side * 8, x, jnp.asarray(groups), n_groups)))

    for left, right in zip(
        jax.tree.leaves(jax.jit(jax.value_and_grad(found, (0, 1)))(x, kernels)),
        jax.tree.leaves(jax.jit(jax.value_and_grad(expected, (0, 1)))(x, kernels)),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, atol=2e-4)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere all images go through at once")
def test_a_group_with_a_kernel_that_is_not_finite_leaves_the_others_alone():
    kernels = jnp.array([1.0, jnp.inf])
    x, groups = jnp.ones((5, 1)), jnp.array([1, 0, 1, 0, 0])

    def total(kernels):
        found = convolution.in_blocks(lambda block, group: block * kernels[group], 1, x, groups, 2)
        return jnp.sum(jnp.tanh(found))

    np.testing.assert_allclose(jax.grad(total)(kernels)[0], 3 * (1 - np.tanh(1) ** 2), rtol=1e-6)


@pytest.mark.slow
def test_blocks_of_images_in_a_network(monkeypatch):
    network = Network(kind="conv", shape=(8, 8, 1), n_latent=3, options=(("n_groups", 2),))
    params, rest = jax.jit(network.init)(KEY)
    x = jax.random.uniform(KEY, (5, 8, 8, 1))
    groups = jnp.array([0, 1, 1, 0, 1], jnp.int32)

    def loss(params):
        (code, found), _ = network.autoencode(params, rest, x, groups, train=True)
        return jnp.sum(code.z[:, 0]) + jnp.sum((found - x) ** 2)

    whole = jax.jit(jax.value_and_grad(loss))(params)
    monkeypatch.setattr(convolution, "_CACHE", 2 * 9 * 16 * 32)
    assert "scan[" in str(jax.make_jaxpr(lambda p: loss(p))(params))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        jax.jit(jax.value_and_grad(lambda p: loss(p)))(params),
        whole,
    )


# Products with one kernel per group


def rows_of_groups(kind, n, n_groups):
    rng = np.random.default_rng(0)
    if kind == "even":
        return rng.integers(n_groups, size=n)
    if kind == "one":
        return np.full(n, n_groups - 1)
    return np.where(rng.random(n) < 0.9, 1, rng.integers(n_groups, size=n))  # crowded: several rounds


@pytest.mark.parametrize("n_groups", [1, 2, 7])
@pytest.mark.parametrize("kind", ["even", "one", "crowded"])
def test_grouped_product_and_its_gradient(n_groups, kind):
    groups = jnp.asarray(np.minimum(rows_of_groups(kind, 40, n_groups), n_groups - 1), jnp.int32)
    x, kernels = jax.random.normal(KEY, (40, 3)), jax.random.normal(KEY, (n_groups, 3, 4))

    def expected(x, kernels):
        return jnp.sum(jnp.sin(jnp.einsum("ni,nio->no", x, kernels[groups])))

    def found(x, kernels):
        return jnp.sum(jnp.sin(grouped.grouped_dot(x, kernels, groups)))

    for left, right in zip(
        jax.tree.leaves(jax.jit(jax.value_and_grad(found, (0, 1)))(x, kernels)),
        jax.tree.leaves(jax.value_and_grad(expected, (0, 1))(x, kernels)),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, atol=2e-5)


def test_grouped_product_does_not_depend_on_the_order_of_rows():
    groups = jnp.asarray(rows_of_groups("crowded", 64, 9), jnp.int32)
    x, kernels = jax.random.normal(KEY, (64, 3)), jax.random.normal(KEY, (9, 3, 4))
    order = jax.random.permutation(KEY, 64)
    np.testing.assert_allclose(
        grouped.grouped_dot(x[order], kernels, groups[order]), grouped.grouped_dot(x, kernels, groups)[order], atol=1e-6
    )


def test_grouped_product_for_many_seeds_at_once():
    # their crowded groups differ, and so do the numbers of blocks behind the layout
    groups = jnp.stack([jnp.asarray(rows_of_groups(kind, 40, 5), jnp.int32) for kind in ("even", "crowded", "one")])
    x, kernels = jax.random.normal(KEY, (3, 40, 3)), jax.random.normal(KEY, (3, 5, 3, 4))

    def slopes(x, kernels, groups):
        return jax.grad(lambda x, kernels: jnp.sum(jnp.sin(grouped.grouped_dot(x, kernels, groups))), (0, 1))(
            x, kernels
        )

    for seed, found in enumerate(zip(*jax.jit(jax.vmap(slopes))(x, kernels, groups), strict=True)):
        expected = jax.jit(slopes)(x[seed], kernels[seed], groups[seed])
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, expected)
