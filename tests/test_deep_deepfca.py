"""DeepFCA: exact fairness on learned features, fair targets, and its estimator."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fairjax import metrics
from fairjax.datasets import load_reverse_digits
from fairjax.deep import DeepFCA, Network, OwnNetwork, aekmeans, deepfca, prepare
from fairjax.deep.methods import losses, running
from fairjax.deep.methods.assigning import assign
from fairjax.deep.training import steps, streams, trainer
from fairjax.errors import InputError

KEY = jax.random.key(5)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
GROUPS = np.array(["a", "b", "b"])[RNG.integers(3, size=96)]


def test_gaussian_assignment_is_the_cosine_one_on_the_sphere():
    z, centers = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (RNG.normal(size=(6, 3)), np.eye(3)))
    found = losses.gaussian_log_assignment(jnp.asarray(z), jnp.asarray(centers), 0.1)
    np.testing.assert_allclose(
        found, losses.cosine_log_assignment(jnp.asarray(z), jnp.asarray(centers), 0.1), atol=1e-5
    )


# Estimator


def model(**changes):
    settings = {"pretrain_epochs": 6, "epochs": 2, "batch_size": 16, "n_latent": 3, "n_init": 1, "random_state": 0}
    return DeepFCA(4, **settings | changes)


@pytest.fixture(scope="module")
def fitted():
    return model(fair_targets=False).fit(POINTS, sensitive_features=GROUPS)


def test_a_fitted_estimator(fitted, tmp_path):
    assert fitted.balance_ > 0.75 * fitted.max_balance_
    assert metrics.group_violation(fitted.labels_, (GROUPS == "b").astype(int)) < 0.1
    assert fitted.multipliers_.shape == (2, 4)
    assert set(fitted.history_) == {"autoencoder: reconstruction", "autoencoder: divergence"}
    # the rule for new rows gives the fitted ones back, but for those on a boundary
    ruled = fitted.predict(POINTS, sensitive_features=GROUPS)
    assert np.mean(ruled != fitted.labels_) < 0.1
    nearest = fitted.predict(POINTS)
    np.testing.assert_array_equal(nearest, np.argmax(fitted.predict_proba(POINTS), 1))
    fitted.save(tmp_path / "model.npz")
    back = DeepFCA.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(back.predict(POINTS, sensitive_features=GROUPS), ruled)
    with pytest.raises(InputError, match="'c'"):
        fitted.predict(POINTS[:1], sensitive_features=["c"])


def test_parts_of_the_fair_targets():
    """Traced through both stages; the loss is computed for given labels."""
    data = prepare(POINTS, (GROUPS == "b").astype(int))
    small = Network(kind="mlp", shape=(4,), n_latent=3, options=(("n_groups", 2), ("unit_norm", True)))
    settings = deepfca.DeepFCAConfig(network=small, n_clusters=4, batch_size=16, n_init=1, pretrain_epochs=1, epochs=1)
    tasks, hyper = settings.tasks(data), settings.hyper()
    state = trainer.state_template(tasks, KEY, hyper, data, 1)
    after, terms = jax.eval_shape(lambda state: steps.train_chunk(tasks[1], state, data, jnp.int32(0), length=2), state)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert set(terms) == {"reconstruction", "divergence", "balance", "onehot", "targets"}
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (state.params, state.rest, state.extra))
    zero[2]["spread"] += 1
    batch = streams.Batch(data.x[:16], data.groups[:16], jnp.arange(16, dtype=jnp.int32))
    terms, _ = jax.jit(tasks[1].loss)(*zero, hyper, batch, KEY, jnp.int32(0))
    # centres in one place: every cluster is as likely
    np.testing.assert_allclose(terms["targets"], 0.02 * np.log(4), rtol=1e-5)
    np.testing.assert_allclose([terms["balance"], terms["onehot"]], np.log(4) * np.array([-0.1, 0.04]), rtol=1e-5)


@pytest.mark.slow
def test_an_estimator_with_fair_targets():
    found = model().fit(POINTS, sensitive_features=GROUPS)
    assert found.balance_ > 0.75 * found.max_balance_
    assert found.n_iter_ == 48


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epsilon": 3.0}, "epsilon is 3.0; expected a number from 0 to 2"),
        ({"min_balance": 0.9}, "these data allow at most"),
        ({"epsilon": 0.1, "min_balance": 0.1}, "choose one fairness control"),
        ({"pretrain_epochs": 0}, "pretrain_epochs is 0"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(InputError, match=message):
        model(**changes).fit(POINTS, sensitive_features=GROUPS)


class Same(nnx.Module):
    """An autoencoder that leaves rows as they are."""

    def __init__(self):
        self.scale = nnx.Param(jnp.ones(()))

    def encode(self, x, *, train, key):
        return self.scale * x

    def decode(self, z, groups, *, train):
        return z


def two_groups_apart():
    """Rows on a line, a centre that only one group is near and one that no row is near."""
    data = prepare(np.array([[0.0], [1], [2], [10], [11], [12]], np.float32), [0, 0, 0, 1, 1, 1])
    network = OwnNetwork(Same())
    settings = deepfca.DeepFCAConfig(2, network=network, epochs=1, pretrain_epochs=1, batch_size=2)
    params, rest = network.init(KEY)
    empty = trainer.state_template(settings.tasks(data), KEY, settings.hyper(), data, 1)
    hyper = {name: jnp.float32(value) for name, value in settings.hyper().items()}
    extra = {"centers": jnp.array([[1.0], [30.0]])}
    return data, settings, empty._replace(params={"net": params}, rest=rest, extra=extra, hyper=hyper)


def test_a_lost_cluster_asks_for_another_end(monkeypatch):
    """The program that fills clusters is compiled only where one is empty."""
    data, settings, state = two_groups_apart()
    labels, clusterer = jnp.zeros(6, jnp.int32), running.Clusterer((), (), jnp.zeros((2, 1)), jnp.ones(()))
    asked = []

    def finished(config, full, *_):
        asked.append(full)
        return (labels.at[0].set(1) if full or config.n_init == 1 else labels), clusterer

    monkeypatch.setattr(running, "_finished", finished)
    monkeypatch.setattr(running, "run_tasks", lambda *_, **__: trainer.Trained(state, ({}, {})))
    assert deepfca.run(KEY, data, settings).labels.tolist() == [1, 0, 0, 0, 0, 0]
    assert asked == [False, True]
    deepfca.run(KEY, data, dataclasses.replace(settings, n_init=1))
    assert asked == [False, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ["direct", "exact"])
def test_no_cluster_is_lost(assignment):
    data, settings, state = two_groups_apart()
    settings = dataclasses.replace(settings, assignment=assignment)
    for full, sizes in ((False, {6}), (True, {2, 4})):
        labels, _ = running._finished(settings, full, state, data, KEY)
        assert set(np.bincount(labels)) == sizes


# Reduced protocol


def network(n_groups, output="tanh", unit_norm=True):
    options = (("n_groups", n_groups), ("output", output), ("unit_norm", unit_norm))
    return Network(kind="mlp", shape=(64,), n_latent=10, options=options)


def train(keys, **changes):
    digits = load_reverse_digits(signed=True, dtype=np.float32)
    data = prepare(digits.X, digits.groups)
    settings = deepfca.DeepFCAConfig(
        **{"network": network(2), "n_clusters": 10, "batch_size": 128, "epochs": 40} | changes
    )
    result = deepfca.run(keys, data, settings)
    assert np.all(np.asarray(result.failed) == -1)
    of_all = assign if keys.ndim == 0 else jax.vmap(assign, in_axes=(None, None, 0, None))
    nearest = of_all("gaussian", settings.network, result.clusterer, data.x)

    def figures(labels):
        each = [
            (metrics.accuracy(one, digits.target), metrics.balance(one, digits.groups))
            for one in labels.reshape(-1, len(data.x))
        ]
        return np.array(each, float)

    return figures(result.labels), figures(nearest)


@pytest.mark.slow
def test_labels_are_as_fair_as_can_be():
    """The best possible balance is 1, whatever the encoder has learned."""
    found, _ = train(KEY, fair_targets=False, pretrain_epochs=10)
    assert found[0, 1] > 0.97


@pytest.mark.slow
def test_fair_targets_on_reversed_digits():
    """Every seed is fair by its labels and by the nearest centre; the mean accuracy is that of unfair k-means."""
    keys = jax.random.split(KEY, 3)
    found, nearest = train(keys)
    _, untrained = train(keys, fair_targets=False, pretrain_epochs=60)
    digits = load_reverse_digits(dtype=np.float32)
    settings = aekmeans.AEKMeansConfig(network=network(1, "sigmoid", False), n_clusters=10, batch_size=128, steps=1500)
    unfair = aekmeans.run(keys, prepare(digits.X, digits.groups), settings)
    accuracy = np.mean([metrics.accuracy(one, digits.target) for one in unfair.labels])
    assert found[:, 1].min() > 0.97
    assert nearest[:, 1].min() > untrained[:, 1].max()
    assert nearest[:, 1].min() > 0.6
    assert found[:, 0].mean() > accuracy - 0.02
