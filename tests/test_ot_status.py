"""What exact transport says where it has no proven plan: statuses, errors, what is refused."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import ot as pot
import pytest
from ot_cases import SHAPE, SOLVERS, best_cost, is_forest, simplex

from fairjax import ot
from fairjax.errors import InputError
from fairjax.fca.alignment.fitting import exact_solver
from fairjax.ot.host import available


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("solver", [*SOLVERS, "sinkhorn"])
def test_non_finite_costs_have_a_status_and_no_plan(solver, bad):
    costs = np.random.default_rng(8).random((4, *SHAPE))
    costs[1, 2, 3] = bad
    found = getattr(ot, solver)(costs)
    assert found.status.tolist() == [0, 3, 0, 0]
    assert np.all(np.isnan(found.plan[1]))
    assert np.isnan(found.primal[1])
    assert np.all(np.isfinite(found.plan[0]))
    with pytest.raises(InputError, match="NaN"):
        ot.check(found)


@pytest.mark.parametrize("solver", [*SOLVERS, "sinkhorn"])
def test_masses_that_disagree(solver):
    costs, half = np.ones(SHAPE), np.full(6, 1 / 6)
    solve = getattr(ot, solver)
    with pytest.raises(InputError, match=r"a carries the mass 1 and b 1\.5"):
        solve(costs, half, np.full(9, 1.5 / 9))
    with pytest.raises(InputError, match="at least 0"):
        solve(costs, -half)
    with pytest.raises(InputError, match=r"a has shape \(3,\)"):
        solve(costs, np.ones(3) / 3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_masses_that_disagree_under_jit(solver):
    costs, half = np.ones(SHAPE), jnp.full((6,), 1 / 6)
    found = jax.jit(SOLVERS[solver])(costs, half, jnp.full((9,), 1.5 / 9))
    assert int(found.status) == 2
    assert np.all(np.isnan(found.plan))


@pytest.mark.parametrize("solver", [*SOLVERS, "sinkhorn"])
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None,), {}, "costs is not an array of numbers"),
        (([["a", "b"]],), {}, "costs is not an array of numbers"),
        ((np.ones((2, 2), complex),), {}, "costs has dtype complex"),
        ((np.ones(3),), {}, r"costs has shape \(3,\)"),
        ((np.ones((0, 3)),), {}, "every axis at least 1"),
        ((np.ones((2, 2)), "a"), {}, "a is not an array of numbers"),
        ((np.ones((2, 2)),), {"init": np.zeros(2)}, r"a pair \(f, g\)"),
        ((np.ones((2, 2)),), {"init": (np.zeros(3), np.zeros(2))}, r"init\[0\] has shape"),
        ((ot.Factors(),), {}, "costs has no factors"),
        ((ot.Factors(x=np.ones((2, 3))),), {}, "only one of x and y"),
        ((ot.Factors(x=np.ones((2, 3)), y=np.ones((2, 4))),), {}, r"y of shape \(2, 4\)"),
        ((ot.Factors(*np.ones((2, 2, 3)), *np.ones((2, 5, 3))),), {}, r"'x': \(5, 3\)"),
    ],
)
def test_arguments_that_are_no_problem(solver, arguments, options, message):
    with pytest.raises(InputError, match=message):
        getattr(ot, solver)(*arguments, **options)


def test_listed_solution_has_a_status():
    rng = np.random.default_rng(19)
    costs, a, b = rng.random((5, 2, 2)), np.full((5, 2), 0.5), np.full((5, 2), 0.5)
    costs[1, 0, 0], a[2, 0], b[3], a[4] = np.nan, 0.7, 0.5 * (1 + 1e-10), [1.5, -0.5]
    found = ot.host_basic(*map(jnp.asarray, (costs, a, b)))
    assert found.status.tolist() == [0, 3, 2, 0, 3]
    for k in (1, 2, 4):
        one = jax.tree.map(lambda leaf, k=k: leaf[k], found)
        assert not np.any(one.entries.mass)
        np.testing.assert_array_equal(one.entries.rows, 2)
        np.testing.assert_array_equal(one.entries.cols, 2)
        values = (one.f, one.g, one.primal, one.dual, one.gap, one.marginal_error)
        assert all(np.all(np.isnan(value)) for value in values)
    misled = ot.host_basic(*map(jnp.asarray, (costs[:1], a[:1], b[:1])), init=(a[:1], np.full((1, 2), np.nan)))
    assert misled.status.tolist() == [3]


@pytest.mark.parametrize("max_iter", [1, pytest.param(3, marks=pytest.mark.slow), 12])
@pytest.mark.parametrize("shift", [0, -5])
@pytest.mark.parametrize("shape", [(12, 17), (17, 12)])
def test_giving_up_is_status_1(max_iter, shift, shape):
    """The bound holds, and the plan is one of the problem, so that its cost is a bound too."""
    rng = np.random.default_rng(9)
    costs, a, b = (
        rng.random((4, *shape)) + shift,
        rng.dirichlet(np.ones(shape[0]), 4),
        rng.dirichlet(np.ones(shape[1]), 4),
    )
    found = ot.exact(costs, a, b, max_iter=max_iter)
    assert found.status.tolist() == [1] * 4
    assert np.all(found.gap > 1e-3)
    np.testing.assert_allclose(found.gap, (found.primal - found.dual) / np.abs(found.primal), rtol=1e-9)
    np.testing.assert_allclose(found.plan.sum(2), a, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.plan.sum(1), b, rtol=1e-9, atol=1e-15)
    for k in range(4):
        best = best_cost(costs[k], a[k], b[k])
        assert float(found.dual[k]) == pytest.approx(float(a[k] @ found.f[k] + b[k] @ found.g[k]), rel=1e-12)
        assert float(found.dual[k]) <= best + 1e-12
        assert best <= float(found.primal[k]) + 1e-12
        assert is_forest(found.plan[k])
    with pytest.raises(RuntimeError, match=r"relative gap [1-9]"):
        ot.check(found)


@pytest.mark.parametrize("max_iter", [None, 5])
def test_costs_near_the_largest_float_end(max_iter):
    """Duals may overflow there: then the status says so, and a value that is told solved is a number."""
    rng = np.random.default_rng(0)
    costs = (rng.choice([-1, 1], (4, *SHAPE)) * rng.random((4, *SHAPE)) * 3e38).astype(np.float32)
    found = ot.exact(costs, max_iter=max_iter)
    assert np.all(found.status <= 1)
    assert np.all(np.isfinite(found.primal) | (found.status == 1))
    np.testing.assert_allclose(found.plan.sum(2), 1 / 6, rtol=1e-5)


def test_max_iter_must_be_a_count():
    with pytest.raises(InputError, match="max_iter"):
        ot.exact(np.ones(SHAPE), max_iter=0)


@pytest.mark.parametrize("shift", [0, -5])
def test_a_plan_that_misses_mass_proves_no_gap(monkeypatch, shift):
    """POT stopped early. Its plan is none of the problem, so that only the bound is left."""
    monkeypatch.setattr(sys.modules["fairjax.ot.host"], "_dense", half_of_dense)
    rng = np.random.default_rng(20)
    costs, a, b = rng.random((1, *SHAPE)) + shift, simplex(rng, 6)[None], simplex(rng, 9)[None]
    best = best_cost(costs[0], a[0], b[0])
    for solve in (ot.host, ot.host_basic):
        found = solve(*map(jnp.asarray, (costs, a, b)))
        assert found.status.tolist() == [1]
        assert found.gap.tolist() == [np.inf]
        assert float(found.marginal_error[0]) == pytest.approx(1.0)
        assert float(found.dual[0]) == pytest.approx(best, rel=1e-12)


def half_of_dense(costs, a, b, solve=sys.modules["fairjax.ot.host"]._dense):
    flow = solve(costs, a, b)
    return flow._replace(mass=flow.mass / 2)


@pytest.mark.parametrize("missing", ["POT", "its sparse solver"])
def test_host_needs_a_pot_with_the_sparse_solver(monkeypatch, missing):
    assert available()
    assert exact_solver() == "host"
    if missing == "POT":
        monkeypatch.setitem(sys.modules, "ot", None)
        found = "none"
    else:
        monkeypatch.delattr(sys.modules["ot.lp.emd_wrap"], "emd_c_sparse")
        found = pot.__version__
    assert not available()
    assert exact_solver() == "exact"
    for solve in (ot.host, ot.host_basic):
        with pytest.raises(InputError, match=f"needs POT 0.9.7 or newer, found {found}: pip install"):
            solve(jnp.ones((1, *SHAPE)), jnp.ones((1, 6)) / 6, jnp.ones((1, 9)) / 9)
