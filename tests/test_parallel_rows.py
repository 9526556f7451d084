"""The direct route and fair assignment with rows spread over devices: the same answers, and nothing sent that grows."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compilation import for_children

from fairjax.parallel import Rows


@functools.cache
def child(name, *arguments):
    """What a function of sharded_runs.py finds on four virtual devices."""
    script = Path(__file__).with_name("sharded_runs.py")
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=4"
    command = [sys.executable, str(script), name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=for_children(XLA_FLAGS=flags))
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_alike(case):
    one = case["one"]
    for spread in case["spread"]:
        name = case["name"]
        assert spread["status"] == one["status"] == 0, name
        np.testing.assert_allclose(spread["primal"], one["primal"], rtol=1e-5, err_msg=name)
        assert spread["gap"] <= 1e-5, name
        np.testing.assert_allclose(spread["counts"], one["counts"], atol=1e-3, err_msg=name)
        assert spread["n_iter"] == one["n_iter"], name
        assert "rows" in spread["spec"] or spread["devices"] == 1, name
        # a handful of points at a boundary may fall either way
        assert np.mean(np.array(spread["labels"]) != np.array(one["labels"])) < 2e-3, name
        np.testing.assert_allclose(spread["cost"], one["cost"], rtol=1e-3, err_msg=name)


@pytest.mark.slow
def test_four_devices_cluster_as_one():
    """However rows lie: shuffled, not enough for all, a group on one device, or sorted so that one has a boundary."""
    for case in child("pure", 4):
        assert_alike(case)


@pytest.mark.slow
def test_any_number_of_devices_clusters_as_one():
    for case in child("pure", 1, 2, 4):
        assert_alike(case)


def test_nothing_is_sent_that_grows_with_the_rows():
    """And a program without a mesh sends nothing."""
    found = child("programs")
    once, twice = found["sent"]
    assert once == twice
    assert set(once) == {"all_reduce"}
    # 16,384 rows stay open, whatever the number of points
    assert max(once["all_reduce"]) <= 12 * 16_384
    assert found["without"] == {}


@pytest.mark.parametrize(("n", "compare"), [(1_000, 0), pytest.param(20_000, 1, marks=pytest.mark.slow)])
def test_sharded_costs(n, compare):
    """The certificate proves the answer; with many points, of which few stay open, it is that of one device too."""
    found = child("assigned", n, compare)
    np.testing.assert_allclose(*found["primal"], rtol=1e-5)
    np.testing.assert_allclose(found["cost"], found["primal"][1], rtol=1e-5)
    assert found["gap"] <= 1e-5
    assert found["violation"] <= 0.1 + 1e-4
    assert found["status"] == [0, 0]
    assert found["same"] > 0.995
    assert all("rows" in spec for spec in found["spec"])


@pytest.mark.slow
def test_gradient_inside_of_shard_map():
    assert child("slope") < 1e-8


def test_estimator_over_devices():
    """With rows that do not divide; starts come from the same rows, so that the ends are the same."""
    found = child("estimated")
    np.testing.assert_allclose(found["cost"][1], found["cost"][0], rtol=1e-5)
    # other rows, hence another start: as good as the other, nearly
    np.testing.assert_allclose(found["cost"][2], found["cost"][0], rtol=0.05)
    assert max(found["gap"]) <= 1e-5
    for balance, most in found["balance"]:
        assert balance > most - 0.01
    assert found["same"] > 0.998
    assert found["names"] == ["f", "m"]
    assert found["lengths"] == [6_001, 8_192]
    assert min(found["predicted"]) > 0.99
    assert found["soft"] > 0
    assert [message.split(";")[0] for message in found["refused"]] == [
        "there are 4 devices for 3 rows",
        "X holds NaN or infinite values",
        "n_devices is 3, but X is spread over 4 devices, where it stays",
        "n_devices is 5",
        "an array of shape (2, 4) is spread over devices by P(None, 'rows')",
    ]


@pytest.mark.slow
def test_k_means_and_starts():
    """The same rows are drawn wherever they lie, by k-means++; clusters without rows are filled with the same ones."""
    found = child("clustered")
    np.testing.assert_allclose(found["seeds"][1], found["seeds"][0], rtol=1e-6)
    for name in ("ended", "filled"):
        (cost, *_, centers), (other, *_, others) = found[name]
        assert other == pytest.approx(cost, rel=1e-5), name
        np.testing.assert_allclose(others, centers, atol=1e-3, err_msg=name)
    assert found["ended"][0][1] == found["ended"][1][1]
    assert found["same"] > 0.999
    assert found["drawn"] == [4, 4]  # distinct rows, of which none is without weight
    # every device is in the sample by its share, to within a draw of each group, and no row without weight is
    assert found["starts"][1][0] == pytest.approx(found["means"][0], abs=2 * 3 / 64)
    for _, group, unweighted in found["starts"]:
        assert group == pytest.approx(found["means"][1], rel=1e-5)
        assert unweighted == 0


def test_rows_in_one_place_leave_no_trace():
    """Not an operation more than the indexing that they stand for."""
    rows, values, index = Rows(), jnp.arange(5.0), jnp.array([3, 1])

    def plain(values, index):
        return values[index], jnp.sum(values), jnp.min(values)

    def through_rows(values, index):
        found = rows.at(index, lambda own: values[own], 5)
        return rows.gather(found), rows.sum(jnp.sum(values)), rows.least(jnp.min(values))

    programs = [str(jax.make_jaxpr(function)(values, index)) for function in (plain, through_rows)]
    assert programs[0] == programs[1]
    assert jax.tree.leaves(rows) == []
    assert rows == Rows()
    assert hash(rows) == hash(Rows())
