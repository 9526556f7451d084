"""The cheapest assignment for given counts, by shortest paths between clusters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
