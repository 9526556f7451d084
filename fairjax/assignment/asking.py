"""Checks of what a fair assignment is asked for: ids, shapes and the control."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fairjax._core import sharding
from fairjax.assignment import controls
from fairjax.assignment.controls import Control
from fairjax.errors import InputError

# The number of groups where traced ids hide it: absent groups cost time, not correctness.
_TRACED_GROUPS = 8


def count_groups(groups: ArrayLike, n_groups: int | None) -> int:
    """Number of groups in ids (n,), unless it is given; InputError for ids that are not integers from 0 on."""
    if isinstance(groups, jax.core.Tracer):
        return _TRACED_GROUPS if n_groups is None else n_groups
    ids: Any = groups if sharding.over_devices(groups) else np.asarray(groups)
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(
            f"groups has dtype {ids.dtype}; expected integer ids 0..M-1: map your values to ids first, for example "
            "with numpy.unique(..., return_inverse=True)"
        )
    if ids.size and ids.min() < 0:
        raise InputError(f"groups has the id {ids.min()}; expected ids from 0 on")
    found = int(ids.max()) + 1 if ids.size else 1
    if n_groups is not None and found > n_groups:
        raise InputError(f"groups has the id {found - 1}; n_groups={n_groups} allows 0 to {n_groups - 1}")
    return found if n_groups is None else n_groups


def check_shapes(costs: Array, groups: Array, weights: Array | None) -> None:
    """Raise InputError unless costs (n, K), groups (n,) and weights (n,) match."""
    if costs.ndim != 2 or 0 in costs.shape:
        raise InputError(f"costs has shape {costs.shape}; expected (n points, K clusters), both at least 1")
    if groups.shape != costs.shape[:1]:
        raise InputError(f"groups has shape {groups.shape}; expected ({costs.shape[0]},), one id per row of costs")
    if weights is not None and weights.shape != costs.shape[:1]:
        raise InputError(f"weights has shape {weights.shape}; expected ({costs.shape[0]},), one per row of costs")


def control(
    masses: Array,
    *,
    epsilon: ArrayLike = 0.0,
    min_balance: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> Control:
    """The control that the keywords of :func:`fair_assignment` ask for; masses (M,) sum to 1."""
    bounded = lower is not None or upper is not None
    if min_balance is not None and bounded:
        raise InputError("both min_balance and bounds on shares are given; choose one fairness control")
    loose = isinstance(epsilon, jax.core.Tracer) or np.any(np.asarray(epsilon) != 0)
    if loose and (min_balance is not None or bounded):
        other = "min_balance" if min_balance is not None else "bounds on shares"
        raise InputError(f"both epsilon and {other} are given; choose one fairness control")
    if min_balance is not None:
        if not isinstance(min_balance, jax.core.Tracer) and np.all(np.asarray(min_balance) == 0):
            return controls.shares(jnp.zeros_like(masses), jnp.ones_like(masses), masses)
        return controls.balance(jnp.asarray(min_balance), masses)
    if bounded:
        low = jnp.zeros_like(masses) if lower is None else jnp.asarray(lower)
        high = jnp.ones_like(masses) if upper is None else jnp.asarray(upper)
        return controls.shares(low, high, masses)
    return controls.gap(jnp.asarray(epsilon), masses)
