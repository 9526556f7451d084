"""What some of the estimators have beside `DeepClusterer`: labels of groups, prices for new rows, groups' decoders."""

import dataclasses
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from fairjax._core import group_codes
from fairjax.deep.methods.estimator import DeepClusterer
from fairjax.deep.methods.settings import setting

__all__ = ["GroupDecoders", "GroupEncoders", "LabelledGroups", "PricedClusterer"]


class LabelledGroups(DeepClusterer):
    """Base of the estimators that take labels of each group clustered alone."""

    def fit(self, X: Any, y: Any = None, *, sensitive_features: Any = None, group_labels: Any = None) -> Self:
        """Train and cluster.

        Parameters
        ----------
        X, y, sensitive_features
            As for the other deep methods.
        group_labels : array-like (N,) of whole numbers, optional
            Clusters of the rows by any clustering of each group alone, such as `IMSAT` on its rows; `consistency` is
            the weight by which they are kept to. Labels of different groups are never compared, and there may be any
            number of clusters.

        Returns
        -------
        self

        Raises
        ------
        InputError
            Also for labels of another length, or below 0.

        Warns
        -----
        ReplacementWarning
            As for the other deep methods.
        """
        return self._fit(X, y, sensitive_features, {"group_labels": group_labels})


class PricedClusterer(DeepClusterer):
    """Base of the estimators whose labels are a fair assignment, with prices that assign new rows, too."""

    def predict(self, X: Any, *, sensitive_features: Any = None) -> npt.NDArray[np.int32]:
        """Cluster of each row, new ones too, by the rule that is optimal for the fitted ones.

        A row of group s belongs to the cluster k of least cost plus multipliers_[s, k]. Costs are squared latent
        distances to the centres for `DeepFCA`, −log p for `FairIMSAT`. For rows like the fitted ones the clusters stay
        as fair, up to chance; a fitted row on a boundary may be assigned elsewhere.

        Parameters
        ----------
        X : array-like (n, D) or (n, height, width, channels)
        sensitive_features : array-like (n,), optional
            Values that `fit` has seen. None takes the cluster of least cost whatever the group, which fair targets make
            nearly fair.

        Returns
        -------
        ndarray (n,), int32

        Raises
        ------
        InputError
            For rows unlike the fitted ones, another number of groups than of rows, and groups that `fit` has not seen.
        """
        if sensitive_features is None:
            return super().predict(X)
        check_is_fitted(self)
        group_codes.check_pairing(X, sensitive_features)
        costs = self._costs(self.embed(X, sensitive_features=sensitive_features))
        groups = group_codes.encode_known(sensitive_features, len(costs), self.groups_)
        return np.argmin(costs + self.multipliers_[groups], axis=1).astype(np.int32)

    @property
    def multipliers_(self) -> npt.NDArray[Any]:
        """(T, K) prices of the fair assignment; see the class."""
        check_is_fitted(self)
        return np.asarray(self._clusterer.prices)

    def _costs(self, z: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Costs (n, K) of rows with these latent values (n, L), up to a constant of the row."""
        return ((z[:, None, :] - self.cluster_centers_) ** 2).sum(-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupDecoders:
    """The setting of estimators whose decoders may have a branch for each group."""

    group_decoders: bool = setting(True, "A decoder branch for each group, or one for all.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupEncoders:
    """The setting of estimators whose encoders may have parts of each group's own."""

    group_encoder: Literal["shared", "layer", "norm", "both"] = setting(
        "shared",
        "What each group has of its own in the encoder: nothing, the first layer, the batch normalisation behind it "
        '(of the network "fc" all), or both; with it new rows are encoded only with their groups.',
    )
