"""Analyses: numbers taken in the course of a training, sweeps, decoders, and figures of given numbers."""

import dataclasses

import jax
import numpy as np
import pytest

from fairjax.deep import Network, analysis, dfc, fcmi, prepare
from fairjax.errors import InputError

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
POINTS = (np.eye(4)[RNG.integers(4, size=96)] + 0.05 * RNG.random((96, 4))).clip(0, 1).astype(np.float32)
GROUPS = RNG.integers(3, size=96)
# as in test_deep_training, so that the compiled programs are shared
NETWORK = Network(
    kind="mlp", shape=(4,), n_latent=3, options=(("n_groups", 3), ("output", "tanh"), ("unit_norm", True))
)
CONFIG = fcmi.FCMIConfig(network=NETWORK, n_clusters=4, batch_size=16, epochs=6, warmup_epochs=2, n_init=1)


@pytest.fixture(scope="module")
def data():
    return prepare(POINTS, GROUPS)


@pytest.fixture(scope="module")
def watched(data):
    measures = {"z": analysis.latent_rows(CONFIG, data), "information": analysis.informations(CONFIG, data)}
    return analysis.watch(KEY, data, CONFIG, measures, every=36)


def test_watching_changes_nothing(data, watched):
    result, snapshots = watched
    plain = fcmi.run(KEY, data, CONFIG, chunk_steps=36)
    np.testing.assert_array_equal(result.labels, plain.labels)
    (last,) = snapshots
    assert last.step == 36
    z = NETWORK.encode(result.clusterer.params, result.clusterer.rest, data.x)[0].z
    np.testing.assert_allclose(last.values["z"], z, atol=1e-5)


def test_informations_within_their_bounds(watched):
    found = watched[1][-1].values["information"]
    # a cluster tells at most log K of its rows, and of the groups no more than they have to tell
    assert 0 < found["points"] <= np.log(4) + 1e-5
    shares = np.bincount(GROUPS) / 96
    assert -1e-5 < found["groups"] <= min(np.log(4), -(shares * np.log(shares)).sum())


def test_every_branch_decodes(data, watched):
    clusterer = watched[0].clusterer
    found = analysis.switched(NETWORK, clusterer, POINTS[:5], 3)
    assert found.shape == (3, 5, 4)
    own = NETWORK.autoencode(clusterer.params, clusterer.rest, data.x[:5], data.groups[:5])[0][1]
    np.testing.assert_allclose(found[GROUPS[:5], np.arange(5)], own, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_what_cannot_be_watched_or_swept(data):
    with pytest.raises(InputError, match="there is no stage 'DFC'; expected one of 'FCMI'"):
        analysis.watch(KEY, data, CONFIG, {}, every=10, stage="DFC")
    with pytest.raises(InputError, match="'epochs' cannot be swept in one batch; expected one of 'a_balance'"):
        analysis.sweep(jax.random.split(KEY, 2), data, CONFIG, "epochs", [1, 2])
    with pytest.raises(InputError, match="expected as many of each, which belong together"):
        analysis.variants(KEY[None], CONFIG, {"a_onehot": [0.1, 0.0], "group_weight": [0.2]})
    with pytest.raises(InputError, match="too few or too small to probe"):
        analysis.group_probe(POINTS, np.zeros(96))
    with pytest.raises(InputError, match="20 rows are too few for a perplexity of 30"):
        analysis.tsne(POINTS[:20])


@pytest.mark.slow
def test_a_plane_that_starts_from_another():
    """What was on the left stays there, in whatever unit the other plane was."""
    side = np.repeat([-1.0, 1.0], 20)
    rows = np.outer(side, [5, 0, 0]) + np.random.default_rng(0).normal(size=(40, 3))
    for left in (-1, 1):
        start = left * rows[:, :2]
        found = analysis.tsne(rows, perplexity=5, start=start)
        assert found.shape == (40, 2)
        assert left * (found[side > 0, 0].mean() - found[side < 0, 0].mean()) > found[:, 0].std()
        np.testing.assert_array_equal(analysis.tsne(rows, perplexity=5, start=1024 * start), found)


@pytest.mark.slow
def test_a_sweep_equals_single_runs(data):
    """Each in its place; values far enough apart that no two runs end alike."""
    keys, values = jax.random.split(KEY, 2), (0.0, 50.0)
    found = analysis.sweep(keys, data, CONFIG, "group_weight", values)
    assert found.shape == (2, 2, 96)
    for value, of_value in zip(values, found, strict=True):
        for key, labels in zip(keys, of_value, strict=True):
            alone = fcmi.run(key, data, dataclasses.replace(CONFIG, group_weight=value)).labels
            # rounding in another order may move a row on a boundary
            alike = np.mean(found == alone, axis=-1) > 0.9
            assert np.mean(labels == alone) > 0.9
            assert np.sum(alike) == 1


@pytest.mark.slow
def test_several_seeds_are_watched_at_once(data, watched):
    keys, many = analysis.variants(KEY[None], CONFIG, {"group_weight": [CONFIG.group_weight, 50.0]})
    result, (last,) = analysis.watch(keys, data, many, {"z": analysis.latent_rows(many, data)}, every=36)
    assert last.values["z"].shape == (2, 96, 3)
    np.testing.assert_allclose(last.values["z"][0], watched[1][-1].values["z"], atol=1e-3)
    assert result.labels.shape == (2, 96)


@pytest.mark.slow
def test_the_critic_of_a_short_run_is_near_chance(data):
    network = Network(kind="mlp", shape=(4,), n_latent=3)
    stages = {"pretrain_steps": 10, "group_pretrain_steps": 10, "group_steps": 10, "steps": 30}
    for head in ("auto", "softmax"):
        two = prepare(POINTS, GROUPS > 0)
        config = dfc.DFCConfig(network=network, n_clusters=4, batch_size=16, n_init=1, critic_head=head, **stages)
        measures = {"critic": analysis.critic_accuracy(config, two)}
        _, snapshots = analysis.watch(KEY, two, config, measures, every=10)
        assert [one.step for one in snapshots] == [10, 20, 30]
        # the groups are drawn at random: there is nothing to tell
        assert all(abs(float(one.values["critic"]) - 0.5) < 0.2 for one in snapshots)


# Figures


@pytest.fixture
def figures():
    pytest.importorskip("matplotlib", reason="figures need matplotlib: pip install 'fairjax[bench]'")
    from fairjax.deep.analysis import figures

    return figures


def test_figures_say_what_they_show(figures, tmp_path):
    places = {"before": POINTS[:, :2], "after": POINTS[:, 2:]}
    scatter = figures.scatters(places, {"group": (GROUPS, ["a", "b", "c"])})
    assert [panel.get_title() for panel in scatter.axes] == ["before", "after"]
    assert [text.get_text() for text in scatter.axes[1].get_legend().get_texts()] == ["a", "b", "c"]
    x, y = [0.0, 0.1, 1.0], RNG.random((3, 2))
    lines = figures.curves({"fairness": {"fwd": y}}, x, xlabel="b", levels={"fairness": {"best": 0.0}}, log=True)
    np.testing.assert_allclose(lines.axes[0].lines[0].get_ydata(), y.mean(1))
    assert lines.axes[0].get_xlabel() == "b"
    worst = analysis.unfairest_cluster(np.repeat([0, 1], 48), GROUPS)
    bars = figures.unfairest({"k-means": worst}, ["a", "b", "c"])
    heights = [bar.get_height() for bar in bars.axes[0].containers[1]]
    np.testing.assert_allclose(heights, worst.shares)
    grid = figures.grid(np.arange(6).reshape(2, 3) / 6, ["0", "1"], ["x", "y", "z"], xlabel="b", ylabel="a", title="t")
    assert [text.get_text() for text in grid.axes[0].texts] == ["0.00", "0.17", "0.33", "0.50", "0.67", "0.83"]
    marked = figures.scatters(
        places, {"group": (GROUPS, ["a", "b", "c"])}, marks={"centres": ("*", {"before": POINTS[:2, :2]})}
    )
    np.testing.assert_allclose(marked.axes[0].collections[-1].get_offsets(), POINTS[:2, :2])
    assert len(marked.axes[1].collections) == 1
    assert [text.get_text() for text in marked.axes[1].get_legend().get_texts()] == ["a", "b", "c", "centres"]
    drawn = figures.images({"input": RNG.random((3, 8, 8)), "output": RNG.random((3, 8, 8, 1))})
    assert len(drawn.axes) == 6
    for number, figure in enumerate((scatter, lines, bars, grid, marked, drawn)):
        figure.savefig(tmp_path / f"{number}.png", dpi=40)


def test_figures_name_what_is_missing(monkeypatch):
    import sys

    from fairjax.deep.analysis import figures

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="figures need matplotlib: pip install"):
        figures.histogram({"a": [1.0]}, ["x"], ylabel="y")
