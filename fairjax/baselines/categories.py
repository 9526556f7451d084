"""Columns of categories in a mixture: indicators whose values have probabilities in every component."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

_RARE = 1e-4  # least probability of a category at the start


class Columns(NamedTuple):
    """Which columns are numbers, and which are the indicators of one category each."""

    numeric: Array
    """(d,) 1 or 0"""
    blocks: Array
    """(J, d) 1 where a column belongs to a categorical variable, of which one is 1 in every row"""


def log_probabilities(means: Array, columns: Columns | None) -> tuple[Array, Array | None]:
    """Means (K, d) of the columns of numbers, 0 in others, and logarithms (K, d) of the probabilities in those.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> columns = Columns(jnp.array([1.0, 0.0, 0.0]), jnp.array([[0.0, 1.0, 1.0]]))
    >>> means, logs = log_probabilities(jnp.array([[5.0, 2.0, 2.0]]), columns)
    >>> means.tolist(), jnp.exp(logs).round(3).tolist()
    ([[5.0, 0.0, 0.0]], [[1.0, 0.5, 0.5]])
    """
    if columns is None:
        return means, None
    inside = columns.blocks > 0
    highest = jnp.max(jnp.where(inside, means[:, None], -jnp.inf), axis=2)
    highest = lax.stop_gradient(jnp.where(jnp.isfinite(highest), highest, 0))
    raised = jnp.where(inside, jnp.exp(jnp.where(inside, means[:, None] - highest[..., None], 0)), 0)
    total = highest + jnp.log(jnp.maximum(jnp.sum(raised, axis=2), jnp.finfo(means.dtype).tiny))
    own = jnp.matmul(total, columns.blocks, precision="highest")
    return means * columns.numeric, (means - own) * jnp.sum(columns.blocks, axis=0)


def with_logits(means: Array, columns: Columns | None) -> Array:
    """Means (K, d) of columns as parameters: logits in those of categories, whose means are probabilities."""
    if columns is None:
        return means
    return jnp.where(columns.numeric > 0, means, jnp.log(jnp.maximum(means, _RARE)))


def numbers(X: Array, columns: Columns | None) -> Array:
    """Rows (n, d), 0 in columns of categories."""
    return X if columns is None else X * columns.numeric
