"""Whole fits by the alignment route, from arrays on the host: choice of solver and partition, restarts, iterations."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax._core import progress
from fairjax.fca import alignment
from fairjax.fca.alignment import Alignment, AlignmentState, Parameters, Scheme, Settings, Solver
from fairjax.fca.alignment.center_update import CenterUpdate
from fairjax.fca.alignment.partition import block_count
from fairjax.fca.filling import is_full
from fairjax.fca.restarts import Init, Outcome, Start, best_of, fresh_starts, span_of
from fairjax.fca.scaled_points import ScaledPoints, history_length
from fairjax.fca.search import search
from fairjax.ot.host import available as host_available

# Adam needs several steps to go as far as one k-means step; its step is a fraction of the points' standard deviation
_GRADIENT_STEPS = 20
_LEARNING_RATE = 0.02


@dataclass(frozen=True)
class Route:
    """What the estimator's parameters ask of the alignment route; costs in the data's units."""

    method: Literal["exact", "sinkhorn"]
    center_update: CenterUpdate
    partition_size: int
    reg: float
    transport_weight: float

    def settings(self, sizes: list[int]) -> Settings:
        """Static settings for groups of the given sizes."""
        solver: Solver = "sinkhorn" if self.method == "sinkhorn" else exact_solver()
        n_blocks = block_count(sizes, self.partition_size) if len(sizes) > 1 else 1
        scheme: Scheme = "refine" if len(sizes) == 2 and solver != "sinkhorn" else "random"
        return Settings(
            solver=solver,
            n_blocks=n_blocks,
            scheme=scheme if n_blocks > 1 else "fixed",
            # a new random partition may be worse by chance; the other schemes only descend
            patience=5 if scheme == "random" and n_blocks > 1 else 3,
            update=self.center_update,
            n_center_steps=_GRADIENT_STEPS if self.center_update == "gradient" else 1,
        )


def exact_solver() -> Solver:
    """On a CPU POT's network simplex, if POT is installed: it was faster there (``benchmarks transport``)."""
    return "host" if jax.default_backend() == "cpu" and host_available() else "exact"


def fit(
    points: ScaledPoints,
    route: Route,
    weights: npt.NDArray[Any] | None = None,
    *,
    n_clusters: int,
    init: Init = "aligned",
    n_init: int = 1,
    max_iter: int = 100,
    tol: float = 1e-4,
    seed: int = 0,
    n_search: int = 0,
) -> tuple[Outcome[Alignment], Settings]:
    """Run the alignment route from every start and keep the cheapest result; also returns the settings that were
    chosen.

    Parameters as in :func:`fairjax.fca.fitting.fit`; ``weights`` (n,) are those of the data.
    """
    n_init = n_init if isinstance(init, str) else 1
    problem = alignment.prepare(points.X[: points.n_points], points.groups, points.n_groups, weights)
    settings = route.settings([len(ids) for ids in problem.members])
    alignment.check(problem, settings)
    parameters = _parameters(points, route, problem, tol)

    def once(start: Start, restart: int, span: tuple[float, float]) -> Alignment:
        # the start has already used the key folded with the restart's number
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), restart), 1)
        state = _begin(problem, settings, key, start.centers, length=history_length(max_iter))
        for _ in range(n_clusters + 1):
            while not bool(state.converged) and int(state.n_iter) < max_iter:
                state = _iteration(problem, settings, parameters, key, state)
                done = int(state.n_iter) / max_iter
                progress.report("aligning the groups", span[0] + (span[1] - span[0]) * done)
            result = jax.block_until_ready(_finish(problem, state))
            if int(state.n_iter) == max_iter or is_full(result, problem.weights):
                break
            state, moved = _refill(problem, settings, state)
            if not bool(moved):
                break
        return result

    def refit(start: Start, number: int, _: float) -> Alignment:
        return once(start, n_init + number, span_of(n_init + number, n_init + n_search))

    best = best_of(points, once, init=init, n_clusters=n_clusters, n_init=n_init, seed=seed, n_more=n_search)
    if n_search:
        fresh = fresh_starts(points, init, n_clusters, seed, n_init)
        best = search(points, best, refit, fresh, n_fits=n_search, seed=seed)
    return best._replace(result=points.in_units(best.result, max_iter)), settings


def released(
    points: ScaledPoints,
    route: Route,
    centers: Array,
    key: Array,
    *,
    rule: Literal["dearest", "cheapest"],
    share: float,
    max_iter: int,
    tol: float,
) -> Alignment:
    """One run of FCA-C, which releases a ``share`` of the pairs of two groups, from ``centers`` (K, d'); on the device.

    Partitions are drawn anew in each iteration, as in the authors' code.
    """
    problem = alignment.prepare(points.X[: points.n_points], points.groups, points.n_groups, None)
    settings = route.settings([len(ids) for ids in problem.members])
    scheme: Scheme = "random" if settings.n_blocks > 1 else "fixed"
    settings = replace(settings, rule=rule, scheme=scheme)
    alignment.check(problem, settings)
    parameters = _parameters(points, route, problem, tol)
    parameters = parameters._replace(released=jnp.asarray(share, problem.X.dtype))
    state = _begin(problem, settings, key, centers, length=history_length(max_iter))
    while not bool(state.converged) and int(state.n_iter) < max_iter:
        state = _iteration(problem, settings, parameters, key, state)
    return jax.block_until_ready(_finish(problem, state))


def _parameters(points: ScaledPoints, route: Route, problem: alignment.AlignmentProblem, tol: float) -> Parameters:
    dtype = problem.X.dtype
    return Parameters(
        # beyond these bounds, costs on the device, which are of order 1, no longer change
        transport_weight=jnp.asarray(min(route.transport_weight, 1e12), dtype),
        reg=jnp.asarray(np.clip(route.reg / points.scale / points.scale, 1e-12, 1e12), dtype),
        released=jnp.zeros((), dtype),
        tol=jnp.asarray(tol, dtype),
        learning_rate=_LEARNING_RATE * jnp.sqrt(problem.variance),
    )


@partial(jax.jit, static_argnames=("settings", "length"))
def _begin(
    points: alignment.AlignmentProblem, settings: Settings, key: Array, centers: Array, *, length: int
) -> AlignmentState:
    return alignment.init(points, settings, key, centers, max_iter=length)


@partial(jax.jit, static_argnames="settings")
def _iteration(
    points: alignment.AlignmentProblem, settings: Settings, parameters: Parameters, key: Array, state: AlignmentState
) -> AlignmentState:
    return alignment.step(points, settings, parameters, key, state)


@jax.jit
def _finish(points: alignment.AlignmentProblem, state: AlignmentState) -> Alignment:
    return alignment.finish(points, state)


@partial(jax.jit, static_argnames="settings")
def _refill(
    points: alignment.AlignmentProblem, settings: Settings, state: AlignmentState
) -> tuple[AlignmentState, Array]:
    return alignment.refill(points, settings, state)
