"""Losses of fairoid clustering [1]_.

References
----------
.. [1] B. Wang, I. Davidson, "Towards fair deep clustering with multi-state protected variables", 2019.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fairjax.deep.methods.losses.assignments import divergence, student_log_assignment


def fairoid_log_assignment(centers: Array, fairoids: Array, alpha: ArrayLike = 1.0) -> Array:
    """Logarithm of φ_kt, how close centre k is to fairoid t (the mean of group t) among all fairoids [1]_, eq. 8.

    Parameters
    ----------
    centers : Array (K, d)
    fairoids : Array (T, d)
    alpha : float
        Degrees of freedom.

    Returns
    -------
    Array (K, T)
        Rows log-normalised.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> jnp.exp(fairoid_log_assignment(jnp.zeros((1, 1)), jnp.array([[1.0], [-1.0]]))).tolist()
    [[0.5, 0.5]]
    """
    return student_log_assignment(centers, fairoids, alpha)


def fairoid_target(phi: Array, *, beta: ArrayLike = 1000.0, by_frequency: bool = True) -> Array:
    """ψ_kt ∝ (φ_kt + 1e-8)^(1/β) / f_t with f_t = Σ_k φ_kt: nearly uniform for a large β [1]_, eq. 11; no gradient.

    The paper writes f_t as a sum over t, which is 1 for every k; the sum over clusters is DEC's and the one taken here
    (``by_frequency=False``: f = 1).

    Parameters
    ----------
    phi : Array (K, T)
    beta : float
        Root.
    by_frequency : bool
        Divide by f_t.

    Returns
    -------
    Array (K, T)
        Rows summing to one.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> [round(float(psi), 1) for psi in fairoid_target(jnp.array([[0.9, 0.1], [0.7, 0.3]]))[0]]
    [0.2, 0.8]
    """
    phi = jax.lax.stop_gradient(phi)
    root = (phi + 1e-8) ** (1 / beta)
    if by_frequency:
        root = root / jnp.sum(phi, axis=0)
    return root / jnp.sum(root, axis=1, keepdims=True)


def fairoid_divergence(psi: Array, log_phi: Array) -> Array:
    """KL(Ψ‖Φ) of each centre, (K,); the method takes the mean over centres [1]_, eq. 10.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> even = jnp.array([[0.5, 0.5]])
    >>> fairoid_divergence(even, jnp.log(even)).tolist()
    [0.0]
    """
    return divergence(psi, log_phi)


def centers_from_batch(p: Array, z: Array, ridge: ArrayLike | None) -> Array:
    """Least-squares centres (PᵀP + λI)⁻¹ PᵀZ of a minibatch [1]_, eq. 12 (printed without the transpose).

    The ridge, or the pseudo-inverse in its place, keeps the system solvable when the batch lacks a cluster. P is
    constant, the gradient flows through Z.

    Parameters
    ----------
    p : Array (n, K)
        Targets.
    z : Array (n, d)
    ridge : float or None
        λ > 0; None for the pseudo-inverse of PᵀP, which puts the centre of an absent cluster at the origin and needs
        float64.

    Returns
    -------
    Array (K, d)
        O(n K (K + d) + K³).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> centers_from_batch(jnp.eye(2), jnp.array([[4.0], [8.0]]), 3.0).tolist()
    [[1.0], [2.0]]
    """
    p = jax.lax.stop_gradient(p)
    gram, sums = jnp.matmul(p.T, p, precision="highest"), jnp.matmul(p.T, z, precision="highest")
    if ridge is None:
        return jnp.matmul(jnp.linalg.pinv(gram, hermitian=True), sums, precision="highest")
    factor = jnp.linalg.cholesky(gram + ridge * jnp.eye(p.shape[1], dtype=p.dtype))
    return jax.scipy.linalg.cho_solve((factor, True), sums)
