"""Where fits start, and the cheapest of several: what both routes share."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Generic, NamedTuple

import jax
import numpy as np
import numpy.typing as npt
from jax import Array

from fairjax import kmeans
from fairjax._core import progress
from fairjax._core.compiling import stage
from fairjax.fca import host_starts
from fairjax.fca.scaled_points import Result, ScaledPoints
from fairjax.fca.spread_points import SpreadPoints
from fairjax.kmeans import KMeansResult

Init = str | npt.NDArray[Any]
FitPoints = ScaledPoints | SpreadPoints


class Start(NamedTuple):
    """Starting centres on the device, and the k-means result that they come from, if any."""

    centers: Array
    unfair: KMeansResult | None


class Search(NamedTuple):
    """What a search did.

    Attributes
    ----------
    n_fits
        Fits that it took, including those given up.
    n_improvements
        How often the least cost fell.
    costs : (n_fits + 1,)
        Least cost at the start and after each fit, in the data's units.
    """

    n_fits: int
    n_improvements: int
    costs: npt.NDArray[np.float64]


class Outcome(NamedTuple, Generic[Result]):
    """The cheapest result, on the host and in the data's units; ``start`` is the start that led to it.

    ``restart`` is the number of the cheapest restart, from which a search begins; ``search`` records that search.
    """

    result: Result
    start: Start
    restart: int
    search: Search | None = None


def starts(
    given: FitPoints, init: Init, n_clusters: int, n_init: int | None, seed: int, *, first: int = 0
) -> Iterator[Start]:
    """Yield the starts of ``n_init`` restarts, from number ``first`` on; without end if ``n_init`` is None.

    Each has its own key: restart i does not depend on their number. ``init`` is "aligned", "k-means++", "random", or
    an array of centres (K, d) in the data's units, then the only start. Points spread over devices are sampled, and a
    k-means result of the sample says nothing about all of them.
    """
    if not isinstance(init, str):
        yield Start(given.agreed(given.to_device(init)), None)
        return
    points = given.for_starts
    for restart in itertools.count(first) if n_init is None else range(first, first + n_init):
        own = _key(np.int64(seed), np.int32(restart))
        if init == "random":
            yield Start(given.agreed(_random(own, points.X, points.weights, n_clusters=n_clusters)), None)
        elif init == "aligned" and (centers := _aligned(points, own, n_clusters)) is not None:
            yield Start(given.agreed(centers), None)
        else:
            found = _k_means(own, points.X, points.weights, n_clusters=n_clusters)
            yield Start(given.agreed(found.centers), found if points is given else None)


def fresh_starts(points: FitPoints, init: Init, n_clusters: int, seed: int, n_init: int) -> Iterator[Start]:
    """Starts for a search, numbered after those of ``n_init`` restarts; aligned ones if ``init`` is an array."""
    return starts(points, init if isinstance(init, str) else "aligned", n_clusters, None, seed, first=n_init)


def best_of(
    points: FitPoints,
    fit: Callable[[Start, int, tuple[float, float]], Result],
    *,
    init: Init,
    n_clusters: int,
    n_init: int,
    seed: int,
    n_more: int = 0,
) -> Outcome[Result]:
    """The cheapest result of ``fit`` from every start, still on the device, its number, and its span of the bar.

    ``n_more`` fits follow these.
    """
    best: Outcome[Result] | None = None
    progress.report("finding a start", 0.0)
    for restart, start in enumerate(starts(points, init, n_clusters, n_init, seed)):
        result = fit(start, restart, span_of(restart, n_init + n_more))
        if best is None or float(result.cost) < float(best.result.cost):
            best = Outcome(result, start, restart)
    assert best is not None
    return best


def span_of(number: int, n_fits: int) -> tuple[float, float]:
    """The part of the progress bar that fit ``number`` of ``n_fits`` fills."""
    return number / n_fits, (number + 1) / n_fits


def k_means(points: ScaledPoints, centers: npt.NDArray[Any]) -> KMeansResult:
    """Plain k-means from ``centers`` (K, d) in the data's units, for comparison; on the device."""
    return _lloyd(points.X, points.to_device(centers), points.weights)


def cost_and_labels(points: ScaledPoints, unfair: KMeansResult) -> tuple[float, npt.NDArray[Any]]:
    """Cost in the data's units and labels (n,) of plain k-means."""
    return float(points.cost_of(float(unfair.cost))), np.asarray(unfair.labels)[: points.n_points]


def _aligned(points: ScaledPoints, key: Array, n_clusters: int) -> Array | None:
    """Centres (K, d') from aligned points; None if there are no groups to align, or too few points for K clusters."""
    if points.n_groups < 2:
        return None
    rng = np.random.default_rng(np.asarray(key))
    X, weights = np.asarray(points.X)[: points.n_points], np.asarray(points.weights)[: points.n_points]
    aligned = host_starts.aligned_points(X, points.groups, weights, n_clusters, rng)
    if len(np.unique(aligned, axis=0)) < n_clusters:
        return None
    return jax.device_put(host_starts.centers(aligned, n_clusters, rng).astype(points.X.dtype))


@stage
def _key(seed: np.int64, restart: np.int32) -> Array:
    """Key data for one restart."""
    return jax.random.key_data(jax.random.fold_in(jax.random.key(seed), restart))


@partial(stage, static_argnames="n_clusters")
def _random(key: Array, X: Array, weights: Array, *, n_clusters: int) -> Array:
    return kmeans.init_random(jax.random.wrap_key_data(key), X, n_clusters, weights)


@partial(stage, static_argnames="n_clusters")
def _k_means(key: Array, X: Array, weights: Array, *, n_clusters: int) -> KMeansResult:
    return kmeans.fit(jax.random.wrap_key_data(key), X, n_clusters, weights)


@stage
def _lloyd(X: Array, centers: Array, weights: Array) -> KMeansResult:
    return kmeans.run(X, centers, weights)
