"""The alignment route: joint cost, partitions, couplings, descent, FCA-C, and the theory behind them."""

import functools
import importlib.util
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from assignment_oracle import Instance, best_cost
from theory import assert_proposition_4_2

from fairjax import fair_assignment, ot
from fairjax.errors import InputError
from fairjax.fca import alignment
from fairjax.fca.alignment import (
    Parameters,
    Settings,
    center_update,
    coupling,
    joint_cost,
    released,
    rounding,
)

SOLVER = "host" if importlib.util.find_spec("ot") else "exact"
SIZES, D, K = (41, 23, 17), 3, 4
KEY = jax.random.key(0)
MAX_ITER = 12


class Data(NamedTuple):
    X: np.ndarray
    groups: np.ndarray
    centers: np.ndarray


def data(m=2, seed=0, dtype=np.float64):
    """Blobs that the groups populate unevenly; the ids are not in the order of the sizes."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(m)[::-1], SIZES[:m]))
    blob = np.where(rng.random(len(groups)) < 0.5, groups % K, rng.integers(0, K, len(groups)))
    X = 2 * rng.normal(size=(K, D))[blob] + rng.normal(size=(len(groups), D))
    return Data(X.astype(dtype), groups, X[rng.choice(len(X), K, replace=False)].astype(dtype))


@functools.cache
def programs(settings, max_iter=MAX_ITER):
    """Jitted (begin, step, run, finish) for static settings."""

    def begin(problem, centers):
        return alignment.init(problem, settings, KEY, centers, max_iter=max_iter)

    def step(problem, parameters, state):
        return alignment.step(problem, settings, parameters, KEY, state)

    def run(problem, parameters, state, until):
        return alignment.run(problem, settings, parameters, KEY, state, until=until)

    return jax.jit(begin), jax.jit(step), jax.jit(run), jax.jit(alignment.finish)


def iterations(d, settings, n_iter=4, **parameters):
    """Problem and the states after each iteration, in double precision where the data are."""
    parameters = Parameters(**{"transport_weight": 2.0, "tol": 0.0} | parameters)
    problem = alignment.prepare(d.X, d.groups)
    parameters = jax.tree.map(lambda value: jnp.asarray(value, d.X.dtype), parameters)
    begin, step, _, _ = programs(settings)
    states = [begin(problem, d.centers)]
    for _ in range(n_iter):
        states.append(step(problem, parameters, states[-1]))
    return problem, states[1:]


def settings(**changes):
    return Settings(**{"solver": SOLVER, "n_blocks": 3, "scheme": "fixed"} | changes)


def proportions(problem, masses):
    return jnp.stack([jnp.sum(masses[ids], 0) for ids in problem.members])


@pytest.mark.parametrize("weight", [1.0, 2.0])
@pytest.mark.parametrize("scheme", ["fixed", "refine"])
def test_the_objective_never_rises(x64, scheme, weight):
    problem, states = iterations(data(), settings(scheme=scheme), 6, transport_weight=weight)
    objectives = np.array([state.objective for state in states])
    assert np.all(np.diff(objectives) <= 1e-12)
    for state in states:
        assert state.status == 0
        # at weight 1 there is always room
        assert state.solved == 1 or weight != 1
        first, second = proportions(problem, state.masses)
        np.testing.assert_allclose(first, second, atol=1e-12)
        np.testing.assert_allclose(state.masses.sum(1) * problem.shares, 1 / len(problem.X), rtol=1e-9)


def test_refining_ends_below_a_fixed_partition(x64):
    objective = {}
    for scheme in ("fixed", "refine"):
        _, states = iterations(data(), settings(scheme=scheme), 8)
        objective[scheme] = states[-1].objective
    assert objective["refine"] < objective["fixed"]


def test_refining_at_weight_1_ends_near_fair_assignment(x64):
    """Hundreds of points in small blocks, each iteration all of them aligned anew."""
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], [240, 160])
    X = rng.normal(size=(400, D)) + 0.5 * groups[:, None]
    d = Data(X, groups, X[rng.choice(400, K, replace=False)])
    problem, states = iterations(d, settings(scheme="refine", n_blocks=8), MAX_ITER, transport_weight=1.0)
    assert all(state.solved == 1 for state in states)
    objectives = np.array([state.objective for state in states])
    assert np.all(np.diff(objectives) <= 1e-12)
    distances = ((d.X[:, None] - np.asarray(states[-2].centers + problem.mean)) ** 2).sum(-1)
    best = best_cost(Instance(distances, d.groups, np.ones(len(d.X)), {"epsilon": 0.0}))
    assert best <= objectives[-1] <= 1.005 * best


@pytest.mark.slow
def test_alignment_at_weight_1_is_fair_assignment(x64):
    """Without partition the least objective is that of the direct route: the identity of DESIGN.md."""
    d = data()
    _, (state,) = iterations(d, settings(n_blocks=1), 1, transport_weight=1.0)
    distances = ((d.X[:, None] - d.centers) ** 2).sum(-1)
    best = fair_assignment(distances, d.groups, n_groups=2)
    assert float(state.objective) == pytest.approx(float(best.primal), rel=1e-6)
    assert float(state.objective) >= float(best.dual) * (1 - 1e-9)


def test_iterations_can_be_continued(x64):
    d = data()
    chosen = settings(scheme="random")
    begin, _, run, _ = programs(chosen)
    problem = alignment.prepare(d.X, d.groups)
    parameters = jax.tree.map(jnp.asarray, Parameters(transport_weight=2.0, tol=0.0))
    once = run(problem, parameters, begin(problem, d.centers), 4)
    twice = run(problem, parameters, run(problem, parameters, begin(problem, d.centers), 1), 4)
    assert once.n_iter == 4
    np.testing.assert_array_equal(once.objectives, twice.objectives)


@pytest.mark.slow
def test_a_batch_of_starts_is_as_one_by_one(x64):
    d = data()
    problem = alignment.prepare(d.X, d.groups)
    starts = jnp.stack([d.centers, d.X[:K]])
    chosen = settings(scheme="refine")
    parameters = jax.tree.map(jnp.asarray, Parameters(transport_weight=2.0))

    def run(centers):
        state = alignment.init(problem, chosen, KEY, centers, max_iter=3)
        return alignment.run(problem, chosen, parameters, KEY, state).costs

    np.testing.assert_allclose(jax.jit(jax.vmap(run))(starts), [run(one) for one in starts], rtol=1e-12)


def test_float32_ends_where_float64_does(x64):
    _, single = iterations(data(dtype=np.float32), settings(), 4)
    _, double = iterations(data(), settings(), 4)
    assert single[-1].cost.dtype == jnp.float32
    assert float(single[-1].cost) == pytest.approx(float(double[-1].cost), rel=1e-4)


def test_gradient_centers_come_to_the_same_end(x64):
    d = data()
    _, states = iterations(d, settings(update="gradient", n_center_steps=50), 8, learning_rate=0.05)
    _, lloyd = iterations(d, settings(), 8)
    assert float(states[-1].objective) == pytest.approx(float(lloyd[-1].objective), rel=0.02)


def test_the_gradient_is_that_of_the_aligned_cost(x64):
    problem, (state,) = iterations(data(), settings(scheme="refine"), 1)
    points = coupling.aligned_points(state.tuples, problem.X, problem.shares).reshape(-1, D)
    mass = state.tuples.mass.reshape(-1)

    def cost(centers):
        return mass @ jnp.min(joint_cost.squared_distances(points, centers), -1)

    masses = coupling.assign(state.tuples, joint_cost.squared_distances(problem.X, state.centers), problem.shares)
    weighted = masses * problem.shares[:, None]
    slope = 2 * (weighted.sum(0)[:, None] * state.centers - weighted.T @ problem.X)
    np.testing.assert_allclose(slope, jax.grad(cost)(state.centers), atol=1e-12)
    moved, _, _ = center_update.update(
        state.tuples, problem.X, problem.shares, state.centers, (), kind="lloyd", learning_rate=0.0, n_steps=1
    )
    label = jnp.argmin(joint_cost.squared_distances(points, state.centers), -1)
    for k in range(K):
        np.testing.assert_allclose(moved[k], np.average(points[label == k], 0, mass[label == k]), atol=1e-10)


def test_what_is_not_finite_stops_the_run():
    d = data(dtype=np.float32)
    d.X[3, 1] = np.nan
    _, states = iterations(d, settings(), 1)
    assert states[0].converged
    assert states[0].status == 3


def assert_certified(d, result):
    """The bound is the least cost at these centres, by HiGHS, at the additive gap that the fractions have."""
    found = result.assignment
    first, second = found.counts / found.counts.sum(1, keepdims=True)
    reached = float(abs(first - second).sum())
    distances = ((d.X[:, None] - np.asarray(result.centers)) ** 2).sum(-1)
    best = best_cost(Instance(distances, d.groups, np.ones(len(d.X)), {"epsilon": reached}))
    assert float(found.dual) == pytest.approx(best, rel=2e-6)
    assert float(found.gap) == pytest.approx(1 - best / float(found.primal), abs=2e-6)
    assert found.dual <= found.primal
    return reached


@pytest.mark.slow
def test_a_plan_that_misses_mass_is_completed(x64, monkeypatch):
    """The native solver, stopped early, leaves points out; they are assigned all the same, and fairly."""
    monkeypatch.setattr(ot, "exact", functools.partial(ot.exact, max_iter=3))
    d = data()
    problem, chosen = alignment.prepare(d.X, d.groups), settings(solver="exact")

    @jax.jit
    def one_iteration():
        state = alignment.init(problem, chosen, KEY, jnp.asarray(d.centers), max_iter=1)
        return alignment.finish(problem, alignment.step(problem, chosen, Parameters(2.0), KEY, state))

    result = one_iteration()
    assert result.assignment.status == 1
    assert result.assignment.gap > 0.01
    assert assert_certified(d, result) < 1e-9
    np.testing.assert_allclose(result.assignment.fractions.sum(1), 1, rtol=1e-9)
    np.testing.assert_allclose(result.assignment.counts.sum(1), np.bincount(d.groups) / len(d.X), rtol=1e-9)


def test_one_block_refined_is_the_whole(x64):
    objectives = {}
    for scheme in ("fixed", "refine"):
        _, states = iterations(data(), settings(scheme=scheme, n_blocks=1), 2)
        objectives[scheme] = [float(state.objective) for state in states]
        assert states[-1].solved == 1
    assert objectives["refine"] == pytest.approx(objectives["fixed"], rel=1e-9)


def test_what_found_no_room_says_nothing(x64, monkeypatch):
    """Blocks too small for the points of the smaller group: the coupling stays as it is, which is not convergence."""
    monkeypatch.setattr(alignment.state, "_ROOM", (4.0, 0.1))
    d = data()
    problem, chosen = alignment.prepare(d.X, d.groups), settings(scheme="refine", n_blocks=2, patience=1)

    @jax.jit
    def run():
        state = alignment.init(problem, chosen, KEY, jnp.asarray(d.centers), max_iter=4)
        return alignment.run(problem, chosen, Parameters(2.0, tol=0.5), KEY, state)

    state = run()
    assert state.n_iter == 4
    assert state.solved == 0
    assert not state.converged
    assert not np.isfinite(state.gap)
    first, second = proportions(problem, state.masses)
    np.testing.assert_allclose(first, second, atol=1e-12)


def test_settings_that_do_not_go_together():
    two, three = (alignment.prepare(data(m).X, data(m).groups) for m in (2, 3))
    for problem, changes, message in [
        (three, {"solver": "sinkhorn"}, "aligns two"),
        (three, {"scheme": "refine"}, "refine scheme needs two groups"),
        (three, {"rule": "dearest"}, "FCA-C needs two groups"),
        (two, {"solver": "sinkhorn", "rule": "dearest"}, "FCA-C needs"),
        (two, {"scheme": "refine", "rule": "dearest"}, "the set W of FCA-C is drawn anew"),
        (two, {"n_blocks": 1000}, "n_blocks is 1000, and the smallest group has"),
        (two, {"n_blocks": 0}, "n_blocks is 0; expected a whole number"),
        (two, {"rule": "nearest"}, "rule is 'nearest'; expected one of None, 'dearest', 'cheapest'"),
    ]:
        with pytest.raises(InputError, match=message):
            alignment.check(problem, settings(**changes))
    with pytest.raises(InputError, match="the group 1 has no points"):
        alignment.prepare(np.zeros((3, 1)), np.array([0, 2, 0]))
    with pytest.raises(InputError, match="expected \\(n, d\\)"):
        alignment.prepare(np.zeros((3, 1)), np.array([0, 1]))


# --- Proposition 4.2 and the result -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_groups", "n_blocks", "weight"), [(2, 3, 2.0), pytest.param(3, 1, 1.0, marks=pytest.mark.slow)]
)
def test_result(x64, n_groups, n_blocks, weight):
    d = data(n_groups)
    chosen = settings(n_blocks=n_blocks)
    problem, states = iterations(d, chosen, 4, transport_weight=weight)
    for column in proportions(problem, states[-1].masses)[1:]:
        np.testing.assert_allclose(column, proportions(problem, states[-1].masses)[0], atol=1e-12)
    result = jax.tree.map(np.asarray, programs(chosen)[3](problem, states[-1]))
    labels = result.assignment.labels
    centers = np.stack([d.X[labels == k].mean(0) for k in range(K)])
    np.testing.assert_allclose(result.centers, centers, atol=1e-9)
    assert float(result.cost) == pytest.approx(((d.X - centers[labels]) ** 2).sum(1).mean(), rel=1e-9)
    assert result.assignment.dual <= result.assignment.primal
    # folding three groups in one after another costs something even at weight 1, and here 3 %
    assert 0 <= result.assignment.gap < 0.2
    assert result.assignment.status == 0
    counts = np.stack([np.bincount(labels[d.groups == s], minlength=K) for s in range(n_groups)])
    wanted = result.assignment.counts * len(d.X)
    assert np.all(np.abs(counts - wanted) < 1 + 1e-6)
    for other in range(1, n_groups):
        sizes = counts.sum(1)[[0, other]]
        first, second = result.assignment.counts[[0, other]] * len(d.X) / sizes[:, None]
        assert_proposition_4_2(first, second, sizes, 1e-12)
        # labels are the fractions but for one point of a group in each cluster
        shares = counts[[0, other]] / sizes[:, None]
        assert_proposition_4_2(*shares, sizes, K * (1 / sizes).sum())


def test_labels_by_argmax_and_by_chance():
    masses = jnp.array([[0.3, 0.1], [0.1, 0.1], [0.0, 0.2]]) / 5
    assert rounding.hard_labels(masses, jnp.zeros(3, int), 1, "argmax").tolist() == [0, 0, 1]
    drawn = jax.vmap(lambda key: rounding.hard_labels(masses, jnp.zeros(3, int), 1, "sample", key))(
        jax.random.split(KEY, 2000)
    )
    np.testing.assert_allclose(drawn.mean(0), [0.25, 0.5, 1.0], atol=0.05)
    with pytest.raises(InputError, match="key is missing"):
        rounding.hard_labels(masses, jnp.zeros(3, int), 1, "sample")
    with pytest.raises(InputError, match="how is 'best'"):
        rounding.hard_labels(masses, jnp.zeros(3, int), 1, "best")


# --- FCA-C --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_upper_quantile(dtype):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 13, 20)).astype(dtype)
    values[0, :, :3] = 0.25  # ties
    a, b = np.full(13, 1 / 13, dtype), np.append(np.full(16, 1 / 16, dtype), np.zeros(4, dtype))
    shares = np.array([0.0, 0.05, 0.3, 0.5, 0.999, 1.0], dtype)
    with jax.enable_x64(dtype == np.float64):
        grid = jax.vmap(jax.vmap(released.upper_quantile, (None, None, None, 0)), (0, None, None, None))
        found = np.asarray(grid(values, a, b, shares))
    for block, thresholds in zip(values[:, :, :16], found, strict=True):
        for share, threshold in zip(shares, thresholds, strict=True):
            allowed = int(np.floor(share * block.size + 1e-4))
            assert np.sum(block > threshold) <= allowed
            below = np.sort(block[block <= threshold])
            tied = np.sum(block >= below[-1] - 1e-6) if len(below) else block.size
            assert len(below) == 0 or tied > allowed or np.sum(block > threshold) == allowed


@pytest.mark.parametrize("n_allowed", [0, 1, 3])
def test_no_pair_of_a_large_block_slips_into_w(n_allowed):
    """In single precision and at the size of a block of Adult, where a pair is 4e-7 of the whole."""
    n, m = 1077, 2179
    values = np.random.default_rng(0).permutation(n * m).reshape(n, m).astype(np.float32)
    a, b = np.full(n, 0.1 / n, np.float32), np.full(m, 0.1 / m, np.float32)
    threshold = jax.jit(released.upper_quantile)(values, a, b, np.float32(n_allowed / (n * m)))
    assert np.sum(values > threshold) == n_allowed


@pytest.mark.parametrize("rule", ["dearest", "cheapest"])
def test_released_pairs(rule):
    rng = np.random.default_rng(0)
    costs, nearest = jnp.asarray(1 + rng.random((10, 12))), jnp.zeros((10, 12))
    a, b = jnp.full(10, 0.1), jnp.full(12, 1 / 12)
    found, free = released.release(costs, nearest, a, b, 0.25, rule)
    assert int(free.sum()) == 30
    np.testing.assert_array_equal(found, jnp.where(free, nearest, costs))
    inside, outside = costs[free], costs[~free]
    assert inside.min() > outside.max() if rule == "dearest" else inside.max() < outside.min()


@pytest.mark.parametrize("rule", ["dearest", "cheapest"])
def test_fca_c_goes_from_fair_to_plain_k_means(x64, rule):
    d = data()
    chosen = settings(rule=rule)
    costs = []
    for share in (0.0, 0.1, 1.0):
        problem, states = iterations(d, chosen, 3, released=share)
        first, second = np.asarray(proportions(problem, states[-1].masses))
        # only what the plan puts on W can set the groups apart, each of the two by all of it
        parameters = jax.tree.map(jnp.asarray, Parameters(transport_weight=2.0, released=share))
        tuples = jax.jit(alignment.align, static_argnums=1)(problem, chosen, parameters, KEY, states[-2]).coupling
        in_w = float(jnp.sum(tuples.mass * tuples.released))
        assert_proposition_4_2(first, second, [len(ids) for ids in problem.members], 2 * in_w)
        costs.append(float(states[-1].cost))
        gap = np.abs(first - second).sum()
        result = jax.tree.map(np.asarray, programs(chosen)[3](problem, states[-1]))
        assert assert_certified(d, result) == pytest.approx(gap, abs=1e-9)
        if share == 0:
            assert gap < 1e-12
            _, plain = iterations(d, settings(), 3)
            assert costs[0] == pytest.approx(float(plain[-1].cost), rel=1e-12)
        if share == 1:
            distances = joint_cost.squared_distances(problem.X, states[-2].centers)
            nearest = np.bincount(np.argmin(distances, 1), minlength=K) / len(d.X)
            np.testing.assert_allclose(np.sum(states[-1].masses * problem.shares[:, None], 0), nearest, atol=1e-12)
    assert costs[0] > costs[-1]
