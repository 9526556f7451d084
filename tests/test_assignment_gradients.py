"""Gradients of the fair assignment's optimal value against differences of the linear programme's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from assignment_oracle import best_cost, instances

from fairjax import fair_assignment

N, K, M = 20, 4, 3
COUNT = 24
STEP = 1e-5


def assert_slopes(found, values, at_least=0.5):
    """``found`` slopes equal central differences of ``values`` (count, 3) at -STEP, 0, STEP where both sides agree."""
    left = (values[:, 1] - values[:, 0]) / STEP
    right = (values[:, 2] - values[:, 1]) / STEP
    smooth = np.abs(left - right) <= 1e-6 * (1 + np.abs(left))
    assert smooth.mean() > at_least
    central = (left + right) / 2
    np.testing.assert_allclose(np.asarray(found)[smooth], central[smooth], rtol=1e-5, atol=1e-6)


@functools.cache
def problems(form):
    return instances(form, COUNT, N, K, M, 7, kinds=("generic", "weighted", "unordered"))


def columns(some):
    """Costs, weights and bounds, which have gradients, and the groups, of some problems."""
    values = [{"costs": p.costs, "weights": p.weights, **p.control} for p in some]
    return {name: np.stack([each[name] for each in values]) for name in values[0]}, np.stack([p.groups for p in some])


@functools.cache
def gradients():
    """Jitted gradients of primal and dual with respect to everything, under vmap; one compilation per form."""

    def value(values, groups):
        found = fair_assignment(groups=groups, n_groups=M, **values)
        return {"primal": found.primal, "dual": found.dual}

    return jax.jit(jax.vmap(jax.jacrev(value)))


@pytest.mark.parametrize(
    "form", ["gap", *(pytest.param(form, marks=pytest.mark.slow) for form in ("balance", "shares"))]
)
def test_costs(form):
    """Primal and dual have one gradient, under vmap and jit; along a random direction it is the programme's slope."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(COUNT, N, K))
    with jax.enable_x64(True):
        found = gradients()(*columns(problems(form)))
    primal, dual = (np.asarray(found[name]["costs"]) for name in ("primal", "dual"))
    np.testing.assert_array_equal(primal, dual)
    along = np.sum(primal * directions, (1, 2))
    values = np.array(
        [
            [best_cost(p._replace(costs=p.costs + step * direction)) for step in (-STEP, 0, STEP)]
            for p, direction in zip(problems(form), directions, strict=True)
        ]
    )
    assert_slopes(along, values)


def test_epsilon():
    """The price of fairness at the margin: minus the groups' weighted price ranges over four."""
    some = [
        p._replace(control={"epsilon": level})
        for p, level in zip(problems("gap"), np.linspace(0.03, 0.6, COUNT), strict=True)
    ]

    def slope(costs, groups, weights, epsilon):
        def value(epsilon):
            found = fair_assignment(costs, groups, weights=weights, n_groups=M, epsilon=epsilon)
            return found.primal, found.dual

        return jax.jacfwd(value)(epsilon)

    with jax.enable_x64(True):
        data = [np.stack([getattr(p, name) for p in some]) for name in ("costs", "groups", "weights")]
        primal, dual = jax.jit(jax.vmap(slope))(*data, np.array([p.control["epsilon"] for p in some]))
        np.testing.assert_array_equal(primal, dual)
        assert np.all(np.asarray(primal) <= 0)
    values = np.array(
        [
            [best_cost(p._replace(control={"epsilon": p.control["epsilon"] + step})) for step in (-STEP, 0, STEP)]
            for p in some
        ]
    )
    assert_slopes(primal, values)


def looser(form):
    """The problems with controls that bind and can be moved either way."""
    for p, part in zip(problems(form), np.linspace(0.2, 0.9, COUNT), strict=True):
        shares = np.bincount(p.groups, p.weights, M) / p.weights.sum()
        yield p._replace(
            control={
                "gap": {"epsilon": part / 2},
                "balance": {"min_balance": part * shares.min() / shares.max()},
                "shares": {"lower": part * shares, "upper": shares / part},
            }[form]
        )


@pytest.mark.parametrize("form", ["gap", "balance", pytest.param("shares", marks=pytest.mark.slow)])
def test_weights_and_controls(form):
    """Along random directions in the space of the weights, and of each bound."""
    some = list(looser(form))
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        found = gradients()(*columns(some))["primal"]
    for name in ("weights", *some[0].control):
        gradient = found[name]
        directions = rng.normal(size=gradient.shape)
        along = np.sum((np.asarray(gradient) * directions).reshape(COUNT, -1), 1)

        def moved(p, shift, name=name):
            if name == "weights":
                return p._replace(weights=p.weights + shift)
            return p._replace(control=p.control | {name: p.control[name] + shift})

        values = [
            [best_cost(moved(p, step * direction)) for step in (-STEP, 0, STEP)]
            for p, direction in zip(some, directions, strict=True)
        ]
        assert np.any(np.abs(along) > 1e-3)
        # in the weights and the bounds the optimum is curved, which both sides may show
        assert_slopes(along, np.array(values), at_least=0.25)


def test_through_a_model():
    """Costs that depend on centres: the chain rule gives the cluster sums, as in a training step."""
    rng = np.random.default_rng(3)
    X, centers = rng.normal(size=(N, 2)), rng.normal(size=(K, 2))
    groups = np.arange(N) % M

    def value(centers):
        costs = jnp.sum((X[:, None] - centers) ** 2, -1)
        found = fair_assignment(costs, groups)
        return found.primal, found

    with jax.enable_x64(True):
        gradient, found = jax.jit(jax.grad(value, has_aux=True))(jnp.asarray(centers))
        probabilities = np.asarray(found.probabilities)
        expected = -2 * np.einsum("nk,nkd->kd", probabilities, X[:, None] - centers) / N
        np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-12)


def test_no_gradient_where_there_is_none():
    """Labels and probabilities are piecewise constant: zero, never NaN."""
    rng = np.random.default_rng(4)
    costs, groups = rng.exponential(size=(N, K)).astype(np.float32), np.arange(N) % M

    def spread(costs):
        found = fair_assignment(costs, groups)
        return jnp.sum(found.probabilities**2) + jnp.sum(found.multipliers) + found.gap

    np.testing.assert_array_equal(jax.jit(jax.grad(spread))(costs), np.zeros((N, K)))
