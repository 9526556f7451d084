"""Labels, centres and certificate from the cheapest iteration."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.status import INFEASIBLE, INVALID, SOLVED, UNSOLVED
from fairjax.assignment import Solution, fair_assignment
from fairjax.fca.alignment.joint_cost import squared_distances
from fairjax.fca.alignment.problem import AlignmentProblem
from fairjax.fca.alignment.rounding import How, fractions, hard_labels
from fairjax.fca.alignment.state import AlignmentState

MESSAGES = {
    SOLVED: "every transport that was run was solved to its tolerance; the gap is by how much, at most, the assignment "
    "is dearer than the cheapest one to these centres that is as fair",
    UNSOLVED: "a transport stopped before its gap was within tolerance; what its plan left out is spread over the "
    "clusters as the rest is, which is fair, but dearer than it need be",
    INFEASIBLE: "a transport was infeasible; this should not happen: please report it",
    INVALID: "points or centres are not finite, or too large for their type",
}


class Alignment(NamedTuple):
    """Result of a run, from its cheapest iteration.

    Attributes
    ----------
    centers : (K, d)
        Means of the clusters, in the units of the points.
    assignment : :class:`~fairjax.assignment.Solution`
        Its ``labels`` and the fractions of split points are the plan's, and ``primal`` is their cost. Its ``prices``
        and ``dual`` come from one direct solve at these centres, at the fractions' additive gap. ``status`` is the
        transports', see ``MESSAGES``.
    cost : ()
        Weighted mean squared distance of the labels.
    n_iter : ()
    converged : () bool
    history, objectives : (max_iter,)
        Cost and objective F of each iteration.
    transport_gap : ()
        Relative gap of the last transport.
    solved : ()
        Share of the blocks that the last iteration aligned again; less than 1 if some had no room to be refined and
        kept their coupling.
    """

    centers: Array
    assignment: Solution
    cost: Array
    n_iter: Array
    converged: Array
    history: Array
    objectives: Array
    transport_gap: Array
    solved: Array


def finish(
    problem: AlignmentProblem, state: AlignmentState, *, how: How = "balanced", key: Array | None = None
) -> Alignment:
    """Labels, centres and certificate from the cheapest iteration.

    Centres are the means of the final labels, as the authors evaluate. A direct solve of the fair assignment to them
    gives what a plan lacks: prices that assign new points, and a lower bound on the cost of any assignment that is as
    fair, with an additive gap no larger than that of the fractions (rounding for FCA, what W allowed for FCA-C).

    Parameters
    ----------
    how, key
        As in :func:`~fairjax.fca.hard_labels`.

    Notes
    -----
    O(n K) per pass of the direct solve and O(n d) for the centres.
    """
    X, n_points = problem.X, problem.X.shape[0]
    n_groups = len(problem.members)
    weights = problem.weights
    labels = hard_labels(state.best_masses, problem.groups, n_groups, how, key, weights)
    chosen = jax.nn.one_hot(labels, state.centers.shape[0], dtype=X.dtype) * weights[:, None]
    sizes = jnp.sum(chosen, 0)[:, None]
    means = jnp.matmul(chosen.T, X, precision="highest") / jnp.where(sizes > 0, sizes, 1)
    centers = jnp.where(sizes > 0, means, state.best_centers)

    distances = squared_distances(X, centers)
    soft = fractions(state.best_masses)
    bound = fair_assignment(
        distances, problem.groups, epsilon=_additive_gap(soft * weights[:, None], problem.groups, n_groups),
        n_groups=n_groups, weights=None if problem.units is None else weights,
    )  # fmt: skip
    if problem.units is not None:
        # a point without weight is in no tuple; it goes where the rule for new points sends it
        priced = jnp.argmin(distances + bound.multipliers[problem.groups], -1).astype(labels.dtype)
        absent = jnp.sum(state.best_masses, -1) <= 0
        labels = jnp.where(absent, priced, labels)
        soft = jnp.where(absent[:, None], jax.nn.one_hot(priced, soft.shape[1], dtype=soft.dtype), soft)
    primal = jnp.sum(soft * distances * weights[:, None])
    split = jnp.max(soft, -1) < 1 - 1e-5
    counts = jax.ops.segment_sum(soft * weights[:, None], problem.groups, n_groups)
    gap = jnp.maximum(primal - bound.dual, 0) / jnp.maximum(primal, jnp.finfo(X.dtype).tiny)
    assignment = Solution(
        labels=labels,
        rows=jnp.where(split, jnp.arange(n_points, dtype=jnp.int32), n_points),
        fractions=soft,
        counts=counts,
        prices=bound.multipliers,
        pressing=bound.multipliers,
        primal=primal,
        # rounding must not lift the bound above the cost
        dual=jnp.minimum(bound.dual, primal),
        gap=gap,
        status=jnp.where(jnp.isfinite(primal), state.worst, 3).astype(jnp.int32),
        met=jnp.isfinite(primal),
        n_iter=bound.n_iter,
        n_passes=state.n_iter,
    )
    cost = jnp.sum(weights * jnp.take_along_axis(distances, labels[:, None], 1)[:, 0])
    return Alignment(
        centers + problem.mean, assignment, cost, state.n_iter, state.converged,
        state.costs, state.objectives, state.gap, state.solved,
    )  # fmt: skip


def _additive_gap(masses: Array, groups: Array, n_groups: int) -> Array:
    """Twice the greatest ℓ1 distance of a group's proportions from their mean: for two groups Σ_k |q_0k − q_1k|."""
    counts = jax.ops.segment_sum(masses, groups, n_groups)
    proportions = counts / jnp.sum(counts, 1, keepdims=True)
    return 2 * jnp.max(jnp.sum(jnp.abs(proportions - jnp.mean(proportions, 0)), 1))
