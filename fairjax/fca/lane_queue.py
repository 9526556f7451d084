"""Many small data sets on a CPU: threads that each keep their lanes filled from one queue."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax._core.compiling import stage
from fairjax.assignment import vertices
from fairjax.fca import lanes as side_by_side
from fairjax.fca.lanes import Lanes, Sets

_LANES = 32  # per thread
_TOGETHER = 8  # lanes that are emptied and refilled at a time
_OPEN = 64  # points of a lane, plus so many for every tie at a vertex
_OPEN_EACH = 8
_MOST_POINTS, _MOST_TIES = 4096, 40  # beyond these, operations are large enough to run one by one

Arrays = dict[str, npt.NDArray[Any]]


class Turned(NamedTuple):
    """Where the iterations of a data set ended, on the host.

    Attributes
    ----------
    centers : (K, d)
    prices, counts : (M, K)
        For them, the counts up to a factor.
    level : (K,)
        Level of the clusters.
    radius : ()
        Above all margins of open points.
    n_iter : () int32
    converged : () bool
    """

    centers: Any
    prices: Any
    counts: Any
    level: Any
    radius: Any
    n_iter: Any
    converged: Any


def fits_in_lanes(n_points: int, n_groups: int, n_clusters: int) -> bool:
    """Whether lanes pay for data sets of this size; with three groups or more, one by one is as fast."""
    return n_points <= _MOST_POINTS and n_groups == 2 and 0 < n_clusters - 1 <= _MOST_TIES


def open_points(n_points: int, n_groups: int, n_clusters: int) -> int:
    """Number of points of a data set to look at closely."""
    return min(n_points, _OPEN + _OPEN_EACH * (n_groups - 1) * (n_clusters - 1))


def can_be_turned(given: Arrays, n_groups: int) -> npt.NDArray[np.bool_]:
    """(B,) which data sets ask for perfect fairness, have finite values, and weight in every group."""
    members = [np.sum(given["weights"] * (given["groups"] == group), 1) for group in range(n_groups)]
    finite = [np.isfinite(leaf).all(tuple(range(1, leaf.ndim))) for leaf in given.values()]
    return np.all(finite, 0) & np.all(np.asarray(members) > 0, 0) & (given["values"] == 0)


def turned(
    members: npt.NDArray[np.intp],
    given: Arrays,
    tol: float,
    conclude: Callable[[int, Turned | None], Any],
    *,
    n_groups: int,
    max_iter: int,
    n_threads: int,
) -> Iterator[tuple[int, Any]]:
    """Pairs of a member and ``conclude`` of its result, as they are ready; the result is None if the lane got stuck.

    ``given`` holds X (B, n, d), groups and weights (B, n), centers (B, K, d) and the values (B,) of the control.
    """
    waiting = iter(members.tolist())
    lock, ready = threading.Lock(), queue.SimpleQueue[tuple[int, Any]]()
    stopped, in_vain = threading.Event(), threading.Event()
    n_ended = n_stuck = 0

    def take() -> int | None:
        with lock:
            return None if stopped.is_set() else next(waiting, None)

    def work() -> None:
        nonlocal n_ended, n_stuck
        in_lanes = _kept_filled(
            lambda: None if in_vain.is_set() else take(), given, tol, n_groups=n_groups, max_iter=max_iter
        )
        for member, result in in_lanes:
            if stopped.is_set():
                return
            with lock:
                n_ended, n_stuck = n_ended + 1, n_stuck + (result is None)
                if n_stuck >= max(_LANES, n_ended / 2):
                    in_vain.set()
            ready.put((member, conclude(member, result)))
        # data sets that lanes do not get through
        while (member_left := take()) is not None:
            ready.put((member_left, conclude(member_left, None)))

    n_threads = max(1, min(n_threads, len(members) // _LANES))
    pool = ThreadPoolExecutor(n_threads)
    futures = [pool.submit(work) for _ in range(n_threads)]
    for future in futures:
        future.add_done_callback(lambda future: ready.put((-1, future)))
    try:
        working = n_threads
        while working:
            member, result = ready.get()
            if member >= 0:
                yield member, result
            else:
                working -= 1
                result.result()
    finally:
        stopped.set()
        pool.shutdown()


def _kept_filled(
    take: Callable[[], int | None], given: Arrays, tol: float, *, n_groups: int, max_iter: int
) -> Iterator[tuple[int, Turned | None]]:
    """Lanes filled by ``take`` and emptied, until nothing is left to take."""
    dtype = given["X"].dtype
    n_points, n_clusters = given["X"].shape[1], given["centers"].shape[1]
    n_open = open_points(n_points, n_groups, n_clusters)
    of_lane: list[int | None] = [None] * _LANES
    state: tuple[Sets, Lanes] | None = None
    fresh = np.ones(_LANES, bool)
    while True:
        for lane in np.flatnonzero(fresh):
            of_lane[lane] = take()
        busy = np.array([member is not None for member in of_lane])
        if not busy.any():
            return
        some = next(member for member in of_lane if member is not None)
        taken = [some if member is None else member for member in of_lane]
        filling = _by_group({name: leaf[taken] for name, leaf in given.items()})
        # an idle lane counts as ended
        until = np.sum(~busy) + min(_TOGETHER, np.sum(busy))
        with jax.enable_x64(True):
            begun = _begun(filling, ~busy, n_groups=n_groups)
            state = begun if state is None else _refilled(fresh, begun, state)
            state = _advanced(
                state, dtype.type(tol), np.int32(max_iter), np.int32(until), n_open=n_open
            )  # fmt: skip
            read = jax.tree.map(np.asarray, _read(state))
        found, done, stuck = read
        fresh = ~busy
        for lane in np.flatnonzero(busy & (done | stuck)):
            member = of_lane[lane]
            assert member is not None
            fresh[lane] = True
            yield member, None if stuck[lane] else Turned(*(leaf[lane] for leaf in found))


def _by_group(given: Arrays) -> Arrays:
    """Data sets with their points sorted by group, so that samples contain even parts of each."""
    order = np.argsort(given["groups"].astype(np.int16), 1, kind="stable")
    sorted_ = {name: np.take_along_axis(given[name], order, 1) for name in ("groups", "weights")}
    X = np.take_along_axis(given["X"], order[:, :, None], 1)
    return {"X": X, "centers": given["centers"], **sorted_}


@partial(stage, static_argnames="n_groups")
def _begun(given: dict[str, Any], idle: Any, *, n_groups: int) -> tuple[Sets, Lanes]:
    sets = side_by_side.prepare(given["X"], given["groups"], given["weights"], n_groups=n_groups)
    lanes = side_by_side.begin(sets, given["centers"])
    return sets, lanes._replace(done=idle)


_refilled: Callable[..., tuple[Sets, Lanes]] = stage(side_by_side.replace)


@partial(stage, static_argnames="n_open")
def _advanced(state: tuple[Sets, Lanes], tol: Any, max_iter: Any, until: Any, *, n_open: int) -> tuple[Sets, Lanes]:
    sets, lanes = state
    return sets, side_by_side.advance(sets, lanes, tol, max_iter, until, n_open=n_open)


@stage
def _read(state: tuple[Sets, Lanes]) -> tuple[Turned, Array, Array]:
    """Every lane's result, in the dtypes of the data, and which lanes are done and which are stuck."""
    sets, lanes = state
    dtype = sets.weights.dtype
    prices = vertices.table(lanes.basis.prices, sets.masses[:-1] / sets.masses[-1])
    found = Turned(
        lanes.centers + sets.shifts[:, None],
        jnp.moveaxis(prices, 2, 0).astype(dtype),
        jnp.moveaxis(lanes.counts, 2, 0).astype(dtype),
        lanes.level.T.astype(dtype),
        lanes.radius,
        lanes.n_iter,
        lanes.converged,
    )
    return found, lanes.done, lanes.stuck
