"""VFC's iterations: a soft assignment that trades cost against fairness, then new centres, for three objectives.

`assign` of :mod:`fairjax.baselines.variational` is the first half of an iteration.
"""

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fairjax._core.checks import check_choice
from fairjax.baselines.medoids import cluster_medoids
from fairjax.baselines.variational import LEAST_BOUND, Shares, settle
from fairjax.errors import InputError
from fairjax.kmeans.distances import distances_by_center
from fairjax.kmeans.points import as_centers, as_weighted_points

Objective = Literal["kmeans", "kmedian", "ncut"]
OBJECTIVES: tuple[Objective, ...] = ("kmeans", "kmedian", "ncut")

_SETTLING = 3  # the first iteration after which the test looks at the energy
_LEAST_ITERATIONS = 3  # for which there are steps in any case
_NOISE = 1e-4  # a rise of the energy that is no divergence


class Graph(NamedTuple):
    """A weighted graph as a list of its E edges, each in both directions."""

    rows: Array
    """(E,) int32"""
    columns: Array
    """(E,) int32"""
    values: Array
    """(E,) affinities, positive."""


class Iterations(NamedTuple):
    """Outcome of `run`."""

    labels: Array
    """(n,) int32"""
    centers: Array
    """(K, d) that the labels were assigned to: means, medoids, or the centres at the start for Ncut."""
    prices: Array
    """(M, K), what a point of a group pays to enter a cluster: labels are the cheapest clusters."""
    energy: Array
    """() Σ S a + λ Σ KL of the last soft assignment; Ncut's a sums to its value minus K."""
    divergence: Array
    """() Σ KL(u ‖ P_k) of the last soft assignment."""
    n_iter: Array
    """() int32"""
    n_steps: Array
    """() int32, passes over the points in all iterations."""
    settled: Array
    """() bool, whether the iterations and the last assignment came to rest."""
    diverged: Array
    """() bool, whether an energy was not finite, or above that of the shares an iteration began with."""


class _State(NamedTuple):
    centers: Array
    found: Shares
    tested: Array
    n_iter: Array
    n_steps: Array
    rest: Array
    diverged: Array


@partial(jax.jit, static_argnames="objective")
def run(
    X: ArrayLike,
    groups: ArrayLike,
    centers: ArrayLike,
    strength: ArrayLike,
    target: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    objective: Objective = "kmeans",
    graph: Graph | None = None,
    step: ArrayLike | None = None,
    max_iter: ArrayLike = 100,
    max_steps: ArrayLike = 3000,
    tol: ArrayLike = 1e-4,
    step_tol: ArrayLike = 1e-5,
) -> Iterations:
    """Minimise Σ S a + λ Σ_k KL(u ‖ P_k) in turns over soft clusters S and centres.

    Parameters
    ----------
    X : (n, d) points.
    groups : (n,) ids from 0 to M-1.
    centers : (K, d) at the start; k-means++ seeds in the authors' code.
    strength : () λ ≥ 0, traced: a curve over it is one `jax.lax.map`.
    target : (M,) u.
    weights : (n,) non-negative, all ones by default. Not for Ncut.
    objective : static; what a is: squared distances to means, distances to medoids, or the normalised cut's bound.
    graph : that of the normalised cut, symmetric.
    step, step_tol : of each assignment, see `assign`; `step_tol` is its `tol`.
    max_steps : most passes over the points, all iterations together; one iteration takes at most a third of them.
    max_iter, tol : the iterations end when the energy changes by at most this share, from the third one on. With a
        fixed `step` the energy has the cross-entropy in place of the divergence, as the authors have it: λ times a
        constant is in it, and a large λ ends the iterations at once.

    Returns
    -------
    Iterations
        O(n K (d + M)) a step; k-median adds O(d Σ n_k²) an iteration, Ncut O(E). A cluster without points keeps its
        centre.

    Raises
    ------
    InputError
        If shapes do not agree, an objective is not known, or Ncut lacks its graph.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> X = jnp.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> groups, target = jnp.array([0, 0, 1, 1, 1, 0]), jnp.array([0.5, 0.5])
    >>> run(X, groups, X[::3], 0.0, target).labels.tolist()
    [0, 0, 0, 1, 1, 1]
    """
    X, weights = as_weighted_points(X, weights)
    centers = as_centers(centers, X)
    groups, target = _checked(X, jnp.asarray(groups), jnp.asarray(target, X.dtype), objective, graph)
    strength, max_steps = jnp.asarray(strength, X.dtype), jnp.asarray(max_steps, jnp.int32)
    # the costs of the cut sum to K at most, and L has their unit
    least = LEAST_BOUND * (len(centers) / jnp.sum(weights) if objective == "ncut" else 1)
    judged = partial(_judged, None if step is None else strength * len(centers) * _entropy(target), tol)

    def assigned(centers: Array, labels: Array, n_steps: Array) -> Shares:
        most = jnp.minimum((max_steps + _LEAST_ITERATIONS - 1) // _LEAST_ITERATIONS, max_steps - n_steps)
        costs = _costs(objective, X, weights, graph, centers, labels)
        return settle(costs, groups, strength, target, weights, step, most, step_tol, least)

    def iteration(state: _State) -> _State:
        centers = _moved(objective, X, weights, state.found.labels, state.centers)
        return judged(state, centers, assigned(centers, state.found.labels, state.n_steps))

    def unfinished(state: _State) -> Array:
        return ~state.rest & ~state.diverged & (state.n_iter < max_iter) & (state.n_steps < max_steps)

    labels = jnp.argmin(distances_by_center(X, centers), axis=0)  # from which alone Ncut's costs follow
    first = judged(None, centers, assigned(centers, labels, jnp.zeros((), jnp.int32)))
    state = lax.while_loop(unfinished, iteration, first)
    found = state.found
    return Iterations(
        found.labels, state.centers, found.prices, found.energy, found.divergence, state.n_iter, state.n_steps,
        state.rest, state.diverged,
    )  # fmt: skip


def _checked(X: Array, groups: Array, target: Array, objective: Objective, graph: Graph | None) -> tuple[Array, Array]:
    check_choice("objective", objective, OBJECTIVES)
    if groups.shape != X.shape[:1] or target.ndim != 1:
        raise InputError(
            f"groups and target have shapes {groups.shape} and {target.shape}; expected {X.shape[:1]} and (M,)"
        )
    if objective == "ncut" and graph is None:
        raise InputError("objective='ncut' needs a graph")
    return groups, target


def _entropy(target: Array) -> Array:
    return -jnp.sum(target * jnp.log(jnp.where(target > 0, target, 1)))


def _judged(offset: Array | None, tol: ArrayLike, before: _State | None, centers: Array, found: Shares) -> _State:
    """The state after an iteration; ``offset`` is what the authors' test adds to the energy, and None elsewhere."""
    n_iter, n_steps = (0, 0) if before is None else (before.n_iter, before.n_steps)
    tested, diverged = found.energy, ~jnp.isfinite(found.energy)
    if offset is not None:
        tested = tested + offset
        diverged |= found.energy - found.start_energy > _NOISE * jnp.abs(found.start_energy)
    rest = jnp.zeros((), bool)
    if before is not None:
        little = jnp.abs(tested - before.tested) <= tol * jnp.abs(before.tested)
        rest = (n_iter >= _SETTLING - 1) & little & found.settled
    return _State(centers, found, tested, jnp.int32(n_iter + 1), jnp.int32(n_steps + found.n_steps), rest, diverged)


def _costs(objective: Objective, X: Array, weights: Array, graph: Graph | None, centers: Array, labels: Array) -> Array:
    """The costs of points in clusters, (K, n)."""
    if objective == "ncut":
        assert graph is not None
        return cut_costs(graph, labels, len(centers))
    squares = distances_by_center(X, centers)
    return squares if objective == "kmeans" else jnp.sqrt(squares)


def cut_costs(graph: Graph, labels: Array, n_clusters: int) -> Array:
    """Ncut's bound at hard labels as (K, n): d_p z_k − 2 (W S_k)_p / vol_k, with z_k = assoc_k / vol_k².

    Summed over the clusters that the labels say it is −Σ_k assoc_k / vol_k: the normalised cut minus K.
    """
    n = len(labels)
    degrees = jax.ops.segment_sum(graph.values, graph.rows, n)
    places = graph.rows * n_clusters + labels[graph.columns]
    ties = jax.ops.segment_sum(graph.values, places, n * n_clusters).reshape(n, n_clusters).T
    own = labels == jnp.arange(n_clusters)[:, None]
    volumes = jnp.sum(jnp.where(own, degrees, 0), axis=1, keepdims=True)
    volumes = jnp.where(volumes > 0, volumes, 1)
    associations = jnp.sum(jnp.where(own, ties, 0), axis=1, keepdims=True)
    return degrees * (associations / volumes**2) - 2 * ties / volumes


def _moved(objective: Objective, X: Array, weights: Array, labels: Array, centers: Array) -> Array:
    """Centres of the labels; a cluster without points keeps its own."""
    if objective == "ncut":
        return centers
    if objective == "kmedian":
        medoids, _ = cluster_medoids(X, labels, len(centers), weights)
        return jnp.where((medoids >= 0)[:, None], X[medoids], centers)
    members = jnp.where(labels == jnp.arange(len(centers))[:, None], weights, 0)
    sizes = jnp.sum(members, axis=1, keepdims=True)
    means = jnp.matmul(members, X, precision="highest") / jnp.where(sizes > 0, sizes, 1)
    return jnp.where(sizes > 0, means, centers)
