"""Beyond restarts: improving a good solution by moving single centres, the most promising first.

A restart throws away what was found, although most of a good solution is right. What is wrong is often that one region
has a cluster too many and another one too few, and iterations cannot carry a centre between them. A *swap* does: merge
two clusters, split a third, and iterate from there, which takes few iterations since most centres are near their end.
The union of fair clusters is fair, and so are the halves of :mod:`~fairjax.fca.splits`. So, without any solve,

    merging j and k costs at most m_j m_k / (m_j + m_k) · ‖μ_j − μ_k‖²,   splitting c saves at least ``gains[c]``,

usually about four times that, and swaps are tried in the order of the difference. The first one that lowers the cost is
taken. If several in a row fail, the search continues from a fresh start, or from a *cross* of the best solution with
the result of an earlier start: their centres are matched, and each is taken from one of the two at random.
Swaps follow random swap clustering (Fränti, 2018) with the selection of breathing k-means (Fritzke, 2020), crosses
follow HG-means (Gribel & Vidal, 2019); here the clusters are fair.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from jax.sharding import Mesh
from scipy.optimize import linear_sum_assignment

from fairjax._core.compiling import stage
from fairjax.fca.alignment.result import Alignment
from fairjax.fca.direct import FairClustering
from fairjax.fca.points import GroupedPoints
from fairjax.fca.restarts import FitPoints, Outcome, Search, Start
from fairjax.fca.scaled_points import Result
from fairjax.fca.splits import Splits, splits
from fairjax.fca.spreading import OWN, WHOLE, over_rows, spot

_AS_A_RULE = 4.0  # times the guaranteed saving of a split: the usual one
_LEAST = 1e-6  # least relative fall of the cost that counts
_PATIENCE = 4  # failed swaps in a row; from the best solution, half the number of clusters if that is more
_FEW = 64  # so many of the cheapest merges and best splits are combined
_KEPT = 8  # solutions to cross the best one with

Swap = tuple[int, int, int]  # two clusters that are merged, and one that is split
# a start, its number from 0 and the cost to beat -> a result on the device, or None if it was given up
Refit = Callable[[Start, int, float], Result | None]


def search(
    points: FitPoints,
    best: Outcome[Result],
    refit: Refit[Result],
    fresh: Iterator[Start],
    *,
    n_fits: int,
    seed: int,
) -> Outcome[Result]:
    """The cheapest of ``best`` and the ``n_fits`` clusterings searched from it, with a record of the search.

    Parameters
    ----------
    points, best
        The data, and the outcome of restarts, still on the device.
    refit
        A fit from a start.
    fresh
        Starts, without end.
    n_fits
        Budget.
    seed
        Seed of random crosses; what is tried depends only on the seeds and the data.

    Notes
    -----
    A fit takes O(n K d) for each of its iterations; choosing what to try takes O(n K M d + K²).
    """
    best = best._replace(search=Search(0, 0, points.cost_of(np.array([float(best.result.cost)]))))
    for found in itertools.islice(steps(points, best, refit, fresh, seed=seed), n_fits):
        best = found
    return best


def steps(
    points: FitPoints, best: Outcome[Result], refit: Refit[Result], fresh: Iterator[Start], *, seed: int
) -> Iterator[Outcome[Result]]:
    """As :func:`search`, without end: the outcome after every fit."""
    rng = np.random.default_rng(seed)
    patience = max(_PATIENCE, int(np.shape(best.result.centers)[0]) // 2)
    current, moves, failures, others = best.result, _moves(points, best.result), 0, _Others()
    costs, improved = [float(best.result.cost)], 0
    for number in itertools.count():
        swap = next(moves.swaps, None)
        if swap is not None and failures < (patience if current is best.result else _PATIENCE):
            start, bound = Start(moves.start(swap), None), float(current.cost)
        else:
            others = others.with_end(None if current is best.result else np.asarray(current.centers))
            start, bound = others.next_start(rng, np.asarray(best.result.centers), fresh), np.inf
        found = refit(start, number, bound)
        if found is not None and float(found.cost) < bound * (1 - _LEAST):
            current, moves, failures = found, _moves(points, found), 0
            if float(found.cost) < float(best.result.cost):
                best, improved = best._replace(result=found, start=start), improved + 1
        else:
            failures += 1
        costs.append(float(best.result.cost))
        yield best._replace(search=Search(number + 1, improved, points.cost_of(np.array(costs))))


class _Others(NamedTuple):
    """Centres (K, d') of solutions that swaps could not make the best, and the number of dead ends so far."""

    centers: tuple[npt.NDArray[np.floating], ...] = ()
    n_ends: int = 0

    def with_end(self, centers: npt.NDArray[np.floating] | None) -> "_Others":
        kept = self.centers if centers is None else (*self.centers, centers)[-_KEPT:]
        return _Others(kept, self.n_ends + 1)

    def next_start(self, rng: np.random.Generator, best: npt.NDArray[np.floating], fresh: Iterator[Start]) -> Start:
        """Fresh and crossed starts alternately."""
        if self.n_ends % 2 == 1 or not self.centers:
            return next(fresh)
        return Start(jnp.asarray(crossed(rng, best, self.centers[int(rng.integers(len(self.centers)))])), None)


def crossed(
    rng: np.random.Generator, one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Centres (K, d), each from one of two solutions whose nearest centres are matched; O(K³)."""
    matched = other[linear_sum_assignment(_squared_distances(one, other))[1]]
    return np.where(rng.random((len(one), 1)) < 0.5, one, matched)


class Moves(NamedTuple):
    """What to try from one solution.

    Attributes
    ----------
    found : :class:`~fairjax.fca.splits.Splits`
        As numpy.
    origin : (d,)
        To which its centres are relative.
    swaps
        Those left to be tried, the most promising first.
    """

    found: Splits
    origin: npt.NDArray[np.floating]
    swaps: Iterator[Swap]

    def start(self, swap: Swap) -> Array:
        """Centres (K, d) after a swap."""
        kept, freed, split = swap
        centers, masses = self.found.centers.copy(), self.found.masses
        whole = max(masses[kept] + masses[freed], np.finfo(masses.dtype).tiny)
        centers[kept] = (masses[kept] * centers[kept] + masses[freed] * centers[freed]) / whole
        offset = self.found.offsets[split]
        centers[freed], centers[split] = centers[split] - offset, centers[split] + offset
        return jnp.asarray(centers + self.origin)


def _moves(points: FitPoints, result: FairClustering | Alignment) -> Moves:
    grouped, labels = points.grouped, result.assignment.labels
    if missing := grouped.weights.shape[0] - labels.shape[0]:
        labels = jnp.pad(labels, (0, missing))
    found = jax.tree.map(np.asarray, _splits(grouped, result.centers, labels, mesh=points.mesh))
    return Moves(found, np.asarray(grouped.mean), iter(map(tuple, ranked_swaps(found).tolist())))


def ranked_swaps(found: Splits) -> npt.NDArray[np.intp]:
    """Swaps (S, 3) of the cheapest merges and the best splits, the most promising first.

    Examples
    --------
    Two clusters side by side and a wide one:

    >>> centers, offsets = np.array([[0.0], [1.0], [9.0]]), np.array([[0.1], [0.1], [2.0]])
    >>> masses = np.array([0.2, 0.2, 0.6])
    >>> ranked_swaps(Splits(centers, offsets, masses * offsets[:, 0] ** 2, masses)).tolist()[0]
    [0, 1, 2]
    """
    masses = found.masses[:, None] + found.masses
    merging = np.multiply.outer(found.masses, found.masses) / np.where(masses > 0, masses, 1)
    merging *= _squared_distances(*2 * (np.asarray(found.centers),))
    kept, freed = np.triu_indices(len(merging), 1)
    cheap = np.argsort(merging[kept, freed], kind="stable")[:_FEW]
    wide = np.argsort(-found.gains, kind="stable")[:_FEW]
    pair, split = (index.ravel() for index in np.meshgrid(cheap, wide, indexing="ij"))
    kept, freed = kept[pair], freed[pair]
    change = merging[kept, freed] - _AS_A_RULE * found.gains[split]
    order = np.argsort(change, kind="stable")
    possible = (split != kept) & (split != freed) & (found.gains[split] > 0)
    return np.stack([kept, freed, split], 1)[order[possible[order]]]


def _squared_distances(A: npt.NDArray[np.floating], B: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return ((A[:, None] - B) ** 2).sum(-1)


@partial(stage, static_argnames="mesh")
def _splits(points: GroupedPoints, centers: Array, labels: Array, *, mesh: Mesh | None) -> Splits:
    def split(points: GroupedPoints, centers: Array, labels: Array) -> Splits:
        return splits(points, centers - points.mean, labels)

    return over_rows(split, mesh, None, (spot(GroupedPoints), WHOLE, OWN))(points, centers, labels)
