"""Iterations of the alignment route: partition, transport, centre update, until neither cost nor objective falls."""

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.fca.alignment import center_update
from fairjax.fca.alignment.coupling import Tuples, assign, complete, spread
from fairjax.fca.alignment.joint_cost import squared_distances
from fairjax.fca.alignment.problem import AlignmentProblem, Parameters, Settings
from fairjax.fca.alignment.state import AlignmentState
from fairjax.fca.alignment.transport import align, point_masses


def step(
    problem: AlignmentProblem, settings: Settings, parameters: Parameters, key: Array, state: AlignmentState
) -> AlignmentState:
    """One iteration: partition, transport, centre update.

    ``key`` belongs to the run: iteration t derives its own key from it, so a run can be continued at will. The costs of
    B blocks take O(n0 n1 (K + d) / B), then their transports, and the centres O(n K d).
    """
    X, dtype = problem.X, problem.X.dtype
    w = jnp.asarray(parameters.transport_weight, dtype)
    own = key if settings.scheme == "fixed" else jax.random.fold_in(key, state.n_iter)
    found = align(problem, settings, parameters, own, state)
    coupling = found.coupling

    before = squared_distances(X, state.centers)
    at_old = jnp.sum(assign(coupling, before, problem.shares) * before * problem.shares[:, None])
    objective = at_old + (w - 1) * spread(coupling, X, problem.shares)
    centers, masses, memory = center_update.update(
        coupling, X, problem.shares, state.centers, state.memory,
        kind=settings.update, learning_rate=parameters.learning_rate, n_steps=settings.n_center_steps,
    )  # fmt: skip
    masses = complete(masses, point_masses(problem))
    cost = jnp.sum(masses * squared_distances(X, centers) * problem.shares[:, None])

    better = cost < state.best_cost
    enough = 1 - jnp.asarray(parameters.tol, dtype)
    fell = (cost < state.best_cost * enough) | (objective < state.best_objective * enough)
    # if most blocks had no room, an iteration without a fall counts half; if all had none, it does not count
    said = jnp.where(found.solved > 0.5, 2, jnp.where(found.solved > 0, 1, 0))
    stale = jnp.where(fell | (state.n_iter == 0), 0, state.stale + said)
    # a failed transport leaves nothing to continue from
    failed = (found.status > 1) | ~jnp.isfinite(cost)
    return AlignmentState(
        centers=centers,
        potentials=found.potentials,
        tuples=coupling if settings.scheme == "refine" and isinstance(coupling, Tuples) else None,
        memory=memory,
        masses=masses,
        objective=objective,
        cost=cost,
        best_centers=jnp.where(better, centers, state.best_centers),
        best_masses=jnp.where(better, masses, state.best_masses),
        best_cost=jnp.minimum(cost, state.best_cost),
        best_objective=jnp.minimum(objective, state.best_objective),
        costs=state.costs.at[state.n_iter].set(cost),
        objectives=state.objectives.at[state.n_iter].set(objective),
        gap=jnp.where(found.solved > 0, found.gap, state.gap),
        status=found.status,
        worst=jnp.maximum(state.worst, found.status),
        solved=found.solved,
        n_iter=state.n_iter + 1,
        stale=stale,
        converged=(stale >= 2 * settings.patience) | failed,
    )


def run(
    problem: AlignmentProblem,
    settings: Settings,
    parameters: Parameters,
    key: Array,
    state: AlignmentState,
    *,
    until: Array | int | None = None,
) -> AlignmentState:
    """Iterate until neither cost nor objective falls, or ``until`` iterations are done (default: the history's length).

    Examples
    --------
    FCA-C (Algorithm 2), which the estimator does not offer: with no pairs in W both groups are spread alike; with a
    fifth of them in W the result is plain k-means:

    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from fairjax.fca import alignment
    >>> X, groups = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]), np.array([0, 0, 1, 1, 1, 0])
    >>> problem, key = alignment.prepare(X, groups), jax.random.key(0)
    >>> settings = alignment.Settings(rule="dearest")
    >>> @jax.jit
    ... def fit(released):
    ...     parameters = alignment.Parameters(transport_weight=2.0, released=released)
    ...     state = alignment.init(problem, settings, key, jnp.asarray(X[[0, 5]]), max_iter=5)
    ...     return alignment.finish(problem, alignment.run(problem, settings, parameters, key, state))
    >>> fit(0.0).assignment.labels.tolist(), fit(0.2).assignment.labels.tolist()
    ([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1])
    >>> round(float(fit(0.0).cost), 3), round(float(fit(0.2).cost), 3)
    (10.542, 0.667)
    """
    last = state.costs.shape[0]
    until = last if until is None else jnp.minimum(until, last)
    return jax.lax.while_loop(
        lambda state: ~state.converged & (state.n_iter < until),
        lambda state: step(problem, settings, parameters, key, state),
        state,
    )
