"""Entropic transport: against POT and ott-jax, exact marginals, gradients, padding."""

import jax
import jax.numpy as jnp
import numpy as np
import ot as pot
import pytest

from fairjax import ot
from fairjax.errors import InputError

SHAPE = (6, 9)


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    return rng.random(SHAPE), rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(9))


def solve(*arguments, **options):
    return ot.sinkhorn(*arguments, tolerance=1e-9, **options)


def test_against_pot_and_exact(problem):
    costs, a, b = problem
    best = pot.emd2(a, b, costs)
    gaps = []
    for reg in (1.0, 0.1, 0.01):
        found = solve(costs, a, b, reg)
        assert int(found.status) == 0
        wanted = pot.sinkhorn(a, b, costs, reg, method="sinkhorn_log", stopThr=1e-12, numItermax=100_000)
        np.testing.assert_allclose(found.plan, wanted, atol=1e-7)
        assert float(found.dual) <= best + 1e-12 <= float(found.primal) + 2e-12
        np.testing.assert_allclose(found.plan.sum(1), a, rtol=1e-13)
        np.testing.assert_allclose(found.plan.sum(0), b, rtol=1e-13)
        gaps.append(float(found.gap))
    assert gaps == sorted(gaps, reverse=True)


def test_against_ott(problem):
    costs, a, b = problem
    ours = solve(costs, a, b, 0.1)  # imports ott-jax without its warnings
    from ott.geometry import geometry
    from ott.solvers import linear

    theirs = linear.solve(geometry.Geometry(jnp.asarray(costs), epsilon=0.1), a, b, threshold=1e-9)
    np.testing.assert_allclose(ours.plan, theirs.matrix, atol=1e-8)


def test_gradients(problem):
    costs, a, b = (jnp.asarray(leaf) for leaf in problem)
    weights = jnp.asarray(np.random.default_rng(1).random(SHAPE))

    def value(costs, a, b, reg):
        found = solve(costs, a, b, reg)
        return jnp.sum(found.plan * weights)

    reg = jnp.asarray(0.2)
    by_cost, by_a, by_b, by_reg = jax.jit(jax.grad(value, (0, 1, 2, 3)))(costs, a, b, reg)
    assert np.all(np.isfinite(by_cost))
    step = 1e-5
    ends = [float(value(costs, a, b, reg + sign * step)) for sign in (-1, 1)]
    # an end is off by up to the tolerance of 1e-9
    assert float(by_reg) == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=1e-5, abs=1e-9 / step)
    for gradient, argument in ((by_cost, 0), (by_a, 1), (by_b, 2)):
        direction = np.random.default_rng(2).normal(size=gradient.shape)
        direction -= direction.mean()  # masses keep their sum
        ends = []
        for sign in (-1, 1):
            moved = [costs, a, b, reg]
            moved[argument] = moved[argument] + sign * step * direction
            ends.append(float(value(*moved)))
        slope = (ends[1] - ends[0]) / (2 * step)
        # an end is off by up to the tolerance of 1e-9
        assert float(jnp.sum(gradient * direction)) == pytest.approx(slope, rel=1e-5, abs=1e-9 / step)


def test_padding_changes_nothing(problem):
    costs, a, b = problem
    a, b = np.r_[a[:4], 0, 0] / a[:4].sum(), np.r_[b[:7], 0, 0] / b[:7].sum()
    plain = solve(costs, a, b, 0.1)
    costs = costs.copy()
    costs[4], costs[5], costs[:, 7], costs[:, 8] = np.nan, 1e300, -1e300, np.inf
    found = solve(costs, a, b, 0.1)
    np.testing.assert_array_equal(found.plan, plain.plan)
    wanted = pot.sinkhorn(a[:4], b[:7], costs[:4, :7], 0.1, method="sinkhorn_log", stopThr=1e-12)
    np.testing.assert_allclose(found.plan[:4, :7], wanted, atol=1e-7)


def test_warm_start(problem):
    """From its own duals a problem is solved at once, up to what single precision loses; wrong ones do not mislead."""
    costs, a, b = problem
    cold = solve(costs, a, b, 0.02)
    rng = np.random.default_rng(3)
    misleading = 10 * rng.normal(size=6), 10 * rng.normal(size=9)
    good, bad = (solve(costs, a, b, 0.02, init=init) for init in ((cold.f, cold.g), misleading))
    assert 2 * int(good.n_iter) <= min(int(cold.n_iter), int(bad.n_iter))
    for warm in (good, bad):
        assert int(warm.status) == 0
        np.testing.assert_allclose(warm.plan, cold.plan, atol=1e-6)
    # what is returned to start from is also what a bound needs: feasible
    assert np.min(costs - cold.f[:, None] - cold.g) >= -1e-12
    assert float(a @ cold.f + b @ cold.g) <= float(cold.dual) + 1e-12


def test_float32_and_vmap(problem):
    costs = np.stack([problem[0]] * 2).astype(np.float32)
    regs = jnp.float32([0.1, 0.01])
    found = jax.vmap(lambda costs, reg: ot.sinkhorn(costs, reg=reg))(jnp.asarray(costs), regs)
    assert found.plan.dtype == jnp.float32
    assert found.status.tolist() == [0, 0]
    assert np.all(found.marginal_error < 1e-5)
    for k in (0, 1):
        one = ot.sinkhorn(costs[k], reg=regs[k])
        np.testing.assert_allclose(found.plan[k], one.plan, atol=1e-5)
        assert int(found.n_iter[k]) == int(one.n_iter)


DEGENERATE = {
    "equal": lambda rng: np.full(SHAPE, 3.0),
    "zeros": lambda rng: np.zeros(SHAPE),
    "grid": lambda rng: rng.integers(0, 3, SHAPE).astype(float),
    "negative": lambda rng: rng.normal(size=SHAPE) - 5,
    "large": lambda rng: 1e12 * rng.random(SHAPE),
    "tiny": lambda rng: 1e-12 * rng.random(SHAPE),
}


@pytest.mark.parametrize("kind", DEGENERATE)
def test_any_costs_and_masses_of_twelve_orders(problem, kind):
    rng = np.random.default_rng(4)
    costs = DEGENERATE[kind](rng)
    scale = np.abs(costs).max() or 1.0
    wide = 10.0 ** rng.uniform(-12, 0, 6), 10.0 ** rng.uniform(-12, 0, 9)
    for a, b in (problem[1:], [masses / masses.sum() for masses in wide]):
        found = solve(costs, a, b, 0.1 * scale)
        assert int(found.status) == 0
        assert np.min(found.plan) >= 0
        np.testing.assert_allclose(found.plan.sum(1), a, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(found.plan.sum(0), b, rtol=1e-9, atol=1e-15)
        best = pot.emd2(a, b, costs / scale) * scale
        assert float(found.dual) - 1e-9 * scale <= best <= float(found.primal) + 1e-9 * scale


@pytest.mark.parametrize("tolerance", [0.0, -1.0, np.nan, np.inf, "x"])
def test_tolerance_must_be_positive(problem, tolerance):
    with pytest.raises(InputError, match="tolerance"):
        ot.sinkhorn(*problem, tolerance=tolerance)


def test_too_few_iterations_are_status_1(problem):
    assert int(solve(*problem, 1e-7).status) == 1
    # exponents overflow in single precision, and what is left of the plan has no marginals
    assert int(ot.sinkhorn(problem[0].astype(np.float32), reg=1e-35).status) == 1


@pytest.mark.parametrize("reg", [0.0, -1.0, np.nan, np.inf, "x", np.ones(3)])
def test_reg_must_be_positive(problem, reg):
    with pytest.raises(InputError, match="reg"):
        ot.sinkhorn(*problem, reg=reg)


def test_the_scale_of_the_masses_changes_nothing(problem):
    costs, a, b = problem
    plain = solve(costs, a, b, 0.05)
    for scale in (1e-30, 1e30):
        found = solve(costs, scale * a, scale * b, 0.05)
        assert int(found.status) == 0
        np.testing.assert_allclose(found.plan / scale, plain.plan, atol=1e-7)
