"""What must hold of fair assignment whatever the data: symmetries, batching, padding, monotony, status, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from assignment_oracle import BATCH, FORMS, Instance, best_cost, group_counts, instances, pick, solve, violation

from fairjax import fair_assignment
from fairjax.assignment import MESSAGES, solving
from fairjax.errors import InputError

N, K, M = 20, 4, 3
# The optimum is unique with probability one.
UNIQUE = ("generic", "weighted", "unordered")
# Two certified values of one optimum differ by at most two gaps.
CERTIFIED = 2e-6


@functools.cache
def base(form):
    problems = instances(form, BATCH, N, K, M, 3, kinds=UNIQUE)
    return problems, solve(problems, M)


def assert_same(found, expected, *, scale=1.0, plus=0.0, reordered=False):
    """Same labels, and values that agree within their certificates after scaling and shifting.

    Of points or clusters that have been ``reordered`` only the split ones may be rounded otherwise: where two clusters
    lack equally much, the first of them gets the point.
    """
    assert not np.any(found.status)
    # of 20 points, with bounds kept to 1e-7 of the weight
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=20 * 1e-7 * 2)
    compared = (found.probabilities.max(-1) > 1 - 1e-9) | (not reordered)
    otherwise = np.any(compared & (found.labels != expected.labels), -1)
    # in another order a split of one point that costs nothing may fall on another
    assert np.mean(otherwise) <= (2 / BATCH if reordered else 0)
    size = np.abs(expected.primal * scale) + np.abs(plus)
    assert np.all(abs(found.primal - (expected.primal * scale + plus)) <= CERTIFIED * size)
    assert np.all(abs(found.dual - (expected.dual * scale + plus)) <= CERTIFIED * size)


def in_order(batch, order):
    return batch._replace(labels=batch.labels[:, order], probabilities=batch.probabilities[:, order])


def regrouped(control, renamed):
    """Control of the groups under new ids, ``renamed[old]``."""
    old = np.argsort(renamed)
    return {name: value[old] if np.ndim(value) else value for name, value in control.items()}


# Symmetries


@pytest.mark.parametrize("form", FORMS)
def test_order_of_points(form):
    problems, expected = base(form)
    order = np.random.default_rng(0).permutation(N)
    moved = [p._replace(costs=p.costs[order], groups=p.groups[order], weights=p.weights[order]) for p in problems]
    assert_same(solve(moved, M), in_order(expected, order), reordered=True)


@pytest.mark.parametrize("form", FORMS)
def test_names_of_groups(form):
    problems, expected = base(form)
    renamed = np.array([2, 0, 1])
    moved = [
        p._replace(groups=renamed[p.groups].astype(np.int32), control=regrouped(p.control, renamed)) for p in problems
    ]
    assert_same(solve(moved, M), expected)


@pytest.mark.parametrize("form", FORMS)
def test_order_of_clusters(form):
    problems, expected = base(form)
    order = np.array([3, 1, 0, 2])
    moved = [p._replace(costs=p.costs[:, order]) for p in problems]
    expected = expected._replace(
        labels=np.argsort(order)[expected.labels], probabilities=expected.probabilities[..., order]
    )
    assert_same(solve(moved, M), expected, reordered=True)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("form", FORMS)
def test_scale_of_costs(form, scale):
    problems, expected = base(form)
    assert_same(solve([p._replace(costs=p.costs * scale) for p in problems], M), expected, scale=scale)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scale_of_costs_in_single_precision(scale):
    problems = instances("gap", BATCH, N, K, M, 3, kinds=UNIQUE, dtype=np.float32)
    expected = solve(problems, M, np.float32)
    found = solve([p._replace(costs=p.costs * np.float32(scale)) for p in problems], M, np.float32)
    assert not np.any(found.status)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.primal, expected.primal * scale, rtol=2e-5)


@pytest.mark.parametrize("scale", [1e-3, 1e4])
@pytest.mark.parametrize("form", FORMS)
def test_scale_of_weights(form, scale):
    problems, expected = base(form)
    assert_same(solve([p._replace(weights=p.weights * scale) for p in problems], M), expected)


@pytest.mark.parametrize("form", FORMS)
def test_constant_per_point(form):
    problems, expected = base(form)
    extra = np.random.default_rng(1).exponential(size=N)
    moved = [p._replace(costs=p.costs + extra[:, None]) for p in problems]
    plus = np.array([np.average(extra, weights=p.weights) for p in problems])
    assert_same(solve(moved, M), expected, plus=plus)


# Padding, batching, precision


def with_room(problem):
    """The problem with bounds that more than one assignment of shares can meet."""
    room = {"min_balance": lambda b: 0.9 * b, "lower": lambda l: 0.9 * l, "upper": lambda u: 1.1 * u}
    return problem._replace(control={name: room.get(name, lambda e: e)(at) for name, at in problem.control.items()})


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_weight_zero_do_not_matter(form):
    """Whatever stands in them, and even if they are all there is of a group."""
    problems = [with_room(p) for p in instances(form, BATCH, N, K, M, 4, kinds=("padded",))]
    expected = solve(problems, M)
    rng = np.random.default_rng(2)
    changed = []
    for p in problems:
        empty = p.weights == 0
        costs, groups = p.costs.copy(), p.groups.copy()
        costs[empty] = 100 * rng.normal(size=(empty.sum(), K))
        groups[empty] = rng.integers(M)
        changed.append(p._replace(costs=costs, groups=groups))
    found = solve(changed, M)
    real = np.stack([p.weights > 0 for p in problems])
    assert not np.any(found.status)
    np.testing.assert_array_equal(found.labels[real], expected.labels[real])
    np.testing.assert_allclose(found.primal, expected.primal, rtol=CERTIFIED)


@pytest.mark.parametrize("form", FORMS)
def test_group_without_points(form):
    """A third group that no point belongs to leaves the problem of the other two."""
    problems = instances(form, BATCH, N, K, M, 5, kinds=UNIQUE)
    problems = [p._replace(groups=np.minimum(p.groups, 1)) for p in problems]
    for index, p in enumerate(problems):
        masses = np.bincount(p.groups, p.weights, M) / p.weights.sum()
        control = {
            "gap": p.control,
            "balance": {"min_balance": 0.7 * masses[:2].min() / masses.max()},
            "shares": {"lower": 0.7 * masses, "upper": 1 - 0.7 * (1 - masses)},
        }[form]
        problems[index] = p._replace(control=control)
    found = solve(problems, M)
    assert not np.any(found.status)
    np.testing.assert_allclose(found.primal, [best_cost(p) for p in problems], rtol=CERTIFIED)


def test_unbatched_and_padded_alike():
    """One problem without vmap; the same with 5 rows of padding is the batch's shape."""
    problems, _ = base("gap")
    short = [p._replace(costs=p.costs[:15], groups=p.groups[:15], weights=p.weights[:15]) for p in problems]
    padded = [
        p._replace(
            costs=np.pad(p.costs, ((0, 5), (0, 0)), constant_values=7.0),
            groups=np.pad(p.groups, (0, 5)),
            weights=np.pad(p.weights, (0, 5)),
        )
        for p in short
    ]
    batch = solve(padded, M)
    one = jax.jit(
        lambda costs, groups, weights, epsilon: fair_assignment(
            costs, groups, weights=weights, n_groups=M, epsilon=epsilon
        )
    )
    with jax.enable_x64(True):
        for index in range(3):
            p = short[index]
            alone = jax.tree.map(np.asarray, one(p.costs, p.groups, p.weights, p.control["epsilon"]))
            member = pick(batch, index)
            assert alone.status == member.status == 0
            np.testing.assert_array_equal(alone.labels, member.labels[:15])
            np.testing.assert_allclose(alone.primal, member.primal, rtol=1e-9)
            np.testing.assert_allclose(alone.dual, member.dual, rtol=CERTIFIED)
            np.testing.assert_allclose(alone.probabilities, member.probabilities[:15], atol=1e-6)


@pytest.mark.slow
def test_without_compilation():
    """Operation by operation; lists of integers are costs too."""
    with jax.disable_jit():
        found = fair_assignment([[0, 1], [0, 3], [2, 0], [2, 0]], [0, 0, 1, 1])
    assert found.status == 0
    assert found.labels.tolist() in ([1, 0, 0, 1], [1, 0, 1, 0])  # the last two points are the same
    assert float(found.primal) == pytest.approx(0.75, rel=1e-5)


def test_precisions_agree():
    problems = instances("gap", BATCH, N, K, M, 3, kinds=UNIQUE, dtype=np.float32)
    single, double = solve(problems, M, np.float32), solve(problems, M)
    assert single.primal.dtype == np.float32
    assert double.primal.dtype == np.float64
    np.testing.assert_allclose(single.primal, double.primal, rtol=2e-5)
    np.testing.assert_allclose(single.dual, double.dual, rtol=2e-5)
    # two roundings may be equally good (see assert_same)
    assert np.mean(np.any(single.labels != double.labels, -1)) <= 2 / BATCH


# The controls


def test_more_gap_costs_less():
    problem = base("gap")[0][0]
    levels = np.linspace(0, 2, BATCH)
    found = solve([problem._replace(control={"epsilon": level}) for level in levels], M)
    assert not np.any(found.status)
    assert np.all(np.diff(found.primal) <= CERTIFIED * found.primal[:-1])
    # the optimum is convex in the gap
    assert np.all(np.diff(found.primal, 2) >= -4 * CERTIFIED * found.primal[0])
    assert found.primal[0] > 1.01 * found.primal[-1]


def test_more_balance_costs_more():
    problem = base("balance")[0][0]
    masses = np.bincount(problem.groups, problem.weights)
    levels = np.linspace(0.02, 0.99, BATCH) * masses.min() / masses.max()
    found = solve([problem._replace(control={"min_balance": level}) for level in levels], M)
    assert not np.any(found.status)
    assert np.all(np.diff(found.primal) >= -CERTIFIED * found.primal[:-1])
    assert found.primal[-1] > 1.01 * found.primal[0]


@pytest.mark.parametrize("form", ["gap", "shares"])
def test_loose_control_gives_cheapest_clusters(form):
    problems, _ = base(form)
    free = {"gap": {"epsilon": 2.0}, "shares": {"lower": np.zeros(M), "upper": np.ones(M)}}[form]
    found = solve([p._replace(control=free) for p in problems], M)
    assert not np.any(found.status)
    np.testing.assert_array_equal(found.labels, np.stack([p.costs.argmin(1) for p in problems]))
    expected = [np.average(p.costs.min(1), weights=p.weights) for p in problems]
    np.testing.assert_allclose(found.primal, expected, rtol=CERTIFIED)


@pytest.mark.slow
def test_no_floor_gives_cheapest_clusters():
    with jax.enable_x64(True):
        for p in base("balance")[0][:4]:
            found = fair_assignment(p.costs, p.groups, weights=p.weights, min_balance=0.0, n_groups=M)
            assert found.status == 0
            np.testing.assert_array_equal(found.labels, p.costs.argmin(1))


def test_gap_of_the_cheapest_clusters_is_enough():
    problems, _ = base("gap")
    loose = []
    for p in problems:
        counts = group_counts(p, np.eye(K)[p.costs.argmin(1)], M)
        loose.append(p._replace(control={"epsilon": violation(p._replace(control={"epsilon": 0.0}), counts) + 1e-6}))
    found = solve(loose, M)
    assert not np.any(found.status)
    expected = [np.average(p.costs.min(1), weights=p.weights) for p in problems]
    np.testing.assert_allclose(found.primal, expected, rtol=CERTIFIED)


def test_perfect_fairness_is_one_thing():
    """No gap, the best balance of groups of equal size and shares equal to those of the whole."""
    problems = [
        p._replace(groups=(np.arange(N) % 2).astype(np.int32), weights=np.ones(N), control={"epsilon": 0.0})
        for p in base("gap")[0]
    ]
    halves = np.array([0.5, 0.5, 0.0])
    expected = solve(problems, M)
    balanced = solve([p._replace(control={"min_balance": 1.0}) for p in problems], M)
    shared = solve([p._replace(control={"lower": halves, "upper": halves}) for p in problems], M)
    for found in (balanced, shared):
        np.testing.assert_allclose(found.primal, expected.primal, rtol=CERTIFIED)


# Extreme shapes


def test_one_cluster():
    with jax.enable_x64(True):
        costs = np.random.default_rng(0).normal(size=(6, 1))
        groups = np.array([0, 0, 1, 1, 2, 2])
        found = jax.jit(lambda costs: fair_assignment(costs, groups))(costs)
        assert found.status == 0
        np.testing.assert_array_equal(found.labels, np.zeros(6))
        np.testing.assert_array_equal(found.probabilities, np.ones((6, 1)))
        np.testing.assert_allclose([found.primal, found.dual], costs.mean(), rtol=1e-12)


def test_as_many_clusters_as_points():
    with jax.enable_x64(True):
        X = np.random.default_rng(0).normal(size=(8, 2))
        costs = ((X[:, None] - X[None]) ** 2).sum(-1)
        groups = np.arange(8) % 2
        found = jax.jit(lambda costs: fair_assignment(costs, groups))(costs)
        reference = best_cost(Instance(costs, groups, np.ones(8), {"epsilon": 0.0}))
        assert found.status == 0
        np.testing.assert_allclose([found.primal, found.dual], reference, rtol=1e-6)


def test_one_point():
    found = jax.jit(lambda costs: fair_assignment(costs, np.array([0])))(jnp.array([[3.0, 1.0, 2.0]]))
    assert found.status == 0
    assert found.labels.tolist() == [1]
    assert float(found.primal) == 1


def test_screening_equals_looking_at_all(monkeypatch):
    rng = np.random.default_rng(0)
    n, k, m = 10_000, 5, 3
    X = rng.normal(size=(n, 2)).astype(np.float32)
    groups = (rng.random(n) < 0.3 + 0.4 * (X[:, 0] > 0)).astype(np.int32) + (rng.random(n) < 0.2)
    centers = rng.normal(size=(k, 2)).astype(np.float32)
    costs = ((X[:, None] - centers) ** 2).sum(-1)
    monkeypatch.setattr(solving, "_ALL_OPEN", n - 1)
    monkeypatch.setattr(solving, "_OPEN", 2_000)
    found = jax.jit(lambda costs: fair_assignment(costs, groups))(costs)
    monkeypatch.setattr(solving, "_ALL_OPEN", n)
    expected = jax.jit(lambda costs: fair_assignment(costs, groups))(costs)
    assert found.status == expected.status == 0
    np.testing.assert_allclose(found.primal, expected.primal, rtol=2e-5)
    np.testing.assert_allclose(found.dual, expected.dual, rtol=2e-5)
    assert np.mean(found.labels != expected.labels) < 1e-3
    counts = np.stack([np.bincount(np.asarray(found.labels)[groups == s], minlength=k) for s in range(m)])
    wanted = group_counts(Instance(costs, groups, np.ones(n), {}), found.probabilities, m) * n
    assert np.all(abs(counts - wanted) < 1.1)


def test_masses_of_duplicates():
    """20,000 rows of five kinds: the programme of the kinds, weighted, is the oracle."""
    rng = np.random.default_rng(0)
    n, k = 20_000, 4
    kinds = rng.integers(0, 5, n)
    groups = (rng.random(n) < np.array([0.2, 0.4, 0.5, 0.6, 0.9])[kinds]).astype(np.int32)
    table = rng.exponential(size=(5, k)).astype(np.float32)
    found = jax.jit(lambda costs: fair_assignment(costs, groups))(table[kinds])
    weights = np.bincount(2 * kinds + groups, minlength=10).astype(float)
    whole = Instance(np.repeat(table, 2, 0), np.tile([0, 1], 5), weights, {"epsilon": 0.0})
    assert found.status == 0
    np.testing.assert_allclose([found.primal, found.dual], best_cost(whole), rtol=1e-5)
    probabilities = np.asarray(found.probabilities, float)
    profiles = np.stack([probabilities[groups == s].mean(0) for s in (0, 1)])
    assert np.abs(profiles[0] - profiles[1]).sum() < 5e-5
    counts = np.stack([np.bincount(np.asarray(found.labels)[groups == s], minlength=k) for s in (0, 1)])
    sizes = np.bincount(groups)[:, None]
    assert np.all(abs(counts - profiles * sizes) < 1.1)


# Status and errors


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
