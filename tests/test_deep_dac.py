"""DAC: its loss, thresholds and network, training, and its estimator."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax import metrics
from fairjax.deep import DAC, Network, dac, log_assignment, prepare
from fairjax.deep.methods import losses
from fairjax.errors import InputError

KEY = jax.random.key(5)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
NETWORK = Network(kind="dac", shape=(4,), n_latent=4, options=(("hidden", (16, 16)),))
SHORT = {"epoch_steps": 6, "batch_size": 16, "lr": 0.01, "pace": 0.1}


# Loss and network


def test_the_loss_is_that_of_the_paper():
    with jax.enable_x64(True):
        q = RNG.dirichlet(0.3 * np.ones(4), size=12)
        unit = q / np.sqrt((q**2).sum(1, keepdims=True))
        s = unit @ unit.T
        np.testing.assert_allclose(losses.pair_similarity(jnp.asarray(q)), s, rtol=1e-12)
        found = losses.pair_loss(jnp.asarray(s), 0.8, 0.5)
        similar = sum(-np.log(x) for x in s.ravel() if x > 0.8) / 144
        different = sum(-np.log(1 - x) for x in s.ravel() if x < 0.5) / 144
        assert 12 < np.sum(s > 0.8) < np.sum(s >= 0.5) < 144
        np.testing.assert_allclose(found, [similar, different], rtol=1e-10)


@pytest.mark.slow
def test_equal_and_opposite_rows_have_finite_gradients():
    """Where a similarity is 0 or 1 to the last digit its logarithm is cut off."""
    z = jnp.asarray([[200.0, 0, 0], [200, 0, 0], [0, 200, 0]])

    def loss(z):
        return sum(losses.pair_loss(losses.pair_similarity(jax.nn.softmax(z, axis=1)), 0.9, 0.5))

    value, gradient = jax.value_and_grad(loss)(z)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_thresholds_meet_as_in_the_public_code():
    """47 epochs of 1,000 steps: the loop there asks with the thresholds of the epoch before."""
    settings = dac.DACConfig(10, network=Network(kind="dac", shape=(4,), n_latent=10))
    moves, upper, lower, count = 0.0, 0.95, 0.455, 0
    while upper > lower:
        upper, lower = 0.95 - moves, 0.455 + 0.1 * moves
        moves, count = moves + 1.1 * 0.009, count + 1
    assert settings.epochs == count == 47
    assert settings.tasks(prepare(POINTS))[0].steps == 47_000


@pytest.mark.slow
def test_the_network_for_images():
    """Shapes of the public code, its parameters, and dense layers that start as the identity."""
    network = Network(kind="dac", shape=(28, 28, 1), n_latent=10)
    params, rest = jax.eval_shape(network.init, KEY)
    kernels = 9 * (64 + 2 * 64**2 + 64 * 128 + 2 * 128**2) + 1280 + 100 + 100
    offsets = 3 * 64 + 3 * 128 + 10 + 10 + 10
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == kernels + offsets
    shape = jax.eval_shape(
        lambda params, rest, x: network.encode(params, rest, x, train=True)[0].z,
        params,
        rest,
        jnp.zeros((2, 28, 28, 1)),
    )
    assert shape.shape == (2, 10)
    # pooled twice, a side of 32 leaves 2 x 2 maps
    wide, _ = jax.eval_shape(Network(kind="dac", shape=(42, 28, 3), n_latent=10).init, KEY)
    assert wide["dense"][0]["layer"]["kernel"].shape == (30, 10)
    with pytest.raises(InputError, match="of 26 pixels or more to a side; found rows of shape"):
        Network(kind="dac", shape=(8, 8, 1), n_latent=10)


def test_batches_are_normalised_with_nothing_to_train():
    params, rest = NETWORK.init(KEY)
    assert all(
        set(layer["layer"]) == {"kernel", "bias"} and set(layer) == {"layer"} for layer in params["layers"].values()
    )
    x, weights = np.asarray(POINTS[:16], float), [layer["layer"]["kernel"] for layer in params["layers"].values()]
    for kernel in weights:
        x = x @ np.asarray(kernel, float)
        x = np.maximum((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), 0)
    found, _ = NETWORK.encode(params, rest, jnp.asarray(POINTS[:16]), train=True)
    np.testing.assert_allclose(found.z, x, atol=2e-3)


# Training


def config(**changes):
    return dac.DACConfig(4, network=NETWORK, **SHORT | changes)


@pytest.fixture(scope="module")
def data():
    return prepare(POINTS)


@pytest.fixture(scope="module")
def whole(data):
    return dac.run(KEY, data, config(), chunk_steps=36)


def test_a_training_ends_when_the_thresholds_have_met(whole):
    assert whole.n_steps == 36
    assert set(whole.history) == {"DAC: similar", "DAC: different"}
    assert all(np.all(np.isfinite(values)) for values in whole.history.values())
    assert metrics.accuracy(whole.labels, POINTS.argmax(1)) > 0.7


def test_labels_do_not_depend_on_the_company(whole, data):
    alone = log_assignment("logits", NETWORK, whole.clusterer, data.x[:1])
    together = log_assignment("logits", NETWORK, whole.clusterer, data.x)
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)
    np.testing.assert_array_equal(np.argmax(together, 1), whole.labels)


@pytest.mark.slow
def test_chunks_and_resumption_leave_the_result(whole, data):
    kept = []

    def keep(position):
        kept.append(jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, jax.Array) else leaf, position))

    for options in ({"after_chunk": keep}, {"position": None}):
        again = dac.run(KEY, data, config(), chunk_steps=12, **options | ({"position": kept[1]} if kept else {}))
        for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(whole), strict=True):
            np.testing.assert_array_equal(a, b)


# Estimator


@pytest.mark.slow
def test_a_fitted_estimator(tmp_path):
    model = DAC(4, **SHORT, random_state=0, checkpoint_dir=tmp_path / "run", checkpoint_every=12).fit(POINTS)
    np.testing.assert_array_equal(model.predict(POINTS), model.labels_)
    model.save(tmp_path / "model.npz")
    back = DAC.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(back.predict_proba(POINTS), model.predict_proba(POINTS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"upper": 0.4}, "upper=0.4 is not above lower=0.455"),
        ({"upper": 1.2}, "upper is 1.2; expected a number from 0 to 1"),
        ({"pace": 0.0}, "pace is 0; expected a positive number"),
        ({"network": "mlp"}, "DAC has no network 'mlp'; expected one of 'auto', 'dac'"),
        ({"n_latent": 3}, "the network has 3 outputs; expected a logit for each of n_clusters=4"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(InputError, match=message):
        DAC(4, **SHORT | changes).fit(POINTS)
    if "upper" in changes and changes["upper"] < 1:
        with pytest.raises(InputError, match=message):
            dataclasses.replace(config(), **changes).tasks(prepare(POINTS))
