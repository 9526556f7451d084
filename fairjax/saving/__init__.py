"""Models as files: `load` reads what the `save` of any estimator wrote.

``archive`` is the format; ``words`` and ``common`` check the contents of a file. What is written for each kind of
model is defined beside it: :mod:`fairjax.estimators.files`, :mod:`fairjax.deep.methods.files`.
"""

from fairjax.saving.loading import load

__all__ = ["load"]
