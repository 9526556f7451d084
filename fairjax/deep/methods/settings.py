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
from numbers import Real
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np
from jax import Array

from fairjax._core.checks import check_choice, check_count
from fairjax._core.settings import Setting, setting, settings_of
from fairjax.errors import InputError

__all__ = ["Number", "Setting", "Settings", "check", "differs", "renamed", "setting", "settings_of", "static"]

Number: TypeAlias = float | Array | np.ndarray

_MOST = 2**31  # of whole numbers, which the device counts in 32 bits

SomeSettings = TypeVar("SomeSettings", bound="Settings")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings that all methods have; each method's own class adds more.

    It is the last base of such a class, and mixins of settings do not derive from it: dataclasses would take an
    inherited default of theirs for one that replaces the method's.
    """

    n_clusters: int = setting(10, "Number of clusters K.")
    _: dataclasses.KW_ONLY
    n_init: int = setting(20, "Restarts of k-means.")


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
        check_count(name, value, 1 if about.least is None else int(about.least))
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
