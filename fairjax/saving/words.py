"""The words of a saved model, each checked before it is trusted: types, ranges, lengths."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fairjax.errors import InputError

_ABSENT = object()


class Words:
    """Values by name; every method returns one kind, and raises InputError for any other.

    Parameters
    ----------
    values : mapping
        As parsed from JSON.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        """Whether it is present and not null."""
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        """A text."""
        return self._take(name, lambda value: isinstance(value, str), "a text")

    def texts(self, name: str, default: Any = _ABSENT) -> tuple[str, ...]:
        """A list of texts."""
        found = self._take(
            name, lambda value: _is_list(value) and all(isinstance(v, str) for v in value), "texts", default
        )
        return tuple(found)

    def whole(self, name: str, least: int = 0, default: Any = _ABSENT) -> int:
        """A whole number below 2^63."""
        kind = f"a whole number of at least {least}"
        return self._take(name, lambda value: _is_whole(value) and least <= value < 2**63, kind, default)

    def wholes(self, name: str, least: int = 0) -> tuple[int, ...]:
        """A list of whole numbers below 2^31."""
        kind = f"whole numbers of at least {least}"
        return tuple(
            self._take(name, lambda v: _is_list(v) and all(_is_whole(i) and least <= i < 2**31 for i in v), kind)
        )

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number within bounds."""
        return float(
            self._take(name, lambda value: _is_number(value) and low <= value <= high, "a number in its range")
        )

    def numbers(self, name: str, length: int, low: float = -math.inf, high: float = math.inf) -> tuple[float, ...]:
        """A list of finite numbers within bounds."""
        kind = f"{length} numbers in their range"
        found = self._take(
            name,
            lambda v: _is_list(v) and len(v) == length and all(_is_number(i) and low <= i <= high for i in v),
            kind,
        )
        return tuple(map(float, found))

    def flag(self, name: str, default: Any = _ABSENT) -> bool:
        """True or false."""
        return self._take(name, lambda value: isinstance(value, bool), "true or false", default)

    def list(self, name: str) -> tuple[Any, ...]:
        """Values in a list."""
        return tuple(self._take(name, _is_list, "a list"))

    def object(self, name: str) -> dict[str, Any]:
        """Values by name."""
        return dict(self._take(name, lambda value: isinstance(value, Mapping), "an object"))

    def groups(self, name: str = "groups", names: str = "group_names") -> tuple[npt.NDArray[Any], tuple[str, ...]]:
        """The distinct values (M,) of the groups, and their names; only None if no attribute was given."""
        found = self._take(name, lambda v: _is_list(v) and len(v) > 0, "plain values")
        # several attributes together form a tuple, which JSON stores as a list
        values = [tuple(value) if _is_list(value) else value for value in found]
        if not all(map(is_plain, values)):
            raise InputError(f"{name} is {found!r}; expected plain values")
        texts = self.texts(names)
        if len(set(values)) < len(values) or len(texts) != len(values) or (None in values and len(values) > 1):
            raise InputError(f"{name} and {names} are not as many distinct values and their names")
        known = np.empty(len(values), dtype=object)
        for place, value in enumerate(values):
            known[place] = value
        return known, texts

    def choice(self, name: str, known: Mapping[str, Any]) -> Any:
        """What a text stands for, among the ``known`` ones."""
        return known[self._take(name, lambda value: isinstance(value, str) and value in known, " or ".join(known))]

    def _take(self, name: str, fits: Callable[[Any], bool], kind: str, default: Any = _ABSENT) -> Any:
        value = self._values.get(name, default)
        if value is _ABSENT:
            raise InputError(f"it does not tell {name}")
        if value is not default and not fits(value):
            raise InputError(f"{name} is {value!r}; expected {kind}")
        return value


def check_array(
    name: str,
    array: npt.NDArray[Any],
    shape: tuple[int, ...],
    kind: str = "f",
    low: float = -math.inf,
    high: float = math.inf,
) -> None:
    """Raise InputError unless an array has this shape and dtype kind (NumPy's letter), and finite values in bounds."""
    if array.shape != shape or array.dtype.kind != kind:
        raise InputError(f"{name} has shape {array.shape} and type {array.dtype}; expected shape {shape}")
    if array.size and kind != "b" and not (np.isfinite(array).all() and low <= array.min() and array.max() <= high):
        raise InputError(f"{name} holds values that are not finite or out of their range")


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # a whole number may be too large for a float
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e300


def is_plain(value: Any) -> bool:
    """Whether a group's value survives JSON: text, a number, a boolean, or several of them in a tuple."""
    if isinstance(value, tuple):
        return bool(value) and all(part is not None and is_plain(part) for part in value)
    return value is None or isinstance(value, (str, bool)) or _is_number(value)
