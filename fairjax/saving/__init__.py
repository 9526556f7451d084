"""Models as files: `load` reads what the `save` of any estimator wrote.

``atomic`` writes files wholly or not at all, ``archive`` is the format, ``words`` and ``common`` check what a file
tells. What is written of a model is said beside it: :mod:`fairjax.estimators.files`, :mod:`fairjax.deep.methods.files`.
"""

from fairjax.saving.loading import load

__all__ = ["load"]
