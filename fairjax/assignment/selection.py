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

from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax._core.varying import varying_as

_SAMPLE, _PLACES = 4096, 48  # sampled margins for quantiles: this many, and enough to fill this many places
_AIM = 0.75  # of the places, as quantiles of a sample are not exact
_FINER = 16  # most strata per kind, as a multiple of its average places: most kinds have no points
_GOLDEN = 2_654_435_769  # 2^32 over the golden ratio: its multiples scatter evenly


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
    return jnp.where(spread.sum(jnp.sum(margins < wide)) <= n_open, wide, narrow)


def _representatives(
    near: Array,
    margins: Array,
    sides: Sides,
    shape: tuple[int, int],
    weights: Array,
    n_open: int,
    spread: Rows,
) -> tuple[Array, Array]:
    """Flags (n,) of one point per stratum of those that are ``near`` (n,), and the strata's weights (n,)."""
    places, n_cells = int(_AIM * n_open), shape[0] * shape[1]
    # boundaries of a cell are merged if there are too few places
    apart = min(shape[1], max(1, places // (2 * n_cells)))
    cells = sides.groups * shape[1] + sides.labels.astype(jnp.int32)
    kinds, n_kinds = cells * apart + jax.lax.rem(sides.rivals.astype(jnp.int32), jnp.int32(apart)), n_cells * apart
    # far points are left out of the scatter, which takes most of the time
    present = jnp.zeros((n_kinds,), bool).at[jnp.where(near, kinds, n_kinds)].set(True, mode="drop")
    if spread.axis is not None:
        present = spread.sum(present.astype(jnp.int32)) > 0
    most = max(1, _FINER * places // n_kinds)
    n_strata = jnp.clip(jax.lax.div(jnp.int32(places), jnp.maximum(jnp.sum(present, dtype=jnp.int32), 1)), 1, most)
    widest = spread.greatest(jnp.max(jnp.where(near, margins, 0)))
    relative = jnp.sqrt(margins / jnp.where(widest > 0, widest, 1))
    stratum = kinds * most + jnp.minimum((relative * n_strata).astype(jnp.int32), n_strata - 1)
    stratum = jnp.where(near, stratum, n_kinds * most)
    weight = spread.sum(jnp.zeros((n_kinds * most,), weights.dtype).at[stratum].add(weights, mode="drop"))
    scattered = spread.numbers(near.shape[0], jnp.uint32) * jnp.uint32(_GOLDEN)
    order = jax.lax.bitcast_convert_type(scattered, jnp.int32)
    first = spread.least(jnp.full((n_kinds * most,), jnp.iinfo(jnp.int32).max).at[stratum].min(order, mode="drop"))
    return near & (order == first[stratum]), weight[stratum]


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

    If there are too few places, representatives of those whose margins are below ``radius`` (). ``shape`` has the
    numbers of groups and clusters. ``n_open`` is the number of places, at least their product. Where rows are
    ``spread``, arrays (n,) hold the device's own rows, and all devices get the same result. O(n).
    """
    n_own = margins.shape[0]
    n_points = n_own * spread.n_devices
    margins = jnp.where(weights > 0, margins, jnp.inf)
    width = _width_with_places(margins, n_open, spread)
    exact = enough <= width
    near = margins < jnp.where(exact, width, radius)
    flags, weights = jax.lax.cond(
        exact,
        lambda: (near, weights),
        lambda: _representatives(near, margins, sides, shape, weights, n_open, spread),
    )
    rows = indices(flags, n_open, spread=spread)
    of_rows = spread.at(rows, lambda own: weights[jnp.minimum(own, n_own - 1)], n_own)
    beyond = spread.least(jnp.min(jnp.where(near, jnp.inf, margins)))
    n_flagged = spread.sum(jnp.sum(flags))
    return Chosen(rows, jnp.where(rows < n_points, of_rows, 0), jnp.where(n_flagged <= n_open, beyond, 0), exact)
