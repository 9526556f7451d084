"""Exact and entropic transport against POT, optax and ott-jax.

Adult is looked for where ``FAIRJAX_DATA`` says. ``--quick`` takes parts of the batches. All in float64. Seconds are
medians of three runs after compilation, and of one where a run takes 20 s or more; processor seconds stand beside them,
because they do not grow when the machine has other work.
"""

import statistics
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import ot as pot
from sklearn.cluster import KMeans

from benchmarks import measure
from benchmarks.running import Run
from benchmarks.transport.ott_jax import ERROR, REG
from benchmarks.transport.ott_jax import solve as solve_by_ott
from fairjax import datasets, ot

K, TRANSPORT_WEIGHT = 10, 2.0
NOISE = 0.01  # of the mean cost: how far warm duals are off
REPEATS, LONG = 3, 20.0  # runs, and seconds from which one is enough


# --- problems ---------------------------------------------------------------------------------------------------


def adult(n_blocks: int) -> np.ndarray:
    """FCA's joint costs on blocks of Adult, 1077 x 2179, around the centres of k-means."""
    data = datasets.load_adult(l2_normalize=True)
    X, ids = np.asarray(data.X, float), np.asarray(data.groups)
    centers = KMeans(K, n_init=1, random_state=2025).fit(X).cluster_centers_
    small = int(np.argmin(np.bincount(ids)))
    rng = np.random.default_rng(0)
    x, y = rng.permutation(X[ids == small]), rng.permutation(X[ids != small])
    share = len(x) / len(X)

    def squared(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return np.maximum((p**2).sum(1)[:, None] + (q**2).sum(1) - 2 * p @ q.T, 0)

    blocks = []
    for block in range(n_blocks):
        rows, cols = x[block * 1077 : (block + 1) * 1077], y[block * 2179 : (block + 1) * 2179]
        left, right = share * squared(rows, centers), (1 - share) * squared(cols, centers)
        joint = np.min([left[:, k, None] + right[:, k] for k in range(K)], 0)
        blocks.append(joint + (TRANSPORT_WEIGHT - 1) * share * (1 - share) * squared(rows, cols))
    return np.stack(blocks)


def squares(n_problems: int, n: int) -> np.ndarray:
    """Squared distances between uniform points in the plane."""
    rng = np.random.default_rng(n)
    return ((rng.random((n_problems, n, 1, 2)) - rng.random((n_problems, 1, n, 2))) ** 2).sum(-1)


def problems(quick: bool) -> dict[str, np.ndarray]:
    part = 8 if quick else 1
    return {
        f"{max(1, 10 // part)} x 1077 x 2179, Adult": adult(max(1, 10 // part)),
        f"{64 // part} x 512 x 512": squares(64 // part, 512),
        f"{128 // part} x 256 x 256": squares(128 // part, 256),
        f"{256 // part} x 128 x 128": squares(256 // part, 128),
    }


# --- timing -----------------------------------------------------------------------------------------------------


def timed(run: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """The last result, wall and processor seconds; the first call is not counted."""
    first, runs = measure.seconds(run), [measure.clocked(run)]
    while len(runs) < REPEATS and runs[-1].seconds < LONG:
        runs.append(measure.clocked(run))
    return runs[-1].result, {
        "seconds": measure.spread([one.seconds for one in runs]),
        "cpu_seconds": statistics.median(one.processor_seconds for one in runs),
        "first_call": first,
    }


def certificate(found: ot.OTSolution) -> dict[str, Any]:
    return {
        "mean_cost": float(jnp.mean(found.primal)),
        "greatest_gap": float(jnp.max(found.gap)),
        "greatest_marginal_error": float(jnp.max(found.marginal_error)),
        "statuses": sorted(set(np.asarray(found.status).tolist())),
        "iterations": {"mean": float(jnp.mean(found.n_iter)), "greatest": int(jnp.max(found.n_iter))},
    }


def column_error(plan: jax.Array) -> float:
    """Greatest ℓ1 error of the marginals of plans (B, n, m) by one definition for all solvers: rows are scaled first.

    Solvers stop with one side or neither met; after this half of an iteration all of the error is in the columns.
    """
    n, m = plan.shape[1:]
    columns = jnp.sum(plan / jnp.sum(plan, -1, keepdims=True), 1) / n
    return float(jnp.max(jnp.sum(jnp.abs(columns - 1 / m), -1)))


def unrounded(costs: jax.Array, g: jax.Array, reg: float) -> jax.Array:
    """The plan of column duals g (B, m), its rows scaled to sum 1."""
    return jax.nn.softmax((g[:, None] - costs) / reg, -1)


def emd(costs: np.ndarray) -> float:
    n, m = costs.shape
    return float(pot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), costs, numItermax=10**8))


def threaded(costs: np.ndarray) -> list[float]:
    with ThreadPoolExecutor(measure.machine()["cores"]) as threads:
        return list(threads.map(emd, costs))


def double(section: Callable[[Run], dict[str, Any]]) -> Callable[[Run], dict[str, Any]]:
    """A section that is run in float64."""

    @wraps(section)
    def inner(run: Run) -> dict[str, Any]:
        with jax.enable_x64(True):
            return section(run)

    return inner


# --- sections ---------------------------------------------------------------------------------------------------


@double
def exact(run: Run) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for name, costs in run.each(problems(run.quick).items()):
        row: dict[str, Any] = {}
        on_device = jnp.asarray(costs)
        found, row["exact"] = timed(lambda c=on_device: ot.exact(c))
        row["exact"] |= certificate(found)
        rng = np.random.default_rng(1)
        g = found.g + NOISE * float(jnp.mean(found.primal)) * rng.normal(size=found.g.shape)
        init = (found.f, g)
        found, row["exact, warm"] = timed(lambda c=on_device, init=init: ot.exact(c, init=init))
        row["exact, warm"] |= certificate(found)
        found, row["host"] = timed(lambda c=on_device: ot.host(c))
        row["host"] |= certificate(found)
        found, row["host, warm"] = timed(lambda c=on_device, init=init: ot.host(c, init=init))
        row["host, warm"] |= certificate(found)
        values, row["POT emd, looped"] = timed(lambda c=costs: [emd(one) for one in c])
        row["POT emd, looped"]["mean_cost"] = float(np.mean(values))
        values, row["POT emd, threads"] = timed(lambda c=costs: threaded(c))
        row["POT emd, threads"]["mean_cost"] = float(np.mean(values))
        if "Adult" not in name:
            some = on_device[: max(1, len(costs) // 8)]
            row[f"optax hungarian, vmap, {len(some)} of them"] = hungarian(some)
            found, row[f"exact, {len(some)} of them"] = timed(lambda c=some: ot.exact(c))
        rows[name] = report(name, row)
    return {"dtype": "float64", "noise_of_warm_duals": NOISE, "rows": rows}


def hungarian(costs: jax.Array) -> dict[str, Any]:
    solve = jax.jit(jax.vmap(optax.assignment.hungarian_algorithm))
    (rows, cols), times = timed(lambda: solve(costs))
    value = jnp.mean(jax.vmap(lambda c, i, j: jnp.mean(c[i, j]))(costs, rows, cols))
    return times | {"mean_cost": float(value)}


@double
def sinkhorn(run: Run) -> dict[str, Any]:
    """At ``REG`` times the mean cost, asked for the same ℓ1 error of the marginals (POT: of one marginal, in ℓ2)."""
    rows: dict[str, Any] = {}
    for name, costs in run.each(problems(run.quick).items()):
        some = costs[: max(1, len(costs) // 4)]
        reg = REG * float(some.mean())
        on_device = jnp.asarray(some)
        row: dict[str, Any] = {}
        found, row["sinkhorn"] = timed(lambda c=on_device, r=reg: ot.sinkhorn(c, reg=r, tolerance=ERROR))
        row["sinkhorn"] |= certificate(found)
        row["sinkhorn"]["greatest_column_error"] = column_error(unrounded(on_device, found.g, reg))
        for way, settings in OTT.items():
            row[way] = ott_jax(on_device, reg, **settings)
        n, m = some.shape[1:]
        a, b = np.full((len(some), n), 1 / n), np.full((len(some), m), 1 / m)

        def batch(some: np.ndarray = some, a: np.ndarray = a, b: np.ndarray = b, reg: float = reg) -> Any:
            tol = ERROR / np.sqrt(b.shape[1])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return pot.batch.solve_batch(
                    some, reg, a=a, b=b, max_iter=20_000, tol=tol, method="log_sinkhorn", grad="detach"
                ).plan

        try:
            plan, row["POT ot.batch"] = timed(batch)
        except Exception as problem:
            row["POT ot.batch"] = {"failed": str(problem)[:200]}
        else:
            row["POT ot.batch"]["greatest_column_error"] = column_error(jnp.asarray(plan))
        rows[name] = report(f"{len(some)} of {name}", row)
    return {"dtype": "float64", "reg_over_mean_cost": REG, "marginal_error": ERROR, "rows": rows}


OTT: dict[str, dict[str, Any]] = {
    "ott-jax, vmap": {},
    "ott-jax, vmap, momentum 1.5": {"momentum": 1.5},
    "ott-jax, vmap, Anderson 5": {"anderson": 5},
    "ott-jax, vmap, annealed": {"annealed": True},
    "ott-jax, vmap, annealed, momentum 1.5": {"annealed": True, "momentum": 1.5},
    "ott-jax, vmap, kernel mode, momentum 1.5": {"lse_mode": False, "momentum": 1.5},
}


def ott_jax(costs: jax.Array, reg: float, **settings: Any) -> dict[str, Any]:
    @jax.jit
    @jax.vmap
    def solve(one: jax.Array) -> Any:
        found = solve_by_ott(one, reg, **settings)
        # the plan is part of the work, as it is for the others
        return jnp.sum(found.matrix * one), found.g, found.converged

    try:
        (value, g, converged), row = timed(lambda: solve(costs))
    except Exception as problem:
        return {"failed": str(problem)[:200]}
    error = column_error(unrounded(costs, g, reg))
    if not np.isfinite(error) or not bool(jnp.all(converged)):
        return {"failed": "did not converge", "seconds_spent": row["seconds"]["median"]}
    return row | {"mean_cost": float(jnp.mean(value)), "greatest_column_error": error}


def report(name: str, row: dict[str, Any]) -> dict[str, Any]:
    for way, found in row.items():
        if "failed" in found:
            print(f"{name:28s} {way:32s} {found['failed']}", flush=True)
            continue
        print(
            f"{name:28s} {way:32s} {found['seconds']['median']:8.3f} s, processor {found['cpu_seconds']:8.3f} s, "
            f"first {found['first_call']:6.1f} s, gap {found.get('greatest_gap', float('nan')):.1e}, "
            f"columns {found.get('greatest_column_error', float('nan')):.1e}",
            flush=True,
        )
    return row


SECTIONS = {"exact": exact, "sinkhorn": sinkhorn}
