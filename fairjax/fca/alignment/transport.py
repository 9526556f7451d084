"""Phase 1 of FCA: transport between the groups at the current centres, all blocks of the partition in one batch."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax import ot
from fairjax.fca.alignment import partition
from fairjax.fca.alignment.coupling import Pairs, Tuples, aligned_points, alone, assign, complete, fold
from fairjax.fca.alignment.joint_cost import joint_cost, squared_distances
from fairjax.fca.alignment.partition import Block
from fairjax.fca.alignment.problem import AlignmentProblem, Parameters, Settings
from fairjax.fca.alignment.released import release
from fairjax.fca.alignment.rounding import fractions
from fairjax.fca.alignment.state import AlignmentState, room


class Aligned(NamedTuple):
    """Result of one transport of all blocks.

    Attributes
    ----------
    coupling
        Sparse, or dense for Sinkhorn.
    potentials : (n,)
    gap, status : ()
        The worst of all blocks.
    solved : ()
        Share of the blocks that were aligned again; the others had no room to be refined.
    """

    coupling: Tuples | Pairs
    potentials: Array
    gap: Array
    status: Array
    solved: Array


def align(
    problem: AlignmentProblem, settings: Settings, parameters: Parameters, key: Array, state: AlignmentState
) -> Aligned:
    """Phase 1: transport between the groups at the current centres, all blocks in one batch.

    O(n0 n1 (K + d) / B) time and memory for the costs of B blocks, plus the transports themselves; a partition takes
    O(n log n).
    """
    if settings.scheme == "refine":
        return _refined(problem, settings, parameters, key, state)
    dtype = problem.X.dtype
    if problem.units is None:
        blocks = partition.deal(key, problem.members, problem.X.shape[0], settings.n_blocks, dtype)
    else:
        blocks = partition.whole(problem.members, point_masses(problem))
    return _fold_all(problem, settings, parameters, state, blocks)


def point_masses(problem: AlignmentProblem) -> Array:
    """Masses (n,) of the points within their groups; each group sums to 1."""
    if problem.units is None:
        return problem.weights / problem.shares
    return (problem.units / partition.UNITS).astype(problem.X.dtype)


def _refined(
    problem: AlignmentProblem, settings: Settings, parameters: Parameters, key: Array, state: AlignmentState
) -> Aligned:
    """The current coupling divided into blocks, each aligned again if it has room; F never rises."""
    dealt = redeal(problem, settings, parameters, key, state)
    found = _fold_all(problem, settings, parameters, state, (dealt.left, dealt.right))
    assert isinstance(found.coupling, Tuples)
    keep = dealt.fits[:, None]
    coupling = Tuples(
        jnp.where(keep[..., None], found.coupling.points, dealt.points),
        jnp.where(keep, found.coupling.mass, dealt.mass),
        found.coupling.released,
    )
    return found._replace(coupling=coupling, solved=jnp.mean(dealt.fits, dtype=problem.X.dtype))


def redeal(
    problem: AlignmentProblem, settings: Settings, parameters: Parameters, key: Array, state: AlignmentState
) -> partition.Regrouped:
    """The refine scheme's current coupling divided into blocks: its tuples, and the part that is to be aligned again.

    Blocks with room for all their points hold the same mass of both groups, and have a coupling no dearer than the
    current one; the others keep their tuples. O(n log n) for tuples, O(B n K) for clusters.
    """
    assert state.tuples is not None
    held, n_points = state.tuples, problem.X.shape[0]
    points, mass = held.points.reshape(-1, 2), held.mass.reshape(-1)
    # by the point of the smaller group, which has several partners near each other
    smaller = jnp.minimum(points[:, 1], n_points - 1)
    cells = partition.cells(key, problem.X[smaller], mass, settings.n_blocks)
    # the first coupling is random: its tuples stay in order, so that each point's stay together
    order = jnp.where(state.n_iter == 0, jnp.arange(len(cells), dtype=cells.dtype), cells)
    rooms = room(problem, settings.n_blocks, state.centers.shape[0])
    dealt = partition.regroup(points, mass, order, n_points, settings.n_blocks, rooms)

    def by_clusters() -> partition.Regrouped:
        wanted = point_masses(problem)
        masses = complete(assign(held, squared_distances(problem.X, state.centers), problem.shares), wanted)
        left, right, fit = partition.within_clusters(
            key, problem.members, fractions(masses) * wanted[:, None], settings.n_blocks, rooms
        )
        anew = dealt._replace(left=left, right=right, fits=jnp.ones_like(dealt.fits))
        return jax.tree.map(partial(jnp.where, fit), anew, dealt)

    # at weight 1 only clusters count, not partners, who are then too far apart to stay together in compact cells
    return jax.lax.cond(jnp.asarray(parameters.transport_weight) == 1, by_clusters, lambda: dealt)


def _fold_all(
    problem: AlignmentProblem,
    settings: Settings,
    parameters: Parameters,
    state: AlignmentState,
    blocks: tuple[Block, ...],
) -> Aligned:
    """The groups aligned one after another within their blocks, starting from the points' current potentials."""
    dtype, last = problem.X.dtype, problem.X.shape[0] - 1
    tuples = alone(blocks[0])
    coupling: Tuples | Pairs = tuples
    potentials, status = state.potentials, jnp.zeros((), jnp.int32)
    lost = value = jnp.zeros((), dtype)
    for s, block in enumerate(blocks[1:], 1):
        costs, released = block_costs(problem, settings, parameters, state.centers, tuples, block)
        a, b = tuples.mass, block.masses
        left, right = jnp.minimum(tuples.points[..., 0], last), jnp.minimum(block.points, last)
        # tuples of several points have no dual of their own
        f = potentials[left] if s == 1 else jnp.zeros_like(a)
        solution = _solve(settings, parameters, costs, a, b, (f, potentials[right]), state.n_iter > 0)
        potentials = _travel(potentials, tuples if s == 1 else None, block, solution)
        status = jnp.maximum(status, jnp.max(solution.status))
        magnitude = jnp.abs(solution.primal)
        lost, value = lost + jnp.sum(solution.gap * magnitude), value + jnp.sum(magnitude)
        if settings.solver == "sinkhorn":
            assert isinstance(solution, ot.OTSolution)
            coupling = Pairs(tuples.points[..., 0], block.points, solution.plan)
        else:
            coupling = tuples = fold(tuples, block, entries(solution), released)
    gap = lost / jnp.maximum(value, jnp.finfo(dtype).tiny)
    return Aligned(coupling, potentials, gap, status, jnp.ones((), dtype))


def block_costs(
    problem: AlignmentProblem, settings: Settings, parameters: Parameters, centers: Array, tuples: Tuples, block: Block
) -> tuple[Array, Array | None]:
    """Costs (B, E, R) of aligning the tuples of each block with its points of a further group; with FCA-C also W.

    O(B E R (K + d)); W takes as many passes over the costs as floats have digits.
    """
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
    settings: Settings,
    parameters: Parameters,
    costs: Array,
    a: Array,
    b: Array,
    duals: tuple[Array, Array],
    warm: Array,
) -> ot.OTSolution | ot.BasicSolution:
    """Transport in all blocks (B, E, R), starting from the points' duals if ``warm`` ()."""
    if settings.solver == "sinkhorn":
        # blocks of mass 1, which the entropy refers to; the duals of other blocks would cost more iterations than
        # starting over with annealing
        n_blocks = settings.n_blocks
        found = ot.sinkhorn(costs, a * n_blocks, b * n_blocks, jnp.asarray(parameters.reg, costs.dtype))
        return found._replace(plan=found.plan / n_blocks)
    solver = ot.host_basic if settings.solver == "host" else ot.exact
    return jax.lax.cond(
        warm, lambda *duals: solver(costs, a, b, init=duals), lambda *_: solver(costs, a, b), *duals
    )  # fmt: skip


def entries(solution: ot.OTSolution | ot.BasicSolution) -> ot.Support:
    """The positive entries of the basic plans (B, n, m) of an exact solver; O(B n m) unless it lists them itself."""
    return solution.entries if isinstance(solution, ot.BasicSolution) else ot.support(solution)


def _travel(
    potentials: Array, tuples: Tuples | None, block: Block, solution: ot.OTSolution | ot.BasicSolution
) -> Array:
    """Potentials (n,) updated with those of the last transport; they belong to points, and follow them between blocks.

    A block's duals are fixed up to a constant; the one that makes the means of both sides equal lets blocks be mixed.
    """

    def mean(values: Array, masses: Array) -> Array:
        total = jnp.sum(masses, -1, keepdims=True)
        return jnp.sum(values * masses, -1, keepdims=True) / jnp.where(total > 0, total, 1)

    a = None if tuples is None else tuples.mass
    shift = jnp.zeros(()) if a is None else (mean(solution.f, a) - mean(solution.g, block.masses)) / 2

    def write(potentials: Array, points: Array, values: Array, masses: Array) -> Array:
        # a point in several blocks keeps the greatest, whatever the order of writing
        points = jnp.where((masses > 0) & jnp.isfinite(values), points, len(potentials))
        fresh = jnp.full_like(potentials, -jnp.inf).at[points].max(values, mode="drop")
        return jnp.where(jnp.isfinite(fresh), fresh, potentials)

    potentials = write(potentials, block.points, solution.g + shift, block.masses)
    if tuples is None or a is None:
        return potentials
    return write(potentials, tuples.points[..., 0], solution.f - shift, a)
