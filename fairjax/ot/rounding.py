"""From a plan that misses its marginals to one that meets them."""

import jax.numpy as jnp
from jax import Array


def rounded(plan: Array, a: Array, b: Array) -> Array:
    """The plan (n, m) with marginals a (n,) and b (m,), within twice the given plan's marginal error of it in ℓ1.

    Rows and columns that carry too much are scaled down; the mass then missing is spread as a product (Altschuler, Weed
    & Rigollet, NeurIPS 2017, algorithm 2). O(n m).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax.ot.rounding import rounded
    >>> rounded(jnp.array([[0.5, 0.2], [0.1, 0.2]]), jnp.array([0.5, 0.5]), jnp.array([0.5, 0.5])).sum(1).tolist()
    [0.5, 0.5]
    """
    plan = plan * _at_most_one(a, jnp.sum(plan, 1))[:, None]
    plan = plan * _at_most_one(b, jnp.sum(plan, 0))
    missing_a = jnp.maximum(a - jnp.sum(plan, 1), 0)
    missing_b = jnp.maximum(b - jnp.sum(plan, 0), 0)
    total = jnp.sum(missing_a)
    share_b = missing_b / jnp.where(jnp.sum(missing_b) > 0, jnp.sum(missing_b), 1)
    return plan + jnp.where(total > 0, missing_a[:, None] * share_b, 0)


def in_order(supply: Array, room: Array) -> Array:
    """The plan (n, m) that fills columns in order (the north-west corner rule), with at most n+m−1 entries. O(n m).

    Two sequences of intervals on one line, ``supply`` (n,) and ``room`` (m,): each pair gets the length that it shares.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fairjax.ot.rounding import in_order
    >>> in_order(jnp.array([2.0, 1.0]), jnp.array([1.0, 2.0])).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    ends_a, ends_b = jnp.cumsum(supply), jnp.cumsum(room)
    starts_a, starts_b = (jnp.concatenate([jnp.zeros((1,), ends.dtype), ends[:-1]]) for ends in (ends_a, ends_b))
    shared = jnp.minimum(ends_a[:, None], ends_b) - jnp.maximum(starts_a[:, None], starts_b)
    return jnp.maximum(shared, 0)


def _at_most_one(wanted: Array, found: Array) -> Array:
    return jnp.minimum(wanted / jnp.where(found > 0, found, 1), 1)
