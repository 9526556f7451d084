"""Which points of many are looked at closely: all near a boundary, or one for each stratum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax.assignment import selection
from fairjax.assignment.selection import Sides, choose, indices

N, N_GROUPS, K, N_OPEN = 20_000, 2, 5, 512
SHAPE = (N_GROUPS * K, K)


def points(seed=0):
    """Margins, cells, rivals and weights; of one boundary only three points are near, others weigh nothing."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, SHAPE[0], N).astype(np.int32)
    rivals = ((cells + rng.integers(1, K, N)) % K).astype(np.int32)
    margins = rng.exponential(size=N).astype(np.float32)
    rare = (cells == 3) & (rivals == 4)
    margins[rare] += 10
    margins[np.flatnonzero(rare)[:3]] = [0.2, 0.3, 0.4]
    weights = rng.uniform(0.5, 1.5, N).astype(np.float32)
    weights[::7] = 0
    margins[::7] = np.inf
    return margins, cells, rivals, weights / weights.sum()


@jax.jit
def chosen(margins, cells, rivals, weights, radius):
    return choose(margins, sides(cells, rivals, K), (N_GROUPS, K), weights, radius, radius, N_OPEN)


def sides(cells, rivals, n_clusters):
    """Labels and rivals of a narrow type, as passes return them."""
    return Sides(cells // n_clusters, (cells % n_clusters).astype(jnp.int8), rivals.astype(jnp.int8))


@pytest.mark.parametrize(("n", "size"), [(1, 3), (31, 8), (32, 40), (1000, 100), (1000, 1000)])
def test_indices_are_those_of_flags(n, size):
    for share in (0.0, 0.05, 0.5, 1.0):
        flags = np.random.default_rng(n).random(n) < share
        expected = np.flatnonzero(flags)[:size]
        found = np.asarray(jax.jit(indices, static_argnums=1)(flags, size))
        np.testing.assert_array_equal(found, np.r_[expected, np.full(size - len(expected), n)])


@pytest.mark.parametrize("seed", range(5))
def test_nearest_points_are_all_taken(seed):
    margins, cells, rivals, weights = points(seed)
    found = chosen(margins, cells, rivals, weights, 1e-4)
    rows = np.asarray(found.rows)
    rows = rows[rows < N]
    assert bool(found.exact)
    assert N_OPEN / 4 < len(rows) <= N_OPEN
    near = np.flatnonzero((weights > 0) & (margins < float(found.radius)))
    np.testing.assert_array_equal(rows, near)
    np.testing.assert_array_equal(found.weights[: len(rows)], weights[rows])
    np.testing.assert_array_equal(found.weights[len(rows) :], 0)


def test_few_places_for_very_many_points():
    """As with 10^8 points: one margin in thousands is below the widest that there are places for."""
    rng = np.random.default_rng(0)
    n, n_open = 400_000, 64
    cells, rivals = (rng.integers(0, 2, n).astype(np.int32) for _ in range(2))
    weights = jnp.full(n, 1 / n, jnp.float32)
    choices = jax.jit(lambda margins: choose(margins, sides(cells, rivals, 2), (1, 2), weights, 1e-9, 1e-9, n_open))
    for _ in range(5):
        found = choices(rng.exponential(size=n).astype(np.float32))
        assert bool(found.exact)
        assert n_open / 3 < np.sum(np.asarray(found.rows) < n) <= n_open
        assert float(found.radius) > 0


@pytest.mark.parametrize("radius", [0.5, 2.0, np.inf])
def test_representatives_stand_for_all(radius):
    """Every boundary is represented, with the weight of its points; so is each distance from it, nearly."""
    margins, cells, rivals, weights = points()
    found = chosen(margins, cells, rivals, weights, np.float32(radius))
    rows, stands_for = np.asarray(found.rows), np.asarray(found.weights)
    kept = rows < N
    rows, stands_for = rows[kept], stands_for[kept]
    assert not bool(found.exact)
    near = (margins < radius) & (weights > 0)
    assert float(found.radius) >= radius
    assert np.all(near[rows])
    kind = cells * K + rivals
    total = np.bincount(kind[near], weights[near], SHAPE[0] * K)
    np.testing.assert_allclose(np.bincount(kind[rows], stands_for, SHAPE[0] * K), total, rtol=1e-5)
    np.testing.assert_array_equal(np.unique(kind[rows]), np.unique(kind[near]))
    # a random sample of this size is off by some 15 %
    for part in (0.1, 0.3, 0.6):
        crossed = margins < part * margins[near].max()
        by_cell = np.bincount(cells[near & crossed], weights[near & crossed], SHAPE[0])
        estimated = np.bincount(cells[rows], stands_for * crossed[rows], SHAPE[0])
        assert np.max(np.abs(estimated - by_cell) / np.bincount(cells[near], weights[near])) < 0.08


def test_rows_are_gone_over_by_stretches(monkeypatch):
    """However long these are, and where the last one reaches back, the choice is the same."""
    margins, cells, rivals, weights = points()
    weights = np.round(1e6 * weights)  # whole numbers, which add up in any order
    sizes = []
    for length in (N, 3_000):
        monkeypatch.setattr(selection, "_STRETCH", length)
        for radius in (1e-4, 2.0):
            found = jax.jit(lambda *given: chosen.__wrapped__(*given))(
                margins, cells, rivals, weights, np.float32(radius)
            )
            sizes.append([np.asarray(leaf) for leaf in found])
    for one, other in zip(sizes[:2], sizes[2:], strict=True):
        for leaf, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(leaf, same)


def test_more_boundaries_than_places():
    """Boundaries of a cell are taken together then, and all weight is still stood for."""
    rng = np.random.default_rng(0)
    n_clusters = 60
    cells, rivals = (rng.integers(0, n, N).astype(np.int32) for n in (2 * n_clusters, n_clusters))
    weights = jnp.full(N, 1 / N, jnp.float32)
    places = sides(cells, rivals, n_clusters)
    found = jax.jit(lambda margins, radius: choose(margins, places, (2, n_clusters), weights, radius, radius, N_OPEN))(
        rng.exponential(size=N).astype(np.float32), jnp.float32(jnp.inf)
    )
    assert np.sum(np.asarray(found.rows) < N) <= N_OPEN
    assert float(found.radius) == np.inf
    np.testing.assert_allclose(np.sum(found.weights), 1, rtol=1e-5)
