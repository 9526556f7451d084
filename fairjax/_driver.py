"""Driving the direct route from the host: data laid out once, compiled stages, restarts, turns in short stretches.

Each stage is one compiled program. The control's value, the tolerance and the number of turns are traced, small data
are padded to a few sizes with points of weight 0 and features of value 0, and the length of the history is one of a
few: most fits in a session find their programs compiled. Turns run in stretches of a fraction of a second, between
which progress is told and Ctrl-C is heard.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax import _progress, fca, kmeans
from fairjax._compiling import stage
from fairjax.assignment.controls import Control
from fairjax.assignment.fair import control as fairness_control
from fairjax.errors import InputError
from fairjax.fca import Alignment, FairClustering, GroupedPoints, State
from fairjax.fca.direct import open_points
from fairjax.kmeans import KMeansResult

_LARGEST = 1e150  # the square of a larger value cannot be told
_FEW = 4096  # points up to which sizes are padded to powers of two
_MANY = 2**20  # points from which on passes take longer than compiling, and nothing is padded
_OPEN_BYTES = 5e8  # largest table of open points
_STRETCH = 0.25  # seconds
_TURNS = 128  # length of the history for max_iter up to it


Result = TypeVar("Result", FairClustering, Alignment)


@dataclass(frozen=True)
class Fairness:
    """One control and its value: ``gap`` with epsilon, or ``balance`` with the floor."""

    kind: str
    value: float


@dataclass(frozen=True)
class Problem:
    """Points on the device, centred and scaled by a power of two so that no unit is too large or too small.

    Attributes
    ----------
    X : (n', d') padded points. weights : (n',) 0 for padding. points : the same, laid out for passes.
    groups : (n,) on the host. n_points, n_features : before padding. shift : (d,), scale : unit of X on the device.
    """

    X: Array
    weights: Array
    points: GroupedPoints
    groups: npt.NDArray[np.int32]
    n_points: int
    n_features: int
    shift: npt.NDArray[Any]
    scale: float

    @property
    def n_groups(self) -> int:
        """Number of groups M."""
        return int(self.points.masses.shape[0])

    def to_device(self, centers: npt.NDArray[Any]) -> Array:
        """Centres (K, d) in the data's units as (K, d') in those of the device."""
        inside = (centers - self.shift) / self.scale
        width = self.X.shape[1] - self.n_features
        return jnp.asarray(np.pad(inside, ((0, 0), (0, width))), self.X.dtype)

    def centers_of(self, centers: Array) -> npt.NDArray[Any]:
        """Centres (K, d') on the device as (K, d) in the data's units."""
        # in double precision, for float32 may not hold the unit
        return np.asarray(centers, np.float64)[:, : self.n_features] * self.scale + self.shift


class Start(NamedTuple):
    """Starting centres on the device, and the k-means result that they are, if any."""

    centers: Array
    unfair: KMeansResult | None


class Outcome(NamedTuple, Generic[Result]):
    """The cheapest of all restarts, on the host and in the data's units; ``start`` is what it grew from."""

    result: Result
    start: Start
    restart: int


def lay_out(
    X: npt.NDArray[Any],
    groups: npt.NDArray[np.int32],
    weights: npt.NDArray[Any] | None = None,
    *,
    n_groups: int,
) -> Problem:
    """Bring points X (n, d), group ids (n,) and weights (n,) or None to the device; one transfer."""
    dtype = np.dtype(jnp.result_type(float))
    n_points, n_features = X.shape
    rows, columns = _padded(n_points, 64), _padded(n_features, 4) if n_points <= _FEW else n_features
    # Far from the origin float32 has no digits left for distances, so the mean goes before the type changes.
    largest = float(np.abs(X).max(initial=0.0))
    if largest > _LARGEST:
        raise InputError(f"X has values up to {largest:.3g}; expected at most {_LARGEST:.0e}: scale the columns first")
    shift = X.mean(0, dtype=np.float64).astype(X.dtype)
    centred = X - shift
    _, exponent = np.frexp(max(float(np.abs(centred).max(initial=0.0)), np.finfo(np.float64).tiny))
    scale = float(np.ldexp(1.0, int(exponent)))
    inside = np.zeros((rows, columns), dtype)
    np.divide(centred, scale, out=inside[:n_points, :n_features], casting="same_kind")
    mass = np.zeros(rows, dtype)
    mass[:n_points] = 1 if weights is None else weights / weights.max()
    ids = np.zeros(rows, np.int32)
    ids[:n_points] = groups
    device_X, device_mass = jnp.asarray(inside), jnp.asarray(mass)
    points = _lay_out(device_X, jnp.asarray(ids), device_mass, n_groups=n_groups)
    return Problem(device_X, device_mass, points, groups, n_points, n_features, shift.astype(np.float64), scale)


def starts(problem: Problem, init: str | npt.NDArray[Any], n_clusters: int, n_init: int, seed: int) -> Iterator[Start]:
    """Yield the start of each restart, from a key of its own: restart i is the same whatever ``n_init``."""
    if not isinstance(init, str):
        yield Start(problem.to_device(init), None)
        return
    key = jax.random.key(seed)
    for restart in range(n_init):
        own = jax.random.fold_in(key, restart)
        if init == "random":
            yield Start(kmeans.init_random(own, problem.X, n_clusters, problem.weights), None)
        elif init == "aligned" and (centers := _aligned(problem, own, n_clusters)) is not None:
            yield Start(centers, None)
        else:
            found = _k_means(own, problem.X, problem.weights, n_clusters=n_clusters)
            yield Start(found.centers, found)


def k_means(problem: Problem, centers: npt.NDArray[Any]) -> KMeansResult:
    """Plain k-means from ``centers`` (K, d) in the data's units, for comparison."""
    return _lloyd(problem.X, problem.to_device(centers), problem.weights)


def compared(problem: Problem, unfair: KMeansResult) -> tuple[float, npt.NDArray[Any]]:
    """Cost in the data's units and labels (n,) of plain k-means."""
    return float(unfair.cost) * problem.scale**2, np.asarray(unfair.labels)[: problem.n_points]


def _aligned(problem: Problem, key: Array, n_clusters: int) -> Array | None:
    """Centres (K, d') from aligned points; None where there are no groups to align or too few points for K clusters."""
    from fairjax.fca import aligned_starts

    if problem.n_groups < 2:
        return None
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    X, weights = np.asarray(problem.X)[: problem.n_points], np.asarray(problem.weights)[: problem.n_points]
    aligned = aligned_starts.aligned_points(X, problem.groups, weights, n_clusters, rng)
    if len(np.unique(aligned, axis=0)) < n_clusters:
        return None
    return jnp.asarray(aligned_starts.centers(aligned, n_clusters, rng))


def best_of(
    problem: Problem,
    fairness: Fairness,
    *,
    init: str | npt.NDArray[Any],
    n_clusters: int,
    n_init: int,
    max_iter: int,
    tol: float,
    seed: int,
) -> Outcome[FairClustering]:
    """Run the direct route from every start and keep the cheapest result."""
    best: Outcome[FairClustering] | None = None
    n_init = n_init if isinstance(init, str) else 1
    _progress.report("finding a start", 0.0)
    for restart, start in enumerate(starts(problem, init, n_clusters, n_init, seed)):
        span = (restart / n_init, (restart + 1) / n_init)
        result = _solve(problem, start.centers, fairness, max_iter, tol, _few_open(problem, start.centers), span)
        if best is None or float(result.cost) < float(best.result.cost):
            best = Outcome(result, start, restart)
    assert best is not None
    result = _insist(problem, best.start.centers, fairness, max_iter, tol, best.result)
    return best._replace(result=in_units(problem, result, max_iter))


def solve(
    problem: Problem,
    centers: Array,
    fairness: Fairness,
    *,
    max_iter: int,
    tol: float,
    span: tuple[float, float] = (0.0, 1.0),
) -> FairClustering:
    """Take turns from ``centers`` until they settle, then labels and certificate; all in the device's units."""
    result = _solve(problem, centers, fairness, max_iter, tol, _few_open(problem, centers), span)
    return _insist(problem, centers, fairness, max_iter, tol, result)


def _few_open(problem: Problem, centers: Array) -> int:
    """Points that stay open: the nearest to a boundary, as the rule, decide."""
    return open_points(int(problem.points.weights.shape[0]), problem.n_groups * int(centers.shape[0]))


def _insist(
    problem: Problem, centers: Array, fairness: Fairness, max_iter: int, tol: float, result: FairClustering
) -> FairClustering:
    """Look at all points where more of them tie at a boundary than may stay open, as with masses of duplicates."""
    n_padded = int(problem.points.weights.shape[0])
    width = problem.n_groups * centers.shape[0] * problem.X.dtype.itemsize
    solved = int(result.assignment.status) != 1
    if solved or _few_open(problem, centers) >= n_padded or n_padded * width > _OPEN_BYTES:
        return result
    again = _solve(problem, centers, fairness, max_iter, tol, n_padded, (1.0, 1.0))
    return again if int(again.assignment.status) == 0 else min(result, again, key=lambda one: float(one.cost))


def _solve(
    problem: Problem,
    centers: Array,
    fairness: Fairness,
    max_iter: int,
    tol: float,
    n_open: int,
    span: tuple[float, float],
) -> FairClustering:
    dtype = problem.X.dtype
    value, tolerance = jnp.asarray(fairness.value, dtype), jnp.asarray(tol, dtype)
    state = _begin(problem.points, centers, length=history_length(max_iter), n_open=n_open)
    until = jnp.asarray(max_iter, jnp.int32)
    turns, done = 1, 0
    while not bool(state.ended):
        began = time.perf_counter()
        pause = jnp.asarray(done + turns, jnp.int32)
        state = _turns(problem.points, state, value, tolerance, until, pause, kind=fairness.kind)
        done = int(state.n_iter)
        _progress.report("fair clustering", span[0] + (span[1] - span[0]) * done / max_iter)
        if time.perf_counter() - began < _STRETCH:
            turns *= 2
    result = _finish(problem.points, state, value, kind=fairness.kind)
    return jax.block_until_ready(result)


def in_units(problem: Problem, result: Result, max_iter: int) -> Result:
    """Return a result as numpy in the data's units, without padding."""

    def cost(values: Any) -> Any:
        # float32 may not hold the square of the unit
        return np.multiply(values, problem.scale**2, dtype=np.float64)

    result = jax.tree.map(_on_host, result)
    solution = result.assignment
    kept = solution.rows < problem.n_points
    solution = solution._replace(
        labels=solution.labels[: problem.n_points],
        rows=solution.rows[kept],
        fractions=solution.fractions[kept],
        prices=cost(solution.prices),
        primal=cost(solution.primal),
        dual=cost(solution.dual),
    )
    return result._replace(
        centers=_on_host(problem.centers_of(result.centers)),
        assignment=solution,
        cost=cost(result.cost),
        history=cost(result.history[:max_iter]),
        **({"objectives": cost(result.objectives[:max_iter])} if isinstance(result, Alignment) else {}),
    )


def counts(
    labels: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    weights: npt.NDArray[Any] | None,
    shape: tuple[int, int],
) -> npt.NDArray[np.float64]:
    """Weight (K, M) of every group in every cluster, in float64 on the host."""
    cells = labels.astype(np.int64) * shape[1] + groups
    return np.bincount(cells, weights, shape[0] * shape[1]).reshape(shape).astype(np.float64)


def balance(table: npt.NDArray[np.float64]) -> float:
    """Smallest ratio of two groups' weights in a cluster of the table (K, M); clusters without weight are left out."""
    filled = table[table.max(1) > 0]
    return float((filled.min(1) / filled.max(1)).min())


def spread(table: npt.NDArray[np.float64]) -> float:
    """Σ_k |q_sk − q_tk| of the two groups of the table (K, M) that differ most."""
    profiles = (table / table.sum(0)).T
    return float(max((np.abs(profiles - one).sum(1).max() for one in profiles), default=0.0))


def price_curve(
    problem: Problem,
    centers: Array,
    kind: str,
    *,
    loosest: float,
    tightest: float,
    weights: npt.NDArray[Any] | None = None,
    n_values: int = 8,
    max_iter: int = 100,
    tol: float = 1e-4,
) -> list[tuple[float, float, float]]:
    """Control, balance and cost of fair clusterings from ``centers``, from ``loosest`` to ``tightest``.

    The values are traced, so all of them, and the fit before, share one compiled program.
    """
    shape = (int(centers.shape[0]), problem.n_groups)
    points: list[tuple[float, float, float]] = []
    for i, value in enumerate(np.linspace(loosest, tightest, n_values)):
        span = (i / n_values, (i + 1) / n_values)
        result = solve(problem, centers, Fairness(kind, float(value)), max_iter=max_iter, tol=tol, span=span)
        labels = np.asarray(result.assignment.labels)[: problem.n_points]
        table = counts(labels, problem.groups, weights, shape)
        points.append((float(value), balance(table), float(result.cost) * problem.scale**2))
    return points


def _on_host(values: Any) -> Any:
    return np.asarray(values)


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def history_length(max_iter: int) -> int:
    """Length of the history for ``max_iter`` turns: one of a few, so that programs are found compiled."""
    return max(_TURNS, _power_of_two(max_iter))


def _padded(n: int, least: int) -> int:
    """A size for n, at least ``least``: powers of two, then eight sizes per doubling; programs are found compiled."""
    if n <= _FEW:
        return max(least, _power_of_two(n))
    step = _power_of_two(n) // 16
    return n if n > _MANY else -(-n // step) * step


def _control(points: GroupedPoints, kind: str, value: Array) -> Control:
    if kind == "gap":
        return fairness_control(points.masses, epsilon=value)
    return fairness_control(points.masses, min_balance=value)


@partial(stage, static_argnames="n_groups")
def _lay_out(X: Array, groups: Array, weights: Array, *, n_groups: int) -> GroupedPoints:
    return fca.prepare(X, groups, weights, n_groups=n_groups)


@partial(stage, static_argnames="n_clusters")
def _k_means(key: Array, X: Array, weights: Array, *, n_clusters: int) -> KMeansResult:
    return kmeans.fit(key, X, n_clusters, weights)


@stage
def _lloyd(X: Array, centers: Array, weights: Array) -> KMeansResult:
    return kmeans.run(X, centers, weights)


@partial(stage, static_argnames=("length", "n_open"))
def _begin(points: GroupedPoints, centers: Array, *, length: int, n_open: int) -> State:
    return fca.init(points, centers, max_iter=length, n_open=n_open)


@partial(stage, static_argnames="kind")
def _turns(
    points: GroupedPoints, state: State, value: Array, tol: Array, until: Array, pause: Array, *, kind: str
) -> State:
    return fca.run(points, _control(points, kind, value), state, until=until, pause=pause, tol=tol)


@partial(stage, static_argnames="kind")
def _finish(points: GroupedPoints, state: State, value: Array, *, kind: str) -> FairClustering:
    return fca.finish(points, _control(points, kind, value), state)
