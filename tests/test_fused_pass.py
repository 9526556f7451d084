"""The pass as one GPU kernel, run by an interpreter, gives what the pass by XLA's operations gives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax import fca
from fairjax.assignment import control
from fairjax.fca.fused_pass_gpu import fits, in_one_read
from fairjax.fca.points import _by_blocks, squared_distances


def problem(n_blocks, block, d, n_clusters, n_groups, dtype=np.float32):
    """Whole numbers, of which sums are exact and many costs equal; the last points are padding."""
    rng = np.random.default_rng(block)
    features = rng.integers(-3, 4, (n_blocks, d, block)).astype(dtype)
    groups = rng.integers(0, n_groups, (n_blocks, block)).astype(np.int8)
    weights = rng.integers(1, 3, (n_blocks, block)).astype(dtype)
    weights[-1, -7:] = 0
    affine = rng.integers(-2, 3, (n_clusters, d + n_groups)).astype(dtype)
    return affine, features, groups, weights


@pytest.mark.parametrize(
    ("sizes", "dtype"),
    [
        pytest.param((1, 700, 3, 7, 2), np.float32, id="three spans, the last not full"),
        pytest.param((2, 256, 2, 3, 1), np.float32, id="two blocks of one span, one group"),
        pytest.param((1, 40, 3, 1, 3), np.float32, id="less than a tile, one cluster, three groups"),
        pytest.param((1, 700, 3, 7, 2), np.float64, id="double precision"),
        pytest.param((1, 700, 3, 7, 2), jnp.bfloat16, id="half precision"),
    ],
)
def test_a_pass(sizes, dtype):
    with jax.enable_x64(dtype == np.float64):
        given = problem(*sizes, dtype)
        found = jax.jit(partial(in_one_read, interpret=True, tiles=2))(*given)
        expected = jax.jit(_by_blocks)(*given)
    for one, other in zip(found, expected, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_array_equal(np.asarray(one, np.float64), np.asarray(other, np.float64))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("absent", [1, 3])
def test_absent_centers_have_no_points(fused, absent):
    """In a single block, too, where their costs are a product like all others."""
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(300, 2)).astype(np.float32), rng.integers(0, 2, 300)
    points = fca.prepare(X, groups, n_groups=2, fused=fused)
    source = squared_distances(points, X[:4] - points.mean, jnp.arange(4) != absent)
    found = jax.jit(source.scan)(jnp.zeros((2, 4)))
    distances = ((X[:, None] - X[:4]) ** 2).sum(-1)
    distances[:, absent] = np.inf
    np.testing.assert_array_equal(found.labels[:300], distances.argmin(1))
    np.testing.assert_allclose(found.cost, distances.min(1).mean(), rtol=1e-5)
    np.testing.assert_allclose(found.margins[:300], np.diff(np.sort(distances)[:, :2])[:, 0], atol=1e-4)


def test_prepared_points_choose():
    """The switch is part of the points; it goes unused where sums do not fit into registers."""
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(300, 2)).astype(np.float32), rng.integers(0, 2, 300)
    found = {}
    for fused in (False, True):
        points = fca.prepare(X, groups, n_groups=2, fused=fused)
        few = squared_distances(points, points.features[0, :, :3].T)
        found[fused] = few.scan(jnp.zeros((2, 3)))
        assert ("pallas_call" in str(jax.make_jaxpr(few.scan)(jnp.zeros((2, 3))))) == fused
    for one, other in zip(found[True], found[False], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert not fits(2, 2, 41, np.float32)
    many = squared_distances(points, points.features[0, :, :41].T)
    assert "pallas_call" not in str(jax.make_jaxpr(many.scan)(jnp.zeros((2, 41))))


def test_the_kernel_is_lowered_for_gpus():
    """Also inside of shard_map, without a GPU at hand."""
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    whole, rows = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("rows")

    def summed(*given):
        *of_points, sums, lowest = in_one_read(*given)
        return (*of_points, *jax.lax.psum((sums, lowest), "rows"))

    sharded = jax.shard_map(summed, mesh=mesh, in_specs=(whole, *[rows] * 3), out_specs=(*[rows] * 3, whole, whole))
    for function in (in_one_read, sharded):
        for dtype in (np.float32, jnp.bfloat16):
            given = problem(2, 20_000, 3, 4, 2, dtype)
            lowered = jax.jit(function).trace(*given).lower(lowering_platforms=("cuda",))
            assert "triton" in lowered.as_text()


@pytest.mark.slow
def test_a_fit():
    """The same clustering, with a certificate; also under vmap over starts."""
    rng = np.random.default_rng(1)
    X, groups = rng.normal(size=(3000, 2)).astype(np.float32), rng.integers(0, 2, 3000)
    starts = np.stack([X[:3], X[3:6]])

    @partial(jax.jit, static_argnames="fused")
    def fit(X, groups, starts, fused):
        points = fca.prepare(X, groups, n_groups=2, fused=fused)
        fairness = control(points.masses, epsilon=0.0)

        def one(start):
            state = fca.init(points, start, max_iter=20, n_open=256)
            return fca.finish(points, fairness, fca.run(points, fairness, state))

        return jax.vmap(one)(starts)

    found, expected = fit(X, groups, starts, True), fit(X, groups, starts, False)
    np.testing.assert_array_equal(found.assignment.status, 0)
    assert np.max(found.assignment.gap) <= 1e-5
    np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-4)
    np.testing.assert_allclose(found.history[:, 0], expected.history[:, 0], rtol=1e-5)
