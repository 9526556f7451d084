"""Virtual adversarial training: assignments that stay the same around a row, in the direction where they change most.

References
----------
.. [1] T. Miyato et al., "Virtual adversarial training", IEEE TPAMI 2019.
.. [2] W. Hu et al., "Learning discrete representations via information maximizing self-augmented training", ICML 2017,
   and its public code.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax.deep.methods.losses.assignments import divergence

__all__ = ["adversarial_direction", "adversarial_loss"]

LogAssignment = Callable[[Any, Array], Array]  # of parameters and rows (n, ...): log-normalised rows (n, K)


def _unit(d: Array) -> Array:
    """Directions of length one; a direction of zeros stays."""
    axes = tuple(range(1, d.ndim))
    # the greatest number first: squares of what a flat start gives would fall out of the type's range
    greatest = jnp.max(jnp.abs(d), axis=axes, keepdims=True)
    d = d / jnp.where(greatest > 0, greatest, 1)
    length = jnp.sqrt(jnp.sum(d**2, axis=axes, keepdims=True))
    return d / jnp.where(length > 0, length, 1)


def adversarial_direction(
    key: Array, log_assignment: LogAssignment, params: Any, x: Array, log_q: Array, *, step: ArrayLike = 10.0
) -> Array:
    """Directions of length one in which the assignments change most, by one step of the power method [2]_.

    From a random direction r it is the gradient of KL(q(x) ‖ q(x + step·r)) by r. Parameters and assignments are
    constants: nothing is differentiated twice.

    Parameters
    ----------
    key : typed random key
        Consumed.
    log_assignment : function of params and rows (n, ...)
        Logarithm of the soft assignment (n, K).
    params : pytree
    x : Array (n, ...)
    log_q : Array (n, K)
        Assignment of the rows themselves.
    step : float
        Length of the trial.

    Returns
    -------
    Array (n, ...)
        No gradient passes through it. Two passes of the rows.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> steep = lambda params, x: jax.nn.log_softmax(x * params, axis=1)
    >>> x, weights = jnp.zeros((1, 2)), jnp.array([3.0, 0.0])
    >>> d = adversarial_direction(jax.random.key(0), steep, weights, x, steep(weights, x), step=0.1)
    >>> [abs(round(float(each), 3)) for each in d[0]]
    [1.0, 0.0]
    """
    params, x = jax.lax.stop_gradient((params, x))
    q = jax.lax.stop_gradient(jnp.exp(log_q))
    start = _unit(jax.random.normal(key, x.shape, x.dtype))

    def change(r: Array) -> Array:
        return jnp.sum(divergence(q, log_assignment(params, x + step * r)))

    return jax.lax.stop_gradient(_unit(jax.grad(change)(start)))


def adversarial_loss(
    key: Array,
    log_assignment: LogAssignment,
    params: Any,
    x: Array,
    log_q: Array,
    radius: Array,
    *,
    step: ArrayLike = 10.0,
) -> tuple[Array, Array]:
    """Mean over rows of KL(q(x) ‖ q(x + radius·d)), d the adversarial direction and q(x) constant [2]_, eq. 6.

    Parameters
    ----------
    key, log_assignment, params, x, log_q, step
        As for `adversarial_direction`.
    radius : Array (n,)
        How far each row is moved.

    Returns
    -------
    loss : Array ()
    log_moved : Array (n, K)
        Assignment of the moved rows, with gradient. Three passes of the rows in all.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> flat = lambda params, x: jax.nn.log_softmax(0 * x * params, axis=1)
    >>> x = jnp.ones((3, 2))
    >>> loss, _ = adversarial_loss(jax.random.key(0), flat, 1.0, x, flat(1.0, x), jnp.ones(3))
    >>> float(loss)
    0.0
    """
    d = adversarial_direction(key, log_assignment, params, x, log_q, step=step)
    moved = x + radius.reshape(-1, *(1,) * (x.ndim - 1)) * d
    log_moved = log_assignment(params, moved)
    return jnp.mean(divergence(jax.lax.stop_gradient(jnp.exp(log_q)), log_moved)), log_moved
