"""What ``compared.py`` compares methods on: tables as papers scale them, and features that an autoencoder learned."""

from typing import NamedTuple

import numpy as np

from fairjax import datasets

K = {"adult": 10, "bank": 10, "bank-marital": 10, "census": 20, "mnist-usps": 10, "reverse-mnist": 10, "har": 6}
# of the images as many as two cores learn from in half a minute, USPS in its share of the whole set
ROWS = {"mnist-usps": (3514, 427), "reverse-mnist": (2000, 2000)}
STEPS, LATENT = 300, 10


class Points(NamedTuple):
    """Points (n, d), groups (n,), and known classes (n,) where there are any."""

    X: np.ndarray
    groups: np.ndarray
    classes: np.ndarray | None = None


def load(name: str, form: str, quick: bool) -> Points:
    """Points of a piece in one of the forms l2, standard, min-max and learned."""
    return learned(name, quick) if form == "learned" else scaled(name, form, quick)


def scaled(name: str, form: str, quick: bool) -> Points:
    """Rows of length 1, standardised columns, or columns from 0 to 1."""
    data = datasets.load(name, l2_normalize=form == "l2")
    X = data.X
    if form == "min-max":
        raw = np.asarray(data.raw, np.float64)
        width = np.ptp(raw, axis=0)
        X = (raw - raw.min(0)) / np.where(width > 0, width, 1)
    thinned = slice(None, None, 20 if quick else 1)
    return Points(np.asarray(X, np.float64)[thinned], data.groups[thinned])


def learned(name: str, quick: bool) -> Points:
    """Latent features (n, 10) of an autoencoder that knows no groups, trained for 300 steps on these rows.

    Of mean square distance 1 from their mean, so that a cost is a share of that of one cluster.
    """
    from fairjax.deep import AEKMeans

    data = _vectors(name)
    rows = _drawn(name, data.groups, quick)
    X, groups = data.X[rows], data.groups[rows]
    model = AEKMeans(
        K[name], steps=20 if quick else STEPS, batch_size=256, n_latent=LATENT, n_init=1, random_state=0
    ).fit(X)
    found = np.asarray(model.embed(X), np.float64)
    found -= found.mean(0)
    return Points(found / np.sqrt(np.square(found).sum(1).mean()), groups, data.target[rows])


def _vectors(name: str) -> datasets.Dataset:
    if name == "har":
        return datasets.load_har(dtype=np.float32)
    read = datasets.load_mnist_usps if name == "mnist-usps" else datasets.load_reverse_mnist
    return read(size=28, signed=True, flatten=True, max_per_group=max(ROWS[name]))


def _drawn(name: str, groups: np.ndarray, quick: bool) -> np.ndarray:
    """Rows that are taken, in the order of the data."""
    sizes = ROWS.get(name, np.bincount(groups))
    each = [np.flatnonzero(groups == s)[: size // 10 if quick else size] for s, size in enumerate(sizes)]
    return np.sort(np.concatenate(each))
