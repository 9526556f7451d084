"""The cheapest assignment for given counts, by shortest paths between clusters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from fairjax.assignment import primal
from fairjax.assignment.programme import Points


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_sliver_is_no_bottleneck(dtype):
    """A point that lies in two clusters goes to a third straight from the first, whatever rounding says of a detour.

    Costs are such that both legs of the detour are less than the way by their rounding; by the detour no more than the
    sliver in the second cluster could move at a time, and would come back.
    """
    with jax.enable_x64(dtype == "float64"):
        one = np.dtype(dtype).type
        near, far = next(
            (a, b)
            for a, b in np.sort((np.random.default_rng(0).random((1000, 2)) ** 3).astype(dtype), axis=1)
            if one(a + one(b - a)) < b
        )
        sliver = 100 * np.finfo(dtype).eps
        costs, weights = jnp.asarray([[0, near, far]], dtype), jnp.ones(1, dtype)
        wanted = jnp.asarray([[0.5 - sliver, sliver, 0.5]], dtype)
        points = Points(
            costs, jnp.zeros(1, jnp.int32), weights, jnp.zeros((1, 3), dtype), weights, jnp.zeros((), dtype), None
        )
        plan = primal.finish(points, jnp.zeros((1, 3), dtype), wanted, max_moves=50)
        assert bool(plan.met)
        assert int(plan.n_moves) <= 3
        np.testing.assert_allclose(plan.fractions, wanted, atol=4 * np.finfo(dtype).eps)


def test_paths_from_afar_end_at_the_least_cost(double):
    """Without prices nearly every point has to move: each path starts from what those before it have left."""
    n_groups, n_clusters, each = 3, 5, 24
    rng = np.random.default_rng(3)
    groups = rng.permutation(np.repeat(np.arange(n_groups), each))
    costs = rng.exponential(size=(groups.size, n_clusters)) ** 2
    costs += 3 * np.arange(n_clusters) * rng.random((groups.size, 1))
    counts = rng.multinomial(each - n_clusters, [1 / n_clusters] * n_clusters, n_groups) + 1
    least = 0.0
    for group in range(n_groups):
        columns = np.repeat(np.arange(n_clusters), counts[group])
        own = costs[groups == group][:, columns]
        least += own[linear_sum_assignment(own)].mean() / n_groups
    weights, none = jnp.full(groups.size, 1 / groups.size), jnp.zeros((n_groups, n_clusters))
    points = Points(
        jnp.asarray(costs), jnp.asarray(groups), weights, none, jnp.full(n_groups, 1 / n_groups), jnp.zeros(()), None
    )
    plan = jax.jit(primal.finish)(points, none, jnp.asarray(counts / groups.size))
    assert bool(plan.met)
    assert int(plan.n_moves) > 2 * n_groups * n_clusters
    np.testing.assert_allclose((plan.fractions * costs).sum() / groups.size, least, rtol=1e-12)
    np.testing.assert_allclose(costs[np.arange(groups.size), plan.labels].mean(), least, rtol=1e-12)
    np.testing.assert_array_equal(np.bincount(groups * n_clusters + plan.labels), counts.ravel())
