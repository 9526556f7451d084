"""The trainer: batches, chunks, seeds, divergence, checkpoints, and estimators on tiny data."""

import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fairjax.deep import FCMI, AEKMeans, DivergedError, Network, dec, fcmi, prepare
from fairjax.deep.methods import files
from fairjax.deep.training import checkpoints, steps, streams, trainer
from fairjax.errors import InputError

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
GROUPS = RNG.integers(3, size=96)
# the one that the estimator below chooses, so that they share their compiled programs
NETWORK = Network(
    kind="mlp", shape=(4,), n_latent=3, options=(("n_groups", 3), ("output", "tanh"), ("unit_norm", True))
)


def config(**changes):
    settings = {"network": NETWORK, "n_clusters": 4, "batch_size": 16, "epochs": 6, "warmup_epochs": 2, "n_init": 1}
    return fcmi.FCMIConfig(**settings | changes)


def equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def data():
    return prepare(POINTS, GROUPS)


@pytest.fixture(scope="module")
def whole(data):
    return fcmi.run(KEY, data, config(), chunk_steps=36)


# Batches


def batches(data, steps, **options):
    order = streams.first_order(data, by_group=options["by_group"])
    draw = jax.jit(streams.draw, static_argnames=("batch_size", "by_group"))
    found = []
    for step in range(steps):
        order, batch = draw(jax.random.fold_in(KEY, step), jnp.int32(step), order, data, **options)
        found.append(np.asarray(batch.rows))
    return found


def test_an_epoch_takes_every_row_once(data):
    found = batches(data, 12, batch_size=16, by_group=False)
    for epoch in (found[:6], found[6:]):
        assert sorted(np.concatenate(epoch)) == list(range(96))
    assert not np.array_equal(found[0], found[6])


def test_each_group_has_a_stream_of_its_own():
    data = prepare(np.zeros((35, 1), np.float32), [0] * 20 + [1] * 11 + [2] * 4)
    found = np.array(batches(data, 4, batch_size=5, by_group=True)).reshape(4, 3, 5)
    assert sorted(found[:, 0].ravel()) == list(range(20))
    for epoch in (found[:2, 1], found[2:, 1]):
        assert len(set(epoch.ravel())) == 10
        assert set(epoch.ravel()) <= set(range(20, 31))
    # fewer rows than a batch: drawn with replacement
    assert set(found[:, 2].ravel()) <= set(range(31, 35))


# Chunks, seeds


def test_chunks_do_not_change_the_result(data, whole):
    equal(fcmi.run(KEY, data, config(), chunk_steps=9), whole)


def test_a_scan_equals_single_steps(data, whole):
    settings = config()
    (task,) = settings.tasks(data)
    hyper = {name: jnp.float32(value) for name, value in settings.hyper().items()}
    state = steps.begin(task, jax.random.fold_in(KEY, 0), None, hyper, data)
    step = jax.jit(lambda state, number: steps._step_one(task, state, data, number))
    # up to the first k-means, where a last digit may decide
    for number in range(12):
        state, found = step(state, jnp.int32(number))
        for name, value in found.items():
            np.testing.assert_allclose(value, whole.history[f"FCMI: {name}"][number], rtol=1e-3, atol=1e-5)


def test_seeds_together_equal_one_by_one(data, whole):
    keys = jnp.stack([KEY, jax.random.key(1)])
    # a number of its own for each seed, traced: no other program
    both = fcmi.run(keys, data, config(group_weight=np.array([0.2, 0.0])), chunk_steps=36)
    assert both.labels.shape == (2, 96)
    for name, values in whole.history.items():
        np.testing.assert_allclose(both.history[name][0], values, rtol=5e-3, atol=1e-4)
    assert np.abs(both.history["FCMI: group"][1]).max() == 0
    np.testing.assert_array_equal(both.failed, -1)


def test_warm_up_has_the_reconstruction_alone(whole):
    assert np.abs(whole.history["FCMI: group"][:12]).max() == 0
    assert np.abs(whole.history["FCMI: balance"][12:]).min() > 0


def test_a_loss_that_is_not_finite_stops_the_run(data):
    with pytest.raises(DivergedError, match="'gradient' of the loss was not finite at step 0 of the stage 'FCMI'"):
        fcmi.run(KEY, data, config(group_weight=np.inf), chunk_steps=36)
    with pytest.raises(DivergedError, match="of the loss was not finite at step 1 of") as caught:
        fcmi.run(KEY, data, config(lr=1e38), chunk_steps=36)
    # the state is that after step 0, whose update overflowed the next
    assert caught.value.step == 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(caught.value.state.params))


def test_other_seeds_go_on_when_one_diverges(data):
    keys = jnp.stack([KEY, KEY])
    found = fcmi.run(keys, data, config(lr=np.array([1e-3, 1e38])), chunk_steps=36)
    np.testing.assert_array_equal(found.failed, [-1, 1])
    assert np.isfinite(found.history["FCMI: reconstruction"][0]).all()


# Checkpoints


class StoppedError(Exception):
    pass


IDENTITY = {"method": "FCMI", "lr": 0.001, "hidden": (8,)}


def interrupted(data, folder, at, identity=IDENTITY):
    tasks = config().tasks(data)
    keeper = checkpoints.Keeper(folder, tasks, identity, every=9, keep=2)

    def after_chunk(position):
        keeper(position)
        if position.step >= at:
            raise StoppedError

    with pytest.raises(StoppedError):
        fcmi.run(KEY, data, config(), chunk_steps=9, after_chunk=after_chunk)


def test_resumed_equals_uninterrupted(data, whole, tmp_path):
    folder = tmp_path / "run"
    interrupted(data, folder, 27)
    assert sorted(int(path.name) for path in folder.iterdir()) == [18, 27]
    arguments = (config().tasks(data), KEY, config().hyper(), data)
    position = checkpoints.restore(folder, *arguments, IDENTITY)
    assert (position.stage, position.step) == (0, 27)
    equal(fcmi.run(KEY, data, config(), chunk_steps=9, position=position), whole)
    with pytest.raises(InputError, match="made with method='FCMI', this run has method='DEC'"):
        checkpoints.restore(folder, *arguments, IDENTITY | {"method": "DEC"})
    with pytest.raises(InputError, match=r"made with lr=0.001, this run has lr=0.1"):
        checkpoints.restore(folder, *arguments, IDENTITY | {"lr": 0.1})


def test_an_unfinished_checkpoint_is_passed_over(data, tmp_path):
    folder = tmp_path / "run"
    interrupted(data, folder, 18)
    half = folder / "27.orbax-checkpoint-tmp-1"
    half.mkdir()
    (half / "words").write_text("half")
    position = checkpoints.restore(folder, config().tasks(data), KEY, config().hyper(), data, IDENTITY)
    assert position.step == 18


def test_no_checkpoint_is_a_fresh_start(data, tmp_path):
    arguments = (config().tasks(data), KEY, config().hyper(), data, IDENTITY)
    assert checkpoints.restore(tmp_path / "absent", *arguments) is None
    assert checkpoints.restore(tmp_path, *arguments) is None


def test_centers_of_a_checkpoint_may_have_their_former_name(data, tmp_path, monkeypatch):
    settings = dec.DECConfig(network=NETWORK, n_clusters=4, batch_size=16)
    tasks, arguments = settings.tasks(data), (KEY, settings.hyper(), data)
    blank = trainer.state_template(tasks, *arguments, 1)
    is_key = lambda leaf: jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # noqa: E731
    state = jax.tree.map(lambda leaf: KEY if is_key(leaf) else np.zeros(leaf.shape, leaf.dtype), blank)
    centers = state.params["centers"] = np.arange(12, dtype=np.float32).reshape(4, 3)
    name = checkpoints._name
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_name", lambda path: name(path).replace("centers", "centroids"))
        checkpoints.save(tmp_path, trainer.Position(1, 0, state, ({}, {})), tasks, IDENTITY)
    found = checkpoints.restore(tmp_path, tasks, *arguments, IDENTITY)
    np.testing.assert_array_equal(found.state.params["centers"], centers)


def test_a_checkpoint_that_cannot_be_written(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be written"):
        interrupted(data, tmp_path / "file" / "run", 9)


@pytest.mark.parametrize(("number", "ending"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_signals_save_first(data, tmp_path, number, ending):
    tasks = config().tasks(data)
    keeper = checkpoints.Keeper(tmp_path / "run", tasks, IDENTITY, every=1000, keep=2)

    def after_chunk(position):
        if position.step == 18:
            os.kill(os.getpid(), number)
        keeper(position)

    before = signal.getsignal(number)
    with pytest.raises(ending), keeper.listening():
        fcmi.run(KEY, data, config(), chunk_steps=9, after_chunk=after_chunk)
    assert signal.getsignal(number) is before
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["18"]


def test_a_second_interruption_does_not_wait(data, tmp_path):
    keeper = checkpoints.Keeper(tmp_path / "run", config().tasks(data), IDENTITY, every=1000, keep=2)

    def twice():
        with keeper.listening():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("the second one waited")

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert not (tmp_path / "run").exists()


# Estimators


def model(**changes):
    settings = {"epochs": 6, "warmup_epochs": 2, "batch_size": 16, "n_latent": 3, "n_init": 1, "random_state": 0}
    return FCMI(4, **settings | changes)


@pytest.fixture(scope="module")
def fitted():
    return model().fit(POINTS, sensitive_features=[f"g{group}" for group in GROUPS])


def test_what_a_fitted_estimator_tells(fitted):
    assert fitted.labels_.shape == (96,)
    assert fitted.labels_.dtype == np.int32
    assert fitted.group_names_ == ("g0", "g1", "g2")
    assert 0 <= fitted.balance_ <= fitted.max_balance_
    assert fitted.n_iter_ == 36
    assert set(fitted.history_) == {f"FCMI: {term}" for term in ("reconstruction", "balance", "onehot", "group")}
    np.testing.assert_array_equal(fitted.predict(POINTS), fitted.labels_)
    np.testing.assert_allclose(fitted.predict_proba(POINTS).sum(1), 1, rtol=1e-5)
    assert fitted.embed(POINTS[:5]).shape == (5, 3)


def test_save_and_load(fitted, tmp_path):
    path = tmp_path / "model.npz"
    fitted.save(path)
    back = FCMI.load(path)
    np.testing.assert_array_equal(back.predict_proba(POINTS), fitted.predict_proba(POINTS))
    assert back.get_params() == fitted.get_params()
    assert (back.group_names_, back.balance_, back.n_iter_) == (fitted.group_names_, fitted.balance_, fitted.n_iter_)
    equal(back.history_, fitted.history_)
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]
    with pytest.raises(InputError, match="holds a fitted FCMI, not AEKMeans"):
        AEKMeans.load(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="is damaged"):
        FCMI.load(path)
    with pytest.raises(InputError, match="there is no file"):
        FCMI.load(tmp_path / "absent.npz")
    with pytest.raises(InputError, match="cannot write"):
        fitted.save(tmp_path / "absent" / "model.npz")


def test_no_pickle_in_the_file(fitted, tmp_path):
    fitted.save(tmp_path / "model.npz")
    words, arrays = files.read(tmp_path / "model.npz")
    assert json.dumps(words)
    assert all(array.dtype != object for array in arrays.values())


class Own(nnx.Module):
    def __init__(self, rngs):
        self.down, self.up = nnx.Linear(4, 2, rngs=rngs), nnx.Linear(2, 4, rngs=rngs)

    def encode(self, x, *, train, key):
        return self.down(x)

    def decode(self, z, groups, *, train):
        return self.up(z)


def test_a_network_of_ones_own(tmp_path):
    fitted = AEKMeans(4, steps=20, batch_size=16, n_init=2, network=Own(nnx.Rngs(0)), random_state=0).fit(POINTS)
    assert fitted.embed(POINTS).shape == (96, 2)
    assert fitted.group_names_ == ("all",)
    fitted.save(tmp_path / "own.npz")
    with pytest.raises(InputError, match="give it as network="):
        AEKMeans.load(tmp_path / "own.npz")
    back = AEKMeans.load(tmp_path / "own.npz", network=Own(nnx.Rngs(1)))
    np.testing.assert_array_equal(back.predict(POINTS), fitted.labels_)


def test_keys_of_a_network_are_saved(tmp_path):
    """Dropout of Flax carries a random key, which NumPy has no type for."""
    tree = {"dropout": jax.random.key(3), "kernel": jnp.arange(3.0)}
    files.write(tmp_path / "net.npz", {}, {"rest": tree})
    _, arrays = files.read(tmp_path / "net.npz")
    back = files.fill(jax.eval_shape(lambda: tree), arrays, "rest")
    assert jax.random.uniform(back["dropout"]) == jax.random.uniform(tree["dropout"])
    np.testing.assert_array_equal(back["kernel"], tree["kernel"])


def test_an_estimator_resumes_in_its_folder(fitted, tmp_path):
    groups = [f"g{group}" for group in GROUPS]
    options = {"checkpoint_dir": tmp_path / "run", "checkpoint_every": 12}
    first = model(**options).fit(POINTS, sensitive_features=groups)
    again = model(**options, resume=True).fit(POINTS, sensitive_features=groups)
    for found in (first, again):
        np.testing.assert_array_equal(found.labels_, fitted.labels_)
        equal(found.history_, fitted.history_)
    with pytest.raises(InputError, match="holds a checkpoint of this run already"):
        model(**options).fit(POINTS, sensitive_features=groups)
    with pytest.raises(InputError, match=r"made with tau=0.1, this run has tau=0.2"):
        model(**options, tau=0.2, resume=True).fit(POINTS, sensitive_features=groups)
    with pytest.raises(InputError, match="made with data="):
        model(**options, resume=True).fit(POINTS[::-1], sensitive_features=groups)


IMAGES = np.zeros((8, 8, 8, 1))


@pytest.mark.parametrize(
    ("changes", "X", "message"),
    [
        ({"n_init": 0}, POINTS, "n_init is 0; expected a whole number of at least 1"),
        ({"lr": -1.0}, POINTS, "lr is -1.0; expected a finite number"),
        ({"center_refresh": "cold"}, POINTS, "center_refresh is 'cold'; expected one of 'kmeans', 'warm'"),
        ({"compute": "int8"}, POINTS, "compute is 'int8'"),
        (
            {"network": "resnet"},
            POINTS,
            "FCMI has no network 'resnet'; expected one of 'auto', 'mlp', 'sdae', 'fc', 'conv', or an NNX module",
        ),
        ({"network": "conv"}, POINTS, "takes images"),
        ({}, POINTS[:3], "n_samples=3 is less than n_clusters=4"),
        ({}, IMAGES[..., 0], r"X has shape \(8, 8, 8\); expected vectors"),
        ({}, IMAGES + 255, "the images' values go from 255 to 255"),
        ({}, np.zeros((8, 10, 10, 1)), "divisible by 4"),
        ({"warmup_epochs": 6}, POINTS, "leaves nothing after warmup_epochs=6"),
        ({}, np.full((8, 2), np.nan), "NaN"),
    ],
)
def test_bad_input(changes, X, message):
    with pytest.raises(ValueError, match=message):
        model(**changes).fit(X)


def test_rows_of_another_shape(fitted):
    with pytest.raises(ValueError, match="features"):
        fitted.predict(POINTS[:, :2])
