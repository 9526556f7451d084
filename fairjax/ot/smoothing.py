"""Duals near the optimum from a few over-relaxed Sinkhorn iterations along falling temperatures, in single precision.

They need not be exact: :mod:`fairjax.ot.paths` finishes the job. So the kernel exp(−reduced cost / temperature) is
formed a few times per temperature, and in between the scalings are matrix-vector products (Schmitzer, SIAM J. Sci.
Comput. 2019), ten times cheaper than log-sum-exps. Over-relaxation (Thibault et al., 2021) converges several times
faster, which reduces the number of remaining paths more than a lower temperature does.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

_RELAXATION = 1.7
_PRODUCTS = 30  # scalings per formation of the kernel
_LARGEST = 1e3  # largest factor of one scaling, so that an exponential never overflows


def smoothed_duals(
    costs: Array,
    a: Array,
    b: Array,
    f: Array,
    g: Array,
    temperatures: Sequence[float],
    *,
    floor: ArrayLike = 0.0,
    n_kernels: int,
) -> Array:
    """Duals g (B, m) near the optimum for costs (B, n, m), from feasible duals f (B, n) and g (B, m).

    ``temperatures`` are relative to the mean reduced cost of the given duals; ``floor`` (B,) is the lowest, in cost
    units. Each temperature gets ``n_kernels`` kernels; those below the floor are skipped. O(n m) per product, 60
    products per kernel.
    """
    dtype = costs.dtype
    single = jnp.float32
    share_a = a / jnp.maximum(jnp.sum(a, -1, keepdims=True), jnp.finfo(dtype).tiny)
    share_b = b / jnp.maximum(jnp.sum(b, -1, keepdims=True), jnp.finfo(dtype).tiny)
    active = (a > 0)[..., None] & (b > 0)[:, None]
    reduced = jnp.where(active, costs - f[..., None] - g[:, None], 0)
    spread = jnp.einsum("bn,bnm,bm->b", share_a, reduced, share_b)
    spread = jnp.where(spread > 0, spread, 1)
    reduced = jnp.where(active, reduced / spread[:, None, None], jnp.inf).astype(single)
    share_a, share_b = share_a.astype(single), share_b.astype(single)
    log_a, log_b = (jnp.where(share > 0, jnp.log(jnp.maximum(share, 1e-37)), 0) for share in (share_a, share_b))

    def scaled(scaling: Array, share: Array, received: Array) -> Array:
        wanted = share / jnp.maximum(received, 1e-37)
        change = jnp.clip(wanted / scaling, 1 / _LARGEST, _LARGEST) ** _RELAXATION
        return jnp.clip(jnp.where(share > 0, scaling * change, 1), 1e-12, 1e12)

    lowest = jnp.broadcast_to(floor / spread, spread.shape).astype(single)
    falling = jnp.asarray(temperatures, single)

    def kernel(iteration: Array, duals: tuple[Array, Array]) -> tuple[Array, Array]:
        _, g = duals
        temperature = jnp.maximum(falling[iteration // n_kernels], lowest)[:, None]
        # rows first: they keep all information in the columns' duals
        f = temperature * (log_a - _log_sum((g[:, None] - reduced) / temperature[..., None], -1))
        g = temperature * (log_b - _log_sum((f[..., None] - reduced) / temperature[..., None], -2))
        plan = jnp.exp((f[..., None] + g[:, None] - reduced) / temperature[..., None])

        def product(_: Array, scalings: tuple[Array, Array]) -> tuple[Array, Array]:
            u, v = scalings
            v = scaled(v, share_b, jnp.einsum("bn,bnm->bm", u, plan))
            u = scaled(u, share_a, jnp.einsum("bnm,bm->bn", plan, v))
            return u, v

        u, v = jax.lax.fori_loop(0, _PRODUCTS, product, (jnp.ones_like(f), jnp.ones_like(g)))
        return f + temperature * jnp.log(u), g + temperature * jnp.log(v)

    # the lowest temperature is needed only once
    above = jnp.max(jnp.sum(falling[:, None] > lowest, 0))
    n_iter = n_kernels * jnp.minimum(above + 1, len(temperatures))
    _, smooth = jax.lax.fori_loop(0, n_iter, kernel, (jnp.zeros_like(log_a), jnp.zeros_like(log_b)))
    smooth = g + spread[:, None] * smooth.astype(dtype)
    return jnp.where((b > 0) & jnp.isfinite(smooth), smooth, g)


def _log_sum(exponents: Array, axis: int) -> Array:
    """Log-sum-exp, 0 for padding, where every exponent is minus infinity."""
    highest = jnp.max(exponents, axis, keepdims=True)
    highest = jnp.where(jnp.isfinite(highest), highest, 0)
    total = jnp.sum(jnp.exp(exponents - highest), axis)
    return jnp.where(total > 0, jnp.log(jnp.maximum(total, 1e-37)) + jnp.squeeze(highest, axis), 0)
