"""The joint cost, the decomposition behind it, and partitions of the alignment route."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from assignment_oracle import Instance, best_cost
from test_fca_alignment import KEY, SOLVER, D, K, data, iterations, settings

from fairjax import ot
from fairjax.fca import alignment
from fairjax.fca.alignment import (
    Parameters,
    coupling,
    joint_cost,
    partition,
)

# --- the joint cost -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("weight", [1.0, 2.0, 0.5])
def test_joint_cost_is_the_direct_formula(dtype, rounding, weight):
    d = data(dtype=dtype)
    x, y = d.X[d.groups == 0], d.X[d.groups == 1]
    p, q = len(x) / len(d.X), len(y) / len(d.X)
    with jax.enable_x64(dtype == np.float64):
        left = p * joint_cost.squared_distances(x, d.centers)
        right = q * joint_cost.squared_distances(y, d.centers)
        found = joint_cost.joint_cost(left, right, jnp.asarray(x), jnp.asarray(y), dtype((weight - 1) * p * q))
        label = joint_cost.min_plus_argument(left, right)
    x, y, centers = (values.astype(float) for values in (x, y, d.centers))
    aligned = p * x[:, None] + q * y[None]
    near = ((aligned[:, :, None] - centers) ** 2).sum(-1)
    wanted = weight * p * q * ((x[:, None] - y[None]) ** 2).sum(-1) + near.min(-1)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=0, atol=rounding * wanted.max())
    assert np.mean(label == near.argmin(-1)) >= 1 - (0 if dtype == np.float64 else 0.01)


def test_transport_at_weight_1_is_the_linear_programme_of_fair_assignment(x64):
    """The identity of the direct route, with HiGHS on its side: groups meet in the K clusters, and nowhere else."""
    d = data()
    distances = ((d.X[:, None] - d.centers) ** 2).sum(-1)
    first, second = ((d.groups == s).mean() * distances[d.groups == s] for s in (0, 1))
    found = getattr(ot, SOLVER)(ot.Factors(first, second))
    best = best_cost(Instance(distances, d.groups, np.ones(len(d.X)), {"epsilon": 0.0}))
    assert float(found.primal) == pytest.approx(best, rel=1e-9)


def test_theorem_3_1_decomposition(x64):
    """The k-means cost of pairs that share clusters is their transport plus the k-means cost of aligned points."""
    problem, states = iterations(data(), settings(scheme="refine"), 1)
    tuples = states[0].tuples
    distances = joint_cost.squared_distances(problem.X, states[0].centers)
    masses = coupling.assign(tuples, distances, problem.shares)
    cost = jnp.sum(masses * distances * problem.shares[:, None])
    points = coupling.aligned_points(tuples, problem.X, problem.shares)
    nearest = jnp.min(joint_cost.squared_distances(points.reshape(-1, D), states[0].centers), -1)
    apart = coupling.spread(tuples, problem.X, problem.shares)
    assert float(cost) == pytest.approx(float(apart + nearest @ tuples.mass.reshape(-1)), rel=1e-12)


# --- partitions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_blocks", [1, 3, 7, 60])
def test_partition_shares_every_point_out(n_blocks):
    problem = alignment.prepare(data().X, data().groups)
    for block, ids in zip(
        partition.deal(KEY, problem.members, len(problem.X), n_blocks, jnp.float32), problem.members, strict=True
    ):
        np.testing.assert_allclose(block.masses.sum(1), 1 / n_blocks, rtol=1e-5)
        held = np.bincount(block.points.ravel(), block.masses.ravel(), len(problem.X) + 1)
        np.testing.assert_allclose(held[np.asarray(ids)], 1 / len(ids), rtol=1e-5)
        assert block.points.shape[1] <= -(-len(ids) // n_blocks) + 1
        split = np.bincount(block.points.ravel(), minlength=len(problem.X) + 1)[:-1]
        assert np.maximum(split - 1, 0).sum() <= n_blocks - 1


def test_block_count_is_that_of_the_authors():
    assert partition.block_count([10771, 21790], 1024) == 10
    assert partition.block_count([24928, 16180], 1024) == 15
    assert partition.block_count([10, 20], 1024) == 1


def marginals(problem, points, mass):
    held = np.zeros(len(problem.X) + 1)
    for side in (0, 1):
        np.add.at(held, np.asarray(points)[..., side].ravel(), np.asarray(mass).ravel())
    return held[:-1]


@pytest.mark.slow
def test_regrouping_keeps_the_coupling(x64):
    problem = alignment.prepare(data().X, data().groups)
    n_points, wanted = len(problem.X), np.zeros(len(problem.X))
    for ids in problem.members:
        wanted[np.asarray(ids)] = 1 / len(ids)
    points, mass = partition.random_pairs(KEY, problem.members, problem.X.dtype)
    np.testing.assert_allclose(marginals(problem, points, mass), wanted, rtol=1e-12)
    assert np.sum(mass > 0) <= len(problem.X) - 1
    order = jax.random.normal(jax.random.key(1), mass.shape)
    found = partition.regroup(points, mass, order, n_points, 3, (30, 20))
    np.testing.assert_allclose(marginals(problem, found.points, found.mass), wanted, rtol=1e-12)
    for block in (found.left, found.right):
        fits = np.asarray(found.fits)
        np.testing.assert_allclose(block.masses.sum(1)[fits], found.mass.sum(1)[fits], rtol=1e-12)
        assert not block.masses[~fits].any()
    tight = partition.regroup(points, mass, order, n_points, 3, (39, 2))
    assert not tight.fits.any()


def test_a_part_of_every_cluster(x64):
    problem = alignment.prepare(data().X, data().groups)
    n_points, n_blocks, rng = len(problem.X), 3, np.random.default_rng(0)
    masses = np.zeros((n_points, K))
    for ids in problem.members:
        # points of both groups, a few of them split, with the same mass in every cluster
        each = np.repeat(np.eye(K), 1000, 0)[rng.permutation(K * 1000)]
        masses[ids] = np.add.reduceat(each, np.arange(len(ids)) * len(each) // len(ids)) / len(each)
    left, right, fits = partition.within_clusters(KEY, problem.members, jnp.asarray(masses), n_blocks, (41, 23))
    assert fits
    for block, ids in zip((left, right), problem.members, strict=True):
        np.testing.assert_allclose(block.masses.sum(1), 1 / n_blocks, rtol=1e-12)
        held = np.bincount(block.points.ravel(), block.masses.ravel(), n_points + 1)
        np.testing.assert_allclose(held[np.asarray(ids)], masses[ids].sum(1), rtol=1e-12)
    assert not partition.within_clusters(KEY, problem.members, jnp.asarray(masses), n_blocks, (41, 5))[2]


def test_a_point_with_thousands_of_partners_keeps_its_mass():
    """In single precision; blocks whose masses disagreed would be no transport problem."""
    sizes, n_blocks = (5000, 3), 3
    members = jnp.arange(5000), jnp.arange(5000, 5003)

    @jax.jit
    def dealt():
        points, mass = partition.random_pairs(KEY, members, jnp.float32)
        return partition.regroup(points, mass, jnp.arange(len(mass)), sum(sizes), n_blocks, (2420, 3))

    found = dealt()
    assert found.fits.all()
    left, right = (np.asarray(block.masses, float) for block in (found.left, found.right))
    np.testing.assert_allclose(left.sum(1), right.sum(1), rtol=1e-6)
    held = np.bincount(np.asarray(found.right.points).ravel(), right.ravel(), sum(sizes) + 1)
    np.testing.assert_allclose(held[5000:5003], 1 / 3, rtol=1e-6)


def test_duals_belong_to_points(x64):
    """What a transport leaves with the points is feasible for their block, and worth what the plan costs."""
    d = data()
    problem, (state,) = iterations(d, settings(), 1)
    blocks = partition.deal(KEY, problem.members, len(problem.X), 3, problem.X.dtype)
    build = jax.jit(alignment.block_costs, static_argnums=1)
    parameters, start = Parameters(transport_weight=2.0), jnp.asarray(d.centers) - problem.mean
    costs, _ = build(problem, settings(), parameters, start, coupling.alone(blocks[0]), blocks[1])
    times = sum(np.bincount(block.points.ravel(), minlength=len(problem.X) + 1) for block in blocks)
    whole = [np.asarray((block.masses > 0) & (times[block.points] == 1)) for block in blocks]
    f, g = (np.asarray(state.potentials)[np.minimum(block.points, len(problem.X) - 1)] for block in blocks)
    slack = np.asarray(costs) - f[:, :, None] - g[:, None]
    inside = whole[0][:, :, None] & whole[1][:, None]
    assert slack[inside].min() >= -1e-9
    # tight somewhere in nearly every row: the duals are those of an optimum, not just feasible
    tight = np.where(inside, slack, np.inf).min(2)[whole[0]] < 1e-9
    assert tight.mean() > 0.8
