"""Phase 2 of FCA: centres for a given coupling, by k-means steps on the aligned points or by gradient.

Both need only two sums over the assignment of eq. (6): the mass N_k of a cluster and the sum S_k of its points, which
equals that of its aligned points. A k-means step sets μ_k = S_k / N_k; the gradient of the k-means cost of the aligned
points is 2 (N_k μ_k − S_k).
"""

from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.fca.alignment.coupling import Pairs, Tuples, assign
from fairjax.fca.alignment.joint_cost import squared_distances

if TYPE_CHECKING:
    import optax

CenterUpdate = Literal["lloyd", "gradient"]
_HIGHEST = jax.lax.Precision.HIGHEST


def optimizer(learning_rate: Array | float) -> "optax.GradientTransformation":
    """Adam, whose step is about ``learning_rate`` in the units of the points, whatever their number."""
    # imported here: only this update needs it, and the import takes a while
    import optax

    return optax.adam(learning_rate)


def begin(kind: CenterUpdate, centers: Array) -> Any:
    """State of the update between iterations; None for k-means steps."""
    return optimizer(0.0).init(centers) if kind == "gradient" else ()


def update(
    coupling: Tuples | Pairs,
    X: Array,
    shares: Array,
    centers: Array,
    memory: Any,
    *,
    kind: CenterUpdate,
    learning_rate: Array | float,
    n_steps: int,
) -> tuple[Array, Array, Any]:
    """Take ``n_steps`` steps, each with the assignment to the centres before that step.

    Returns
    -------
    centers (K, d); masses (n, K) of the last assignment; memory for the next iteration. A cluster without mass keeps
    its centre.
    """

    def step(_: Array, carry: tuple[Array, Array, Any]) -> tuple[Array, Array, Any]:
        centers, _, memory = carry
        masses = assign(coupling, squared_distances(X, centers), shares)
        weighted = masses * shares[:, None]
        counts = jnp.sum(weighted, 0)[:, None]
        sums = jnp.matmul(weighted.T, X, precision=_HIGHEST)
        if kind == "gradient":
            moves, memory = optimizer(learning_rate).update(2 * (counts * centers - sums), memory, centers)
            return centers + moves, masses, memory
        present = counts > jnp.finfo(counts.dtype).eps
        return jnp.where(present, sums / jnp.where(present, counts, 1), centers), masses, memory

    start = (centers, jnp.zeros((X.shape[0], centers.shape[0]), X.dtype), memory)
    return jax.lax.fori_loop(0, n_steps, step, start)
