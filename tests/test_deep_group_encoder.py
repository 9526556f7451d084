"""Encoders with parts of each group's own: the first layer, and the normalisation behind it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax.deep import DeepFCA, Network, analysis, deepfca, prepare
from fairjax.errors import InputError

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
GROUPS = np.array(["a", "b", "b"])[RNG.integers(3, size=96)]
CODES = (GROUPS == "b").astype(np.int32)


def network(kind="mlp", **options):
    shape = (4, 4, 1) if kind == "conv" else (4,)
    hidden = {"hidden": (6, 5)} if kind == "mlp" else {}
    return Network(kind=kind, shape=shape, n_latent=3, options=tuple(sorted((hidden | options).items())))


@pytest.mark.parametrize("kind", ["mlp", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("fc", "conv"))])
def test_the_own_part_of_one_group_is_the_shared_one(kind):
    """The same draws, and the same latent rows, in training and after it."""
    own = {"layer_groups": 1} | ({"norm_groups": 1} if kind == "fc" else {})
    shared, alone = network(kind), network(kind, **own)
    assert alone.by_group
    assert not shared.by_group
    x = jnp.asarray(RNG.random((7, *shared.shape)), jnp.float32)
    first, second = shared.init(KEY), alone.init(KEY)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a.ravel(), b.ravel())
    groups = jnp.zeros(7, jnp.int32)
    for train in (True, False):
        expected, _ = shared.encode(*first, x, train=train)
        found, _ = alone.encode(*second, x, groups, train=train)
        np.testing.assert_allclose(found.z, expected.z, atol=2e-6)


@pytest.mark.parametrize("kind", ["mlp", pytest.param("conv", marks=pytest.mark.slow)])
def test_rows_of_a_group_pass_as_if_alone(kind):
    """By their own weights and statistics: whatever rows of other groups are in the batch."""
    both = network(kind, layer_groups=3, norm_groups=3)
    params, rest = both.init(KEY)
    groups = jnp.asarray([0, 2, 0, 2, 2, 0, 0], jnp.int32)
    x = jnp.asarray(RNG.random((7, *both.shape)), jnp.float32)
    found, after = both.encode(params, rest, x, groups, train=True)
    for group in (0, 2):
        own = np.flatnonzero(groups == group)
        alone, _ = both.encode(params, rest, x[own], groups[own], train=True)
        np.testing.assert_allclose(found.z[own], alone.z, atol=1e-5)
    other, _ = both.encode(params, rest, x, (groups + 1) % 3, train=True)
    assert float(jnp.abs(other.z - found.z).max()) > 1e-2
    mean = after["first_norm"]["mean"]
    assert (mean[0] != 0).any()
    assert (mean[1] == 0).all()  # no row of group 1 was seen
    with pytest.raises(InputError, match="pass the groups"):
        both.encode(params, rest, x)


@pytest.mark.slow
def test_seeds_in_one_call_and_interrupted():
    """Seeds in one call are those one by one, and a training that goes on is one without interruption."""
    data = prepare(POINTS, CODES)
    config = deepfca.DeepFCAConfig(
        network=network(layer_groups=2, norm_groups=2, n_groups=2, unit_norm=True), n_clusters=4, n_init=1,
        batch_size=16, pretrain_epochs=2, epochs=2, vat_weight=0.1,
    )  # fmt: skip
    keys = jax.random.split(KEY, 2)
    kept = []

    def keep(position):
        kept.append(jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, jax.Array) else leaf, position))

    together = deepfca.run(keys, data, config, chunk_steps=6, after_chunk=keep)
    # and one that goes on from the middle ends as without interruption
    again = deepfca.run(keys, data, config, chunk_steps=6, position=kept[2])
    np.testing.assert_array_equal(again.labels, together.labels)
    jax.tree.map(np.testing.assert_array_equal, again.clusterer, together.clusterer)
    for seed, key in enumerate(keys):
        one = deepfca.run(key, data, config, chunk_steps=6)
        np.testing.assert_array_equal(together.labels[seed], one.labels)
        for name, values in one.history.items():
            # the first epoch of each stage: rounding grows from step to step, most in the adversarial direction
            found = together.history[name][seed][:6]
            np.testing.assert_allclose(found, values[:6], rtol=1e-2, atol=1e-3, err_msg=name)
    seen = analysis.switched(config.network, one.clusterer, POINTS[:3], 2, CODES[:3])
    assert seen.shape == (2, 3, 4)
    with pytest.raises(InputError, match="pass the groups"):
        analysis.switched(config.network, one.clusterer, POINTS[:3], 2)


def model(**changes):
    settings = {"pretrain_epochs": 2, "epochs": 2, "batch_size": 16, "n_latent": 3, "n_init": 1, "random_state": 0}
    return DeepFCA(4, **settings | {"group_encoder": "both"} | changes)


@pytest.mark.slow
def test_a_fitted_estimator(tmp_path):
    """Is saved and read, and asks for the groups of new rows."""
    whole = model(fair_targets=False).fit(POINTS, sensitive_features=GROUPS)
    whole.save(tmp_path / "model.npz")
    back = DeepFCA.load(tmp_path / "model.npz")
    found = back.predict(POINTS, sensitive_features=GROUPS)
    np.testing.assert_array_equal(found, whole.predict(POINTS, sensitive_features=GROUPS))
    assert back.embed(POINTS, sensitive_features=GROUPS).shape == (96, 3)
    assert back.predict_proba(POINTS, sensitive_features=GROUPS).shape == (96, 4)
    swapped = back.embed(POINTS, sensitive_features=np.where(GROUPS == "a", "b", "a"))
    assert np.abs(swapped - back.embed(POINTS, sensitive_features=GROUPS)).max() > 1e-2
    for use in (back.predict, back.predict_proba, back.embed):
        with pytest.raises(InputError, match="name the rows' groups in sensitive_features"):
            use(POINTS)


@pytest.mark.slow
def test_without_groups_it_is_the_shared_encoder():
    shared, own = (model(group_encoder=kind).fit(POINTS) for kind in ("shared", "layer"))
    np.testing.assert_array_equal(own.labels_, shared.labels_)
    np.testing.assert_array_equal(own.predict(POINTS), shared.predict(POINTS))


@pytest.mark.parametrize("changes", [{"network": "vae"}, {"group_encoder": "first"}])
def test_bad_input(changes):
    with pytest.raises(InputError, match="group_encoder"):
        model(**changes).fit(POINTS, sensitive_features=GROUPS)
