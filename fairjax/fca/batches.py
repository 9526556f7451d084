"""Many fits in one call: starts, levels of fairness and data sets, as benchmarks need them.

All members share one compiled program. On an accelerator they run side by side under ``vmap``. On a CPU every member
would then wait for the slowest in each iteration, so a few threads take one member after another. With many small data
sets, each thread works on several at once and shares their operations (:mod:`~fairjax.fca.lanes`); each result is
certified like that of any other fit, and fitted again if it does not hold.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array, default_backend
from jax.typing import ArrayLike

from fairjax._core import forks, progress
from fairjax._core.checks import check_choice, check_count
from fairjax._core.compiling import stage
from fairjax._core.status import SOLVED, UNSOLVED
from fairjax.assignment import screening
from fairjax.assignment.asking import control
from fairjax.assignment.terms import N_TRIALS, default_tolerances
from fairjax.errors import InputError
from fairjax.fca import lane_queue
from fairjax.fca.direct import finish, init, open_points
from fairjax.fca.filling import fill
from fairjax.fca.lane_queue import Turned
from fairjax.fca.points import labelled_cost, prepare, squared_distances
from fairjax.fca.splits import lost

_MANY = 64  # so many data sets justify compiling the lanes
_FEW_OPEN, _SCREENED = 256, 512  # open points if screening, and the least number of points for it
_AT_ONCE = 2**28  # entries of points and costs under one vmap

Members = dict[str, npt.NDArray[Any]]


class FairBatch(NamedTuple):
    """Results of B fits, on the host; each leaf is that of :class:`~fairjax.fca.FairClustering` with a leading axis.

    Attributes
    ----------
    centers : (B, K, d)
    labels : (B, n) int32
    cost : (B,)
        Mean squared distance of the labels.
    counts, prices : (B, M, K)
        Of the fractional assignment.
    primal, dual, gap : (B,)
        Its cost, a lower bound, the gap.
    status : (B,) int32
    n_iter : (B,) int32
    converged : (B,) bool
    """

    centers: Array
    labels: Array
    cost: Array
    counts: Array
    prices: Array
    primal: Array
    dual: Array
    gap: Array
    status: Array
    n_iter: Array
    converged: Array


class DataSets(NamedTuple):
    """Data sets of like size: X (B, n, d), groups (B, n) int32, weights (B, n), 0 for padding."""

    X: Array
    groups: Array
    weights: Array


def stack(sets: Sequence[tuple[ArrayLike, ArrayLike]]) -> DataSets:
    """Data sets of points (n_b, d) and groups (n_b,) as one array each, the shorter ones padded.

    Examples
    --------
    >>> import numpy as np
    >>> sets = stack([(np.zeros((3, 2)), [0, 1, 0]), (np.ones((5, 2)), [0, 1, 0, 1, 1])])
    >>> sets.X.shape, sets.weights.sum(1).tolist()
    ((2, 5, 2), [3.0, 5.0])
    """
    arrays = [(np.asarray(X), np.asarray(groups)) for X, groups in sets]
    if not arrays:
        raise InputError("no data sets; expected at least one pair of points and groups")
    widths = {X.shape[1:] for X, _ in arrays}
    if len(widths) > 1 or len(next(iter(widths))) != 1:
        raise InputError(f"the data sets' rows have the shapes {sorted(widths)}; expected (n, d) with the same d")
    for b, (X, groups) in enumerate(arrays):
        if not len(X):
            raise InputError(f"data set {b} has no rows; expected at least one")
        if groups.shape != X.shape[:1]:
            raise InputError(
                f"groups of data set {b} have shape {groups.shape}; expected {X.shape[:1]}, one id per row"
            )
    longest = max(len(X) for X, _ in arrays)
    dtype = jnp.result_type(float)
    return DataSets(
        jnp.asarray(np.stack([np.pad(X, ((0, longest - len(X)), (0, 0)), mode="edge") for X, _ in arrays]), dtype),
        jnp.asarray(np.stack([np.pad(groups, (0, longest - len(groups))) for _, groups in arrays]), jnp.int32),
        jnp.asarray([np.arange(longest) < len(X) for X, _ in arrays], dtype),
    )


def fit_batch(
    X: ArrayLike,
    groups: ArrayLike,
    centers: ArrayLike,
    values: ArrayLike = 0.0,
    *,
    n_groups: int,
    weights: ArrayLike | None = None,
    kind: Literal["gap", "balance"] = "gap",
    max_iter: int = 100,
    tol: float = 1e-4,
    n_threads: int | None = None,
) -> FairBatch:
    """Fair clusterings by the direct route, one for each member of a batch.

    Arguments with a leading axis of length B differ between members; the rest are shared.

    Parameters
    ----------
    X : (n, d) or (B, n, d) float
        Points; :func:`stack` combines data sets of different sizes.
    groups : (n,) or (B, n) int
        Group ids 0..M-1.
    centers : (K, d) or (B, K, d)
        Starting centres.
    values : () or (B,)
        Value of the control: ``epsilon`` if ``kind`` is "gap", ``min_balance`` if it is "balance".
    n_groups : int
        Number of groups M.
    weights : (n,) or (B, n), optional
        Weights of the points; 0 for padding.
    kind : {"gap", "balance"}
    max_iter, tol
        As for :class:`fairjax.FCA`.
    n_threads : int, optional
        Threads on a CPU; by default as many as there are cores.

    Returns
    -------
    FairBatch

    Raises
    ------
    InputError
        For invalid shapes and types, ids out of range, negative weights, and if no argument has a leading axis. A
        member with non-finite values, or with a control that cannot be met, has status 3 or 2 instead.

    Notes
    -----
    O(n K d) per iteration of a member. On a CPU, 64 or more data sets of two groups and up to 4,096 points, under
    ``epsilon`` 0, iterate side by side (:mod:`fairjax.fca.lanes`). Their assignments are exact in every iteration;
    those of single fits only to within a part of the tolerated gap. Where that makes a difference, the two end in
    different local optima, each with its own certificate, and neither is better on average. Otherwise a member on a CPU
    does not depend on the rest of the batch; ``vmap`` may round differently. Points are centred in their own precision:
    subtract a mean that is large beside their spread.

    Examples
    --------
    Three levels of fairness from one start:

    >>> import jax, jax.numpy as jnp
    >>> from fairjax.fca import fit_batch
    >>> X, groups = jnp.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]), jnp.array([0, 0, 1, 1, 1, 0])
    >>> found = fit_batch(X, groups, jnp.array([[0.0], [12.0]]), jnp.array([0.0, 1.0, 2.0]), n_groups=2)
    >>> [round(float(cost), 3) for cost in found.cost], found.status.tolist()
    ([10.542, 0.667, 0.667], [0, 0, 0])
    """
    forks.check()
    check_choice("kind", kind, ("gap", "balance"))
    check_count("max_iter", max_iter)
    if n_threads is not None:
        check_count("n_threads", n_threads)
    members, shared = _sorted_out(X=X, groups=groups, weights=weights, centers=centers, values=values)
    ids = (members | shared)["groups"]
    if ids.size and not 0 <= ids.min() <= ids.max() < n_groups:
        raise InputError(f"groups has ids from {ids.min()} to {ids.max()}; expected 0 to {n_groups - 1}")
    n_points, n_clusters = np.shape(X)[-2], np.shape(centers)[-2]
    n_cells = n_groups * n_clusters
    n_open = open_points(n_points, n_cells)
    on_cpu = default_backend() == "cpu"
    if n_points >= _SCREENED and not on_cpu:
        n_open = min(n_open, max(_FEW_OPEN, 8 * n_cells))
    threads = n_threads or len(os.sched_getaffinity(0))

    def fits(members: Members, n_open: int) -> FairBatch:
        static: dict[str, Any] = {"n_groups": n_groups, "kind": kind, "max_iter": max_iter, "n_open": n_open}
        if on_cpu:
            small = kind == "gap" and "trial" not in shared
            small &= lane_queue.fits_in_lanes(n_points, n_groups, n_clusters)
            if small and _length(members) >= _MANY:
                return _in_lanes(partial(_fit, **static), members, shared, tol, threads, n_groups, max_iter)
            return _in_threads(partial(_fit, **static), members, shared, tol, threads)
        return _side_by_side(partial(_fits, **static), members, shared, tol, n_points * (n_clusters + np.shape(X)[-1]))

    found = fits(members, n_open)
    # more points are tied than may stay open, as with many duplicates: open them all; then trial after trial
    for trial in range(n_open >= n_points, N_TRIALS):
        unsolved = np.flatnonzero(found.status == UNSOLVED)
        if not len(unsolved):
            break
        shared["trial"] = np.asarray(trial, np.int32)
        again = fits({name: leaf[unsolved] for name, leaf in members.items()}, n_points)
        better = again.status != UNSOLVED if trial else np.ones(len(unsolved), bool)
        for leaf, mended in zip(found, again, strict=True):
            leaf[unsolved[better]] = mended[better]
    return found


def _sorted_out(**given: Any) -> tuple[Members, Members]:
    """Arguments that differ between members, and those that all members share."""
    dtype, of_one = jnp.result_type(float), {"X": 2, "groups": 1, "weights": 1, "centers": 2, "values": 0}
    members: Members = {}
    shared: Members = {}
    for name, leaf in given.items():
        if leaf is None:
            continue
        array = np.asarray(leaf)
        whole = array.dtype.kind in "biu"
        # NumPy does not count bfloat16 as a floating-point type
        if not whole and (name == "groups" or not jnp.issubdtype(array.dtype, jnp.floating)):
            expected = "whole numbers, ids from 0 on" if name == "groups" else "real numbers"
            raise InputError(f"{name} has dtype {array.dtype}; expected {expected}")
        array = array.astype(np.int32 if name == "groups" else dtype)
        if name == "weights" and not np.all(array >= 0):
            raise InputError("weights are negative or NaN somewhere; expected weights of at least 0")
        if array.ndim not in (of_one[name], of_one[name] + 1):
            raise InputError(
                f"{name} has shape {array.shape}; expected {of_one[name]} axes, or {of_one[name] + 1} where it differs "
                "from member to member"
            )
        (members if array.ndim > of_one[name] else shared)[name] = array
    if not members:
        raise InputError("no argument has a leading axis for the members of the batch; for a single fit there is FCA")
    lengths = {name: len(leaf) for name, leaf in members.items()}
    if 0 in lengths.values():
        raise InputError("the batch has no members; expected at least one")
    if len(set(lengths.values())) > 1:
        raise InputError(f"the leading axes have the lengths {lengths}; expected one length, that of the batch")
    n_points = {
        name: leaf.shape[-2 if name == "X" else -1]
        for name, leaf in (members | shared).items()
        if name in ("X", "groups", "weights")
    }
    if len(set(n_points.values())) > 1:
        raise InputError(f"the numbers of points are {n_points}; expected the same of all")
    return members, shared


def _length(members: Members) -> int:
    return len(next(iter(members.values())))


def _in_lanes(
    one: Callable[..., Any], members: Members, shared: Members, tol: float, n_threads: int, n_groups: int, max_iter: int
) -> FairBatch:
    """Members side by side; those that lanes cannot handle, or whose result does not hold, are fitted by ``one``."""
    n_members, shape = _length(members), np.shape((members | shared)["X"])[-2:]
    dtype = np.dtype(jnp.result_type(float))
    given = {"weights": np.ones(shape[:1], dtype)} | shared
    given = {name: np.broadcast_to(leaf, (n_members, *leaf.shape)) for name, leaf in given.items()} | members
    n_open = lane_queue.open_points(shape[0], n_groups, given["centers"].shape[1])
    several = lane_queue.can_be_turned(given, n_groups)

    def alone(i: int) -> FairBatch:
        own = {name: leaf[i] for name, leaf in members.items()}
        return jax.tree.map(np.asarray, one(shared | own, np.asarray(tol, dtype)))

    def conclude(i: int, turned: Turned | None) -> FairBatch:
        if turned is None:
            return alone(i)
        own = {name: leaf[i] for name, leaf in members.items()}
        found, holds = jax.tree.map(np.asarray, _certified(shared | own, turned, n_groups=n_groups, n_open=n_open))
        return found if holds else alone(i)

    found: dict[int, FairBatch] = {}
    for i, result in lane_queue.turned(
        np.flatnonzero(several), given, tol, conclude, n_groups=n_groups, max_iter=max_iter, n_threads=n_threads
    ):
        found[i] = result
        progress.report("fair clusterings", len(found) / n_members)
    others = np.flatnonzero(~several)
    if len(others):
        rest = _in_threads(one, {name: leaf[others] for name, leaf in members.items()}, shared, tol, n_threads)
        found |= {i: jax.tree.map(lambda leaf, at=at: leaf[at], rest) for at, i in enumerate(others.tolist())}
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(found[i] for i in range(n_members)))


def _in_threads(one: Callable[..., Any], members: Members, shared: Members, tol: float, n_threads: int) -> FairBatch:
    def fit(i: int) -> FairBatch:
        own = {name: leaf[i] for name, leaf in members.items()}
        return jax.tree.map(np.asarray, one(shared | own, np.asarray(tol, jnp.result_type(float))))

    n_members = _length(members)
    found = [fit(0)]  # compiles
    pool = ThreadPoolExecutor(n_threads)
    try:
        for result in pool.map(fit, range(1, n_members)):
            found.append(result)
            progress.report("fair clusterings", len(found) / n_members)
    finally:
        pool.shutdown(cancel_futures=True)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *found)


def _side_by_side(
    several: Callable[..., Any], members: Members, shared: Members, tol: float, n_entries: int
) -> FairBatch:
    """In pieces of equal length that fit into memory, the last one padded."""
    n_members = _length(members)
    n_pieces = -(-n_members * n_entries // _AT_ONCE)
    length = -(-n_members // n_pieces)

    def pieces() -> Iterator[FairBatch]:
        for begin in range(0, n_members, length):
            index = np.minimum(np.arange(begin, begin + length), n_members - 1)
            own = {name: leaf[index] for name, leaf in members.items()}
            yield jax.tree.map(np.asarray, several(own, shared, np.asarray(tol, jnp.result_type(float))))
            progress.report("fair clusterings", min(1.0, (begin + length) / n_members))

    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n_members], *pieces())


def _fit_one(given: dict[str, Array], tol: Array, *, n_groups: int, kind: str, max_iter: int, n_open: int) -> FairBatch:
    points = prepare(given["X"], given["groups"], given.get("weights"), n_groups=n_groups)
    fairness = control(points.masses, **{"epsilon" if kind == "gap" else "min_balance": given["values"]})
    state = init(points, given["centers"], max_iter=max_iter, n_open=n_open)
    if "trial" in given:
        state = state._replace(trial=given["trial"])
    found = finish(points, fairness, fill(points, fairness, state, tol=tol))
    best = found.assignment
    return FairBatch(
        found.centers, best.labels[: given["X"].shape[0]], found.cost, best.counts, best.prices, best.primal, best.dual,
        best.gap, best.status, found.n_iter, found.converged,
    )  # fmt: skip


@partial(stage, static_argnames=("n_groups", "n_open"))
def _certified(given: dict[str, Array], turned: Turned, *, n_groups: int, n_open: int) -> tuple[FairBatch, Array]:
    """The fit that the iterations of a lane led to, and whether it holds: within tolerance, and no cluster lost."""
    points = prepare(given["X"], given["groups"], given.get("weights"), n_groups=n_groups)
    fairness = control(points.masses, epsilon=given["values"])
    tolerances = default_tolerances(points.features.dtype)
    centers = turned.centers - points.mean
    source = squared_distances(points, centers)
    assignment = screening.assigned_at(
        source, fairness, turned.prices, turned.counts, turned.level, turned.radius, n_open=n_open
    )
    best = screening.conclude(assignment, fairness, tolerances=tolerances)
    sizes = jnp.zeros_like(centers[:, 0]).at[best.labels].add(points.weights)
    useless = lost(centers, sizes, points.variance)
    found = FairBatch(
        turned.centers, best.labels[: given["X"].shape[0]], labelled_cost(points, centers, best.labels), best.counts,
        best.prices, best.primal, best.dual, best.gap, best.status, turned.n_iter, turned.converged,
    )  # fmt: skip
    return found, (best.status == SOLVED) & ~jnp.any(useless)


_STATIC = ("n_groups", "kind", "max_iter", "n_open")
_fit = partial(stage, static_argnames=_STATIC)(_fit_one)


@partial(stage, static_argnames=_STATIC)
def _fits(members: dict[str, Array], shared: dict[str, Array], tol: Array, **static: Any) -> FairBatch:
    return jax.vmap(lambda own: _fit_one(shared | own, tol, **static))(members)
