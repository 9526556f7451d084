"""FCMI's losses: informations between rows, clusters and groups [1]_.

References
----------
.. [1] P. Zeng et al., "Deep fair clustering via maximizing and minimizing mutual information", CVPR 2023.
"""

import jax.numpy as jnp
from jax import Array


def clustering_information(c: Array) -> tuple[Array, Array]:
    """Two parts of −I(X; C), whose sum FCMI minimises: Σ_k p_k log p_k, and the mean entropy of the rows [1]_, eq. 7.

    The first evens out the clusters' sizes, the second makes assignments hard.

    Parameters
    ----------
    c : Array (n, K)
        Soft assignments.

    Returns
    -------
    balance : Array ()
    onehot : Array ()

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
    DFC's structural preservation with hard labels in the place of frozen assignments. Groups without rows do not
    count.

    Parameters
    ----------
    c : Array (n, K)
        Soft assignments.
    labels : Array (n,), int32
        Clusters of each row's group alone; labels of different groups are never compared.
    groups : Array (n,), int32
    n_groups : int
        T, static.

    Returns
    -------
    Array ()
        O(n² K).

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
    """Mutual information I(G; C) of group and soft cluster over the rows [1]_, eq. 8.

    ``J_kt = (1/n) Σ_i c_ik 1[g_i = t]``, clipped at 1e-12; a group that the batch lacks adds next to nothing.

    Parameters
    ----------
    c : Array (n, K)
        Soft assignments.
    groups : Array (n,), int32
    n_groups : int
        T, static.

    Returns
    -------
    Array ()

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
