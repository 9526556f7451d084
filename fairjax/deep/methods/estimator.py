"""What the estimators of the deep methods share: numpy in, one transfer, a compiled run, numpy out."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fairjax import _forks, _frames, _groups, _memory, parallel
from fairjax.datasets.preparation import Preparation
from fairjax.deep.methods import assigning, checks, files, running
from fairjax.deep.methods.config import Config
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnEncoder, OwnNetwork
from fairjax.deep.nets.passing import embed
from fairjax.deep.training.checkpoints import Keeper, check_folder, claimed, fingerprint, identity, restore
from fairjax.deep.training.streams import prepare
from fairjax.deep.training.tasks import Task
from fairjax.errors import InputError, OutOfMemoryError, ReplacementWarning
from fairjax.saving import archive
from fairjax.saving.common import check_format
from fairjax.saving.words import Words

__all__ = ["PRETRAIN_DECAY", "DeepClusterer", "is_vae", "replacement_notes"]

PRETRAIN_DECAY = 5e-4  # L2 of DFC's pretraining, which belongs to its variational network's batch normalisation

_SMALL = 256  # features up to which a small plain network is the default
_KEPT = 3  # checkpoints that stay
_LONG_STEP = 2e8  # parameters times rows, from which a chunk is short so that Ctrl-C is heard soon
_KEY = "the key of random_state"  # as the message says where it differs
# what a resumed run may change, and what is compared in another way
_NOT_SETTINGS = ("network", "checkpoint_dir", "resume", "checkpoint_every", "random_state", "n_devices")


class DeepClusterer(ClusterMixin, BaseEstimator, ABC):
    """What all of them share; parameters and attributes are said once, in each class."""

    n_clusters: int
    network: Any
    n_latent: int | None
    compute: str
    n_devices: int
    checkpoint_dir: str | Path | None
    resume: bool
    checkpoint_every: int
    random_state: Any
    preparation_: Preparation | None

    _image_network: ClassVar[str] = "conv"
    _vector_network: ClassVar[str] = "sdae"
    _unit_norm: ClassVar[bool] = False
    _choices: ClassVar[dict[str, tuple[str, ...]]] = {}
    _networks: ClassVar[tuple[str, ...]] = ("auto", "mlp", "sdae", "fc", "conv", "vae")
    _positive: ClassVar[tuple[str, ...]] = ("tau", "consistency_tau")  # what the method divides by

    @abstractmethod
    def _config(self, network: Network | OwnNetwork, n_groups: int) -> Config:
        """Settings of the method for a network and data of so many groups."""

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
        checks.check_parameters(self)
        _groups.check_pairing(X, sensitive_features, y)
        X = self._as_rows(X, reset=True)
        n = len(X)
        if sensitive_features is None:
            groups, known = np.zeros(n, np.int32), np.array([None], dtype=object)
        else:
            groups, known = _groups.encode(sensitive_features, n)
        if self.n_clusters > n:
            raise InputError(
                f"n_samples={n} is less than n_clusters={self.n_clusters}; ask for at most as many clusters as there "
                "are points"
            )
        self._choose_scale(X)
        network = self._choose_network(X.shape[1:], len(known))
        config = self._config(network, len(known))
        names = ("all",) if sensitive_features is None else tuple(_groups.name_of(value) for value in known)
        key = self._key()
        try:
            result = self._train(config, key, self._scaled(X), groups, names)
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not _memory.is_exhausted(error):
                raise
            left = _memory.free()
            amount = "" if left is None else f" ({left / 1e9:.2g} GB are free)"
            raise OutOfMemoryError(
                f"there is too little memory for steps of batch_size={config.batch}{amount}; take a smaller one, or "
                "compute='bfloat16'"
            ) from error
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
        """Cluster of each row, new ones too; the encoder does not ask for the group, which is ignored.

        Parameters
        ----------
        X : array-like (n, D) or (n, height, width, channels)
        sensitive_features : ignored

        Returns
        -------
        ndarray (n,), int32
        """
        return np.argmax(self.predict_proba(X), axis=1).astype(np.int32)

    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """Soft assignment (n, K) of rows, by the method's own rule."""
        rows = self._ready(X)
        return np.asarray(_probabilities(self._soft, self._network, self._clusterer, rows))

    def embed(self, X: Any) -> npt.NDArray[Any]:
        """Latent rows (n, d) in evaluation mode."""
        rows = self._ready(X)
        return np.asarray(_latent(self._network, self._clusterer, rows))

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
            If the file cannot be written, or group values are no text, numbers or None.
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

    @property
    def _soft(self) -> str:
        return "cosine" if self._unit_norm else "student"

    def _key(self) -> jax.Array:
        """Drawn from ``random_state``; without one, a run that is resumed goes on with its own."""
        if self.random_state is None and self.resume and self.checkpoint_dir is not None:
            recorded = identity(self.checkpoint_dir)
            if recorded is not None and _KEY in recorded:
                return jax.random.wrap_key_data(jnp.array(recorded[_KEY], jnp.uint32))
        return jax.random.key(int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max)))

    def _train(
        self,
        config: Config,
        key: jax.Array,
        X: npt.NDArray[Any],
        groups: npt.NDArray[np.int32],
        names: tuple[str, ...],
    ) -> running.Result:
        mesh = parallel.data_mesh(self.n_devices) if self.n_devices > 1 else None
        data = prepare(X, groups)
        running.check_sizes(config, data)
        tasks = config.tasks(data)
        if self.checkpoint_dir is not None:
            check_folder(self.checkpoint_dir)
        self.notes_ = replacement_notes(tasks, np.asarray(data.sizes), names)
        for note in self.notes_:
            warnings.warn(note, ReplacementWarning, stacklevel=3)
        size = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(config.network.init, key).params))
        options: dict[str, Any] = {"chunk_steps": 10 if size * config.batch > _LONG_STEP else 100, "mesh": mesh}
        if self.checkpoint_dir is None:
            return running.run(key, data, config, **options)
        own = self._identity(key, X, groups)
        with claimed(self.checkpoint_dir):
            position = restore(self.checkpoint_dir, tasks, key, config.hyper(), data, own)
            if position is not None and not self.resume:
                raise InputError(
                    f"the folder {str(self.checkpoint_dir)!r} holds a checkpoint of this run already; resume it "
                    "(resume=True), or choose another folder"
                )
            keeper = Keeper(self.checkpoint_dir, tasks, own, every=self.checkpoint_every, keep=_KEPT)
            with keeper.listening():
                return running.run(key, data, config, position=position, after_chunk=keeper, **options)

    def _identity(self, key: jax.Array, X: npt.NDArray[Any], groups: npt.NDArray[np.int32]) -> dict[str, Any]:
        settings = {
            name: _plain(value) for name, value in self.get_params(deep=False).items() if name not in _NOT_SETTINGS
        }
        network = self.network if isinstance(self.network, str) else type(self.network).__name__
        return {
            "method": type(self).__name__,
            "network": network,
            **settings,
            _KEY: np.asarray(jax.random.key_data(key)).tolist(),
            "data": fingerprint(X, groups),
        }

    def _as_rows(self, X: Any, *, reset: bool) -> npt.NDArray[Any]:
        _forks.check()
        dtype = jnp.result_type(float)
        X = _frames.points(X)
        # what is wrong with vectors scikit-learn says; of images it would not say where
        finite = np.ndim(X) <= 2
        with _frames.reading():
            X = validate_data(
                self, X, dtype=dtype, allow_nd=True, reset=reset, ensure_min_samples=1, ensure_all_finite=finite
            )
        if X.ndim not in (2, 4):
            raise InputError(
                f"X has shape {X.shape}; expected vectors (N, D) or images (N, height, width, channels): images "
                "without a channel axis get one by X[..., None]"
            )
        if 0 in X.shape:
            raise InputError(f"X has shape {X.shape}, so its rows hold no numbers; expected at least one in each")
        if not finite and not np.isfinite(X).all():
            row, *place = (int(i) for i in np.argwhere(~np.isfinite(X))[0])
            raise InputError(
                f"the image in row {row} has the value {X[row, *place]} (NaN or infinite) at (height, width, channel) "
                f"{tuple(place)}; expected finite numbers"
            )
        if reset:
            self._shape = X.shape[1:]
        elif X.shape[1:] != self._shape:
            raise InputError(f"X has rows of shape {X.shape[1:]}; fitted were rows of shape {self._shape}")
        return X

    def _choose_scale(self, X: npt.NDArray[Any]) -> None:
        """Values in [0, 1] or [-1, 1] get a decoder that ends there; other vectors a linear one."""
        low, high = float(X.min()), float(X.max())
        if X.ndim == 4:
            checks.check_pixels(low, high, "[0, 1] or [-1, 1]", -1.0)
        if low >= 0 and high <= 1:
            # FCMI's weights belong to a reconstruction in [-1, 1]
            signed = self._unit_norm and not (isinstance(self.network, str) and self.network == "vae")
            self._scale: tuple[Any, ...] = (2.0, -1.0, "tanh") if signed else (1.0, 0.0, "sigmoid")
        else:
            self._scale = (1.0, 0.0, "tanh" if low >= -1 and high <= 1 else "linear")
        if getattr(self, "recon", "mse") == "bce" and self._scale[2] != "sigmoid":
            raise InputError(
                f"recon='bce' takes values in [0, 1], and these go from {low:g} to {high:g}; bring them there, or take "
                "recon='mse'"
            )

    def _scaled(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        factor, offset, _ = self._scale
        return X if (factor, offset) == (1.0, 0.0) else X * X.dtype.type(factor) + X.dtype.type(offset)

    def _choose_network(self, shape: tuple[int, ...], n_groups: int) -> Network | OwnNetwork:
        if isinstance(self.network, str):
            return self._named_network(self.network, shape, n_groups, self.n_latent)
        if callable(getattr(self.network, "decode", None)):
            own = OwnNetwork(self.network, self.compute)
        else:
            own = OwnEncoder(
                self.network, shape, lambda latent: self._named_network("auto", shape, n_groups, latent), self.compute
            )
        own.check(shape)
        return own

    def _named_network(self, kind: str, shape: tuple[int, ...], n_groups: int, n_latent: int | None) -> Network:
        if kind not in self._networks:
            known = ", ".join(map(repr, self._networks))
            raise InputError(
                f"{type(self).__name__} has no network {kind!r}; expected one of {known}, or an NNX module"
            )
        if kind == "auto":
            kind = self._image_network if len(shape) == 3 else self._vector_network
            if len(shape) == 1 and shape[0] <= _SMALL:
                kind = "mlp"
        options: dict[str, Any] = {"output": self._scale[2]}
        if kind != "vae":
            options |= {"unit_norm": self._unit_norm, "n_groups": n_groups if self._group_branches else 1}
        if kind == "sdae":
            options["hidden"] = (500, 500, 2000)
        latent = n_latent or (64 if kind == "vae" else self.n_clusters)
        return Network(
            kind=kind, shape=shape, n_latent=latent, options=tuple(sorted(options.items())), compute=self.compute
        )

    @property
    def _group_branches(self) -> bool:
        return False

    def _ready(self, X: Any) -> npt.NDArray[Any]:
        check_is_fitted(self)
        X = self._as_rows(X, reset=False)
        if X.ndim == 4:
            # a decoder that ends in [-1, 1] without a change of scale was fitted to such values
            signed = self._scale[0] == 1 and self._scale[2] == "tanh"
            wanted, least = ("[-1, 1]", -1.0) if signed else ("[0, 1]", 0.0)
            checks.check_pixels(float(X.min()), float(X.max()), f"{wanted} as in fit", least)
        return self._scaled(X)

    def _tell_balance(self, groups: npt.NDArray[np.int32]) -> None:
        from fairjax import metrics

        shape: dict[str, Any] = {"n_groups": len(self.groups_)}
        self.balance_ = float(metrics.balance(self.labels_, groups, n_clusters=self.n_clusters, **shape))
        self.max_balance_ = float(metrics.max_balance(groups, **shape))


@partial(jax.jit, static_argnums=(0, 1))
def _probabilities(soft: str, network: Network | OwnNetwork, clusterer: assigning.Clusterer, x: Any) -> jax.Array:
    return jnp.exp(assigning.log_assignment(soft, network, clusterer, x))


@partial(jax.jit, static_argnums=0)
def _latent(network: Network | OwnNetwork, clusterer: assigning.Clusterer, x: Any) -> jax.Array:
    return embed(network, clusterer.params, clusterer.rest, x)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, which JSON takes."""
    return value.item() if isinstance(value, np.generic) else value


def is_vae(network: Network | OwnNetwork) -> bool:
    """Whether a divergence is to be paid, whose scale asks for sums over pixels."""
    return isinstance(network, Network) and network.kind == "vae"


def replacement_notes(tasks: Sequence[Task], sizes: npt.NDArray[Any], names: Sequence[str]) -> tuple[str, ...]:
    """Say where rows are drawn with replacement, since a batch asks for more than there are."""
    found = {}
    for task in tasks:
        if task.by_group:
            small = [f"the group {name}" for name, size in zip(names, sizes.tolist(), strict=True) if size < task.batch]
        else:
            small = ["the data"] if sizes.sum() < task.batch else []
        named = " and ".join(small[:3]) + (f" and {len(small) - 3} more" if len(small) > 3 else "")
        # once for the same groups, whatever the number of stages
        found[named] = f"Steps of {task.batch} rows are more than {named} can fill: rows are drawn with replacement."
    return tuple(note for named, note in found.items() if named)
