"""Which points to look at closely: all of those near a boundary, or representatives of them.

If the points within a *radius* of a boundary are few enough, all of them are taken. Otherwise they are divided into
strata, first by group and by the two clusters that the boundary separates, then by the distance from it; one point
represents its stratum. Strata are narrow at the boundary and wide far from it, so the number of points that cross it
under any change of the prices is known with similar relative accuracy, and a boundary with few points is represented as
well as any other. A random sample of the same size is several times less exact, and misses the boundaries between
clusters that are far apart: their prices are then unknown, and the search for them took dozens of passes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.block_sums import Once, over_stretches
from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax._core.varying import varying_as

_SAMPLE, _PLACES = 4096, 48  # sampled margins for quantiles: this many, and enough to fill this many places
_AIM = 0.75  # of the places, as quantiles of a sample are not exact
_FINER = 16  # most strata per kind, as a multiple of its average places: most kinds have no points
_GOLDEN = 2_654_435_769  # 2^32 over the golden ratio: its multiples scatter evenly
_BACK = pow(_GOLDEN, -1, 2**32)  # and times this they are what they were
# Rows whose strata are in memory at a time. On an accelerator each stretch is a few kernels.
_STRETCH, _LONG_STRETCH = 2**16, 2**22


class Chosen(NamedTuple):
    """The points to open.

    Attributes
    ----------
    rows : (m,)
        Numbers of rows, n as padding.
    weights : (m,)
        Weights of these points, or of all that each represents.
    radius : ()
        The least margin of all points that are neither chosen nor represented.
    exact : () bool
        No point represents others.
    """

    rows: Array
    weights: Array
    radius: Array
    exact: Array


class Sides(NamedTuple):
    """What tells which boundary a point is near, and on which side of it; all (n,), of whole numbers.

    Attributes
    ----------
    groups : of the points. labels, rivals : the cheapest and the second cheapest cluster.
    """

    groups: Array
    labels: Array
    rivals: Array


def _set_bit(word: Array, rank: Array) -> Array:
    """Position of the set bit of 32-bit ``word`` that has ``rank`` set bits below it, by halving."""

    def halve(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        position, rank = carry
        half = jnp.int32(16) >> i
        below = (word >> position.astype(jnp.uint32)) & ((jnp.uint32(1) << half.astype(jnp.uint32)) - 1)
        n_below = jax.lax.population_count(below).astype(jnp.int32)
        up = rank >= n_below
        return position + jnp.where(up, half, 0), rank - jnp.where(up, n_below, 0)

    unroll = jax.default_backend() != "cpu"
    return jax.lax.fori_loop(0, 5, halve, varying_as((jnp.zeros_like(rank), rank), word), unroll=unroll)[0]


def indices(flags: Array, size: int, step: Array | float = 1.0, spread: Rows = IN_ONE_PLACE) -> Array:
    """The first ``size`` numbers of rows at which ``flags`` (n,) hold, or every ``step``-th of them; n as padding.

    Like :func:`jax.numpy.nonzero`, but with a running sum over n / 32 words instead of n flags.
    """
    n_points = flags.shape[0]
    bits = jnp.pad(flags, (0, -n_points % 32)).reshape(-1, 32).astype(jnp.uint32)
    words = jnp.sum(bits << jnp.arange(32, dtype=jnp.uint32), 1, dtype=jnp.uint32)
    until = jnp.cumsum(jax.lax.population_count(words).astype(jnp.int32))
    rank = jnp.arange(size, dtype=jnp.int32)
    if not isinstance(step, float):
        rank = (rank * step).astype(jnp.int32)
    # on an accelerator each iteration of a loop is a kernel of its own
    method = "scan" if jax.default_backend() == "cpu" else "scan_unrolled"

    def find(rank: Array) -> Array:
        at = jnp.searchsorted(until, rank, side="right", method=method).astype(jnp.int32)
        at = jnp.minimum(at, words.shape[0] - 1)
        before = jnp.where(at > 0, until[at - 1], 0)
        return 32 * at + _set_bit(words[at], rank - before)

    return spread.ranked(until[-1], rank, find, n_points)


def _width_with_places(margins: Array, n_open: int, spread: Rows) -> Array:
    """A margin () below which about as many of the margins (n,) lie as there are places, hardly ever more."""
    n_points = margins.shape[0] * spread.n_devices
    part = _AIM * n_open / n_points
    own = jnp.sort(margins[:: max(1, int(n_points / max(_SAMPLE, _PLACES / part)))])
    places = int(part * own.shape[0] * spread.n_devices)
    sample = own
    if spread.axis is not None:
        # no more of one device's margins can be among the least of all
        sample = jnp.sort(spread.gather(own[: places + 1]))
    wide, narrow = sample[places], sample[places // 2]
    # a sample may mislead: about once in a hundred times more points lie within the wide margin than there are places
    return jnp.where(_within(margins, wide, spread).number <= n_open, wide, narrow)


class _Within(NamedTuple):
    """Of the margins below a limit: their number and the greatest (0 if none), and the least of all others; ()."""

    number: Array
    greatest: Array
    beyond: Array


def _within(margins: Array, limit: Array, spread: Rows) -> _Within:
    none, infinite = (jnp.asarray(value, margins.dtype) for value in (0, jnp.inf))

    def note(found: _Within, _: Array, once: Once, margins: Array) -> _Within:
        near = margins < limit
        return _Within(
            found.number + jnp.sum(once(near.astype(jnp.int32)), dtype=jnp.int32),
            jnp.maximum(found.greatest, jnp.max(jnp.where(near, margins, none))),
            jnp.minimum(found.beyond, jnp.min(jnp.where(near, infinite, margins))),
        )

    found = over_stretches(note, _Within(jnp.int32(0), none, infinite), margins, _stretch(), limit)
    return _Within(spread.sum(found.number), spread.greatest(found.greatest), spread.least(found.beyond))


def _stretch() -> int:
    return _STRETCH if jax.default_backend() == "cpu" else _LONG_STRETCH


def _all_near(margins: Array, weights: Array, limit: Array, n_open: int, spread: Rows) -> tuple[Array, Array]:
    """Numbers (m,) and weights (m,) of the points whose margins are below ``limit`` ()."""
    n_own = margins.shape[0]
    rows = indices(margins < limit, n_open, spread=spread)
    of_rows = spread.at(rows, lambda own: weights[jnp.minimum(own, n_own - 1).astype(jnp.uint32)], n_own)
    return rows, jnp.where(rows < n_own * spread.n_devices, of_rows, 0)


def _representatives(
    margins: Array,
    sides: Sides,
    shape: tuple[int, int],
    weights: Array,
    limit: Array,
    widest: Array,
    n_open: int,
    spread: Rows,
) -> tuple[Array, Array]:
    """The same for one point of each stratum of them, with the weight of the stratum; ``widest`` is their last margin.

    Which strata points are in is known of one stretch of them at a time, since for all it would take as much memory as
    two of their features.
    """
    places, n_cells = int(_AIM * n_open), shape[0] * shape[1]
    # boundaries of a cell are merged if there are too few places
    apart = min(shape[1], max(1, places // (2 * n_cells)))
    n_kinds = n_cells * apart
    most = max(1, _FINER * places // n_kinds)
    n_own, n_table, length = margins.shape[0], n_kinds * most, _stretch()

    # unsigned, as no index is negative and every scatter would ask
    def kinds(sides: Sides) -> Array:
        groups, labels, rivals = (side.astype(jnp.uint32) for side in sides)
        return (groups * shape[1] + labels) * apart + jax.lax.rem(rivals, jnp.uint32(apart))

    def note(present: Array, _: Array, __: Once, part: tuple[Array, Sides]) -> Array:
        margins, sides = part
        # far points are left out of the scatter, which takes most of the time
        return present.at[jnp.where(margins < limit, kinds(sides), n_kinds)].set(True, mode="drop")

    present = over_stretches(note, jnp.zeros((n_kinds,), bool), (margins, sides), length, limit)
    if spread.axis is not None:
        present = spread.sum(present.astype(jnp.int32)) > 0
    n_strata = jnp.clip(jax.lax.div(jnp.uint32(places), jnp.maximum(jnp.sum(present, dtype=jnp.uint32), 1)), 1, most)
    widest = jnp.maximum(widest, jnp.finfo(widest.dtype).tiny)
    before = spread.before(n_own).astype(jnp.uint32)

    def add(
        strata: tuple[Array, Array], places: Array, once: Once, part: tuple[Array, Sides, Array]
    ) -> tuple[Array, Array]:
        (weight, first), (margins, sides, weights) = strata, part
        own = jnp.minimum((jnp.sqrt(margins / widest) * n_strata).astype(jnp.uint32), n_strata - 1)
        stratum = jnp.where(margins < limit, kinds(sides) * most + own, n_table)
        order = (before + places) * jnp.uint32(_GOLDEN)
        return weight.at[stratum].add(once(weights), mode="drop"), first.at[stratum].min(order, mode="drop")

    none = jnp.zeros((n_table,), weights.dtype), jnp.full((n_table,), jnp.iinfo(jnp.uint32).max, jnp.uint32)
    weight, first = over_stretches(add, none, (margins, sides, weights), length, limit, n_strata, widest, before)
    weight, first = spread.sum(weight), spread.least(first)
    numbers = (first * jnp.uint32(_BACK)).astype(jnp.int32)
    some = weight > 0
    place = jnp.where(some, jnp.cumsum(some, dtype=jnp.uint32) - 1, n_open)
    rows = jnp.full((n_open,), n_own * spread.n_devices, jnp.int32).at[place].set(numbers, mode="drop")
    return rows, jnp.zeros((n_open,), weight.dtype).at[place].set(weight, mode="drop")


def choose(
    margins: Array,
    sides: Sides,
    shape: tuple[int, int],
    weights: Array,
    radius: Array,
    enough: Array,
    n_open: int,
    spread: Rows = IN_ONE_PLACE,
) -> Chosen:
    """All points whose margins (n,) are below ``enough`` (), and as many more as there are places for.

    Margins of points without weight have to be infinite. If there are too few places, representatives of those whose
    margins are below ``radius`` (). ``shape`` has the numbers of groups and clusters. ``n_open`` is the number of
    places, at least their product. Where rows are ``spread``, arrays (n,) hold the device's own rows, and all devices
    get the same result. O(n), with next to no memory: compilers hold what they reduce, so it goes by stretches.
    """
    width = _width_with_places(margins, n_open, spread)
    exact = enough <= width
    limit = jnp.where(exact, width, radius)
    found = _within(margins, limit, spread)
    rows, of_rows = jax.lax.cond(
        exact,
        lambda: _all_near(margins, weights, limit, n_open, spread),
        lambda: _representatives(margins, sides, shape, weights, limit, found.greatest, n_open, spread),
    )
    # representatives are never more than there are places
    return Chosen(rows, of_rows, jnp.where(exact & (found.number > n_open), 0, found.beyond), exact)
