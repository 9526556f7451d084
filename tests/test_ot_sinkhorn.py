"""Entropic transport: against POT and ott-jax, exact marginals, gradients, padding."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import ot as pot
import pytest
from jax.test_util import check_grads

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


def test_against_pot_and_exact(problem):
    costs, a, b = problem
    best = float(ot.exact(costs, a, b).primal)
    regs = np.array([1.0, 0.1, 0.01])
    found = ot.sinkhorn(np.stack([costs] * 3), a, b, regs, tolerance=1e-10)
    assert found.status.tolist() == [0, 0, 0]
    for k, reg in enumerate(regs):
        wanted = pot.sinkhorn(a, b, costs, reg, method="sinkhorn_log", stopThr=1e-12, numItermax=100_000)
        np.testing.assert_allclose(found.plan[k], wanted, atol=1e-8)
        assert float(found.dual[k]) <= best + 1e-12 <= float(found.primal[k]) + 2e-12
    np.testing.assert_allclose(found.plan.sum(2), np.stack([a] * 3), rtol=1e-13)
    np.testing.assert_allclose(found.plan.sum(1), np.stack([b] * 3), rtol=1e-13)
    assert np.all(np.diff(found.gap) < 0)


def test_against_ott(problem):
    costs, a, b = problem
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from ott.geometry import geometry
        from ott.solvers import linear
    theirs = linear.solve(geometry.Geometry(jnp.asarray(costs), epsilon=0.1), a, b, threshold=1e-9)
    np.testing.assert_allclose(ot.sinkhorn(costs, a, b, 0.1, tolerance=1e-9).plan, theirs.matrix, atol=1e-8)


def test_gradients(problem):
    costs, a, b = (jnp.asarray(leaf) for leaf in problem)
    weights = jnp.asarray(np.random.default_rng(1).random(SHAPE))

    def value(costs, a, b):
        found = ot.sinkhorn(costs, a / a.sum(), b / b.sum(), 0.2, tolerance=1e-12)
        return jnp.sum(found.plan * weights)

    check_grads(jax.jit(value), (costs, a, b), 1, ("rev",), atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing(problem):
    costs, a, b = problem
    plain = ot.sinkhorn(costs, a, b, 0.1, tolerance=1e-12)
    padded = np.full((8, 11), 1e30)
    padded[:6, :9] = costs
    found = ot.sinkhorn(padded, np.r_[a, 0, 0], np.r_[b, 0, 0], 0.1, tolerance=1e-12)
    np.testing.assert_allclose(found.plan[:6, :9], plain.plan, atol=1e-12)
    by_cost = jax.grad(lambda c: ot.sinkhorn(c, np.r_[a, 0, 0], np.r_[b, 0, 0], 0.1).primal)(jnp.asarray(padded))
    assert np.all(np.isfinite(by_cost)) and not np.any(by_cost[6:]) and not np.any(by_cost[:, 9:])


def test_warm_start_saves_iterations(problem):
    costs, a, b = problem
    cold = ot.sinkhorn(costs, a, b, 0.05)
    warm = ot.sinkhorn(costs, a, b, 0.05, init=(cold.f, cold.g))
    assert int(warm.n_iter) <= int(cold.n_iter) + 5
    np.testing.assert_allclose(warm.plan, cold.plan, atol=1e-6)


def test_float32_and_vmap(problem):
    costs = np.stack([problem[0]] * 2).astype(np.float32)
    found = jax.vmap(lambda costs, reg: ot.sinkhorn(costs, reg=reg))(jnp.asarray(costs), jnp.float32([0.1, 0.01]))
    assert found.plan.dtype == jnp.float32 and found.status.tolist() == [0, 0]
    assert np.all(found.marginal_error < 1e-5)


def test_too_few_iterations_are_status_1(problem):
    assert int(ot.sinkhorn(*problem, 0.001, tolerance=1e-14, max_iter=5).status) == 1


def test_reg_must_be_positive(problem):
    with pytest.raises(InputError, match="reg"):
        ot.sinkhorn(*problem, reg=0.0)
