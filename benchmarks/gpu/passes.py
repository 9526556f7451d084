"""Iterations of FCA beside plain ones of Lloyd's, and single passes beside one reading of the points."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.direct import programs as direct
from benchmarks.gpu.session import Row, Session, built, by_memory, certificate, compiled, timed
from fairjax import fca
from fairjax.fca.points import squared_distances

WARM, MORE = 5, 3  # iterations before those that are timed, and these


@partial(jax.jit, static_argnames=("n", "d", "n_clusters"))
def blobs(key: jax.Array, *, n: int, d: int, n_clusters: int) -> tuple[jax.Array, jax.Array]:
    """Points (n, d) and groups (n,) on the device: overlapping blobs, a group has more of every second one."""
    of_blob, of_group, of_center, of_point = jax.random.split(key, 4)
    blob = jax.random.randint(of_blob, (n,), 0, n_clusters)
    groups = jax.random.bernoulli(of_group, 0.35 + 0.5 * (blob % 2)).astype(jnp.int32)
    centers = jax.random.uniform(of_center, (n_clusters, d), minval=-2.0, maxval=2.0)
    return centers[blob] + 2.5 * jax.random.normal(of_point, (n, d)), groups


@partial(jax.jit, static_argnames=("n_blocks", "scatter"))
def lloyd(X: jax.Array, centers: jax.Array, n_iter: jax.Array, *, n_blocks: int, scatter: bool) -> jax.Array:
    """Iterations of k-means as one writes them down: distances by a product, sums by another one or by a scatter."""

    def block(centers: jax.Array, X: jax.Array) -> tuple[jax.Array, jax.Array]:
        labels = jnp.argmin(jnp.sum(centers**2, 1) - 2 * jnp.matmul(X, centers.T, precision="highest"), 1)
        if scatter:
            add = partial(jax.ops.segment_sum, segment_ids=labels, num_segments=len(centers))
            return add(X), add(jnp.ones_like(X[:, 0]))
        chosen = jax.nn.one_hot(labels, len(centers), dtype=X.dtype)
        return jnp.matmul(chosen.T, X, precision="highest"), jnp.sum(chosen, 0)

    def one(_: jax.Array, centers: jax.Array) -> jax.Array:
        sums, counts = jax.lax.map(partial(block, centers), X.reshape(n_blocks, -1, X.shape[1]))
        sums, counts = sums.sum(0), counts.sum(0)
        return jnp.where(counts[:, None] > 0, sums / jnp.maximum(counts, 1)[:, None], centers)

    return jax.lax.fori_loop(0, n_iter, one, centers)


@jax.jit
def read(points: fca.GroupedPoints) -> jax.Array:
    """What takes one reading of the points: their sum."""
    return jnp.sum(points.features) + jnp.sum(points.groups) + jnp.sum(points.weights)


@jax.jit
def scanned(points: fca.GroupedPoints, centers: jax.Array, prices: jax.Array) -> Any:
    return squared_distances(points, centers).scan(prices)


def one_pass(session: Session, n: int, d: int, n_clusters: int) -> Iterator[Row]:
    """A pass of each kind at random prices, beside one reading of the points."""
    X, groups = blobs(jax.random.key(0), n=n, d=d, n_clusters=n_clusters)
    prices, size = 0.5 * jax.random.normal(jax.random.key(1), (2, n_clusters)), f"n={n:,}, d={d}, K={n_clusters}"
    once = 0.0
    for fused in (False, True):
        points = fca.prepare(X, groups, n_groups=2, fused=fused)
        n_bytes = sum(leaf.nbytes for leaf in (points.features, points.groups, points.weights))
        if not fused:
            _, row = timed(built(read, points), points)
            once = row["seconds"]["median"]
            yield {"what": f"one reading, {size}", **row, **by_memory(n_bytes, row)}
        arguments = points, X[:n_clusters] - points.mean, prices
        found, row = timed(built(scanned, *arguments), *arguments)
        yield {
            "what": f"pass{', fused' if fused else ''}, {size}", **row, **by_memory(n_bytes, row),
            "cost": float(found.cost), "times_one_reading": row["seconds"]["median"] / once,
            "temporary_to_points": row["temporary_bytes"] / n_bytes,
        }  # fmt: skip
        del points, arguments, found


def iteration(session: Session, n: int, d: int, n_clusters: int, fused: bool = False) -> Iterator[Row]:
    """Lloyd iterations, and an iteration of FCA from the warm prices of the iterations before, on the same points."""
    X, groups = blobs(jax.random.key(0), n=n, d=d, n_clusters=n_clusters)
    none, size, least = jnp.float32(0), f"n={n:,}, d={d}, K={n_clusters}", float("inf")
    iterate, n_blocks = (X, X[:n_clusters], jnp.int32(5)), 10 if n > 10**7 else 1
    shapes = jax.eval_shape(partial(direct.begin, n_groups=2, fused=fused), X, groups, iterate[1])
    programs = compiled(
        product=(lloyd, iterate, {"n_blocks": n_blocks, "scatter": False}),
        scatter=(lloyd, iterate, {"n_blocks": n_blocks, "scatter": True}),
        begin=(direct.begin, (X, groups, iterate[1]), {"n_groups": 2, "fused": fused}),
        iterations=(direct.iterations, (*shapes, none, none, jnp.int32(0), jnp.int32(0)), {}),
        finish=(direct.finish, (*shapes, none), {}),
    )
    for way in ("product", "scatter"):
        start, row = timed(programs[way], *iterate, parts=lambda _: 5)
        least = min(least, row["seconds"]["median"])
        if not fused:
            yield {"what": f"Lloyd iteration, sums by {way}, {size}", **row, **by_memory(X.nbytes, row)}

    points, state = programs["begin"][0](X, groups, start)
    most, nothing, pause = jnp.int32(100), jnp.int32(0), jnp.int32(WARM + MORE)
    ready = programs["iterations"][0](points, state, none, none, most, jnp.int32(WARM))
    before, rest = int(ready.n_iter), (none, none, most, pause)
    later, row = timed(programs["iterations"], points, ready, *rest, parts=lambda now: int(now.n_iter) - before)
    ended, last = timed(programs["iterations"], points, later, none, none, nothing, nothing, most=2)
    found, end = timed(programs["finish"], points, ended, none, most=2)
    yield {
        "what": f"iteration of FCA{', fused' if fused else ''}, {size}", **row, **certificate(found),
        "compile_seconds": sum(programs[name][1] for name in ("begin", "iterations", "finish")),
        "iterations_timed": int(later.n_iter) - before, "passes_in_them": int(later.n_passes) - int(ready.n_passes),
        "finish_seconds": last["seconds"]["median"] + end["seconds"]["median"],
        "times_lloyd": row["seconds"]["median"] / least,
        **by_memory(X.nbytes + groups.nbytes + points.weights.nbytes, row),
    }  # fmt: skip
