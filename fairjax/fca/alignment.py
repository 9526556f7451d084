"""FCA by the alignment route: Algorithm 1 of Kim et al. (ICML 2025), and Algorithm 2 (FCA-C) with ``rule``.

Each turn aligns the groups by optimal transport under :mod:`~fairjax.fca.joint_cost`, block by block of a
:mod:`~fairjax.fca.partition` in one batch, and moves the centres for that coupling (:mod:`~fairjax.fca.center_update`).
Both lower the objective

    F = Σ mass · [ min_k Σ_s π_s ‖x_s − μ_k‖² + (w − 1) Σ_{s<r} π_sπ_r ‖x_s − x_r‖² ]   over the tuples of the coupling,

for one and the same partition. A partition drawn anew for each turn, as the authors' code does, may raise it; the
``refine`` scheme deals the tuples of the present coupling anew instead, keeps that coupling feasible, and never does.

With transport weight w = 1 and no partition the least F is the cost of the cheapest fair clustering, which the direct
route (:func:`fairjax.fca.run`) finds in O(nK) per pass. With w ≠ 1 the transport problem has to be solved.

More than two groups are folded in one after another, the largest first: the tuples of the groups so far are aligned
with the points of the next under the cost that the joint cost gains. For two groups this is the method of the paper;
for more, every result is a coupling of all groups, hence exactly fair, but transport is solved to optimality only
group by group, since the multi-marginal problem is hard for w ≠ 1. At w = 1 the direct route's bound says how much
that costs.

``init``, ``step``, ``run`` are pure and work under ``jit`` and ``vmap`` (over keys, centres and parameters).
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from jax.typing import ArrayLike

from fairjax import ot
from fairjax.assignment import Solution, fair_assignment
from fairjax.errors import InputError
from fairjax.fca import center_update, partition
from fairjax.fca.center_update import CenterUpdate
from fairjax.fca.coupling import Entries, Pairs, Tuples, aligned_points, alone, assign, fold, positive_entries, spread
from fairjax.fca.joint_cost import joint_cost, squared_distances
from fairjax.fca.partition import Block
from fairjax.fca.released import Rule, release
from fairjax.fca.rounding import How, fractions, hard_labels

Solver = Literal["exact", "host", "sinkhorn"]
Scheme = Literal["random", "fixed", "refine"]

MESSAGES = {
    0: "every transport was solved to its tolerance; the gap is by how much, at most, the assignment is dearer than "
    "the cheapest one to these centres that is as fair",
    1: "a transport stopped before its gap was within tolerance; its plan is feasible, and so the assignment is fair",
    2: "a transport was infeasible; this should not happen: please report it",
    3: "points or centres are not finite, or too large for their type",
}

# Distinct points of the larger and the smaller group that a block of the refine scheme has room for, in multiples of
# those of a partition of whole points. Blocks keep the smaller group's points together, so only the larger's are split.
_ROOM = (1.45, 1.15)
_ROOM_WEIGHTED = (1.6, 1.6)  # blocks of heavy points of one group hold many light ones of the other


class Problem(NamedTuple):
    """Points with their groups, laid out for alignment.

    Attributes
    ----------
    X : (n, d) relative to ``mean``. members : per group (n_s,) int32 ids of its points, the largest group first.
    shares : (n,) share π of each point's group. groups : (n,) int32. mean : (d,). variance : () mean squared
    distance from the mean. weights : (n,) share of each point in all weight; 1/n where all weigh the same. units : (n,)
    int32 masses within the groups, see :func:`~fairjax.fca.partition.in_units`; None where all weigh the same.
    """

    X: Array
    members: tuple[Array, ...]
    shares: Array
    groups: Array
    mean: Array
    variance: Array
    weights: Array
    units: Array | None


@dataclass(frozen=True)
class Settings:
    """What changes shapes or control flow; static under ``jit``.

    Attributes
    ----------
    solver : "exact" runs anywhere, "host" is POT's network simplex on the CPU, "sinkhorn" is regularised.
    n_blocks : blocks of the partition, see :func:`~fairjax.fca.partition.block_count`; 1 for none.
    scheme : partitions drawn anew for each turn as the authors do, one for all turns, or refined: the tuples of the
        present coupling are dealt anew along a random direction. Refining needs two groups and a sparse plan.
    update, n_center_steps : centre update and its steps per turn.
    rule : None for FCA; "dearest" for FCA-C as the paper writes it, "cheapest" as the authors' code runs it.
    patience : turns without a lower cost or objective before stopping; twice as many where most blocks had no room.
    """

    solver: Solver = "exact"
    n_blocks: int = 1
    scheme: Scheme = "random"
    update: CenterUpdate = "lloyd"
    n_center_steps: int = 1
    rule: Rule | None = None
    patience: int = 5


class Parameters(NamedTuple):
    """What may be traced, and so swept without compiling anew.

    Attributes
    ----------
    transport_weight : () w, a multiple of π0π1; 2 is the paper's. reg : () of Sinkhorn, in cost units.
    released : () the ε of FCA-C: share of the pairs in W. tol : () relative fall that counts as one.
    learning_rate : () of the gradient update, in the units of the points.
    """

    transport_weight: Array | float = 1.0
    reg: Array | float = 0.01
    released: Array | float = 0.0
    tol: Array | float = 1e-4
    learning_rate: Array | float = 0.02


class State(NamedTuple):
    """Between two turns.

    Attributes
    ----------
    centers : (K, d) relative to the mean. potentials : (n,) dual of each point in its last transport.
    tuples : the coupling, for the refine scheme; None for others. memory : of the centre update.
    masses : (n, K) assignment of eq. (6); each group sums to 1.
    objective : () F before the last centre update. cost : () mean squared distance under ``masses``, after it.
    best_centers, best_masses, best_cost, best_objective : of the turn of least cost, and the least objective so far.
    costs, objectives : (max_iter,) history, NaN where no turn was.
    gap, status : () greatest relative gap and status of the last transport. worst : () int32 status of all turns.
    n_iter, stale : () int32, turns, and turns since something fell. converged : () bool.
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
    n_iter: Array
    stale: Array
    converged: Array


class Alignment(NamedTuple):
    """Result of a run, from its turn of least cost.

    Attributes
    ----------
    centers : (K, d) means of the clusters, in the units of the points.
    assignment : :class:`~fairjax.assignment.Solution`, of which ``labels`` and the fractions of split points are the
        plan's, ``prices`` and the bound ``dual`` those of one direct solve at these centres; ``primal`` is the cost of
        the plan's fractions. ``status`` is the transports', see ``MESSAGES``.
    cost : () (weighted) mean squared distance of the labels. n_iter : (). converged : () bool.
    history, objectives : (max_iter,) cost and objective F of each turn.
    transport_gap : () relative gap of the last transport.
    """

    centers: Array
    assignment: Solution
    cost: Array
    n_iter: Array
    converged: Array
    history: Array
    objectives: Array
    transport_gap: Array


def prepare(
    X: ArrayLike,
    groups: npt.NDArray[Any],
    n_groups: int | None = None,
    weights: npt.NDArray[Any] | None = None,
) -> Problem:
    """Lay out points X (n, d) with group ids (n,) and weights (n,) or None, concrete, for alignment; O(n d + n log n).

    Raises
    ------
    InputError
        For ids that do not fit, weights that are negative or not finite, and for a group without weight.
    """
    X = jnp.asarray(X)
    ids = np.asarray(groups)
    if X.ndim != 2 or ids.shape != X.shape[:1] or not np.issubdtype(ids.dtype, np.integer):
        raise InputError(
            f"X has shape {X.shape} and groups shape {ids.shape}, dtype {ids.dtype}; expected (n, d) and (n,) integers"
        )
    sizes = np.bincount(ids, minlength=n_groups or 0)
    if (sizes == 0).any():
        raise InputError(f"the group {int(np.argmin(sizes))} has no points; expected ids 0..M-1, each with points")
    each = np.ones(len(ids)) if weights is None else np.asarray(weights, float)
    if each.shape != ids.shape or not np.isfinite(each).all() or (each < 0).any():
        raise InputError(f"weights has shape {each.shape}; expected {ids.shape} finite numbers of at least 0")
    totals = np.bincount(ids, each, minlength=len(sizes))
    if (totals == 0).any():
        raise InputError(f"the group {int(np.argmin(totals))} has no weight; expected some in each")
    by_size = np.argsort(-sizes, kind="stable")
    members = tuple(jnp.asarray(np.flatnonzero(ids == group), jnp.int32) for group in by_size)
    units = None
    if each.min() != each.max():
        units = np.zeros(len(ids), np.int32)
        for group in range(len(sizes)):
            units[ids == group] = partition.in_units(each[ids == group])
    shares, each = (totals / totals.sum())[ids], each / each.sum()
    weight = jnp.asarray(each, X.dtype)
    mean = jnp.mean(X, 0) if units is None else jnp.matmul(weight, X, precision="highest")
    X = X - mean
    return Problem(
        X, members, jnp.asarray(shares, X.dtype), jnp.asarray(ids, jnp.int32), mean,
        jnp.sum(weight * jnp.sum(jnp.square(X), -1)), weight, None if units is None else jnp.asarray(units),
    )  # fmt: skip


def check(problem: Problem, settings: Settings) -> None:
    """Raise InputError for settings that do not go together, or not with the number of groups."""
    n_groups = len(problem.members)
    if settings.solver == "sinkhorn" and n_groups > 2:
        raise InputError(
            f'there are {n_groups} groups; method="sinkhorn" aligns two: take method="exact" or method="direct"'
        )
    if problem.units is not None and settings.n_blocks > 1 and settings.scheme != "refine":
        raise InputError(
            "points of different weights cannot be dealt into blocks at random: with more than two groups, or "
            'method="sinkhorn", take a partition_size of at least half the smallest group or method="direct"'
        )
    if settings.rule is not None and (n_groups != 2 or settings.solver == "sinkhorn"):
        raise InputError(f"FCA-C needs two groups and an exact solver; found {n_groups} and {settings.solver!r}")
    if settings.scheme == "refine" and (n_groups != 2 or settings.solver == "sinkhorn"):
        raise InputError(
            f"the refine scheme needs two groups and an exact solver; found {n_groups} and {settings.solver!r}"
        )


def init(problem: Problem, settings: Settings, key: Array, centers: Array, *, max_iter: int = 100) -> State:
    """Before the first turn; ``centers`` (K, d) in the units of the points. The key is only for the refine scheme."""
    check(problem, settings)
    X = problem.X
    centers = centers.astype(X.dtype) - problem.mean
    tuples = None
    if settings.scheme == "refine":
        points, mass = partition.random_pairs(key, problem.members, X.dtype, problem.units)
        left, right = room(problem, settings.n_blocks)
        extra = settings.n_blocks * (left + right - 1) - mass.shape[0]
        shape = (settings.n_blocks, left + right - 1)
        points = jnp.pad(points, ((0, extra), (0, 0)), constant_values=X.shape[0]).reshape(*shape, 2)
        tuples = Tuples(points, jnp.pad(mass, (0, extra)).reshape(shape), jnp.zeros(shape, bool))
    infinite = jnp.asarray(jnp.inf, X.dtype)
    masses = jnp.zeros((X.shape[0], centers.shape[0]), X.dtype)
    history = jnp.full((max_iter,), jnp.nan, X.dtype)
    none = jnp.zeros((), jnp.int32)
    return State(
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
        n_iter=none,
        stale=none,
        converged=jnp.array(False),
    )


def room(problem: Problem, n_blocks: int) -> tuple[int, int]:
    """Most distinct points of the two groups in a block of the refine scheme."""
    sizes = [ids.shape[0] for ids in problem.members]
    slacks = _ROOM if problem.units is None else _ROOM_WEIGHTED
    left, right = (min(size, int(slack * -(-size // n_blocks)) + 2) for size, slack in zip(sizes, slacks, strict=True))
    return left, right


def step(problem: Problem, settings: Settings, parameters: Parameters, key: Array, state: State) -> State:
    """One turn: partition, transport, centre update.

    ``key`` is that of the run: turn t takes its own from it, so that turns can be continued at will.
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
    cost = jnp.sum(masses * squared_distances(X, centers) * problem.shares[:, None])

    better = cost < state.best_cost
    enough = 1 - jnp.asarray(parameters.tol, dtype)
    fell = (cost < state.best_cost * enough) | (objective < state.best_objective * enough)
    # where most blocks had no room, that nothing fell says only half as much
    stale = jnp.where(fell | (state.n_iter == 0), 0, state.stale + jnp.where(found.solved > 0.5, 2, 1))
    # a transport that failed leaves nothing to go on with
    failed = (found.status > 1) | ~jnp.isfinite(cost)
    return State(
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
        gap=found.gap,
        status=found.status,
        worst=jnp.maximum(state.worst, found.status),
        n_iter=state.n_iter + 1,
        stale=stale,
        converged=(stale >= 2 * settings.patience) | failed,
    )


def run(
    problem: Problem,
    settings: Settings,
    parameters: Parameters,
    key: Array,
    state: State,
    *,
    until: Array | int | None = None,
) -> State:
    """Turns until neither cost nor objective fall, or ``until`` turns are done (default: as long as the history is)."""
    last = state.costs.shape[0]
    until = last if until is None else jnp.minimum(until, last)
    return jax.lax.while_loop(
        lambda state: ~state.converged & (state.n_iter < until),
        lambda state: step(problem, settings, parameters, key, state),
        state,
    )


def finish(problem: Problem, state: State, *, how: How = "balanced", key: Array | None = None) -> Alignment:
    """Labels, centres and certificate from the turn of least cost.

    Centres are the means of the final labels, as the authors evaluate. A direct solve of the fair assignment to them
    gives what no plan has: prices that assign new points, and a lower bound on the cost of any assignment as fair.
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
    bound = fair_assignment(
        distances, problem.groups, n_groups=n_groups, weights=None if problem.units is None else weights
    )
    soft = fractions(state.best_masses)
    if problem.units is not None:
        # what has no weight is in no tuple; it goes where the rule for new points sends it
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
        primal=primal,
        # rounding must not lift the bound above what was reached
        dual=jnp.minimum(bound.dual, primal),
        gap=gap,
        status=jnp.where(jnp.isfinite(primal), state.worst, 3).astype(jnp.int32),
        n_iter=bound.n_iter,
        n_passes=state.n_iter,
    )
    cost = jnp.sum(weights * jnp.take_along_axis(distances, labels[:, None], 1)[:, 0])
    return Alignment(
        centers + problem.mean, assignment, cost, state.n_iter, state.converged,
        state.costs, state.objectives, state.gap,
    )  # fmt: skip


class Aligned(NamedTuple):
    """Outcome of one transport of all blocks.

    Attributes
    ----------
    coupling : sparse, or for Sinkhorn dense. potentials : (n,). gap, status : () of all blocks together, the worst.
    solved : () share of the blocks that were aligned anew; in the others, refined, there was no room.
    """

    coupling: Tuples | Pairs
    potentials: Array
    gap: Array
    status: Array
    solved: Array


def align(problem: Problem, settings: Settings, parameters: Parameters, key: Array, state: State) -> Aligned:
    """Phase 1: transport between the groups for the present centres, all blocks in one batch."""
    if settings.scheme != "refine":
        n_points = problem.X.shape[0]
        if problem.units is not None:
            masses = (problem.units / partition.UNITS).astype(problem.X.dtype)
            blocks = partition.whole(problem.members, masses)
        else:
            blocks = partition.deal(key, problem.members, n_points, settings.n_blocks, problem.X.dtype)
        return _fold_all(problem, settings, parameters, state, blocks)
    assert state.tuples is not None
    held = state.tuples
    flat = Tuples(held.points.reshape(-1, 2), held.mass.reshape(-1), held.released.reshape(-1))
    # by the point of the smaller group, whose partners are several and near each other
    smaller = jnp.minimum(flat.points[:, 1], problem.X.shape[0] - 1)
    cells = partition.cells(key, problem.X[smaller], flat.mass, settings.n_blocks)
    # the first coupling is random: its tuples stay in their order, which keeps each point's together
    order = jnp.where(state.n_iter == 0, jnp.arange(len(cells), dtype=cells.dtype), cells)
    rooms = room(problem, settings.n_blocks)
    dealt = partition.regroup(flat.points, flat.mass, order, problem.X.shape[0], settings.n_blocks, rooms)
    found = _fold_all(problem, settings, parameters, state, (dealt.left, dealt.right))
    assert isinstance(found.coupling, Tuples)
    keep = dealt.fits[:, None]
    return found._replace(
        coupling=Tuples(
            jnp.where(keep[..., None], found.coupling.points, dealt.points),
            jnp.where(keep, found.coupling.mass, dealt.mass),
            keep & found.coupling.released,
        ),
        solved=jnp.mean(dealt.fits, dtype=problem.X.dtype),
    )


def _fold_all(
    problem: Problem,
    settings: Settings,
    parameters: Parameters,
    state: State,
    blocks: tuple[Block, ...],
) -> Aligned:
    dtype, last = problem.X.dtype, problem.X.shape[0] - 1
    tuples = alone(blocks[0])
    potentials, status = state.potentials, jnp.zeros((), jnp.int32)
    lost = value = jnp.zeros((), dtype)
    for s, block in enumerate(blocks[1:], 1):
        costs, released = block_costs(problem, settings, parameters, state.centers, tuples, block)
        a, b = tuples.mass, block.masses
        left, right = jnp.minimum(tuples.points[..., 0], last), jnp.minimum(block.points, last)
        # tuples of several points have no dual of their own
        f = potentials[left] if s == 1 else jnp.zeros_like(a)
        solution = jax.lax.cond(
            state.n_iter > 0,
            lambda costs, a, b, f, g: _solve(settings, parameters, costs, a, b, (f, g)),
            lambda costs, a, b, f, g: _solve(settings, parameters, costs, a, b, None),
            *(costs, a, b, f, potentials[right]),
        )
        potentials = _travel(potentials, tuples if s == 1 else None, block, solution)
        status = jnp.maximum(status, jnp.max(solution.status))
        magnitude = jnp.abs(solution.primal)
        lost, value = lost + jnp.sum(solution.gap * magnitude), value + jnp.sum(magnitude)
        if settings.solver == "sinkhorn":
            assert isinstance(solution, ot.OTSolution)
            coupling: Tuples | Pairs = Pairs(tuples.points[..., 0], block.points, solution.plan)
        else:
            coupling = tuples = fold(tuples, block, entries(solution), released)
    gap = lost / jnp.maximum(value, jnp.finfo(dtype).tiny)
    return Aligned(coupling if len(blocks) > 1 else tuples, potentials, gap, status, jnp.ones((), dtype))


def block_costs(
    problem: Problem, settings: Settings, parameters: Parameters, centers: Array, tuples: Tuples, block: Block
) -> tuple[Array, Array | None]:
    """Costs (B, E, R) of aligning the tuples of each block with its points of a further group; with FCA-C also W."""
    X, n_points = problem.X, problem.X.shape[0]
    weighted = squared_distances(X, centers) * problem.shares[:, None]
    inside = jnp.minimum(tuples.points, n_points - 1), jnp.minimum(block.points, n_points - 1)
    left, right = jnp.sum(weighted[inside[0]], -2), weighted[inside[1]]
    middle = aligned_points(tuples, X, problem.shares)
    n_folded = tuples.points.shape[-1]
    shares = [problem.shares[ids[0]] for ids in problem.members]
    total, share = sum(shares[1:n_folded], start=shares[0]), shares[n_folded]
    pull = (jnp.asarray(parameters.transport_weight, X.dtype) - 1) * (total * share)
    costs = jax.vmap(joint_cost, (0, 0, 0, 0, None))(left, right, middle, X[inside[1]], pull)
    if settings.rule is None:
        return costs, None
    nearest = jnp.min(left, -1)[..., None] + jnp.min(right, -1)[:, None]
    epsilon = jnp.asarray(parameters.released, X.dtype)
    return jax.vmap(release, (0, 0, 0, 0, None, None))(
        costs, nearest, tuples.mass, block.masses, epsilon, settings.rule
    )


def _solve(
    settings: Settings, parameters: Parameters, costs: Array, a: Array, b: Array, init: tuple[Array, Array] | None
) -> ot.OTSolution | ot.BasicSolution:
    if settings.solver == "sinkhorn":
        # blocks of mass 1, which the entropy refers to; c-transforms are no start for it, its own annealing is
        found = ot.sinkhorn(
            costs, a * settings.n_blocks, b * settings.n_blocks, jnp.asarray(parameters.reg, costs.dtype)
        )
        return found._replace(plan=found.plan / settings.n_blocks)
    return (ot.host_basic if settings.solver == "host" else ot.exact)(costs, a, b, init=init)


def entries(solution: ot.OTSolution | ot.BasicSolution) -> Entries:
    """The positive entries of the basic plans (B, n, m) of an exact solver."""
    if isinstance(solution, ot.BasicSolution):
        return solution.entries
    size = sum(solution.plan.shape[1:]) - 1
    return jax.vmap(lambda plan: positive_entries(plan, size))(solution.plan)


def _travel(
    potentials: Array, tuples: Tuples | None, block: Block, solution: ot.OTSolution | ot.BasicSolution
) -> Array:
    """Potentials (n,) with those of the last transport; they belong to points, and go with them into other blocks.

    Duals of a block are fixed but for a constant; that which makes both sides' means equal lets blocks be mixed.
    """

    def mean(values: Array, masses: Array) -> Array:
        total = jnp.sum(masses, -1, keepdims=True)
        return jnp.sum(values * masses, -1, keepdims=True) / jnp.where(total > 0, total, 1)

    a = None if tuples is None else tuples.mass
    shift = jnp.zeros(()) if a is None else (mean(solution.f, a) - mean(solution.g, block.masses)) / 2

    def write(potentials: Array, points: Array, values: Array, masses: Array) -> Array:
        # a point that is in several blocks keeps the greatest, whatever the order of writing
        points = jnp.where((masses > 0) & jnp.isfinite(values), points, len(potentials))
        fresh = jnp.full_like(potentials, -jnp.inf).at[points].max(values, mode="drop")
        return jnp.where(jnp.isfinite(fresh), fresh, potentials)

    potentials = write(potentials, block.points, solution.g + shift, block.masses)
    if tuples is None or a is None:
        return potentials
    return write(potentials, tuples.points[..., 0], solution.f - shift, a)
