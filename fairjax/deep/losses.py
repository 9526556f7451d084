"""The methods' losses, as pure functions of latents, assignments and group ids; all logarithms are natural.

Reductions are those of the authors' code, since the weights of the terms belong to them: see each function. Sections
and tables that are cited belong to the papers named below.

References
----------
.. [1] J. Xie, R. Girshick, A. Farhadi, "Unsupervised deep embedding for clustering analysis", ICML 2016.
.. [2] P. Li, H. Zhao, H. Liu, "Deep fair clustering for visual learning", CVPR 2020.
.. [3] B. Wang, I. Davidson, "Towards fair deep clustering with multi-state protected variables", 2019.
.. [4] P. Zeng et al., "Deep fair clustering via maximizing and minimizing mutual information", CVPR 2023.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

__all__ = [
    "adversarial_ramp",
    "centroids_from_batch",
    "clustering_information",
    "consistency_loss",
    "cosine_log_assignment",
    "critic_loss",
    "divergence",
    "fairoid_divergence",
    "fairoid_log_assignment",
    "fairoid_target",
    "gaussian_log_assignment",
    "group_information",
    "inverse_decay",
    "reconstruction_loss",
    "reverse_gradient",
    "structural_loss",
    "student_log_assignment",
    "target_distribution",
]


def student_log_assignment(z: Array, centroids: Array, alpha: ArrayLike = 1.0) -> Array:
    """Logarithm of DEC's soft assignment: q_ik ∝ (1 + ‖z_i − μ_k‖²/α)^(−(α+1)/2) [1]_, eq. 1.

    Parameters
    ----------
    z : (n, d) latents.
    centroids : (K, d)
    alpha : degrees of freedom.

    Returns
    -------
    (n, K), rows log-normalised

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> q = jnp.exp(student_log_assignment(jnp.zeros((1, 1)), jnp.array([[0.0], [1.0]])))
    >>> [round(value, 3) for value in q[0].tolist()]
    [0.667, 0.333]
    """
    # K·d is small, so the direct difference is affordable; it loses no digits where a point lies on a centroid
    squared = jnp.sum((z[:, None, :] - centroids[None, :, :]) ** 2, -1)
    return jax.nn.log_softmax(-(alpha + 1) / 2 * jnp.log1p(squared / alpha), axis=1)


def cosine_log_assignment(h: Array, centers: Array, tau: ArrayLike) -> Array:
    """Logarithm of FCMI's soft assignment: softmax over k of h_i·m_k / τ, for rows and centres of length one [4]_.

    Parameters
    ----------
    h : (n, d)
    centers : (K, d)
    tau : temperature.

    Returns
    -------
    (n, K), rows log-normalised; O(n K d)

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
    z : (n, d)
    centers : (K, d)
    tau : temperature, a squared distance.

    Returns
    -------
    (n, K), rows log-normalised; O(n K d)

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
    q : (n, K)

    Returns
    -------
    (n, K), rows summing to one; a row of zeros, which pads, stays one and adds nothing to the others

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
    p : (n, K) targets.
    log_q : (n, K)
    reverse : KL(q‖p) in its place, as the formula of [2]_ is printed (its code has the other).

    Returns
    -------
    (n,); DEC takes the mean over rows, DFC the sum

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


def reconstruction_loss(x: Array, found: Array, kind: str = "mse") -> Array:
    """Squared error or cross-entropy of each row's reconstruction, *mean* over the row's elements.

    Parameters
    ----------
    x, found : (n, ...) input and reconstruction.
    kind : {"mse", "bce"}; "bce" takes values in [0, 1].

    Returns
    -------
    (n,)

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


# DFC


def structural_loss(q: Array, frozen: Array, *, mean: bool = False) -> Array:
    """DFC's structural preservation: ‖q qᵀ − p̂ p̂ᵀ‖², *sum* over the b × b entries of one group's rows [2]_, eq. 6.

    Parameters
    ----------
    q, frozen : (b, K) soft assignments of the joint model and of the group's own frozen one.
    mean : average the entries instead.

    Returns
    -------
    Scalar

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
    logits : (n, 1), of group 0 against group 1, or (n, T).
    groups : (n,)

    Returns
    -------
    Scalar

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


def _reverse_backward(factor: Array, slope: Array) -> tuple[Array, Any]:
    return -factor * slope, jnp.zeros_like(factor)


reverse_gradient.defvjp(_reverse_forward, _reverse_backward)


def adversarial_ramp(call: ArrayLike, total: ArrayLike, slope: ArrayLike = 10.0) -> Array:
    """Factor of the reversed gradient, 2 / (1 + exp(−10 s / S)) − 1, at the s-th of S calls of the critic (from 1).

    Parameters
    ----------
    call, total : s and S.
    slope : what stands in the place of 10.

    Examples
    --------
    >>> round(float(adversarial_ramp(1, 20_000)), 5), round(float(adversarial_ramp(2_000, 20_000)), 2)
    (0.00025, 0.46)
    """
    return jnp.tanh(0.5 * slope * jnp.asarray(call) / total)


def inverse_decay(step: ArrayLike, total: ArrayLike) -> Array:
    """DFC's factor of the learning rate, (1 + 10 t)^(−3/4) with t = step / total.

    Examples
    --------
    >>> round(float(inverse_decay(100, 100)), 4)
    0.1656
    """
    return (1 + 10 * jnp.asarray(step) / total) ** -0.75


# fairoids


def fairoid_log_assignment(centroids: Array, fairoids: Array, alpha: ArrayLike = 1.0) -> Array:
    """Logarithm of φ_kt, how close centroid k is to fairoid t (the mean of group t) among all fairoids [3]_, eq. 8.

    Parameters
    ----------
    centroids : (K, d)
    fairoids : (T, d)

    Returns
    -------
    (K, T), rows log-normalised

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> jnp.exp(fairoid_log_assignment(jnp.zeros((1, 1)), jnp.array([[1.0], [-1.0]]))).tolist()
    [[0.5, 0.5]]
    """
    return student_log_assignment(centroids, fairoids, alpha)


def fairoid_target(phi: Array, *, beta: ArrayLike = 1000.0, by_frequency: bool = True) -> Array:
    """ψ_kt ∝ (φ_kt + 1e-8)^(1/β) / f_t with f_t = Σ_k φ_kt: all but uniform for a large β [3]_, eq. 11; no gradient.

    The paper writes f_t as a sum over t, which is 1 for every k; the sum over clusters is DEC's and the one taken here
    (``by_frequency=False``: f = 1).

    Parameters
    ----------
    phi : (K, T)

    Returns
    -------
    (K, T), rows summing to one

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
    """KL(Ψ‖Φ) of each centroid, (K,); the method takes the mean over centroids [3]_, eq. 10.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> even = jnp.array([[0.5, 0.5]])
    >>> fairoid_divergence(even, jnp.log(even)).tolist()
    [0.0]
    """
    return divergence(psi, log_phi)


def centroids_from_batch(p: Array, z: Array, ridge: ArrayLike | None) -> Array:
    """Least-squares centroids (PᵀP + λI)⁻¹ PᵀZ of a minibatch [3]_, eq. 12 (printed without the transpose).

    The ridge, or the pseudo-inverse in its place, keeps the system solvable when the batch lacks a cluster. P is
    constant, the gradient flows through Z.

    Parameters
    ----------
    p : (n, K) targets.
    z : (n, d)
    ridge : λ > 0; None for the pseudo-inverse of PᵀP, which puts the centroid of an absent cluster at the origin and
        wants float64.

    Returns
    -------
    (K, d); O(n K (K + d) + K³)

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> centroids_from_batch(jnp.eye(2), jnp.array([[4.0], [8.0]]), 3.0).tolist()
    [[1.0], [2.0]]
    """
    p = jax.lax.stop_gradient(p)
    gram, sums = jnp.matmul(p.T, p, precision="highest"), jnp.matmul(p.T, z, precision="highest")
    if ridge is None:
        return jnp.matmul(jnp.linalg.pinv(gram, hermitian=True), sums, precision="highest")
    factor = jnp.linalg.cholesky(gram + ridge * jnp.eye(p.shape[1], dtype=p.dtype))
    return jax.scipy.linalg.cho_solve((factor, True), sums)


# FCMI


def clustering_information(c: Array) -> tuple[Array, Array]:
    """Two parts of −I(X; C), whose sum FCMI minimises: Σ_k p_k log p_k, and the mean entropy of the rows [4]_, eq. 7.

    The first evens out the clusters' sizes, the second makes assignments hard.

    Parameters
    ----------
    c : (n, K) soft assignments.

    Returns
    -------
    balance, onehot : scalars

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> [round(abs(float(part)), 4) for part in clustering_information(jnp.eye(2))]
    [0.6931, 0.0]
    """
    sizes = jnp.maximum(jnp.mean(c, axis=0), 1e-12)
    return jnp.sum(sizes * jnp.log(sizes)), -jnp.mean(jnp.sum(c * jnp.log(c + 1e-8), axis=1))


def consistency_loss(c: Array, labels: Array, groups: Array, n_groups: int) -> Array:
    """Squared gap between two rows' chance to share a cluster and whether they shared one before, within each group.

    ``mean over t of mean over i, j of group t of (c_i·c_j − 1[labels_i = labels_j])²``: FCMI's unpublished addition,
    DFC's structural preservation with hard labels in the place of frozen assignments. Groups that the rows lack do not
    count.

    Parameters
    ----------
    c : (n, K) soft assignments.
    labels : (n,) clusters of a clustering of each row's group alone; labels of different groups are never compared.
    groups : (n,)
    n_groups : T, static.

    Returns
    -------
    Scalar; O(n² K)

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> zero = jnp.array([0, 0])
    >>> [float(consistency_loss(jnp.eye(2), jnp.array(labels), zero, 1)) for labels in ([0, 0], [0, 1])]
    [0.5, 0.0]
    """
    members = (groups[:, None] == jnp.arange(n_groups, dtype=groups.dtype)).astype(c.dtype)
    sizes = jnp.sum(members, 0)
    weights = 1 / jnp.maximum(sizes, 1)[groups] ** 2  # of a pair of rows of that group
    same = (labels[:, None] == labels).astype(c.dtype)
    gaps = (jnp.matmul(c, c.T, precision="highest") - same) ** 2
    within = (groups[:, None] == groups) * weights
    return jnp.sum(gaps * within) / jnp.sum(sizes > 0)


def group_information(c: Array, groups: Array, n_groups: int) -> Array:
    """Mutual information I(G; C) of group and soft cluster over the rows [4]_, eq. 8.

    ``J_kt = (1/n) Σ_i c_ik 1[g_i = t]``, clipped at 1e-12; a group that the batch lacks adds nothing to speak of.

    Parameters
    ----------
    c : (n, K)
    groups : (n,)
    n_groups : T, static.

    Returns
    -------
    Scalar

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> apart = jnp.eye(2)
    >>> round(float(group_information(apart, jnp.array([0, 1]), 2)), 4)
    0.6931
    """
    members = (groups[:, None] == jnp.arange(n_groups, dtype=groups.dtype)).astype(c.dtype)
    joint = jnp.maximum(jnp.matmul(c.T, members, precision="highest") / len(c), 1e-12)
    clusters, shares = jnp.sum(joint, 1, keepdims=True), jnp.sum(joint, 0, keepdims=True)
    return jnp.sum(joint * (jnp.log(joint) - jnp.log(clusters) - jnp.log(shares)))
