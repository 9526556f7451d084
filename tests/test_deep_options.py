"""Options of the papers' tables; networks are tiny, whole trainings are slow tests."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fairjax.deep import (
    DCN,
    DEC,
    DFC,
    FCMI,
    AEKMeans,
    DeepFCA,
    FairoidDEC,
    Network,
    OwnNetwork,
    dcn,
    dfc,
    fcmi,
    prepare,
)
from fairjax.deep.methods import fitting, losses
from fairjax.deep.methods.pretraining import AutoencoderTask
from fairjax.deep.nets import passing
from fairjax.deep.nets.autoencoders import Code
from fairjax.deep.nets.blocks import BatchNorm, Dense
from fairjax.deep.nets.own import OwnEncoder
from fairjax.deep.training import steps, streams, trainer
from fairjax.errors import InputError, ReplacementWarning

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
GROUPS = RNG.integers(2, size=96)


@pytest.fixture(scope="module")
def data():
    return prepare(POINTS, GROUPS)


# Losses


def test_consistency_of_each_group():
    with jax.enable_x64(True):
        c = RNG.dirichlet(np.ones(4), size=12)
        labels, groups = RNG.integers(3, size=12), RNG.integers(3, size=12)
        expected = []
        for t in range(3):
            own = groups == t
            gaps = c[own] @ c[own].T - (labels[own][:, None] == labels[own])
            expected.append((gaps**2).mean())
        found = losses.consistency_loss(*map(jnp.asarray, (c, labels, groups)), 3)
        np.testing.assert_allclose(found, np.mean(expected), rtol=1e-12)
        # a group that the batch lacks does not count
        found = losses.consistency_loss(*map(jnp.asarray, (c, labels, groups)), 5)
        np.testing.assert_allclose(found, np.mean(expected), rtol=1e-12)


def test_rows_of_zeros_pad_the_targets():
    q = RNG.dirichlet(np.ones(3), size=5)
    padded = losses.target_distribution(jnp.asarray(np.vstack([q, np.zeros((2, 3))])))
    np.testing.assert_allclose(padded[:5], losses.target_distribution(jnp.asarray(q)), rtol=1e-6)
    np.testing.assert_array_equal(padded[5:], 0)


def test_centres_follow_their_rows_one_by_one():
    with jax.enable_x64(True):
        centers, counts = RNG.normal(size=(4, 3)), np.array([100.0, 1.0, 7.0, 2.0])
        z, labels = RNG.normal(size=(20, 3)), RNG.integers(3, size=20)  # the last centre has no rows
        found = dcn.followed(*map(jnp.asarray, (centers, counts, z, labels)))
        for row, k in zip(z, labels, strict=True):
            centers[k] = (1 - 1 / counts[k]) * centers[k] + row / counts[k]
            counts[k] += 1
        np.testing.assert_allclose(found[0], centers, rtol=1e-12)
        np.testing.assert_array_equal(found[1], counts)


# Parts of stages


def test_terms_of_dcn(data):
    """Against their formulas; the centres take no gradient, and then follow the batch."""
    network = Network(kind="mlp", shape=(4,), n_latent=2, options=(("hidden", (3,)),))
    config = dcn.DCNConfig(network=network, n_clusters=3, batch_size=16, epochs=2, lam=0.5, distance_weight=2.0)
    tasks = config.tasks(data)
    assert [task.steps for task in tasks] == [10_000, 12]
    state = trainer.state_template(tasks, KEY, config.hyper(), data, 1)
    after, _ = jax.eval_shape(lambda state: steps.train_chunk(tasks[1], state, data, jnp.int32(0), length=2), state)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    net, centers = network.init(KEY).params, jnp.eye(3, 2)
    batch = streams.Batch(data.x[:16], data.groups[:16], jnp.arange(16, dtype=jnp.int32))
    rest = state.rest._replace(centers=centers, counts=jnp.full(3, 100.0))
    loss = jax.jit(lambda net: tasks[1].loss({"net": net}, rest, {}, config.hyper(), batch, KEY, jnp.int32(0)))
    terms, moved = loss(net)
    (code, found), _ = network.autoencode(net, {}, batch.x, batch.groups)
    squared = ((code.z[:, None] - centers) ** 2).sum(-1)
    np.testing.assert_allclose(terms["reconstruction"], 0.5 * ((batch.x - found) ** 2).sum() / 16, rtol=1e-5)
    np.testing.assert_allclose(terms["clustering"], 2 * squared.min(1).mean(), rtol=1e-5)
    expected = dcn.followed(centers, rest.counts, code.z, jnp.argmin(squared, 1))
    np.testing.assert_allclose(moved.centers, expected[0], rtol=1e-5)
    assert float(moved.counts.sum()) == 316


def test_targets_of_whole_groups(data):
    """Each group's targets are those of its own rows alone, and rest between two updates."""
    network = Network(kind="mlp", shape=(4,), n_latent=2, options=(("hidden", (3,)),))
    config = dfc.DFCConfig(network=network, n_clusters=3, batch_size=8, n_init=1, target="group_full", alpha_s=0)
    task = config.tasks(data)[-1]
    state = trainer.state_template(config.tasks(data), KEY, config.hyper(), data, 1)
    net = network.init(KEY).params
    params = {"net": net, "centers": jnp.eye(3, 2), "critic": state.params["critic"]}
    state = state._replace(params=params, rest={}, extra={"targets": jnp.zeros((96, 3))})
    refresh = jax.jit(lambda step: task.refresh(KEY, step, state, data)[1]["targets"])
    q = np.exp(losses.student_log_assignment(network.encode(net, {}, data.x)[0].z, jnp.eye(3, 2)))
    found = refresh(jnp.int32(140))
    for t in range(2):
        np.testing.assert_allclose(
            found[t == GROUPS], losses.target_distribution(jnp.asarray(q[t == GROUPS])), rtol=1e-4
        )
    np.testing.assert_array_equal(refresh(jnp.int32(141)), 0)


class Normalised(nnx.Module):
    """An encoder whose averages can be computed by hand."""

    def __init__(self, rngs):
        self.norm, self.up = BatchNorm(4, rngs=rngs), Dense(4, 4, rngs=rngs)

    def encode(self, x, *, train, key):
        return self.norm(x, train=train)

    def decode(self, z, groups, *, train):
        return self.up(z)


def test_recalibrated_averages_are_those_of_all_rows():
    network = OwnNetwork(Normalised(nnx.Rngs(0)))
    params, rest = network.init(KEY)
    # whole batches, so that every batch has the averages of all rows
    found = jax.jit(lambda: passing.recalibrated(KEY, network, params, rest, jnp.asarray(POINTS), 96))()
    np.testing.assert_allclose(found["norm"]["mean"], POINTS.mean(0), rtol=1e-3)
    np.testing.assert_allclose(found["norm"]["var"], POINTS.var(0), rtol=1e-3)


def test_a_stage_with_consistency_keeps_the_groups_own_clusters(data):
    network = Network(kind="mlp", shape=(4,), n_latent=2, options=(("hidden", (3,)), ("unit_norm", True)))
    config = fcmi.FCMIConfig(network=network, n_clusters=4, batch_size=16, epochs=3, warmup_epochs=1, consistency=0.05)
    (task,) = config.tasks(data)
    state = trainer.state_template([task], KEY, config.hyper(), data, 0)
    assert state.extra["alone"].shape == (96,)
    after, terms = jax.eval_shape(lambda state: steps.train_chunk(task, state, data, jnp.int32(0), length=2), state)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert set(terms) == {"reconstruction", "balance", "onehot", "group", "consistency"}
    without = fcmi.FCMIConfig(network=network, n_clusters=4, batch_size=16, epochs=3, warmup_epochs=1)
    assert not without.tasks(data)[0].consistent
    with pytest.raises(InputError, match="the smallest group has 2 rows, fewer than n_clusters=4"):
        config.tasks(prepare(POINTS, np.r_[np.zeros(94, int), 1, 1]))


class StoppedError(Exception):
    pass


@pytest.fixture
def given(monkeypatch):
    """What an estimator trains, without the training."""
    seen = {}

    def stop(key, data, config, **options):
        seen.update(options, data=data, config=config)
        raise StoppedError

    monkeypatch.setattr(fitting.running, "run", stop)
    return seen


def test_an_estimator_warns_of_small_groups(given):
    with (
        pytest.warns(ReplacementWarning, match="Steps of 100 rows are more than the data can fill"),
        pytest.raises(StoppedError),
    ):
        AEKMeans(3, batch_size=100).fit(POINTS)


@pytest.mark.filterwarnings("ignore::fairjax.errors.ReplacementWarning")
def test_rows_of_a_batch_of_dfc_by_the_number_of_groups(given):
    for n_groups, rows in ((2, 512), (4, 256), (32, 32), (96, 16)):
        with pytest.raises(StoppedError):
            DFC(1, alpha_s=0.0).fit(POINTS, sensitive_features=np.arange(96) % n_groups)
        assert given["config"].batch_size == rows


@pytest.mark.filterwarnings("ignore::fairjax.errors.ReplacementWarning")
def test_dfc_on_features_takes_the_authors_layers(given):
    features = RNG.random((40, 300))
    with pytest.raises(StoppedError):
        DFC(2).fit(features, sensitive_features=np.arange(40) % 2)
    network = given["config"].network
    assert (network.kind, network.shape, network.n_latent) == ("vae", (300,), 64)
    assert given["config"].tasks(given["data"])[0].sum_pixels


def test_deepfca_on_the_authors_network_keeps_its_protocol(given):
    """Pixels in [0, 1], sums over them, and the decay that belong to the variational network, as everywhere else."""
    images = RNG.random((40, 8, 8, 1), np.float32)
    with pytest.raises(StoppedError):
        DeepFCA(4, network="vae", batch_size=16).fit(images, sensitive_features=np.arange(40) % 2)
    config = given["config"]
    assert dict(config.network.options) == {"output": "sigmoid"}
    np.testing.assert_array_equal(given["data"].x, images)
    first = config.tasks(given["data"])[0]
    assert first.sum_pixels
    assert first.weight_decay == 5e-4


@pytest.mark.parametrize("method", [AEKMeans, DEC, DCN, DFC, FairoidDEC, FCMI, DeepFCA])
def test_every_method_takes_an_encoder_of_ones_own(given, method):
    encoder = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    with pytest.raises(StoppedError):
        method(3, network=encoder, batch_size=16).fit(POINTS, sensitive_features=GROUPS)
    config = given["config"]
    assert isinstance(config.network, OwnEncoder)
    # every stage can be traced with it
    tasks = config.tasks(given["data"])
    state = trainer.state_template(tasks, KEY, config.hyper(), given["data"], len(tasks) - 1)
    trained = state.params["net"]
    kernel = trained["encoder"]["kernel"]
    assert kernel.shape == (4, 2)
    if method in (FCMI, DeepFCA):
        assert trained["decoder"]["branch"]["kernel"].shape[0] == 2


def test_devices_of_an_estimator(given):
    with pytest.raises(InputError, match="n_devices is 1000; there "):
        AEKMeans(3, n_devices=1000).fit(POINTS)
    with pytest.raises(InputError, match="n_devices is 0; expected a whole number of at least 1"):
        AEKMeans(3, n_devices=0).fit(POINTS)
    with pytest.raises(StoppedError):
        AEKMeans(3, batch_size=32).fit(POINTS)
    assert given["mesh"] is None


@pytest.mark.parametrize("method", [AEKMeans, DEC, DCN, FairoidDEC])
def test_layer_by_layer_and_then_the_whole_by_sgd(given, method):
    with pytest.raises(StoppedError):
        method(3, pretrain="layerwise", batch_size=32, layer_lr=0.2, corruption=0.1).fit(POINTS)
    config = given["config"]
    tasks = config.tasks(given["data"])[:4]
    assert [task.name for task in tasks] == ["layer 1", "layer 2", "layer 3", "autoencoder"]
    hyper = config.hyper()
    for task in tasks:
        assert task.optimizer_name == "sgd"
        rates = [float(task.rate(hyper, jnp.int32(step))) for step in (0, 299, 300, 600)]
        np.testing.assert_allclose(rates, [0.2, 0.2, 0.02, 0.002], rtol=1e-5)  # 3 steps an epoch
    assert (tasks[-1].start, tasks[-1].corruption) == ("carry", 0.1)
    own = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match="takes a network of dense layers"):
        method(3, pretrain="layerwise", network=own).fit(POINTS)


def test_a_denoising_autoencoder_sees_rows_with_holes():
    """The error is that to the whole rows, of what is made of rows with holes, the rest scaled up."""
    seen = []

    class Blind:
        def autoencode(self, params, rest, x, groups, *, train, key):
            seen.append(np.asarray(x))
            return (Code(x[:, :1], jnp.zeros(len(x))), jnp.zeros_like(x)), rest

    task = AutoencoderTask(name="", steps=1, batch_size=96, network=Blind(), corruption=0.25)
    batch = streams.Batch(jnp.asarray(POINTS), jnp.zeros(96, jnp.int32), jnp.arange(96))
    terms, _ = task.loss({"net": {}}, {}, {}, {"beta": 1.0}, batch, KEY, jnp.int32(0))
    np.testing.assert_allclose(terms["reconstruction"], np.mean(POINTS**2), rtol=1e-5)
    (x,) = seen
    holes = (x == 0) & (POINTS > 0)
    assert 0.15 < holes.sum() / (POINTS > 0).sum() < 0.35
    np.testing.assert_allclose(x[~holes], POINTS[~holes] / 0.75, rtol=1e-5)


def test_both_heads_of_the_critic_are_one_for_two_groups(data):
    """A softmax of two outputs, of which the second is always 0, is the one logit: loss and gradients are the same."""
    network = Network(kind="mlp", shape=(4,), n_latent=2, options=(("hidden", (3,)),))
    one, two = (
        dfc.DFCConfig(network=network, n_clusters=3, batch_size=8, alpha_s=0, critic_head=head).tasks(data)[-1]
        for head in ("auto", "softmax")
    )
    critic = one.critic.init(KEY).params
    last = critic["layers"][2]
    both = {
        **critic,
        "layers": {**critic["layers"], 2: jax.tree.map(lambda a: jnp.stack([a[..., 0], 0 * a[..., 0]], -1), last)},
    }
    params = {"net": network.init(KEY).params, "centers": jnp.eye(3, 2)}
    rows = jnp.concatenate([data.members[0, :8], data.members[1, :8]])
    batch = streams.Batch(data.x[rows], data.groups[rows], rows)
    hyper = {"alpha_c": 1.0, "alpha_f": 1.0, "alpha_s": 0.0}

    def fairness(task, critic):
        def loss(params):
            # late in the training, where the gradient is reversed in full
            return task.loss({**params, "critic": critic}, {}, {}, hyper, batch, KEY, jnp.int32(19_999))[0]["fairness"]

        return jax.jit(jax.value_and_grad(loss))(params)

    (left, slopes), (right, others) = fairness(one, critic), fairness(two, both)
    np.testing.assert_allclose(left, right, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), slopes, others)
    assert max(np.abs(slope).max() for slope in jax.tree.leaves(slopes)) > 0


# Whole trainings


SHORT = {"batch_size": 16, "n_latent": 3, "n_init": 2, "random_state": 0}
STAGES = {"steps": 30, "pretrain_steps": 20, "group_pretrain_steps": 20, "group_steps": 20}


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        FCMI(4, epochs=6, warmup_epochs=2, consistency=0.05, **SHORT),
        FCMI(4, epochs=6, warmup_epochs=2, labels="kmeans", reduction="sum", **SHORT),
        DFC(4, target="group_full", recon="bce", recalibrate_bn=True, **STAGES, **SHORT),
        DFC(4, reduction="mean", group_reduction="sum", weight_decay=0.0, **STAGES, **SHORT),
        DCN(4, epochs=3, pretrain_steps=20, **SHORT),
        DEC(4, pretrain="layerwise", layer_steps=10, corruption=0.1, pretrain_steps=20, steps=20, **SHORT),
        DFC(4, network="vae", **STAGES, **SHORT),
        FairoidDEC(4, epochs=3, pretrain_steps=20, alpha_rec=1.0, freq="none", beta=10.0, ridge=1e-3, **SHORT),
        AEKMeans(4, steps=20, compute="bfloat16", **SHORT),
        FCMI(4, epochs=6, warmup_epochs=2, compute="bfloat16", **SHORT),
    ],
    ids=lambda model: type(model).__name__,
)
def test_an_option_trains(model):
    found = model.fit(POINTS, sensitive_features=GROUPS)
    assert all(np.isfinite(values).all() for values in found.history_.values())
    assert found.labels_.shape == (96,)
    if model.__dict__.get("labels") == "kmeans":
        # the labels are k-means' own on the final rows; the cosine rule gives them back but for boundaries
        assert np.mean(found.predict(POINTS) == found.labels_) > 0.9


@pytest.mark.slow
def test_fairoids_take_the_pseudo_inverse_in_float64():
    """Where no cluster is absent, that is the limit of a small ridge."""
    with jax.enable_x64(True):
        model = FairoidDEC(4, epochs=3, pretrain_steps=20, **SHORT)
        exact = model.fit(POINTS, sensitive_features=GROUPS).history_
        nearly = model.set_params(ridge=1e-12).fit(POINTS, sensitive_features=GROUPS).history_
        ridged = model.set_params(ridge=1e-1).fit(POINTS, sensitive_features=GROUPS).history_
    name = "fairoids: fairness"
    np.testing.assert_allclose(exact[name], nearly[name], rtol=1e-6)
    assert not np.allclose(exact[name], ridged[name], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ["exact", "sinkhorn"])
def test_alignment_labels_are_as_fair_as_direct_ones(assignment):
    options = {"pretrain_epochs": 6, "fair_targets": False, **SHORT}
    direct = DeepFCA(4, **options).fit(POINTS, sensitive_features=GROUPS)
    found = DeepFCA(4, assignment=assignment, partition_size=16, **options).fit(POINTS, sensitive_features=GROUPS)
    assert found.balance_ > 0.8 * found.max_balance_
    assert found.multipliers_.shape == (2, 4)

    def cost(model):
        z = model.embed(POINTS)
        return np.mean(np.sum((z - model.cluster_centers_[model.labels_]) ** 2, axis=1))

    # both descend the same objective from the same centres
    assert cost(found) < 1.5 * cost(direct)
