"""What a fitted FCA can do: assign new points, score them, and return its fair assignment before rounding."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fairjax._core import frames, group_codes
from fairjax.errors import InputError
from fairjax.estimators import inputs, rule

if TYPE_CHECKING:
    from fairjax.datasets.preparation import Preparation
    from fairjax.fca.streaming.fitting import Streamed
    from fairjax.saving.archive import Target

How = Literal["soft", "argmax", "sample"]


class FittedFCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """The part of :class:`fairjax.FCA` that needs the results of `fit`, but no solver."""

    n_clusters: int
    labels_: npt.NDArray[np.int32]
    cluster_centers_: npt.NDArray[Any]
    multipliers_: npt.NDArray[Any]
    groups_: npt.NDArray[Any]
    result_: Any
    streamed_: "Streamed"
    preparation_: "Preparation | None"
    _n_processes: int = 1  # that had rows of the fit in memory, each its own
    _copied_bytes: int = 0  # on disk while a fit over blocks lasted

    def predict(self, X: Any, *, sensitive_features: Any = None) -> npt.NDArray[np.int32]:
        """Assign points, including new ones, by the rule that is optimal for the fitted ones.

        A point x of group s goes to the cluster k with the least ‖x − μ_k‖² + multipliers_[s, k]. For points like the
        fitted ones the clusters stay equally fair, up to chance; a fitted point on a boundary may be assigned
        elsewhere.

        Parameters
        ----------
        X : array-like (n, d)
        sensitive_features : array-like (n,)
            The protected attribute; required exactly if it was given to `fit`.

        Returns
        -------
        ndarray (n,), int32
            For a ``jax.Array`` that is spread over devices, labels of the rows on this process's devices.

        Raises
        ------
        InputError
            For a group value not seen in `fit`, and if `sensitive_features` is missing or superfluous.
        """
        check_is_fitted(self)
        group_codes.check_pairing(X, sensitive_features)
        if inputs.is_sharded(X):
            return self._predict_by_parts(X, sensitive_features)
        X = inputs.points_of(self, X)
        groups = inputs.known_groups_of(sensitive_features, X.shape[0], self.groups_)
        return rule.cheapest(X, groups, self.cluster_centers_, self.multipliers_)

    def _predict_by_parts(self, X: Any, sensitive_features: Any) -> npt.NDArray[np.int32]:
        """Labels of the rows on this process's devices, one device after the other."""
        from fairjax._core import sharding

        values, until, labels = sharding.own_rows(sensitive_features), 0, []
        for part in sharding.parts(X):
            own = None if values is None else values[until : until + len(part)]
            labels.append(self.predict(np.asarray(part), sensitive_features=own))
            until += len(part)
        return np.concatenate(labels)

    def transform(self, X: Any) -> npt.NDArray[Any]:
        """Distance of points to every centre; groups play no part.

        Parameters
        ----------
        X : array-like (n, d)

        Returns
        -------
        ndarray (n, K)
            Euclidean distances, in the dtype of X; a frame after ``set_output(transform="pandas")``.
        """
        check_is_fitted(self)
        X = inputs.points_of(self, X)
        return rule.distances(X, self.cluster_centers_)

    def score(self, X: Any, y: Any = None, *, sensitive_features: Any = None, sample_weight: Any = None) -> float:
        """Negative sum of squared distances of points to the centres that `predict` assigns them to: higher is better.

        Parameters
        ----------
        X : array-like (n, d)
        y : ignored
        sensitive_features : array-like (n,)
            The protected attribute; required exactly if it was given to `fit`.
        sample_weight : array-like (n,), optional
            Weights ≥ 0 of the points.

        Returns
        -------
        float

        Raises
        ------
        InputError
            As `predict`, and for weights that do not match.
        """
        X = frames.points(X)  # only once: a stream can be read only once
        labels = self.predict(X, sensitive_features=sensitive_features)
        X = inputs.points_of(self, X)
        weights = inputs.weights_of(sample_weight, len(X))
        return -rule.spread(X, labels, self.cluster_centers_, weights)

    def assignment(self, how: How = "soft", *, random_state: Any = None) -> npt.NDArray[Any]:
        """The fair assignment of the fitted points, before `labels_` were rounded to the groups' counts.

        On the alignment routes it is eq. (6) of the paper: a point that the coupling splits belongs partly to several
        clusters. Sinkhorn splits many points, exact transport few, and the direct route a handful.

        Parameters
        ----------
        how : {"soft", "argmax", "sample"}, default="soft"
            The fractions; the cluster that holds most of each point (the lowest of equal ones), as the authors' code
            labels; or one drawn from the fractions, which is right on average.
        random_state : int, RandomState instance or None, default=None
            Source of the draw.

        Returns
        -------
        ndarray
            (n, K) fractions, rows on the simplex, for "soft"; (n,) int32 labels otherwise.

        Raises
        ------
        InputError
            For an unknown `how`.
        """
        if how not in get_args(How):
            raise InputError(f"how is {how!r}; expected 'soft', 'argmax' or 'sample'")
        check_is_fitted(self)
        labels = self.labels_  # first, as these may be elsewhere
        solution = self.result_.assignment
        fractions = np.eye(int(self.n_clusters), dtype=solution.fractions.dtype)[labels]
        fractions[solution.rows] = solution.fractions
        if how == "soft":
            return fractions
        if how == "argmax":
            return fractions.argmax(1).astype(np.int32)
        reached = fractions.cumsum(1)
        drawn = check_random_state(random_state).random_sample((len(reached), 1)) * reached[:, -1:]
        return (reached <= drawn).sum(1, dtype=np.int32)

    def write_labels(self, blocks: Iterable[Any], folder: str | os.PathLike[str]) -> None:
        """Write the labels of the rows that `fit_blocks` was given, as Parquet files in a folder of their own.

        There is ``part-00000.parquet`` and so on, one for each file of a scanned table, with the columns ``row`` (its
        number in the whole table, from 0), those of `key`, and ``cluster``; and ``manifest.json``, which lists them
        with centres, prices, counts and the certificate. The folder appears once everything is written, and replaces an
        earlier one that this method wrote. Reads the table once, O(n K d).

        Parameters
        ----------
        blocks : re-iterable of blocks
            The table that was fitted.
        folder : path

        Raises
        ------
        InputError
            If the table is a different one, the folder holds other files, or it cannot be written.
        """
        from fairjax.estimators import stream_labels

        check_is_fitted(self, "streamed_", msg="only a fit over blocks (fit_blocks) has labels to be written; those of "
                        "other fits are labels_")  # fmt: skip
        stream_labels.write(self, blocks, folder)

    def __getattr__(self, name: str) -> Any:
        """Explain where the labels are if they are not kept."""
        if name == "labels_" and "streamed_" in vars(self):
            raise AttributeError(
                "a fit over blocks keeps no labels_: write them to files by write_labels(table, folder), or get those "
                "of some rows by predict"
            )
        if name == "labels_" and self._n_processes > 1:
            raise AttributeError(
                f"the fit was that of {self._n_processes} processes, each with labels_ of its own rows, which a saved "
                "model leaves out; get the labels of some rows by predict"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def save(self, path: "Target", *, preparation: "Preparation | None" = None) -> None:
        """Write the fitted estimator to one file (NPZ: arrays and a JSON text, no pickle), completely or not at all.

        It holds all fitted attributes, including the labels of the fitted rows, but not the rows. After a joint `fit`
        of several processes any of them may save it: as each has only its own rows, labels and fractions of rows are
        left out, and ``labels_`` of the loaded model says so.

        Parameters
        ----------
        path : path, or stream of bytes
            Used as given; ``.npz`` is the usual ending. :func:`fairjax.load` reads it.
        preparation : fairjax.datasets.Preparation, optional
            How the columns of a table became X, for ``fairjax predict``.

        Raises
        ------
        InputError
            If the file cannot be written, or group values are not text, numbers or None.
        """
        from fairjax.estimators import files

        check_is_fitted(self)
        files.save(self, path, getattr(self, "preparation_", None) if preparation is None else preparation)

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
