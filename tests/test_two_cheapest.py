"""Both ways to the two cheapest clusters of every point give what sorting the costs gives."""

import jax
import numpy as np
import pytest

from fairjax.fca.two_cheapest import by_product as of_extended
from fairjax.fca.two_cheapest_gpu import in_registers


def by_product(affine, features, groups):
    members = np.arange(affine.shape[1] - len(features))[:, None]
    return of_extended(affine, np.concatenate([features, (groups == members).astype(features.dtype)]))


def problem(n, d, n_clusters, n_groups, dtype):
    """Whole numbers, of which sums are exact and many costs equal."""
    rng = np.random.default_rng(n)
    features = rng.integers(-3, 4, (d, n)).astype(dtype)
    groups = rng.integers(0, n_groups, n).astype(np.int32)
    affine = rng.integers(-2, 3, (n_clusters, d + n_groups)).astype(dtype)
    return affine, features, groups


@pytest.mark.parametrize(
    ("sizes", "dtype"),
    [((1300, 3, 7, 3), np.float32), ((5, 2, 1, 2), np.float32), ((1300, 3, 7, 3), np.float64)],
)
def test_two_cheapest(sizes, dtype):
    affine, features, groups = problem(*sizes, dtype)
    n_features = features.shape[0]
    costs = affine[:, :n_features] @ features + affine[:, n_features:][:, groups]
    order = np.argsort(costs, 0, kind="stable")[:2]
    sorted_costs = np.sort(np.vstack([costs, np.full_like(costs[:1], np.inf)]), 0)
    with jax.enable_x64(dtype == np.float64):
        ways = by_product(affine, features, groups), in_registers(affine, features, groups, interpret=True)
    for label, rival, cheapest, second in ways:
        np.testing.assert_array_equal(label, order[0])
        if len(order) == 2:
            np.testing.assert_array_equal(rival, order[1])
        np.testing.assert_array_equal(cheapest, sorted_costs[0])
        np.testing.assert_array_equal(second, sorted_costs[1])


def test_kernel_in_a_batch():
    affine, features, groups = problem(700, 3, 4, 2, np.float32)
    several = np.stack([affine, affine[::-1]])
    batched = jax.vmap(lambda affine: in_registers(affine, features, groups, interpret=True))(several)
    for i, one in enumerate(several):
        for found, expected in zip(batched, by_product(one, features, groups), strict=True):
            np.testing.assert_array_equal(found[i], expected)


def test_kernel_is_lowered_for_gpus():
    """Also inside of shard_map, without a GPU at hand."""
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    whole, rows = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("rows")
    columns = jax.sharding.PartitionSpec(None, "rows")
    sharded = jax.shard_map(in_registers, mesh=mesh, in_specs=(whole, columns, rows), out_specs=rows)
    for function in (in_registers, sharded):
        lowered = jax.jit(function).trace(*problem(700, 3, 4, 2, np.float32)).lower(lowering_platforms=("cuda",))
        assert "triton" in lowered.as_text()
