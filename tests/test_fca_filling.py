"""No cluster is lost: fair splits, and centres without points that are moved to them, on both routes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fairjax import FCA, fca
from fairjax.assignment import control
from fairjax.fca.alignment import Parameters, Settings
from fairjax.fca.splits import lost, refilled, splits

N, D, K = 64, 2, 4
FAR = 50.0 * np.arange(1, K)[:, None] + np.zeros(D)  # where no point is
NOWHERE = np.r_[np.zeros((1, D)), FAR]


def apart(seed=0, n=N, distance=10.0):
    """Two groups, each on a side of its own: k-means gives most clusters to one of them alone."""
    rng = np.random.default_rng(seed)
    groups = (np.arange(n) < n // 2).astype(np.int32)
    return rng.normal(size=(n, D)) + groups[:, None] * [distance, 0.0], groups


@functools.cache
def programs():
    """Jitted fits from centres, one and a batch of them."""

    def fit(X, groups, centers):
        points = fca.prepare(X, groups, n_groups=2)
        fairness = control(points.masses, epsilon=0.0)
        state = fca.fill(points, fairness, fca.init(points, centers, max_iter=60))
        return fca.finish(points, fairness, state)

    return jax.jit(fit), jax.jit(jax.vmap(fit, in_axes=(None, None, 0)))


def sizes(labels):
    return np.bincount(np.asarray(labels), minlength=K)


def test_a_split_saves_what_it_says():
    """Halves at the medians of the groups, in fractions of points, cost less to their centres by the gain at least."""
    rng = np.random.default_rng(0)
    weights, groups = rng.uniform(0.2, 2, N).astype(np.float32), rng.integers(0, 3, N)
    X = (rng.normal(size=(N, D)) * [3, 1] + 5 * groups[:, None]).astype(np.float32)
    points = fca.prepare(X, groups, weights, n_groups=3)
    none = jnp.full((1, D), 50.0)
    found = jax.jit(splits)(points, jnp.r_[jnp.zeros((1, D)), none], jnp.zeros(N, int))
    useless = lost(jnp.r_[found.centers[:1], none], found.masses, points.variance)
    centers, parents, gain = refilled(found, useless)
    assert found.masses.tolist() == pytest.approx([1, 0])
    assert (useless.tolist(), parents.tolist()) == ([False, True], [0, 0])
    assert float(gain) > 0.2 * 9 / 4

    share, Y = weights / weights.sum(), X - np.asarray(points.mean)
    projected, first = Y @ np.asarray(found.offsets[0]), np.zeros(N)
    for group in range(3):
        members = np.flatnonzero(groups == group)
        members = members[np.argsort(-projected[members])]
        until = np.cumsum(share[members])
        first[members] = np.clip((until[-1] / 2 - until + share[members]) / share[members], 0, 1)
        assert share[members] @ first[members] == pytest.approx(until[-1] / 2)
    costs = ((Y[:, None] - np.asarray(centers)) ** 2).sum(-1)
    assert share @ (first * costs[:, 0] + (1 - first) * costs[:, 1]) <= float(points.variance - gain)


def test_centres_without_points_are_put_to_use():
    fill, _ = programs()
    X, groups = apart()
    found = fill(X, groups, NOWHERE)
    assert sizes(found.assignment.labels).min() > 0
    assert int(found.assignment.status) == 0
    costs = np.asarray(found.history[: found.n_iter])
    assert np.all(np.diff(costs) <= 1e-5 * costs[:-1])
    # a quarter of the spread within the groups is left, or less
    assert found.cost < costs[1] - 0.7 * (costs[1] - 25)


@pytest.mark.slow
def test_batches_fill_as_one_by_one():
    """One member has every cluster filled from the start, the others have some or all to be filled."""
    fill, batched = programs()
    X, groups = apart(1)
    starts = np.stack([X[::16], np.r_[X[::32], FAR[:2]], NOWHERE])
    together = batched(X, groups, starts)
    for i, start in enumerate(starts):
        alone = fill(X, groups, start)
        np.testing.assert_array_equal(together.assignment.labels[i], alone.assignment.labels)
        assert float(together.cost[i]) == pytest.approx(float(alone.cost), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"epsilon": 0.2}, {"min_balance": 0.5}])
def test_more_clusters_never_cost_more(options):
    """One centre more, wherever it is put, than where a fit has ended."""
    for seed in range(2):
        X, groups = apart(seed, distance=4.0)
        fewer = FCA(K - 1, random_state=seed, **options).fit(X, sensitive_features=groups)
        for extra in (FAR[0], fewer.cluster_centers_[0]):
            start = np.r_[fewer.cluster_centers_, extra[None]]
            more = FCA(K, init=start, **options).fit(X, sensitive_features=groups)
            assert sizes(more.labels_).min() > 0
            assert more.cost_ < fewer.cost_


@pytest.mark.parametrize(
    "method", ["direct", *(pytest.param(m, marks=pytest.mark.slow) for m in ("exact", "sinkhorn"))]
)
def test_every_route_fills_its_clusters(method):
    X, groups = apart(2)
    model = FCA(K, method=method, init=NOWHERE, reg=1.0).fit(X, sensitive_features=groups)
    assert sizes(model.labels_).min() > 0
    # the prices tell new points to go there too
    assert sizes(model.predict(X, sensitive_features=groups)).min() > 0


@pytest.mark.slow
def test_alignment_fills_within_jit():
    X, groups = apart(3)
    problem = fca.alignment.prepare(X.astype(np.float32), groups)
    settings, key = Settings(), jax.random.key(0)

    @jax.jit
    def fit(centers):
        state = fca.alignment.init(problem, settings, key, centers, max_iter=40)
        state = fca.alignment.fill(problem, settings, Parameters(), key, state)
        return fca.alignment.finish(problem, state)

    assert sizes(fit(jnp.asarray(NOWHERE, jnp.float32)).assignment.labels).min() > 0


def test_where_nothing_can_be_split():
    """A point each and its duplicates: as many clusters as that gives, and a word about the others."""
    X, groups = np.repeat([[0.0, 0.0], [5.0, 5.0]], N // 2, 0), np.tile([0, 1], N // 2)
    for method in ("direct", "exact"):
        with pytest.warns(ConvergenceWarning, match=f"only 2 of the {K}"):
            model = FCA(K, method=method, random_state=0).fit(X, sensitive_features=groups)
        assert model.cost_ == pytest.approx(0, abs=1e-9)
