"""Points, weights and centres as given, checked; and weighted means of points."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax._core.rows import IN_ONE_PLACE, Rows
from fairjax.errors import InputError


def as_points(X: ArrayLike) -> Array:
    """Return X as a floating (n, d) array with at least one row and one column."""
    X = jnp.asarray(X)
    if X.ndim != 2 or 0 in X.shape:
        raise InputError(f"X has shape {X.shape}, expected (n, d) with n and d at least 1.")
    return X if jnp.issubdtype(X.dtype, jnp.floating) else X.astype(jnp.result_type(float))


def as_weighted_points(X: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array]:
    """Return X (n, d) and weights (n,) in one floating type; without weights every row weighs one."""
    X = as_points(X)
    if weights is None:
        return X, jnp.ones_like(X[:, 0])
    weights = jnp.asarray(weights, X.dtype)
    if weights.shape != X.shape[:1]:
        raise InputError(f"weights has shape {weights.shape}, expected {X.shape[:1]}: one weight per row of X.")
    return X, weights


def as_centers(centers: ArrayLike, X: Array) -> Array:
    """Return the centres as a (K, d) array of the type of X."""
    centers = jnp.asarray(centers, X.dtype)
    if centers.ndim != 2 or centers.shape[0] == 0 or centers.shape[1] != X.shape[1]:
        raise InputError(f"centers has shape {centers.shape}, expected (K, {X.shape[1]}) with K at least 1.")
    return centers


def weighted_mean(X: Array, weights: Array, rows: Rows = IN_ONE_PLACE) -> Array:
    """Return the mean of the rows, (d,); zero if no weight is positive."""
    return per_unit(rows.sum(jnp.matmul(weights, X, precision="highest")), weights, rows)


def per_unit(total: Array, weights: Array, rows: Rows = IN_ONE_PLACE) -> Array:
    """Divide a weighted sum of all rows by the sum of the weights, or leave it if that is zero."""
    mass = rows.sum(jnp.sum(weights))
    return total / jnp.where(mass > 0, mass, 1)
