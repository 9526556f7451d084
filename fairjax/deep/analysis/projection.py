"""Latent rows on a plane."""

import numpy as np
import numpy.typing as npt

from fairjax.errors import InputError

__all__ = ["tsne"]


def tsne(
    z: npt.ArrayLike, *, perplexity: float = 30.0, random_state: int = 0, start: npt.ArrayLike | None = None
) -> npt.NDArray[np.float32]:
    """Places (N, 2) of latent rows (N, d) by scikit-learn's t-SNE.

    Parameters
    ----------
    z : (N, d)
        A few thousand rows at most: the time grows as N log N, from seconds at a thousand.
    perplexity : float
        Below N.
    random_state : int
    start : (N, 2), optional
        Places of the same rows at another time of the training, which keeps two pictures comparable; by default the
        principal plane.

    Raises
    ------
    InputError
        For rows that are too few for the perplexity, or not finite.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = np.asarray(z, np.float32)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InputError(f"z has shape {rows.shape}; expected finite rows (N, d)")
    if len(rows) <= perplexity:
        raise InputError(f"{len(rows)} rows are too few for a perplexity of {perplexity:g}; take a smaller one")
    init: str | npt.NDArray[np.float32] = "pca" if rows.shape[1] > 1 else "random"
    if start is not None:
        places = np.asarray(start, np.float32)
        init = 1e-4 * places / max(float(places.std()), 1e-12)
    # on a busy machine its threads wait for each other a thousand times, and so few rows gain little by them
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, init=init, random_state=random_state).fit_transform(rows)
