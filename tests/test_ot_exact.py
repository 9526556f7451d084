"""Exact transport, native and on the host: oracles, certificates, basic plans, padding, transforms."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import ot as pot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ot_cases import SHAPE, SOLVERS, best_cost, is_forest, simplex
from scipy.optimize import linear_sum_assignment, linprog

from fairjax import ot
from fairjax.errors import InputError


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def assert_proven(solution, costs, a, b, rtol=1e-9):
    """The certificate, checked from scratch: marginals, feasible duals, values, and that the plan is basic."""
    plan, f, g = (np.asarray(leaf, float) for leaf in (solution.plan, solution.f, solution.g))
    assert int(solution.status) == 0
    assert plan.min() >= 0
    scale = np.abs(costs).max() or 1.0
    np.testing.assert_allclose(plan.sum(1), a, atol=rtol * a.sum())
    np.testing.assert_allclose(plan.sum(0), b, atol=rtol * a.sum())
    inside = np.ix_(a > 0, b > 0)
    assert (costs - f[:, None] - g)[inside].min() >= -rtol * scale
    assert float(solution.primal) == pytest.approx(
        np.sum(plan * np.where((a > 0)[:, None] & (b > 0), costs, 0)), rel=rtol
    )
    assert float(solution.dual) == pytest.approx(a @ f + b @ g, rel=rtol, abs=rtol * scale * a.sum())
    assert is_forest(plan)


COSTS = {
    "random": lambda rng, n, m: rng.random((n, m)),
    "equal": lambda rng, n, m: np.full((n, m), 3.0),
    "zeros": lambda rng, n, m: np.zeros((n, m)),
    "grid": lambda rng, n, m: rng.integers(0, 3, (n, m)).astype(float),
    "duplicates": lambda rng, n, m: np.abs(rng.integers(0, 3, n)[:, None] - rng.integers(0, 3, m)).astype(float),
    "negative": lambda rng, n, m: rng.normal(size=(n, m)) - 5,
    "large": lambda rng, n, m: 1e12 * rng.random((n, m)),
    "tiny": lambda rng, n, m: 1e-12 * rng.random((n, m)),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", COSTS)
def test_against_pot(solver, kind):
    rng = np.random.default_rng(0)
    costs = np.stack([COSTS[kind](rng, *SHAPE) for _ in range(4)])
    a = np.stack([np.full(6, 1 / 6)] * 2 + [simplex(rng, 6)] * 2)
    b = np.stack([np.full(9, 1 / 9)] * 2 + [simplex(rng, 9)] * 2)
    found = SOLVERS[solver](costs, a, b)
    for k in range(4):
        one = jax.tree.map(lambda leaf, k=k: leaf[k], found)
        assert_proven(one, costs[k], a[k], b[k])
        assert float(one.primal) == pytest.approx(
            best_cost(costs[k], a[k], b[k]), rel=1e-9, abs=1e-9 * np.abs(costs).max()
        )


def test_against_highs():
    rng = np.random.default_rng(1)
    n, m = SHAPE
    costs, a, b = rng.random(SHAPE), simplex(rng, n), simplex(rng, m)
    marginals = np.concatenate([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    best = linprog(costs.ravel(), A_eq=marginals, b_eq=np.concatenate([a, b])).fun
    found = ot.exact(costs.T, b, a)
    assert float(found.primal) == pytest.approx(best, rel=1e-9)
    assert_proven(found, costs.T, b, a)


@pytest.mark.parametrize("n_features", [3, 20])
def test_costs_as_thin_factors(n_features):
    rng = np.random.default_rng(15)
    (n, m), weight = SHAPE, np.array([0.0, 0.25, 1.0, 2.0])
    left, right = rng.random((4, n, 5)), rng.random((4, m, 5))
    x, y = rng.normal(size=(4, n, n_features)), rng.normal(size=(4, m, n_features))
    through = (left[:, :, None] + right[:, None]).min(-1)
    apart = ((x[:, :, None] - y[:, None]) ** 2).sum(-1)
    for factors, costs in (
        (ot.Factors(left, right, x, y, weight), through + weight[:, None, None] * apart),
        (ot.Factors(left, right), through),
        (ot.Factors(x=x, y=y), apart),
    ):
        found, wanted = ot.exact(factors), ot.exact(costs)
        np.testing.assert_allclose(found.primal, wanted.primal, rtol=1e-12)
        np.testing.assert_allclose(found.plan, wanted.plan, atol=1e-12)


def test_gradient_reaches_the_factors():
    """Moving a point changes the cost by what the plan sends from it."""
    rng = np.random.default_rng(16)
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(9, 3))
    slope = jax.grad(lambda x: ot.exact(ot.Factors(x=x, y=y)).primal)(jnp.asarray(x))
    plan = np.asarray(ot.exact(ot.Factors(x=x, y=y)).plan)
    np.testing.assert_allclose(slope, 2 * (plan.sum(1)[:, None] * x - plan @ y), atol=1e-12)


def test_assignment_is_a_permutation():
    costs = np.random.default_rng(2).random((4, 32, 32))
    found = ot.exact(costs)
    for k in range(4):
        rows, cols = linear_sum_assignment(costs[k])
        assert float(found.primal[k]) == pytest.approx(costs[k][rows, cols].mean(), rel=1e-12)
        assert np.count_nonzero(found.plan[k]) == 32


@pytest.mark.parametrize("solver", SOLVERS)
def test_masses_over_twelve_orders(solver):
    rng = np.random.default_rng(3)
    a, b = 10.0 ** rng.uniform(-12, 0, 6), 10.0 ** rng.uniform(-12, 0, 9)
    b *= a.sum() / b.sum()
    costs = rng.random(SHAPE)
    assert_proven(SOLVERS[solver](costs, a, b), costs, a, b)


@pytest.mark.parametrize("solver", SOLVERS)
def test_masses_over_twelve_orders_in_single_precision(solver):
    """What rounding leaves between the sums of a and b exceeds the least masses; they are served all the same."""
    rng = np.random.default_rng(17)
    n, m, eps = 100, 150, np.finfo(np.float32).eps
    costs = rng.random((8, n, m)).astype(np.float32)
    a, b = 10.0 ** rng.uniform(-12, 0, (8, n)), 10.0 ** rng.uniform(-12, 0, (8, m))
    a, b = (a / a.sum(1, keepdims=True)).astype(np.float32), (b / b.sum(1, keepdims=True)).astype(np.float32)
    found = SOLVERS[solver](costs, a, b)
    assert found.status.tolist() == [0] * 8
    plan = np.asarray(found.plan, float)
    # a mass is the sum of at most n + m roundings
    np.testing.assert_allclose(plan.sum(2), a, rtol=(n + m) * eps)
    np.testing.assert_allclose(plan.sum(1), b, rtol=(n + m) * eps)
    for k in range(8):
        best = best_cost(*(one[k].astype(float) / one[k].sum(dtype=float) ** (one.ndim == 2) for one in (costs, a, b)))
        assert float(found.primal[k]) == pytest.approx(best, rel=1e-5)
        assert is_forest(plan[k])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(COSTS)), st.booleans())
def test_any_problem_is_proven(seed, kind, padded):
    rng = np.random.default_rng(seed)
    costs, a, b = COSTS[kind](rng, *SHAPE), rng.integers(1, 4, 6).astype(float), rng.integers(1, 4, 9).astype(float)
    if padded:
        a[rng.integers(6)] = b[rng.integers(9)] = 0
    a, b = a / a.sum(), b / b.sum()
    found = ot.exact(costs, a, b)
    assert_proven(found, costs, a, b)
    best = best_cost(costs, a, b)
    assert float(found.primal) == pytest.approx(best, rel=1e-9, abs=1e-9 * np.abs(costs).max())


@pytest.mark.parametrize("solver", SOLVERS)
def test_padding_changes_nothing(solver):
    rng = np.random.default_rng(4)
    costs, a, b = rng.random(SHAPE), np.r_[simplex(rng, 4), 0, 0], np.r_[simplex(rng, 7), 0, 0]
    plain = SOLVERS[solver](costs, a, b)
    costs[4], costs[5], costs[:, 7], costs[:, 8] = np.nan, 1e300, -1e300, np.inf
    found = SOLVERS[solver](costs, a, b)
    np.testing.assert_array_equal(found.plan, plain.plan)
    assert float(found.primal) == pytest.approx(best_cost(costs[:4, :7], a[:4], b[:7]), rel=1e-12)
    assert not np.any(found.plan[4:])
    assert not np.any(found.f[4:])
    assert not np.any(found.g[7:])


@pytest.mark.parametrize("solver", SOLVERS)
def test_batch_jitted_vmap_and_loop_agree(solver):
    costs = np.random.default_rng(5).random((2, 2, *SHAPE))
    solve = SOLVERS[solver]
    batch, loop = solve(costs), solve(costs[1, 0])
    mapped = jax.jit(jax.vmap(jax.vmap(solve)))(costs)
    np.testing.assert_allclose(mapped.plan, batch.plan, atol=1e-15)
    np.testing.assert_allclose(batch.plan[1, 0], loop.plan, atol=1e-15)
    assert batch.status.shape == (2, 2)


@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_start_from_good_and_bad_duals(solver):
    rng = np.random.default_rng(6)
    costs = rng.random(SHAPE)
    cold = SOLVERS[solver](costs)
    for f, g in ((cold.f, cold.g), (100 * rng.normal(size=6), 100 * rng.normal(size=9))):
        warm = SOLVERS[solver](costs, init=(f, g))
        assert_proven(warm, costs, np.full(6, 1 / 6), np.full(9, 1 / 9))


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32(solver):
    rng = np.random.default_rng(7)
    costs = rng.random((4, *SHAPE)).astype(np.float32)
    found = SOLVERS[solver](costs)
    assert found.plan.dtype == jnp.float32
    assert np.all(found.status == 0)
    assert np.all(found.gap <= 1e-5)
    best = [pot.emd2([], [], one.astype(float)) for one in costs]
    np.testing.assert_allclose(found.primal, best, rtol=1e-5)


def test_half_precision_is_solved_in_single():
    costs = np.random.default_rng(13).random(SHAPE).astype(np.float16)
    found = ot.host(costs)
    assert found.plan.dtype == jnp.float32
    assert float(found.primal) == pytest.approx(best_cost(costs.astype(float), np.full(6, 1 / 6), np.full(9, 1 / 9)))


def test_edges_are_generated_where_problems_are_large(monkeypatch):
    """Masses of many orders, ties, duals to start from that mislead."""
    monkeypatch.setattr(sys.modules["fairjax.ot.host"], "_SMALL", 0)
    rng = np.random.default_rng(14)
    costs = np.stack([rng.random((70, 90)), rng.integers(0, 3, (70, 90)).astype(float), np.zeros((70, 90))])
    a, b = 10.0 ** rng.uniform(-12, 0, (3, 70)), 10.0 ** rng.uniform(-12, 0, (3, 90))
    a[:, :5] = b[:, :3] = 0
    a, b = a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True)
    for init in (None, (np.zeros((3, 70)), 100 * rng.normal(size=(3, 90)))):
        found = ot.host(costs, a, b, init=init)
        listed = ot.host_basic(*map(jnp.asarray, (costs, a, b)), init=init)
        np.testing.assert_allclose(listed.primal, found.primal, rtol=1e-9, atol=1e-12)
        assert listed.status.tolist() == [0, 0, 0]
        for k in range(3):
            one = jax.tree.map(lambda leaf, k=k: leaf[k], found)
            assert_proven(one, costs[k], a[k], b[k])
            rows, cols, mass = (np.asarray(leaf[k]) for leaf in listed.entries)
            plan = np.zeros((71, 91))
            np.add.at(plan, (rows, cols), mass)
            np.testing.assert_allclose(plan[:70, :90], found.plan[k], atol=1e-12)


@pytest.mark.slow
def test_edges_are_generated_in_single_precision(monkeypatch):
    def dense(*_):
        raise AssertionError("the dense solver was called")

    monkeypatch.setattr(sys.modules["fairjax.ot.host"], "_dense", dense)
    rng = np.random.default_rng(18)
    n, m = 360, 400  # more than 2^17 entries
    costs, a, b = rng.random((n, m)).astype(np.float32), simplex(rng, n), simplex(rng, m)
    found = ot.host(costs, a.astype(np.float32), b.astype(np.float32))
    assert found.plan.dtype == jnp.float32
    assert int(found.status) == 0
    assert float(found.primal) == pytest.approx(best_cost(costs.astype(float), a, b), rel=1e-5)
    np.testing.assert_allclose(np.asarray(found.plan, float).sum(1), a, rtol=m * np.finfo(np.float32).eps)
    listed = ot.host_basic(*(jnp.asarray(one, jnp.float32)[None] for one in (costs, a, b)))
    assert listed.status.tolist() == [0]
    assert float(listed.primal[0]) == pytest.approx(float(found.primal), rel=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_by_one_and_empty(solver):
    one = SOLVERS[solver]([[2.0]])
    assert (float(one.primal), int(one.status)) == (2.0, 0)
    empty = SOLVERS[solver](np.ones(SHAPE), np.zeros(6), np.zeros(9))
    assert (float(empty.primal), int(empty.status)) == (0.0, 0)
    assert not np.any(empty.plan)


@pytest.mark.parametrize("value", ["primal", "dual"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradient_is_the_plan_and_the_duals(solver, value):
    """The masses' by finite differences of POT's optimum, in directions that keep both sums equal."""
    rng = np.random.default_rng(10)
    costs, a, b = rng.random(SHAPE), simplex(rng, 6), simplex(rng, 9)
    solve = SOLVERS[solver]
    gradient = jax.grad(lambda *problem: getattr(solve(*problem), value), (0, 1, 2))
    by_cost, by_a, by_b = gradient(*map(jnp.asarray, (costs, a, b)))
    np.testing.assert_allclose(by_cost, solve(costs, a, b).plan)
    step = 1e-6  # too little for another basis, so that only rounding is between slope and gradient
    for _ in range(3):
        along_a, along_b = rng.normal(size=6), rng.normal(size=9)
        along_b += (along_a.sum() - along_b.sum()) / 9
        ends = [best_cost(costs, a + sign * step * along_a, b + sign * step * along_b) for sign in (-1, 1)]
        slope = (ends[1] - ends[0]) / (2 * step)
        assert float(by_a @ along_a + by_b @ along_b) == pytest.approx(slope, rel=1e-7, abs=1e-9)


def test_support_lists_the_plan():
    costs = np.random.default_rng(11).random((4, *SHAPE))
    found = ot.exact(costs)
    rows, cols, mass = ot.support(found)
    assert rows.shape == (4, 14)
    plan = np.stack([jnp.zeros(SHAPE).at[r, c].add(x, mode="drop") for r, c, x in zip(rows, cols, mass, strict=True)])
    np.testing.assert_array_equal(plan, found.plan)
    with pytest.raises(InputError, match="positive entries"):
        ot.support(found._replace(plan=jnp.ones((4, *SHAPE))))


def test_support_of_rows_longer_than_a_chunk():
    plan = np.zeros((1, 7, 130), np.float32)
    rng = np.random.default_rng(0)
    plan.ravel()[rng.choice(plan.size, 20, replace=False)] = rng.random(20) + 0.1
    empty = jnp.zeros((1,))
    rows, cols, mass = ot.support(ot.OTSolution(jnp.asarray(plan), *[empty] * 8))
    assert np.count_nonzero(mass) == 20
    assert np.all((np.asarray(mass) > 0) == (np.asarray(rows) < 7))
    again = jnp.zeros((7, 130)).at[rows[0], cols[0]].add(mass[0], mode="drop")
    np.testing.assert_array_equal(again, plan[0])


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1500, 700), (2000, 3000)])
def test_large(shape):
    rng = np.random.default_rng(12)
    x, y = rng.normal(size=(shape[0], 3)), rng.normal(size=(shape[1], 3))
    costs = ((x[:, None] - y) ** 2).sum(-1)
    a, b = simplex(rng, shape[0]), simplex(rng, shape[1])
    found = ot.exact(costs, a, b)
    assert_proven(found, costs, a, b)
    assert float(found.primal) == pytest.approx(best_cost(costs, a, b), rel=1e-9)
