"""Memory that the programs of a fit need beside the points: of many rows it decides how large a table may be."""

import jax
import jax.numpy as jnp
import pytest
from sharded_runs import held
from test_parallel_rows import child

from fairjax import fca
from fairjax.fca.points import squared_distances

N, ROW = 2**20, 32  # bytes of eight features


def assert_small(found, n):
    """Arguments are features, group, weight and label of each row, and a few rows that are looked at closely.

    While a pass runs, rival and margin come, too.
    """
    for name, n_bytes in found.items():
        assert n_bytes["arguments"] <= (ROW + 1 + 4 + 1 + 1) * n, name
        assert n_bytes["arguments"] + n_bytes["temporaries"] - n_bytes["aliases"] <= 1.5 * ROW * n, name


def test_iterations_hold_half_as_much_as_the_points():
    assert_small(held(N, None, ["iterations"]), N)


@pytest.mark.slow
def test_the_end_of_a_fit_does_too():
    found = held(4 * N, None)
    assert_small(found, 4 * N)
    # results included, of which labels are whole numbers of 32 bits
    assert all(sum(n_bytes.values()) <= 1.5 * ROW * 4 * N for n_bytes in found.values())


@pytest.mark.slow
def test_so_does_each_of_four_devices():
    """Of a quarter of the rows, and of all those that are looked at closely, which are few."""
    assert_small(child("held", 16 * N), 4 * N)


@pytest.mark.parametrize("fused", [False, True])
def test_a_pass_leaves_six_bytes_a_row(fused):
    """Labels and rivals take a byte each, by either kernel."""
    n = 2**15

    def found(X, groups, centers):
        points = fca.prepare(X, groups, n_groups=3, fused=fused)
        return points, squared_distances(points, centers).scan(jnp.zeros((3, len(centers))))

    given = [((n, 8), "f4"), ((n,), "i4"), ((10, 8), "f4")]
    leaves = jax.tree.leaves(jax.eval_shape(found, *(jax.ShapeDtypeStruct(*each) for each in given)))
    assert sum(leaf.size * leaf.dtype.itemsize for leaf in leaves if leaf.size >= n) == (ROW + 1 + 4 + 6) * n
