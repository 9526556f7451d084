"""The alignment route against Algorithm 1 in plain JAX, as the documentation shows it."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax.fca import alignment

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from algorithm_1 import Iteration, iterate

N0, N1, K, ITERATIONS = 24, 12, 3, 5
SETTINGS = alignment.Settings(solver="exact", n_blocks=1, scheme="fixed")


def two_groups() -> tuple[jax.Array, jax.Array]:
    draw = np.random.default_rng(0)
    X0, X1 = draw.normal(size=(N0, 2)), draw.normal(size=(N1, 2)) + 1
    return jnp.asarray(X0, jnp.float32), jnp.asarray(X1, jnp.float32)


@jax.jit
def by_the_package(X: jax.Array, centers: jax.Array, weight: jax.Array) -> alignment.AlignmentState:
    problem = alignment.prepare(X, np.repeat([0, 1], [N0, N1]))
    parameters = alignment.Parameters(transport_weight=weight, tol=0.0)
    state = alignment.init(problem, SETTINGS, jax.random.key(0), centers, max_iter=ITERATIONS)
    state = alignment.run(problem, SETTINGS, parameters, jax.random.key(0), state)
    return state._replace(centers=state.centers + problem.mean)


@jax.jit
def by_the_paper(X0: jax.Array, X1: jax.Array, centers: jax.Array, weight: jax.Array) -> Iteration:
    def step(centers: jax.Array, _: None) -> tuple[jax.Array, Iteration]:
        found = iterate(X0, X1, centers, weight)
        return found.centers, found

    return jax.lax.scan(step, centers, length=ITERATIONS)[1]


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_every_iteration_is_that_of_algorithm_1(weight):
    X0, X1 = two_groups()
    expected = by_the_paper(X0, X1, X0[:K], weight)
    found = by_the_package(jnp.concatenate([X0, X1]), X0[:K], weight)
    n = int(found.n_iter)
    assert n > 3
    np.testing.assert_allclose(found.objectives[:n], expected.objective[:n], rtol=2e-6)
    np.testing.assert_allclose(found.costs[:n], expected.cost[:n], rtol=2e-6)
    np.testing.assert_allclose(found.centers, expected.centers[n - 1], atol=2e-6)


def test_algorithm_1_splits_both_groups_alike():
    X0, X1 = two_groups()
    first, second = by_the_paper(X0, X1, X0[:K], 2.0).assignment
    # one group is twice as large as the other, so that its pairs split points of the smaller one
    assert ((second[-1] > 0.1) & (second[-1] < 0.9)).any()
    np.testing.assert_allclose(first[-1].mean(0), second[-1].mean(0), atol=1e-6)
