"""Methods of several stages: single steps, seeds that fail early, an end by the method's own rule, resumption."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax.deep import AEKMeans, DivergedError, Network, dec, dfc, prepare
from fairjax.deep.methods import running
from fairjax.deep.training import checkpoints, steps
from fairjax.errors import InputError

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
GROUPS = RNG.integers(2, size=96)
NETWORK = Network(kind="mlp", shape=(4,), n_latent=3, options=(("hidden", (8,)),))
SHARED = {"network": NETWORK, "n_clusters": 4, "batch_size": 16, "n_init": 1}
CHUNK = 8


def dec_config(**changes):
    settings = {"pretrain_steps": 16, "steps": 24, "update_every": 10, "optimizer": "adam", "lr": 1e-3, "tol": 0.0}
    return dec.DECConfig(**SHARED | settings | changes)


def dfc_config(**changes):
    stages = {"pretrain_steps": 8, "group_pretrain_steps": 8, "group_steps": 8, "steps": 24}
    return dfc.DFCConfig(**SHARED | stages | changes)


CONFIGS = [dec_config(), pytest.param(dfc_config(), marks=pytest.mark.slow)]


def name(config):
    return type(config).__name__


@pytest.fixture(scope="module")
def data():
    return prepare(POINTS, GROUPS)


def equal(left, right):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_a_scan_equals_single_steps(data, config):
    """In all stages, and past the first renewal of the targets."""
    whole = running.run(KEY, data, config, chunk_steps=CHUNK)
    hyper = {key: jnp.float32(value) for key, value in config.hyper().items()}
    carry = None
    for number, task in enumerate(config.tasks(data)):
        state = steps.begin(task, jax.random.fold_in(KEY, number), carry, hyper, data)
        step = jax.jit(lambda state, at, task=task: steps._step_one(task, state, data, at))
        for at in range(task.steps):
            state, found = step(state, jnp.int32(at))
            for term, value in found.items():
                np.testing.assert_allclose(value, whole.history[f"{task.name}: {term}"][at], rtol=1e-3, atol=1e-5)
        carry = (state.params, state.rest, state.extra)


@pytest.mark.parametrize("config", CONFIGS, ids=name)
@pytest.mark.parametrize("after", [1, 4])
def test_resumed_equals_uninterrupted(data, config, after, tmp_path):
    """From the first stage, and from a later one."""
    tasks = config.tasks(data)
    positions = []
    whole = running.run(KEY, data, config, chunk_steps=CHUNK)
    keeper = checkpoints.Keeper(tmp_path, tasks, {"method": "any"}, every=1, keep=2)

    def stop(position):
        keeper(position)
        positions.append(position)
        if len(positions) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        running.run(KEY, data, config, chunk_steps=CHUNK, after_chunk=stop)
    position = checkpoints.restore(tmp_path, tasks, KEY, config.hyper(), data, {"method": "any"})
    assert (position.stage, position.step) == positions[-1][:2]
    equal(running.run(KEY, data, config, chunk_steps=CHUNK, position=position), whole)


def test_an_end_by_the_own_rule_is_counted(data):
    found = running.run(KEY, data, dec_config(tol=1.1), chunk_steps=CHUNK)
    assert int(found.done) == 0
    assert found.n_steps == 16
    whole = running.run(KEY, data, dec_config(), chunk_steps=CHUNK)
    assert int(whole.done) == -1
    assert whole.n_steps == 40


def test_a_seed_that_failed_in_a_stage_before_is_told(data):
    keys = jnp.stack([KEY, KEY])
    found = running.run(keys, data, dec_config(pretrain_lr=np.array([1e-3, 1e38])), chunk_steps=CHUNK)
    np.testing.assert_array_equal(found.failed, [-1, -2])
    alone = running.run(KEY, data, dec_config(), chunk_steps=CHUNK)
    np.testing.assert_allclose(found.history["DEC: clustering"][0], alone.history["DEC: clustering"], rtol=1e-3)
    # when the last one fails too, it is the one that the message is about
    rates = {"pretrain_lr": np.array([1e-3, 1e38]), "lr": np.array([1e38, 1e-3])}
    with pytest.raises(DivergedError, match="at step 1 of the stage 'DEC'"):
        running.run(keys, data, dec_config(**rates), chunk_steps=CHUNK)


def test_the_end_of_a_run_is_compiled_once(data):
    running.run(KEY, data, dec_config(), chunk_steps=CHUNK)
    programs = running._finish_once._cache_size()
    running.run(jax.random.key(1), data, dec_config(), chunk_steps=CHUNK)
    assert running._finish_once._cache_size() == programs


def test_a_signal_after_the_last_chunk_ends_the_process_as_asked(tmp_path, data):
    keeper = checkpoints.Keeper(tmp_path, dec_config().tasks(data), {"method": "any"}, every=1, keep=2)
    with pytest.raises(SystemExit) as end, keeper.listening():
        os.kill(os.getpid(), signal.SIGTERM)
    assert end.value.code == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dec_config(optimizer="Adam"), "optimizer is 'Adam'; expected one of 'sgd', 'adam'"),
        (lambda: dfc_config(kl="papr"), "kl is 'papr'; expected one of 'code', 'paper'"),
        (lambda: dec_config(steps=0), "steps is 0; expected a whole number of at least 1"),
        (lambda: dec_config(steps="3"), "steps is '3'; expected a whole number"),
        (lambda: dec_config(n_clusters=True), "n_clusters is True; expected a whole number"),
        (lambda: prepare(np.zeros((0, 2))), r"x has shape \(0, 2\); expected rows"),
        (lambda: prepare(1.0), r"x has shape \(\); expected rows"),
        (lambda: prepare(np.zeros((4, 2), int)), "x holds int64; expected floating numbers"),
        (lambda: prepare(np.zeros((5, 2)), [0, 1]), r"of shape \(2,\); expected one id from 0 on for each of 5 rows"),
        (lambda: prepare(np.zeros((2, 2)), [0, -1]), "expected one id from 0 on"),
    ],
)
def test_settings_and_rows_that_would_train_something_else(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_batches_and_weights_of_dfc(data):
    many = prepare(POINTS, np.arange(96) % 6)
    assert [task.batch_size for task in dfc_config().tasks(many)] == [48, 16, 16, 16]
    assert [task.batch_size for task in dfc_config().tasks(data)] == [16] * 4
    sums, means = (dfc_config(scale_to_batch=True, reduction=kind).hyper() for kind in ("sum", "mean"))
    assert (sums["alpha_c"], sums["alpha_s"]) == (32, 1024)
    assert (means["alpha_c"], means["alpha_s"]) == (32, 1)


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_the_first_layer_learns_what_the_whole_network_gives(output):
    """Reconstruction of one layer, which has no layer within, is that of a network of one layer."""
    network = Network(kind="mlp", shape=(4,), n_latent=3, options=(("hidden", ()), ("output", output)))
    params, rest = network.init(KEY)
    groups = jnp.zeros(len(POINTS), jnp.int32)
    (_, whole), _ = network.autoencode(params, rest, jnp.asarray(POINTS), groups)
    (target, found), _ = network.call(
        params, rest, lambda module, x, groups: module.layer_pass(x, groups, 0, KEY), jnp.asarray(POINTS), groups
    )
    np.testing.assert_allclose(found, whole, rtol=1e-6)
    np.testing.assert_array_equal(target, POINTS)


# Estimators


def estimator(n_clusters=4, **changes):
    return AEKMeans(n_clusters, **{"steps": 16, "batch_size": 16, "n_latent": 3, "n_init": 1} | changes)


def test_numbers_of_numpy_are_numbers(tmp_path):
    model = estimator(np.int64(4), lr=np.float32(1e-3), checkpoint_dir=tmp_path / "run", random_state=np.int64(3))
    model.fit(POINTS).save(tmp_path / "model.npz")
    assert AEKMeans.load(tmp_path / "model.npz").get_params()["random_state"] == 3
    model.set_params(n_clusters=4, resume=True).fit(POINTS)


def test_a_run_without_a_seed_resumes_with_its_own(tmp_path):
    first = estimator(checkpoint_dir=tmp_path).fit(POINTS)
    again = estimator(checkpoint_dir=tmp_path, resume=True).fit(POINTS)
    np.testing.assert_array_equal(again.labels_, first.labels_)
    with pytest.raises(InputError, match="was made with the key of random_state="):
        estimator(checkpoint_dir=tmp_path, resume=True, random_state=0).fit(POINTS)


def test_a_saved_model_is_a_file_as_any_other(tmp_path):
    before = os.umask(0o022)
    try:
        estimator().fit(POINTS).save(tmp_path / "model.npz")
    finally:
        os.umask(before)
    assert (tmp_path / "model.npz").stat().st_mode & 0o777 == 0o644
