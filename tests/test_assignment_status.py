"""What fair assignment says of problems without a result: statuses, NaN of losses, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from assignment_cases import K, M, N, assert_same, base
from assignment_oracle import BATCH, best_cost, solve

from fairjax import fair_assignment
from fairjax.assignment import MESSAGES
from fairjax.errors import InputError


@functools.cache
def traced():
    return jax.jit(lambda costs, groups, weights: fair_assignment(costs, groups, weights=weights))


def test_traced_groups_without_their_number():
    """Up to eight groups need not be counted; the rest have no points and change nothing."""
    problem = base("gap")[0][0]
    costs, groups, weights, _ = problem
    found = traced()(costs.astype(np.float32), groups, weights.astype(np.float32))
    expected = best_cost(problem._replace(control={"epsilon": 0.0}))
    assert found.multipliers.shape == (8, K)
    assert found.status == 0
    np.testing.assert_allclose([found.primal, found.dual], expected, rtol=2e-5)
    assert np.isfinite(np.asarray(found.multipliers)[:M]).all()


@pytest.mark.parametrize(
    "spoil",
    {
        "NaN cost": lambda costs, groups, weights: (costs.at[3, 1].set(jnp.nan), groups, weights),
        "infinite cost": lambda costs, groups, weights: (costs.at[3, 1].set(jnp.inf), groups, weights),
        "negative weight": lambda costs, groups, weights: (costs, groups, weights.at[2].set(-1)),
        "NaN weight": lambda costs, groups, weights: (costs, groups, weights.at[2].set(jnp.nan)),
        "infinite weight": lambda costs, groups, weights: (costs, groups, weights.at[2].set(jnp.inf)),
        "no weight": lambda costs, groups, weights: (costs, groups, 0 * weights),
        "group id 8": lambda costs, groups, weights: (costs, groups.at[1].set(8), weights),
        "group id -1": lambda costs, groups, weights: (costs, groups.at[1].set(-1), weights),
    }.items(),
    ids=lambda item: item[0],
)
def test_invalid_values_set_the_status(spoil):
    costs, groups, weights = (jnp.asarray(leaf) for leaf in base("gap")[0][0][:3])
    found = traced()(*spoil[1](costs.astype(jnp.float32), groups, weights.astype(jnp.float32)))
    assert int(found.status) == 3
    assert "invalid" in MESSAGES[3]
    for name in ("primal", "dual", "gap", "probabilities", "multipliers"):
        assert np.all(np.isnan(getattr(found, name))), name


def primal(costs, groups, floor):
    return fair_assignment(costs, groups, min_balance=floor, n_groups=M).primal


@functools.cache
def value_and_slope():
    return jax.jit(jax.value_and_grad(primal))


@pytest.mark.parametrize(
    ("groups", "floor", "finite"),
    [(np.arange(N) % M, 0.5, True), (np.arange(N) % M, 0.99, False), (np.arange(N) % 5, 0.5, False)],
    ids=["possible", "a floor that no assignment meets", "groups that were not announced"],
)
def test_a_loss_without_a_result_is_nan(groups, floor, finite):
    """No training step goes on with it unnoticed."""
    costs = np.random.default_rng(0).random((N, K)).astype(np.float32)
    value, slope = value_and_slope()(costs, groups, np.float32(floor))
    assert np.isfinite(value) == finite
    assert np.all(np.isfinite(slope)) == np.any(np.isfinite(slope)) == finite


def test_inside_of_shard_map():
    """As in data-parallel training, whether or not JAX checks along which axes values vary."""
    costs = np.random.default_rng(0).random((N, K)).astype(np.float32)
    groups, mesh = np.arange(N) % M, jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("data")
    expected = value_and_slope()(costs, groups, np.float32(0.5))
    for check in (True, False):
        split = jax.shard_map(
            lambda costs, groups: jax.value_and_grad(lambda costs: primal(costs, groups, 0.5))(costs)[1],
            mesh=mesh, in_specs=(spec, spec), out_specs=spec, check_vma=check,
        )  # fmt: skip
        np.testing.assert_allclose(jax.jit(split)(costs, groups), expected[1], atol=1e-6)


def test_bad_member_leaves_its_batch_alone():
    problems, expected = base("gap")
    costs = problems[5].costs.copy()
    costs[0, 0] = np.nan
    found = solve([*problems[:5], problems[5]._replace(costs=costs), *problems[6:]], M)
    others = np.arange(BATCH) != 5
    assert found.status[5] == 3
    assert_same(*(jax.tree.map(lambda leaf: leaf[others], batch) for batch in (found, expected)))


def test_unreachable_controls_set_the_status():
    problem = base("balance")[0][0]
    masses = np.bincount(problem.groups, problem.weights)
    best = masses.min() / masses.max()
    levels = [best, best * 1.001, 1.0 if best < 1 else 1.1, -0.1]
    found = solve([problem._replace(control={"min_balance": level}) for level in levels], M)
    assert found.status.tolist() == [0, 2, 2, 2]
    masses = masses / masses.sum()
    shares = [(masses, masses), (masses + 0.01, np.ones(M)), (np.zeros(M), masses - 0.01)]
    found = solve([problem._replace(control={"lower": low, "upper": up}) for low, up in shares], M)
    assert found.status.tolist() == [0, 2, 2]
    found = solve([problem._replace(control={"epsilon": -0.1})], M)
    assert found.status.tolist() == [2]


COSTS, GROUPS = np.ones((4, 2), np.float32), np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((COSTS[0], GROUPS), {}, "costs has shape"),
        ((COSTS[:0], GROUPS[:0]), {}, "costs has shape"),
        ((COSTS, GROUPS[:3]), {}, "groups has shape"),
        ((COSTS, GROUPS), {"weights": np.ones(3)}, "weights has shape"),
        ((COSTS, GROUPS.astype(float)), {}, "integer"),
        ((COSTS, np.array(list("aabb"))), {}, "integer"),
        ((COSTS, GROUPS - 1), {}, "-1"),
        ((COSTS, GROUPS + 1), {"n_groups": 2}, "n_groups=2"),
        ((COSTS, GROUPS), {"epsilon": 0.1, "min_balance": 0.5}, "epsilon and min_balance"),
        ((COSTS, GROUPS), {"min_balance": 0.5, "upper": 0.5}, "min_balance and bounds"),
        ((COSTS, GROUPS), {"epsilon": 0.1, "lower": 0.5}, "epsilon and bounds"),
    ],
)
def test_errors_say_what_is_wrong(arguments, keywords, message):
    with pytest.raises(InputError, match=message):
        fair_assignment(*arguments, **keywords)
