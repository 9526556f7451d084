"""Restarts and levels of fairness in one call, and one by one."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measure
from benchmarks.direct.programs import K, begin, finish, iterations, ordered
from benchmarks.running import Run
from fairjax import datasets, fca, kmeans

_SWEEPS = {
    "one by one": "loop",
    "one call, lax.map": "map",
    "one call, vmap of ten levels": "vmap",
}


def sweep(run: Run) -> dict[str, Any]:
    """The same 200 fits, each way in a process of its own."""
    found: dict[str, Any] = {}
    for name, way in run.each(_SWEEPS.items()):
        found[name] = run.child("sweep", 1500, quick=run.quick, way=way)
        if "failed" in found[name]:
            print(f"{name}: {found[name]['failed']}", flush=True)
            continue
        each = found[name]["seconds"] / found[name]["fits"]
        alone = found["one by one"]
        found[name]["gain"] = None if "failed" in alone else alone["seconds"] / alone["fits"] / each
        print(
            f"{name}: {found[name]['fits']} fits in {found[name]['seconds']:.2f} s (gain {found[name]['gain']:.2f}), "
            f"compile {found[name]['compile_seconds']:.1f} s, peak {found[name]['peak_bytes'] / 2**20:,.0f} MiB, "
            f"greatest gap {found[name]['greatest_gap']:.1e}, mean cost {found[name]['mean_cost']:.6f}",
            flush=True,
        )
    return {"n_clusters": K, "restarts": 20, "levels": 10, "dtype": "float32", "ways": found}


def child_sweep(way: str, quick: bool) -> dict[str, Any]:
    X64, ids = ordered(datasets.load_adult(l2_normalize=True))
    X64, ids = (X64[::32], ids[::32]) if quick else (X64, ids)
    X, groups = jnp.asarray(X64, jnp.float32), jnp.asarray(ids)
    n_restarts, n_levels = (3, 2) if quick else (20, 10)
    keys = jax.random.split(jax.random.key(0), n_restarts)
    starts = jnp.stack([kmeans.fit(key, X, K).centers for key in keys])
    levels = jnp.linspace(0, 0.5, n_levels)
    points, _ = begin(X, groups, starts[0], n_groups=2)

    def solve(points: Any, start: Any, epsilon: Any) -> Any:
        return finish(points, iterations(points, fca.init(points, start), epsilon, 1e-4, 100), epsilon)

    many_starts = jnp.repeat(starts, n_levels, 0)
    many_levels = jnp.tile(levels, n_restarts)

    if way == "vmap":
        # members wait for each other, so a few tell enough
        many_starts, many_levels = many_starts[:n_levels], many_levels[:n_levels]

    def mapped(points: Any, starts: Any, levels: Any) -> Any:
        return jax.lax.map(lambda pair: solve(points, *pair), (starts, levels))

    programs: dict[str, Any] = {
        "loop": solve,
        "map": mapped,
        "vmap": jax.vmap(solve, in_axes=(None, 0, 0)),
    }
    first = (starts[0], levels[0]) if way == "loop" else (many_starts, many_levels)
    program, compile_seconds = measure.compiled(jax.jit(programs[way]), points, *first)
    temporary = int(program.memory_analysis().temp_size_in_bytes)
    if temporary > 0.8 * measure.available_bytes():
        raise SystemExit(f"would need {temporary / 2**30:.1f} GiB, more than this machine has free")
    measure.forget_peak()
    before = measure.resident_bytes()
    began = time.perf_counter()
    if way == "loop":
        results = [program(points, *pair) for pair in zip(many_starts, many_levels, strict=True)]
        result = jax.tree.map(lambda *leaves: np.stack(leaves), *jax.block_until_ready(results))
    else:
        result = jax.block_until_ready(program(points, many_starts, many_levels))
    elapsed = time.perf_counter() - began
    return {
        "seconds": elapsed,
        "compile_seconds": compile_seconds,
        "peak_bytes": measure.peak_bytes() - before,
        "temporary_bytes": temporary,
        "fits": len(many_levels),
        "mean_cost": float(np.mean(result.cost)),
        "greatest_gap": float(np.max(result.assignment.gap)),
        "unsolved": int(np.sum(np.asarray(result.assignment.status) != 0)),
        "iterations": int(np.sum(result.n_iter)),
    }
