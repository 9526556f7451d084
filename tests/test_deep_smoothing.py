"""Smoothness as a term of DEC, FCMI and DeepFCA: off, the method is what it was; on, it is the formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax.deep import Network, dec, deepfca, fcmi, prepare
from fairjax.deep.methods import fitting, losses
from fairjax.deep.training import streams, trainer

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
NETWORK = Network(kind="mlp", shape=(4,), n_latent=3, options=(("hidden", (8,)), ("n_groups", 2), ("unit_norm", True)))
SHARED = {"network": NETWORK, "n_clusters": 4, "batch_size": 16, "n_init": 1}


def configs(**changes):
    return {
        "dec": dec.DECConfig(**SHARED, **changes),
        "fcmi": fcmi.FCMIConfig(**SHARED, epochs=3, warmup_epochs=1, **changes),
        "deepfca": deepfca.DeepFCAConfig(**SHARED, **changes),
    }


def terms_of(config, data):
    """Terms of the last stage's loss after the warm-up, at drawn parameters, and what it leaves of the averages."""
    data = config.completed(data)
    task, hyper = config.tasks(data)[-1], config.hyper()
    state = trainer.state_template(config.tasks(data), KEY, hyper, data, len(config.tasks(data)) - 1)
    drawn = np.random.default_rng(1)
    params = {
        name: jnp.asarray(drawn.normal(size=leaf.shape), jnp.float32)
        for name, leaf in state.params.items()
        if name != "net"
    }
    params["net"], rest = config.network.init(KEY)
    extra = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), state.extra)
    if "centers" in extra:
        extra["centers"] = jnp.asarray(drawn.normal(size=extra["centers"].shape), jnp.float32)
    if "distance" in extra:
        extra["distance"] = data.neighbours.distance
    batch = streams.Batch(data.x[:16], data.groups[:16], jnp.arange(16, dtype=jnp.int32))
    hyper = {name: jnp.float32(value) for name, value in hyper.items()}
    return jax.jit(task.loss)(params, rest, extra, hyper, batch, KEY, jnp.int32(1000)), params, rest, extra, batch


@pytest.mark.parametrize("method", ["dec", "fcmi", "deepfca"])
def test_a_term_beside_the_others(method):
    data = prepare(POINTS, RNG.integers(2, size=96))
    (without, rest_without), *_ = terms_of(configs()[method], data)
    (found, rest), params, start, extra, batch = terms_of(configs(vat_weight=0.5)[method], data)
    assert set(found) - set(without) == {"smoothness"}
    for name, term in without.items():
        np.testing.assert_allclose(found[name], term, rtol=1e-5, atol=1e-7)
    jax.tree.map(np.testing.assert_array_equal, rest, rest_without)

    def assign(params, x):
        z = NETWORK.encode(params["net"], start, x)[0].z
        if method == "dec":
            return losses.student_log_assignment(z, params["centers"])
        if method == "fcmi":
            return losses.cosine_log_assignment(z, extra["centers"], 0.1)
        return losses.gaussian_log_assignment(z, extra["centers"], 0.1)

    radius = 0.25 * extra["distance"][:16]
    wanted, _ = losses.adversarial_loss(
        jax.random.fold_in(KEY, 1), assign, params, batch.x, assign(params, batch.x), radius
    )
    np.testing.assert_allclose(found["smoothness"], 0.5 * wanted, rtol=1e-3, atol=1e-7)


def test_off_nothing_is_kept_of_neighbours():
    data = prepare(POINTS)
    for config in configs().values():
        assert config.completed(data) is data
        assert not config.smooth
        last = len(config.tasks(data)) - 1
        state = trainer.state_template(config.tasks(data), KEY, config.hyper(), data, last)
        assert "distance" not in state.extra


def test_a_checkpoint_that_knew_nothing_of_it_is_one_without_it():
    from fairjax.deep import FCMI

    found = fitting._today(FCMI, {"b": 0.3, "method": "FCMI"})
    assert (found["vat_weight"], found["group_weight"]) == (0.0, 0.3)
    assert "checkpoint_dir" not in found
