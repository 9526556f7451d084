"""What an iteration of the alignment route starts from and leaves behind."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from fairjax.fca.alignment import center_update, partition
from fairjax.fca.alignment.coupling import Tuples
from fairjax.fca.alignment.problem import AlignmentProblem, Settings, check

# Distinct points of the larger and the smaller group that fit into a block of the refine scheme, as multiples of those
# in a partition of whole points. Blocks keep the smaller group's points together, so only the larger's are split.
_ROOM = (1.45, 1.15)
_ROOM_WEIGHTED = (1.6, 1.6)  # blocks of heavy points of one group hold many light ones of the other


class AlignmentState(NamedTuple):
    """State between two iterations.

    Attributes
    ----------
    centers : (K, d)
        Relative to the mean.
    potentials : (n,)
        Dual of each point in its last transport.
    tuples
        The coupling, for the refine scheme; None for others.
    memory
        Memory of the centre update.
    masses : (n, K)
        Assignment of eq. (6); each group sums to 1.
    objective : ()
        F before the last centre update.
    cost : ()
        Mean squared distance under ``masses``, after it.
    best_centers, best_masses, best_cost, best_objective
        Of the cheapest iteration, and the least objective so far.
    costs, objectives : (max_iter,)
        History, NaN after the last iteration.
    gap, status : ()
        Greatest relative gap and status of the last transport.
    worst : () int32
        Status of all iterations.
    solved : ()
        Share of the blocks that the last iteration aligned again: 1 unless refining found no room.
    n_iter, stale : () int32
        Iterations, and iterations since a cost or objective fell.
    converged : () bool
    """

    centers: Array
    potentials: Array
    tuples: Tuples | None
    memory: Any
    masses: Array
    objective: Array
    cost: Array
    best_centers: Array
    best_masses: Array
    best_cost: Array
    best_objective: Array
    costs: Array
    objectives: Array
    gap: Array
    status: Array
    worst: Array
    solved: Array
    n_iter: Array
    stale: Array
    converged: Array


def init(
    problem: AlignmentProblem, settings: Settings, key: Array, centers: Array, *, max_iter: int = 100
) -> AlignmentState:
    """The state before the first iteration; ``centers`` (K, d) in the units of the points.

    Only the refine scheme uses the key.

    O(n (K + log n)).

    Raises
    ------
    InputError
        As :func:`~fairjax.fca.alignment.check`.
    """
    check(problem, settings)
    X = problem.X
    centers = centers.astype(X.dtype) - problem.mean
    tuples = None
    if settings.scheme == "refine":
        points, mass = partition.random_pairs(key, problem.members, X.dtype, problem.units)
        left, right = room(problem, settings.n_blocks, centers.shape[0])
        shape = (settings.n_blocks, left + right - 1)
        # the last of n0 + n1 tuples has no mass, and a single block has no place for it
        n_places = shape[0] * shape[1]
        points, mass = points[:n_places], mass[:n_places]
        extra = n_places - mass.shape[0]
        points = jnp.pad(points, ((0, extra), (0, 0)), constant_values=X.shape[0]).reshape(*shape, 2)
        tuples = Tuples(points, jnp.pad(mass, (0, extra)).reshape(shape), jnp.zeros(shape, bool))
    infinite = jnp.asarray(jnp.inf, X.dtype)
    masses = jnp.zeros((X.shape[0], centers.shape[0]), X.dtype)
    history = jnp.full((max_iter,), jnp.nan, X.dtype)
    none = jnp.zeros((), jnp.int32)
    return AlignmentState(
        centers=centers,
        potentials=jnp.zeros(X.shape[:1], X.dtype),
        tuples=tuples,
        memory=center_update.begin(settings.update, centers),
        masses=masses,
        objective=infinite,
        cost=infinite,
        best_centers=centers,
        best_masses=masses,
        best_cost=infinite,
        best_objective=infinite,
        costs=history,
        objectives=history,
        gap=infinite,
        status=none,
        worst=none,
        solved=jnp.zeros((), X.dtype),
        n_iter=none,
        stale=none,
        converged=jnp.array(False),
    )


def room(problem: AlignmentProblem, n_blocks: int, n_clusters: int) -> tuple[int, int]:
    """Largest number of distinct points of the two groups in a block of the refine scheme."""
    sizes = [ids.shape[0] for ids in problem.members]
    slacks = _ROOM if problem.units is None else _ROOM_WEIGHTED
    # a block's piece of every cluster may hold one more point, which is cut
    left, right = (
        min(size, int(slack * -(-size // n_blocks)) + 2 + n_clusters) for size, slack in zip(sizes, slacks, strict=True)
    )
    return left, right
