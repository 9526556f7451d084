"""Points and centres as a source of costs for fair assignment: passes that never hold the n × K distances.

A pass reads the points block by block, each small enough to stay in cache on a CPU: distances plus prices give the two
cheapest clusters, and a product with the one-hot labels gives the sums per cluster and the counts per group and
cluster. That is the work of one Lloyd step.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fairjax._core.block_sums import block_sums, scan_blocks
from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax._core.varying import varying_as
from fairjax.assignment.sources import Pass, Source, label_type
from fairjax.errors import InputError
from fairjax.fca.two_cheapest import two_cheapest
from fairjax.kmeans.points import as_weighted_points

_IN_CACHE = 16_384  # points of a block on a CPU
_PARTS, _LEAST_BLOCK = 16, 2048  # blocks that a pass may skip, and the size that they have at least
_LARGE = 2**20  # and on an accelerator, where a smaller block takes as long
# Blocks of a pass on a CPU that may overlap. On two cores a pass is a fifth faster with two, and no faster with four.
# With few blocks it is not worth compiling.
_OVERLAPPING, _MANY_BLOCKS = 2, 8
_HIGHEST = jax.lax.Precision.HIGHEST

Scanned = tuple[Array, Array, Array, Array, Array]


@jax.tree_util.register_static
@dataclass(frozen=True)
class Kernel:
    """What goes over the points: XLA's operations, or one kernel for the whole pass; see :func:`prepare`."""

    fused: bool = False


class GroupedPoints(NamedTuple):
    """Points with their groups and weights, laid out for passes; n' is n plus padding of weight 0.

    Attributes
    ----------
    features : (n_blocks, d, n' / n_blocks)
        Block after block, one contiguous row per feature, centred on ``mean``.
    groups : (n',)
        Ids 0..M-1, of a small type: :func:`~fairjax.assignment.sources.label_type`.
    weights : (n',)
        With sum 1.
    masses : (M,)
        Weight of each group.
    mean : (d,)
        Weighted mean of the points.
    variance : ()
        Weighted mean squared distance from the mean, the cost of a single cluster.
    spread
        The devices over which rows are spread; features, groups and weights are then a device's own.
    kernel
        What passes are made of.
    n_used : () int32
        Number of blocks that hold points. Those after them are padding, which passes skip. None if all do.
    """

    features: Array
    groups: Array
    weights: Array
    masses: Array
    mean: Array
    variance: Array
    spread: Rows = IN_ONE_PLACE
    kernel: Kernel = Kernel()
    n_used: Array | None = None

    @property
    def n_points(self) -> int:
        """n', on all devices together."""
        return self.weights.shape[0] * self.spread.n_devices


def block_shape(n_points: int) -> tuple[int, int]:
    """Number and size of the blocks of a pass."""
    n_blocks = -(-n_points // (_IN_CACHE if jax.default_backend() == "cpu" else _LARGE))
    size = -(-n_points // n_blocks)
    return n_blocks, size if n_blocks == 1 else -(-size // 64) * 64


def _skippable_blocks(n_points: int) -> tuple[int, int]:
    """Number and size of the blocks of a pass that skips padding; many on a CPU, where a small one takes less time."""
    if jax.default_backend() != "cpu":
        return block_shape(n_points)
    block = min(_IN_CACHE, max(_LEAST_BLOCK, -(-n_points // (64 * _PARTS)) * 64))
    n_blocks = -(-n_points // block)
    return n_blocks + n_blocks % _OVERLAPPING, block


def whole_blocks(n_points: int) -> int:
    """Number of points after padding to whole blocks, which needs no further padding.

    Examples
    --------
    >>> n_points = whole_blocks(100_000)
    >>> n_points, whole_blocks(n_points)
    (100352, 100352)
    """
    n_blocks, block = block_shape(n_points)
    return n_blocks * block


def prepare(
    X: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    n_groups: int,
    n_rows: ArrayLike | None = None,
    rows: Rows = IN_ONE_PLACE,
    fused: bool = False,
) -> GroupedPoints:
    """Lay out points X (n, d), groups (n,) and weights (n,) or None for passes; O(n d) time and memory.

    Where only the first ``n_rows`` () of the rows count (may be traced), the others are padding, for which passes on a
    CPU take no time: one compiled program serves tables of many sizes.

    Inside ``jax.shard_map`` these are a device's own rows, and ``rows`` (:class:`fairjax.parallel.Rows`) names the axis
    over which they are spread; the points carry it to all functions of this route.

    ``fused`` (static) makes each pass one kernel, which reads the points once and keeps distances, the two cheapest
    clusters and the sums of all clusters on chip. It is for GPUs; elsewhere an interpreter runs it, slowly, for tests.
    Where the sums are too many for a GPU's registers, K (d + M) above 160 in float32, passes are as without it.
    Results differ by rounding. It is off by default, since nobody has measured yet what it gains:
    ``python -m benchmarks accelerator --only passes`` times iterations with and without it.

    Raises InputError for shapes that do not fit, and for an ``n_rows`` that is known and not from 1 to n.

    Examples
    --------
    >>> import numpy as np
    >>> points = prepare(np.array([[1.0], [3.0], [9.0]]), np.array([0, 1, 0]), n_groups=2, n_rows=2)
    >>> points.mean.tolist(), points.masses.tolist()
    ([2.0], [0.5, 0.5])
    """
    X, weights = as_weighted_points(X, weights)
    groups = jnp.asarray(groups, jnp.int32)
    if groups.shape != weights.shape:
        raise InputError(f"groups has shape {groups.shape}; expected {weights.shape}, one id per row of X")
    n_points, n_used = X.shape[0], None
    n_blocks, block = block_shape(n_points) if n_rows is None else _skippable_blocks(n_points)
    padding = n_blocks * block - n_points
    if n_rows is not None:
        n_rows = _checked(n_rows, n_points)
        weights = jnp.where(jnp.arange(n_points) < n_rows, weights, 0)
        n_used = jax.lax.div(n_rows + (block - 1), jnp.int32(block))
    # summed block by block: one running sum over millions of small weights would lose digits
    shape = (n_blocks, block)
    weights = jnp.pad(weights, (0, padding)).reshape(shape)
    weights = weights / rows.sum(jnp.sum(jnp.sum(weights, 1)))
    groups = jnp.pad(groups, (0, padding)).reshape(shape)

    def block_of(i: Array) -> Array:
        # the last point repeated as padding
        return X[jnp.minimum(i * block + jnp.arange(block), n_points - 1)]

    def weighted_sum(i: Array) -> Array:
        return jnp.matmul(weights[i], block_of(i), precision=_HIGHEST)

    mean = rows.sum(block_sums(weighted_sum, jnp.arange(n_blocks), jnp.zeros_like(X[0]), X, weights, n_used=n_used))
    none = varying_as(jnp.zeros((), X.dtype), X, weights)

    def lay_out(variance: Array, i: Array) -> tuple[Array, Array]:
        features = block_of(i).T - mean[:, None]
        return variance + jnp.sum(weights[i] * jnp.sum(jnp.square(features), 0)), features

    variance, features = scan_blocks(lay_out, none, jnp.arange(n_blocks), n_used)
    masses = jnp.sum(jnp.sum(jnp.where(groups == jnp.arange(n_groups)[:, None, None], weights, 0), -1), -1)
    masses, variance = rows.sum((masses, variance))
    ids = groups.astype(label_type(n_groups)).reshape(-1)
    return GroupedPoints(
        features, ids, weights.reshape(-1), masses, mean, variance, rows, Kernel(fused), n_used
    )  # fmt: skip


def _checked(n_rows: ArrayLike, n_points: int) -> Array:
    """Number of rows in use () int32; InputError for a known one that is not from 1 to ``n_points``."""
    if not isinstance(n_rows, jax.core.Tracer):
        known = np.asarray(n_rows)
        if known.ndim or known.dtype.kind not in "iu" or not 0 < known <= n_points:
            raise InputError(f"n_rows is {n_rows!r}; expected a whole number from 1 to {n_points}, the rows of X")
    return jnp.clip(jnp.asarray(n_rows, jnp.int32), 0, n_points)


def coordinates(points: GroupedPoints, index: Array) -> Array:
    """A device's own points (m, d) at ``index`` (m,), relative to the mean; the last point for a larger index."""
    n_blocks, _, block = points.features.shape
    index, size = jnp.minimum(index, n_blocks * block - 1), jnp.asarray(block, index.dtype)
    return points.features[jax.lax.div(index, size), :, jax.lax.rem(index, size)]


def squared_distances(points: GroupedPoints, centers: Array, present: Array | None = None) -> Source:
    """Costs ‖x − μ‖² to ``centers`` (K, d), given relative to ``points.mean``; passes sum the points per cluster.

    ``present`` (K,) bool says which centres exist; None if all do.
    """
    n_features = centers.shape[1]
    squares = jnp.sum(jnp.square(centers), -1)

    def scan(prices: Array) -> Pass:
        # not infinite, since the other groups' indicators, zeros, are multiplied with it
        far = jnp.finfo(squares.dtype).max / 4
        at_no_distance = prices + squares if present is None else jnp.where(present, prices + squares, far)
        affine = jnp.concatenate([-2 * centers.T, at_no_distance]).T
        labels, rivals, margins, sums, lowest = _scanned(points, affine)
        if points.n_used is not None:  # blocks that were skipped have zeros
            margins = jnp.where(points.weights.reshape(margins.shape) > 0, margins, jnp.inf)
        sums, lowest = points.spread.sum((sums, lowest))
        counts = sums[:, n_features:].T
        # distances lack ‖x‖², which affects no choice; prices are not part of the cost
        cost = points.variance + lowest - jnp.sum(counts * prices)
        return Pass(labels.reshape(-1), rivals.reshape(-1), margins.reshape(-1), counts, cost, sums[:, :n_features])

    def rows(index: Array) -> tuple[Array, Array]:
        some = coordinates(points, index)
        # not by `_core.distances`: the passes have the squares of the centres already, and rounding is as it always was
        cross = jnp.matmul(some, centers.T, precision=_HIGHEST)
        return jnp.maximum(jnp.sum(jnp.square(some), -1)[:, None] - 2 * cross + squares, 0), some

    none = jnp.zeros_like(centers)
    return Source(scan, rows, points.groups, points.weights, points.masses, none, present, points.spread)


def _scanned(points: GroupedPoints, affine: Array) -> Scanned:
    """Labels, rivals, margins (n_blocks, b), weighted sums (K, d + M) of features and groups, and the least cost ().

    ``affine`` (K, d + M) has the coefficients of every cluster's cost. Sums are those of a device's own rows.
    """
    n_blocks, n_features, block = points.features.shape
    groups, weights = points.groups.reshape(n_blocks, block), points.weights.reshape(n_blocks, block)
    if points.kernel.fused:
        # imported here because this takes a fifth of a second
        from fairjax.fca import fused_pass_gpu

        if fused_pass_gpu.fits(n_features, points.masses.shape[0], affine.shape[0], affine.dtype):
            interpret = jax.default_backend() != "gpu"
            return fused_pass_gpu.in_one_read(affine, points.features, groups, weights, interpret=interpret)
    return _by_blocks(affine, points.features, groups, weights, points.n_used)


def _by_blocks(affine: Array, features: Array, groups: Array, weights: Array, n_used: Array | None = None) -> Scanned:
    """By operations that XLA knows, block by block."""
    n_clusters, n_columns = affine.shape
    clusters = jnp.arange(n_clusters, dtype=label_type(n_clusters))[:, None]
    members = jnp.arange(n_columns - features.shape[1], dtype=groups.dtype)[:, None]

    def one_block(
        carry: tuple[Array, Array], xs: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
        sums, lowest = carry
        features, groups, weights = xs
        extended = jnp.concatenate([features, (groups == members).astype(features.dtype)])
        label, rival, cheapest, second = two_cheapest(affine, features, groups, extended)
        chosen = jnp.where(clusters == label, weights, 0)
        sums = sums + jnp.matmul(chosen, extended.T, precision=_HIGHEST)
        margin = jnp.where(weights > 0, second - cheapest, jnp.inf)
        return (sums, lowest + jnp.sum(weights * cheapest)), (label, rival, margin)

    by_block = (features, groups, weights)
    zeros = jnp.zeros((n_clusters, n_columns), features.dtype)
    begin = varying_as((zeros, zeros[0, 0]), by_block, affine)
    overlapping = _OVERLAPPING if jax.default_backend() == "cpu" and features.shape[0] >= _MANY_BLOCKS else 1
    (sums, lowest), of_points = scan_blocks(one_block, begin, by_block, n_used, overlapping=overlapping)
    return (*of_points, sums, lowest)


def labelled_cost(points: GroupedPoints, centers: Array, labels: Array) -> Array:
    """Mean squared distance to the centres (K, d) of the clusters that ``labels`` (n',) name; block by block."""
    clusters = jnp.arange(centers.shape[0], dtype=jnp.int32)[:, None]
    n_blocks, _, block = points.features.shape

    def of_block(xs: tuple[Array, Array, Array]) -> Array:
        features, weights, labels = xs
        own = jnp.matmul(centers.T, (clusters == labels).astype(centers.dtype), precision=_HIGHEST)
        return jnp.sum(weights * jnp.sum(jnp.square(features - own), 0))

    by_block = (points.features, points.weights.reshape(n_blocks, block), labels.reshape(n_blocks, block))
    return points.spread.sum(
        block_sums(of_block, by_block, jnp.zeros((), centers.dtype), centers, n_used=points.n_used)
    )
