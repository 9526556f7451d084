"""Squared Euclidean distances by one matrix product."""

import jax.numpy as jnp
from jax import Array


def squared_distances(x: Array, y: Array) -> Array:
    """Squared distances (..., n, m) of points (..., n, d) and (..., m, d), clipped at zero; one product, O(n m d).

    Rounding is of the order eps·(‖x‖² + ‖y‖²): centre the points.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> squared_distances(jnp.array([[0.0, 0.0], [3.0, 4.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [[0.0], [25.0]]
    """
    products = jnp.matmul(x, jnp.swapaxes(y, -1, -2), precision="highest")
    return jnp.maximum(_squares(y)[..., None, :] - 2 * products + _squares(x)[..., :, None], 0)


def _squares(x: Array) -> Array:
    return jnp.sum(jnp.square(x), -1)
