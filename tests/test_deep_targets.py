"""Targets of DeepFCA's training: slack, softness, margins; labels of groups alone; averages; the start that is kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax import metrics
from fairjax.deep import FCMI, DeepFCA, Network, deepfca, prepare
from fairjax.deep.methods import alone, fairtargets, restarts, running, targets
from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.training import trainer
from fairjax.errors import InputError

KEY = jax.random.key(5)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
GROUPS = np.repeat([0, 1], [24, 72])
NETWORK = Network(kind="mlp", shape=(4,), n_latent=3, options=(("n_groups", 2), ("unit_norm", True)))


def rule(**changes):
    return targets.TargetRule(**{"kind": "gap", "slack": False, "soft": False, "weighed": False} | changes)


# Losses


def test_cross_entropy_to_targets():
    log_q = np.log(RNG.dirichlet(np.ones(3), size=5))
    priced, labels = RNG.random((8, 3)), RNG.integers(3, size=8).astype(np.int32)
    rows = np.array([7, 0, 3, 3, 5])
    found = rule().targets(jnp.asarray(labels), jnp.asarray(priced), 0.5, {})
    assert set(found) == {"labels"}
    wanted = -log_q[np.arange(5), labels[rows]]
    np.testing.assert_allclose(rule().loss(jnp.asarray(log_q), found, rows), wanted.mean(), rtol=1e-5)

    every = rule(soft=True, weighed=True)
    found = every.targets(jnp.asarray(labels), jnp.asarray(priced), 0.5, {"target_margin": 0.25})
    e = np.exp(-priced / 0.5)
    soft = e / e.sum(1, keepdims=True)
    np.testing.assert_allclose(found["targets"], soft, rtol=1e-5)
    two = np.sort(priced, 1)
    weights = np.argsort(np.argsort(two[:, 1] - two[:, 0])) >= 2  # the two of eight with the smallest margins
    np.testing.assert_array_equal(found["weights"], weights)
    wanted = -(soft[rows] * log_q).sum(1) * weights[rows]
    np.testing.assert_allclose(every.loss(jnp.asarray(log_q), found, rows), wanted.mean(), rtol=1e-5)
    # without loss of rows and at no temperature it is the hard one of the cheapest cluster
    sharp = rule(soft=True).targets(jnp.asarray(labels), jnp.asarray(priced), 1e-4, {})
    np.testing.assert_array_equal(np.argmax(sharp["targets"], 1), priced.argmin(1))


# Slack


@pytest.mark.slow
def test_no_slack_is_the_method_as_it_was():
    """At 1 the targets are those of perfect fairness; below, they may be less fair, down to the share asked for."""
    data = prepare(POINTS, GROUPS)
    shifted = data.x + 0.8 * data.groups[:, None] * jnp.asarray([1.0, -1, 0, 0])
    centers = jnp.eye(4) + 0.1

    def labels(rule, **hyper):
        kind, value = rule.fairness({"fairness": jnp.float32(0), **hyper}, data.sizes)
        return fairtargets.cluster_fairly(shifted, data, centers, kind, value, 10).assignment.labels[:96]

    exact = jax.jit(lambda: labels(rule()))()
    slack = jax.jit(lambda share: labels(rule(slack=True), target_slack=share))
    np.testing.assert_array_equal(slack(jnp.float32(1)), exact)
    best, before = 24 / 72, float(metrics.balance(exact, GROUPS))
    found = float(metrics.balance(slack(jnp.float32(0.5)), GROUPS))
    assert 0.5 * best - 0.05 < found < before
    floor = {"fairness": jnp.float32(0.2), "target_slack": jnp.float32(0.5)}
    assert rule(kind="balance", slack=True).fairness(floor, data.sizes) == ("balance", np.float32(0.1))


def config(**changes):
    settings = {"network": NETWORK, "n_clusters": 4, "batch_size": 16, "n_init": 1, "pretrain_epochs": 1, "epochs": 1}
    return deepfca.DeepFCAConfig(**settings | changes)


def state_of(config, data):
    data = config.completed(data)
    return trainer.state_template(config.tasks(data), KEY, config.hyper(), data, 1)


def test_what_is_kept_for_the_options():
    """Nothing where they are off."""
    data = prepare(POINTS, GROUPS)
    assert set(state_of(config(), data).extra) == {"centers", "labels", "spread"}
    changes = {"targets": "soft", "target_margin": 0.1, "average": 0.9, "consistency": 0.05, "vat_weight": 0.1}
    state = state_of(config(**changes), data)
    assert set(state.extra) == {
        "centers", "labels", "spread", "targets", "weights", "average", "alone", "distance",
    }  # fmt: skip
    assert jax.tree.structure(state.extra["average"]) == jax.tree.structure(state.params["net"])
    off = config(target_slack=1.0, target_margin=0.0, average=0.0)
    assert off.tasks(data)[1] == config().tasks(data)[1]


def test_averaged_weights_follow():
    data = prepare(POINTS, GROUPS)
    settings = config(average=0.9)
    task, empty = settings.tasks(data)[1], state_of(settings, data)
    params, rest = NETWORK.init(KEY)
    zeros = jax.tree.map(jnp.zeros_like, params)
    extra = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), empty.extra) | {"average": zeros}
    hyper = {name: jnp.float32(value) for name, value in settings.hyper().items()}
    state = empty._replace(params={"net": params}, rest=rest, extra=extra, hyper=hyper)
    with jax.disable_jit():  # between two epochs, where nothing is solved that would be compiled
        _, found, _ = task.refresh(KEY, jnp.int32(1), state, data)
    for new, old in zip(jax.tree.leaves(found["average"]), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(new, 0.1 * old, rtol=1e-5)


# Labels of groups alone


def test_labels_from_anywhere_are_taken():
    """They are numbered anew, and stand in the place of k-means on each group."""
    given = alone.checked_labels([7, 3, 3, 7, 100], 5)
    assert given.tolist() == [1, 0, 0, 1, 2]
    data = prepare(POINTS, GROUPS)._replace(alone=jnp.arange(96, dtype=jnp.int32))
    task = config(consistency=0.05).tasks(data)[1]
    params, rest = NETWORK.init(KEY)
    _, _, extra = jax.jit(lambda: task.begin(KEY, ({"net": params}, rest, {}), {}, data))()
    np.testing.assert_array_equal(extra["alone"], np.arange(96))


@pytest.mark.parametrize(
    ("changes", "labels", "message"),
    [
        (
            {"consistency": 0.05},
            np.zeros(95, int),
            r"group_labels has shape \(95,\); expected one label",
        ),
        ({"consistency": 0.05}, np.full(96, -1), "group_labels holds -1; expected whole numbers of at least 0"),
        ({"consistency": 0.05}, np.zeros(96), "group_labels holds float64; expected whole numbers"),
        ({}, np.zeros(96, int), "group_labels have no effect with consistency=0"),
        ({"target_slack": 0.5, "epsilon": 0.1}, None, "target_slack is a share of a balance"),
        ({"target_slack": 1.5}, None, "target_slack is 1.5; expected a number from 0 to 1"),
        ({"average": 1.0}, None, "average is 1.0; expected a share below 1"),
    ],
)
def test_bad_input(changes, labels, message):
    model = DeepFCA(4, pretrain_epochs=1, epochs=1, batch_size=16, n_init=1, random_state=0, **changes)
    with pytest.raises(InputError, match=message):
        model.fit(POINTS, sensitive_features=GROUPS, group_labels=labels)


def test_fcmi_takes_labels_too():
    with pytest.raises(InputError, match="group_labels have no effect with consistency=0"):
        FCMI(4, batch_size=16).fit(POINTS, sensitive_features=GROUPS, group_labels=np.zeros(96, int))


# Restarts


def test_the_start_of_most_information_is_kept(monkeypatch):
    """Of three, one is unsure of every row, one is smooth and sure, and one failed."""
    several = config(restarts=3, vat_weight=0.5, view_weight=0.25)
    assert restarts.keys_of_starts(several, KEY).shape == (3,)
    assert restarts.keys_of_starts(config(), KEY).shape == ()
    data = prepare(POINTS, GROUPS)
    sure = jnp.log(0.97 * jnp.eye(4)[POINTS.argmax(1)] + 0.01)
    tables = jnp.stack([jnp.full((96, 4), -np.log(4)), sure, sure])
    clusterer = Clusterer((), (), tables, jnp.ones(3))
    monkeypatch.setattr(restarts, "log_assignment", lambda soft, network, clusterer, *rows: clusterer.centers)
    history = {"fair targets: smoothness": np.array([[0.0] * 6, [9.0] * 5 + [0.1], [0.0] * 6])}
    history["fair targets: views"] = np.array([[0.0] * 6, [0.05] * 6, [0.0] * 6])
    result = running.Result(
        jnp.arange(3)[:, None], clusterer, history, jnp.array([-1, -1, 2]), jnp.array([-1, -1, -1]), 6
    )
    found = restarts.scores(result, several, data)
    shares = np.bincount(POINTS.argmax(1), minlength=4) / 96
    q = np.exp(np.asarray(sure))
    wanted = -(q.mean(0) * np.log(q.mean(0))).sum() + (q * np.log(q)).sum(1).mean()
    assert shares.min() > 0.1
    smoothness = (5 * 9.0 + 0.1) / 6 / 0.5
    np.testing.assert_allclose(found, [0, wanted - smoothness - 0.05 / 0.25, -np.inf], atol=1e-4)
    monkeypatch.setattr(restarts, "steps_per_epoch", lambda *_: 1)
    one = restarts.kept(result, several, data)
    assert one.labels.tolist() == [1]
    assert (one.n_steps, one.history["fair targets: smoothness"].shape) == (6, (6,))
    assert restarts.kept(result, config(), data) is result


@pytest.mark.parametrize("method", [FCMI, DeepFCA])
def test_an_estimator_trains_from_as_many_starts_as_asked_for(monkeypatch, method):
    asked = []

    def run(keys, *_, **__):
        asked.append(keys.shape)
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run", run)
    for number in (3, 1):
        with pytest.raises(KeyboardInterrupt):
            method(4, batch_size=16, restarts=number).fit(POINTS, sensitive_features=GROUPS)
    assert asked == [(3,), ()]


# Labels to start from


def started(**changes):
    given = prepare(POINTS, GROUPS)._replace(start=jnp.asarray(POINTS.argmax(1) % 3, jnp.int32))
    return given, config(epochs=3, start_epochs=2, **changes)


def test_labels_to_start_from_give_targets_and_centres():
    """The mean latent row of each; of the fourth cluster, which they do not name, that of all rows."""
    data, settings = started(targets="soft", target_margin=0.1)
    task, carry = settings.tasks(data)[1], ({"net": NETWORK.init(KEY)[0]}, {}, {})
    assert task.started == 2 * task.epoch
    _, _, extra = task.begin(KEY, carry, {}, data)
    np.testing.assert_array_equal(extra["labels"], data.start)
    np.testing.assert_array_equal(extra["targets"], np.eye(4)[data.start])
    np.testing.assert_array_equal(extra["weights"], 1)
    z = np.asarray(NETWORK.encode(carry[0]["net"], {}, data.x)[0].z)
    wanted = [z[np.asarray(data.start) == k].mean(0) for k in range(3)] + [z.mean(0)]
    np.testing.assert_allclose(extra["centers"], wanted, atol=1e-5)


@pytest.mark.slow
def test_the_start_gives_way_to_fair_targets():
    data, settings = started()
    task, hyper = settings.tasks(data)[1], trainer.spread(settings.hyper(), KEY, jnp.float32)
    state = trainer.state_template(settings.tasks(data), KEY, settings.hyper(), data, 1)
    params, rest = NETWORK.init(KEY)
    _, _, extra = task.begin(KEY, ({"net": params}, rest, {}), hyper, data)
    state = state._replace(params={"net": params}, rest=rest, extra=extra, hyper=hyper)
    refresh = jax.jit(lambda step: task.refresh(KEY, step, state, data)[1])
    np.testing.assert_array_equal(refresh(jnp.int32(task.started - task.epoch))["labels"], data.start)
    fair = refresh(jnp.int32(task.started))
    assert np.any(fair["labels"] != data.start)
    assert metrics.group_violation(fair["labels"], GROUPS) < 0.1


def test_a_start_from_matched_clusters(monkeypatch):
    """What the training is given, which is not run here."""
    given = []
    monkeypatch.setattr(DeepFCA, "_fit", lambda self, *arguments: given.append(arguments[-1]) or self)
    DeepFCA(4, start="match").fit(POINTS, sensitive_features=GROUPS, group_labels=GROUPS)
    assert given[0]["group_labels"] is GROUPS
    assert callable(given[0]["start_labels"])  # as `FairIMSAT` has it
    DeepFCA(4, start="match").fit(POINTS, sensitive_features=GROUPS, start_labels=GROUPS)
    assert given[1]["start_labels"] is GROUPS
    DeepFCA(4).fit(POINTS, sensitive_features=GROUPS)
    assert given[2] == {"group_labels": None, "start_labels": None}


@pytest.mark.slow
def test_a_start_where_groups_are_alike(monkeypatch):
    """ "auto" starts from matched clusters where groups differ no more than halves of one, and else from none."""
    given = []
    monkeypatch.setattr(DeepFCA, "_fit", lambda self, *arguments: given.append(arguments[-1]) or self)
    DeepFCA(4, start="auto", random_state=0).fit(POINTS)
    find = given[0]["start_labels"]
    digits, groups = np.tile(np.arange(4), 60), np.repeat([0, 1], 120).astype(np.int32)
    noise = 0.2 * np.random.default_rng(1).normal(size=(240, 1))
    places = np.array([[0.0], [1.0], [3.0], [7.0]])
    alike = np.where(groups[:, None] == 0, places[digits], 9 - places[digits]) + noise
    labels = find(alike.astype(np.float32), groups)
    assert metrics.accuracy(labels, digits) == 1
    other = np.array([[0.0], [5.0], [6.0], [7.0]])
    unlike = np.where(groups[:, None] == 0, places[digits], other[digits]) + noise
    assert find(unlike.astype(np.float32), groups) is None
    few = np.append(np.zeros(237), np.ones(3)).astype(np.int32)  # fewer than four
    assert find(alike.astype(np.float32), few) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "start_labels names 96 clusters; expected at most n_clusters=4"),
        ({"fair_targets": False}, "labels to start from have no effect with fair_targets=False"),
        ({"start_labels": np.zeros(96, int)}, "epochs=2 leaves no fair targets after start_epochs=20"),
        ({"start_labels": [0, 1]}, r"start_labels has shape \(2,\)"),
    ],
)
def test_starts_that_do_not_fit(changes, message):
    labels = changes.pop("start_labels", np.arange(96))
    model = DeepFCA(4, pretrain_epochs=1, epochs=2, batch_size=16, **changes)
    with pytest.raises(InputError, match=message):
        model.fit(POINTS, sensitive_features=GROUPS, start_labels=labels)
