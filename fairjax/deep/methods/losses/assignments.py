"""Soft assignments of rows to centres, their sharpened targets, and the divergence between the two.

References
----------
.. [1] J. Xie, R. Girshick, A. Farhadi, "Unsupervised deep embedding for clustering analysis", ICML 2016.
.. [2] P. Li, H. Zhao, H. Liu, "Deep fair clustering for visual learning", CVPR 2020.
.. [3] P. Zeng et al., "Deep fair clustering via maximizing and minimizing mutual information", CVPR 2023.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def student_log_assignment(z: Array, centers: Array, alpha: ArrayLike = 1.0) -> Array:
    """Logarithm of DEC's soft assignment: q_ik ∝ (1 + ‖z_i − μ_k‖²/α)^(−(α+1)/2) [1]_, eq. 1.

    Parameters
    ----------
    z : Array (n, d)
        Latent rows.
    centers : Array (K, d)
    alpha : float
        Degrees of freedom.

    Returns
    -------
    Array (n, K)
        Rows log-normalised.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> q = jnp.exp(student_log_assignment(jnp.zeros((1, 1)), jnp.array([[0.0], [1.0]])))
    >>> [round(value, 3) for value in q[0].tolist()]
    [0.667, 0.333]
    """
    # K·d is small, so the direct difference is affordable; it loses no digits where a point lies on a centre
    squared = jnp.sum((z[:, None, :] - centers[None, :, :]) ** 2, -1)
    return jax.nn.log_softmax(-(alpha + 1) / 2 * jnp.log1p(squared / alpha), axis=1)


def cosine_log_assignment(h: Array, centers: Array, tau: ArrayLike) -> Array:
    """Logarithm of FCMI's soft assignment: softmax over k of h_i·m_k / τ, for rows and centres of length one [3]_.

    Parameters
    ----------
    h : Array (n, d)
    centers : Array (K, d)
    tau : float
        Temperature.

    Returns
    -------
    Array (n, K)
        Rows log-normalised; O(n K d).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> [round(float(c), 2) for c in jnp.exp(cosine_log_assignment(jnp.eye(2), jnp.eye(2), 0.5))[0]]
    [0.88, 0.12]
    """
    return jax.nn.log_softmax(jnp.matmul(h, centers.T, precision="highest") / tau, axis=1)


def gaussian_log_assignment(z: Array, centers: Array, tau: ArrayLike) -> Array:
    """Logarithm of DeepFCA's soft assignment: softmax over k of −‖z_i − μ_k‖² / (2τ).

    For rows and centres of length one it is the cosine assignment of the same temperature.

    Parameters
    ----------
    z : Array (n, d)
    centers : Array (K, d)
    tau : float
        Temperature, a squared distance.

    Returns
    -------
    Array (n, K)
        Rows log-normalised; O(n K d).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> centers = jnp.array([[1.0, 0.0], [0.0, 1.0], [9.0, 0.0]])
    >>> [round(float(c), 2) for c in jnp.exp(gaussian_log_assignment(jnp.zeros((1, 2)), centers, 0.5))[0]]
    [0.5, 0.5, 0.0]
    """
    squared = jnp.sum((z[:, None, :] - centers[None, :, :]) ** 2, -1)
    return jax.nn.log_softmax(-squared / (2 * tau), axis=1)


def target_distribution(q: Array) -> Array:
    """DEC's sharpened target p_ik ∝ q_ik² / f_k, f_k = Σ_i q_ik over the rows given [1]_, eq. 3; no gradient passes.

    Parameters
    ----------
    q : Array (n, K)

    Returns
    -------
    Array (n, K)
        Rows summing to one; a row of zeros, which pads, stays zero and adds nothing to the others.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> target_distribution(jnp.array([[0.5, 0.5], [0.0, 1.0]])).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    q = jax.lax.stop_gradient(q)
    sums = jnp.sum(q, axis=0)
    # an empty cluster has sum 0 and only zeros above it
    weighted = q**2 / jnp.where(sums > 0, sums, 1)
    totals = jnp.sum(weighted, axis=1, keepdims=True)
    return weighted / jnp.where(totals > 0, totals, 1)


def divergence(p: Array, log_q: Array, *, reverse: bool = False) -> Array:
    """Row sums of the Kullback-Leibler divergence KL(p‖q), p constant.

    Parameters
    ----------
    p : Array (n, K)
        Targets.
    log_q : Array (n, K)
    reverse : bool
        KL(q‖p) in its place, as the formula of [2]_ is printed; its code has the other.

    Returns
    -------
    Array (n,)
        DEC takes the mean over rows, DFC the sum.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> round(float(divergence(jnp.array([[1.0, 0.0]]), jnp.log(jnp.array([[0.5, 0.5]])))[0]), 4)
    0.6931
    """
    tiny = jnp.finfo(p.dtype).tiny
    log_p = jnp.log(jnp.maximum(p, tiny))
    if reverse:
        return jnp.sum(jnp.exp(log_q) * (log_q - log_p), -1)
    return jnp.sum(p * (log_p - log_q), -1)
