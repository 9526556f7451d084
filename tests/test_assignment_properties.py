"""What must hold of fair assignment whatever the data: symmetries, batching, padding, monotony, extreme shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from assignment_cases import CERTIFIED, UNIQUE, K, M, N, assert_same, base
from assignment_oracle import BATCH, FORMS, Instance, best_cost, group_counts, instances, pick, solve, violation

from fairjax import fair_assignment
from fairjax.assignment import solving


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
