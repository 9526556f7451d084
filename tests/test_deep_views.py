"""Two views of an image: what is drawn, the term of FCMI and DeepFCA beside the others, and rows that are no images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import affine_transform

from fairjax.deep import DeepFCA, Network, deepfca, fcmi, prepare
from fairjax.deep.methods import losses
from fairjax.deep.training import streams, trainer
from fairjax.errors import InputError

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, size=(32, 8, 8, 1)).astype(np.float32)
GROUPS = RNG.integers(2, size=32)
NETWORK = Network(kind="conv", shape=(8, 8, 1), n_latent=3, options=(("n_groups", 2), ("unit_norm", True)))
SHARED = {"network": NETWORK, "n_clusters": 4, "batch_size": 16, "n_init": 1}


def configs(**changes):
    return {
        "fcmi": fcmi.FCMIConfig(**SHARED, epochs=3, warmup_epochs=1, **changes),
        "deepfca": deepfca.DeepFCAConfig(**SHARED, **changes),
    }


# Views


def test_views_are_affine_images():
    """As SciPy interpolates them, with the edge going on beyond the border."""
    angle, shift, zoom = 40.0, 0.2, 0.3
    views = losses.random_views(KEY, IMAGES, angle=angle, shift=shift, zoom=zoom)
    drawn = np.asarray(jax.random.uniform(KEY, (4, 32, 1, 1), jnp.float32, -1, 1))[:, :, 0, 0].astype(float)
    middle = (np.array(IMAGES.shape[1:3]) - 1) / 2
    for image, view, (turn, grown, down, right) in zip(IMAGES, views, drawn.T, strict=True):
        turn = np.deg2rad(angle * turn)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / (1 + zoom * grown)
        offset = middle - matrix @ middle + shift * np.array(IMAGES.shape[1:3]) * (down, right)
        wanted = affine_transform(image[..., 0].astype(float), matrix, offset, order=1, mode="nearest")
        np.testing.assert_allclose(view[..., 0], wanted, atol=1e-4)


def test_views_differ_and_stay_within_the_range():
    same = np.repeat(IMAGES[:1], 5, axis=0)
    views = np.asarray(losses.random_views(KEY, same))
    assert all(np.abs(views[i] - views[j]).max() > 0.01 for i in range(5) for j in range(i))
    assert np.abs(views).max() <= np.abs(same).max()
    flat = np.full((3, 5, 5, 2), 0.25, np.float32)
    np.testing.assert_allclose(losses.random_views(KEY, flat, angle=90, shift=0.9, zoom=0.5), flat, rtol=1e-6)


# The term


def terms_of(config):
    data = prepare(IMAGES, GROUPS)
    task, hyper = config.tasks(data)[-1], config.hyper()
    state = trainer.state_template(config.tasks(data), KEY, hyper, data, len(config.tasks(data)) - 1)
    params = dict(state.params)
    net, rest = NETWORK.init(KEY)
    drawn = np.random.default_rng(2)  # an untrained network would say the same of all rows
    params["net"] = jax.tree.map(lambda leaf: leaf + jnp.asarray(drawn.normal(size=leaf.shape), leaf.dtype), net)
    extra = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), state.extra)
    extra["centers"] = jnp.asarray(np.random.default_rng(1).normal(size=extra["centers"].shape), jnp.float32)
    extra |= {name: jnp.zeros(leaf.shape, leaf.dtype) for name, leaf in extra.items() if leaf.dtype == jnp.int32}
    batch = streams.Batch(data.x[:16], data.groups[:16], jnp.arange(16, dtype=jnp.int32))
    hyper = {name: jnp.float32(value) for name, value in hyper.items()}
    return jax.jit(task.loss)(params, rest, extra, hyper, batch, KEY, jnp.int32(1000)), params, rest, extra, batch


@pytest.mark.parametrize("method", ["fcmi", "deepfca"])
def test_a_term_beside_the_others(method):
    (without, averages), *_ = terms_of(configs()[method])
    (found, same), params, rest, extra, batch = terms_of(configs(view_weight=0.5)[method])
    assert set(found) - set(without) == {"views"}
    jax.tree.map(np.testing.assert_array_equal, averages, same)

    def log_q(x):
        z = NETWORK.encode(params["net"], rest, x)[0].z
        if method == "fcmi":
            return losses.cosine_log_assignment(z, extra["centers"], 0.1)
        return losses.gaussian_log_assignment(z, extra["centers"], 0.1)

    views = log_q(losses.random_views(jax.random.fold_in(KEY, 2), batch.x))
    clean = log_q(batch.x)
    wanted = np.mean(np.sum(np.exp(clean) * (clean - views), axis=1))
    np.testing.assert_allclose(found["views"], 0.5 * wanted, rtol=1e-4)
    for name, term in without.items():
        if name == "targets":  # of the views in the place of the rows; all rows are to be in the first cluster here
            np.testing.assert_allclose(found[name], -0.02 * np.mean(views[:, 0]), rtol=1e-4)
        else:
            np.testing.assert_allclose(found[name], term, rtol=1e-5, atol=1e-7)


def test_rows_that_are_no_images():
    data = prepare(IMAGES.reshape(32, 64), GROUPS)
    for config in configs(view_weight=0.5).values():
        with pytest.raises(InputError, match="turns and moves images, but rows have 64 numbers each; give images"):
            config.tasks(data)


@pytest.mark.slow
def test_an_estimator_learns_from_views():
    model = DeepFCA(2, pretrain_epochs=1, epochs=1, batch_size=16, n_init=1, view_weight=1.0, random_state=0)
    model.set_params(network="conv", n_latent=2).fit(IMAGES, sensitive_features=GROUPS)
    assert model.balance_ >= 0.9 * model.max_balance_
