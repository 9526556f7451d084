"""Fair clustering in JAX: every protected group spread over the clusters as over the whole.

Nothing heavy is imported before it is used: ``import fairjax`` loads neither scikit-learn nor pandas.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fairjax._core import forks

__version__ = "0.1.0"

forks.watch()

if TYPE_CHECKING:
    from fairjax import assignment, baselines, datasets, deep, errors, fca, kmeans, metrics, ot, parallel, report
    from fairjax.assignment import fair_assignment
    from fairjax.comparison import compare
    from fairjax.estimators import FCA
    from fairjax.programs import keep_programs
    from fairjax.saving import load

_MODULES = (
    "assignment", "baselines", "datasets", "deep", "errors", "fca", "kmeans", "metrics", "ot", "parallel", "report",
)  # fmt: skip
_NAMES = {
    "FCA": "fairjax.estimators",
    "compare": "fairjax.comparison",
    "fair_assignment": "fairjax.assignment",
    "keep_programs": "fairjax.programs",
    "load": "fairjax.saving",
}

__all__ = [
    "FCA",
    "assignment",
    "baselines",
    "compare",
    "datasets",
    "deep",
    "errors",
    "fair_assignment",
    "fca",
    "keep_programs",
    "kmeans",
    "load",
    "metrics",
    "ot",
    "parallel",
    "report",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"fairjax.{name}")
    raise AttributeError(f"module 'fairjax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
