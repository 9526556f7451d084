"""ClusterGAN: its losses, the turns of critic and networks, training, and its estimator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fairjax.deep import ClusterGAN, Network, clustergan, prepare
from fairjax.deep.methods import losses
from fairjax.deep.training import steps, trainer
from fairjax.errors import InputError

KEY = jax.random.key(5)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
NETWORK = Network(kind="gan", shape=(4,), n_latent=6, options=(("n_noise", 2),))
SHORT = {"n_noise": 2, "rounds": 3, "critic_steps": 2, "batch_size": 16, "n_init": 1}


# Losses


def test_the_penalty_is_that_of_the_slopes():
    """Against differences, and as one that can be descended: of a product of weights, which it keeps near one."""
    with jax.enable_x64(True):
        w = jnp.asarray(RNG.normal(size=(3, 5)))
        x = jnp.asarray(RNG.normal(size=(6, 3, 1)))  # images too have one slope a row

        def critic(x):
            return jnp.sum(jnp.tanh(x.reshape(len(x), -1) @ w), axis=1)

        step, slopes = 1e-6, np.zeros((6, 3))
        for i in range(3):
            move = step * np.eye(3)[i][:, None]
            slopes[:, i] = (critic(x + move) - critic(x - move)) / (2 * step)
        wanted = np.mean((np.sqrt((slopes**2).sum(1)) - 1) ** 2)
        np.testing.assert_allclose(losses.gradient_penalty(critic, x), wanted, rtol=1e-7)

        gradient = jax.grad(lambda a: losses.gradient_penalty(lambda x: a * x[:, 0, 0], x))(3.0)
        np.testing.assert_allclose(gradient, 2 * (3 - 1), rtol=1e-10)
        assert np.isfinite(jax.grad(lambda a: losses.gradient_penalty(lambda x: a * x[:, 0, 0], x))(0.0))


def test_the_way_back_is_noise_and_cluster():
    found, drawn = RNG.normal(size=(8, 5)), np.hstack([RNG.normal(size=(8, 2)), np.eye(3)[RNG.integers(3, size=8)]])
    noise, code = losses.inversion_loss(jnp.asarray(found), jnp.asarray(drawn), 2)
    np.testing.assert_allclose(noise, ((found[:, :2] - drawn[:, :2]) ** 2).sum() / 16, rtol=1e-5)
    e = np.exp(found[:, 2:])
    log_q = np.log(e / e.sum(1, keepdims=True))
    np.testing.assert_allclose(code, -log_q[drawn[:, 2:] == 1].mean(), rtol=1e-5)


def test_codes_are_noise_and_one_cluster():
    z = np.asarray(clustergan.draw_codes(KEY, 4000, 3, 5, 0.1))
    np.testing.assert_allclose(z[:, :3].std(), 0.1, rtol=0.05)
    assert set(np.unique(z[:, 3:])) == {0, 1}
    np.testing.assert_array_equal(z[:, 3:].sum(1), 1)
    np.testing.assert_allclose(z[:, 3:].mean(0), 0.2, atol=0.03)


# Networks


@pytest.mark.slow
def test_the_networks_for_images():
    """Shapes of the authors' code."""
    network = Network(kind="gan", shape=(28, 28, 1), n_latent=40, options=(("output", "sigmoid"),))
    params, rest = jax.eval_shape(network.init, KEY)
    assert {layer["kernel"].shape for layer in params["head"].values()} == {(40, 1024), (1024, 6272)}
    assert {layer["kernel"].shape for layer in params["branch"].values()} == {(4, 4, 128, 64), (4, 4, 64, 1)}
    inverse = params["inverse"]
    assert {layer["kernel"].shape for layer in inverse["convs"].values()} == {(4, 4, 1, 64), (4, 4, 64, 128)}
    assert {layer["kernel"].shape for layer in inverse["layers"].values()} == {(6272, 1024), (1024, 40)}

    def both(params, rest, x):
        return network.autoencode(params, rest, x, jnp.zeros(2, jnp.int32), train=True)[0]

    code, image = jax.eval_shape(both, params, rest, jnp.zeros((2, 28, 28, 1)))
    assert (code.z.shape, image.shape) == ((2, 40), (2, 28, 28, 1))
    critic = Network(kind="gan-critic", shape=(28, 28, 1), n_latent=1)
    found = jax.eval_shape(
        lambda x: critic.call(critic.init(KEY).params, {}, lambda module, x: module(x), x)[0], jnp.zeros((2, 28, 28, 1))
    )
    assert found.shape == (2, 1)


# Training


def config(**changes):
    return clustergan.ClusterGANConfig(4, network=NETWORK, **SHORT | changes)


@pytest.fixture(scope="module")
def data():
    return prepare(POINTS)


@pytest.fixture(scope="module")
def states(data):
    """Before, and after each of four steps: critic, critic, networks, critic."""
    task = config().tasks(data)[0]
    state = steps.begin(task, KEY, None, trainer.spread(config().hyper(), KEY, jnp.float32), data)
    found = [jax.tree.map(jnp.copy, state)]
    for step in range(4):
        state, terms = steps.train_chunk(task, state, data, jnp.int32(step), length=1)
        found.append((jax.tree.map(jnp.copy, state), {name: float(value[0]) for name, value in terms.items()}))
    return found


def test_critic_and_networks_take_turns(states):
    """Who is not in turn stands still, with the moments of its Adam."""
    before = states[0]
    critics, networks = {"real", "drawn", "slope"}, {"generator", "noise", "code"}
    for number, (after, terms) in enumerate(states[1:]):
        of_critic = number % 3 < 2
        for part in ("net", "critic"):
            pairs = zip(jax.tree.leaves(before.params[part]), jax.tree.leaves(after.params[part]), strict=True)
            moved = any(np.any(np.asarray(a) != np.asarray(b)) for a, b in pairs)
            assert moved == ((part == "critic") == of_critic), (number, part)
            inner = [
                jax.tree.leaves(state.optimizer.inner_states[part].inner_state.inner_state) for state in (before, after)
            ]
            changed = any(np.any(np.asarray(a) != np.asarray(b)) for a, b in zip(*inner, strict=True))
            assert changed == moved, (number, part)
        still = networks if of_critic else critics
        assert {name for name, value in terms.items() if value == 0} == still
        before = after


def test_the_critic_is_low_on_real_rows(states):
    """The sign of the authors' code: its loss has D(real) − D(drawn)."""
    (_, terms), _ = states[1:3]
    assert terms["slope"] > 0
    # at the start of small weights all scores are near zero, and slopes too: the penalty is near its weight
    np.testing.assert_allclose(terms["slope"], 10, rtol=0.2)


@pytest.mark.slow
def test_chunks_seeds_and_labels(data):
    whole = clustergan.run(KEY, data, config(), chunk_steps=9)
    again = clustergan.run(KEY, data, config(), chunk_steps=3)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.n_steps == 9
    assert whole.clusterer.centers.shape == (4, 6)
    both = clustergan.run(jnp.stack([jax.random.key(1), KEY]), data, config(), chunk_steps=9)
    np.testing.assert_allclose(both.history["ClusterGAN: real"][1], whole.history["ClusterGAN: real"], atol=1e-5)


# Estimator


@pytest.mark.slow
def test_a_fitted_estimator(tmp_path):
    model = ClusterGAN(4, **SHORT, random_state=0, checkpoint_dir=tmp_path / "run", checkpoint_every=3).fit(POINTS)
    np.testing.assert_array_equal(model.predict(POINTS), model.labels_)
    assert model.embed(POINTS).shape == (96, 6)
    np.testing.assert_allclose(model.embed(POINTS)[:, 2:].sum(1), 1, rtol=1e-5)
    model.save(tmp_path / "model.npz")
    back = ClusterGAN.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(back.predict_proba(POINTS), model.predict_proba(POINTS))
    again = ClusterGAN(4, **SHORT, random_state=0, checkpoint_dir=tmp_path / "run", resume=True).fit(POINTS)
    np.testing.assert_array_equal(again.labels_, model.labels_)


class Plain(nnx.Module):
    def __init__(self):
        self.layer = nnx.Linear(4, 6, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.layer(x)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "mlp"}, "ClusterGAN has no network 'mlp'; expected one of 'auto', 'gan'"),
        ({"network": Plain()}, "ClusterGAN takes no network of one's own"),
        ({"n_latent": 6}, "n_latent=6 has no place here"),
        ({"noise": 0.0}, "noise is 0; expected a positive number"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(InputError, match=message):
        ClusterGAN(4, **SHORT | changes).fit(POINTS)


def test_networks_that_do_not_fit(data):
    with pytest.raises(InputError, match="trains the network 'gan' alone"):
        clustergan.ClusterGANConfig(4, network=Network(kind="mlp", shape=(4,), n_latent=6), **SHORT).tasks(data)
    with pytest.raises(InputError, match=r"expected n_noise \+ n_clusters = 7"):
        config(n_noise=3).tasks(data)
