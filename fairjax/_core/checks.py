"""Checks of settings that every part of the package makes, in one wording."""

from collections.abc import Collection
from numbers import Integral
from typing import Any

from fairjax.errors import InputError


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Raise InputError unless an option given by name is one of those that there are."""
    if value not in choices:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raise InputError unless a static number is whole and not too small."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
