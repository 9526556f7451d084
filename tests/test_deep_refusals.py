"""What the deep methods refuse, and what the machine refuses them."""

import dataclasses
import errno
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax.deep import DEC, DFC, FCMI, AEKMeans, DeepFCA, FairoidDEC, Network, dfc, fcmi, prepare
from fairjax.deep.methods import fitting
from fairjax.deep.training import checkpoints, trainer
from fairjax.errors import InputError

KEY = jax.random.key(0)
POINTS = np.random.default_rng(0).random((96, 4), np.float32)
IMAGES = np.zeros((8, 8, 8, 1))
HOLE = IMAGES.copy()
HOLE[3, 2, 5, 0] = np.nan


@pytest.mark.parametrize(
    ("model", "X", "message"),
    [
        (FCMI(3, tau=0.0), POINTS, "tau is 0; expected a positive number"),
        (FairoidDEC(3, beta=0.0), POINTS, "beta is 0; expected a positive number"),
        (FairoidDEC(3, ridge=0.0), POINTS, "ridge is 0; expected a positive number"),
        (DeepFCA(3, reg=0.0), POINTS, "reg is 0; expected a positive number"),
        (FCMI(True), POINTS, "n_clusters is True; expected a whole number"),
        (FCMI(3, batch_size=10**12), POINTS, "expected a whole number below 2"),
        (FCMI(3, group_decoders=2), POINTS, "group_decoders is 2; expected True or False"),
        (DFC(3, resume="no"), POINTS, "resume is 'no'; expected True or False"),
        (AEKMeans(3, recon="bce"), POINTS - 0.5, r"recon='bce' takes values in \[0, 1\], and these go from -0"),
        (DEC(3, recon="l1"), POINTS, "recon is 'l1'; expected one of 'mse', 'bce'"),
        (DFC(3, target="full"), POINTS, "target is 'full'; expected one of 'batch', 'group_full'"),
        (FCMI(3), HOLE, r"the image in row 3 has the value nan .* at \(height, width, channel\) \(2, 5, 0\)"),
        (FCMI(3), np.zeros((8, 0, 8, 1)), "its rows hold no numbers"),
        (DEC(3, corruption=1.0), POINTS, "corruption is 1.0; expected a share below 1"),
        (DEC(3, batch_size=None), POINTS, "batch_size is None; expected a whole number"),
        (DFC(3, critic_dropout=1.0), POINTS, "critic_dropout is 1.0; expected a share below 1"),
        (FCMI(3, network="vae"), POINTS, "FCMI has no network 'vae'; expected one of 'auto', 'mlp', 'sdae', 'fc'"),
        (DFC(3, checkpoint_dir=3), POINTS, "checkpoint_dir is 3; expected a path"),
        (DeepFCA(3, assignment="ot"), POINTS, "assignment is 'ot'; expected one of 'direct', 'exact', 'sinkhorn'"),
        (DeepFCA(3, assignment="exact", epsilon=0.1), POINTS, "epsilon=0.1 belongs to assignment='direct'"),
    ],
)
def test_bad_input(model, X, message):
    with pytest.raises(InputError, match=message):
        model.fit(X, sensitive_features=np.arange(len(X)) % 2)


def test_sinkhorn_aligns_two_groups():
    with pytest.raises(InputError, match="there are 3 groups; assignment='sinkhorn' aligns two"):
        DeepFCA(3, assignment="sinkhorn").fit(POINTS, sensitive_features=np.arange(96) % 3)


def test_images_in_bytes_after_a_fit_in_units():
    """What `predict` is given is checked as what `fit` was given."""
    model = FCMI(3)
    model._shape, model._scale, model.n_features_in_, model.labels_ = (8, 8, 1), (2.0, -1.0, "tanh"), 8, None
    model._network = model._clusterer = None
    with pytest.raises(InputError, match=r"the images' values go from 0 to 255; expected \[0, 1\] as in fit"):
        model.predict_proba(np.tile([0, 255], 256).reshape(8, 8, 8, 1))
    with pytest.raises(InputError, match=r"go from -1 to 1; expected \[0, 1\] as in fit"):
        model.embed(np.tile([-1, 1], 256).reshape(8, 8, 8, 1))


def test_small_groups_are_said():
    """Of a method that draws from every group the small groups; of the others the data, if a batch is larger."""
    lone = prepare(POINTS, np.r_[np.zeros(90, int), 1, 1, 1, 1, 1, 2])
    network = Network(kind="mlp", shape=(4,), n_latent=2, options=(("hidden", (3,)),))

    def notes(config):
        return fitting.replacement_notes(config.tasks(lone), np.asarray(lone.sizes), ["a", "b", "c"])

    settings = {"network": network, "n_clusters": 1}
    (note,) = notes(dfc.DFCConfig(**settings, batch_size=16))
    assert (
        note == "Steps of 16 rows are more than the group b and the group c can fill: rows are drawn with replacement."
    )
    assert notes(fcmi.FCMIConfig(**settings, batch_size=16)) == ()
    (note,) = notes(fcmi.FCMIConfig(**settings, batch_size=200))
    assert note.startswith("Steps of 200 rows are more than the data can fill")


# What the machine refuses


def test_too_little_memory_names_the_batch(monkeypatch):
    def full(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    monkeypatch.setattr(fitting.running, "run", full)
    with pytest.raises(InputError, match="too little memory for steps of batch_size=77"):
        AEKMeans(3, batch_size=77).fit(POINTS)


def test_a_full_disk_leaves_the_checkpoints_from_before(tmp_path, monkeypatch, caplog):
    """The write fails in the library that does it; the message has its reason, the log no tracebacks."""
    import orbax.checkpoint as ocp

    folder = tmp_path / "run"
    network = Network(kind="mlp", shape=(4,), n_latent=2, options=(("hidden", (3,)),))
    config = fcmi.FCMIConfig(network=network, n_clusters=2, batch_size=16, epochs=3, warmup_epochs=1)
    data = prepare(POINTS)
    tasks, identity = config.tasks(data), {"method": "FCMI"}
    state = trainer.state_template(tasks, KEY, config.hyper(), data, 0)

    def zeros(leaf):
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return KEY
        return jnp.zeros(leaf.shape, leaf.dtype)

    state = jax.tree.map(zeros, state)
    position = trainer.Position(0, 6, state, ({"reconstruction": np.zeros(6, np.float32)},))
    checkpoints.save(folder, position, tasks, identity)

    def no_room(*_, **__):
        logging.getLogger("absl").error("a traceback")
        chain = 'RESOURCE_EXHAUSTED: Error writing "a": Failed to write 9 bytes to file 7'
        raise ValueError(f"{chain}: No space left on device [os_error_code='{errno.ENOSPC}']")

    with monkeypatch.context() as patch:
        patch.setattr(ocp.CheckpointManager, "save", no_room)
        with pytest.raises(InputError, match=r"step 12 could not be written to .* \(No space left on device\)"):
            checkpoints.save(folder, position._replace(step=12), tasks, identity)
    assert "traceback" not in caplog.text
    arguments = (tasks, KEY, config.hyper(), data, identity)
    found = checkpoints.restore(folder, *arguments)
    assert (found.stage, found.step) == (0, 6)
    # another network under the same name
    other = dataclasses.replace(network, options=(("hidden", (5,)),))
    wide = dataclasses.replace(config, network=other).tasks(data)
    with pytest.raises(InputError, match=r"holds state/.* of shape .*, this run has .*; resume with the same network"):
        checkpoints.restore(folder, wide, *arguments[1:])
    # cut off, as no killed process leaves it
    for file in (folder / "6" / "arrays").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match=r"the checkpoint .*6' cannot be read \(.*\); it was changed since"):
        checkpoints.restore(folder, *arguments)


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_folder_that_is_none_is_refused_before_the_training(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="checkpoints cannot be written to"):
        AEKMeans(3, batch_size=32, checkpoint_dir=tmp_path / place).fit(POINTS)
    assert (tmp_path / "file").read_text() == "mine"
