"""Synthetic points whose groups are spread over the blobs as unevenly as one asks."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fairjax.datasets.dataset import Dataset, float_dtype
from fairjax.errors import InputError


def make_grouped_blobs(
    n_samples: int = 1000,
    n_features: int = 2,
    n_clusters: int = 3,
    *,
    group_shares: Sequence[float] = (0.5, 0.5),
    skew: float = 0.5,
    cluster_std: float = 1.0,
    center_box: tuple[float, float] = (-10.0, 10.0),
    random_state: int = 0,
    dtype: npt.DTypeLike = np.float64,
) -> Dataset:
    """Draw Gaussian blobs in which the groups are unevenly spread.

    Group s has the share ``group_shares[s]`` of all points. It is spread over the K blobs with probabilities
    ``(1 - skew) / K + skew * home(s, k)``, where ``home`` is even over the blobs k with k mod M = s (over
    blob s mod K where K < M). So ``skew=0`` makes every blob a fair copy of the whole and ``skew=1`` gives
    each group blobs of its own. Counts are rounded, not drawn: they are the same for every seed.

    Parameters
    ----------
    n_samples, n_features, n_clusters : int
        Numbers n of points, d of columns, K of blobs.
    group_shares : sequence of M positive floats
        Shares of the groups, divided by their sum.
    skew : float in [0, 1]
        How far blobs and groups coincide.
    cluster_std : float
        Standard deviation of each blob along each axis.
    center_box : (float, float)
        Blob centres are uniform in this interval along each axis.
    random_state : int
        Seed of centres, points and row order.
    dtype : dtype
        Floating type of ``X``.

    Returns
    -------
    Dataset
        ``target`` is the blob, 0 to K - 1; rows are shuffled.

    Raises
    ------
    InputError
        When a number is out of its range.

    Examples
    --------
    >>> data = make_grouped_blobs(300, n_clusters=3, group_shares=(0.25, 0.75), skew=0.0)
    >>> data.group_sizes.tolist()
    [75, 225]
    >>> np.bincount(data.target[data.groups == 0]).tolist()
    [25, 25, 25]
    """
    shares = np.asarray(group_shares, dtype=np.float64)
    _check(n_samples, n_features, n_clusters, shares, skew, cluster_std, center_box)
    wanted, M = float_dtype(dtype), len(shares)
    home = (np.arange(n_clusters) % M == np.arange(M)[:, None]).astype(np.float64)
    if n_clusters < M:
        home = (np.arange(n_clusters) == np.arange(M)[:, None] % n_clusters).astype(np.float64)
    spread = (1 - skew) / n_clusters + skew * home / home.sum(axis=1, keepdims=True)
    group_sizes = _round_shares(shares, n_samples)
    table = np.stack([_round_shares(row, size) for row, size in zip(spread, group_sizes, strict=True)])

    rng = np.random.default_rng(random_state)
    centres = rng.uniform(*center_box, size=(n_clusters, n_features))
    pairs = np.indices(table.shape).reshape(2, -1)
    groups, blobs = np.repeat(pairs, table.ravel(), axis=1)[:, rng.permutation(n_samples)]
    X = centres[blobs] + cluster_std * rng.standard_normal((n_samples, n_features))
    names = tuple(f"group {s}" for s in range(M))
    return Dataset(
        name="grouped-blobs",
        X=X.astype(wanted),
        feature_names=tuple(f"x{j}" for j in range(n_features)),
        groups=groups.astype(np.int32),
        group_names=names,
        sensitive=groups,
        target=blobs.astype(np.int32),
        target_names=tuple(f"blob {k}" for k in range(n_clusters)),
        raw=X,
        rows=np.arange(n_samples),
        source=f"synthetic, random_state={random_state}",
    )


def _round_shares(shares: npt.NDArray[np.float64], total: int) -> npt.NDArray[np.int64]:
    """Split ``total`` in proportion to ``shares`` by the largest remainders."""
    exact = shares / shares.sum() * total
    counts = np.floor(exact).astype(np.int64)
    # Remainders are compared after rounding, so that equal shares are not told apart by their last bit.
    order = np.argsort(-np.round(exact - counts, 9), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def _check(
    n_samples: int,
    n_features: int,
    n_clusters: int,
    shares: npt.NDArray[np.float64],
    skew: float,
    cluster_std: float,
    center_box: tuple[float, float],
) -> None:
    if shares.ndim != 1 or len(shares) == 0 or not np.isfinite(shares).all() or (shares <= 0).any():
        raise InputError(f"group_shares={shares.tolist()} are not positive numbers; give one share for each group")
    if n_features < 1 or n_clusters < 1:
        raise InputError(f"n_features={n_features} and n_clusters={n_clusters} must both be at least 1")
    if n_samples < max(n_clusters, len(shares)):
        raise InputError(
            f"n_samples={n_samples} is too small; it must be at least the number of blobs ({n_clusters}) "
            f"and of groups ({len(shares)})"
        )
    if not 0 <= skew <= 1:
        raise InputError(f"skew={skew} is out of range; choose a number from 0 (even) to 1 (separate)")
    if not (cluster_std >= 0 and np.isfinite(cluster_std)):
        raise InputError(f"cluster_std={cluster_std} is not a standard deviation; choose a number of at least 0")
    if not (np.isfinite(center_box).all() and center_box[0] <= center_box[1]):
        raise InputError(f"center_box={center_box} is not an interval; give its lower end first")
