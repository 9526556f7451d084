"""Colours that stay apart for colour-blind readers, and ink that stays readable on them."""

import numpy as np

# Okabe and Ito's eight, with grey instead of black, which would vanish on a dark background.
GROUPS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#8C8C8C",
)

# Middle lightness only: these must show on white and on near-black backgrounds alike.
CLUSTERS = (
    "#3B7DD8",
    "#E08A00",
    "#12A07A",
    "#D0568F",
    "#8A63D2",
    "#D9512C",
    "#3FA7C9",
    "#A08A00",
    "#7F8A94",
    "#5E9E2E",
)


def ink_on(colour: str) -> str:
    """Return black or white, whichever has the higher WCAG contrast on ``colour`` (``#RRGGBB``).

    Examples
    --------
    >>> ink_on("#0072B2"), ink_on("#F0E442")
    ('#fff', '#000')
    """
    level = luminance(colour)
    return "#fff" if 1.05 / (level + 0.05) >= (level + 0.05) / 0.05 else "#000"


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#RRGGBB`` as WCAG 2 defines it, from 0 to 1."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def spread_colours(centres: np.ndarray, n_colours: int = len(CLUSTERS)) -> np.ndarray:
    """Give each cluster a colour index so that clusters with the same colour lie far apart.

    Parameters
    ----------
    centres : ndarray (K, 2)
        Positions in the picture; NaN for empty clusters.
    n_colours : int
        Number of colours; up to that many clusters simply get one each.

    Returns
    -------
    ndarray (K,) of int
    """
    count = len(centres)
    if count <= n_colours:
        return np.arange(count)
    places = np.nan_to_num(centres)
    chosen = np.arange(count) % n_colours
    for k in range(n_colours, count):
        away = ((places[:k] - places[k]) ** 2).sum(axis=1)
        # Choosing the least used colour would use all colours equally; the reader needs distance.
        room = [away[chosen[:k] == c].min() for c in range(n_colours)]
        chosen[k] = int(np.argmax(room))
    return chosen
