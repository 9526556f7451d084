"""What the alignment route works on: the points as laid out, static settings, and traced parameters."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from jax.typing import ArrayLike

from fairjax._core.checks import check_choice, check_count
from fairjax.errors import InputError
from fairjax.fca.alignment import partition
from fairjax.fca.alignment.center_update import CenterUpdate
from fairjax.fca.alignment.released import Rule

Solver = Literal["exact", "host", "sinkhorn"]
Scheme = Literal["random", "fixed", "refine"]


class AlignmentProblem(NamedTuple):
    """Points with their groups, laid out for alignment.

    Attributes
    ----------
    X : (n, d) relative to ``mean``. members : (n_s,) int32 ids of each group's points, the largest group first.
    shares : (n,) share π of each point's group. groups : (n,) int32. mean : (d,). variance : () mean squared
    distance from the mean. weights : (n,) each point's share of all weight; 1/n if all weigh the same. units : (n,)
    int32 masses within the groups (:func:`~fairjax.fca.alignment.partition.in_units`); None if all weigh the same.
    """

    X: Array
    members: tuple[Array, ...]
    shares: Array
    groups: Array
    mean: Array
    variance: Array
    weights: Array
    units: Array | None


@dataclass(frozen=True)
class Settings:
    """What changes shapes or control flow; static under ``jit``.

    Attributes
    ----------
    solver
        "exact" runs anywhere, "host" is POT's network simplex on the CPU, "sinkhorn" is regularised.
    n_blocks
        Blocks of the partition, see :func:`~fairjax.fca.alignment.partition.block_count`; 1 for none.
    scheme : "random" draws a new partition in each iteration, as the authors do; "fixed" keeps one; "refine"
        redistributes the tuples of the current coupling, so that F never rises. Refining needs two groups, an exact
        solver and no ``rule``.
    update, n_center_steps
        Centre update and its steps per iteration.
    rule
        None for FCA; "dearest" for FCA-C as the paper writes it, "cheapest" as the authors' code runs it.
    patience
        Iterations without a lower cost or objective before stopping; twice as many if most blocks had no room.

    Raises
    ------
    InputError
        For an unknown choice, or a number that is not an integer of at least 1.
    """

    solver: Solver = "exact"
    n_blocks: int = 1
    scheme: Scheme = "random"
    update: CenterUpdate = "lloyd"
    n_center_steps: int = 1
    rule: Rule | None = None
    patience: int = 5

    def __post_init__(self) -> None:
        check_choice("solver", self.solver, get_args(Solver))
        check_choice("scheme", self.scheme, get_args(Scheme))
        check_choice("update", self.update, get_args(CenterUpdate))
        check_choice("rule", self.rule, (None, *get_args(Rule)))
        for name in ("n_blocks", "n_center_steps", "patience"):
            check_count(name, getattr(self, name))


class Parameters(NamedTuple):
    """What may be traced, and so varied without recompiling.

    Attributes
    ----------
    transport_weight : ()
        w, a multiple of π0π1; 2 in the paper.
    reg : ()
        Sinkhorn's regularisation, in cost units.
    released : ()
        The ε of FCA-C: share of the pairs in W.
    tol : ()
        Least relative fall of the cost that counts.
    learning_rate : ()
        Learning rate of the gradient update, in the units of the points.
    """

    transport_weight: Array | float = 1.0
    reg: Array | float = 0.01
    released: Array | float = 0.0
    tol: Array | float = 1e-4
    learning_rate: Array | float = 0.02


def prepare(
    X: ArrayLike,
    groups: npt.NDArray[Any],
    n_groups: int | None = None,
    weights: npt.NDArray[Any] | None = None,
) -> AlignmentProblem:
    """Lay out concrete points X (n, d), group ids (n,), and weights (n,) or None for alignment; O(n d + n log n).

    Raises
    ------
    InputError
        For invalid ids, negative or infinite weights, and a group without weight.

    Examples
    --------
    >>> problem = prepare([[0.0], [1.0], [5.0]], np.array([0, 1, 1]))
    >>> [ids.tolist() for ids in problem.members], problem.X.ravel().tolist()
    ([[1, 2], [0]], [-2.0, -1.0, 3.0])
    """
    X = jnp.asarray(X)
    ids = np.asarray(groups)
    if X.ndim != 2 or ids.shape != X.shape[:1] or not np.issubdtype(ids.dtype, np.integer):
        raise InputError(
            f"X has shape {X.shape} and groups shape {ids.shape}, dtype {ids.dtype}; expected (n, d) and (n,) integers"
        )
    sizes = np.bincount(ids, minlength=n_groups or 0)
    if (sizes == 0).any():
        raise InputError(f"the group {int(np.argmin(sizes))} has no points; expected ids 0..M-1, each with points")
    each = np.ones(len(ids)) if weights is None else np.asarray(weights, float)
    if each.shape != ids.shape or not np.isfinite(each).all() or (each < 0).any():
        raise InputError(f"weights has shape {each.shape}; expected {ids.shape} finite numbers of at least 0")
    totals = np.bincount(ids, each, minlength=len(sizes))
    if (totals == 0).any():
        raise InputError(f"the group {int(np.argmin(totals))} has no weight; expected some in each")
    by_size = np.argsort(-sizes, kind="stable")
    members = tuple(jnp.asarray(np.flatnonzero(ids == group), jnp.int32) for group in by_size)
    units = None
    if each.min() != each.max():
        units = np.zeros(len(ids), np.int32)
        for group in range(len(sizes)):
            units[ids == group] = partition.in_units(each[ids == group])
    shares, each = (totals / totals.sum())[ids], each / each.sum()
    weight = jnp.asarray(each, X.dtype)
    mean = jnp.mean(X, 0) if units is None else jnp.matmul(weight, X, precision="highest")
    X = X - mean
    return AlignmentProblem(
        X, members, jnp.asarray(shares, X.dtype), jnp.asarray(ids, jnp.int32), mean,
        jnp.sum(weight * jnp.sum(jnp.square(X), -1)), weight, None if units is None else jnp.asarray(units),
    )  # fmt: skip


def check(problem: AlignmentProblem, settings: Settings) -> None:
    """Raise InputError for settings that conflict with each other or with the groups; O(1)."""
    n_groups, smallest = len(problem.members), min(len(ids) for ids in problem.members)
    if settings.n_blocks > smallest:
        raise InputError(
            f"n_blocks is {settings.n_blocks}, and the smallest group has {smallest} points; every block needs one of "
            f"them: take at most {smallest}"
        )
    if settings.solver == "sinkhorn" and n_groups > 2:
        raise InputError(
            f'there are {n_groups} groups; method="sinkhorn" aligns two: take method="exact" or method="direct"'
        )
    if problem.units is not None and settings.n_blocks > 1 and settings.scheme != "refine":
        raise InputError(
            "points of different weights cannot be dealt into blocks at random: with more than two groups, or "
            f'method="sinkhorn", take a partition_size above {smallest // 2}, half the smallest group, or '
            'method="direct"'
        )
    if settings.rule is not None and (n_groups != 2 or settings.solver == "sinkhorn"):
        raise InputError(f"FCA-C needs two groups and an exact solver; found {n_groups} and {settings.solver!r}")
    if settings.rule is not None and settings.scheme == "refine":
        raise InputError(
            "the refine scheme keeps a coupling, but the set W of FCA-C is drawn anew for each transport: take the "
            'scheme "random" or "fixed"'
        )
    if settings.scheme == "refine" and (n_groups != 2 or settings.solver == "sinkhorn"):
        raise InputError(
            f"the refine scheme needs two groups and an exact solver; found {n_groups} and {settings.solver!r}"
        )
