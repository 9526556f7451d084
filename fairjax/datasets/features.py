"""Reader of precomputed features of images, as Office-31 and MTFL are clustered by, from a file of the user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairjax._core import group_codes
from fairjax.datasets.dataset import Dataset, choose, float_dtype
from fairjax.datasets.files import data_folders
from fairjax.errors import InputError

__all__ = ["load_features"]

_FIELDS = ("features", "labels", "groups")
_WIDTH = 2048  # of the average over ResNet50's last maps
_NEAR = 0.02  # by which mean and deviation may differ from those of the authors' own features


@dataclass(frozen=True, kw_only=True)
class _Protocol:
    """FCMI's transform of ResNet50 features, and what its authors' data are like (their public code)."""

    shift: float
    scale: float
    mean: float
    deviation: float
    groups: tuple[int, ...]
    classes: int
    counts: tuple[int, ...] = ()


_PROTOCOLS = {
    "office-31": _Protocol(
        shift=0.39709640, scale=0.43060601, mean=-0.1085, deviation=0.5450, groups=(2817, 795), classes=31
    ),
    "mtfl": _Protocol(
        shift=0.34949973, scale=0.38059562, mean=-0.1147, deviation=0.5310, groups=(1000, 1000), classes=2,
        counts=(1308, 692),
    ),
}  # fmt: skip


def load_features(
    path: str | Path, *, protocol: Literal["office-31", "mtfl"] | None = None, dtype: npt.DTypeLike = np.float32
) -> Dataset:
    """Read features that were computed elsewhere: an NPZ file with ``features`` (n, d), ``labels`` and ``groups`` (n,).

    Of Office-31 and MTFL there are no public files of features. Whoever has the images makes them by an ImageNet
    ResNet50, as the average over its last maps (2048 numbers a row), and names the protocol: the features are then
    transformed as FCMI's authors do, to tanh((f − m) / s), and checked against what is known of theirs.

    Parameters
    ----------
    path : path
        Of the NPZ file; a relative one is also looked for in the data folders.
    protocol : {"office-31", "mtfl"}, optional
        None takes the features as they are.
    dtype : dtype
        Floating type of ``X``.

    Returns
    -------
    Dataset
        Groups in the order of their sorted values; ``target`` numbers the sorted classes from 0.

    Raises
    ------
    InputError
        If the file is not there or lacks an array, shapes do not fit, features are not finite, or the data are not
        those of the protocol: another width, other sizes of groups or classes, another mean or deviation.

    Examples
    --------
    >>> import tempfile, os, numpy as np
    >>> name = os.path.join(tempfile.mkdtemp(), "features.npz")
    >>> np.savez(name, features=np.eye(4), labels=["cup", "cup", "pen", "pen"], groups=["a", "b", "a", "b"])
    >>> data = load_features(name)
    >>> data.X.shape, data.target.tolist(), data.group_names
    ((4, 4), [0, 0, 1, 1], ('a', 'b'))
    """
    wanted = float_dtype(dtype)
    if protocol is not None:
        choose("protocol", protocol, tuple(_PROTOCOLS))
    found = _place(Path(path))
    raw, labels, sensitive = _arrays(found)
    groups, known = group_codes.encode(sensitive, len(raw))
    classes, target = np.unique(labels, return_inverse=True)
    X = raw.astype(np.float64)
    if protocol is not None:
        X = _transformed(X, groups, target, _PROTOCOLS[protocol], protocol)
    return Dataset(
        name=protocol or found.stem,
        X=X.astype(wanted),
        feature_names=tuple(f"feature {i}" for i in range(X.shape[1])),
        groups=groups,
        group_names=tuple(group_codes.name_of(value) for value in known),
        sensitive=sensitive,
        target=target.astype(np.int32),
        target_names=tuple(str(name) for name in classes),
        raw=raw,
        rows=np.arange(len(raw)),
        source=str(found.name),
    )


def _place(path: Path) -> Path:
    for folder in (Path(), *data_folders()):
        if (folder / path).is_file():
            return folder / path
    raise InputError(f"there is no file {str(path)!r}; give an NPZ file with the arrays {', '.join(_FIELDS)}")


def _arrays(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            missing = [name for name in _FIELDS if name not in stored.files]
            arrays = {name: stored[name] for name in _FIELDS if name not in missing}
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise InputError(f"{path} is not an NPZ file that can be read ({error})") from error
    if missing:
        raise InputError(f"{path} lacks the array {missing[0]!r}; expected {', '.join(_FIELDS)}")
    features, labels, groups = (arrays[name] for name in _FIELDS)
    if features.ndim != 2 or not len(features) or not np.issubdtype(features.dtype, np.floating):
        raise InputError(
            f"the features in {path} are {features.dtype} of shape {features.shape}; expected floating rows (n, d)"
        )
    if labels.shape != features.shape[:1] or groups.shape != features.shape[:1]:
        raise InputError(
            f"labels and groups in {path} have shapes {labels.shape} and {groups.shape}; expected ({len(features)},), "
            "one for each row of features"
        )
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise InputError(f"the features in {path} are not finite in row {row}; expected finite numbers")
    return features, labels, groups


def _transformed(
    raw: npt.NDArray[np.float64], groups: npt.NDArray[Any], target: npt.NDArray[Any], about: _Protocol, name: str
) -> npt.NDArray[np.float64]:
    """FCMI's transform, and the checks of what it was given and gives."""
    for what, found, expected in (
        ("numbers a row", (raw.shape[1],), (_WIDTH,)),
        ("rows in its groups", _sizes(groups), about.groups),
        ("classes", (target.max() + 1,), (about.classes,)),
        ("rows in its classes", _sizes(target), about.counts or _sizes(target)),
    ):
        if tuple(found) != expected:
            raise InputError(
                f"{name} has {_listed(expected)} {what}, and these features {_listed(found)}; leave protocol out for "
                "other data"
            )
    X = np.tanh((raw - about.shift) / about.scale)
    for what, number, like in (("mean", X.mean(), about.mean), ("deviation", X.std(), about.deviation)):
        if abs(number - like) > _NEAR:
            raise InputError(
                f"after the transform of {name} the features have the {what} {number:.4f}, those of its authors "
                f"{like:.4f}: expected the average over the last maps of an ImageNet ResNet50, not transformed yet"
            )
    return X


def _sizes(ids: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(sorted(np.bincount(ids).tolist(), reverse=True))


def _listed(numbers: Any) -> str:
    few = ", ".join(str(int(number)) for number in tuple(numbers)[:4])
    return few if len(numbers) <= 4 else f"{few}, ..."
