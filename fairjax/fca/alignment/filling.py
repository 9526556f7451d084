"""No cluster is lost on the alignment route: see :mod:`fairjax.fca.filling`."""

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.fca.alignment import center_update
from fairjax.fca.alignment.iterations import run
from fairjax.fca.alignment.problem import AlignmentProblem, Parameters, Settings
from fairjax.fca.alignment.state import AlignmentState
from fairjax.fca.filling import until_full
from fairjax.fca.points import GroupedPoints
from fairjax.fca.splits import lost, refilled, splits, worth_it


def refill(problem: AlignmentProblem, settings: Settings, state: AlignmentState) -> tuple[AlignmentState, Array]:
    """As :func:`fairjax.fca.refill`, from the cheapest iteration, which is kept until another one costs less."""
    n_groups = len(problem.members)
    masses = jax.ops.segment_sum(problem.weights, problem.groups, n_groups)
    points = GroupedPoints(
        problem.X.T[None], problem.groups, problem.weights, masses, jnp.zeros_like(problem.mean), problem.variance
    )
    labels = jnp.argmax(state.best_masses, -1).astype(jnp.int32)
    found = splits(points, state.best_centers, labels)
    centers, _, gain = refilled(found, lost(state.best_centers, found.masses, problem.variance))
    moved = worth_it(gain, state.best_cost, problem.variance) & (state.worst <= 1)
    changed = state._replace(
        centers=centers,
        memory=center_update.begin(settings.update, centers),
        stale=jnp.zeros_like(state.stale),
        converged=jnp.zeros_like(state.converged),
    )
    return jax.tree.map(lambda new, old: jnp.where(moved, new, old), changed, state), moved


def fill(
    problem: AlignmentProblem,
    settings: Settings,
    parameters: Parameters,
    key: Array,
    state: AlignmentState,
    *,
    until: Array | int | None = None,
) -> AlignmentState:
    """Iterate as ``run`` does until it ends with no centre better used elsewhere, or ``until`` iterations are done."""

    def iterations(state: AlignmentState) -> AlignmentState:
        return run(problem, settings, parameters, key, state, until=until)

    return until_full(
        iterations, lambda state: refill(problem, settings, state), lambda state: state.best_cost, state,
        n_clusters=state.centers.shape[0],
    )  # fmt: skip
