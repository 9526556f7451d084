"""A GPU kernel for the two cheapest clusters of every point, see :mod:`~fairjax.fca.two_cheapest`.

A program takes a tile of points, keeps their features and their two cheapest clusters in registers, and loops over the
clusters. On an H200 that takes 2.2 ms for 10^8 points of 8 features and 10 clusters. Tried and dropped: distances by
the tensor cores, which took as long as the whole pass through memory.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from fairjax._core.varying import struct_like
from fairjax.assignment.sources import label_type
from fairjax.fca.two_cheapest import Cheapest

_TILE, _WARPS = 512, 4  # points per program, and its warps


def in_registers(affine: Array, features: Array, groups: Array, *, interpret: bool = False) -> Cheapest:
    """By a GPU kernel, tile by tile; ``interpret`` runs it anywhere, slowly."""
    (n_features, n_points), dtype = features.shape, features.dtype
    by_tile = pl.BlockSpec((_TILE,), lambda tile: (tile,))
    point = features[0] + affine[0, 0] + groups
    whole = label_type(affine.shape[0])
    of_points = [struct_like(point, kind) for kind in (whole, whole, dtype, dtype)]
    return tuple(
        pl.pallas_call(
            partial(_tile, n_points=n_points, n_features=n_features),
            grid=(-(-n_points // _TILE),),
            in_specs=[
                pl.BlockSpec(affine.shape, lambda tile: (0, 0)),
                pl.BlockSpec((n_features, _TILE), lambda tile: (0, tile)),
                by_tile,
            ],
            out_specs=[by_tile] * 4,
            out_shape=of_points,
            compiler_params=triton.CompilerParams(num_warps=_WARPS),
            interpret=interpret,
        )(affine, features, groups)
    )


def _tile(
    affine: Any, features: Any, groups: Any, label: Any, rival: Any, cheapest: Any, second: Any,
    *, n_points: int, n_features: int,
) -> None:  # fmt: skip
    """One tile of points; all arguments are references that the kernel reads or writes."""
    inside = pl.program_id(0) * _TILE + jnp.arange(_TILE, dtype=jnp.int32) < n_points
    every = pl.ds(0, _TILE)
    group = triton.load(groups.at[every], mask=inside, other=0)
    point = [triton.load(features.at[jnp.int32(j), every], mask=inside, other=0) for j in range(n_features)]
    found = compared(affine, group, point)
    for where, values in zip((label, rival, cheapest, second), found, strict=True):
        triton.store(where.at[every], values.astype(where.dtype), mask=inside)


def compared(affine: Any, group: Array, point: list[Array]) -> Cheapest:
    """The two cheapest clusters of points (t,) whose groups and features are in registers; ``affine`` is read."""
    (n_clusters, n_columns), n_features = affine.shape, len(point)

    def compare(k: Array, found: Cheapest) -> Cheapest:
        label, rival, cheapest, second = found
        cost = jnp.full(group.shape, affine[k, n_features])
        for s in range(1, n_columns - n_features):
            cost = jnp.where(group == s, affine[k, n_features + s], cost)
        for j in range(n_features):
            cost += affine[k, j] * point[j]
        first, next_best = cost < cheapest, cost < second
        return (
            jnp.where(first, k, label),
            jnp.where(first, label, jnp.where(next_best, k, rival)),
            jnp.where(first, cost, cheapest),
            jnp.where(first, cheapest, jnp.where(next_best, cost, second)),
        )

    none, infinite = jnp.zeros(group.shape, jnp.int32), jnp.full(group.shape, jnp.inf, affine.dtype)
    return jax.lax.fori_loop(0, n_clusters, compare, (none, none, infinite, infinite))
