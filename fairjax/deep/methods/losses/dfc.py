"""DFC's losses: structure, critic, and the schedules of its adversary and rate [1]_.

References
----------
.. [1] P. Li, H. Zhao, H. Liu, "Deep fair clustering for visual learning", CVPR 2020.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def structural_loss(q: Array, frozen: Array, *, mean: bool = False) -> Array:
    """DFC's structural preservation: ‖q qᵀ − p̂ p̂ᵀ‖², *sum* over the b × b entries of one group's rows [1]_, eq. 6.

    Parameters
    ----------
    q : Array (b, K)
        Soft assignments of the joint model.
    frozen : Array (b, K)
        Those of the group's own frozen model.
    mean : bool
        Average the entries instead.

    Returns
    -------
    Array ()

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> float(structural_loss(jnp.eye(2), jnp.full((2, 2), 0.5)))
    1.0
    """
    # traces of K x K products would do, but what is left of them after cancelling is mostly rounding
    gaps = (jnp.matmul(q, q.T, precision="highest") - jnp.matmul(frozen, frozen.T, precision="highest")) ** 2
    return jnp.mean(gaps) if mean else jnp.sum(gaps)


def critic_loss(logits: Array, groups: Array) -> Array:
    """Cross-entropy of the critic, *mean* over rows.

    Parameters
    ----------
    logits : Array (n, 1) or (n, T)
        One logit speaks for group 0 against group 1.
    groups : Array (n,), int32

    Returns
    -------
    Array ()

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> [round(float(critic_loss(jnp.zeros((4, n)), jnp.array([0, 0, 1, 1]))), 4) for n in (1, 2, 3)]
    [0.6931, 0.6931, 1.0986]
    """
    if logits.shape[1] == 1:
        # label 1 for group 0
        signs = jnp.where(groups == 0, 1, -1).astype(logits.dtype)
        return jnp.mean(jax.nn.softplus(-signs * logits[:, 0]))
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits, axis=1), groups[:, None], axis=1)
    return -jnp.mean(chosen)


@jax.custom_vjp
def reverse_gradient(x: Array, factor: Array) -> Array:
    """Identity whose gradient is multiplied by ``-factor`` on the way back (Ganin and Lempitsky).

    Examples
    --------
    >>> import jax
    >>> float(jax.grad(lambda x: 3 * reverse_gradient(x, 0.5))(1.0))
    -1.5
    """
    return x


def _reverse_forward(x: Array, factor: Array) -> tuple[Array, Array]:
    return x, factor


def _reverse_backward(factor: Array, gradient: Array) -> tuple[Array, Any]:
    return -factor * gradient, jnp.zeros_like(factor)


reverse_gradient.defvjp(_reverse_forward, _reverse_backward)


def adversarial_ramp(call: ArrayLike, total: ArrayLike, speed: ArrayLike = 10.0) -> Array:
    """Factor of the reversed gradient, 2 / (1 + exp(−10 s / S)) − 1, at the s-th of S calls of the critic (from 1).

    Parameters
    ----------
    call : float, or integer
        The number s of the call.
    total : float, or integer
        The number S of all calls.
    speed : float
        What stands in place of 10.

    Examples
    --------
    >>> round(float(adversarial_ramp(1, 20_000)), 5), round(float(adversarial_ramp(2_000, 20_000)), 2)
    (0.00025, 0.46)
    """
    return jnp.tanh(0.5 * speed * jnp.asarray(call) / total)


def inverse_decay(step: ArrayLike, total: ArrayLike) -> Array:
    """DFC's factor of the learning rate, (1 + 10 t)^(−3/4) with t = step / total.

    Examples
    --------
    >>> round(float(inverse_decay(100, 100)), 4)
    0.1656
    """
    return (1 + 10 * jnp.asarray(step) / total) ** -0.75
