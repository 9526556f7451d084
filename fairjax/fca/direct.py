"""FCA by the direct route."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.assignment import controls, dual, screening
from fairjax.assignment.controls import Control
from fairjax.assignment.screening import Assignment, Pass, Prices, Source

_BLOCK = 8192
_UNROLLED = 32
_HIGHEST = jax.lax.Precision.HIGHEST


class Data(NamedTuple):
    """Points as the passes read them.

    Attributes
    ----------
    features : (d, n) one contiguous row per feature, centred. groups : (n,). weights : (n,) that sum to 1, 0 = padding.
    masses : (M,). mean : (d,) what was subtracted. square : () weighted mean of ‖x‖².
    """

    features: Array
    groups: Array
    weights: Array
    masses: Array
    mean: Array
    square: Array


def prepare(X: Array, groups: Array, weights: Array | None, n_groups: int) -> Data:
    n = X.shape[0]
    weights = jnp.ones((n,), X.dtype) if weights is None else weights.astype(X.dtype)
    weights = weights / jnp.sum(weights)
    mean = jnp.matmul(weights, X, precision=_HIGHEST)
    block = min(_BLOCK, n)
    padding = -n % block
    features = jnp.pad((X - mean).T, ((0, 0), (0, padding)))
    weights = jnp.pad(weights, (0, padding))
    groups = jnp.pad(groups.astype(jnp.int32), (0, padding))
    member = groups == jnp.arange(n_groups)[:, None]
    # block by block: one running sum over millions of small weights would lose digits
    masses = jnp.sum(jnp.sum(jnp.where(member, weights, 0).reshape(n_groups, -1, block), -1), -1)
    square = jnp.sum(jnp.matmul(jnp.square(features), weights, precision=_HIGHEST))
    return Data(features, groups, weights, masses, mean, square)


def _two_cheapest(reduced: Array) -> tuple[Array, Array, Array]:
    """Cheapest cluster (n,), its cost and the second cheapest's, of (K, n)."""
    n_clusters = reduced.shape[0]
    if n_clusters > _UNROLLED:
        label = jnp.argmin(reduced, 0).astype(jnp.int32)
        cheapest = jnp.min(reduced, 0)
        others = jnp.where(jnp.arange(n_clusters)[:, None] == label, jnp.inf, reduced)
        return label, cheapest, jnp.min(others, 0)
    cheapest = reduced[0]
    label = jnp.zeros(cheapest.shape, jnp.int32)
    second = jnp.full(cheapest.shape, jnp.inf, reduced.dtype)
    for k in range(1, n_clusters):
        less = reduced[k] < cheapest
        second = jnp.where(less, cheapest, jnp.minimum(second, reduced[k]))
        label = jnp.where(less, k, label)
        cheapest = jnp.where(less, reduced[k], cheapest)
    return label, cheapest, second


def source(data: Data, centers: Array) -> Source:
    """Squared distances of the points to the centres (K, d) as a source of costs."""
    n_clusters, n_features = centers.shape
    n_groups = data.masses.shape[0]
    n_points = data.weights.shape[0]
    block = min(_BLOCK, n_points)
    squares = jnp.sum(jnp.square(centers), -1)

    def scan(prices: Array) -> Pass:
        weights_in = jnp.concatenate([-2 * centers.T, prices + squares])

        def one(carry: tuple[Array, Array], start: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
            sums, lowest = carry
            features = jax.lax.dynamic_slice(data.features, (0, start), (n_features, block))
            weights = jax.lax.dynamic_slice(data.weights, (start,), (block,))
            groups = jax.lax.dynamic_slice(data.groups, (start,), (block,))
            member = (groups == jnp.arange(n_groups)[:, None]).astype(features.dtype)
            extended = jnp.concatenate([features, member])
            reduced = jnp.matmul(weights_in.T, extended, precision=_HIGHEST)
            label, cheapest, second = _two_cheapest(reduced)
            chosen = jnp.where(jnp.arange(n_clusters)[:, None] == label, weights, 0)
            sums = sums + jnp.matmul(chosen, extended.T, precision=_HIGHEST)
            return (sums, lowest + jnp.sum(weights * cheapest)), (label, second - cheapest)

        zeros = jnp.zeros((n_clusters, n_features + n_groups), data.features.dtype)
        starts = jnp.arange(n_points // block) * block
        (sums, lowest), (labels, margins) = jax.lax.scan(one, (zeros, zeros[0, 0]), starts)
        counts = sums[:, n_features:].T
        cost = data.square + lowest - jnp.sum(counts * prices)
        return Pass(labels.reshape(-1), margins.reshape(-1), counts, cost, sums[:, :n_features])

    def rows(index: Array) -> Array:
        points = data.features[:, jnp.minimum(index, n_points - 1)]
        cross = jnp.matmul(points.T, centers.T, precision=_HIGHEST)
        return jnp.maximum(jnp.sum(jnp.square(points), 0)[:, None] - 2 * cross + squares, 0)

    return Source(scan, rows, data.groups, data.weights, data.masses)


class State(NamedTuple):
    centers: Array
    warm: Prices
    cost: Array
    n_iter: Array
    converged: Array
    n_passes: Array
    n_newton: Array
    history: Array


def init(data: Data, centers: Array, max_iter: int) -> State:
    dtype = data.features.dtype
    zero = jnp.zeros((), jnp.int32)
    warm = screening.cold(data.masses.shape[0], centers.shape[0], dtype)
    return State(centers - data.mean, warm, jnp.asarray(jnp.inf, dtype), zero, jnp.array(False), zero, zero,
                 jnp.full((max_iter,), jnp.nan, dtype))


def step(data: Data, control: Control, state: State, *, tol: float, tolerance: float, residual_tolerance: float, n_open: int) -> State:
    found = screening.assign(source(data, state.centers), control, state.warm,
                             tolerance=tolerance, residual_tolerance=residual_tolerance, n_open=n_open)
    points = found.points
    prices = controls.normalise(control, found.ascent.y, found.ascent.temperature).prices
    soft = dual.responsibilities(points, prices, found.ascent.temperature) * points.weights[:, None]
    inside = jnp.minimum(found.index, data.weights.shape[0] - 1)
    near = data.features[:, inside]
    if n_open >= data.weights.shape[0]:
        sums = jnp.matmul(soft.T, near.T, precision=_HIGHEST)
        counts = jnp.sum(soft, 0)
    else:
        hard = jax.nn.one_hot(found.found.labels[inside], soft.shape[1], dtype=soft.dtype) * points.weights[:, None]
        sums = found.found.extra + jnp.matmul((soft - hard).T, near.T, precision=_HIGHEST)
        counts = jnp.sum(points.placed, 0) + jnp.sum(soft, 0)
    cost = points.offset + jnp.sum(soft * points.costs)
    centers = jnp.where(counts[:, None] > 1e-12, sums / jnp.where(counts > 1e-12, counts, 1)[:, None], state.centers)
    converged = state.cost - cost <= tol * cost
    keep = lambda new, old: jnp.where(converged, old, new)
    return State(jnp.where(cost <= state.cost, centers, state.centers), screening.follow(found.ascent), jnp.minimum(cost, state.cost), state.n_iter + 1, converged,
                 state.n_passes + found.n_passes, state.n_newton + found.ascent.n_iter, state.history.at[state.n_iter].set(cost))


def run(data, control, state, *, max_iter, **options):
    return jax.lax.while_loop(lambda s: ~s.converged & (s.n_iter < max_iter), lambda s: step(data, control, s, **options), state)
