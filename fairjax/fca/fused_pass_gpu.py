"""A whole pass over the points as one GPU kernel, which reads them once: :func:`fairjax.fca.prepare` asks for it.

A program takes one span of points, tile by tile. Of a tile, features, costs and the two cheapest clusters are in
registers; so are the running sums of every cluster, of which each lane has its own. A lane adds a point to the sums of
all clusters, with weight 0 but in one of them: that costs as much as the distances, and no lane waits for another one.
The lanes' sums are added up once per span. Memory gets label, rival and margin of each point, and the sums per span.

The sums have to fit into the registers of a lane; :func:`fits` says whether they do.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jax.typing import DTypeLike

from fairjax._core.varying import struct_like
from fairjax.assignment.sources import label_type
from fairjax.fca.two_cheapest_gpu import compared

_TILE, _WARPS = 128, 4  # points at a time, one for each lane of the program's warps
_TILES = 128  # of a span: adding up the lanes' sums then takes a small part of the time
_MOST_BYTES = 640  # of sums in a lane, which has 1,020 bytes of registers

Scanned = tuple[Array, Array, Array, Array, Array]


def fits(n_features: int, n_groups: int, n_clusters: int, dtype: DTypeLike) -> bool:
    """Whether the sums of all clusters fit into a lane's registers.

    Examples
    --------
    >>> fits(8, 2, 10, "float32"), fits(16, 2, 16, "float32")
    (True, False)
    """
    return n_clusters * (n_features + n_groups) * jnp.dtype(dtype).itemsize <= _MOST_BYTES


def in_one_read(
    affine: Array, features: Array, groups: Array, weights: Array, *, interpret: bool = False, tiles: int = _TILES
) -> Scanned:
    """Labels, rivals and margins (n_blocks, b), sums (K, d + M), and cost () of the cheapest clusters.

    ``features`` (n_blocks, d, b), ``groups`` (n_blocks, b) and ``weights`` (n_blocks, b) describe the points;
    ``affine`` (K, d + M) is as in :func:`~fairjax.fca.two_cheapest.two_cheapest`. Sums are weighted, of the features
    and of the indicators of the groups. ``interpret`` runs it anywhere, slowly; ``tiles`` is the length of a span.
    O(n K (d + M)).
    """
    n_blocks, n_features, n_points = features.shape
    n_clusters, n_columns = affine.shape
    span, dtype = tiles * _TILE, affine.dtype
    n_spans = -(-n_points // span)
    by_span = pl.BlockSpec((None, span), lambda block, part: (block, part))
    point = features[:, 0] + affine[0, 0] + groups + weights
    *of_points, totals = pl.pallas_call(
        partial(_span, n_points=n_points, n_features=n_features),
        grid=(n_blocks, n_spans),
        in_specs=[
            pl.BlockSpec(affine.shape, lambda block, part: (0, 0)),
            pl.BlockSpec((None, n_features, span), lambda block, part: (block, 0, part)),
            by_span,
            by_span,
        ],
        out_specs=[
            *[by_span] * 3,
            pl.BlockSpec((None, None, n_clusters * n_columns + 1), lambda block, part: (block, part, 0)),
        ],
        out_shape=[
            *[struct_like(point, kind) for kind in (label_type(n_clusters), label_type(n_clusters), dtype)],
            struct_like(jnp.broadcast_to(point[:, :1, None], (n_blocks, n_spans, n_clusters * n_columns + 1)), dtype),
        ],
        compiler_params=triton.CompilerParams(num_warps=_WARPS),
        interpret=interpret,
    )(affine, features, groups, weights)
    total = jnp.sum(jnp.sum(totals, 1), 0)  # block by block, as many numbers added up lose digits
    return (*of_points, total[:-1].reshape(n_clusters, n_columns), total[-1])


def _span(
    affine: Any, features: Any, groups: Any, weights: Any, label: Any, rival: Any, margin: Any, totals: Any,
    *, n_points: int, n_features: int,
) -> None:  # fmt: skip
    """One span of points; all arguments are references that the kernel reads or writes."""
    n_clusters, n_columns = affine.shape
    n_tiles = label.shape[0] // _TILE
    first = pl.program_id(1) * label.shape[0]

    def add_tile(tile: Array, sums: tuple[Array, ...]) -> tuple[Array, ...]:
        begin = tile * _TILE
        inside = first + begin + jnp.arange(_TILE, dtype=jnp.int32) < n_points
        here = pl.ds(begin, _TILE)
        group = triton.load(groups.at[here], mask=inside, other=0)
        weight = triton.load(weights.at[here], mask=inside, other=0)
        point = [
            triton.load(features.at[jnp.int32(j), here], mask=inside, other=0).astype(affine.dtype)
            for j in range(n_features)
        ]
        nearest, other, cheapest, second = compared(affine, group, point)
        apart = jnp.where(weight > 0, second - cheapest, jnp.inf)
        for where, values in ((label, nearest), (rival, other), (margin, apart)):
            triton.store(where.at[here], values.astype(where.dtype), mask=inside)
        more = []
        for k in range(n_clusters):
            own = jnp.where(nearest == k, weight, 0)
            more += [own * feature for feature in point]
            more += [jnp.where(group == s, own, 0) for s in range(n_columns - n_features)]
        # a point beyond the end has weight 0
        more.append(weight * cheapest)
        return tuple(one + another for one, another in zip(sums, more, strict=True))

    none = jnp.zeros((_TILE,), affine.dtype)
    sums = jax.lax.fori_loop(0, n_tiles, add_tile, (none,) * (n_clusters * n_columns + 1))
    for place, total in enumerate(sums):
        totals[place] = jnp.sum(total)
