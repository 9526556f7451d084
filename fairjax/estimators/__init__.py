"""The scikit-learn surface: `FCA`, on top of the pure functions in :mod:`fairjax.fca`.

``fca`` is the estimator; ``settings`` checks its parameters, ``given`` and ``inputs`` check the arguments of `fit`,
``rule`` assigns points by the fitted prices, and ``endings`` describes how a fit ended. The estimators of the deep
methods are in :mod:`fairjax.deep`.
"""

from fairjax.estimators.fca import FCA

__all__ = ["FCA"]
