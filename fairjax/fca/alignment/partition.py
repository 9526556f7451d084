"""Partitions: the points divided into blocks of fixed shape that are aligned independently, all in one batch.

A partition cuts every group, in random order, into B pieces of equal mass. If a cut falls inside a point, the point
lies in both blocks, with a part of its mass in each: at most B − 1 points per group. So each block holds the same mass
of every group, nothing is left over, and the couplings of the blocks together are a coupling of the whole.

The authors' code cuts ⌊min n_s / size⌋ blocks of whole points and puts what is left over into one more block, which it
weighs like a full one: on Bank 10 × 13 points against 1,078 × 1,661. Here the number of blocks is the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

UNITS = 1 << 30  # of mass in a group, see in_units
_LANES = 16  # partial sums of a point's mass


class Block(NamedTuple):
    """One group's points in every block. Several groups are a tuple of these, since their sizes differ.

    Attributes
    ----------
    points : (B, R) int32
        Ids of points; the number of all points as padding.
    masses : (B, R)
        Share of the group's mass; sums to 1 over everything, 0 for padding.
    """

    points: Array
    masses: Array


def block_count(sizes: Sequence[int], partition_size: int) -> int:
    """Number of blocks with about ``partition_size`` points of the smallest group, as in the authors' code."""
    return max(1, min(sizes) // partition_size)


def layout(size: int, n_blocks: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Ranks (B, R) and masses (B, R) of ``size`` equal points cut into blocks of mass 1/B, by exact integer arithmetic.

    Examples
    --------
    Three points in two blocks share the middle one:

    >>> ranks, masses = layout(3, 2)
    >>> ranks.tolist(), masses.round(3).tolist()
    ([[0, 1], [1, 2]], [[0.333, 0.167], [0.167, 0.333]])
    """
    block = np.arange(n_blocks)[:, None]
    # in units of 1/B of a point, block b covers [b·size, (b + 1)·size) and point i covers [i·B, (i + 1)·B)
    first = block * size // n_blocks
    width = int(np.max(-(-(block + 1) * size // n_blocks) - first))
    ranks = first + np.arange(width)
    covered = np.minimum((block + 1) * size, (ranks + 1) * n_blocks) - np.maximum(block * size, ranks * n_blocks)
    covered = np.maximum(covered, 0)
    return np.where(covered > 0, ranks, size), covered / (size * n_blocks)


def deal(key: Array, members: Sequence[Array], n_points: int, n_blocks: int, dtype: jnp.dtype) -> tuple[Block, ...]:
    """Random partition of all groups into ``n_blocks`` blocks.

    Parameters
    ----------
    key
        Typed random key, consumed.
    members : (n_s,) int32
        Ids of each group's points.
    n_points
        Number of all points.

    Returns
    -------
    One :class:`Block` per group. O(n log n).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> first, second = deal(jax.random.key(0), [jnp.arange(4), jnp.arange(4, 10)], 10, 2, jnp.float32)
    >>> first.points.shape, second.masses.sum(1).tolist()
    ((2, 2), [0.5, 0.5])
    """
    blocks = []
    for own, ids in zip(jax.random.split(key, len(members)), members, strict=True):
        ranks, masses = layout(ids.shape[0], n_blocks)
        shuffled = jnp.append(jax.random.permutation(own, ids.astype(jnp.int32)), jnp.int32(n_points))
        blocks.append(Block(shuffled[ranks], jnp.asarray(masses, dtype)))
    return tuple(blocks)


def whole(members: Sequence[Array], masses: Array) -> tuple[Block, ...]:
    """All points in one block, with the masses (n,) that they have in their groups."""
    return tuple(Block(ids[None].astype(jnp.int32), masses[ids][None]) for ids in members)


def in_units(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Weights (m,) of a group as integers that sum to 2³⁰, so that sums of masses are exact in 32 bits.

    By largest remainders: each is off by less than one unit. A point of less than one unit may get none.

    Examples
    --------
    >>> in_units(np.array([1.0, 1.0, 2.0])).tolist() == [UNITS // 4, UNITS // 4, UNITS // 2]
    True
    """
    exact = weights / weights.sum() * UNITS
    units = np.floor(exact).astype(np.int64)
    missing = UNITS - int(units.sum())
    units[np.argsort(units - exact, kind="stable")[:missing]] += 1
    return units.astype(np.int32)


class Regrouped(NamedTuple):
    """Tuples of a coupling redistributed over blocks, see :func:`regroup`.

    Attributes
    ----------
    points : (B, E, 2) int32
    mass : (B, E)
        The tuples.
    left, right
        Their distinct points, with the points' mass in the block.
    fits : (B,) bool
        Whether the block had room; if not, its masses are zero.
    """

    points: Array
    mass: Array
    left: Block
    right: Block
    fits: Array


def random_pairs(
    key: Array, members: Sequence[Array], dtype: jnp.dtype, units: Array | None = None
) -> tuple[Array, Array]:
    """An uninformed coupling of two groups: both in random order, laid side by side along their masses.

    Parameters
    ----------
    units : (n,) int32
        The points' masses from :func:`in_units`, or None if all weigh the same.

    Returns
    -------
    points (n0 + n1, 2) int32 and mass (n0 + n1,), which sums to 1; no point lies in more tuples than it must.
    """
    first, second = (ids.shape[0] for ids in members)
    keys = jax.random.split(key)
    orders = [jax.random.permutation(own, ids.astype(jnp.int32)) for own, ids in zip(keys, members, strict=True)]
    if units is not None:
        each = [jnp.cumsum(units[order]) for order in orders]
        last = jnp.sort(jnp.concatenate(each))
        begun = jnp.concatenate([jnp.zeros((1,), last.dtype), last[:-1]])
        holders = [jnp.minimum(jnp.searchsorted(ends, begun, side="right"), len(ends) - 1) for ends in each]
        points = jnp.stack([order[holder] for order, holder in zip(orders, holders, strict=True)], -1)
        return points, ((last - begun) / UNITS).astype(dtype)
    # in units of 1/(n0·n1) of the mass, points end at multiples of n1 and of n0
    ends = np.union1d(np.arange(1, first + 1) * second, np.arange(1, second + 1) * first)
    starts = np.concatenate([[0], ends[:-1]])
    padding = first + second - len(ends)
    ranks = [np.pad(starts // length, (0, padding)) for length in (second, first)]
    mass = np.pad((ends - starts) / (first * second), (0, padding))
    points = jnp.stack([order[rank] for order, rank in zip(orders, ranks, strict=True)], -1)
    return points, jnp.asarray(mass, dtype)


def cells(key: Array, positions: Array, mass: Array, n_blocks: int) -> Array:
    """An order (A,) of tuples in which equal stretches are random compact cells in space; equal for equal positions.

    About √B strips across one random direction, cut along another: compact cells separate fewer partners than slabs
    across one direction. positions (A, d), mass (A,) with 0 for padding. O(A log A).
    """
    n_strips = max(1, round(n_blocks**0.5))
    directions = jax.random.normal(key, (positions.shape[1], 2), positions.dtype)
    across = jnp.matmul(positions, directions, precision="highest")
    place = jnp.where((mass > 0)[:, None], across, jnp.inf)
    rank = jax.vmap(lambda one: jnp.searchsorted(jnp.sort(one), one), 1, 1)(place)
    count = jnp.maximum(jnp.sum(mass > 0), 1)
    strip = jnp.floor(rank[:, 0] * (n_strips / count))
    return strip + (rank[:, 1] / (mass.shape[0] + 1)).astype(positions.dtype)


def regroup(points: Array, mass: Array, order: Array, n_points: int, n_blocks: int, room: tuple[int, int]) -> Regrouped:
    """Distribute the tuples of a coupling over blocks, in a given order and with equally many in each.

    The blocks' couplings together are the current one, so aligning each block again can only lower the cost. A point
    whose tuples fall into several blocks lies in each with a part of its mass. An order of compact cells in space keeps
    a point's tuples together, since its partners are near each other: the blocks have only a few more distinct points
    than those of a partition of whole points.

    Parameters
    ----------
    points : (A, 2)
    mass : (A,)
        The tuples, mass 0 for padding.
    order : (A,)
        Keys to sort by; tuples of equal keys are sorted by their second point.
    room
        Largest number of distinct points of the two groups in a block, static.

    Returns
    -------
    :class:`Regrouped`, with E = room[0] + room[1] − 1 tuples per block, at least A / B.
    """
    size = sum(room) - 1
    place = jnp.lexsort((points[:, 1], jnp.where(mass > 0, order, jnp.inf)))
    count = jnp.sum(mass > 0)
    each = -(-count // n_blocks)
    rank = jnp.arange(size)
    index = jnp.arange(n_blocks)[:, None] * each + rank
    present = (rank < each) & (index < count)
    chosen = place[jnp.minimum(index, mass.shape[0] - 1)]
    dealt = jnp.where(present[..., None], points[chosen], n_points)
    held = jnp.where(present, mass[chosen], 0)
    (left, left_fits), (right, right_fits) = (
        jax.vmap(lambda ids, held, width=width: _distinct(ids, held, n_points, width))(dealt[..., side], held)
        for side, width in enumerate(room)
    )
    fits = left_fits & right_fits & (each <= size)
    right = _level(left, right)
    left, right = (block._replace(masses=jnp.where(fits[:, None], block.masses, 0)) for block in (left, right))
    return Regrouped(dealt, held, left, right, fits)


def within_clusters(
    key: Array, members: Sequence[Array], masses: Array, n_blocks: int, room: tuple[int, int]
) -> tuple[Block, Block, Array]:
    """Blocks that each hold a random part of every cluster, the same part in both groups.

    Each group's points of a cluster, in random order, are cut into ``n_blocks`` pieces of equal mass, and block b takes
    the b-th piece of every cluster. If both groups have the same mass in every cluster, then also in every block: what
    the points pay to their clusters is then the cost of a coupling of each block, whoever the partners are.

    Parameters
    ----------
    key
        Typed random key, consumed.
    members : (n_s,) int32
        Ids of each group's points.
    masses : (n, K)
        Masses of the points in the clusters; sums to 1 over each group.
    room
        Largest number of distinct points of the two groups in a block, static.

    Returns
    -------
    A :class:`Block` for each group, and () bool, whether all blocks had room. O(B n K).

    Examples
    --------
    Both clusters are halved, in both groups:

    >>> import jax, jax.numpy as jnp
    >>> masses = jnp.eye(2)[jnp.array([0, 0, 1, 1, 0, 0, 1, 1])] / 4
    >>> members = jnp.arange(4), jnp.arange(4, 8)
    >>> left, right, fits = within_clusters(jax.random.key(0), members, masses, 2, (2, 2))
    >>> bool(fits), (left.points // 2).tolist(), (right.points // 2).tolist()
    (True, [[0, 1], [0, 1]], [[2, 3], [2, 3]])
    """
    n_points = masses.shape[0]
    dealt = []
    for own, ids, width in zip(jax.random.split(key, 2), members, room, strict=True):
        ids = jax.random.permutation(own, ids.astype(jnp.int32))
        held = masses[ids]
        ends = jnp.cumsum(held, 0)
        begun = jnp.concatenate([jnp.zeros_like(ends[:1]), ends[:-1]])
        cuts = ends[-1] * (jnp.arange(n_blocks + 1) / n_blocks)[:, None].astype(masses.dtype)
        # what rounding leaves after the last cut belongs to the last block
        cuts = cuts.at[-1].set(jnp.inf)

        def piece(
            bounds: tuple[Array, Array], ids: Array = ids, held: Array = held, begun: Array = begun, width: int = width
        ) -> tuple[Block, Array]:
            # as fractions of the point, which add up to 1 even if sums of masses are rounded
            before, after = (jnp.clip((cut - begun) / jnp.where(held > 0, held, 1), 0, 1) for cut in bounds)
            part = jnp.sum((after - before) * held, 1)
            place = jnp.nonzero(part > 0, size=width, fill_value=len(ids))[0]
            points = ids.at[place].get(mode="fill", fill_value=n_points)
            block = Block(points, part.at[place].get(mode="fill", fill_value=0))
            return block, jnp.sum(part > 0) <= width

        dealt.append(jax.lax.map(piece, (cuts[:-1], cuts[1:])))
    (left, left_fits), (right, right_fits) = dealt
    return left, _level(left, right), jnp.all(left_fits & right_fits)


def _level(left: Block, right: Block) -> Block:
    """``right`` with the block masses of ``left``: they are equal up to rounding."""
    totals = [jnp.sum(block.masses, 1, keepdims=True) for block in (left, right)]
    return right._replace(masses=right.masses * (totals[0] / jnp.where(totals[1] > 0, totals[1], 1)))


def _distinct(ids: Array, mass: Array, n_points: int, width: int) -> tuple[Block, Array]:
    """Distinct ids (width,) with their masses, and whether there was room for all."""
    order = jnp.argsort(ids)
    ids, mass = ids[order], mass[order]
    first = jnp.append(True, ids[1:] != ids[:-1])
    slot = jnp.cumsum(first) - 1
    known = ids < n_points
    found = jnp.full((width,), n_points, jnp.int32).at[slot].set(ids, mode="drop")
    # in several partial sums: a point of a small group may have so many tuples that one sum would lose digits
    lanes = jnp.arange(len(ids)) % _LANES
    parts = jnp.zeros((width, _LANES), mass.dtype).at[slot, lanes].add(jnp.where(known, mass, 0), mode="drop")
    return Block(found, jnp.sum(parts, 1)), jnp.sum(first & known) <= width
