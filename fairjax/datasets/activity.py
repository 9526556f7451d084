"""Reader of smartphone activity: 30 people as 30 groups."""

import io
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairjax.datasets import sources
from fairjax.datasets.dataset import Dataset, choose, prepare
from fairjax.datasets.files import find, read
from fairjax.errors import InputError

_N_FEATURES = 561
_ACTIVITIES = ("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying")


def load_har(
    *,
    form: Literal["auto", "uci", "hapt"] = "auto",
    standardize: bool = False,
    l2_normalize: bool = False,
    dtype: npt.DTypeLike = np.float64,
    download: bool = False,
) -> Dataset:
    """Read smartphone activity: windows of motion signals as 561 features, grouped by person.

    Parameters
    ----------
    form : {"auto", "uci", "hapt"}
        "uci": the 10,299 windows of UCI HAR, its training part followed by its test part. "hapt": 10,411
        windows whose features were computed anew from the raw signals of the later release (HAPT), for those
        who cannot get the former; the two agree closely but not digit for digit. "auto" takes "uci" where it
        is found.
    standardize : bool
        Off by default: the features are in [-1, 1] already and published work takes them as they are.
    l2_normalize, dtype
        As for `load_adult`.
    download : bool
        No digest of UCI's matrix is known, so it is not downloaded: the error says where to get it.

    Returns
    -------
    Dataset
        Groups 0 to 29 for subjects 1 to 30; ``target`` is the activity, 0 to 5.

    Raises
    ------
    InputError
        When a file is missing, damaged or not the expected one, or an option is not known.
    """
    choose("form", form, ("auto", "uci", "hapt"))
    if form == "auto":
        # The UCI form is also what the error asks for when there is nothing at all: it is the public one.
        uci = find(sources.HAR_PARTS["train"][0]) is not None or find(sources.HAPT_FEATURES) is None
        form = "uci" if uci else "hapt"
    raw, activity, subject, names = _read_uci(download) if form == "uci" else _read_hapt(download)
    people, groups = np.unique(subject, return_inverse=True)
    return Dataset(
        name="har",
        X=prepare(raw, standardize=standardize, l2_normalize=l2_normalize, dtype=dtype),
        standardized=standardize,
        l2_normalized=l2_normalize,
        feature_names=_distinct(names),
        groups=groups.astype(np.int32),
        group_names=tuple(f"subject {person}" for person in people),
        sensitive=subject,
        target=activity.astype(np.int32) - 1,
        target_names=_ACTIVITIES,
        raw=raw,
        rows=np.arange(len(raw)),
        source=sources.HAR_SOURCE if form == "uci" else sources.HAPT_SOURCE,
        licence=sources.HAR_LICENCE,
    )


_Windows = tuple[npt.NDArray[np.float64], npt.NDArray[Any], npt.NDArray[np.int64], list[str]]


def _read_uci(download: bool) -> _Windows:
    matrices, activities, subjects = [], [], []
    for points, activity, subject in sources.HAR_PARTS.values():
        content = read(points, download=download)
        activities.append(np.loadtxt(io.BytesIO(read(activity, download=download)), dtype=np.int64))
        subjects.append(np.loadtxt(io.BytesIO(read(subject, download=download)), dtype=np.int64))
        expected = (len(subjects[-1]), _N_FEATURES)
        # No digest is published for the matrix, so its shape and range are checked instead.
        try:
            matrix = np.loadtxt(io.BytesIO(content), dtype=np.float64, ndmin=2)
            if matrix.shape != expected or not (np.abs(matrix) <= 1).all():
                raise ValueError(f"found shape {matrix.shape}, expected {expected} and values in [-1, 1]")
        except ValueError as error:
            raise InputError(f"{find(points)} is not UCI HAR's {points.name} ({error}); get the original") from error
        matrices.append(matrix)
    lines = read(sources.HAR_FEATURES, download=download).decode("ascii").splitlines()
    names = [line.split(maxsplit=1)[1] for line in lines]
    return np.concatenate(matrices), np.concatenate(activities), np.concatenate(subjects), names


def _read_hapt(download: bool) -> _Windows:
    with np.load(io.BytesIO(read(sources.HAPT_FEATURES, download=download)), allow_pickle=False) as arrays:
        return (
            arrays["X"].astype(np.float64),
            arrays["activity"],
            arrays["subject"].astype(np.int64),
            [str(name) for name in arrays["feature_names"]],
        )


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Return the names with repeats numbered, since the source uses some for several columns."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(result)
