"""FairIMSAT: targets from the network's own log-probabilities, its labels, its rule for new rows, its estimator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax import fair_assignment, metrics
from fairjax.deep import FairIMSAT, Network, fairimsat, log_assignment, prepare
from fairjax.deep.training import streams, trainer
from fairjax.errors import InputError

KEY = jax.random.key(5)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
GROUPS = RNG.integers(2, size=96)
NETWORK = Network(kind="classifier", shape=(4,), n_latent=4, options=(("hidden", (8, 8)),))
SHORT = {"epochs": 6, "warmup_epochs": 4, "batch_size": 16, "lr": 0.02}


def config(**changes):
    return fairimsat.FairIMSATConfig(4, network=NETWORK, **SHORT | changes)


@pytest.fixture(scope="module")
def data():
    return config().completed(prepare(POINTS, GROUPS))


@pytest.fixture(scope="module")
def whole(data):
    return fairimsat.run(KEY, data, config(), chunk_steps=36)


def test_labels_are_the_fair_assignment_of_the_log_probabilities(whole, data):
    assert set(whole.history) == {f"FairIMSAT: {term}" for term in ("balance", "onehot", "smoothness", "targets")}
    targets = whole.history["FairIMSAT: targets"]
    assert np.all(targets[:24] == 0)
    assert np.all(targets[24:] > 0)
    costs = -log_assignment("logits", NETWORK, whole.clusterer, data.x)
    wanted = fair_assignment(costs, data.groups)
    np.testing.assert_array_equal(whole.labels, wanted.labels)
    np.testing.assert_allclose(whole.clusterer.prices, wanted.multipliers, rtol=1e-5, atol=1e-6)


def test_targets_are_the_fair_assignment_of_the_same_costs(whole, data):
    """With slack they are those of a floor on the balance; soft ones follow from its prices."""
    settings = config(targets="soft", target_slack=0.5)
    task, hyper = settings.tasks(data)[0], trainer.spread(settings.hyper(), KEY, jnp.float32)
    state = trainer.state_template([task], KEY, settings.hyper(), data, 0)
    extra = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state.extra)
    state = state._replace(params={"net": whole.clusterer.params}, rest=whole.clusterer.rest, extra=extra, hyper=hyper)
    _, found, _ = jax.jit(lambda step: task.refresh(KEY, step, state, data))(jnp.int32(24))
    costs = -log_assignment("logits", NETWORK, whole.clusterer, data.x)
    floor = 0.5 * float(data.sizes.min() / data.sizes.max())
    wanted = fair_assignment(costs, data.groups, min_balance=floor)
    np.testing.assert_array_equal(found["labels"], wanted.labels)
    e = np.exp(-np.asarray(costs + wanted.multipliers[data.groups]))
    np.testing.assert_allclose(found["targets"], e / e.sum(1, keepdims=True), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("targets", ["hard", "soft"])
def test_labels_to_start_from_are_targets_at_once(data, targets):
    given = data._replace(start=jnp.asarray(POINTS.argmax(1), jnp.int32))
    settings = config(targets=targets, target_margin=0.1)
    task = settings.tasks(given)[0]
    hyper = trainer.spread(settings.hyper(), KEY, jnp.float32)
    params, rest, extra = task.begin(KEY, None, hyper, given)
    np.testing.assert_array_equal(extra["labels"], given.start)
    np.testing.assert_array_equal(extra["weights"], 1)
    if targets == "soft":
        np.testing.assert_array_equal(extra["targets"], np.eye(4)[given.start])
    batch = streams.Batch(data.x[:16], data.groups[:16], jnp.arange(16, dtype=jnp.int32))
    terms, _ = jax.eval_shape(task.loss, params, rest, extra, hyper, batch, KEY, jnp.int32(0))
    assert set(terms) == {"balance", "onehot", "smoothness", "targets"}
    assert task.started
    assert not settings.tasks(data)[0].started


def test_a_start_from_matched_clusters(monkeypatch):
    """What the training is given, which is not run here."""
    given = []
    monkeypatch.setattr(FairIMSAT, "_fit", lambda self, *arguments: given.append(arguments) or self)
    model = FairIMSAT(4, start="match", random_state=3, **SHORT)
    mirrored = np.where(GROUPS[:, None] == 1, 1 - POINTS, POINTS) * np.float32([1, 2, 4, 8])
    model.fit(mirrored, sensitive_features=GROUPS)
    labels = given[0][-1]["start_labels"](mirrored, GROUPS)
    assert metrics.accuracy(labels, POINTS.argmax(1)) == 1
    model.fit(mirrored, sensitive_features=GROUPS, start_labels=labels)
    assert given[1][-1] == {"start_labels": labels}
    with pytest.raises(InputError, match="the smallest group has 2 rows, fewer than n_clusters=4"):
        given[0][-1]["start_labels"](POINTS[:10], np.array([0] * 8 + [1] * 2, np.int32))


def test_more_clusters_to_start_from_than_there_are():
    with pytest.raises(InputError, match="start_labels names 96 clusters; expected at most n_clusters=4"):
        FairIMSAT(4, **SHORT).fit(POINTS, sensitive_features=GROUPS, start_labels=np.arange(96))
    with pytest.raises(InputError, match=r"start_labels has shape \(3,\)"):
        FairIMSAT(4, **SHORT).fit(POINTS, sensitive_features=GROUPS, start_labels=[0, 1, 2])


@pytest.mark.slow
def test_chunks_leave_the_result(whole, data):
    again = fairimsat.run(KEY, data, config(), chunk_steps=12)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_fitted_estimator(tmp_path):
    # a handful of steps of the default network, which only have to run
    model = FairIMSAT(4, epochs=2, warmup_epochs=1, batch_size=16, random_state=0)
    fitted = model.fit(POINTS, sensitive_features=GROUPS)
    assert metrics.group_violation(fitted.labels_, GROUPS) < 0.1
    ruled = fitted.predict(POINTS, sensitive_features=GROUPS)
    assert np.mean(ruled != fitted.labels_) < 0.1
    np.testing.assert_array_equal(fitted.predict(POINTS), np.argmax(fitted.predict_proba(POINTS), 1))
    fitted.save(tmp_path / "model.npz")
    back = FairIMSAT.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(back.predict(POINTS, sensitive_features=GROUPS), ruled)
    with pytest.raises(InputError, match="7"):
        fitted.predict(POINTS[:1], sensitive_features=[7])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warmup_epochs": 6}, "epochs=6 leaves nothing after warmup_epochs=6"),
        ({"min_balance": 0.99}, "these data allow at most"),
        ({"epsilon": 0.1, "target_slack": 0.5}, "target_slack is a share of a balance"),
        ({"prior": (1.0, 0.0, 0.0, 0.0)}, "expected 4 positive shares"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(InputError, match=message):
        FairIMSAT(4, **SHORT | changes).fit(POINTS, sensitive_features=GROUPS)
