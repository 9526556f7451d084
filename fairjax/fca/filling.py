"""No cluster is lost: a centre that ends without points is moved to a fair half of another cluster.

Where groups lie apart, a fair assignment may leave centres without points, and iterations do not move these. Each is
moved to one half of the cluster whose split into two fair halves saves most (:mod:`~fairjax.fca.splits`), and the
iterations continue from there. A cluster stays empty only if none can be split: if in every cluster each group lies on
a single point.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax.assignment.controls import Control
from fairjax.assignment.screening import placed_at
from fairjax.fca.direct import State, run
from fairjax.fca.points import GroupedPoints
from fairjax.fca.splits import lost, refilled, splits, worth_it

S = TypeVar("S")


def refill(points: GroupedPoints, state: State) -> tuple[State, Array]:
    """The final ``state`` of a run, with centres that have no points moved to where the cost falls most.

    Returns
    -------
    State, to be continued, and whether a centre was moved () bool; if not, the state is unchanged. O(n K M d).
    """
    assignment = state.assignment
    nearest = jnp.argmax(assignment.optimum.fractions, -1).astype(jnp.int32)
    labels = placed_at(assignment.labels.astype(jnp.int32), assignment.rows, nearest, points.spread)
    found = splits(points, state.best_centers, labels)
    useless = lost(state.best_centers, found.masses, points.variance)
    if state.present is not None:
        useless &= state.present
    centers, parents, gain = refilled(found, useless)
    moved = worth_it(gain, state.best_cost, points.variance)
    infinite = jnp.full_like(state.cost, jnp.inf)
    changed = state._replace(
        centers=centers,
        # both halves start from the prices of the whole
        warm=state.warm._replace(y=state.warm.y[:, parents], level=state.warm.level[..., parents], reach=infinite),
        drift=jnp.zeros_like(state.drift),
        cost=infinite,
        shift=infinite,
        best_centers=centers,
        converged=jnp.zeros_like(state.converged),
        ended=jnp.zeros_like(state.ended),
    )
    return jax.tree.map(lambda new, old: jnp.where(moved, new, old), changed, state), moved


def fill(points: GroupedPoints, control: Control, state: State, **options: Any) -> State:
    """Iterate as :func:`~fairjax.fca.run` does, with the same ``options``, until no centre is better used elsewhere.

    Centres without points are moved by :func:`refill` and the iterations continue, at most K times and only while the
    cost falls. A centre that is moved when ``until`` iterations are done stays there, which still lowers the cost.

    Examples
    --------
    Two groups apart, and a centre far from both:

    >>> import jax, jax.numpy as jnp
    >>> from fairjax import fca
    >>> from fairjax.assignment import control
    >>> @jax.jit
    ... def fit(X, groups, centers):
    ...     points = fca.prepare(X, groups, n_groups=2)
    ...     fairness = control(points.masses, epsilon=0.0)
    ...     state = fca.fill(points, fairness, fca.init(points, centers))
    ...     return fca.finish(points, fairness, state)
    >>> X, groups = jnp.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]), jnp.array([0, 0, 0, 1, 1, 1])
    >>> found = fit(X, groups, jnp.array([[1.0], [30.0]]))
    >>> sorted(found.assignment.labels.tolist()), round(float(found.cost), 3)
    ([0, 0, 0, 0, 1, 1], 25.222)
    """

    def iterations(state: State) -> State:
        return run(points, control, state, **options)

    return until_full(iterations, lambda state: refill(points, state), cost, state, n_clusters=state.centers.shape[0])


def cost(state: State) -> Array:
    """() of the last assignment."""
    near = state.assignment.points
    return near.offset + jnp.sum(state.assignment.optimum.fractions * near.weights[:, None] * near.costs)


def until_full(
    iterations: Callable[[S], S],
    refill: Callable[[S], tuple[S, Array]],
    cost: Callable[[S], Array],
    state: S,
    *,
    n_clusters: int,
) -> S:
    """``iterations``, repeated after each ``refill`` that moved a centre, while the cost falls; compiled once."""

    def again(carry: tuple[S, S, Array, Array]) -> tuple[S, S, Array, Array]:
        best, state, rounds, _ = carry
        state = iterations(state)
        better = (rounds == 0) | (cost(state) < cost(best))
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), state, best)
        # a loop of at most one iteration, because under vmap cond always runs both branches
        state, moved, _ = jax.lax.while_loop(
            lambda carry: carry[2],
            lambda carry: (*refill(carry[0]), jnp.array(False)),
            (best, jnp.array(False), better & (rounds < n_clusters)),
        )
        return best, state, rounds + 1, moved

    carry = (state, state, jnp.zeros((), jnp.int32), jnp.array(True))
    return jax.lax.while_loop(lambda carry: carry[3], again, carry)[0]


def is_full(result: Any, weights: Array) -> bool:
    """Whether every cluster of a result, of either route, has points and a centre of its own; on the host.

    ``weights`` (n',) are those of the labelled points; further ones are ignored.
    """
    labels = np.asarray(result.assignment.labels)
    return are_full(result.centers, np.bincount(labels, np.asarray(weights)[: len(labels)], len(result.centers)))


def are_full(centers: Any, sizes: npt.NDArray[Any]) -> bool:
    """Whether all clusters have weight, by ``sizes`` (K,), and distinct centres (K, d)."""
    return bool(sizes.min() > 0) and len(np.unique(np.asarray(centers), axis=0)) == len(centers)
