"""Numbers as records keep them."""

from typing import Any

import numpy as np


def rounded(values: Any, digits: int = 4) -> list[Any]:
    return np.round(np.asarray(values, float), digits).tolist()


def placed(points: Any) -> dict[str, list[float]]:
    """Places (n, 2) on a plane of t-SNE, which is a hundred units wide."""
    return dict(zip("xy", rounded(np.transpose(points), 1), strict=True))
