"""Networks of the deep methods: sizes, convolutions, products with one kernel per group, the adapter to pytrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fairjax.deep import nets
from fairjax.deep.nets import convolution, grouped
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnEncoder, OwnNetwork
from fairjax.errors import InputError

KEY = jax.random.key(0)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def shapes(network):
    return jax.eval_shape(network.init, KEY)


def start(network):
    return jax.jit(network.init)(KEY)


# Parameter counts: what the authors' code has


def test_size_of_the_variational_autoencoder():
    params = shapes(Network(kind="vae", shape=(32, 32, 1), n_latent=64)).params
    decoder = ("head", "head_norm", "branch", "branch_norms")
    assert count({name: params[name] for name in decoder}) == 579_378
    assert count({name: part for name, part in params.items() if name not in decoder}) == 610_256


@pytest.mark.parametrize("n_groups", [1, 2, 5])
def test_size_of_the_convolutional_autoencoder(n_groups):
    network = Network(kind="conv", shape=(28, 28, 1), n_latent=10, options=(("n_groups", n_groups),))
    params = shapes(network).params
    assert count((params["convs"], params["code"])) == 222_202
    assert count(params["head"]) == 204_304
    assert count(params["branch"]) == 18_657 * n_groups


def test_size_of_the_fully_connected_autoencoder():
    params = shapes(Network(kind="fc", shape=(561,), n_latent=6, options=(("n_groups", 30),))).params
    assert count((params["trunk"], params["trunk_norms"], params["code"])) == 2_287_878
    assert count(params["head"]) == 133_376
    assert count((params["branch"], params["branch_norms"], params["last"])) == 2_154_033 * 30


def test_size_of_the_stacked_autoencoder_and_the_critic():
    stacked = Network(kind="sdae", shape=(561,), n_latent=6, options=(("hidden", (500, 500, 2000)),))
    assert count(shapes(stacked).params) == 3_091_567
    assert count(shapes(Network(kind="critic", shape=(10,), n_latent=1)).params) == 1_441


def test_size_of_the_network_of_features():
    """2048 features: one dense layer where images have convolutions, then mean and log-variance."""
    params = shapes(Network(kind="vae", shape=(2048,), n_latent=64)).params
    assert count((params["trunk"], params["trunk_norm"])) == 2048 * 512 + 512 + 2 * 512
    assert count((params["mean"], params["logvar"])) == 2 * 32_832
    assert count((params["head"], params["last"])) == 64 * 512 + 512 + 512 * 2048 + 2048


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
    params, rest = start(network)
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


# Batch normalisation


def test_batch_norm_within_groups_equals_one_per_group():
    norm = nets.BatchNorm(3, rngs=nnx.Rngs(0), n_groups=3)
    alone = [nets.BatchNorm(3, rngs=nnx.Rngs(0)) for _ in range(2)]
    x, groups = jax.random.normal(KEY, (8, 3)), jnp.array([0, 1, 1, 0, 1, 1, 1, 0])
    found = nnx.jit(norm.__class__.__call__, static_argnames="train")(norm, x, groups, train=True)
    for group, other in enumerate(alone):
        np.testing.assert_allclose(found[groups == group], other(x[groups == group], train=True), atol=1e-5)
        np.testing.assert_allclose(norm.mean[...][group], other.mean[...], atol=1e-6)
        np.testing.assert_allclose(norm.var[...][group], other.var[...], atol=1e-6)
    # the group that the batch lacks keeps its averages
    np.testing.assert_array_equal(norm.var[...][2], 1)


def test_batch_norm_of_a_lone_row_is_its_offset():
    norm = nets.BatchNorm(2, rngs=nnx.Rngs(0), n_groups=2)
    found = norm(jnp.array([[3.0, -1.0], [1.0, 1.0], [2.0, 2.0]]), jnp.array([0, 1, 1]), train=True)
    np.testing.assert_array_equal(found[0], 0)


# The adapter


def test_every_network_gives_its_input_back_in_shape():
    groups = jnp.array([0, 1, 1])
    for network, x in (
        (Network(kind="vae", shape=(8, 8, 1), n_latent=4), jnp.ones((3, 8, 8, 1))),
        (Network(kind="conv", shape=(8, 8, 2), n_latent=4, options=(("n_groups", 2),)), jnp.ones((3, 8, 8, 2))),
        (Network(kind="mlp", shape=(5,), n_latent=4, options=(("n_groups", 2),)), jnp.ones((3, 5))),
        (Network(kind="vae", shape=(5,), n_latent=4), jnp.ones((3, 5))),
    ):
        params, rest = shapes(network)
        (code, found), after = jax.eval_shape(network.autoencode, params, rest, x, groups)
        assert code.z.shape == (3, 4)
        assert found.shape == x.shape
        assert jax.tree.structure(rest) == jax.tree.structure(after)


def test_branches_differ_only_in_their_groups_rows():
    network = Network(kind="mlp", shape=(5,), n_latent=2, options=(("n_groups", 2),))
    params, rest = start(network)
    x = jax.random.normal(KEY, (4, 5))
    autoencode = jax.jit(network.autoencode)
    _, first = autoencode(params, rest, x, jnp.array([0, 0, 1, 1]))[0]
    params["branch"]["kernel"] = params["branch"]["kernel"].at[1].add(1.0)
    _, second = autoencode(params, rest, x, jnp.array([0, 0, 1, 1]))[0]
    np.testing.assert_array_equal(first[:2], second[:2])
    assert not np.allclose(first[2:], second[2:])


def test_bfloat16_changes_only_the_last_digits():
    options = {"kind": "mlp", "shape": (16,), "n_latent": 3}
    full, half = Network(**options), Network(**options, compute="bfloat16")
    params, rest = start(full)
    x = jax.random.normal(KEY, (8, 16))
    exact, rounded = (jax.jit(network.encode)(params, rest, x)[0].z for network in (full, half))
    assert rounded.dtype == exact.dtype == jnp.float32
    np.testing.assert_allclose(rounded, exact, atol=0.05 * float(jnp.abs(exact).max()))
    assert not np.array_equal(rounded, exact)


def test_float64_networks():
    network = Network(kind="mlp", shape=(6,), n_latent=3)
    params, rest = start(network)
    x = jax.random.normal(KEY, (4, 6))
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        exact = jax.jit(network.encode)(wide, rest, np.asarray(x, np.float64))[0].z
        assert exact.dtype == np.float64
    np.testing.assert_allclose(jax.jit(network.encode)(params, rest, x)[0].z, exact, atol=1e-5)


class Own(nnx.Module):
    def __init__(self, rngs):
        self.down, self.up = nnx.Linear(6, 2, rngs=rngs), nnx.Linear(2, 6, rngs=rngs)

    def encode(self, x, *, train, key):
        return self.down(x)

    def decode(self, z, groups, *, train):
        return self.up(z)


def test_a_module_of_ones_own():
    network = OwnNetwork(Own(nnx.Rngs(0)))
    params, rest = start(network)
    code, _ = jax.jit(network.encode)(params, rest, jnp.ones((3, 6)))
    assert code.z.shape == (3, 2)


def branches(latent):
    return Network(kind="mlp", shape=(6,), n_latent=latent, options=(("n_groups", 2),))


def test_an_encoder_of_ones_own_gets_a_decoder():
    rngs = nnx.Rngs(0)
    encoder = nnx.Sequential(nnx.Linear(6, 3, rngs=rngs), nnx.BatchNorm(3, rngs=rngs), nnx.Dropout(0.5, rngs=rngs))
    network = OwnEncoder(encoder, (6,), branches)
    network.check((6,))
    first, second = network.init(KEY), network.init(jax.random.key(1))
    # it starts at its own values, the decoder where the key says; nothing of the decoder's network lies idle
    np.testing.assert_array_equal(first.params["encoder"]["layers"][0]["kernel"], encoder.layers[0].kernel[...])
    np.testing.assert_array_equal(
        first.params["encoder"]["layers"][0]["kernel"], second.params["encoder"]["layers"][0]["kernel"]
    )
    assert not np.array_equal(first.params["decoder"]["branch"]["kernel"], second.params["decoder"]["branch"]["kernel"])
    decoder = shapes(branches(3)).params
    assert count(first.params) == 6 * 3 + 3 + 2 * 3 + count((decoder["head"], decoder["branch"]))
    x, groups = jnp.arange(12.0).reshape(2, 6), jnp.array([0, 1], jnp.int32)
    (code, found), after = network.autoencode(*first, x, groups)
    assert (code.z.shape, found.shape) == ((2, 3), (2, 6))
    norm = "encoder", "layers", 1, "mean"

    def at(tree, names):
        for name in names:
            tree = tree[name]
        return tree

    np.testing.assert_array_equal(at(after, norm), 0)
    # Flax's switches are set: batch averages move and outputs drop while it trains
    (dropped, _), after = network.autoencode(*first, x, groups, train=True)
    assert np.abs(at(after, norm)).max() > 0
    again = network.encode(first.params, after, x, train=True)[0]
    assert not np.array_equal(dropped.z == 0, again.z == 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OwnEncoder(3, (6,), branches), "network is a int; expected a name, or an NNX module"),
        (lambda: OwnEncoder(nnx.Linear(5, 2, rngs=nnx.Rngs(0)), (6,), branches), r"fails on rows of shape \(6,\)"),
        (lambda: OwnEncoder(nnx.Linear(4, 2, rngs=nnx.Rngs(0)), (3, 4), branches), r"latents \(2, 3, 2\) of 2 rows"),
        (lambda: OwnNetwork(Own(nnx.Rngs(0))).check((5,)), r"the network fails on rows of shape \(5,\)"),
        (lambda: Network(kind="conv", shape=(3, 32, 32), n_latent=1), "if the channels come first, move them"),
        (lambda: Network(kind="resnet", shape=(3,), n_latent=1), "there is no network 'resnet'"),
        (lambda: Network(kind="conv", shape=(64,), n_latent=1), "takes images"),
        (lambda: Network(kind="conv", shape=(30, 32, 1), n_latent=1), "divisible by 4"),
        (lambda: Network(kind="fc", shape=(8, 8, 1), n_latent=1), "takes vectors"),
        (lambda: OwnNetwork(nnx.Linear(2, 2, rngs=nnx.Rngs(0))), "expected a name or an NNX module"),
    ],
)
def test_bad_networks(make, message):
    with pytest.raises(InputError, match=message):
        make()
