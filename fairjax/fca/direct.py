"""FCA by the direct route: fair k-means by turns of exact fair assignment and centre update.

Each turn solves the fair assignment for the present centres through its dual (K prices per group, warm from the turn
before) and moves every centre to the mean of what was assigned to it, fractions of the points near a boundary
included. Both lower the cost

    (1/n) Σ_i Σ_k A_ik ‖x_i − μ_k‖²,

so it never rises, and the turns end when the centres no longer move. This is FCA (Kim et al., ICML 2025) with the
transport weight π0π1, where alignment is a flow through the K clusters and needs neither a plan of n0 × n1 entries
nor a partition.

``init``, ``step`` and ``run`` are pure; ``finish`` turns the last state into labels with a certificate. Everything
works under ``jit``, and under ``vmap`` over starting centres and over the traced value of the control.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.assignment import screening
from fairjax.assignment.controls import Control
from fairjax.assignment.screening import Prices
from fairjax.assignment.solution import Solution, Tolerances, default_tolerances, solution
from fairjax.fca.points import GroupedPoints, squared_distances

# Up to here all points are open at once, which is robust whatever the data; beyond, screening pays.
OPEN_POINTS = 65_536
_HIGHEST = jax.lax.Precision.HIGHEST
_LOOSEST = 1e-3


class State(NamedTuple):
    """Between two turns.

    Attributes
    ----------
    centers : (K, d) relative to the mean of the points. warm : prices of the last assignment.
    cost : () of the last assignment, to the centres before. shift : () mean squared movement of the centres, relative
    to the variance of the points. best_centers, best_cost : of the cheapest turn so far.
    history : (max_iter,) cost of each turn, NaN where none was.
    n_iter : () int32. n_passes : () int32, passes over all points. converged : () bool.
    """

    centers: Array
    warm: Prices
    cost: Array
    shift: Array
    best_centers: Array
    best_cost: Array
    history: Array
    n_iter: Array
    n_passes: Array
    converged: Array


class FairClustering(NamedTuple):
    """Result of a run.

    Attributes
    ----------
    centers : (K, d) in the units of the points. assignment : :class:`~fairjax.assignment.Solution` for them.
    cost : () mean squared distance of the hard labels. n_iter, n_passes : (). converged : () bool.
    history : (max_iter,) cost of each turn.
    """

    centers: Array
    assignment: Solution
    cost: Array
    n_iter: Array
    n_passes: Array
    converged: Array
    history: Array


def init(points: GroupedPoints, centers: Array, *, max_iter: int = 100) -> State:
    """Before the first turn; ``centers`` (K, d) in the units of the points."""
    dtype = points.features.dtype
    centers = centers.astype(dtype) - points.mean
    infinite = jnp.asarray(jnp.inf, dtype)
    none = jnp.zeros((), jnp.int32)
    warm = screening.cold(points.masses.shape[0], centers.shape[0], dtype)
    history = jnp.full((max_iter,), jnp.nan, dtype)
    return State(
        centers, warm, infinite, infinite, centers, infinite, history, none, none, jnp.array(False)
    )  # fmt: skip


def step(
    points: GroupedPoints,
    control: Control,
    state: State,
    *,
    tol: Array | float = 1e-4,
    tolerances: Tolerances | None = None,
    n_open: int = OPEN_POINTS,
    exact: bool = False,
) -> State:
    """One turn: fair assignment, then centre update.

    While the centres still move far the assignment is solved to a tenth of what the last turn gained; ``exact`` solves
    it to the full tolerance each time.
    """
    tolerances = default_tolerances(points.features.dtype) if tolerances is None else tolerances
    loosest = tolerances.inner if exact else jnp.maximum(_LOOSEST, tolerances.inner)
    cost = jnp.maximum(state.best_cost, jnp.finfo(points.features.dtype).tiny)
    gained = jnp.clip(0.1 * state.shift * points.variance / cost, tolerances.inner, loosest)
    inner = jnp.where(state.n_iter > 0, gained, loosest)
    residual = tolerances.residual * jnp.sqrt(inner / tolerances.inner)
    found = screening.assign(
        squared_distances(points, state.centers), control, state.warm,
        tolerance=inner, residual_tolerance=residual, n_open=n_open,
    )  # fmt: skip

    open_points = found.points
    soft = found.ascent.responsibilities * open_points.weights[:, None]
    inside = jnp.minimum(found.rows, points.weights.shape[0] - 1)
    counts = jnp.sum(open_points.placed, 0) + jnp.sum(soft, 0)
    if n_open < points.weights.shape[0]:
        hard = jax.nn.one_hot(found.found.labels[inside], soft.shape[1], dtype=soft.dtype)
        moved = soft - hard * open_points.weights[:, None]
        before = found.found.extra
    else:
        moved, before = soft, jnp.zeros_like(state.centers)
    sums = before + jnp.matmul(moved.T, points.features[:, inside].T, precision=_HIGHEST)
    cost = open_points.offset + jnp.sum(soft * open_points.costs)

    # a cluster without points keeps its centre
    present = counts > jnp.finfo(counts.dtype).eps
    means = sums / jnp.where(present, counts, 1)[:, None]
    centers = jnp.where(present[:, None], means, state.centers)
    shift = jnp.sum(counts * jnp.sum(jnp.square(centers - state.centers), -1)) / jnp.maximum(
        points.variance, jnp.finfo(counts.dtype).tiny
    )
    better = cost < state.best_cost
    # a rise beyond what the inexact assignment explains: the cost has stopped falling
    risen = cost > state.best_cost * (1 + 2 * jnp.maximum(inner, tolerances.gap))
    settled = (shift <= jnp.square(tol)) & (inner <= jnp.maximum(4 * tolerances.inner, jnp.square(tol)))
    return State(
        centers,
        screening.follow(found.ascent),
        cost,
        shift,
        jnp.where(better, state.centers, state.best_centers),
        jnp.minimum(cost, state.best_cost),
        state.history.at[state.n_iter].set(cost),
        state.n_iter + 1,
        state.n_passes + found.n_passes,
        settled | risen,
    )


def run(
    points: GroupedPoints,
    control: Control,
    state: State,
    *,
    until: Array | int | None = None,
    tol: Array | float = 1e-4,
    tolerances: Tolerances | None = None,
    n_open: int = OPEN_POINTS,
    exact: bool = False,
) -> State:
    """Turns until the centres settle, the cost stops falling or ``until`` turns are done (default: all of them)."""
    last = state.history.shape[0]
    until = last if until is None else jnp.minimum(until, last)
    return jax.lax.while_loop(
        lambda state: ~state.converged & (state.n_iter < until),
        lambda state: step(points, control, state, tol=tol, tolerances=tolerances, n_open=n_open, exact=exact),
        state,
    )


def finish(
    points: GroupedPoints,
    control: Control,
    state: State,
    *,
    tolerances: Tolerances | None = None,
    n_open: int = OPEN_POINTS,
) -> FairClustering:
    """Assign the points to the best centres of ``state`` to the full tolerance, with labels and certificate."""
    tolerances = default_tolerances(points.features.dtype) if tolerances is None else tolerances
    centers = jnp.where(state.converged & (state.cost <= state.best_cost), state.centers, state.best_centers)
    source = squared_distances(points, centers)
    found = screening.assign(
        source, control, state.warm,
        tolerance=tolerances.inner, residual_tolerance=tolerances.residual, n_open=n_open,
    )  # fmt: skip
    best = solution(source, control, found, tolerances)
    cost = labelled_cost(points, centers, best.labels)
    return FairClustering(
        centers + points.mean, best, cost, state.n_iter, state.n_passes + found.n_passes, state.converged, state.history
    )


def labelled_cost(points: GroupedPoints, centers: Array, labels: Array) -> Array:
    """Mean squared distance to the centres (K, d) of the clusters that ``labels`` (n',) name; feature by feature."""

    def feature(total: Array, row_and_center: tuple[Array, Array]) -> tuple[Array, None]:
        row, center = row_and_center
        return total + jnp.sum(points.weights * jnp.square(row - center[labels])), None

    zero = jnp.zeros((), points.features.dtype)
    return jax.lax.scan(feature, zero, (points.features, centers.T))[0]
