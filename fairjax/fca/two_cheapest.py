"""The two cheapest clusters of every point, where a pass over the points spends most of its time.

Costs are affine in the point, with a row of coefficients for each cluster. On a CPU they are one matrix product and the
minima of its columns. On a GPU that would write the (K, n) costs to memory and read them again five times; a kernel
(:mod:`~fairjax.fca.two_cheapest_gpu`) reads each point only once, if its features fit into registers.
"""

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.assignment.sources import label_type

_MOST_COLUMNS = 48  # features and groups per point that fit into registers

Cheapest = tuple[Array, Array, Array, Array]


def two_cheapest(affine: Array, features: Array, groups: Array, extended: Array) -> Cheapest:
    """Cheapest and second cheapest cluster (n,), of :func:`label_type`, and their costs (n,); the first of equal ones.

    ``features`` (d, n) and ``groups`` (n,) describe the points, as does ``extended`` (d + M, n), the features and
    the groups' indicators; ``affine`` (K, d + M) has, for each cluster, a coefficient of every feature and what each
    group pays in addition. With one cluster the second costs infinity. O(n K (d + M)).
    """
    if jax.default_backend() == "gpu" and affine.shape[1] <= _MOST_COLUMNS:
        # imported here because this takes a fifth of a second
        from fairjax.fca.two_cheapest_gpu import in_registers

        return in_registers(affine, features, groups)
    return by_product(affine, extended)


def by_product(affine: Array, extended: Array) -> Cheapest:
    """By a matrix product, its minima, and a search for their positions.

    On a CPU ``argmin`` over more than some twenty clusters takes three times as long.
    """
    n_clusters = affine.shape[0]
    reduced = jnp.matmul(affine, extended, precision=jax.lax.Precision.HIGHEST)
    clusters = jnp.arange(n_clusters, dtype=label_type(n_clusters))[:, None]
    cheapest = jnp.min(reduced, 0)
    label = jnp.min(jnp.where(reduced == cheapest, clusters, n_clusters - 1), 0)
    others = jnp.where(clusters == label, jnp.inf, reduced)  # which may take the place of what it is made of
    second = jnp.min(others, 0)
    rival = jnp.min(jnp.where(others == second, clusters, n_clusters - 1), 0)
    return label, rival, cheapest, second
