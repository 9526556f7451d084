"""Reconstruction error of autoencoders."""

import jax.numpy as jnp
from jax import Array


def reconstruction_loss(x: Array, found: Array, kind: str = "mse") -> Array:
    """Squared error or cross-entropy of each row's reconstruction, *mean* over the row's elements.

    Parameters
    ----------
    x : Array (n, ...)
        Input.
    found : Array (n, ...)
        Reconstruction.
    kind : {"mse", "bce"}
        "bce" takes values in [0, 1].

    Returns
    -------
    Array (n,)

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> reconstruction_loss(jnp.zeros((2, 2)), jnp.array([[1.0, 2.0], [0.0, 4.0]])).tolist()
    [2.5, 8.0]
    """
    axes = tuple(range(1, x.ndim))
    if kind == "mse":
        return jnp.mean((x - found) ** 2, axes)
    found = jnp.clip(found, 1e-6, 1 - 1e-6)
    return -jnp.mean(x * jnp.log(found) + (1 - x) * jnp.log1p(-found), axes)
