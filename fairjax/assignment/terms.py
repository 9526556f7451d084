"""What a solve is given and what it finds: tolerances, trials, where to start, and the optimum of a small problem."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from fairjax._core.precision import Double
from fairjax.assignment import attributes, controls
from fairjax.assignment.attributes import AnyControl, Attributes
from fairjax.assignment.programme import Points, group_sums

FLOOR = 1e-3  # of the scale of the costs: a gap is relative to this where the cost itself is less
NEAR = 1e-3  # of the scale of the costs: the nearest that a start may be
_CAP = 10.0  # times a group's dearest cost, see Trial
N_TRIALS = 7


class Tolerances(NamedTuple):
    """When a solve is good enough.

    Attributes
    ----------
    gap : ()
        Relative duality gap to report as solved.
    inner : ()
        Gap that the solver aims at, smaller so that the feasible assignment stays within ``gap``.
    residual : ()
        Share of a group by which counts may miss the control before they are corrected.
    """

    gap: Array
    inner: Array
    residual: Array


def default_tolerances(dtype: DTypeLike) -> Tolerances:
    """1e-6 in float64 and 1e-5 in float32, as the README promises."""
    if jnp.finfo(dtype).bits >= 64:
        return Tolerances(jnp.asarray(1e-6, dtype), jnp.asarray(1e-10, dtype), jnp.asarray(1e-11, dtype))
    return Tolerances(jnp.asarray(1e-5, dtype), jnp.asarray(1e-8, dtype), jnp.asarray(1e-11, dtype))


class Trial(NamedTuple):
    """How to approach a programme.

    Attributes
    ----------
    leeway : ()
        Relative; a bound this near a group's own share leaves it no room. Infinite for perfect fairness.
    boundary : ()
        Part of the way to the boundary that a step may go.
    cap : ()
        On the reduced costs with which light groups start, a multiple of their dearest cost; None for no cap.
    light : () bool
        Whether a bound weighs no more than a row does.
    """

    leeway: Array
    boundary: Array
    cap: Array | None = None
    light: Array | bool = True


def trials(dtype: DTypeLike) -> Trial:
    """Trials (T,) for a programme whose points are all open, each for what those before did not solve.

    In order: light bounds, which take the fewest steps; heavy bounds; narrow bounds that count as no room, if steps
    lack the digits for them; shorter steps, which stay nearer to the central path; light groups that start near their
    costs, or not too far from them; and perfect fairness, which satisfies every control, so that nothing dearer is
    returned. What satisfies a trial's control satisfies the control as asked.
    """
    # a bound that was given in this dtype has no more digits than this
    given, none = max(controls.ROUNDING, 2 * float(jnp.finfo(dtype).eps)), float("inf")
    exact = controls.ROUNDING
    usual, heavy, narrow = (given, 0.9, none), (exact, 0.9, none), (1e-7, 0.9, none)
    short = (exact, 0.5, none)
    near, nearer, fair = (exact, 0.9, 100 * _CAP), (exact, 0.5, _CAP), (none, 0.9, _CAP)
    table = (usual, heavy, narrow, short, nearer, near, fair)
    assert len(table) == N_TRIALS
    leeway, boundary, cap = np.asarray(table, dtype).T
    light = np.isin(np.arange(len(table)), (0, table.index(near)))
    return Trial(jnp.asarray(leeway), jnp.asarray(boundary), jnp.asarray(cap), jnp.asarray(light))


class Prices(NamedTuple):
    """Where to start.

    Attributes
    ----------
    y : (M, K)
        Prices in the control, free variables of its normaliser.
    level : (K,)
        Level of the clusters.
    reach : ()
        Expected difference from the optimal prices, in cost units; infinite if nothing is known.
    """

    y: Array
    level: Array
    reach: Array


class Optimum(NamedTuple):
    """Optimal prices of a small problem.

    Attributes
    ----------
    prices : :class:`Prices`
    settled : (M, K)
        The same, see :func:`~fairjax.assignment.controls.settled`.
    fractions : (m, K)
        Fractions of the open points, interior: all positive, most of them tiny.
    targets : (M, K)
        Counts that satisfy the control, with enough digits for points that weigh little in their group.
    n_iter : () int32
    solved : () bool
    """

    prices: Prices
    settled: Array
    fractions: Array
    targets: Double
    n_iter: Array
    solved: Array


def cold(n_groups: int, n_clusters: int, dtype: DTypeLike) -> Prices:
    """Prices of zero, with nothing known about the optimum."""
    level = jnp.full((n_clusters,), 1 / n_clusters, dtype)
    return Prices(jnp.zeros((n_groups, n_clusters), dtype), level, jnp.asarray(jnp.inf, dtype))


def cold_for(control: AnyControl | None, n_groups: int, n_clusters: int, dtype: DTypeLike) -> Prices:
    """The same, with a table per attribute if ``control`` has several; ``n_groups`` is that of the points."""
    if not isinstance(control, Attributes):
        return cold(n_groups, n_clusters, dtype)
    n_levels = 1 if control.controls[0].kind == "shares" else len(control.controls)
    found = cold(sum(control.sizes), n_clusters, dtype)
    return found._replace(level=jnp.broadcast_to(found.level, (n_levels, n_clusters)))


def fitted(points: Points, control: AnyControl, leeway: Array) -> tuple[Points, AnyControl]:
    """The problem with weights that sum to 1 in the present precision, and the control for its groups' masses."""
    sums = group_sums(points.weights[:, None], points.groups, points.placed.shape[0])[:, 0]
    masses = jnp.sum(points.placed, 1) + sums
    whole = jnp.sum(masses)
    points = points._replace(
        weights=points.weights / whole, placed=points.placed / whole, masses=masses / whole,
        offset=points.offset / whole,
    )  # fmt: skip
    return points, attributes.fitted(control, points.masses, leeway)
