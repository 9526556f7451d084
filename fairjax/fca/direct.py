"""FCA by the direct route: fair k-means that alternates exact fair assignment and centre update.

Each iteration solves the fair assignment for the current centres through its dual (K prices per group, starting from
the previous iteration's) and moves every centre to the mean of what was assigned to it, including fractions of the
points near a boundary. Both lower the cost

    (1/n) Σ_i Σ_k A_ik ‖x_i − μ_k‖²,

so it never rises by more than an assignment's tolerated gap, and the iterations end when the centres no longer move.
This is FCA (Kim et al., ICML 2025) with transport weight π0π1, where alignment is a flow through the K clusters and
needs neither a plan of n0 × n1 entries nor a partition.

``init``, ``step`` and ``run`` are pure. A run ends with an assignment to the full tolerance for the cheapest centres,
inside the loop so that the solver is compiled once; ``finish`` turns it into labels with a certificate.
Everything works under ``jit``, and under ``vmap`` over starting centres and over the traced value of the control.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax._core.checks import check_count
from fairjax._core.status import SOLVED, UNSOLVED
from fairjax._core.varying import varying_as
from fairjax.assignment import screening
from fairjax.assignment.attributes import AnyControl
from fairjax.assignment.screening import Assignment
from fairjax.assignment.solution import Solution
from fairjax.assignment.terms import Prices, Tolerances, cold_for, default_tolerances
from fairjax.fca.points import GroupedPoints, labelled_cost, squared_distances
from fairjax.kmeans.points import as_centers

_ALL_OPEN = 4096  # up to this many points screening does not pay
_LEAST_OPEN = 1024
_OPEN_PART = 256  # one open point per so many points
_OPEN_EACH = 32  # for every group in every cluster
_MOST_OPEN = 16_384  # at most: a sample says where to look
_NOISE = 0.02  # of the tolerated gap: a smaller fall of the cost is noise
_ROUGH = 0.3  # of the tolerated gap: enough for an assignment that only moves the centres
_HIGHEST = jax.lax.Precision.HIGHEST


class State(NamedTuple):
    """State between two iterations.

    Attributes
    ----------
    centers : (K, d)
        Relative to the mean of the points.
    warm
        Prices of the last assignment.
    drift : (M, K)
        By how much its free variables had changed.
    cost : ()
        Cost of the last assignment, to the centres before.
    shift : ()
        Mean squared movement of the centres, relative to the variance of the points.
    best_centers, best_cost
        Of the cheapest iteration so far.
    history : (max_iter,)
        Cost of each iteration, NaN after the last.
    n_iter : () int32
    n_passes : () int32
        Passes over all points in these iterations.
    converged : () bool
    assignment
        The last one.
    ended : () bool
        Whether it is the final one, to the cheapest centres and full tolerance.
    trial : () int32
        Which of :func:`~fairjax.assignment.terms.trials` solves problems in which all points are open.
    present : (K,) bool
        The centres that exist; None if all do.
    """

    centers: Array
    warm: Prices
    drift: Array
    cost: Array
    shift: Array
    best_centers: Array
    best_cost: Array
    history: Array
    n_iter: Array
    n_passes: Array
    converged: Array
    assignment: Assignment
    ended: Array
    trial: Array
    present: Array | None = None


class FairClustering(NamedTuple):
    """Result of a run.

    Attributes
    ----------
    centers : (K, d)
        In the units of the points.
    assignment : :class:`~fairjax.assignment.Solution`
        For them.
    cost : ()
        Mean squared distance of the hard labels.
    n_iter, n_passes : ()
    converged : () bool
    history : (max_iter,)
        Cost of each iteration.
    """

    centers: Array
    assignment: Solution
    cost: Array
    n_iter: Array
    n_passes: Array
    converged: Array
    history: Array


def open_points(n_points: int, n_cells: int = 1) -> int:
    """How many of so many points to look at closely: enough to cover the moves of the boundaries in an iteration.

    ``n_cells`` is the number of groups times that of clusters.

    Examples
    --------
    >>> open_points(5_000), open_points(1_000_000)
    (1024, 3906)
    """
    if n_points <= _ALL_OPEN:
        return n_points
    return min(max(_LEAST_OPEN, n_points // _OPEN_PART, _OPEN_EACH * n_cells), _MOST_OPEN, n_points)


def init(
    points: GroupedPoints,
    centers: ArrayLike,
    present: ArrayLike | None = None,
    *,
    max_iter: int = 100,
    n_open: int | None = None,
    control: AnyControl | None = None,
) -> State:
    """The state before the first iteration; ``centers`` (K, d) in the units of the points. O(K d + n).

    ``present`` (K,) bool leaves some of the centres out, so that one program, or one ``vmap``, serves several numbers
    of clusters: nothing is assigned to absent centres, and their results are meaningless.

    ``n_open`` is the number of points whose assignment is looked at closely (static; by default
    :func:`open_points`, and at least four for every group in every cluster). For several attributes pass ``control``,
    since the prices then belong to their groups.
    """
    check_count("max_iter", max_iter)
    dtype = points.features.dtype
    centers = as_centers(centers, points.mean[None]) - points.mean
    present = None if present is None else jnp.asarray(present, bool)
    n_points, n_clusters = points.n_points, centers.shape[0]
    n_cells = points.masses.shape[0] * n_clusters
    n_open = open_points(n_points, n_cells) if n_open is None else n_open
    n_open = min(n_points, max(n_open, screening.LEAST_PLACES * n_cells))
    infinite = jnp.asarray(jnp.inf, dtype)
    none = jnp.zeros((), jnp.int32)
    warm = cold_for(control, points.masses.shape[0], n_clusters, dtype)
    return State(
        centers,
        warm,
        jnp.zeros_like(warm.y),
        infinite,
        infinite,
        centers,
        infinite,
        jnp.full((max_iter,), jnp.nan, dtype),
        none,
        none,
        jnp.array(False),
        screening.nothing(squared_distances(points, centers, present), warm, n_open),
        jnp.array(False),
        none,
        present,
    )


def step(
    points: GroupedPoints,
    control: AnyControl,
    state: State,
    *,
    last: Array | bool = False,
    tol: Array | float = 1e-4,
    tolerances: Tolerances | None = None,
) -> State:
    """One iteration: fair assignment, then centre update.

    The ``last`` one (may be traced) assigns the points to the cheapest centres so far, to the full tolerance, and
    leaves the centres where they are. The others may use an estimate if few of many points move: the cost is then
    right to about the tolerated gap. Movement of the centres below ``tol``, relative to the spread of the points,
    counts as none. O(n K d) per pass over the points, of which most iterations need one or two, and O(K) per open
    point and step of the solver.
    """
    tolerances = default_tolerances(points.features.dtype) if tolerances is None else tolerances
    cheapest = jnp.where(state.converged & (state.cost <= state.best_cost), state.centers, state.best_centers)
    centers = jnp.where(last, cheapest, state.centers)
    # to move the centres, an interior assignment within the promised gap is enough
    wanted = tolerances._replace(
        inner=jnp.where(last, tolerances.inner, _ROUGH * tolerances.gap),
        residual=jnp.where(last, tolerances.residual, tolerances.gap),
    )
    # expect prices to keep moving as they did, since the centres do
    foreseen = state.warm._replace(y=state.warm.y + jnp.where(last, 0, state.drift))
    found = screening.assign(
        squared_distances(points, centers, state.present), control, foreseen,
        tolerances=wanted, n_open=state.assignment.rows.shape[0], thorough=last, trial=state.trial,
    )  # fmt: skip
    moved = _moved(points, state, foreseen, found, tol, tolerances)
    kept = state._replace(best_centers=centers)
    state = jax.tree.map(lambda kept, moved: kept if kept is moved else jnp.where(last, kept, moved), kept, moved)
    return state._replace(assignment=found, ended=jnp.asarray(last))


def _moved(
    points: GroupedPoints,
    state: State,
    foreseen: Prices,
    found: Assignment,
    tol: Array | float,
    tolerances: Tolerances,
) -> State:
    """``state`` with the centres moved to the means of what was assigned to them."""
    dtype = points.features.dtype
    tiny = jnp.finfo(dtype).tiny
    near = found.points
    soft = found.optimum.fractions * near.weights[:, None]
    counts = jnp.sum(near.placed, 0) + jnp.sum(soft, 0)
    assert found.extra is not None
    assert found.of_rows is not None
    before = jax.nn.one_hot(found.placed_in, soft.shape[1], dtype=dtype) * near.weights[:, None]
    sums = found.extra + jnp.matmul((soft - before).T, found.of_rows, precision=_HIGHEST)
    cost = near.offset + jnp.sum(soft * near.costs)

    # a cluster without points keeps its centre
    present = counts > jnp.finfo(dtype).eps
    means = sums / jnp.where(present, counts, 1)[:, None]
    centers = jnp.where(present[:, None], means, state.centers)
    # the cost falls by at least this much, in the units of the cost
    gain = jnp.sum(counts * jnp.sum(jnp.square(centers - state.centers), -1))
    shift = gain / jnp.maximum(points.variance, tiny)
    better = cost < state.best_cost
    return state._replace(
        centers=centers,
        warm=_followed(foreseen, found.optimum.prices),
        drift=jnp.where(jnp.isfinite(state.warm.reach), found.optimum.prices.y - state.warm.y, 0),
        cost=cost,
        shift=shift,
        best_centers=jnp.where(better, state.centers, state.best_centers),
        best_cost=jnp.minimum(cost, state.best_cost),
        history=state.history.at[state.n_iter].set(cost),
        n_iter=state.n_iter + 1,
        n_passes=state.n_passes + found.n_passes,
        converged=at_rest(gain, cost, state.best_cost, points.variance, tol, tolerances.gap),
    )


def at_rest(gain: Array, cost: Array, best_cost: Array, variance: Array, tol: Array | float, gap: Array) -> Array:
    """Whether to stop: the centres have settled, as ``gain`` shows, or the cost has risen.

    ``gap`` is an assignment's tolerated error, relative to its cost; movement below a part of that is noise.
    """
    settled = (gain <= jnp.square(tol) * variance) | (gain <= _NOISE * gap * cost)
    return settled | (cost > best_cost * (1 + 2 * gap))


def _followed(foreseen: Prices, found: Prices) -> Prices:
    """The prices found, with the error of the prediction as the expected error of the next one."""
    missed = found.y - foreseen.y
    missed = jnp.max(jnp.max(missed, 1) - jnp.min(missed, 1))
    return found._replace(reach=missed)


def run(
    points: GroupedPoints,
    control: AnyControl,
    state: State,
    *,
    until: Array | int | None = None,
    pause: Array | int | None = None,
    tol: Array | float = 1e-4,
    tolerances: Tolerances | None = None,
) -> State:
    """Iterate until the centres settle, the cost stops falling or ``until`` iterations are done (default: no limit).

    A run ends with the assignment that :func:`finish` certifies. If ``pause`` iterations are done first, the state is
    returned as it is, to be continued (to report progress, say; both limits may be traced).

    Examples
    --------
    Two groups of three are spread alike, though one lies mostly on the left and the other on the right:

    >>> import jax, jax.numpy as jnp
    >>> from fairjax import fca
    >>> from fairjax.assignment import control
    >>> @jax.jit
    ... def fit(X, groups, centers, epsilon):
    ...     points = fca.prepare(X, groups, n_groups=2)
    ...     fairness = control(points.masses, epsilon=epsilon)
    ...     state = fca.run(points, fairness, fca.init(points, centers, max_iter=10))
    ...     return fca.finish(points, fairness, state)
    >>> X, groups = jnp.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]), jnp.array([0, 0, 1, 1, 1, 0])
    >>> found = fit(X, groups, jnp.array([[0.0], [12.0]]), 0.0)
    >>> found.assignment.labels.tolist(), round(float(found.cost), 3), bool(found.converged)
    ([0, 0, 0, 0, 1, 1], 10.542, True)
    """
    most = state.history.shape[0]
    until = most if until is None else jnp.minimum(until, most)
    pause = until if pause is None else pause

    def over(state: State) -> Array:
        return state.converged | (state.n_iter >= until)

    return jax.lax.while_loop(
        lambda state: ~state.ended & (over(state) | (state.n_iter < pause)),
        lambda state: step(points, control, state, last=over(state), tol=tol, tolerances=tolerances),
        varying_as(
            state._replace(ended=state.ended & over(state)), points, control, until, tol, but=points.spread.axes
        ),
    )


def tried_again(state: State, trial: ArrayLike) -> State:
    """A ``state`` in which :func:`run` has ended, to be run on: it assigns the points to the same centres once more.

    By another ``trial``, from a cold start; for problems in which all points are open, see :class:`State`.
    """
    again = jnp.zeros_like(state.ended)
    return state._replace(
        centers=state.best_centers,
        warm=state.warm._replace(reach=jnp.full_like(state.warm.reach, jnp.inf)),
        converged=~again,
        ended=again,
        trial=jnp.asarray(trial, jnp.int32),
    )


def finish(
    points: GroupedPoints, control: AnyControl, state: State, *, tolerances: Tolerances | None = None
) -> FairClustering:
    """Labels and certificate of a ``state`` in which :func:`run` has ended; for any other state the status is 1.

    O(n d), and O(m K²) for each of the m open points that has to move.
    """
    tolerances = default_tolerances(points.features.dtype) if tolerances is None else tolerances
    best = screening.conclude(state.assignment, control, tolerances=tolerances, trial=state.trial, spread=points.spread)
    unsolved = ~state.ended & (best.status == SOLVED)
    best = best._replace(status=jnp.where(unsolved, UNSOLVED, best.status).astype(jnp.int32))
    return FairClustering(
        state.best_centers + points.mean,
        best,
        labelled_cost(points, state.best_centers, best.labels),
        state.n_iter,
        state.n_passes + best.n_passes,
        state.converged,
        state.history,
    )
