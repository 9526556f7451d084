"""Saved models: one function that reads every kind."""

import os
from typing import Any

from fairjax.errors import InputError
from fairjax.saving import archive
from fairjax.saving.common import check_format
from fairjax.saving.words import Words

__all__ = ["load"]


def load(path: str | os.PathLike[str], *, network: Any = None) -> Any:
    """Read a fitted model that its `save` wrote: `FCA`, a baseline that predicts, or a deep method.

    Parameters
    ----------
    path : path
        The file. Nothing in it is executed: it holds arrays and a JSON text, no pickle, and both are checked, so that a
        damaged or foreign file is reported as such.
    network : nnx.Module, optional
        For a deep method fitted with a module of the user's own: one with the same structure.

    Returns
    -------
    FCA, or an estimator of :mod:`fairjax.baselines` or :mod:`fairjax.deep`
        With all of its fitted attributes.

    Raises
    ------
    InputError
        If the file does not exist, is damaged, is not a model, or has a later format.

    Examples
    --------
    >>> import tempfile
    >>> import fairjax
    >>> X, sex = [[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]], ["f", "m", "f", "m", "f", "m"]
    >>> model = fairjax.FCA(n_clusters=2, random_state=0).fit(X, sensitive_features=sex)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.npz")
    ...     again = fairjax.load(f"{folder}/model.npz")
    >>> bool((again.predict(X, sensitive_features=sex) == model.predict(X, sensitive_features=sex)).all())
    True
    """
    values, arrays = archive.read(path)
    with archive.believing(path):
        words = Words(values)
        check_format(words)
        name = words.text("class")
        if name == "FCA":
            from fairjax.estimators import files

            return files.restore(words, arrays)
        from fairjax.baselines import files as baseline_files

        known = baseline_files.kinds()
        if name in known:
            return baseline_files.restore(known[name], words, arrays)
        from fairjax.deep.methods import files as deep_files
        from fairjax.deep.methods.estimator import METHODS

        kinds = {kind.__name__: kind for kind in METHODS.values()}
        if name not in kinds:
            raise InputError(f"there is no class {name!r}")
        return deep_files.restore(kinds[name], words, arrays, network)
