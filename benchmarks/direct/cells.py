"""One fair assignment with more and more groups and clusters, beside HiGHS on the same linear programme."""

from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from benchmarks import measure
from benchmarks.running import Run
from fairjax.assignment import FairAssignment, fair_assignment


class _Size(NamedTuple):
    groups: int
    clusters: int
    points: int


_SIZES = (_Size(2, 10, 2000), _Size(4, 20, 2000), _Size(8, 20, 2000), _Size(20, 20, 4000), _Size(6, 50, 3000))
_HIGHS = ("highs-ds", "highs-ipm")
_PATIENCE = 300  # seconds that HiGHS has


def _problem(size: _Size) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances from points of a normal law, whose mean differs between groups, to some of them; groups."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, size.groups, size.points)
    X = rng.normal(size=(size.points, 4))
    X[:, 0] += 0.5 * groups
    centers = X[rng.choice(size.points, size.clusters, replace=False)]
    return np.square(X[:, None] - centers).sum(-1), groups


def _by_highs(costs: np.ndarray, groups: np.ndarray, method: str) -> dict[str, Any]:
    """The same as a linear programme: every point once, every group as large a part of each cluster as of the first."""
    n_points, n_clusters = costs.shape
    once = sp.kron(sp.eye(n_points), np.ones((1, n_clusters)))
    parts = [sp.csr_matrix((groups == group) / np.sum(groups == group)) for group in np.unique(groups)]
    alike = sp.vstack([sp.kron(part - parts[0], sp.eye(n_clusters)) for part in parts[1:]])
    wanted = np.r_[np.ones(n_points), np.zeros(alike.shape[0])]
    options = {"time_limit": _PATIENCE}
    solve = measure.clocked(
        lambda: linprog(
            costs.ravel() / n_points, A_eq=sp.vstack([once, alike]).tocsc(), b_eq=wanted, method=method, options=options
        )
    )  # fmt: skip
    done = solve.result.status == 0
    return {"seconds": solve.seconds, "cost": float(solve.result.fun) if done else None, "solved": done}


def cells(run: Run) -> dict[str, Any]:
    """Seconds of an assignment in float32, compilation apart, and of HiGHS by its two methods, with what both reach."""
    rows = []
    for size in run.each(_SIZES[:1] if run.quick else _SIZES):
        costs, groups = _problem(size)

        @jax.jit
        def solve(costs: jax.Array, groups: jax.Array, n_groups: int = size.groups) -> FairAssignment:
            return fair_assignment(costs, groups, n_groups=n_groups)

        given = costs.astype(np.float32), groups.astype(np.int32)
        program, compile_seconds = measure.compiled(solve, *given)
        found = measure.clocked(lambda program=program, given=given: program(*given)).result
        seconds = measure.spread([measure.seconds(lambda: program(*given)) for _ in range(3)])  # noqa: B023
        highs = {method: _by_highs(costs, groups, method) for method in _HIGHS}
        best = min((one for one in highs.values() if one["solved"]), key=lambda one: one["seconds"], default=None)
        row = {
            **size._asdict(),
            "seconds": seconds, "compile_seconds": compile_seconds, "n_iter": int(found.n_iter),
            "cost": float(found.primal), "gap": float(found.gap), "status": int(found.status), "highs": highs,
            "ratio": None if best is None else best["seconds"] / seconds["median"],
            "cost_over_highs": None if best is None else float(found.primal) / best["cost"] - 1,
        }  # fmt: skip
        rows.append(row)
        beside = "; ".join(f"{name} {one['seconds']:.2f} s" for name, one in highs.items())
        print(
            f"{size}: {seconds['median']:.4f} s ({row['n_iter']} steps, gap {row['gap']:.1e}, status {row['status']}), "
            f"compiled in {compile_seconds:.1f} s; {beside}; cost over HiGHS' {row['cost_over_highs']}",
            flush=True,
        )
    return {"dtype": "float32", "control": "epsilon=0", "rows": rows}
