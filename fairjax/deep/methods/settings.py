"""What a setting of a method is: one field of a frozen dataclass, with its type, its bounds and its sentence.

Everything else follows from the fields: parameters of the estimator and their checks, numbers that are traced,
documentation, and what ``fairjax fit --set`` takes. The annotation says what kind of setting it is:

==================  =======================================================================================
`Number`            a number that is traced: another value compiles nothing anew, and the pure functions take
                    an array (S,) with one value for each seed
``float``           a number that is compiled in
``int``             a whole number, compiled in
``bool``            a switch
``Literal[...]``    one of several words
``... | None``      may be left out
==================  =======================================================================================
"""

import copy
import dataclasses
import enum
import os
import types
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import jax
import numpy as np
from jax import Array

from fairjax._core.checks import check_choice, check_count
from fairjax.errors import InputError

__all__ = ["Number", "Setting", "Settings", "check", "differs", "renamed", "setting", "settings_of", "static"]

Number: TypeAlias = float | Array | np.ndarray

_MOST = 2**31  # of whole numbers, which the device counts in 32 bits

Kind: TypeAlias = Literal["number", "whole", "flag", "choice", "path", "other"]
SomeSettings = TypeVar("SomeSettings", bound="Settings")


def setting(
    default: Any = dataclasses.MISSING,
    doc: str = "",
    *,
    least: int | None = None,
    above: float | None = None,
    below: float | None = None,
    most: float | None = None,
    words: str = "",
    formerly: str = "",
) -> Any:
    """Declare a setting, as the default of a field.

    Parameters
    ----------
    default : object
        Its default.
    doc : str
        One sentence. Left out where a class gives another default to a field that it inherits.
    least : int, optional
        Least whole number; 1 where nothing is said.
    above : float, optional
        What a number has to exceed; it is at least 0 in any case.
    below : float, optional
        What a number stays below.
    most : float, optional
        Largest value of a number.
    words : str, optional
        What the documentation says of the type, where the annotation says too little.
    formerly : str, optional
        Its name in files of earlier versions.
    """
    about = {
        "doc": doc,
        "least": least,
        "above": above,
        "below": below,
        "most": most,
        "words": words,
        "formerly": formerly,
    }
    return dataclasses.field(default=default, metadata=about)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting as it was declared.

    Attributes
    ----------
    name : str
    doc : str
    default : object
    kind : {"number", "whole", "flag", "choice", "path", "other"}
    choices : tuple of str
        The words of a choice.
    optional : bool
        Whether None is allowed.
    traced : bool
        Whether the number is traced rather than compiled in.
    least : int, optional
    above : float, optional
    below : float, optional
    most : float, optional
    words : str
    formerly : str
        These as given to `setting`.
    """

    name: str
    doc: str
    default: Any
    kind: Kind
    choices: tuple[str, ...] = ()
    optional: bool = False
    traced: bool = False
    least: int | None = None
    above: float | None = None
    below: float | None = None
    most: float | None = None
    words: str = ""
    formerly: str = ""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings that all methods have; each method's own class adds more.

    It is the last base of such a class, and mixins of settings do not derive from it: dataclasses would take an
    inherited default of theirs for one that replaces the method's.
    """

    n_clusters: int = setting(10, "Number of clusters K.")
    _: dataclasses.KW_ONLY
    n_init: int = setting(20, "Restarts of k-means.")


def settings_of(kind: type) -> tuple[Setting, ...]:
    """All settings of a class, those of its bases first."""
    return _settings_of(kind)


@cache
def _settings_of(kind: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(kind)
    declared = [field for field in dataclasses.fields(kind) if "doc" in field.metadata]
    return tuple(_described(kind, field, hints[field.name]) for field in declared)


def renamed(kind: type, found: dict[str, Any]) -> dict[str, Any]:
    """What a file of any version says of settings, under the names of today."""
    names = {about.formerly: about.name for about in settings_of(kind) if about.formerly}
    return {names.get(name, name): value for name, value in found.items()}


def check(about: Setting, value: Any, *, scalar: bool = True) -> None:
    """Refuse a value out of its range.

    Parameters
    ----------
    about : Setting
    value : object
    scalar : bool
        Take single finite numbers only; otherwise arrays too, of which the bounds alone are checked.

    Raises
    ------
    InputError
    """
    name = about.name
    if value is None and about.optional:
        return
    if about.kind == "choice":
        check_choice(name, value, about.choices)
    elif about.kind == "flag":
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{name} is {value!r}; expected True or False")
    elif about.kind == "whole":
        check_count(name, value, 1 if about.least is None else about.least)
        if int(value) >= _MOST:
            raise InputError(f"{name} is {value}; expected a whole number below 2^31")
    elif about.kind == "number":
        _check_number(about, value, scalar or not about.traced)
    elif about.kind == "path" and not isinstance(value, (str, os.PathLike)):
        raise InputError(f"{name} is {value!r}; expected a path")


def differs(value: Any, default: float) -> bool:
    """Whether a number, or one of several, is another than the default; to be asked before numbers are traced."""
    if isinstance(value, jax.core.Tracer):
        return True
    return bool(np.any(np.asarray(value, float) != default))


def static(settings: SomeSettings) -> SomeSettings:
    """The settings without the values of traced numbers: hashable, and equal where the programs are."""
    twin = copy.copy(settings)
    for about in settings_of(type(settings)):
        if about.traced and getattr(settings, about.name) is not None:
            object.__setattr__(twin, about.name, _Traced.VALUE)
    return twin


class _Traced(enum.Enum):
    """Stands in the place of a traced number, and fails loudly where it is taken for one."""

    VALUE = "traced"


def _described(kind: type, field: "dataclasses.Field[Any]", hint: Any) -> Setting:
    # a class may give another default to a field of its base, which has said the rest
    inherited = (vars(base).get("__dataclass_fields__", {}).get(field.name) for base in kind.__mro__)
    metadata = next((found.metadata for found in inherited if found is not None and found.metadata.get("doc")), None)
    if metadata is None:
        raise TypeError(f"the setting {field.name} of {kind.__name__} has no sentence; give setting(default, doc)")
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    concrete = tuple(part for part in parts if part is not types.NoneType)
    traced, choices = Array in concrete, ()
    sort: Kind = "other"
    if traced or concrete == (float,):
        sort = "number"
    elif concrete == (int,):
        sort = "whole"
    elif concrete == (bool,):
        sort = "flag"
    elif Path in concrete:
        sort = "path"
    elif len(concrete) == 1 and get_origin(concrete[0]) is Literal:
        sort, choices = "choice", get_args(concrete[0])
    optional = types.NoneType in parts
    return Setting(
        name=field.name, default=field.default, kind=sort, choices=choices, optional=optional, traced=traced, **metadata
    )


def _check_number(about: Setting, value: Any, scalar: bool) -> None:
    name = about.name
    if scalar and (isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value))):
        raise InputError(f"{name} is {value!r}; expected a finite number of at least 0")
    if isinstance(value, jax.core.Tracer):
        return
    values = np.asarray(value)
    if values.dtype.kind not in "fiu" and not hasattr(value, "dtype"):
        raise InputError(f"{name} is {value!r}; expected a number, or one for each seed")
    if about.most is not None and not np.all((values >= 0) & (values <= about.most)):
        raise InputError(f"{name} is {value!r}; expected a number from 0 to {about.most:g}")
    if not np.all(values >= 0):
        raise InputError(f"{name} is {value!r}; expected a finite number of at least 0")
    if about.above is not None and not np.all(values > about.above):
        raise InputError(f"{name} is {value:g}; expected a positive number")
    if about.below is not None and not np.all(values < about.below):
        raise InputError(f"{name} is {value!r}; expected a share below {about.below:g}")
