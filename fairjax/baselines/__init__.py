"""Other methods of fair clustering, with the surface of :class:`fairjax.FCA`, to be run side by side with it.

Each is an estimator with ``fit(X, sensitive_features=...)``. ``cost_`` is the mean squared distance to the means of the
clusters, whatever the method minimises; what that is worth stands in ``objective_``, and how the search ended in
``status_``. ``control`` names the parameter that trades cost for fairness.

``base`` is what they share; every method is a file of its own.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairjax._core.settings import setting
    from fairjax.baselines.base import Baseline, PricedRule, estimator
    from fairjax.baselines.fairlets import Fairlets
    from fairjax.baselines.falg import FAlg
    from fairjax.baselines.fcbc import FCBC
    from fairjax.baselines.fmc import FMC
    from fairjax.baselines.frac import FRAC
    from fairjax.baselines.kmeans import KMeans
    from fairjax.baselines.msflow import MSFlowFC
    from fairjax.baselines.problem import Found, Problem, Start
    from fairjax.baselines.quadtree import quadtree_fairlets
    from fairjax.baselines.sfc import SFC
    from fairjax.baselines.spfc import SpFC
    from fairjax.baselines.vfc import VFC

_NAMES = {
    "Baseline": "fairjax.baselines.base",
    "FAlg": "fairjax.baselines.falg",
    "FCBC": "fairjax.baselines.fcbc",
    "FMC": "fairjax.baselines.fmc",
    "FRAC": "fairjax.baselines.frac",
    "Fairlets": "fairjax.baselines.fairlets",
    "Found": "fairjax.baselines.problem",
    "KMeans": "fairjax.baselines.kmeans",
    "MSFlowFC": "fairjax.baselines.msflow",
    "PricedRule": "fairjax.baselines.base",
    "Problem": "fairjax.baselines.problem",
    "SFC": "fairjax.baselines.sfc",
    "SpFC": "fairjax.baselines.spfc",
    "Start": "fairjax.baselines.problem",
    "VFC": "fairjax.baselines.vfc",
    "estimator": "fairjax.baselines.base",
    "quadtree_fairlets": "fairjax.baselines.quadtree",
    "setting": "fairjax._core.settings",
}

__all__ = [
    "FCBC",
    "FMC",
    "FRAC",
    "SFC",
    "VFC",
    "Baseline",
    "FAlg",
    "Fairlets",
    "Found",
    "KMeans",
    "MSFlowFC",
    "PricedRule",
    "Problem",
    "SpFC",
    "Start",
    "estimator",
    "quadtree_fairlets",
    "setting",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'fairjax.baselines' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
