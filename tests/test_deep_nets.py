"""Networks of the deep methods: sizes, batch normalisation, the adapter to pytrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fairjax.deep import nets
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
