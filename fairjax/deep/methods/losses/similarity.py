"""DAC's loss: pairs of rows that are surely similar, or surely different, are made more so [1]_.

References
----------
.. [1] J. Chang et al., "Deep adaptive image clustering", ICCV 2017.
"""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

_LEAST = 1e-10  # of what is taken a logarithm of


def pair_similarity(q: Array) -> Array:
    """Cosines (n, n) of soft assignments (n, K), from 0 to 1.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> pair_similarity(jnp.eye(2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    unit = q / jnp.linalg.norm(q, axis=1, keepdims=True)
    return jnp.matmul(unit, unit.T, precision="highest")


def pair_loss(similarity: Array, upper: ArrayLike, lower: ArrayLike) -> tuple[Array, Array]:
    """−log s of the pairs above `upper`, and −log(1 − s) of those below `lower`, as means over all pairs.

    Pairs between the two do not count; a row with itself does, at next to nothing, as in the public re-writing.

    Parameters
    ----------
    similarity : Array (n, n)
    upper, lower : float

    Returns
    -------
    similar, different : Array ()
        O(n²).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> s = jnp.array([[0.9, 0.5], [0.5, 0.1]])
    >>> [round(float(part), 4) for part in pair_loss(s, 0.8, 0.2)]
    [0.0263, 0.0263]
    """
    similar = jnp.where(similarity > upper, -jnp.log(jnp.clip(similarity, _LEAST, 1)), 0)
    different = jnp.where(similarity < lower, -jnp.log(jnp.clip(1 - similarity, _LEAST, 1)), 0)
    return jnp.mean(similar), jnp.mean(different)
