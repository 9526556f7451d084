"""The data sets by name: what is known, what was found, how to get the rest."""

import difflib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairjax.datasets import sources
from fairjax.datasets.activity import load_har
from fairjax.datasets.dataset import Dataset
from fairjax.datasets.files import DataFile, find, first_available
from fairjax.datasets.images import load_mnist_usps, load_reverse_digits, load_reverse_mnist
from fairjax.datasets.tabular import load_adult, load_bank, load_census, load_diabetes
from fairjax.errors import InputError


@dataclass(frozen=True)
class FileStatus:
    """One file of a data set on this machine: its name, where it was found (or None), how to get it."""

    name: str
    found: Path | None
    how_to_get: str


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """One data set as ``fairjax datasets`` shows it.

    Attributes
    ----------
    name : str
        The name that `load` and the command line take.
    description : str
        What the points and the groups are, with the counts of the default protocol.
    licence : str
        The terms of the data.
    files : tuple of FileStatus
        The files that it is read from; empty for a bundled set. Where several sets of files will do, these
        are the first complete set, or the preferred one when none is complete.
    """

    name: str
    description: str
    licence: str
    files: tuple[FileStatus, ...]

    @property
    def available(self) -> bool:
        """Whether every file was found."""
        return all(file.found is not None for file in self.files)

    @property
    def missing(self) -> tuple[FileStatus, ...]:
        """The files that were not found."""
        return tuple(file for file in self.files if file.found is None)


@dataclass(frozen=True)
class _Entry:
    description: str
    licence: str
    loader: Callable[..., Dataset]
    alternatives: Sequence[Sequence[DataFile]] = ((),)
    fixed: tuple[tuple[str, Any], ...] = ()


_ENTRIES: dict[str, _Entry] = {
    "diabetes": _Entry(
        "442 patients with 9 measurements, 2 groups by sex (bundled with scikit-learn)",
        "none stated",
        load_diabetes,
    ),
    "adult": _Entry(
        "32,561 people of the US census of 1994 with 5 columns, 2 groups by sex",
        sources.CC_BY,
        load_adult,
        ((sources.ADULT_TRAIN,),),
    ),
    "bank": _Entry(
        "41,108 clients of a bank with 6 columns, 2 groups by being married",
        sources.CC_BY,
        load_bank,
        ((sources.BANK,),),
    ),
    "bank-marital": _Entry(
        "41,108 clients of a bank with 6 columns, 3 groups by marital status",
        sources.CC_BY,
        load_bank,
        ((sources.BANK,),),
        (("groups", "marital"),),
    ),
    "census": _Entry(
        "a sample of the US census of 1990 with 25 columns (or 66 discretised ones), 2 groups by sex",
        sources.CC_BY,
        load_census,
        ((sources.CENSUS_POINTS, sources.CENSUS_GROUPS), (sources.CENSUS_DISCRETISED,)),
    ),
    "har": _Entry(
        "10,299 windows of motion (10,411 in the derived form) with 561 features, 30 groups by person",
        sources.HAR_LICENCE,
        load_har,
        (
            (*sources.HAR_PARTS["train"], *sources.HAR_PARTS["test"], sources.HAR_FEATURES),
            (sources.HAPT_FEATURES,),
        ),
    ),
    "reverse-digits": _Entry(
        "1,797 digits of 8 x 8 and their reversals, 2 groups (bundled with scikit-learn)",
        sources.CC_BY,
        load_reverse_digits,
    ),
    "mnist-usps": _Entry(
        "67,291 digits of 32 x 32, 2 groups by source",
        f"MNIST: {sources.MNIST_LICENCE}; USPS: {sources.USPS_LICENCE}",
        load_mnist_usps,
        ((*sources.MNIST["train"], sources.USPS["train"]),),
    ),
    "reverse-mnist": _Entry(
        "60,000 digits of 32 x 32 and their reversals, 2 groups",
        sources.MNIST_LICENCE,
        load_reverse_mnist,
        (sources.MNIST["train"],),
    ),
}


def names() -> tuple[str, ...]:
    """Return the names that `load` takes.

    Examples
    --------
    >>> names()[:3]
    ('diabetes', 'adult', 'bank')
    """
    return tuple(_ENTRIES)


def catalog() -> tuple[CatalogEntry, ...]:
    """Say of every data set what it is, which of its files were found where, and how to get the others.

    Files are looked for, not opened.

    Examples
    --------
    >>> {entry.name: entry.available for entry in catalog()}["diabetes"]
    True
    """
    return tuple(
        CatalogEntry(
            name=name,
            description=entry.description,
            licence=entry.licence,
            files=tuple(
                FileStatus(file.name, find(file), file.how_to_get) for file in first_available(entry.alternatives)
            ),
        )
        for name, entry in _ENTRIES.items()
    )


def load(name: str, **options: Any) -> Dataset:
    """Read a data set by its name on the command line, with the options of its reader.

    Parameters
    ----------
    name : str
        One of `names`.
    **options
        Passed to the reader, for instance ``l2_normalize=True`` for a tabular set or ``download=True``.

    Raises
    ------
    InputError
        When the name or an option is not known, or a file is missing or damaged.

    Examples
    --------
    >>> load("diabetes", l2_normalize=True).X.shape
    (442, 9)
    """
    entry = _ENTRIES.get(name)
    if entry is None:
        close = difflib.get_close_matches(str(name), _ENTRIES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(_ENTRIES)}"
        raise InputError(f"there is no data set named {name!r}; {hint}")
    fixed = dict(entry.fixed)
    allowed = [option for option in inspect.signature(entry.loader).parameters if option not in fixed]
    for option in options:
        if option not in allowed:
            raise InputError(f"the data set {name!r} has no option {option!r}; its options are {', '.join(allowed)}")
    return entry.loader(**fixed, **options)
