"""Fair assignment against the linear programme (HiGHS) and against optimal transport (POT)."""

import numpy as np
import ot
import pytest
from assignment_oracle import (
    BATCH,
    FORMS,
    KINDS,
    Instance,
    best_cost,
    group_counts,
    instances,
    pick,
    profile_radius,
    proven_bound,
    solve,
    violation,
)

from benchmarks.programmes import kinds, proofs, study

SHAPES = [(12, 3, 2), (20, 4, 3), (30, 5, 5)]
PROMISED = {np.float64: 1e-6, np.float32: 1e-5}
TIED = {"grid", "duplicates", "all_equal"}
# In float32, bounds are met to rounding.
LEEWAY = {np.float64: 0.0, np.float32: 1e-7}


def faults(instance, result, n_groups, dtype, kind):
    """What is wrong with a result, in words; empty when nothing is."""
    exact = dtype == np.float64
    rounding = 1e-9 if exact else 1e-5
    bounded = "epsilon" not in instance.control
    leeway = LEEWAY[dtype] if bounded else 0
    reference = best_cost(instance)
    scale = max(abs(reference), 1e-12 if exact else 1e-6)
    share = instance.weights.astype(float) / instance.weights.sum(dtype=float)
    probabilities = result.probabilities.astype(float)
    counts = group_counts(instance, probabilities, n_groups)
    label_counts = group_counts(instance, np.eye(counts.shape[1])[result.labels], n_groups)
    heaviest = np.array([share[instance.groups == s].max(initial=0) for s in range(n_groups)])
    cost = np.sum(share[:, None] * probabilities * instance.costs)
    split = int(((probabilities.max(1) < 1) & (share > 0)).sum())
    bound, missed = proven_bound(instance, result.multipliers)
    size = scale + np.abs(result.multipliers).max()
    n_present = len(np.unique(instance.groups[share > 0]))

    found = {
        "status": result.status,
        "gap": result.gap if not 0 <= result.gap <= PROMISED[dtype] else 0,
        "primal above the optimum": max(0, (result.primal - reference) / scale - PROMISED[dtype]),
        "dual below the optimum": max(0, (reference - result.dual) / scale - PROMISED[dtype]),
        "primal below the optimum": max(0, (reference - result.primal) / scale - rounding - 10 * leeway),
        "dual above the optimum": max(0, (result.dual - reference) / scale - rounding),
        "primal is not the cost of the probabilities": max(0, abs(cost - result.primal) / scale - rounding),
        "multipliers are not feasible": max(0, missed - (1e-12 if exact else 1e-5)),
        "dual is not the value of the multipliers": max(0, abs(bound - result.dual) / size - rounding),
        "rows off the simplex": max(0, abs(probabilities.sum(1) - 1).max() - rounding, -probabilities.min() - rounding),
        "control missed": max(0, violation(instance, counts) - leeway - (1e-9 if exact else 2e-5)),
        "labels a point off": np.any(abs(label_counts - counts) >= heaviest[:, None] * (1 + 1e-6)),
        "split points": max(0, split - n_present * (counts.shape[1] - 1)) if kind not in TIED else 0,
    }
    return {name: float(value) for name, value in found.items() if value}


def assert_optimal(form, count, shape, dtype, seed=0):
    n, k, m = shape
    problems = instances(form, count, n, k, m, seed, dtype=dtype)
    batch = solve(problems, m, dtype)
    kinds = tuple(KINDS)
    wrong = {}
    for index, problem in enumerate(problems):
        kind = kinds[index % len(kinds)]
        if found := faults(problem, pick(batch, index), m, dtype, kind):
            wrong[f"{kind} {index} {problem.control}"] = found
    assert not wrong, "\n".join([f"{len(wrong)} of {count}", *(f"{at}: {what}" for at, what in wrong.items())])


@pytest.mark.parametrize(("form", "shape"), [("gap", SHAPES[0]), *((form, SHAPES[1]) for form in FORMS)], ids=str)
def test_linear_programme(form, shape):
    assert_optimal(form, 66, shape, np.float64)


def test_one_group_is_free():
    n, k = 16, 6
    problems = instances("gap", BATCH, n, k, 1, 0)
    batch = solve(problems, 1)
    for index, problem in enumerate(problems):
        assert not faults(problem, pick(batch, index), 1, np.float64, "generic")
        np.testing.assert_array_equal(batch.labels[index], problem.costs.argmin(1))


@pytest.mark.parametrize("form", ["gap", "balance"])
def test_linear_programme_in_single_precision(form):
    assert_optimal(form, 66, SHAPES[1], np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
def test_linear_programme_at_length(dtype, form, shape):
    assert_optimal(form, 660, shape, dtype, seed=1)


@pytest.mark.slow
def test_multipliers_prove_the_bound_as_they_are_returned():
    """Compilers may leave out that prices are rounded to float32: here that would hide a gap of 3 %."""
    drawn = kinds.draw(kinds.read_spec("rare:60,10,8:shares:float32:0:15"))
    found = study.solve([drawn], [drawn.control], 4)[0]
    assert found.dual <= float(proofs.bound_of(drawn, found.multipliers)) * (1 + 1e-6)


def test_transport_between_two_groups():
    """FCA's transport under min_k of the aligned squared distances has the value of the assignment; unequal sizes."""
    n, k, m = SHAPES[0]
    problems = instances("gap", BATCH, n, k, m, 2, kinds=("generic", "weighted", "grid", "lonely"))
    problems = [problem._replace(control={"epsilon": 0.0}) for problem in problems]
    batch = solve(problems, m)
    for index, (costs, groups, weights, _) in enumerate(problems):
        share = weights / weights.sum()
        first, second = groups == 0, groups == 1
        masses = share[first].sum(), share[second].sum()
        aligned = (masses[0] * costs[first][:, None] + masses[1] * costs[second][None]).min(-1)
        value = ot.emd2(share[first] / masses[0], share[second] / masses[1], aligned)
        assert batch.primal[index] == pytest.approx(value, rel=1e-6, abs=1e-12)
        assert batch.dual[index] == pytest.approx(value, rel=1e-6, abs=1e-12)


# The oracle itself


def test_oracle_by_hand():
    """Two points of each group; both of a group in its own cluster is free, a half of each costs 1/2 per group."""
    costs = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    groups, weights = np.array([0, 0, 1, 1]), np.ones(4)

    def best(**control):
        return best_cost(Instance(costs, groups, weights, control))

    assert best(epsilon=0.0) == pytest.approx(0.5)
    assert best(epsilon=0.5) == pytest.approx(0.375)
    assert best(epsilon=2.0) == pytest.approx(0)
    # counts (1 - t, t): t >= b (1 - t) in each cluster
    assert best(min_balance=1.0) == pytest.approx(0.5)
    assert best(min_balance=0.25) == pytest.approx(0.2)
    assert best(lower=[0.25, 0.25], upper=[1, 1]) == pytest.approx(0.25)
    assert np.isnan(best(lower=[0.6, 0], upper=[1, 1]))


def test_radius_by_hand():
    """Three groups in a cluster of their own each: the common profile is the uniform one, 4/3 away."""
    assert profile_radius(np.eye(3)) == pytest.approx(8 / 3)
    assert profile_radius(np.array([[1.0, 1.0], [1.0, 3.0]])) == pytest.approx(0.5)
    assert profile_radius(np.array([[1.0, 1.0], [1.0, 3.0], [2.0, 2.0]])) == pytest.approx(0.5)
