"""One run of the alignment route, iteration by iteration, and what came of it; the data and starts of the paper."""

import importlib.util
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from benchmarks import measure
from fairjax import FCA, datasets
from fairjax.fca import alignment, hard_labels
from fairjax.fca.alignment import Parameters, Settings, Solver

K = 10
SIZE = 1024  # of the partition


def load(name: str, quick: bool, every: int = 1) -> tuple[Any, Any]:
    """Points and groups, all of group 0 first: the order in which the published starts were drawn."""
    reader = {"Adult": datasets.load_adult, "Bank": datasets.load_bank, "Census": datasets.load_census}
    if name == "Bank, three groups":
        data = datasets.load_bank(groups="marital", l2_normalize=True)
    else:
        data = reader[name](l2_normalize=True)
    order = np.argsort(data.groups, kind="stable")[:: 16 if quick else every]
    return data.X[order], data.groups[order]


def k_means_start(X: Any, seed: int, n_clusters: int = K) -> Any:
    return KMeans(n_clusters, n_init=1, random_state=seed).fit(X).cluster_centers_


def random_start(X: Any, seed: int) -> Any:
    return X[np.random.default_rng(seed).choice(len(X), K, replace=False)]


def usual_size(n_points: int) -> int:
    """Of the partition, where none is told: the few points of --quick are dealt into several blocks, too."""
    return min(SIZE, n_points // 8)


def exact_solver() -> Solver:
    """POT's network simplex on a CPU where POT is installed, as the estimator takes it."""
    return "host" if jax.default_backend() == "cpu" and importlib.util.find_spec("ot") else "exact"


def settings_for(problem: Any, size: int | None, **options: Any) -> Settings:
    sizes = [len(ids) for ids in problem.members]
    n_blocks = 1 if size is None else max(1, min(sizes) // size)
    chosen = {"solver": exact_solver(), "scheme": "refine" if len(sizes) == 2 else "random"} | options
    if n_blocks == 1:
        chosen["scheme"] = "fixed"
    return Settings(n_blocks=n_blocks, **chosen)


def solve(
    X: Any, groups: Any, start: Any, *, weight: float, iterations: int, size: int | None = 0, seed: int = 0,
    released: float = 0.0, reg: float = 0.01, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """One run in float32, iteration by iteration, and what came of it."""
    problem = alignment.prepare(jnp.asarray(X, jnp.float32), groups)
    settings = settings_for(problem, usual_size(len(X)) if size == 0 else size, **options)
    values = Parameters(weight, reg, released, 1e-4, 0.02 * float(jnp.sqrt(problem.variance)))
    parameters = jax.tree.map(jnp.float32, values)
    key = jax.random.key(seed)
    centers = jnp.asarray(start, jnp.float32)
    state = jax.jit(alignment.init, static_argnames=("settings", "max_iter"))(
        problem, settings, key, centers, max_iter=iterations
    )
    program, compile_seconds = measure.compiled(
        jax.jit(alignment.step, static_argnames="settings"), problem, settings, parameters, key, state
    )
    measure.forget_peak()
    resident, times, cpu_times, solved = measure.resident_bytes(), [], [], []
    while not bool(state.converged) and int(state.n_iter) < iterations:
        state, wall, cpu = measure.clocked(lambda state=state: program(problem, parameters, key, state))
        times.append(wall)
        cpu_times.append(cpu)
        solved.append(round(float(state.solved), 4))
    peak = measure.peak_bytes() - resident
    result = jax.jit(alignment.finish)(problem, state)
    labels = np.asarray(result.assignment.labels)
    argmax = np.asarray(hard_labels(state.best_masses, problem.groups, len(problem.members), "argmax"))
    # as the authors' first code evaluates: to the centres of the aligned points, which shrink where the plan is blurred
    aligned = np.asarray(state.best_centers + problem.mean, np.float64)
    return {
        **scored(X, groups, labels, len(start)),
        "argmax": scored(X, groups, argmax, len(start))
        | {"cost_to_aligned_centers": float(((X - aligned[argmax]) ** 2).sum(1).mean())},
        "objective": float(state.best_objective),
        "gap_to_bound": float(result.assignment.gap),
        "transport_gap": float(state.gap),
        # refined, a block whose points had no room keeps its coupling
        "blocks_solved": float(np.mean(solved)),
        "blocks_solved_by_iteration": solved,
        "status": int(state.worst),
        "iterations": int(state.n_iter),
        "converged": bool(state.converged),
        "settings": {"solver": settings.solver, "n_blocks": settings.n_blocks, "scheme": settings.scheme},
        "seconds": sum(times),
        "seconds_per_iteration": measure.spread(times[1:] or times),
        "cpu_seconds_per_iteration": measure.spread(cpu_times[1:] or cpu_times),
        "compile_seconds": compile_seconds,
        "peak_bytes": peak,
        "objectives": [round(float(value), 7) for value in state.objectives[: int(state.n_iter)]],
    }


def scored(X: Any, groups: Any, labels: Any, n_clusters: int) -> dict[str, float]:
    """Cost to the means of the clusters, and balance, of hard labels."""
    counts = np.bincount(groups * n_clusters + labels, minlength=(groups.max() + 1) * n_clusters).reshape(
        -1, n_clusters
    )
    filled = counts[:, counts.max(0) > 0]
    cost = sum(((X[labels == k] - X[labels == k].mean(0)) ** 2).sum() for k in range(n_clusters) if (labels == k).any())
    shares = counts / counts.sum(1, keepdims=True)
    return {
        "cost": float(cost) / len(X),
        "balance": float((filled.min(0) / filled.max(0)).min()),
        "gap_between_groups": float(np.abs(shares[0] - shares[1:]).sum(1).max()),
    }


def k_means_row(X: Any, groups: Any, centers: Any) -> dict[str, Any]:
    labels = ((X**2).sum(1)[:, None] - 2 * X @ centers.T + (centers**2).sum(1)).argmin(1)
    return dict(scored(X, groups, labels, len(centers)))


def direct(X: Any, groups: Any, start: Any, **control: float) -> dict[str, Any]:
    """The direct route from the same start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = FCA(len(start), init=start, **control)
        began = time.perf_counter()
        model.fit(X.astype(np.float32), sensitive_features=groups)
    found = scored(X, groups, model.labels_, len(start))
    return found | {"iterations": model.n_iter_, "seconds_with_compilation": time.perf_counter() - began}


def told(row: dict[str, Any]) -> dict[str, Any]:
    named = {key: value for key, value in row.items() if not isinstance(value, dict | list)}
    print(", ".join(f"{k} {v:.5g}" if isinstance(v, float) else f"{k} {v}" for k, v in named.items()), flush=True)
    return row
