"""What the estimators of the deep methods share: numpy in, one transfer, a compiled run, numpy out."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from fairjax._core import group_codes
from fairjax.datasets.preparation import Preparation
from fairjax.deep.methods import assigning, files, fitting, rows
from fairjax.deep.methods.alone import checked_labels
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.documentation import documented
from fairjax.deep.methods.settings import check, setting, settings_of
from fairjax.deep.nets.choice import Family, choose
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.nets.passing import embed
from fairjax.errors import InputError
from fairjax.saving import archive
from fairjax.saving.common import check_format
from fairjax.saving.words import Words

__all__ = ["METHODS", "DeepClusterer", "estimator"]

_FEW_ROWS = 10_000  # up to which the command line shortens a method's protocol
_FIELDS = {"group_labels": "alone", "start_labels": "start"}  # of `Data`, by the parameter of `fit`

METHODS: "dict[str, type[DeepClusterer]]" = {}  # by their names on the command line; `estimator` adds to it
Made = TypeVar("Made", bound="DeepClusterer")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EstimatorSettings:
    """What every estimator has beside the settings of its method."""

    network: Any = setting(
        "auto",
        'Autoencoder, by name; or an NNX module of your own: an encoder, which gets the decoder of "auto", or an '
        "autoencoder as described in `fairjax.deep.nets.autoencoders`.",
        words="str or nnx.Module",
    )
    n_latent: int | None = setting(None, 'Latent dimension; by default K, and 64 for the network "vae".')
    compute: Literal["float32", "bfloat16"] = setting(
        "float32", "Type in which the layers compute; losses stay in float32."
    )
    n_devices: int = setting(
        1, "Devices over which the rows of each batch are spread; the result is that of one, up to rounding."
    )
    checkpoint_dir: str | Path | None = setting(
        None,
        "Folder for checkpoints, which are written every `checkpoint_every` steps, at Ctrl-C, SIGTERM and SIGHUP; the "
        "last three are kept.",
    )
    resume: bool = setting(
        False, "Go on from the newest checkpoint in that folder, to the same result as without interruption."
    )
    checkpoint_every: int = setting(1000, "Steps between two checkpoints.")
    random_state: Any = setting(None, "An int repeats the run.", words="int, RandomState instance or None")


class DeepClusterer(ClusterMixin, BaseEstimator, EstimatorSettings):
    """Base of the estimators; each adds the settings of its method and is completed by `estimator`.

    Attributes
    ----------
    config_type : type
        The configuration that its settings belong to.
    command : str
        Name of the method on the command line.
    title : str
        What reports call it.
    networks : Family
        Networks that it takes.
    short : dict
        Settings with which the command line begins for data of few rows; for many they are the defaults.
    image_side : int, optional
        Side to which sets of images are brought for its protocol; None leaves them as they are.
    """

    config_type: ClassVar[type[Config]]
    command: ClassVar[str]
    title: ClassVar[str]
    networks: ClassVar[Family] = Family()
    short: ClassVar[dict[str, Any]] = {}
    image_side: ClassVar[int | None] = 28

    n_clusters: int
    preparation_: Preparation | None

    @classmethod
    def suggested(cls, n_rows: int, n_groups: int) -> dict[str, Any]:
        """Settings with which the command line begins for data of this size."""
        return dict(cls.short) if n_rows <= _FEW_ROWS else {}

    def fit(self, X: Any, y: Any = None, *, sensitive_features: Any = None) -> Self:
        """Train and cluster.

        Parameters
        ----------
        X : array-like (N, D) or (N, height, width, channels)
            Vectors, or images with values in [0, 1] or [-1, 1]; finite.
        y : ignored
        sensitive_features : array-like (N,), optional
            The protected attribute: any hashable values, of any number of groups. None means one group.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For a parameter out of its range, rows of a shape that the network does not take, images with other values,
            a checkpoint of another run, a loss that is no longer finite (`DivergedError`), too little memory.

        Warns
        -----
        ReplacementWarning
            If a batch asks for more rows than there are, so that they are drawn with replacement.
        """
        return self._fit(X, y, sensitive_features, {})

    def _fit(self, X: Any, y: Any, sensitive_features: Any, given: dict[str, Any]) -> Self:
        """Fit with labels from elsewhere, by their names as parameters; they may be functions of rows and group ids."""
        self._check_parameters()
        group_codes.check_pairing(X, sensitive_features, y)
        X = self._as_rows(X, reset=True)
        n = len(X)
        if sensitive_features is None:
            groups, known = np.zeros(n, np.int32), np.array([None], dtype=object)
        else:
            groups, known = group_codes.encode(sensitive_features, n)
        if self.n_clusters > n:
            raise InputError(
                f"n_samples={n} is less than n_clusters={self.n_clusters}; ask for at most as many clusters as there "
                "are points"
            )
        self._choose_scale(X)
        network = self._choose_network(X.shape[1:], len(known))
        names = ("all",) if sensitive_features is None else tuple(group_codes.name_of(value) for value in known)
        told = {name: found(X, groups) if callable(found) else found for name, found in given.items()}
        labels = {_FIELDS[name]: checked_labels(found, n, name) for name, found in told.items() if found is not None}
        result = fitting.train(self, self._config(network), rows.scaled(X, self._scale), groups, names, labels)
        self._network = network
        self._clusterer = result.clusterer
        self.labels_ = np.asarray(result.labels)
        self.cluster_centers_ = np.asarray(result.clusterer.centers)
        self.history_ = result.history
        self.n_iter_ = result.n_steps
        self.ended_early_ = bool(result.done >= 0)
        self.groups_ = known
        self.group_names_ = names
        self.preparation_ = None
        self._tell_balance(groups)
        return self

    def fit_predict(self, X: Any, y: Any = None, *, sensitive_features: Any = None) -> npt.NDArray[np.int32]:
        """Fit, and return ``labels_``; parameters as in `fit`."""
        return self.fit(X, y, sensitive_features=sensitive_features).labels_

    def predict(self, X: Any, *, sensitive_features: Any = None) -> npt.NDArray[np.int32]:
        """Cluster of each row, new ones too; the group is ignored unless the encoder has parts of each group's own.

        Parameters
        ----------
        X : array-like (n, D) or (n, height, width, channels)
        sensitive_features : array-like (n,), optional
            Only an encoder with parts of each group's own (`group_encoder`) asks for it.

        Returns
        -------
        ndarray (n,), int32
        """
        return np.argmax(self.predict_proba(X, sensitive_features=sensitive_features), axis=1).astype(np.int32)

    def predict_proba(self, X: Any, *, sensitive_features: Any = None) -> npt.NDArray[Any]:
        """Soft assignment (n, K) of rows, by the method's own rule; `sensitive_features` as for `predict`."""
        ready = self._ready(X)
        groups = self._groups_of(sensitive_features, len(ready))
        return np.asarray(_probabilities(self.config_type.soft, self._network, self._clusterer, ready, groups))

    def embed(self, X: Any, *, sensitive_features: Any = None) -> npt.NDArray[Any]:
        """Latent rows (n, d) in evaluation mode; `sensitive_features` as for `predict`."""
        ready = self._ready(X)
        groups = self._groups_of(sensitive_features, len(ready))
        return np.asarray(_latent(self._network, self._clusterer, ready, groups))

    def save(self, path: archive.Target, *, preparation: Preparation | None = None) -> None:
        """Write the fitted estimator to one file (NPZ: arrays and a JSON text, no pickle), whole or not at all.

        Parameters
        ----------
        path : path, or stream of bytes
            Taken as it is; ``.npz`` is the usual ending.
        preparation : fairjax.datasets.Preparation, optional
            How the columns of a table became X, for ``fairjax predict``.

        Raises
        ------
        InputError
            If the file cannot be written, or a group's value is not text, a number or None.
        """
        check_is_fitted(self)
        files.save(self, path, getattr(self, "preparation_", None) if preparation is None else preparation)

    @classmethod
    def load(cls, path: str | Path, *, network: Any = None) -> Self:
        """Read what `save` wrote; :func:`fairjax.load` does the same for any class.

        Parameters
        ----------
        path : path
        network : nnx.Module, optional
            Where the estimator was fitted with a module of the user's own: one of the same structure.

        Raises
        ------
        InputError
            If the file is not there, damaged, or of another class (both are named).
        """
        values, arrays = files.read(path)
        with archive.believing(path):
            words = Words(values)
            check_format(words)
            if (found := words.text("class")) != cls.__name__:
                raise archive.ForeignError(f"holds a fitted {found}, not {cls.__name__}")
            return files.restore(cls, words, arrays, network)

    # inside

    def _check_parameters(self) -> None:
        for about in settings_of(type(self)):
            check(about, getattr(self, about.name))

    def _config(self, network: Network | OwnNetwork) -> Config:
        names = [about.name for about in settings_of(self.config_type)]
        return self.config_type(network=network, **{name: getattr(self, name) for name in names})

    def _as_rows(self, X: Any, *, reset: bool) -> npt.NDArray[Any]:
        X = rows.checked(self, X, reset=reset)
        if reset:
            self._shape = X.shape[1:]
        elif X.shape[1:] != self._shape:
            raise InputError(f"X has rows of shape {X.shape[1:]}; fitted were rows of shape {self._shape}")
        return X

    def _choose_scale(self, X: npt.NDArray[Any]) -> None:
        # FCMI's weights belong to a reconstruction in [-1, 1]
        variational = isinstance(self.network, str) and self.network == "vae"
        signed = self.networks.signed or (self.networks.unit_norm and not variational)
        self._scale = rows.scale_of(X, signed=signed)
        if getattr(self, "recon", "mse") == "bce" and self._scale[2] != "sigmoid":
            raise InputError(
                f"recon='bce' takes values in [0, 1], and these go from {X.min():g} to {X.max():g}; bring them there, "
                "or take recon='mse'"
            )

    def _choose_network(self, shape: tuple[int, ...], n_groups: int) -> Network | OwnNetwork:
        return choose(
            self.network,
            self.networks,
            shape,
            method=type(self).__name__,
            n_clusters=self.n_clusters,
            n_latent=self.n_latent,
            branches=n_groups if getattr(self, "group_decoders", False) else 1,
            output=self._scale[2],
            compute=self.compute,
            own_parts=getattr(self, "group_encoder", "shared"),
            n_groups=n_groups,
        )

    def _groups_of(self, sensitive_features: Any, n: int) -> npt.NDArray[np.int32] | None:
        """Numbers (n,) of the groups for an encoder with parts of each group's own; None for any other."""
        if not self._network.by_group:
            return None
        if sensitive_features is None and len(self.groups_) > 1:
            raise InputError(
                "parts of the encoder are each group's own: name the rows' groups in sensitive_features, or fit with "
                "group_encoder='shared'"
            )
        if sensitive_features is None:
            return np.zeros(n, np.int32)
        return group_codes.encode_known(sensitive_features, n, self.groups_)

    def _ready(self, X: Any) -> npt.NDArray[Any]:
        check_is_fitted(self)
        X = self._as_rows(X, reset=False)
        rows.check_pixels_again(X, self._scale)
        return rows.scaled(X, self._scale)

    def _tell_balance(self, groups: npt.NDArray[np.int32]) -> None:
        from fairjax import metrics

        shape: dict[str, Any] = {"n_groups": len(self.groups_)}
        self.balance_ = float(metrics.balance(self.labels_, groups, n_clusters=self.n_clusters, **shape))
        self.max_balance_ = float(metrics.max_balance(groups, **shape))


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=False)
def estimator(kind: type[Made]) -> type[Made]:
    """Complete an estimator: parameters, docstring and its name on the command line follow from its settings.

    Parameters
    ----------
    kind : type
        A class derived from `DeepClusterer` and from the settings of a method.
    """
    made = dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)(kind)
    # scikit-learn sets parameters and compares estimators by identity; what is frozen is the `Config` of a training
    for name in ("__setattr__", "__delattr__", "__eq__", "__hash__"):
        setattr(made, name, getattr(object, name))
    for about in settings_of(made):
        if about.traced:
            # an estimator takes single numbers
            made.__init__.__annotations__[about.name] = float | None if about.optional else float
    made.__doc__ = documented(made)
    METHODS[made.command] = made
    return made


@partial(jax.jit, static_argnums=(0, 1))
def _probabilities(
    soft: assigning.Soft, network: Network | OwnNetwork, clusterer: assigning.Clusterer, x: Any, groups: Any
) -> jax.Array:
    return jnp.exp(assigning.log_assignment(soft, network, clusterer, x, groups))


@partial(jax.jit, static_argnums=0)
def _latent(network: Network | OwnNetwork, clusterer: assigning.Clusterer, x: Any, groups: Any) -> jax.Array:
    return embed(network, clusterer.params, clusterer.rest, x, groups)
