"""The set W of FCA-C (Algorithm 2 of Kim et al., ICML 2025): pairs of points that need not share a cluster.

A pair in W costs π0 min_k ‖x − μ_k‖² + π1 min_k ‖y − μ_k‖², since its points go to their own nearest centres; any other
pair costs what alignment costs. In the paper, W holds the share ε of all pairs that are dearest to align, those above
the upper ε-quantile of the cost; in the authors' code (as of February 2026), the share ε that are *cheapest*.

What this controls: ε bounds the share of all n0·n1 pairs that are in W, **not** the mass that the coupling puts on
them, and so not the unfairness. The plan moves into W, where pairs are cheap: on Adult ε = 0.05 already gives plain
k-means. The problem of Theorem 4.1, a least-cost clustering whose additive gap is at most ε, is solved by the direct
route: ``FCA(epsilon=...)`` or :func:`fairjax.fca.run` with ``fairjax.assignment.control(masses, epsilon=...)``.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

Rule = Literal["dearest", "cheapest"]


def upper_quantile(values: Array, a: Array, b: Array, share: Array | float) -> Array:
    """Least threshold such that the pairs above it hold at most ``share`` of the mass.

    Parameters
    ----------
    values : (n, m)
        Finite.
    a, b : (n,), (m,)
        Masses of rows and columns; a pair's mass is their product, so that equal masses count pairs, and padding of
        mass 0 does not count.
    share : ()
        In [0, 1], traced; ``vmap`` over a grid.

    Returns
    -------
    () threshold, by bisection, exact to the spacing of floats at the greatest value: a fixed number of passes over the
    values instead of a sort.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> values = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> half = jnp.array([0.5, 0.5])
    >>> bool((values > upper_quantile(values, half, half, 0.25)).sum() == 1)
    True
    """
    whole = jnp.sum(a) * jnp.sum(b)
    counted = (a[:, None] > 0) & (b > 0)
    highest = jnp.max(jnp.where(counted, values, -jnp.inf))
    lowest = jnp.min(jnp.where(counted, values, jnp.inf))
    width = highest - lowest
    below = lowest - jnp.maximum(width, jnp.maximum(jnp.abs(lowest), jnp.finfo(values.dtype).tiny))
    # sums of masses are rounded: a share that is met exactly must count as met, but no further pair may slip in
    least_pair = jnp.min(jnp.where(a > 0, a, jnp.inf)) * jnp.min(jnp.where(b > 0, b, jnp.inf))
    allowed = whole * share + jnp.minimum(8 * jnp.finfo(values.dtype).eps * whole, least_pair / 2)

    def halve(_: Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = low + (high - low) / 2
        above = jnp.matmul(jnp.sum(jnp.where(values > middle, b, 0), 1), a, precision="highest")
        met = above <= allowed
        return jnp.where(met, low, middle), jnp.where(met, middle, high)

    n_halvings = jnp.finfo(values.dtype).nmant + 3
    _, threshold = jax.lax.fori_loop(0, n_halvings, halve, (below, highest))
    return jnp.where(share >= 1, below, jnp.where(share <= 0, highest, threshold))


def release(costs: Array, nearest: Array, a: Array, b: Array, share: Array | float, rule: Rule) -> tuple[Array, Array]:
    """Costs of Algorithm 2 and the set W.

    Parameters
    ----------
    costs : (n, m)
        Costs of alignment.
    nearest : (n, m)
        Or broadcastable, π0 min_k ‖x − μ_k‖² + π1 min_k ‖y − μ_k‖².
    share : ()
        The ε of FCA-C.
    rule
        "dearest" (the paper) or "cheapest" (the authors' code).

    Returns
    -------
    costs (n, m) with those in W replaced, and W (n, m) bool.
    """
    order = costs if rule == "dearest" else -costs
    released = order > upper_quantile(order, a, b, share)
    return jnp.where(released, nearest, costs), released
