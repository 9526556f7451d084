"""Assignment to clusters of bounded size: against linear programmes, brute force and worked examples."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from fairjax.assignment import capacity_assignment, solving
from fairjax.errors import InputError

N, K = 24, 4
solve = jax.jit(capacity_assignment)


def least_cost(costs, lower, upper):
    """Cost of the best fractional assignment by HiGHS, or None."""
    n, k = costs.shape
    columns = np.tile(np.eye(k), n)
    found = linprog(
        costs.ravel(),
        A_ub=np.vstack([columns, -columns]),
        b_ub=np.r_[upper, -np.asarray(lower)],
        A_eq=np.kron(np.eye(n), np.ones(k)),
        b_eq=np.ones(n),
        method="highs",
    )
    return found.fun if found.status == 0 else None


def instances():
    """Random costs, small whole ones with many ties, and duplicates; bounds of every kind, some of them impossible."""
    rng = np.random.default_rng(0)
    for number in range(48):
        costs = rng.random((N, K)) if number % 2 else rng.integers(0, 4, (N, K)).astype(float)
        if number % 8 == 6:
            costs = costs[np.zeros(N, int)]
        cuts = np.sort(rng.integers(0, N + 1, K - 1))
        exact = np.diff(np.r_[0, cuts, N])
        lower = rng.integers(0, N // K + 1, K)
        upper = lower + rng.integers(0, 8, K)
        if number % 3:
            upper[rng.integers(K)] = N
        yield costs, *((exact, exact) if number % 4 == 1 else (lower, upper))


@pytest.mark.parametrize("x64", [True, False])
def test_against_linear_programmes(x64):
    with jax.enable_x64(x64):
        n_impossible = 0
        for number, (costs, lower, upper) in enumerate(instances()):
            found = solve(jnp.asarray(costs, jnp.result_type(float)), lower, upper)
            best = least_cost(costs, lower, upper)
            if best is None:
                n_impossible += 1
                assert found.status == 2, number
                continue
            assert found.status == 0, number
            labels = np.asarray(found.labels)
            counts = np.bincount(labels, minlength=K)
            assert (lower <= counts).all(), number
            assert (counts <= upper).all(), number
            # whole bounds: some labels are as good as any fractions
            assert costs[np.arange(N), labels].sum() == pytest.approx(best, rel=1e-5, abs=1e-5), number
            assert found.dual <= found.primal
            prices = np.asarray(found.multipliers, np.float64)
            earned = np.maximum(lower * prices, upper * prices).sum()
            assert (costs + prices).min(1).sum() - earned == pytest.approx(best, rel=1e-4, abs=1e-4), number
        assert n_impossible > 0


def test_against_every_assignment():
    rng = np.random.default_rng(1)
    costs = np.zeros((N, K))
    costs[:6, :3] = rng.random((6, 3))
    costs[:6, 3] = 9.0
    weights = (np.arange(N) < 6).astype(float)
    found = solve(jnp.asarray(costs), np.array([1, 1, 3, 0]), np.array([2, 4, 4, N]), weights=weights)
    best = min(
        sum(costs[i, k] for i, k in enumerate(labels))
        for labels in itertools.product(range(3), repeat=6)
        if labels.count(0) in (1, 2) and 1 <= labels.count(1) <= 4 and labels.count(2) in (3, 4)
    )
    assert found.status == 0
    assert 6 * float(found.primal) == pytest.approx(best, rel=1e-5)


def test_worked_examples():
    with jax.enable_x64(True):
        x = np.array([0.0, 1, 2, 3, 8, 9])
        found = solve((x[:, None] - np.array([0, 1.5, 9])) ** 2, 2, 2)
        assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert 6 * float(found.primal) == pytest.approx(4.5, rel=1e-9)
        x = np.array([0.0, 1, 2, 3])
        found = solve((x[:, None] - np.array([0.0, 4.0])) ** 2, np.array([3, 1]), np.array([3, 1]))
        assert found.labels.tolist() == [0, 0, 0, 1]


def test_batches_padding_and_gradients():
    with jax.enable_x64(True):
        costs = np.random.default_rng(2).random((3, N, K))
        lower, upper = np.array([3.0, 7, 0, 2]), np.array([5.0, 9, 24, 24])
        batch = jax.jit(jax.vmap(capacity_assignment, (0, None, None)))(costs, lower, upper)
        for i in range(3):
            alone = solve(costs[i], lower, upper)
            np.testing.assert_array_equal(batch.labels[i], alone.labels)
        weights = (np.arange(N) < 20).astype(float)
        padded = solve(costs[0], lower, upper, weights=weights)
        changed = np.where(weights[:, None] > 0, costs[0], 7.0)
        assert padded.primal == pytest.approx(float(solve(changed, lower, upper, weights=weights).primal), rel=1e-9)

        def value(costs, upper):
            return capacity_assignment(costs, lower, upper).primal

        along, of_upper = jax.jit(jax.grad(value, (0, 1)))(costs[0], upper)
        found = solve(costs[0], lower, upper)
        np.testing.assert_allclose(along, found.probabilities / N, atol=1e-12)
        np.testing.assert_allclose(of_upper, -np.maximum(found.multipliers, 0) / N, atol=1e-9)


@pytest.mark.parametrize(("low", "high"), [(2_000, 2_000), (1_500, 2_500)])
def test_many_points_are_screened_to_the_same_optimum(low, high, monkeypatch):
    # without a second look at all points
    monkeypatch.setattr(solving, "only_if", lambda needed, compute, operands, otherwise, **_: otherwise)
    rng = np.random.default_rng(3)
    X = rng.normal(size=(20_000, 2)).astype(np.float32)
    costs = ((X[:, None] - X[:10]) ** 2).sum(-1)
    # an even share of ten has no last digit in float32
    found = jax.jit(lambda costs: capacity_assignment(costs, low, high))(costs)
    assert found.status == 0
    counts = np.bincount(found.labels, minlength=10)
    assert counts.min() >= low
    assert counts.max() <= high
    cost = costs[np.arange(len(X)), found.labels].mean(dtype=np.float64)
    assert cost == pytest.approx(float(found.dual), rel=1e-5)
    assert (np.asarray(found.probabilities).max(1) < 1 - 1e-4).sum() <= 9


def test_bad_input():
    with pytest.raises(InputError, match=r"costs has shape \(3,\)"):
        capacity_assignment(jnp.zeros(3))
    with pytest.raises(InputError, match=r"upper has shape \(3,\); expected one number or \(2,\)"):
        capacity_assignment(jnp.zeros((4, 2)), 0, jnp.ones(3))
    with pytest.raises(InputError, match="weights has shape"):
        capacity_assignment(jnp.zeros((4, 2)), weights=jnp.ones(3))
    assert solve(jnp.full((N, K), jnp.nan), np.zeros(K, int), np.full(K, N)).status == 3
