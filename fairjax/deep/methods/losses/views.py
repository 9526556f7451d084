"""Images turned, moved and zoomed a little at random, of which a clustering should say the same.

References
----------
.. [1] J. Chang et al., "Deep adaptive image clustering", ICCV 2017, and its public re-writing for MNIST: the ranges.
.. [2] X. Ji, J. Henriques, A. Vedaldi, "Invariant information clustering", ICCV 2019: two views of an image.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

__all__ = ["random_views"]


def random_views(
    key: Array, x: Array, *, angle: ArrayLike = 10.0, shift: ArrayLike = 0.1, zoom: ArrayLike = 0.05
) -> Array:
    """Each image turned, moved and zoomed by amounts of its own, uniform within the given ranges; never mirrored.

    Pixels are interpolated between their four neighbours; beyond its border an image goes on as at the border, so that
    light grounds stay light and dark ones dark.

    Parameters
    ----------
    key : typed random key
        Consumed.
    x : Array (n, h, w, c), floating
    angle : float
        Degrees, to either side.
    shift : float
        Shares of height and width, to either side.
    zoom : float
        From 1 − zoom to 1 + zoom times as large; below 1.

    Returns
    -------
    Array (n, h, w, c)
        O(n h w c).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    >>> bool(jnp.allclose(random_views(jax.random.key(0), x, angle=0, shift=0, zoom=0), x))
    True
    >>> random_views(jax.random.key(0), x).shape
    (1, 3, 3, 1)
    """
    n, height, width, channels = x.shape
    drawn = jax.random.uniform(key, (4, n, 1, 1), x.dtype, -1, 1)
    turn, zoomed = jnp.deg2rad(jnp.asarray(angle, x.dtype)) * drawn[0], 1 + zoom * drawn[1]
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    row = (jnp.arange(height, dtype=x.dtype) - middle_row)[:, None]
    column = (jnp.arange(width, dtype=x.dtype) - middle_column)[None]
    # where each pixel of the view comes from
    cos, sin = jnp.cos(turn) / zoomed, jnp.sin(turn) / zoomed
    from_row = jnp.clip(middle_row + cos * row - sin * column + shift * height * drawn[2], 0, height - 1)
    from_column = jnp.clip(middle_column + sin * row + cos * column + shift * width * drawn[3], 0, width - 1)
    flat = x.reshape(n, height * width, channels)

    def pixels(rows: Array, columns: Array) -> Array:
        place = (jnp.minimum(rows, height - 1) * width + jnp.minimum(columns, width - 1)).astype(jnp.int32)
        return jnp.take_along_axis(flat, place.reshape(n, -1, 1), axis=1).reshape(x.shape)

    above, left = jnp.floor(from_row), jnp.floor(from_column)
    down, right = (from_row - above)[..., None], (from_column - left)[..., None]
    upper = (1 - right) * pixels(above, left) + right * pixels(above, left + 1)
    lower = (1 - right) * pixels(above + 1, left) + right * pixels(above + 1, left + 1)
    return (1 - down) * upper + down * lower
