"""The interior-point method of fair assignment, part by part."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from assignment_cases import HARD, TIGHTNESS, K, M, N, hard, keywords, masses_of
from assignment_oracle import FORMS, KINDS, Instance, best_cost, group_counts, proven_bound, solve
from compilation import AS_USERS, optimiser
from scipy.linalg import null_space

from fairjax._core.precision import Double, first_least, in_double, rounded
from fairjax.assignment import admissible, bounds, controls, elimination, iterates, newton, primal
from fairjax.assignment.bounds import SIDES, Linearised
from fairjax.assignment.programme import Anchor, Points, Programme, programme, with_placed


def control_of(form, masses, tightness):
    asked = getattr(controls, form)(*keywords(form, masses, tightness).values(), jnp.asarray(masses))
    return controls.fitted(asked, jnp.asarray(masses), controls.ROUNDING)


@pytest.mark.parametrize("n", [12, 50, 64], ids=["row by row", "blocks", "whole blocks"])
def test_elimination_inverts(double, n):
    """Also where links differ by twelve orders, and hardly anything holds a constant in place."""
    rng, eliminate = np.random.default_rng(0), jax.jit(elimination.eliminate)
    matrix = np.corrcoef(rng.normal(size=(n, n + n // 4)))
    factor, pivots = eliminate(matrix)
    np.testing.assert_array_equal(np.triu(factor), np.eye(n))
    np.testing.assert_allclose(factor @ matrix @ factor.T, np.diag(pivots), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(factor.T @ (factor / pivots[:, None]), np.linalg.inv(matrix), rtol=1e-10, atol=1e-10)
    with jax.disable_jit():
        np.testing.assert_allclose(elimination.eliminate(jnp.asarray(matrix))[1], pivots, rtol=1e-12)
    several = jax.vmap(eliminate)(np.stack([matrix, 2 * matrix]))
    np.testing.assert_allclose(several[1], [pivots, 2 * pivots], rtol=1e-12)
    links = np.triu(10 ** rng.uniform(-6, 6, (n, n)), 1)
    links += links.T
    matrix, wanted = np.diag(links.sum(1) * (1 + 1e-9)) - links, rng.normal(size=n)
    factor, pivots = eliminate(matrix)
    found = factor.T @ (factor @ wanted / pivots)
    assert np.all(np.abs(matrix @ found - wanted) < 1e-12 * (np.abs(matrix) @ np.abs(found) + np.abs(wanted)))


@pytest.mark.parametrize("n", [12, 50])
def test_elimination_in_a_batch_of_single_precision(n):
    """Double precision is on only while it is traced."""
    matrix = np.corrcoef(np.random.default_rng(0).normal(size=(n, 2 * n)))
    several = np.stack([matrix, 2 * matrix]).astype(np.float32)
    factor, pivots = jax.jit(jax.vmap(in_double(elimination.eliminate)))(several)
    for one, factor_, pivots_ in zip(several, factor, pivots, strict=True):
        np.testing.assert_allclose(factor_ @ one @ factor_.T, np.diag(pivots_), rtol=0, atol=1e-4)


@functools.partial(jax.jit, static_argnames="form")
def step_of(masses, pinned, slopes, links, linear, forces, coupling, *, form):
    problem = Programme(*[jnp.zeros(0)] * len(Programme._fields))._replace(
        masses=masses, roomy=~pinned[:, None], placed=jnp.zeros((M, K)), slopes=slopes
    )
    return newton.solve(newton.factorise(problem, form, links, linear), forces, coupling)


STEPS = [("gap", 3), ("balance", 0), ("balance", 1), ("balance", 3), ("shares", 0), ("shares", 1), ("shares", 3)]


@pytest.mark.parametrize(("form", "n_pinned"), STEPS)
def test_step_solves_the_whole_system(double, form, n_pinned):
    """Counts yield to prices and follow the levels; the levels' own equations couple the prices of all groups."""
    rng = np.random.default_rng(n_pinned)
    masses, pinned = rng.dirichlet(np.ones(M)), np.arange(M) >= M - n_pinned
    links = rng.exponential(size=(M, K, K)) * (1 - np.eye(K))
    links = links + links.transpose(0, 2, 1)
    give = np.where(pinned[:, None], 0, rng.exponential(size=(M, K)))
    own = rng.uniform(0.5, 2, (M, 1)) if form == "balance" else 1
    slopes = np.where(pinned[:, None], own, rng.uniform(0.2, 3, (M, K)))
    bend = rng.exponential(size=K) * np.any(~pinned)

    size = M + (form == "shares")
    resists, follows = np.zeros((size, K, size, K)), np.zeros((size, K, K))
    for s in range(M):
        resists[s, :, s] += masses[s] * (np.diag(links[s].sum(1)) - links[s])
        # what bounds see of a price is without the total, which rows pay, too
        seen = [(s, 1.0), (M, -1.0)] if form == "shares" else [(s, 1.0)]
        for (i, one), (j, other) in itertools.product(seen, seen):
            resists[i, :, j] += one * other * masses[s] * np.diag(give[s])
        follows[s] = np.diag(masses[s] * slopes[s])
    if form == "shares":
        follows[M] = np.eye(K) - follows.sum(0)
    resists, follows = resists.reshape(size * K, -1), follows.reshape(size * K, K)
    matrix = np.block([[resists, follows], [follows.T, -np.diag(bend)]])

    right = matrix @ rng.normal(size=(size + 1) * K)
    none = np.zeros((M, K))
    linear = Linearised(none, give, slopes, bend, none)
    own = np.where(pinned[:, None], own, 0)
    found = step_of(masses, pinned, own, links, linear, right[:-K].reshape(size, K), right[-K:], form=form)
    found = np.r_[np.ravel(found.prices.shift + found.prices.rest), found.level]
    np.testing.assert_allclose(matrix @ found, right, atol=1e-10)
    # without room some changes of prices make no difference
    idle, dense = null_space(matrix, 1e-10), np.linalg.lstsq(matrix, right, 1e-10)[0]
    np.testing.assert_allclose(found - idle @ (idle.T @ found), dense, atol=1e-9)


@jax.jit
def begun(points, fair):
    problem = programme(points, fair)
    scale = iterates.scale_of_costs(problem)
    at = iterates.start(problem, fair.kind, iterates.weigh(problem, fair.kind, scale), scale)
    return problem, at, iterates.counts(problem, at.fractions)


@pytest.mark.parametrize("tightness", [0.0, 0.5, 0.999999, 1 - 1e-12])
@pytest.mark.parametrize("form", FORMS)
def test_start_is_interior(double, form, tightness):
    """Positive throughout; rows and prices feasible, counts but for the least slack."""
    for draw in HARD:
        costs, groups, weights = draw(np.random.default_rng(0))
        share, masses = weights / weights.sum(), masses_of(groups, weights)
        points = Points(*map(jnp.asarray, (costs, groups, share, np.zeros((M, K)), masses, 0.0)))
        problem, at, counts = begun(points, control_of(form, masses, tightness))
        roomy, followed = problem.roomy[:, 0], problem.slopes * at.level
        np.testing.assert_allclose(counts[~roomy], followed[~roomy], atol=1e-12)
        np.testing.assert_allclose(at.fractions.sum(0), 1, atol=1e-12)
        assert np.all(at.fractions > 0)
        assert np.all(at.reduced > 0)
        assert np.any(roomy) == (form != "gap")
        if form == "gap":
            continue
        for missed in bounds.missed(problem, at.bounds, counts, at.level):
            assert np.all(np.abs(missed[roomy]) <= bounds.LEAST_SLACK / K + 1e-12 * problem.limits.max())
        np.testing.assert_allclose(at.prices, at.bounds.force[1] - at.bounds.force[0], rtol=1e-12)
        assert all(np.all(part[:, roomy] > 0) for part in at.bounds)


@pytest.mark.parametrize("price", [0.0, 1e-12])
def test_a_warm_start_leaves_loose_bounds_the_slack_that_they_have(double, price):
    """Otherwise counts seem to miss them by many times the group; a force that is next to nothing changes little."""
    costs, groups, weights = KINDS["weighted"](np.random.default_rng(0), N, K, M)
    share, masses = weights / weights.sum(), masses_of(groups, weights)
    points = Points(*map(jnp.asarray, (costs, groups, share, np.zeros((M, K)), masses, 0.0)))
    problem, cold, _ = begun(points, control_of("balance", masses, 0.01))
    prices = price * jnp.asarray(np.random.default_rng(1).choice([-1.0, 1.0], (M, K)))
    level = 3 * cold.level
    weighed = iterates.weigh(problem, "profile", jnp.asarray(1.0))
    at = iterates.start_near(problem, "profile", weighed, prices, level, jnp.asarray(1e-9))
    counts = iterates.counts(problem, at.fractions)
    missed = bounds.missed(problem, at.bounds, counts, level)
    assert np.abs(SIDES * (counts - problem.limits * level)).max() > 1
    assert np.abs(missed).max() <= 2 / K
    products = at.bounds.products() / (1e-9 * weighed.central_bounds)
    assert products.min() > 1 - 1e-9
    assert products.max() < 10 + 1e-9


@pytest.mark.parametrize("form", FORMS)
def test_placed_points_bound_from_below(double, form):
    """Whatever points are placed at which prices: the bound rises, never beyond the optimum, and touches it there."""
    rng = np.random.default_rng(FORMS.index(form))
    costs, groups, weights = KINDS["weighted"](rng, N, K, M)
    share, masses = weights / weights.sum(), masses_of(groups, weights)
    problem = Instance(costs, groups, weights, keywords(form, masses, 0.8))
    best, optimal = best_cost(problem), solve([problem], M).multipliers[0]
    for y in (optimal, *(scale * rng.normal(size=(M, K)) for scale in (0.0, 0.1, 1.0, 10.0))):
        prices = np.asarray(controls.normalise(control_of(form, masses, 0.8), jnp.asarray(y))[0])
        label = np.argmin(costs + prices[groups], 1)
        margins = np.ptp(np.sort(costs + prices[groups], 1)[:, :2], axis=1)
        kept, away = np.split(np.argsort(margins), [8])
        placed = np.zeros((M, K))
        np.add.at(placed, (groups[away], label[away]), share[away])
        offset = share[away] @ costs[away, label[away]]
        points = Points(*map(jnp.asarray, (costs[kept], groups[kept], share[kept], placed, masses, offset)))
        small = with_placed(points, Anchor(jnp.asarray(prices), jnp.asarray(margins[away].min())))
        np.testing.assert_allclose(masses_of(np.asarray(small.groups), np.asarray(small.weights)), masses, rtol=1e-12)
        found = small.offset + best_cost(Instance(*map(np.asarray, small[:3]), problem.control))
        assert proven_bound(problem, prices)[0] - 1e-9 <= found <= best + 1e-9
        assert y is not optimal or found == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("tightness", TIGHTNESS)
def test_prices_for_balance_are_feasible(double, tightness):
    """To rounding, and no smaller than that takes."""
    rng = np.random.default_rng(0)
    fair = control_of("balance", rng.dirichlet(np.ones(M)), tightness)
    prices = controls.normalise(fair, jnp.asarray(rng.normal(size=(M, K))))[0]
    earned = jnp.sum(jnp.maximum(fair.lower[:, None] * prices, fair.upper[:, None] * prices), 0)
    assert np.max(np.abs(earned)) <= 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_targets_satisfy_the_control(double, form):
    """Optimal counts, which lie on the bounds, moved by a millionth of each group."""
    (problems, found), rng = hard(form, np.float64), np.random.default_rng(0)
    for index in (2, 3, 5, 74, 75):
        p, masses = problems[index], masses_of(problems[index].groups, problems[index].weights)
        shares = group_counts(p, found.probabilities[index], M) / masses[:, None]
        shares += 1e-6 * (np.eye(K)[rng.integers(0, K, M)] - 1 / K)
        fair = control_of(form, masses, TIGHTNESS[index % 6])
        if form == "gap" and TIGHTNESS[index % 6] < 1:
            continue  # with room, only the solver knows the profile that the groups have in common
        level = masses @ shares if form in ("gap", "shares") else np.max(masses[:, None] * shares, 0)
        table = admissible.targets(fair, *map(jnp.asarray, (shares, level, masses)))
        np.testing.assert_allclose(np.sum(table, 1), masses, rtol=1e-12)
        assert np.max(np.abs(table / masses[:, None] - shares)) < 1e-3
        assert admissible.violation(fair, table, jnp.asarray(masses)) <= 1e-12, index


def test_a_heavy_group_keeps_a_light_one_company(double):
    """Half of the light group is below the last digit of the heavy one's mass, and still is met by as much of it."""
    light = 1e-16
    weights = np.array([0.5, 0.5, light, light])
    groups, costs = jnp.array([0, 0, 1, 1]), jnp.array([[0.0, 3.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    masses = jnp.array([1.0, 2 * light])
    points = Points(costs, groups, jnp.asarray(weights), jnp.zeros((2, 2)), masses, jnp.zeros(()))
    wanted = np.array([[1 - light, light], [light, light]])
    plan = jax.jit(primal.finish)(points, jnp.zeros((2, 2)), jnp.asarray(wanted))
    counts = group_counts(Instance(costs, groups, weights, {}), np.asarray(plan.fractions), 2)
    assert plan.met
    # shares of the whole, which is next to 1
    np.testing.assert_allclose(counts[:, 1], wanted[:, 1], rtol=1e-6)
    # the one that loses least by it
    assert plan.fractions[0, 1] == 0
    assert plan.fractions[1, 1] > 0


def test_double_precision_within_single():
    """With 64-bit numbers off: float32 in and out, float64 between, under every transformation."""
    assert not jax.config.jax_enable_x64

    @in_double
    def tiny(x, k):
        assert (x.dtype, k.dtype) == (jnp.float64, jnp.int32)
        return (x + 1e-10) - 1

    one, many, k = jnp.float32(1), jnp.ones(3), jnp.int32(3)
    first = functools.partial(tiny, k=k)
    slope = jax.grad(lambda x: x * first(jax.lax.stop_gradient(x)))
    scanned = jax.lax.scan(lambda c, x: (c, first(x)), 0, many)[1]
    plain = (first(one), jax.jit(first)(one), jax.vmap(first)(many), jax.jit(jax.vmap(first))(many))
    for found in (*plain, scanned, slope(one), jax.jit(slope)(one), jax.jit(jax.vmap(slope))(many)):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, 1e-10, rtol=1e-5)


def test_first_least_is_argmin():
    values = np.random.default_rng(0).integers(0, 3, (40, 5)).astype(np.float32)
    for axis in (0, 1, -1):
        found = first_least(jnp.asarray(values), axis)
        within = jax.jit(jax.vmap(in_double(functools.partial(first_least, axis=axis))))(jnp.asarray(values)[None])[0]
        assert found.dtype == within.dtype == jnp.int32
        np.testing.assert_array_equal([found, within], [np.argmin(values, axis)] * 2)


@functools.partial(jax.jit, static_argnames="dtype", compiler_options=AS_USERS)
@in_double
def as_held(values, dtype):
    return Double.of(values), rounded(values, dtype) - values


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@optimiser(True)
def test_rounding_is_not_left_out(double, dtype):
    """A proof by the prices as they are reported is none if a compiler leaves them as they were."""
    values = jnp.asarray(np.random.default_rng(0).normal(size=100))
    kept, lost = as_held(values, dtype)
    np.testing.assert_array_equal(np.asarray(values + lost), np.asarray(values.astype(dtype).astype(jnp.float64)))
    assert np.abs(lost).max() > 1e-9
    np.testing.assert_array_equal(kept.high + kept.low, values)
