"""ClusterGAN's losses [1]_.

References
----------
.. [1] S. Mukherjee et al., "ClusterGAN: latent space clustering in generative adversarial networks", AAAI 2019.
.. [2] I. Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array


def gradient_penalty(critic: Callable[[Array], Array], mixed: Array) -> Array:
    """Mean over rows of (‖∇D‖ − 1)², by which the critic is kept from growing steep [2]_.

    Parameters
    ----------
    critic : function of rows (n, ...) to (n,)
        Each number of its own row alone; differentiable twice.
    mixed : Array (n, ...)
        Rows between real and drawn ones.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> float(gradient_penalty(lambda x: 3 * x[:, 0], jnp.zeros((2, 4))))
    4.0
    """
    slopes = jax.grad(lambda rows: jnp.sum(critic(rows)))(mixed).reshape(len(mixed), -1)
    # a floor within the root, as its own slope at zero is infinite
    lengths = jnp.sqrt(jnp.maximum(jnp.sum(slopes**2, axis=1), 1e-12))
    return jnp.mean((lengths - 1) ** 2)


def inversion_loss(found: Array, drawn: Array, n_noise: int) -> tuple[Array, Array]:
    """How far the encoder is from what a row was generated of: mean squared error of the noise, and cross-entropy.

    Parameters
    ----------
    found : Array (n, n_noise + K)
        Noise, and the logits of the clusters.
    drawn : Array (n, n_noise + K)
        Noise, and the cluster as one-hot numbers.
    n_noise : int
        Static.

    Returns
    -------
    noise, code : Array ()

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> parts = inversion_loss(jnp.array([[0.5, 0.0, 0.0]]), jnp.array([[0.0, 1.0, 0.0]]), 1)
    >>> [round(float(part), 4) for part in parts]
    [0.25, 0.6931]
    """
    log_q = jax.nn.log_softmax(found[:, n_noise:], axis=1)
    code = -jnp.mean(jnp.sum(drawn[:, n_noise:] * log_q, axis=1))
    return jnp.mean((drawn[:, :n_noise] - found[:, :n_noise]) ** 2), code
