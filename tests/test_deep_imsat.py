"""IMSAT: its loss, the adversarial direction, neighbours, the network's start, training, and its estimator."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.spatial.distance import cdist

from fairjax import datasets, metrics
from fairjax.deep import IMSAT, Network, imsat, prepare
from fairjax.deep.methods import losses
from fairjax.deep.training import neighbours, steps, streams, trainer
from fairjax.errors import InputError

KEY = jax.random.key(5)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
GROUPS = RNG.integers(3, size=96)
NETWORK = Network(kind="classifier", shape=(4,), n_latent=4, options=(("hidden", (8, 8)),))
SHORT = {"epochs": 6, "batch_size": 16, "lr": 0.02}


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# Losses


def test_terms_are_those_of_the_paper():
    q = softmax(RNG.normal(size=(12, 4)))
    hyper = {"information": 0.1, "evenness": 4.0, "prior_gap": 0.01}
    shares = q.mean(0)
    found = imsat.informative_terms(jnp.asarray(q), hyper, None)
    np.testing.assert_allclose(found["onehot"], -0.1 * (q * np.log(q)).sum(1).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["balance"], 0.4 * (shares * np.log(shares)).sum(), rtol=1e-5)
    prior = np.array([0.7, 0.1, 0.1, 0.1])
    found = imsat.informative_terms(jnp.asarray(q), hyper, tuple(prior))
    np.testing.assert_allclose(found["balance"], 0.4 * ((shares * np.log(shares / prior)).sum() - 0.01), rtol=1e-4)
    # nothing is paid within the allowance
    assert imsat.informative_terms(jnp.asarray(q), hyper, tuple(shares))["balance"] == 0


def tiny(params, x):
    return jax.nn.log_softmax(jnp.tanh(x.reshape(len(x), -1) @ params[0]) @ params[1], axis=1)


def test_the_direction_is_the_one_of_a_search():
    """With two clusters the change has one direction, which one step finds: against all directions of the plane."""
    with jax.enable_x64(True):
        params = (jnp.asarray(RNG.normal(size=(2, 5))), jnp.asarray(RNG.normal(size=(5, 2))))
        x = jnp.asarray(RNG.normal(size=(6, 1, 2)))  # images too have one direction a row
        log_q = tiny(params, x)
        angles = np.linspace(0, np.pi, 2000)
        circle = jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], 1)[:, None, None])
        change = jax.vmap(lambda d: losses.divergence(jnp.exp(log_q), tiny(params, x + 1e-4 * d)))(circle)
        best = circle[np.argmax(change, 0), 0, 0]
        found = losses.adversarial_direction(KEY, tiny, params, x, log_q, step=1e-4)[:, 0]
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-12)
        np.testing.assert_allclose(np.abs((found * best).sum(1)), 1, atol=1e-4)


def test_smoothness_is_differentiated_once():
    """Its value is that of NumPy's formula; the direction passes no gradient, and neither does the row's own side."""
    with jax.enable_x64(True):
        params = (jnp.asarray(RNG.normal(size=(2, 5))), jnp.asarray(RNG.normal(size=(5, 3))))
        x, radius = jnp.asarray(RNG.normal(size=(6, 2))), jnp.asarray(RNG.random(6))
        log_q = tiny(params, x)
        d = losses.adversarial_direction(KEY, tiny, params, x, log_q)
        found, moved = losses.adversarial_loss(KEY, tiny, params, x, log_q, radius)
        q, other = softmax(np.asarray(log_q)), softmax(np.asarray(tiny(params, x + radius[:, None] * d)))
        np.testing.assert_allclose(found, (q * np.log(q / other)).sum(1).mean(), rtol=1e-10)
        np.testing.assert_allclose(np.exp(moved), other, rtol=1e-10)

        def loss(params):
            return losses.adversarial_loss(KEY, tiny, params, x, tiny(params, x), radius)[0]

        def held(params):
            return jnp.mean(losses.divergence(jnp.asarray(q), tiny(params, x + radius[:, None] * d)))

        for a, b in zip(jax.tree.leaves(jax.grad(loss)(params)), jax.tree.leaves(jax.grad(held)(params)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)


def test_a_flat_start_still_has_a_direction():
    """All clusters as likely for every row, as IMSAT starts: the gradient is tiny, not its direction."""
    params = (jnp.ones((2, 5)), 1e-12 * jnp.asarray(RNG.normal(size=(5, 3)), jnp.float32))
    x = jnp.asarray(RNG.normal(size=(6, 2)), jnp.float32)
    d = losses.adversarial_direction(KEY, tiny, params, x, tiny(params, x))
    lengths = np.linalg.norm(d, axis=1)
    assert np.all(np.isclose(lengths, 1, rtol=1e-5) | (lengths == 0))


# Neighbours


@pytest.mark.parametrize("tile", [None, 80])
def test_neighbours_are_those_of_the_own_group(tile, monkeypatch):
    if tile is not None:
        monkeypatch.setattr(neighbours, "_TILE", tile)
    data = prepare(POINTS, GROUPS)
    compiled = jax.jit(partial(neighbours.neighbour_distances.__wrapped__, rank=3))  # anew, for the tile is a constant
    found = compiled(data.x, data.members, data.sizes)
    wanted = np.empty(96)
    for group in range(3):
        own = np.flatnonzero(group == GROUPS)
        wanted[own] = np.sort(cdist(POINTS[own], POINTS[own]), 1)[:, 3]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_neighbours_that_mean_nothing():
    data = prepare(POINTS, GROUPS)
    with pytest.raises(InputError, match=r"group \d has \d+ rows, and the neighbour of rank 40 asks for 41"):
        neighbours.neighbours(data.x, data.members, data.sizes, 40)
    copies = prepare(np.repeat(POINTS[:24], 4, axis=0), np.zeros(96, int))
    with pytest.raises(InputError, match=r"row 0 has 3 copies or more in its group.*\(96 such rows\)"):
        neighbours.neighbours(copies.x, copies.members, copies.sizes, 3)


# The network


def test_the_start_of_the_network():
    """Kernels of the given scales, and the same logit for every cluster, nearly."""
    wide = Network(kind="classifier", shape=(20, 20, 1), n_latent=10)
    params, rest = wide.init(KEY)
    for layer, (fan_in, scale) in enumerate(((400, 0.1), (1200, 0.1))):
        kernel = params["trunk"][layer]["kernel"]
        np.testing.assert_allclose(np.std(kernel), scale * np.sqrt(2 / fan_in), rtol=0.02)
    np.testing.assert_allclose(np.std(params["code"]["kernel"]), 1e-4 * np.sqrt(2 / 1200), rtol=0.05)
    assert all(np.all(np.asarray(params["trunk"][layer]["bias"]) == 0) for layer in (0, 1))
    code, _ = wide.encode(params, rest, jnp.asarray(RNG.normal(size=(8, 20, 20, 1)), jnp.float32), train=True)
    assert code.z.shape == (8, 10)
    assert np.abs(code.z).max() < 1e-3


def test_the_convolutional_network():
    network = Network(kind="conv-classifier", shape=(8, 8, 1), n_latent=3)
    params, rest = network.init(KEY)
    shape = jax.eval_shape(lambda x: network.encode(params, rest, x, train=True)[0].z, jnp.zeros((2, 8, 8, 1)))
    assert shape.shape == (2, 3)


# Training


def config(**changes):
    return imsat.IMSATConfig(4, network=NETWORK, **SHORT | changes)


@pytest.fixture(scope="module")
def data():
    return config().completed(prepare(POINTS, GROUPS))


@pytest.fixture(scope="module")
def whole(data):
    return imsat.run(KEY, data, config(), chunk_steps=36)


def equal(left, right):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_training_finds_the_clusters(whole, data):
    """Four clouds, nearly all of it in 36 steps; the terms are named, and the neighbours are found once."""
    assert metrics.accuracy(whole.labels, POINTS.argmax(1)) > 0.7
    assert set(whole.history) == {"IMSAT: balance", "IMSAT: onehot", "IMSAT: smoothness"}
    assert config().completed(data) is data
    assert config(vat_neighbour=5).completed(data).neighbours.rank == 5


def test_adversarial_passes_leave_the_averages(data):
    """Running averages after a step are those of the one pass of the rows themselves."""
    task = config().tasks(data)[0]
    state = steps.begin(task, KEY, None, trainer.spread(config().hyper(), KEY, jnp.float32), data)
    batch = streams.Batch(data.x[:16], data.groups[:16], jnp.arange(16, dtype=jnp.int32))
    _, found = task.loss(state.params, state.rest, state.extra, state.hyper, batch, KEY, jnp.int32(0))
    _, wanted = NETWORK.encode(state.params["net"], state.rest, batch.x, train=True)
    equal(found, wanted)


def test_chunks_and_resumption_leave_the_result(whole, data):
    kept = []

    def keep(position):
        kept.append(jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, jax.Array) else leaf, position))

    equal(imsat.run(KEY, data, config(), chunk_steps=12, after_chunk=keep), whole)
    equal(imsat.run(KEY, data, config(), chunk_steps=12, position=kept[1]), whole)


def test_seeds_in_one_call_are_those_one_by_one(whole, data):
    both = imsat.run(jnp.stack([jax.random.key(1), KEY]), data, config(), chunk_steps=36)
    np.testing.assert_array_equal(both.labels[1], whole.labels)
    for name, values in whole.history.items():
        # later on, rounding has grown to a hundredth
        np.testing.assert_allclose(both.history[name][1][:12], values[:12], rtol=1e-4, atol=1e-6)


def test_without_smoothness_no_neighbours_are_asked_for():
    data = prepare(POINTS, GROUPS)
    plain = config(vat_weight=0.0)
    assert plain.completed(data) is data
    state = trainer.state_template(plain.tasks(data), KEY, plain.hyper(), data, 0)
    assert state.extra == {}


# Estimator


def model(**changes):
    return IMSAT(4, **SHORT | {"random_state": 0} | changes)


@pytest.mark.slow
def test_a_fitted_estimator(tmp_path):
    folder = {"checkpoint_dir": tmp_path / "run", "checkpoint_every": 12}
    fitted = model(**folder).fit(POINTS, sensitive_features=GROUPS)
    np.testing.assert_array_equal(fitted.predict(POINTS), fitted.labels_)
    np.testing.assert_array_equal(fitted.cluster_centers_, np.eye(4))
    fitted.save(tmp_path / "model.npz")
    back = IMSAT.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(back.predict_proba(POINTS), fitted.predict_proba(POINTS))
    again = model(**folder, resume=True).fit(POINTS, sensitive_features=GROUPS)
    np.testing.assert_array_equal(again.labels_, fitted.labels_)


class Plain(nnx.Module):
    """An encoder with as many outputs as it was given."""

    def __init__(self, n_out):
        self.layer = nnx.Linear(4, n_out, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.layer(x)


def test_a_network_of_ones_own_gives_the_logits(data):
    own = model(network=Plain(4))
    own._choose_scale(POINTS)
    network = own._choose_network((4,), 3)
    # nothing is added to it, as there is no way back
    assert len(jax.tree.leaves(network.init(KEY).params)) == 2
    imsat.check_logits(network, data, 4)


@pytest.mark.parametrize(
    ("changes", "X", "message"),
    [
        ({"vat_neighbour": 60}, POINTS, "the group g. has .* set vat_neighbour to a smaller rank"),
        ({"vat_neighbour": 3}, np.repeat(POINTS[:12], 8, axis=0), "leave copies out"),
        ({"prior": (0.5, 0.5)}, POINTS, "expected 4 positive shares that sum to 1"),
        ({"prior": "even"}, POINTS, "prior is 'even'"),
        ({"n_latent": 3}, POINTS, "the network has 3 outputs; expected a logit for each of n_clusters=4"),
        ({"network": Plain(5)}, POINTS, "the network has 5 outputs"),
        ({"network": "mlp"}, POINTS, "IMSAT has no network 'mlp'; expected one of 'auto', 'classifier'"),
        ({}, np.full((16, 8, 8, 1), 2.0), "the images' values go from 2 to 2"),
        ({"vat_radius": 0.0}, POINTS, "vat_radius is 0; expected a positive number"),
    ],
)
def test_bad_input(changes, X, message):
    with pytest.raises(InputError, match=message):
        model(**changes).fit(X, sensitive_features=[f"g{i % 2}" for i in range(len(X))])


@pytest.mark.slow
def test_imsat_on_digits():
    """The bundled digits, by themselves: above k-means (.79) in the mean of two seeds."""
    digits = datasets.load_reverse_digits(signed=True, dtype=np.float32)
    X, y = digits.X[:1797], digits.target[:1797]
    settings = imsat.IMSATConfig(
        10, network=Network(kind="classifier", shape=(64,), n_latent=10, options=(("hidden", (256, 256)),)), epochs=60
    )
    found = imsat.run(jax.random.split(KEY, 2), prepare(X), settings)
    assert np.mean([metrics.accuracy(labels, y) for labels in found.labels]) > 0.79


def test_settings_are_static_but_for_numbers():
    from fairjax.deep.methods.settings import static

    assert static(config(vat_radius=0.1)) == static(config(vat_radius=0.3))
    assert static(config(prior=[0.1, 0.2, 0.3, 0.4])) != static(config())
    assert hash(static(config(prior=[0.1, 0.2, 0.3, 0.4])))
    with pytest.raises(TypeError):
        static(config()).smooth  # noqa: B018
