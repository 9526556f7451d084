"""DATA on the command line: a file, a known name, or nothing."""

import difflib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairjax import datasets
from fairjax._core import group_codes
from fairjax._core.text import shown, visible
from fairjax.cli import table_options
from fairjax.datasets import Dataset, Preparation
from fairjax.datasets.table.content import STANDARD_INPUT, is_address
from fairjax.errors import InputError

_BUNDLED = "diabetes"
# what the protected attribute of a known set may be called with --sensitive
_ATTRIBUTES = {
    "diabetes": "sex",
    "adult": "sex",
    "bank": "married",
    "bank-marital": "marital",
    "census": "sex",
    "har": "subject",
    "reverse-digits": "source",
    "mnist-usps": "source",
    "reverse-mnist": "source",
}

_IMAGES = ("reverse-digits", "mnist-usps", "reverse-mnist")
_SIZED = ("mnist-usps", "reverse-mnist")
_BUNDLED_SETS = ("diabetes", "reverse-digits")


def read(
    data: str | None,
    *,
    sensitive: str | None = None,
    features: str | None = None,
    standardize: bool | None = None,
    l2_normalize: bool = False,
    download: bool = False,
    image_size: int | None = None,
    table: dict[str, Any] | None = None,
    key: str | None = None,
    keep_table: bool = False,
) -> tuple[Dataset, str | None]:
    """Return the data and the name of their protected attribute; options left at their default are not passed on.

    `image_size` is the side that sets of images of several sizes are brought to, if not their own default; `table` are
    the keywords of `read_table` that only files have, and `key` its columns that tell the rows apart.
    """
    options: dict[str, Any] = {}
    if standardize is not None:
        options["standardize"] = standardize
    if l2_normalize:
        options["l2_normalize"] = True
    name = _BUNDLED if data is None else data
    if name in _SIZED and image_size is not None:
        options["size"] = image_size
    if name in datasets.names():
        table_options.refuse(table or {}, name)
        return _known(name, sensitive, features, {**options, **({"download": True} if download else {})})
    _check_path(name)
    found = datasets.read_table(
        name,
        sensitive=sensitive,
        features=features,
        download=download,
        key=key or (),
        keep_table=keep_table,
        **options,
        **(table or {}),
    )
    if sensitive is None:
        return found, "group" if found.n_groups > 1 else None
    return found, " and ".join(visible(name, 60) for name in found.attributes)


def is_known(name: str) -> bool:
    """Whether it is the name of a known data set; InputError for what is neither that nor a file's name."""
    if name in datasets.names():
        return True
    _check_path(name)
    return False


def attribute(data: Dataset, *, separately: bool = False) -> npt.NDArray[Any] | None:
    """The protected attribute of every row as it is given to `fit`: the source's values, or the groups' names.

    None for one group. The names stand in where a value does not tell the group. With ``separately`` of several
    attributes a tuple of names, one of each.
    """
    if data.n_groups < 2:
        return None
    if separately and len(data.attributes) > 1:
        columns = [np.array(names, dtype=object)[ids] for ids, names in data.attributes.values()]
        together: npt.NDArray[Any] = np.empty(data.n_samples, dtype=object)
        together[:] = list(zip(*columns, strict=True))
        return together
    if data.sensitive is not None:
        ids, distinct = group_codes.factorize(data.sensitive, data.n_samples)
        pairs = np.unique(ids * np.intp(data.n_groups) + data.groups)
        if len(pairs) == len(distinct) == data.n_groups:
            return data.sensitive
    return np.array(data.group_names, dtype=object)[data.groups]


def attributes(data: Dataset, *, separately: bool = False) -> Any:
    """The protected attributes as `fairjax.compare` takes them: named columns where there are several, or the groups.

    Where small combinations were merged, columns do not tell the groups, so that they are given ``separately`` only.
    """
    if len(data.attributes) < 2:
        return data.groups
    columns = {name: np.array(names, dtype=object)[ids] for name, (ids, names) in data.attributes.items()}
    whole = len(group_codes.factorize({name: ids for name, (ids, _) in data.attributes.items()}, data.n_samples)[1])
    return columns if separately or whole == data.n_groups else data.groups


def group_names(data: Dataset, values: npt.NDArray[Any] | None, known: npt.NDArray[Any]) -> tuple[str, ...]:
    """Names of the groups in the order of their ``known`` values."""
    if values is None:
        return data.group_names
    _, first = np.unique(data.groups, return_index=True)
    names = {group_codes.plain(values[row]): data.group_names[data.groups[row]] for row in first}
    return tuple(names[group_codes.plain(value)] for value in known)


def preparation(data: Dataset, sensitive: str | None) -> Preparation | None:
    """How the rows of another table become points beside those of ``data``."""
    found = data.preparation
    if found is None or found.sensitive or sensitive is None:
        return found
    return replace(found, sensitive=(sensitive,))


def _known(
    name: str, sensitive: str | None, features: str | None, options: dict[str, Any]
) -> tuple[Dataset, str | None]:
    attribute = _ATTRIBUTES[name]
    if sensitive is not None and sensitive != attribute:
        raise InputError(
            f"the data set {name!r} has no sensitive column {shown(sensitive)}; its protected attribute is "
            f"always {attribute!r}: leave out --sensitive"
        )
    if features is not None:
        raise InputError(
            f"--features chooses columns of a file; those of the data set {name!r} are fixed: leave it out"
        )
    if name in _IMAGES and ("standardize" in options or "l2_normalize" in options):
        raise InputError(
            f"--standardize and --l2-normalize scale tables; the images of {name!r} are taken as they are: "
            "leave both out"
        )
    if name in _BUNDLED_SETS:
        options.pop("download", None)
    return datasets.load(name, **options), attribute


def _check_path(name: str) -> None:
    if not _is_path(name):
        close = difflib.get_close_matches(name[:200], datasets.names(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known sets are {', '.join(datasets.names())}"
        raise InputError(f"there is no file or data set {shown(name)}; {hint}")


def _is_path(name: str) -> bool:
    if name == STANDARD_INPUT or is_address(name) or os.sep in name or "\0" in name:
        return True
    return bool(Path(name).suffix) or os.path.lexists(name)
